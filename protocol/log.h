#pragma once

/* One record per fact, to the journal, or to stderr as text or JSON lines.
 * Never blocks: what does not fit is dropped and counted, and the next record that fits carries
 * the count in DRAIND_LOST. Knows nothing of services. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h> /* LOG_ERR … LOG_DEBUG, by value */

#include "base.h"

typedef struct LogField {
        const char *name;  /* upper case, as journald wants it; the list ends with NULL */
        const char *value; /* NULL: the field is left out */
} LogField;

typedef enum LogTarget {
        LOG_TARGET_AUTO, /* journal when stderr is connected to it, else console */
        LOG_TARGET_JOURNAL,
        LOG_TARGET_CONSOLE,
        LOG_TARGET_JSON,
        LOG_TARGET_MAX,
} LogTarget;

/* identifier: borrowed for ever ("draind"). May be called again when the configuration is known.
 * Where the target cannot be had, the console is taken. The caller ignores SIGPIPE: a pipe may lose its reader.
 *
 * Console: "draind: text", "draind: warning: text", "draind: error: text", and "NAME | text" for a service's output.
 * JSON: {"time":…, "level":…, "identifier":…, "message":…, "service":…}, and each further field with its name in
 * lower case, without DRAIND_ in front. */
void log_open(LogTarget target, int max_level, const char *identifier);
void log_set_max_level(int level);
/* Where journald listens, when it is not the usual place. Before log_open(). */
void log_set_journal_socket(const char *path);
bool log_wants(int level);
/* The target in force after LOG_TARGET_AUTO was decided. */
LogTarget log_target(void);
/* Records dropped since the start. */
uint64_t log_dropped(void);
/* Tries again what a full pipe has left over; called when the loop is idle. */
void log_flush(void);
/* The last words: the same, but waits for the reader, at most this long. For the end of a process only, when there is
 * nothing left that could be late. */
void log_finish(unsigned patience_msec);

void log_record(int level, const LogField *fields, const char *file, int line, const char *format, ...)
        printf_like(5, 6);

/* One line of a service's own output, its name in front (console), or as a record with SYSLOG_IDENTIFIER
 * and DRAIND_SERVICE (journal, JSON). text need not end with NUL and is written as it is. */
void log_output(const char *service, const char *text, size_t length);

#define log_message(level, ...) log_record(level, NULL, __FILE__, __LINE__, __VA_ARGS__)
#define log_id(level, id, ...) \
        log_record(level, (const LogField[]) { { "MESSAGE_ID", id }, { NULL, NULL } }, __FILE__, __LINE__, __VA_ARGS__)
