#include "log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "clock.h"
#include "log-text.h"

/* A record is composed whole in a static buffer, then given to the kernel without waiting. What a pipe did not take of
 * it waits in log_pending, and later lines behind it while there is room: a reader never sees half a line. No memory
 * is allocated here, and libc alone is needed: the keeper links this. */

#define MESSAGE_MAX  4096  /* bytes of one record's sentence; longer ones are cut */
#define OUTPUT_MAX   8192  /* bytes of one line of output; longer ones become several. JSON may need six for one */
#define COMPOSED_MAX 65536
#define PENDING_MAX  65536

typedef enum SinkKind {
        SINK_NONE,    /* stderr is closed */
        SINK_OWN,     /* our own, non-blocking file description of what stderr is */
        SINK_FILE,    /* a regular file: never blocks for a reader, and its offset is shared with other writers */
        SINK_SOCKET,  /* cannot be opened again; send(2) can be told not to wait */
        SINK_PATIENT, /* neither: ask poll(2), then write no more than a pipe takes at once */
} SinkKind;

static struct Log {
        LogTarget target;
        int max_level;
        const char *identifier;
        SinkKind sink;
        int sink_fd;
        int journal_fd;
        struct sockaddr_un journal_address;
        bool is_journal_stderr, has_colour;
        uint64_t n_dropped, n_lost; /* since the start; since the last record that got out */
        size_t pending_start, n_pending;
} log_state = {
        .target = LOG_TARGET_CONSOLE,
        .max_level = LOG_INFO,
        .identifier = "draind",
        .sink = SINK_NONE,
        .sink_fd = -EBADF,
        .journal_fd = -EBADF,
        .journal_address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket" },
};

/* Apart from the rest, which has values to begin with: so they are no part of the executables, and pages that no line
 * has reached cost nothing. */
static char log_pending[PENDING_MAX], log_composed[COMPOSED_MAX];

static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat st;

        if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
                return false;
        return fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

static void sink_open(void) {
        struct Log *l = &log_state;
        struct stat st;

        if (l->sink != SINK_NONE)
                return;
        if (fstat(STDERR_FILENO, &st) < 0)
                return;
        l->sink_fd = STDERR_FILENO;
        if (S_ISREG(st.st_mode)) {
                l->sink = SINK_FILE;
                return;
        }
        if (S_ISSOCK(st.st_mode)) {
                l->sink = SINK_SOCKET;
                return;
        }
        /* O_NONBLOCK belongs to the file description, which stderr shares with whoever started us: so we take one
         * of our own. Fails without /proc, and for a pipe that another user has opened. */
        l->sink_fd = open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        l->sink = l->sink_fd >= 0 ? SINK_OWN : SINK_PATIENT;
        if (l->sink == SINK_PATIENT)
                l->sink_fd = STDERR_FILENO;
}

static bool journal_open(void) {
        if (log_state.journal_fd < 0)
                log_state.journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        return log_state.journal_fd >= 0 && access(log_state.journal_address.sun_path, W_OK) == 0;
}

void log_open(LogTarget target, int max_level, const char *identifier) {
        struct Log *l = &log_state;
        const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
        int saved = errno;

        sink_open();
        l->identifier = identifier;
        l->max_level = max_level;
        l->is_journal_stderr = stderr_is_journal();
        l->has_colour = isatty(STDERR_FILENO) && (!no_colour || *no_colour == '\0') && term &&
                        strcmp(term, "dumb") != 0;
        if (target == LOG_TARGET_AUTO)
                target = l->is_journal_stderr ? LOG_TARGET_JOURNAL : LOG_TARGET_CONSOLE;
        if (target == LOG_TARGET_JOURNAL && !journal_open())
                target = LOG_TARGET_CONSOLE;
        l->target = target;
        errno = saved;
}

void log_set_journal_socket(const char *path) {
        (void) snprintf(log_state.journal_address.sun_path, sizeof(log_state.journal_address.sun_path), "%s", path);
}

void log_set_max_level(int level) {
        log_state.max_level = level;
}

bool log_wants(int level) {
        return LOG_PRI(level) <= log_state.max_level;
}

LogTarget log_target(void) {
        return log_state.target;
}

uint64_t log_dropped(void) {
        return log_state.n_dropped;
}

/* One write that does not wait. The number of bytes taken; 0 when there is no room, or never will be. */
static size_t sink_write(const char *bytes, size_t length) {
        struct pollfd ready = { .fd = log_state.sink_fd, .events = POLLOUT };
        ssize_t n = 0;

        switch (log_state.sink) {
        case SINK_NONE:
                return 0;
        case SINK_OWN:
        case SINK_FILE:
                n = write(log_state.sink_fd, bytes, length);
                break;
        case SINK_SOCKET:
                n = send(log_state.sink_fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        case SINK_PATIENT:
                if (poll(&ready, 1, 0) > 0 && (ready.revents & POLLOUT) != 0)
                        n = write(log_state.sink_fd, bytes, length < PIPE_BUF ? length : PIPE_BUF);
                break;
        }
        return n > 0 ? (size_t) n : 0;
}

void log_flush(void) {
        struct Log *l = &log_state;
        int saved = errno;

        while (l->n_pending > 0) {
                size_t n = sink_write(log_pending + l->pending_start, l->n_pending);

                if (n == 0)
                        break;
                l->pending_start += n;
                l->n_pending -= n;
        }
        if (l->n_pending == 0)
                l->pending_start = 0;
        errno = saved;
}

void log_finish(unsigned patience_msec) {
        const usec_t deadline = usec_add(clock_now_usec(), patience_msec * USEC_PER_MSEC);
        int saved = errno;

        for (size_t before = SIZE_MAX;;) {
                struct pollfd ready = { .fd = log_state.sink_fd, .events = POLLOUT };
                usec_t left = usec_left(deadline, clock_now_usec());

                log_flush();
                if (log_state.n_pending == 0 || log_state.n_pending == before || left == 0)
                        break; /* done, or ready and yet it takes nothing: a full disk */
                before = log_state.n_pending;
                if (poll(&ready, 1, usec_to_poll(left)) <= 0)
                        break;
        }
        errno = saved;
}

static bool pending_add(const char *bytes, size_t length) {
        struct Log *l = &log_state;

        if (length > PENDING_MAX - l->n_pending)
                return false;
        if (l->pending_start > 0)
                memmove(log_pending, log_pending + l->pending_start, l->n_pending);
        l->pending_start = 0;
        memcpy(log_pending + l->n_pending, bytes, length);
        l->n_pending += length;
        return true;
}

/* A whole line, or nothing of it. */
static bool sink_put(const char *line, size_t length) {
        log_flush();
        if (log_state.sink == SINK_NONE)
                return false;
        if (log_state.n_pending == 0)
                while (length > 0) {
                        size_t n = sink_write(line, length);

                        if (n == 0)
                                break;
                        line += n;
                        length -= n;
                }
        return length == 0 || pending_add(line, length); /* the rest of a line always fits into an empty queue */
}

typedef enum JournalOutcome { JOURNAL_SENT, JOURNAL_FULL, JOURNAL_UNREACHABLE } JournalOutcome;

static JournalOutcome journal_put(const char *datagram, size_t length) {
        const struct sockaddr_un *address = &log_state.journal_address;
        ssize_t n;

        n = sendto(log_state.journal_fd, datagram, length, MSG_DONTWAIT | MSG_NOSIGNAL,
                   (const struct sockaddr *) address, sizeof(*address));
        if (n >= 0)
                return JOURNAL_SENT;
        return errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE || errno == EINTR ? JOURNAL_FULL
                                                                                         : JOURNAL_UNREACHABLE;
}

static void text_journal_field(LogText *text, const char *name, const char *value, size_t length) {
        log_text_string(text, name);
        if (!memchr(value, '\n', length)) {
                log_text_bytes(text, "=", 1);
        } else { /* the binary form: a 64-bit little-endian length, then the bytes */
                log_text_bytes(text, "\n", 1);
                for (unsigned i = 0; i < 8; i++)
                        log_text_bytes(text, &(char) { (char) ((uint64_t) length >> (8 * i)) }, 1);
        }
        log_text_bytes(text, value, length);
        log_text_bytes(text, "\n", 1);
}

/* One record in any of the forms. service: whose output it is; NULL for our own. */
typedef struct LogRecord {
        int level;
        const LogField *fields;
        const char *file;
        int line;
        const char *service;
        const char *message;
        size_t length;
} LogRecord;

static void compose_journal(LogText *text, const LogRecord *record) {
        const char *identifier = record->service ? record->service : log_state.identifier;

        text_journal_field(text, "MESSAGE", record->message, record->length);
        log_text_format(text, "PRIORITY=%d\n", record->level);
        text_journal_field(text, "SYSLOG_IDENTIFIER", identifier, strlen(identifier));
        if (record->service)
                text_journal_field(text, "DRAIND_SERVICE", record->service, strlen(record->service));
        if (record->file)
                log_text_format(text, "CODE_FILE=%s\nCODE_LINE=%d\n", record->file, record->line);
        for (const LogField *field = record->fields; field && field->name; field++)
                if (field->value)
                        text_journal_field(text, field->name, field->value, strlen(field->value));
        if (log_state.n_lost > 0)
                log_text_format(text, "DRAIND_LOST=%llu\n", (unsigned long long) log_state.n_lost);
}

static void text_json_pair(LogText *text, const char *name, const char *value, size_t length) {
        log_text_string(text, ",\"");
        if (strncmp(name, "DRAIND_", 7) == 0)
                name += 7;
        for (; *name != '\0'; name++) /* DRAIND_SERVICE is "service", MESSAGE_ID is "message_id" */
                log_text_bytes(text, &(char) { *name >= 'A' && *name <= 'Z' ? (char) (*name + 32) : *name }, 1);
        log_text_string(text, "\":\"");
        log_text_json(text, value, length);
        log_text_string(text, "\"");
}

static void compose_json(LogText *text, const LogRecord *record) {
        static const char *const names[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };
        const char *identifier = record->service ? record->service : log_state.identifier;
        struct timespec now = { 0 };

        (void) clock_gettime(CLOCK_REALTIME, &now); /* for people to read; no deadline knows it */
        log_text_string(text, "{\"time\":\"");
        log_text_time(text, now.tv_sec, (unsigned) (now.tv_nsec / 1000));
        log_text_format(text, "\",\"level\":\"%s\"", names[record->level]);
        text_json_pair(text, "identifier", identifier, strlen(identifier));
        text_json_pair(text, "message", record->message, record->length);
        if (record->service)
                text_json_pair(text, "service", record->service, strlen(record->service));
        for (const LogField *field = record->fields; field && field->name; field++)
                if (field->value)
                        text_json_pair(text, field->name, field->value, strlen(field->value));
        if (log_state.n_lost > 0)
                log_text_format(text, ",\"lost\":%llu", (unsigned long long) log_state.n_lost);
        log_text_string(text, "}\n");
}

/* What a line for people begins with. */
static void text_console_head(LogText *text, int level, const char *service) {
        const bool colour = log_state.has_colour;
        const char *shade = level <= LOG_ERR ? "\033[1;31m" : level == LOG_WARNING ? "\033[1;33m" : "";

        if (log_state.is_journal_stderr)
                log_text_format(text, "<%d>", level); /* journald takes it off again */
        if (service) {
                log_text_format(text, colour ? "\033[36m%s |\033[0m " : "%s | ", service);
                return;
        }
        log_text_format(text, colour ? "\033[2m%s:\033[0m " : "%s: ", log_state.identifier);
        if (level <= LOG_WARNING)
                log_text_format(text, "%s%s:%s ", colour ? shade : "", level == LOG_WARNING ? "warning" : "error",
                                colour ? "\033[0m" : "");
}

static void compose_console(LogText *text, const LogRecord *record) {
        if (log_state.n_lost > 0) {
                text_console_head(text, LOG_WARNING, NULL);
                log_text_format(text, "%llu %s lost here: the reader of this log was too slow.\n",
                                (unsigned long long) log_state.n_lost,
                                log_state.n_lost == 1 ? "line was" : "lines were");
        }
        text_console_head(text, record->level, record->service);
        if (record->service)
                log_text_bytes(text, record->message, record->length); /* a service's bytes are its own business */
        else
                log_text_printable(text, record->message, record->length);
        log_text_bytes(text, "\n", 1);
}

static void record_write(const LogRecord *record) {
        struct Log *l = &log_state;
        LogText text = { .bytes = log_composed, .size = sizeof(log_composed) };
        bool is_out = false;

        if (l->target == LOG_TARGET_JOURNAL) {
                JournalOutcome outcome;

                compose_journal(&text, record);
                outcome = text.is_cut ? JOURNAL_FULL : journal_put(text.bytes, text.length);
                is_out = outcome == JOURNAL_SENT;
                if (outcome == JOURNAL_UNREACHABLE) { /* journald is gone for now: stderr may still lead somewhere */
                        text = (LogText) { .bytes = log_composed, .size = sizeof(log_composed) };
                        compose_console(&text, record);
                        is_out = !text.is_cut && sink_put(text.bytes, text.length);
                }
        } else {
                if (l->target == LOG_TARGET_JSON)
                        compose_json(&text, record);
                else
                        compose_console(&text, record);
                is_out = !text.is_cut && sink_put(text.bytes, text.length);
        }
        if (is_out) {
                l->n_lost = 0;
        } else {
                l->n_lost++;
                l->n_dropped++;
        }
}

void log_record(int level, const LogField *fields, const char *file, int line, const char *format, ...) {
        char message[MESSAGE_MAX];
        int saved = errno;
        size_t length;
        va_list arguments;
        int n;

        if (!log_wants(level))
                return;
        va_start(arguments, format);
        n = vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        length = n < 0 ? 0 : (size_t) n;
        if (length >= sizeof(message)) { /* cut where a character begins, and say so */
                length = log_text_cut(message, sizeof(message) - 4);
                memcpy(message + length, "…", 3);
                length += 3;
        }
        while (file && strncmp(file, "../", 3) == 0)
                file += 3; /* the way from the build directory */
        record_write(&(LogRecord) { LOG_PRI(level), fields, file, line, NULL, message, length });
        errno = saved;
}

void log_output(const char *service, const char *text, size_t length) {
        int saved = errno;

        if (length > 0 && text[length - 1] == '\n')
                length--;
        do {
                size_t n = length <= OUTPUT_MAX ? length : log_text_cut(text, OUTPUT_MAX);

                record_write(&(LogRecord) { .level = LOG_INFO, .service = service, .message = text, .length = n });
                text += n;
                length -= n;
        } while (length > 0);
        errno = saved;
}
