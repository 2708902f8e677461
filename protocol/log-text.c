#include "log-text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void log_text_bytes(LogText *text, const char *bytes, size_t length) {
        if (length > text->size - text->length) {
                text->is_cut = true;
                return;
        }
        memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
}

void log_text_string(LogText *text, const char *string) {
        log_text_bytes(text, string, strlen(string));
}

void log_text_format(LogText *text, const char *format, ...) {
        size_t room = text->size - text->length;
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(text->bytes + text->length, room, format, arguments);
        va_end(arguments);
        if (n < 0 || (size_t) n >= room)
                text->is_cut = true;
        else
                text->length += (size_t) n;
}

size_t log_text_character(const char *bytes, size_t length) {
        const unsigned char *b = (const unsigned char *) bytes;
        unsigned char low = 0x80, high = 0xbf; /* of the second byte */
        size_t n;

        if (length == 0)
                return 0;
        if (b[0] < 0x80)
                return 1;
        if (b[0] < 0xc2 || b[0] > 0xf4)
                return 0;
        n = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
        if (b[0] == 0xe0)
                low = 0xa0; /* overlong */
        else if (b[0] == 0xed)
                high = 0x9f; /* surrogates */
        else if (b[0] == 0xf0)
                low = 0x90;
        else if (b[0] == 0xf4)
                high = 0x8f; /* above U+10FFFF */
        if (length < n || b[1] < low || b[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((b[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

size_t log_text_cut(const char *bytes, size_t max) {
        size_t n = max;

        while (n > 0 && max - n < 3 && ((unsigned char) bytes[n] & 0xc0) == 0x80)
                n--;
        return n > 0 && ((unsigned char) bytes[n] & 0xc0) != 0x80 ? n : max; /* no UTF-8 anyway */
}

static void json_control(LogText *text, unsigned char c) {
        static const char escapes[] = "btn?fr"; /* 8 to 13 */

        if (c >= 8 && c <= 13 && c != 11)
                log_text_bytes(text, (const char[]) { '\\', escapes[c - 8] }, 2);
        else
                log_text_format(text, "\\u%04x", (unsigned) c);
}

void log_text_json(LogText *text, const char *bytes, size_t length) {
        for (size_t i = 0; i < length;) {
                unsigned char c = (unsigned char) bytes[i];
                size_t n = log_text_character(bytes + i, length - i);

                if (n == 0) {
                        log_text_string(text, "\xef\xbf\xbd");
                        n = 1;
                } else if (c < 0x20 || c == 0x7f) {
                        json_control(text, c);
                } else {
                        if (c == '"' || c == '\\')
                                log_text_bytes(text, "\\", 1);
                        log_text_bytes(text, bytes + i, n);
                }
                i += n;
        }
}

void log_text_printable(LogText *text, const char *bytes, size_t length) {
        for (size_t i = 0; i < length; i++) {
                unsigned char c = (unsigned char) bytes[i];

                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        log_text_format(text, "\\x%02x", (unsigned) c);
                else
                        log_text_bytes(text, bytes + i, 1);
        }
}

/* gmtime_r() reads the time zone's file and allocates. Days to a date as in the proleptic Gregorian calendar, in eras
 * of 400 years that begin in March, so that the leap day is a year's last. */
void log_text_time(LogText *text, int64_t seconds, unsigned microseconds) {
        int64_t days = seconds / 86400, rest = seconds % 86400, era, day, year;
        unsigned month;

        if (rest < 0) {
                rest += 86400;
                days--;
        }
        days += 719468; /* from 0000-03-01 to 1970-01-01 */
        era = (days >= 0 ? days : days - 146096) / 146097;
        day = days - era * 146097;
        year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
        day -= 365 * year + year / 4 - year / 100;
        month = (unsigned) ((5 * day + 2) / 153);
        day -= (153 * (int64_t) month + 2) / 5;
        year += era * 400 + (month >= 10);
        month = month < 10 ? month + 3 : month - 9;
        log_text_format(text, "%04lld-%02u-%02dT%02d:%02d:%02d.%06uZ", (long long) year, month, (int) day + 1,
                        (int) (rest / 3600), (int) (rest / 60 % 60), (int) (rest % 60), microseconds % 1000000);
}
