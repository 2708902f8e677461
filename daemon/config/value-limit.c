#include "value-limit.h"

#include <ctype.h>
#include <string.h>
#include <sys/resource.h>

#include "value.h"

typedef enum LimitUnit { LIMIT_NUMBER, LIMIT_BYTES, LIMIT_SECONDS, LIMIT_MICROSECONDS, LIMIT_NICE } LimitUnit;

static LimitUnit limit_unit(int resource) {
        switch (resource) {
        case RLIMIT_CPU:
                return LIMIT_SECONDS;
        case RLIMIT_RTTIME:
                return LIMIT_MICROSECONDS;
        case RLIMIT_NICE:
                return LIMIT_NICE;
        case RLIMIT_NOFILE:
        case RLIMIT_NPROC:
        case RLIMIT_LOCKS:
        case RLIMIT_SIGPENDING:
        case RLIMIT_RTPRIO:
                return LIMIT_NUMBER;
        default:
                return LIMIT_BYTES;
        }
}

static bool parse_bytes(const char *text, uint64_t *ret) {
        static const char suffixes[] = "KMGTPE";
        size_t n = strlen(text);
        uint64_t number, factor = 1;
        char digits[24];

        if (n > 0 && text[n - 1] == 'B')
                n--;
        if (n > 0) {
                const char *suffix = strchr(suffixes, text[n - 1]);

                if (suffix) {
                        factor = UINT64_C(1) << 10 * (suffix - suffixes + 1);
                        n--;
                }
        }
        if (n >= sizeof(digits))
                return false;
        memcpy(digits, text, n);
        digits[n] = '\0';
        /* JSON carries what fits into 63 bits. */
        return value_parse_number(digits, INT64_MAX, &number) && !__builtin_mul_overflow(number, factor, ret) &&
               *ret <= INT64_MAX;
}

static bool parse_time(const char *text, usec_t unit, uint64_t *ret) {
        usec_t duration;

        /* A number alone is in the limit's own unit, as in systemd. */
        if (value_parse_number(text, INT64_MAX, ret))
                return true;
        if (duration_parse(text, &duration) < 0 || duration > VALUE_DURATION_MAX)
                return false;
        *ret = duration / unit + (duration % unit > 0);
        return true;
}

/* "+5" and "-5" are nice levels; the kernel counts from 20 (nice 0) downward to 1 (nice 19). */
static bool parse_nice(const char *text, uint64_t *ret) {
        uint64_t number;

        if (*text != '+' && *text != '-')
                return value_parse_number(text, 40, ret);
        if (!value_parse_number(text + 1, *text == '+' ? 19 : 20, &number))
                return false;
        *ret = *text == '+' ? 20 - number : 20 + number;
        return true;
}

static bool parse_one(int resource, const char *text, uint64_t *ret) {
        if (strcmp(text, "infinity") == 0)
                return *ret = UINT64_MAX, true;
        switch (limit_unit(resource)) {
        case LIMIT_BYTES:
                return parse_bytes(text, ret);
        case LIMIT_SECONDS:
                return parse_time(text, USEC_PER_SEC, ret);
        case LIMIT_MICROSECONDS:
                return parse_time(text, 1, ret);
        case LIMIT_NICE:
                return parse_nice(text, ret);
        case LIMIT_NUMBER:
                break;
        }
        return value_parse_number(text, INT64_MAX, ret);
}

static int limit_put(ServiceConfig *config, Limit limit) {
        Limit *limits;

        for (unsigned i = 0; i < config->n_limits; i++)
                if (config->limits[i].resource == limit.resource) {
                        config->limits[i] = limit;
                        return 0;
                }
        limits = reallocarray(config->limits, config->n_limits + 1, sizeof(*limits));
        if (!limits)
                return -ENOMEM;
        config->limits = limits;
        limits[config->n_limits++] = limit;
        return 0;
}

static void limit_remove(ServiceConfig *config, int resource) {
        unsigned kept = 0;

        for (unsigned i = 0; i < config->n_limits; i++)
                if (config->limits[i].resource != resource)
                        config->limits[kept++] = config->limits[i];
        config->n_limits = kept;
}

int value_limit(const KeyContext *context, const char *value, void *target) {
        Limit limit = { .resource = context->key->argument };
        ServiceConfig *config = target;
        const char *colon = strchr(value, ':');
        char soft[64];

        if (*value == '\0') {
                limit_remove(config, limit.resource);
                return 0;
        }
        if (colon) {
                if ((size_t) (colon - value) >= sizeof(soft))
                        return KEY_MISMATCH;
                memcpy(soft, value, (size_t) (colon - value));
                soft[colon - value] = '\0';
        }
        if (!parse_one(limit.resource, colon ? soft : value, &limit.soft))
                return KEY_MISMATCH;
        limit.hard = limit.soft;
        if (colon && !parse_one(limit.resource, colon + 1, &limit.hard))
                return KEY_MISMATCH;
        if (limit.soft > limit.hard)
                return value_fault(context, "%s: the soft limit is above the hard limit; write SOFT:HARD",
                                   quoted(value));
        return limit_put(config, limit);
}
