#include "notify-message.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "text.h"

typedef struct NotifyKey {
        const char *name;
        /* value ends with NUL. false: it makes no sense for this key. */
        bool (*set)(NotifyMessage *message, char *value, size_t length);
} NotifyKey;

/* Digits and nothing else: no sign, no blanks. */
static bool number_parse(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t number = 0;

        if (*text == '\0')
                return false;
        for (; *text != '\0'; text++)
                if (*text < '0' || *text > '9' || __builtin_mul_overflow(number, (uint64_t) 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t) (*text - '0'), &number))
                        return false;
        if (number > max)
                return false;
        *ret = number;
        return true;
}

static bool flag_set(bool *flag, const char *value) {
        if (strcmp(value, "1") != 0)
                return false; /* systemd knows no other value either */
        *flag = true;
        return true;
}

static bool set_ready(NotifyMessage *message, char *value, size_t length) {
        return flag_set(&message->is_ready, value);
}

static bool set_reloading(NotifyMessage *message, char *value, size_t length) {
        return flag_set(&message->is_reloading, value);
}

static bool set_stopping(NotifyMessage *message, char *value, size_t length) {
        return flag_set(&message->is_stopping, value);
}

static bool set_barrier(NotifyMessage *message, char *value, size_t length) {
        return flag_set(&message->is_barrier, value);
}

static bool set_watchdog(NotifyMessage *message, char *value, size_t length) {
        if (strcmp(value, "trigger") != 0)
                return flag_set(&message->is_watchdog_ping, value);
        message->is_watchdog_trigger = true;
        return true;
}

static bool set_watchdog_usec(NotifyMessage *message, char *value, size_t length) {
        return number_parse(value, USEC_INFINITY - 1, &message->watchdog_usec);
}

static bool set_extend_usec(NotifyMessage *message, char *value, size_t length) {
        uint64_t usec;

        if (!number_parse(value, USEC_INFINITY, &usec) || usec == 0)
                return false;
        message->extend_usec = usec;
        return true;
}

static bool set_monotonic_usec(NotifyMessage *message, char *value, size_t length) {
        return number_parse(value, USEC_INFINITY - 1, &message->monotonic_usec);
}

static bool set_main_pid(NotifyMessage *message, char *value, size_t length) {
        uint64_t pid;

        if (!number_parse(value, INT_MAX, &pid) || pid <= 1)
                return false;
        message->main_pid = (pid_t) pid;
        return true;
}

static bool set_errno(NotifyMessage *message, char *value, size_t length) {
        uint64_t number;

        if (!number_parse(value, 4095, &number)) /* MAX_ERRNO of the kernel */
                return false;
        message->error_number = (int) number;
        message->has_error = true;
        return true;
}

static const char *text_make_safe(char *value, size_t length) {
        (void) text_replace(value, length); /* what was replaced shows by itself */
        value[text_cut(value, length, NOTIFY_STATUS_MAX)] = '\0';
        return value;
}

static bool set_status(NotifyMessage *message, char *value, size_t length) {
        message->status = text_make_safe(value, length);
        return true;
}

static bool set_bus_error(NotifyMessage *message, char *value, size_t length) {
        message->bus_error = text_make_safe(value, length);
        return true;
}

static const NotifyKey notify_keys[] = {
        { "READY", set_ready },
        { "RELOADING", set_reloading },
        { "STOPPING", set_stopping },
        { "BARRIER", set_barrier },
        { "STATUS", set_status },
        { "ERRNO", set_errno },
        { "BUSERROR", set_bus_error },
        { "VARLINKERROR", set_bus_error },
        { "MAINPID", set_main_pid },
        { "WATCHDOG", set_watchdog },
        { "WATCHDOG_USEC", set_watchdog_usec },
        { "EXTEND_TIMEOUT_USEC", set_extend_usec },
        { "MONOTONIC_USEC", set_monotonic_usec },
};

/* line ends with NUL. */
static void notify_message_assign(NotifyMessage *message, char *line, size_t length) {
        size_t n_name = strcspn(line, "=");

        if (length == 0)
                return;
        for (size_t i = 0; i < n_elements(notify_keys) && line[n_name] == '='; i++) {
                const NotifyKey *key = &notify_keys[i];

                if (strlen(key->name) != n_name || memcmp(line, key->name, n_name) != 0)
                        continue;
                if (!key->set(message, line + n_name + 1, length - n_name - 1))
                        message->n_malformed++;
                return;
        }
        if (strncmp(line, "X_", 2) != 0)
                message->n_unknown++;
}

NotifyOutcome notify_message_parse(char *text, size_t length, NotifyMessage *ret) {
        NotifyMessage message = { .watchdog_usec = USEC_INFINITY };

        if (length == 0)
                return NOTIFY_EMPTY;
        if (length > NOTIFY_MESSAGE_MAX)
                return NOTIFY_TOO_LONG;
        if (memchr(text, '\0', length))
                return NOTIFY_NOT_TEXT;
        text[length] = '\0';
        for (size_t i = 0; i < length;) {
                size_t n = strcspn(text + i, "\n");

                text[i + n] = '\0';
                notify_message_assign(&message, text + i, n);
                i += n + 1;
        }
        *ret = message;
        return NOTIFY_PARSED;
}

const char *notify_outcome_text(NotifyOutcome outcome) {
        switch (outcome) {
        case NOTIFY_PARSED:
                return "is well-formed";
        case NOTIFY_EMPTY:
                return "is empty";
        case NOTIFY_TOO_LONG:
                return "is too long";
        case NOTIFY_NOT_TEXT:
                return "has a NUL byte in it";
        }
        return "is not known";
}
