#pragma once

/* What services write to stdout and stderr: one pipe a service, cut into lines that are safe to print, logged, kept for
 * a while, and handed to watchers. Only the read end is kept (the next core gets it from the keeper's store, so no
 * service ever sees EPIPE); write ends are made for a spawn. A service is slowed down when it writes faster than we
 * read, and nobody else is. Knows no states. */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/base.h"
#include "loop.h"
#include "watchers.h"

#define OUTPUT_NAME_MAX     63u           /* bytes of a service's name */
#define OUTPUT_LINE_MAX     2048u         /* bytes of a line; what is longer goes on in the next one */
#define OUTPUT_WAKEUP_MAX   65536u        /* bytes of one service in one wake-up */
#define OUTPUT_LINES_WAKEUP 128u          /* lines of all services in one wake-up, after which the loop looks round */
#define OUTPUT_LINES_FLUSH  1024u         /* lines that output_flush() reads */
#define OUTPUT_RECENT_MAX   (256u * 1024u) /* bytes of recent lines, of all services together */

typedef struct Outputs Outputs;
typedef struct OutputPipe OutputPipe;
typedef struct OutputWatcher OutputWatcher;

typedef struct OutputLine {
        uint64_t sequence;   /* 1, 2, 3 … over all services */
        usec_t time;         /* CLOCK_BOOTTIME, when it was read */
        const char *service;
        const char *text;    /* escaped, without the newline; ends with NUL */
        size_t length;
        bool is_continued;   /* the line was cut here: the next one of this service goes on with it */
} OutputLine;

/* line is borrowed for the call. */
typedef void (*OutputOnLine)(const OutputLine *line, void *userdata);

/* Embedded in its owner; zeroed apart from these two. */
struct OutputWatcher {
        OutputOnLine on_line;
        void *userdata;
        Watcher watcher;
};

/* loop is borrowed. Costs nothing to speak of until the first line comes. */
must_check int outputs_new(Outputs **ret, Loop *loop);
/* All its pipes are closed already. Returns NULL. */
Outputs *outputs_free(Outputs *outputs);
static inline void outputs_freep(Outputs **outputs) {
        *outputs = outputs_free(*outputs);
}
/* May close pipes and remove watchers from within. */
void outputs_watch(Outputs *outputs, OutputWatcher *watcher);
void outputs_unwatch(OutputWatcher *watcher);

/* name: of the service, copied. inherited_fd: consumed, on failure too; a read end from the store, or -EBADF for a new
 * pipe. The service may open it again for writing (/dev/stderr), whatever user it has or changes to. 0 or -errno. */
must_check int output_open(OutputPipe **ret, Outputs *outputs, const char *name, int inherited_fd);
/* First output_flush(). Returns NULL. */
OutputPipe *output_close(OutputPipe *pipe);
static inline void output_closep(OutputPipe **pipe) {
        *pipe = output_close(*pipe);
}
/* The read end, borrowed: for the store. */
int output_fd(const OutputPipe *pipe);
/* A write end for a spawn: the caller's, blocking, CLOEXEC. Returns the fd or -errno. */
must_check int output_writer(OutputPipe *pipe);
/* The service has stopped: reads what it has left behind, the last line too when it has no end. Bounded. */
void output_flush(OutputPipe *pipe);

/* The newest n lines that are still kept, the oldest of them first; service: NULL is all. Returns how many. */
unsigned outputs_recent(const Outputs *outputs, const char *service, unsigned n, OutputOnLine on_line, void *userdata);
/* Lines ever read, and bytes that had to be dropped for want of memory. */
uint64_t outputs_n_lines(const Outputs *outputs);
uint64_t outputs_n_dropped(const Outputs *outputs);
