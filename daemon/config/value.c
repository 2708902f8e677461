#include "value.h"

#include <ctype.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <syslog.h>

#include "../../protocol/nearest.h"
#include "words.h"

int value_fault(const KeyContext *context, const char *format, ...) {
        char message[1024];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        report_error(context->report, context->place, context->section, context->key ? context->key->name : NULL, "%s",
                     message);
        return KEY_REPORTED;
}

bool value_parse_number(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t number = 0;

        if (*text == '\0')
                return false;
        for (; *text != '\0'; text++) {
                if (!isdigit((unsigned char) *text) || __builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) (*text - '0'), &number) || number > max)
                        return false;
        }
        *ret = number;
        return true;
}

static size_t names_length(const char *const *names) {
        size_t n = 0;

        while (names[n])
                n++;
        return n;
}

int value_any(const KeyContext *context, const char *value, void *target) {
        return 0;
}

int value_boolean(const KeyContext *context, const char *value, void *target) {
        static const char *const yes[] = { "yes", "y", "true", "t", "on", "1" };
        static const char *const no[] = { "no", "n", "false", "f", "off", "0" };

        for (size_t i = 0; i < n_elements(yes); i++) {
                if (strcasecmp(value, yes[i]) == 0)
                        return *(bool *) target = true, 0;
                if (strcasecmp(value, no[i]) == 0)
                        return *(bool *) target = false, 0;
        }
        return KEY_MISMATCH;
}

int value_enum(const KeyContext *context, const char *value, void *target) {
        const char *const *names = context->key->names;

        for (unsigned i = 0; names[i]; i++)
                if (strcmp(value, names[i]) == 0) {
                        *(unsigned *) target = i;
                        return 0;
                }
        return value_fault(context, "%s is not %s%s", quoted(value), context->key->expects,
                           did_you_mean(nearest_of(value, names, names_length(names))));
}

static int value_duration_up_to(const KeyContext *context, const char *value, bool may_be_infinite, usec_t *target) {
        usec_t duration;
        int r;

        r = duration_parse(value, &duration);
        if (r == -EINVAL)
                return KEY_MISMATCH;
        if (r < 0 && r != -ERANGE)
                return r;
        if (r == 0 && duration == USEC_INFINITY) {
                if (!may_be_infinite)
                        return value_fault(context, "'infinity' is not possible here: a drain always ends; write a "
                                                    "time span, as 30s or 1min 30s");
        } else if (r == -ERANGE || duration > VALUE_DURATION_MAX) {
                return value_fault(context, "%s is too long; at most 100 years are possible", quoted(value));
        }
        *target = duration;
        return 0;
}

int value_duration(const KeyContext *context, const char *value, void *target) {
        return value_duration_up_to(context, value, false, target);
}

int value_duration_or_infinity(const KeyContext *context, const char *value, void *target) {
        return value_duration_up_to(context, value, true, target);
}

int value_start_timeout(const KeyContext *context, const char *value, void *target) {
        usec_t *duration = target;
        int r;

        r = value_duration_up_to(context, value, true, duration);
        if (r == 0 && *duration == 0)
                *duration = USEC_INFINITY;
        return r;
}

int value_watchdog(const KeyContext *context, const char *value, void *target) {
        usec_t *duration = target;
        int r;

        r = value_duration_up_to(context, value, true, duration);
        if (r == 0 && *duration == USEC_INFINITY)
                *duration = 0;
        return r;
}

static int value_number_within(const char *value, uint64_t min, uint64_t max, unsigned *target) {
        uint64_t number;

        if (!value_parse_number(value, max, &number) || number < min)
                return KEY_MISMATCH;
        *target = (unsigned) number;
        return 0;
}

int value_count(const KeyContext *context, const char *value, void *target) {
        return value_number_within(value, 0, 1000000, target);
}

int value_threshold(const KeyContext *context, const char *value, void *target) {
        return value_number_within(value, 1, 1000000, target);
}

int value_percent(const KeyContext *context, const char *value, void *target) {
        char digits[4];
        size_t n = strlen(value);

        if (n > 0 && value[n - 1] == '%')
                n--;
        if (n >= sizeof(digits))
                return KEY_MISMATCH;
        memcpy(digits, value, n);
        digits[n] = '\0';
        return value_number_within(digits, 1, 100, target);
}

int value_log_level(const KeyContext *context, const char *value, void *target) {
        static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
        uint64_t number;

        for (size_t i = 0; i < n_elements(names); i++)
                if (strcmp(value, names[i]) == 0)
                        return *(int *) target = (int) i, 0;
        if (value_parse_number(value, LOG_DEBUG, &number))
                return *(int *) target = (int) number, 0;
        return value_fault(context, "%s is not %s%s", quoted(value), context->key->expects,
                           did_you_mean(nearest_of(value, names, n_elements(names))));
}

static int value_string(const char *value, char **target) {
        char *copy = NULL;

        if (*value != '\0') {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*target);
        *target = copy;
        return 0;
}

int value_path(const KeyContext *context, const char *value, void *target) {
        if (*value != '\0' && *value != '/')
                return KEY_MISMATCH;
        if (strlen(value) > 4095)
                return value_fault(context, "%s is too long; a path has at most 4095 bytes", quoted(value));
        return value_string(value, target);
}

int value_socket_path(const KeyContext *context, const char *value, void *target) {
        if (strlen(value) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
                return value_fault(context, "%s is too long; the path of a socket has at most 107 bytes",
                                   quoted(value));
        return value_path(context, value, target);
}

int value_control_group(const KeyContext *context, const char *value, void *target) {
        Model *model = target;
        const struct group *group;
        uint64_t number;

        if (*value == '\0') {
                model->has_control_group = false;
                return 0;
        }
        group = getgrnam(value);
        if (!group && !value_parse_number(value, UINT32_MAX - 1, &number))
                return value_fault(context, "there is no group %s; write a group's name or number", quoted(value));
        model->has_control_group = true;
        model->control_group = group ? group->gr_gid : (gid_t) number;
        return 0;
}

/* PORT, HOST:PORT, [IPV6]:PORT or /path. */
static bool is_listen_address(const char *word) {
        const char *colon = strrchr(word, ':'), *port = colon ? colon + 1 : word;
        uint64_t number;

        if (*word == '/')
                return strlen(word) < sizeof(((struct sockaddr_un *) NULL)->sun_path);
        if (!value_parse_number(port, 65535, &number) || number == 0)
                return false;
        if (!colon)
                return true;
        if (*word == '[')
                return colon > word + 2 && colon[-1] == ']';
        return colon > word && memchr(word, ':', (size_t) (colon - word)) == NULL;
}

int value_listen(const KeyContext *context, const char *value, void *target) {
        cleanup(string_list_done) StringList words = { 0 };
        StringList *list = target;
        int r;

        if (*value == '\0')
                string_list_done(list);
        r = words_append(value, &words);
        if (r > 0)
                return value_fault(context, "%s %s", quoted(value), words_fault(r));
        if (r < 0)
                return r;
        for (unsigned i = 0; i < words.n; i++)
                if (!is_listen_address(words.items[i]))
                        return value_fault(context, "%s is not %s", quoted(words.items[i]), context->key->expects);
        for (unsigned i = 0; i < words.n && r == 0; i++)
                r = string_list_append_new(list, take(words.items[i]), NULL);
        return r;
}

int value_services(const KeyContext *context, const char *value, void *target) {
        cleanup(string_list_done) StringList words = { 0 };
        unsigned key = keys_index(context->key);
        StringList *list = target;
        int r;

        if (*value == '\0') {
                string_list_done(list);
                service_draft_forget(context->service, key);
        }
        r = words_append(value, &words);
        if (r > 0)
                return value_fault(context, "%s %s", quoted(value), words_fault(r));
        for (unsigned i = 0; i < words.n && r == 0; i++) {
                const char *fault = service_name_fault(words.items[i]);

                if (fault)
                        return value_fault(context, "%s is no name of a service: %s; names are separated by spaces",
                                           quoted(words.items[i]), fault);
        }
        for (unsigned i = 0; i < words.n && r == 0; i++) {
                bool is_new = false;

                r = string_list_append_new(list, take(words.items[i]), &is_new);
                if (r == 0 && is_new)
                        r = service_draft_refer(context->service, key, list->items[list->n - 1], context->place);
        }
        return r;
}

int value_lines(const KeyContext *context, const char *value, void *target) {
        if (*value == '\0') {
                string_list_done(target);
                return 0;
        }
        return string_list_append(target, strdup(value));
}

int value_name(const KeyContext *context, const char *value, void *target) {
        if (strpbrk(value, " \t:/%") || *value == '-' || strlen(value) > 255)
                return KEY_MISMATCH;
        return value_string(value, target);
}

/* As sysexits.h has them, and systemd without their "EX_". */
static const struct {
        const char *name;
        unsigned status;
} exit_names[] = {
        { "EX_OK", 0 },        { "EX_USAGE", 64 },    { "EX_DATAERR", 65 },     { "EX_NOINPUT", 66 },
        { "EX_NOUSER", 67 },   { "EX_NOHOST", 68 },   { "EX_UNAVAILABLE", 69 }, { "EX_SOFTWARE", 70 },
        { "EX_OSERR", 71 },    { "EX_OSFILE", 72 },   { "EX_CANTCREAT", 73 },   { "EX_IOERR", 74 },
        { "EX_TEMPFAIL", 75 }, { "EX_PROTOCOL", 76 }, { "EX_NOPERM", 77 },      { "EX_CONFIG", 78 },
};

static int success_status_parse(const KeyContext *context, const char *word, uint64_t *statuses, uint64_t *signals) {
        uint64_t number;
        int signal;

        if (value_parse_number(word, 255, &number)) {
                statuses[number / 64] |= UINT64_C(1) << number % 64;
                return 0;
        }
        for (size_t i = 0; i < n_elements(exit_names); i++)
                if (strcmp(word, exit_names[i].name) == 0 || strcmp(word, exit_names[i].name + 3) == 0) {
                        statuses[exit_names[i].status / 64] |= UINT64_C(1) << exit_names[i].status % 64;
                        return 0;
                }
        if (!isdigit((unsigned char) *word) && signal_parse(word, &signal) == 0) {
                *signals |= UINT64_C(1) << (signal - 1);
                return 0;
        }
        return value_fault(context, "%s is not %s%s", quoted(word), context->key->expects,
                           strchr(word, '-') ? "; a range is written as its numbers, one by one" : "");
}

int value_success_statuses(const KeyContext *context, const char *value, void *target) {
        cleanup(string_list_done) StringList words = { 0 };
        ServiceConfig *config = target;
        uint64_t statuses[4] = { 1 }, signals = 0;
        int r;

        if (*value != '\0') {
                memcpy(statuses, config->success_statuses, sizeof(statuses));
                signals = config->success_signals;
        }
        r = words_append(value, &words);
        if (r > 0)
                return value_fault(context, "%s %s", quoted(value), words_fault(r));
        for (unsigned i = 0; i < words.n && r == 0; i++)
                r = success_status_parse(context, words.items[i], statuses, &signals);
        if (r != 0)
                return r;
        memcpy(config->success_statuses, statuses, sizeof(statuses));
        config->success_signals = signals;
        return 0;
}
