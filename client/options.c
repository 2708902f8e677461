#include "options.h"

#include <stdio.h>
#include <string.h>

#include "../protocol/nearest.h"

typedef struct OptionRow OptionRow;

struct OptionRow {
        const char *name;
        char letter; /* 0: none */
        OptionId id;
        /* Takes the value; NULL: the option has none. False: it is not what `usage` says. */
        bool (*read)(const char *value, void *target);
        size_t offset;
        const char *expects;
        const char *usage; /* NULL: another name of the option in the row before */
        const char *text;
};

static bool read_text(const char *value, void *target) {
        *(const char **) target = value;
        return true;
}

static bool read_word(const char *value, void *target) {
        return value[0] && read_text(value, target);
}

static bool read_time(const char *value, void *target) {
        return duration_parse(value, target) == 0;
}

static bool read_count(const char *value, void *target) {
        char *end;
        long long n;

        errno = 0;
        n = strtoll(value, &end, 10);
        if (errno || end == value || *end || n < 0)
                return false;
        *(int64_t *) target = n;
        return true;
}

static bool read_until(const char *value, void *target) {
        return (strcmp(value, "quiesced") == 0 || strcmp(value, "stopped") == 0) && read_text(value, target);
}

static bool read_state(const char *value, void *target) {
        return (strcmp(value, "running") == 0 || strcmp(value, "ready") == 0 || read_until(value, target)) &&
               read_text(value, target);
}

static bool read_whom(const char *value, void *target) {
        return (strcmp(value, "main") == 0 || strcmp(value, "tree") == 0) && read_text(value, target);
}

#define AT(member) offsetof(Options, member)

static const OptionRow option_rows[] = {
        { "all", 'a', OPTION_ALL, NULL, 0, NULL, "-a, --all", "every service" },
        { "until", 0, OPTION_UNTIL, read_until, AT(until), "quiesced or stopped", "    --until STATE",
          "quiesced (up to the first signal) or stopped (default)" },
        { "now", 0, OPTION_NOW, NULL, 0, NULL, "    --now",
          "end withdraw and quiesce: signals go out now" },
        { "kill", 0, OPTION_KILL, NULL, 0, NULL, "    --kill", "the time is over: SIGKILL to all that is left" },
        { "exit", 0, OPTION_EXIT, NULL, 0, NULL, "    --exit", "draind itself ends afterwards" },
        { "budget", 'b', OPTION_BUDGET, read_time, AT(budget), "a time span (30s, 1min 30s)", "-b, --budget TIME",
          "how long the drain may take; it can only get shorter" },
        { "reason", 'r', OPTION_REASON, read_text, AT(reason), "a text", "-r, --reason TEXT",
          "why; services, log and events are told" },
        { "force", 0, OPTION_FORCE, NULL, 0, NULL, "    --force", "kill: also while the service drains" },
        { "for", 0, OPTION_FOR, read_state, AT(state), "running, ready, quiesced or stopped", "    --for STATE",
          "running, ready, quiesced or stopped (default)" },
        { "signal", 's', OPTION_SIGNAL, read_word, AT(signal), "a signal (TERM, HUP, 10)", "-s, --signal SIGNAL",
          "which signal: a name or a number (default TERM)" },
        { "whom", 0, OPTION_WHOM, read_whom, AT(whom), "main or tree", "    --whom WHOM",
          "main (the leader, default) or tree (every process)" },
        { "dry-run", 0, OPTION_DRY_RUN, NULL, 0, NULL, "    --dry-run", "only say what would change" },
        { "restart", 0, OPTION_RESTART, NULL, 0, NULL, "    --restart", "restart the services whose change needs it" },
        { "lines", 'n', OPTION_LINES, read_count, AT(n_lines), "a number", "-n, --lines N",
          "the newest N (default 20)" },
        { "follow", 'f', OPTION_FOLLOW, NULL, 0, NULL, "-f, --follow", "go on as more comes" },
        { "no-wait", 0, OPTION_NO_WAIT, NULL, 0, NULL, "    --no-wait",
          "do not wait; prints the operation's id (or --no-block)" },
        { "no-block", 0, OPTION_NO_WAIT, NULL, 0, NULL, NULL, NULL },
        { "timeout", 't', OPTION_TIMEOUT, read_time, AT(timeout), "a time span (30s, 1min 30s)", "-t, --timeout TIME",
          "wait no longer than this; what was begun goes on" },
        { "socket", 0, OPTION_SOCKET, read_word, AT(socket), "a path", "    --socket PATH",
          "control socket (else $DRAIND_SOCKET, else the usual)" },
        { "json", 'j', OPTION_JSON, NULL, 0, NULL, "-j, --json", "print draind's replies as they are, one a line" },
        { "quiet", 'q', OPTION_QUIET, NULL, 0, NULL, "-q, --quiet", "print errors only" },
        { "help", 'h', OPTION_HELP, NULL, 0, NULL, "-h, --help", "how to use it" },
        { "version", 'V', OPTION_VERSION, NULL, 0, NULL, "    --version", "which version this is" },
};

#undef AT

bool options_describe(size_t i, OptionId *ret_id, const char **ret_usage, const char **ret_text) {
        if (i >= n_elements(option_rows))
                return false;
        *ret_id = option_rows[i].id;
        *ret_usage = option_rows[i].usage;
        *ret_text = option_rows[i].text;
        return true;
}

const char *options_misplaced(const Options *options, unsigned taken) {
        for (size_t i = 0; i < n_elements(option_rows); i++)
                if (options->given & ~taken & option_rows[i].id)
                        return option_rows[i].name;
        return NULL;
}

static const OptionRow *find_name(const char *name, size_t length) {
        for (size_t i = 0; i < n_elements(option_rows); i++)
                if (strlen(option_rows[i].name) == length && memcmp(option_rows[i].name, name, length) == 0)
                        return &option_rows[i];
        return NULL;
}

static const OptionRow *find_letter(char letter) {
        for (size_t i = 0; i < n_elements(option_rows); i++)
                if (option_rows[i].letter == letter)
                        return &option_rows[i];
        return NULL;
}

static OptionsOutcome unknown_name(const char *name, size_t length) {
        const char *names[n_elements(option_rows)];
        cleanup(freep) char *word = strndup(name, length);
        const char *meant;

        for (size_t i = 0; i < n_elements(option_rows); i++)
                names[i] = option_rows[i].name;
        meant = word ? nearest_of(word, names, n_elements(names)) : NULL;
        fprintf(stderr, "drainctl: There is no option --%.*s.", (int) length, name);
        if (meant)
                fprintf(stderr, " Did you mean --%s?", meant);
        fputc('\n', stderr);
        return OPTIONS_WRONG;
}

static OptionsOutcome take_value(Options *options, const OptionRow *row, const char *value) {
        options->given |= row->id;
        if (!row->read)
                return OPTIONS_PARSED;
        if (!value) {
                fprintf(stderr, "drainctl: --%s needs a value: %s.\n", row->name, row->expects);
                return OPTIONS_WRONG;
        }
        if (row->read(value, (char *) options + row->offset))
                return OPTIONS_PARSED;
        fprintf(stderr, "drainctl: --%s: '%s' is not %s.\n", row->name, value, row->expects);
        return OPTIONS_WRONG;
}

/* argument: behind the "--". next: the argument that follows, or NULL. */
static OptionsOutcome parse_long(Options *options, const char *argument, const char *next, bool *ret_used_next) {
        size_t length = strcspn(argument, "=");
        const OptionRow *row = find_name(argument, length);

        if (!row)
                return unknown_name(argument, length);
        if (argument[length] == '=') {
                if (row->read)
                        return take_value(options, row, argument + length + 1);
                fprintf(stderr, "drainctl: --%s takes no value.\n", row->name);
                return OPTIONS_WRONG;
        }
        *ret_used_next = row->read && next;
        return take_value(options, row, next);
}

/* letters: behind the "-": "qf", "n5", "n". */
static OptionsOutcome parse_letters(Options *options, const char *letters, const char *next, bool *ret_used_next) {
        for (; *letters; letters++) {
                const OptionRow *row = find_letter(*letters);
                bool has_rest = row && row->read && letters[1];

                if (!row) {
                        fprintf(stderr, "drainctl: There is no option -%c.%s\n", *letters,
                                *letters >= 'A' && *letters <= 'Z' ? " A signal is written --signal NAME." : "");
                        return OPTIONS_WRONG;
                }
                *ret_used_next = row->read && !has_rest && next;
                if (take_value(options, row, has_rest ? letters + 1 : next) != OPTIONS_PARSED)
                        return OPTIONS_WRONG;
                if (row->read)
                        break;
        }
        return OPTIONS_PARSED;
}

OptionsOutcome options_parse(int argc, char **argv, Options *ret) {
        bool only_names = false;

        *ret = (Options) { .timeout = USEC_INFINITY, .budget = USEC_INFINITY, .n_lines = -1 };
        ret->names = calloc((size_t) argc + 1, sizeof(*ret->names));
        if (!ret->names) {
                fputs("drainctl: Out of memory.\n", stderr);
                return OPTIONS_WRONG;
        }
        for (int i = 1; i < argc; i++) {
                const char *argument = argv[i], *next = argv[i + 1]; /* argv ends with NULL */
                OptionsOutcome outcome = OPTIONS_PARSED;
                bool used_next = false;

                if (only_names || argument[0] != '-' || !argument[1]) {
                        if (ret->verb)
                                ret->names[ret->n_names++] = argument;
                        else
                                ret->verb = argument;
                } else if (strcmp(argument, "--") == 0) {
                        only_names = true;
                } else if (argument[1] == '-') {
                        outcome = parse_long(ret, argument + 2, next, &used_next);
                } else {
                        outcome = parse_letters(ret, argument + 1, next, &used_next);
                }
                if (outcome != OPTIONS_PARSED)
                        return outcome;
                i += used_next;
        }
        return OPTIONS_PARSED;
}

void options_done(Options *options) {
        free(options->names);
        options->names = NULL;
}
