#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR   (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY    (24 * USEC_PER_HOUR)
#define USEC_PER_WEEK   (7 * USEC_PER_DAY)
/* systemd.time(7): 30.44 and 365.25 days. */
#define USEC_PER_MONTH  (UINT64_C(2629800) * USEC_PER_SEC)
#define USEC_PER_YEAR   (UINT64_C(31557600) * USEC_PER_SEC)

static const struct DurationUnit {
        const char *name;
        usec_t usec;
} duration_units[] = {
        { "s", USEC_PER_SEC },        { "sec", USEC_PER_SEC },       { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },  { "m", USEC_PER_MINUTE },      { "min", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE }, { "minutes", USEC_PER_MINUTE }, { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },    { "us", 1 },                   { "usec", 1 },
        { "\xc2\xb5s", 1 },           { "\xce\xbcs", 1 },            { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },      { "hour", USEC_PER_HOUR },     { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },        { "day", USEC_PER_DAY },       { "days", USEC_PER_DAY },
        { "w", USEC_PER_WEEK },       { "week", USEC_PER_WEEK },     { "weeks", USEC_PER_WEEK },
        { "M", USEC_PER_MONTH },      { "month", USEC_PER_MONTH },   { "months", USEC_PER_MONTH },
        { "y", USEC_PER_YEAR },       { "year", USEC_PER_YEAR },     { "years", USEC_PER_YEAR },
};

usec_t clock_now_usec(void) {
        struct timespec now;

        if (clock_gettime(CLOCK_BOOTTIME, &now) < 0)
                abort(); /* every kernel that we run on has it: without a clock there are no deadlines */
        return (usec_t) now.tv_sec * USEC_PER_SEC + (usec_t) now.tv_nsec / 1000;
}

static const char *skip_blanks(const char *text) {
        return text + strspn(text, " \t\n\r");
}

static bool is_digit(char c) {
        return c >= '0' && c <= '9'; /* isdigit() asks the locale */
}

/* The unit at *text, which is moved behind it. None at all is seconds; 0 is a unit that does not exist. */
static usec_t unit_parse(const char **text) {
        const char *start = skip_blanks(*text);
        size_t length = strcspn(start, " \t\n\r.0123456789+-");

        if (length == 0)
                return USEC_PER_SEC;
        for (size_t i = 0; i < n_elements(duration_units); i++)
                if (strlen(duration_units[i].name) == length && memcmp(start, duration_units[i].name, length) == 0) {
                        *text = start + length;
                        return duration_units[i].usec;
                }
        return 0;
}

/* "1.25": the whole part and the digits behind the point, which are scaled when the unit is known. */
static int number_parse(const char **text, uint64_t *ret_whole, const char **ret_fraction, size_t *ret_n_fraction) {
        const char *p = *text;
        uint64_t whole = 0;
        size_t n_whole = 0, n_fraction = 0;

        for (; is_digit(*p); p++, n_whole++)
                if (__builtin_mul_overflow(whole, (uint64_t) 10, &whole) ||
                    __builtin_add_overflow(whole, (uint64_t) (*p - '0'), &whole))
                        return -ERANGE;
        *ret_fraction = p + 1;
        if (*p == '.')
                for (p++; is_digit(*p); p++)
                        n_fraction++;
        if (n_whole + n_fraction == 0 || *p == '.')
                return -EINVAL;
        *ret_whole = whole;
        *ret_n_fraction = n_fraction;
        *text = p;
        return 0;
}

int duration_parse(const char *text, usec_t *ret) {
        const char *p = skip_blanks(text);
        usec_t sum = 0;

        if (strncmp(p, "infinity", 8) == 0 && *skip_blanks(p + 8) == '\0') {
                *ret = USEC_INFINITY;
                return 0;
        }
        if (*p == '\0')
                return -EINVAL;
        while (*p != '\0') {
                const char *fraction;
                size_t n_fraction;
                usec_t whole, unit, scale;
                int r;

                r = number_parse(&p, &whole, &fraction, &n_fraction);
                if (r < 0)
                        return r;
                unit = unit_parse(&p);
                if (unit == 0)
                        return -EINVAL;
                if (__builtin_mul_overflow(whole, unit, &whole) || __builtin_add_overflow(sum, whole, &sum))
                        return -ERANGE;
                scale = unit;
                for (size_t i = 0; i < n_fraction && scale > 0; i++) {
                        usec_t part = scale * (usec_t) (fraction[i] - '0') / 10;

                        if (__builtin_add_overflow(sum, part, &sum))
                                return -ERANGE;
                        scale /= 10;
                }
                p = skip_blanks(p);
        }
        if (sum == USEC_INFINITY)
                return -ERANGE; /* the number would mean "never" */
        *ret = sum;
        return 0;
}

/* "2.5s": the whole part, and of the fraction as many digits as there are. */
static int format_fraction(char *buf, size_t size, usec_t value, usec_t unit, const char *name) {
        usec_t fraction = value % unit;
        int width = 0;

        if (fraction == 0)
                return snprintf(buf, size, "%" PRIu64 "%s", value / unit, name);
        for (usec_t u = unit; u > 1; u /= 10)
                width++;
        for (; fraction % 10 == 0; fraction /= 10)
                width--;
        return snprintf(buf, size, "%" PRIu64 ".%0*" PRIu64 "%s", value / unit, width, fraction, name);
}

char *duration_format(char *buf, size_t size, usec_t duration) {
        static const struct DurationUnit large[] = {
                { "w", USEC_PER_WEEK }, { "d", USEC_PER_DAY }, { "h", USEC_PER_HOUR }, { "min", USEC_PER_MINUTE },
        };
        char text[128];
        size_t n = 0;

        if (size == 0)
                return buf;
        if (duration == USEC_INFINITY || duration == 0) {
                (void) snprintf(buf, size, "%s", duration == 0 ? "0" : "infinity");
                return buf;
        }
        for (size_t i = 0; i < n_elements(large); i++) {
                if (duration < large[i].usec)
                        continue;
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%s%" PRIu64 "%s", n > 0 ? " " : "",
                                       duration / large[i].usec, large[i].name);
                duration %= large[i].usec;
        }
        if (duration > 0) {
                if (n > 0)
                        text[n++] = ' ';
                if (duration >= USEC_PER_SEC)
                        (void) format_fraction(text + n, sizeof(text) - n, duration, USEC_PER_SEC, "s");
                else if (duration >= USEC_PER_MSEC)
                        (void) format_fraction(text + n, sizeof(text) - n, duration, USEC_PER_MSEC, "ms");
                else
                        (void) snprintf(text + n, sizeof(text) - n, "%" PRIu64 "us", duration);
        }
        (void) snprintf(buf, size, "%s", text);
        return buf;
}

usec_t duration_round(usec_t duration) {
        usec_t step = duration < 10 * USEC_PER_MSEC ? 1
                    : duration < USEC_PER_SEC       ? USEC_PER_MSEC
                    : duration < USEC_PER_MINUTE    ? USEC_PER_SEC / 10
                                                    : USEC_PER_SEC;

        if (duration == USEC_INFINITY)
                return duration;
        return usec_add(duration, step / 2) / step * step;
}
