#pragma once

/* The text of log records: a buffer that is never overrun, JSON strings, printable text, dates. Needs libc alone,
 * allocates nothing, knows no time zones. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

/* The buffer is borrowed. What does not fit is left out and remembered. */
typedef struct LogText {
        char *bytes;
        size_t size, length;
        bool is_cut;
} LogText;

void log_text_bytes(LogText *text, const char *bytes, size_t length);
void log_text_string(LogText *text, const char *string);
void log_text_format(LogText *text, const char *format, ...) printf_like(2, 3);
/* The inside of a JSON string: escaped, and U+FFFD for what is no UTF-8. */
void log_text_json(LogText *text, const char *bytes, size_t length);
/* One line for a terminal: control characters become \xNN, all others stay. */
void log_text_printable(LogText *text, const char *bytes, size_t length);
/* RFC 3339 in UTC with microseconds: "2026-01-31T23:59:59.000001Z". */
void log_text_time(LogText *text, int64_t seconds, unsigned microseconds);

/* Bytes of the UTF-8 character at the beginning; 0 when there is none (overlong, surrogate, cut short …). */
size_t log_text_character(const char *bytes, size_t length);
/* The longest length up to max that does not end within a character. bytes holds max + 1 at least. */
size_t log_text_cut(const char *bytes, size_t max);
