#include "value-run.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "../../protocol/nearest.h"
#include "value.h"
#include "words.h"

static const char *const capabilities[] = {
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",
        "CAP_FSETID",
        "CAP_KILL",
        "CAP_SETGID",
        "CAP_SETUID",
        "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN",
        "CAP_NET_RAW",
        "CAP_IPC_LOCK",
        "CAP_IPC_OWNER",
        "CAP_SYS_MODULE",
        "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT",
        "CAP_SYS_PTRACE",
        "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN",
        "CAP_SYS_BOOT",
        "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",
        "CAP_SYS_TIME",
        "CAP_SYS_TTY_CONFIG",
        "CAP_MKNOD",
        "CAP_LEASE",
        "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL",
        "CAP_SETFCAP",
        "CAP_MAC_OVERRIDE",
        "CAP_MAC_ADMIN",
        "CAP_SYSLOG",
        "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND",
        "CAP_AUDIT_READ",
        "CAP_PERFMON",
        "CAP_BPF",
        "CAP_CHECKPOINT_RESTORE",
};

#define CAPABILITIES_ALL ((UINT64_C(1) << n_elements(capabilities)) - 1)

const char *value_run_capability_name(unsigned capability) {
        return capability < n_elements(capabilities) ? capabilities[capability] : NULL;
}

/* systemd replaces %x and $NAME; draind does not, and says so where a line would mean something else there.
 * "%%" and "$$" are written down as one, in place. Where dollars are plain text, only '%' is looked at. What else the
 * word has may be a secret, and is not shown. */
static int unspecify(const KeyContext *context, char *word, bool has_dollars) {
        static const char variable[] = "{}_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        char *to = word;

        for (const char *p = word; *p != '\0'; p++) {
                if (p[0] == '%' && isalpha((unsigned char) p[1]))
                        return value_fault(
                                context,
                                "'%%%c' would be a specifier in systemd, and draind has none; write '%%%%%c' "
                                "for the text itself",
                                p[1], p[1]);
                if (has_dollars && p[0] == '$' &&
                    (p[1] == '{' || (p == word && (isalnum((unsigned char) p[1]) || p[1] == '_'))))
                        return value_fault(context,
                                           "'$%.*s': draind does not expand variables; write '$$' for a dollar, or let "
                                           "a shell do it: /bin/sh -c 'exec …'",
                                           (int) strspn(p + 1, variable), p + 1);
                if ((p[0] == '%' && p[1] == '%') || (has_dollars && p[0] == '$' && p[1] == '$'))
                        p++;
                *to++ = *p;
        }
        *to = '\0';
        return 0;
}

/* The rest of a command line. argv is filled as a list that ends without NULL. */
static int command_words(const KeyContext *context, const char *text, StringList *argv) {
        for (;;) {
                cleanup(freep) char *word = NULL;
                int r;

                text += strspn(text, " \t");
                if (text[0] == ';' && (text[1] == '\0' || text[1] == ' ' || text[1] == '\t'))
                        return value_fault(context, "';' between commands is not possible; write one line a command%s",
                                           strcmp(context->key->name, "ExecStart") == 0
                                                   ? ", and what comes before the service as ExecStartPre="
                                                   : "");
                if (text[0] == '\\' && text[1] == ';' && (text[2] == '\0' || text[2] == ' ' || text[2] == '\t')) {
                        text += 2;
                        word = strdup(";");
                        if (!word)
                                return -ENOMEM;
                } else {
                        r = words_next(&text, &word);
                        if (r == WORDS_END)
                                return 0;
                        if (r > 0)
                                return value_fault(context, "%s %s", quoted(text), words_fault(r));
                        if (r == 0)
                                r = unspecify(context, word, true);
                        if (r != 0)
                                return r;
                }
                r = string_list_append(argv, take(word));
                if (r < 0)
                        return r;
        }
}

static int command_parse(const KeyContext *context, const char *value, Command *ret) {
        cleanup(string_list_done) StringList argv = { 0 };
        bool may_fail = false;
        const char *path;
        int r;

        for (; *value == '-' || (*value != '\0' && strchr("@:+!|", *value)); value++) {
                if (*value != '-')
                        return value_fault(context,
                                           "the prefix '%c' of systemd is not possible; only '-' is (its failure "
                                           "does not count)",
                                           *value);
                may_fail = true;
        }
        r = command_words(context, value, &argv);
        if (r != 0)
                return r;
        path = argv.n > 0 ? argv.items[0] : "";
        if (*path == '\0')
                return value_fault(context, "there is no command; write a path and its arguments");
        if (*path != '/' && strchr(path, '/'))
                return value_fault(context,
                                   "%s is a relative path; write it from the root, or a bare name that is "
                                   "searched for in PATH",
                                   quoted(path));
        if (path[strlen(path) - 1] == '/')
                return value_fault(context, "%s is a directory; write the path of a program", quoted(path));
        r = string_list_append(&argv, strdup(""));
        if (r < 0)
                return r;
        free(argv.items[argv.n - 1]);
        argv.items[argv.n - 1] = NULL;
        *ret = (Command){ .argv = take(argv.items), .may_fail = may_fail };
        argv.n = 0;
        return 0;
}

int value_run_command(const KeyContext *context, const char *value, void *target) {
        Command *command = target;

        if (*value == '\0') {
                command_done(command);
                return 0;
        }
        if (command->argv)
                return value_fault(context, "there is one already; write what comes before it as ExecStartPre=, or an "
                                            "empty ExecStart= in front to replace it");
        return command_parse(context, value, command);
}

int value_run_commands(const KeyContext *context, const char *value, void *target) {
        CommandList *list = target;
        Command command, *items;
        int r;

        if (*value == '\0') {
                command_list_done(list);
                return 0;
        }
        r = command_parse(context, value, &command);
        if (r != 0)
                return r;
        items = reallocarray(list->items, list->n + 1, sizeof(*items));
        if (!items) {
                command_done(&command);
                return -ENOMEM;
        }
        list->items = items;
        items[list->n++] = command;
        return 0;
}

int value_run_working_directory(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        bool may_fail = *value == '-';
        cleanup(freep) char *path = NULL;
        int r;

        value += may_fail;
        if (*value == '\0' && !may_fail) {
                free(take(config->working_directory));
                config->working_directory_may_fail = false;
                return 0;
        }
        path = strdup(value);
        if (!path)
                return -ENOMEM;
        r = unspecify(context, path, false);
        if (r != 0)
                return r;
        if ((*path != '/' && strcmp(path, "~") != 0) || strlen(path) > 4095)
                return KEY_MISMATCH;
        free(config->working_directory);
        config->working_directory = take(path);
        config->working_directory_may_fail = may_fail;
        return 0;
}

bool value_run_is_environment_name(const char *name, size_t n) {
        if (n == 0 || isdigit((unsigned char) *name))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isascii(name[i]) || (!isalnum((unsigned char) name[i]) && name[i] != '_'))
                        return false;
        return true;
}

int value_run_environment_put(StringList *environment, char *assignment) {
        size_t n = strcspn(assignment, "=") + 1;

        for (unsigned i = 0; i < environment->n; i++)
                if (strncmp(environment->items[i], assignment, n) == 0) {
                        free(environment->items[i]);
                        environment->items[i] = assignment;
                        return 0;
                }
        return string_list_append(environment, assignment);
}

int value_run_environment(const KeyContext *context, const char *value, void *target) {
        cleanup(string_list_done) StringList words = { 0 };
        StringList *environment = target;
        int r;

        if (*value == '\0')
                string_list_done(environment);
        r = words_append(value, &words);
        if (r > 0)
                return value_fault(context, "the value %s", words_fault(r));
        for (unsigned i = 0; i < words.n && r == 0; i++) {
                char *word = words.items[i], *equals = strchr(word, '=');

                if (!equals || !value_run_is_environment_name(word, (size_t) (equals - word))) {
                        /* What follows the '=' may be a secret: it is not shown. */
                        if (equals)
                                *equals = '\0';
                        return value_fault(context, "%s is not %s", quoted(word), context->key->expects);
                }
                r = unspecify(context, word, false);
        }
        for (unsigned i = 0; i < words.n && r == 0; i++)
                r = value_run_environment_put(environment, take(words.items[i]));
        return r;
}

int value_run_environment_file(const KeyContext *context, const char *value, void *target) {
        cleanup(freep) char *path = strdup(value);
        int r;

        if (!path)
                return -ENOMEM;
        if (*value == '\0') {
                service_draft_forget(context->service, keys_index(context->key));
                return 0;
        }
        r = unspecify(context, path, false);
        if (r != 0)
                return r;
        if (path[*path == '-'] != '/')
                return KEY_MISMATCH;
        return service_draft_refer(context->service, keys_index(context->key), path, context->place);
}

int value_run_groups(const KeyContext *context, const char *value, void *target) {
        cleanup(string_list_done) StringList words = { 0 };
        unsigned key = keys_index(context->key);
        int r;

        if (*value == '\0')
                service_draft_forget(context->service, key);
        r = words_append(value, &words);
        if (r > 0)
                return value_fault(context, "%s %s", quoted(value), words_fault(r));
        for (unsigned i = 0; i < words.n && r == 0; i++)
                r = service_draft_refer(context->service, key, words.items[i], context->place);
        return r;
}

int value_run_umask(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        mode_t mask = 0;

        config->has_umask = config->has_umask && *value != '\0';
        if (*value == '\0')
                return 0;
        if (strlen(value) > 5)
                return KEY_MISMATCH;
        for (; *value != '\0'; value++) {
                if (*value < '0' || *value > '7')
                        return KEY_MISMATCH;
                mask = mask * 8 + (mode_t) (*value - '0');
        }
        if (mask > 0777)
                return KEY_MISMATCH;
        config->umask = mask;
        config->has_umask = true;
        return 0;
}

/* A number with an optional sign, within the range. */
static int signed_within(const char *value, int min, int max, int *ret) {
        bool is_negative = *value == '-';
        uint64_t number;

        if (*value == '-' || *value == '+')
                value++;
        if (!value_parse_number(value, 10000, &number))
                return KEY_MISMATCH;
        if ((is_negative ? -(int) number : (int) number) < min || (is_negative ? -(int) number : (int) number) > max)
                return KEY_MISMATCH;
        *ret = is_negative ? -(int) number : (int) number;
        return 0;
}

int value_run_nice(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        int r = 0;

        if (*value != '\0')
                r = signed_within(value, -20, 19, &config->nice);
        if (r == 0)
                config->has_nice = *value != '\0';
        return r;
}

int value_run_oom_score_adjust(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        int r = 0;

        if (*value != '\0')
                r = signed_within(value, -1000, 1000, &config->oom_score_adjust);
        if (r == 0)
                config->has_oom_score_adjust = *value != '\0';
        return r;
}

/* As in systemd: "~" in front means all but these; a second line adds to the first, or takes away from it. */
static int capabilities_parse(const KeyContext *context, const char *value, uint64_t initial, uint64_t *set) {
        cleanup(string_list_done) StringList words = { 0 };
        bool is_inverted = *value == '~';
        uint64_t sum = 0;
        int r;

        r = words_append(value + is_inverted, &words);
        if (r > 0)
                return value_fault(context, "%s %s", quoted(value), words_fault(r));
        if (r < 0)
                return r;
        for (unsigned i = 0; i < words.n; i++) {
                unsigned capability = 0;

                while (capability < n_elements(capabilities) &&
                       strcasecmp(words.items[i], capabilities[capability]) != 0)
                        capability++;
                if (capability == n_elements(capabilities))
                        return value_fault(
                                context, "%s is not %s%s", quoted(words.items[i]), context->key->expects,
                                did_you_mean(nearest_of(words.items[i], capabilities, n_elements(capabilities))));
                sum |= UINT64_C(1) << capability;
        }
        if (sum == 0 || *set == initial)
                *set = is_inverted ? CAPABILITIES_ALL & ~sum : sum;
        else if (is_inverted)
                *set &= ~sum;
        else
                *set |= sum;
        return 0;
}

int value_run_bounding(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        uint64_t set = config->has_bounding ? config->bounding : CAPABILITIES_ALL;
        int r;

        r = capabilities_parse(context, value, CAPABILITIES_ALL, &set);
        if (r == 0) {
                config->bounding = set;
                config->has_bounding = true;
        }
        return r;
}

int value_run_ambient(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;

        return capabilities_parse(context, value, 0, &config->ambient);
}

static int output_parse(const KeyContext *context, const char *value, Output *output) {
        static const char *const names[] = { "log", "inherit", "null" };
        static const char *const all[] = { "log", "inherit", "null", "file:", "append:" };
        OutputKind kind = OUTPUT_KIND_MAX;
        const char *path = NULL;
        char *copy = NULL;

        for (unsigned i = 0; i < n_elements(names); i++)
                if (strcmp(value, names[i]) == 0)
                        kind = (OutputKind) i; /* in the order of the enum */
        if (strncmp(value, "file:", 5) == 0)
                kind = OUTPUT_FILE, path = value + 5;
        else if (strncmp(value, "append:", 7) == 0)
                kind = OUTPUT_APPEND, path = value + 7;
        if (kind == OUTPUT_KIND_MAX)
                return value_fault(context, "%s is not %s%s", quoted(value), context->key->expects,
                                   did_you_mean(nearest_of(value, all, n_elements(all))));
        if (path) {
                int r;

                if (*path != '/' || strlen(path) > 4095)
                        return value_fault(context, "%s is no absolute path; write %.7s/…", quoted(path),
                                           kind == OUTPUT_FILE ? "file:" : "append:");
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                r = unspecify(context, copy, false);
                if (r != 0) {
                        free(copy);
                        return r;
                }
        }
        free(output->path);
        *output = (Output){ .kind = kind, .path = copy };
        return 0;
}

int value_run_output(const KeyContext *context, const char *value, void *target) {
        return output_parse(context, value, target);
}

int value_run_error(const KeyContext *context, const char *value, void *target) {
        Output *output = target;

        if (*value != '\0')
                return output_parse(context, value, target);
        free(output->path);
        *output = (Output){ .kind = OUTPUT_KIND_MAX };
        return 0;
}
