#include "output.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../protocol/fds.h"
#include "../../protocol/log.h"
#include "../../protocol/poller.h"
#include "output-recent.h"
#include "text.h"

/* A pipe without a writer is ready for ever (EPOLLHUP), so it is watched from the first output_writer() until its end
 * was read. A pipe that has had its turn while others found the wake-up's lines used up does not get another before
 * them. */

struct Outputs {
        Loop *loop;     /* borrowed */
        Poller *poller; /* owned */
        OutputRecent *recent; /* owned; NULL until the first line */
        Watchers watchers;
        uint64_t n_lines, n_dropped;
        uint64_t iteration;     /* of the loop, that n_lines_wakeup counts */
        unsigned n_lines_wakeup;
        unsigned n_passed_over; /* pipes with is_passed_over */
};

struct OutputPipe {
        PollerEntry entry;
        Outputs *outputs; /* borrowed */
        int fd;           /* owned; the read end */
        bool is_watched, is_passed_over;
        bool is_closed;       /* by its owner; freed when nobody works on it any more */
        unsigned n_at_work;   /* calls that are going on: a watcher may flush or close this pipe */
        char *pending;        /* owned; OUTPUT_LINE_MAX bytes, NULL when nothing is pending */
        size_t start, length; /* of what is pending and not yet a line */
        char name[OUTPUT_NAME_MAX + 1];
};

/* --- all of them --- */

int outputs_new(Outputs **ret, Loop *loop) {
        cleanup(outputs_freep) Outputs *outputs = malloc(sizeof(*outputs));
        int r;

        if (!outputs)
                return -ENOMEM;
        *outputs = (Outputs) { .loop = loop };
        r = poller_new(&outputs->poller, loop_event(loop), LOOP_PRIORITY_OUTPUT, "output");
        if (r < 0)
                return r;
        *ret = take(outputs);
        return 0;
}

Outputs *outputs_free(Outputs *outputs) {
        if (!outputs)
                return NULL;
        poller_free(outputs->poller);
        output_recent_free(outputs->recent);
        free(outputs);
        return NULL;
}

void outputs_watch(Outputs *outputs, OutputWatcher *watcher) {
        watchers_add(&outputs->watchers, &watcher->watcher);
}

void outputs_unwatch(OutputWatcher *watcher) {
        watchers_remove(&watcher->watcher);
}

unsigned outputs_recent(const Outputs *outputs, const char *service, unsigned n, OutputOnLine on_line, void *userdata) {
        return outputs->recent ? output_recent_list(outputs->recent, service, n, on_line, userdata) : 0;
}

uint64_t outputs_n_lines(const Outputs *outputs) {
        return outputs->n_lines;
}

uint64_t outputs_n_dropped(const Outputs *outputs) {
        return outputs->n_dropped;
}

static void outputs_emit(Outputs *outputs, const OutputLine *line) {
        WatchersWalk walk;

        log_output(line->service, line->text, line->length);
        if (!outputs->recent)
                outputs->recent = output_recent_new(); /* without memory it is not kept; the next line tries again */
        if (outputs->recent)
                output_recent_add(outputs->recent, line);
        for (Watcher *w = watchers_begin(&walk, &outputs->watchers); w; w = watchers_next(&walk)) {
                OutputWatcher *watcher = container_of(w, OutputWatcher, watcher);

                watcher->on_line(line, watcher->userdata);
        }
}

#define PATH_OF_FD_MAX sizeof("/proc/self/fd/-2147483648")

/* --- lines --- */

static void output_stop_watching(OutputPipe *pipe) {
        poller_remove(&pipe->entry);
        pipe->is_watched = false;
}

static void output_tidy(OutputPipe *pipe) {
        if (pipe->length == 0) {
                free(pipe->pending);
                pipe->pending = NULL;
        } else if (pipe->start > 0) {
                memmove(pipe->pending, pipe->pending + pipe->start, pipe->length);
        }
        pipe->start = 0;
}

static void output_enter(OutputPipe *pipe) {
        pipe->n_at_work++;
}

static void output_leave(OutputPipe *pipe) {
        output_tidy(pipe);
        if (--pipe->n_at_work > 0 || !pipe->is_closed)
                return;
        output_stop_watching(pipe);
        pipe->outputs->n_passed_over -= pipe->is_passed_over;
        fd_close(pipe->fd);
        free(pipe->pending);
        free(pipe);
}

/* The first skip bytes are taken from what is pending before anybody is told of them: whoever flushes this pipe from
 * within goes on behind them. */
static void output_take_line(OutputPipe *pipe, size_t length, size_t skip, bool is_continued) {
        char text[OUTPUT_LINE_MAX * TEXT_ESCAPE_GROWTH + 1];
        const char *raw = pipe->pending + pipe->start;
        Outputs *outputs = pipe->outputs;

        if (!is_continued && length > 0 && raw[length - 1] == '\r')
                length--; /* of a program that believes in terminals */
        length = text_escape(text, sizeof(text), raw, length);
        pipe->start += skip;
        pipe->length -= skip;
        outputs->n_lines_wakeup++;
        outputs_emit(outputs, &(OutputLine) {
                        .sequence = ++outputs->n_lines,
                        .time = loop_now(outputs->loop),
                        .service = pipe->name,
                        .text = text,
                        .length = length,
                        .is_continued = is_continued,
                });
}

/* Every whole line that is pending, and what is too long for one. */
static void output_take_lines(OutputPipe *pipe) {
        while (pipe->length > 0) {
                const char *raw = pipe->pending + pipe->start, *end = memchr(raw, '\n', pipe->length);

                if (end) {
                        output_take_line(pipe, (size_t) (end - raw), (size_t) (end - raw) + 1, false);
                } else if (pipe->length == OUTPUT_LINE_MAX) {
                        size_t cut = text_cut(raw, OUTPUT_LINE_MAX, OUTPUT_LINE_MAX - 1);

                        output_take_line(pipe, cut, cut, true);
                } else {
                        return;
                }
        }
}

static void output_take_rest(OutputPipe *pipe) {
        output_take_lines(pipe);
        if (pipe->length > 0)
                output_take_line(pipe, pipe->length, pipe->length, false);
}

/* --- reading --- */

/* Better to lose a piece than to let the service wait for memory that is ours to find. */
static ssize_t output_drop_piece(OutputPipe *pipe) {
        char piece[OUTPUT_LINE_MAX];
        ssize_t n = read(pipe->fd, piece, sizeof(piece));

        if (n < 0)
                return -errno;
        pipe->outputs->n_dropped += (uint64_t) n;
        return n;
}

/* The bytes read, 0 at the end (no writer is left), or -errno. */
static ssize_t output_read_piece(OutputPipe *pipe) {
        ssize_t n;

        output_tidy(pipe);
        if (!pipe->pending)
                pipe->pending = malloc(OUTPUT_LINE_MAX);
        if (!pipe->pending)
                return output_drop_piece(pipe);
        n = read(pipe->fd, pipe->pending + pipe->length, OUTPUT_LINE_MAX - pipe->length);
        if (n < 0)
                return -errno;
        pipe->length += (size_t) n;
        output_take_lines(pipe);
        return n;
}

/* Until nothing is there, or enough was read for now; what is left behind keeps the pipe ready. */
static void output_read(OutputPipe *pipe, unsigned n_lines_max) {
        uint64_t first = pipe->outputs->n_lines;
        size_t n_bytes = 0;
        ssize_t n;

        pipe->outputs->n_passed_over -= pipe->is_passed_over;
        pipe->is_passed_over = false;
        do {
                n = output_read_piece(pipe);
                n_bytes += n > 0 ? (size_t) n : 0;
        } while (n > 0 && n_bytes < OUTPUT_WAKEUP_MAX && pipe->outputs->n_lines - first < n_lines_max);
        if (n == 0)
                output_take_rest(pipe);
        if (n == 0 || (n < 0 && n != -EAGAIN && n != -EINTR))
                output_stop_watching(pipe);
}

/* How many lines the pipe may have in this wake-up. */
static unsigned output_turn(OutputPipe *pipe) {
        Outputs *outputs = pipe->outputs;
        uint64_t iteration = 0;

        (void) sd_event_get_iteration(loop_event(outputs->loop), &iteration); /* cannot fail while the loop runs */
        if (iteration != outputs->iteration)
                outputs->n_lines_wakeup = 0;
        outputs->iteration = iteration;
        if (outputs->n_lines_wakeup >= OUTPUT_LINES_WAKEUP) {
                outputs->n_passed_over += !pipe->is_passed_over;
                pipe->is_passed_over = true;
                return 0;
        }
        if (outputs->n_passed_over > 0 && !pipe->is_passed_over)
                return 0;
        return OUTPUT_LINES_WAKEUP - outputs->n_lines_wakeup;
}

static void output_on_ready(PollerEntry *entry, uint32_t events) {
        OutputPipe *pipe = container_of(entry, OutputPipe, entry);
        unsigned n_lines_max = output_turn(pipe);

        if (n_lines_max == 0)
                return;
        output_enter(pipe);
        output_read(pipe, n_lines_max);
        output_leave(pipe);
}

/* --- one pipe --- */

static int output_watch(OutputPipe *pipe) {
        int r;

        if (pipe->is_watched)
                return 0;
        r = poller_add(pipe->outputs->poller, &pipe->entry, pipe->fd, EPOLLIN, output_on_ready);
        pipe->is_watched = r >= 0;
        return r;
}

static int output_make(OutputPipe *pipe) {
        char path[PATH_OF_FD_MAX];
        int fds[2], both;

        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        pipe->fd = fds[0];
        fd_close(fds[1]);
        /* An fd that is a writer as well keeps the pipe from ever hanging up: thousands of services that end together
         * would each wake us for nothing, amid the signals of the others. Without /proc they do. */
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe->fd);
        both = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        if (both >= 0) {
                fd_close(pipe->fd);
                pipe->fd = both;
        }
        /* To open /dev/stderr is to open the pipe's inode. Who may write is no question of its mode: nobody gets at it
         * but through a process that has it open. So no chown() is needed, which containers often forbid. */
        return fchmod(pipe->fd, 0622) < 0 ? -errno : 0;
}

static int output_inherit(OutputPipe *pipe, int fd) {
        int r;

        pipe->fd = fd;
        r = fd_set_nonblock(fd);
        if (r < 0)
                return r;
        r = fd_set_cloexec(fd, true);
        if (r < 0)
                return r;
        return output_watch(pipe);
}

int output_open(OutputPipe **ret, Outputs *outputs, const char *name, int inherited_fd) {
        cleanup(fd_closep) int inherited = inherited_fd;
        cleanup(output_closep) OutputPipe *pipe = malloc(sizeof(*pipe));
        int r;

        if (!pipe)
                return -ENOMEM;
        *pipe = (OutputPipe) { .outputs = outputs, .fd = -EBADF };
        if ((size_t) snprintf(pipe->name, sizeof(pipe->name), "%s", name) >= sizeof(pipe->name))
                return -ENAMETOOLONG;
        r = inherited >= 0 ? output_inherit(pipe, take_fd(inherited)) : output_make(pipe);
        if (r < 0)
                return r;
        *ret = take(pipe);
        return 0;
}

OutputPipe *output_close(OutputPipe *pipe) {
        if (!pipe || pipe->is_closed)
                return NULL;
        pipe->is_closed = true;
        output_enter(pipe);
        if (pipe->fd >= 0)
                output_flush(pipe);
        output_leave(pipe);
        return NULL;
}

int output_fd(const OutputPipe *pipe) {
        return pipe->fd;
}

int output_writer(OutputPipe *pipe) {
        cleanup(fd_closep) int fd = -EBADF;
        char path[PATH_OF_FD_MAX];
        int r;

        /* A file description of its own: blocking, as programs expect it, and it does not wait, having a reader: us. */
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", pipe->fd);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = output_watch(pipe);
        if (r < 0)
                return r;
        return take_fd(fd);
}

void output_flush(OutputPipe *pipe) {
        output_enter(pipe);
        output_take_lines(pipe); /* from within a line of this pipe: those behind it come first */
        output_read(pipe, OUTPUT_LINES_FLUSH);
        /* More than that: the loop brings it, and the end of the pipe brings the last line. */
        output_take_rest(pipe);
        output_leave(pipe);
}
