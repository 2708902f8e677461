/* A core for the keeper's tests: does what one line on stdin says, tells on stdout what it sees. It lies
 * as "draind-core" beside a copy of draind. Its first argument may name what to do at once. */

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/clock.h"
#include "../../protocol/fds.h"
#include "../../protocol/ring.h"

#define TABLE_MAX (1u << 18)

/* What must outlive this process: every child it ever started, every exit it ever read. */
typedef struct Table {
        uint32_t n_started;
        int32_t pids[TABLE_MAX];
        struct {
                int32_t pid, status;
        } exits[TABLE_MAX]; /* by position in the ring */
} Table;

static Ring *ring;
static Table *table;
static int event_fd, room_fd;
static unsigned n_fds;
static char names[128 * 1024];
static char *fd_names[32768];
static bool is_deaf, is_quiet, is_churning;
static unsigned n_counted;

static void fail(const char *what) {
        dprintf(2, "fake core: %s: %s\n", what, strerror(errno));
        _exit(1);
}

static int fd_by_name(const char *name) {
        for (unsigned i = 0; i < n_fds; i++)
                if (strcmp(fd_names[i], name) == 0)
                        return FDS_FIRST + (int) i;
        return -1;
}

static void take_over(void) {
        char *position;

        if (!getenv("LISTEN_PID") || atoi(getenv("LISTEN_PID")) != getpid())
                fail("LISTEN_PID");
        (void) snprintf(names, sizeof(names), "%s", getenv("LISTEN_FDNAMES"));
        for (char *name = strtok_r(names, ":", &position); name; name = strtok_r(NULL, ":", &position))
                fd_names[n_fds++] = name;
        if (n_fds != (unsigned) atoi(getenv("LISTEN_FDS")))
                fail("LISTEN_FDS and its names differ");
        event_fd = fd_by_name(RING_EVENT_FDNAME);
        room_fd = fd_by_name(RING_ROOM_FDNAME);
        ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd_by_name(RING_FDNAME), 0);
        if (ring == MAP_FAILED || !ring_is_valid(ring, ring_size_bytes()))
                fail("ring");
}

static void store(const char *name, int fd) {
        char text[256];
        int r;

        (void) snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
        while ((r = notify_send(getenv("NOTIFY_SOCKET"), text, &fd, 1)) == -EAGAIN)
                (void) sched_yield(); /* the real one may wait here as well: the keeper always reads */
        if (r < 0) {
                errno = -r;
                fail("FDSTORE");
        }
        (void) close(fd);
}

static void barrier(void) {
        int ends[2];
        char byte;

        if (pipe2(ends, O_CLOEXEC) < 0)
                fail("pipe");
        while (notify_send(getenv("NOTIFY_SOCKET"), "BARRIER=1", &ends[1], 1) == -EAGAIN)
                (void) sched_yield();
        (void) close(ends[1]);
        (void) !read(ends[0], &byte, 1); /* ends when the keeper has closed its copy */
        (void) close(ends[0]);
}

static void open_table(void) {
        int fd = fd_by_name("table");

        if (fd < 0) {
                fd = memfd_make("table", sizeof(Table));
                table = mmap(NULL, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                store("table", fd);
                barrier();
                return;
        }
        table = mmap(NULL, sizeof(Table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

/* A child of the keeper from birth; its pid is in *ret_pid before its first instruction. On a busy machine
 * the limit of processes may be reached for a moment. */
static pid_t clone_sibling(int32_t *ret_pid) {
        pid_t pid;

        while ((pid = (pid_t) syscall(SYS_clone, CLONE_PARENT | CLONE_PARENT_SETTID | SIGCHLD, NULL, ret_pid, NULL, 0)) < 0)
                (void) sched_yield();
        return pid;
}

static void start_children(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                unsigned slot = table->n_started;

                if (slot == TABLE_MAX)
                        return;
                table->n_started = slot + 1; /* intended; a pid says that it was born */
                if (clone_sibling(&table->pids[slot]) == 0)
                        _exit((int) (slot % 251));
        }
}

static void start_stubborn(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                int32_t pid;

                if (clone_sibling(&pid) == 0) {
                        (void) signal(SIGTERM, SIG_IGN);
                        (void) setsid();
                        if (fork() == 0)
                                (void) signal(SIGTERM, SIG_IGN);
                        for (;;)
                                (void) pause();
                }
                dprintf(1, "child %d\n", pid);
        }
}

/* n processes whose parent ends before they do. */
static void start_orphans(unsigned n) {
        int32_t pid;

        if (clone_sibling(&pid) == 0) {
                for (unsigned i = 0; i < n; i++) {
                        pid_t orphan;

                        while ((orphan = fork()) < 0)
                                (void) sched_yield();
                        if (orphan == 0)
                                _exit(0);
                }
                _exit(0);
        }
}

static void read_ring(void) {
        const RingRecord *next;
        bool was_starved = false;
        RingRecord record;

        while ((next = ring_peek(ring, 0))) {
                if (next->kind == RING_SIGNAL) {
                        dprintf(1, "signal %d %d %u %d\n", next->status, next->pid, next->uid, next->code);
                } else if (table) {
                        /* By its position, so that one that is read twice is recorded once. */
                        uint64_t position = ring->tail;

                        if (position < TABLE_MAX)
                                table->exits[position].pid = next->pid, table->exits[position].status = next->status;
                }
                n_counted += next->kind == RING_EXIT;
                if (next->kind == RING_EXIT && !is_quiet && !is_churning)
                        dprintf(1, "exit %d %d %d\n", next->pid, next->code, next->status);
                if (ring_take(ring, &record, &was_starved) && was_starved)
                        eventfd_signal(room_fd);
        }
        ring->pong = ring->ping;
}

/* Every child that was born has exactly one exit, in order and with its own status. A pid may be used again. */
static void verify(void) {
        static uint32_t next_of[1u << 22];
        unsigned n_born = 0, n_exits = 0, n_wrong = 0;

        memset(next_of, 0, sizeof(next_of));
        for (unsigned slot = 0; slot < table->n_started; slot++) {
                int32_t pid = table->pids[slot];
                uint32_t at;

                if (pid == 0)
                        continue;
                n_born++;
                for (at = next_of[pid]; at < TABLE_MAX && table->exits[at].pid != pid; at++)
                        ;
                if (at == TABLE_MAX || table->exits[at].status != (int32_t) (slot % 251))
                        n_wrong++;
                next_of[pid] = at + 1;
        }
        for (unsigned i = 0; i < TABLE_MAX; i++)
                n_exits += table->exits[i].pid != 0;
        dprintf(1, "verified %u %u %u\n", n_born, n_exits, n_wrong);
}

static void store_many(unsigned n, bool check) {
        unsigned n_wrong = 0;

        for (unsigned i = 0; i < n; i++) {
                char name[16];
                uint64_t value = 0;

                (void) snprintf(name, sizeof(name), "o%u", i);
                if (!check)
                        store(name, eventfd(i + 1, EFD_CLOEXEC | EFD_NONBLOCK));
                else if (strcmp(fd_names[i + 3], name) != 0 || read(FDS_FIRST + 3 + (int) i, &value, 8) != 8 ||
                         value != i + 1 || write(FDS_FIRST + 3 + (int) i, &value, 8) != 8)
                        n_wrong++;
        }
        barrier();
        dprintf(1, "%s %u %u\n", check ? "checked" : "stored", n, n_wrong);
}

/* Whatever a keeper must not be hurt by. */
static void send_garbage(void) {
        static char large[65536];
        const char *socket = getenv("NOTIFY_SOCKET");
        int fds[NOTIFY_FDS_MAX];

        memset(large, 'x', sizeof(large) - 1);
        for (unsigned i = 0; i < NOTIFY_FDS_MAX; i++)
                fds[i] = 0;
        (void) !notify_send(socket, "", NULL, 0);
        (void) !notify_send(socket, large, NULL, 0);
        (void) !notify_send(socket, "FDSTORE=1\nFDNAME=many", fds, NOTIFY_FDS_MAX);
        (void) !notify_send(socket, "FDSTORE=1\nFDNAME=ring", fds, 1);
        (void) !notify_send(socket, "FDSTORE=1\nFDNAME=a:b", fds, 1);
        (void) !notify_send(socket, "FDSTORE=1\nFDNAME=sixteen-letters-", fds, 1);
        (void) !notify_send(socket, "FDSTORE=1\nFDNAME=none", NULL, 0);
        (void) !notify_send(socket, "=\n\n===\nFDSTORE", fds, 2);
        barrier();
        dprintf(1, "done\n");
}

static void store_text(const char *name, const char *text) {
        int fd = memfd_make(name, strlen(text));

        (void) !write(fd, text, strlen(text));
        store(name, fd);
        barrier();
        dprintf(1, "done\n");
}

static void list_fds(void) {
        for (unsigned i = 0; i < n_fds; i++) {
                char text[32];
                ssize_t n = i < 3 ? 0 : pread(FDS_FIRST + (int) i, text, sizeof(text) - 1, 0);

                text[n > 0 ? n : 0] = '\0';
                dprintf(1, "fd %s %s\n", fd_names[i], text);
        }
        dprintf(1, "done\n");
}

static void look_around(void) {
        sigset_t mask;
        int death = 0, blocked = 0;

        (void) sigprocmask(SIG_SETMASK, NULL, &mask);
        for (int i = 1; i < 32; i++)
                blocked += sigismember(&mask, i) == 1;
        (void) prctl(PR_GET_PDEATHSIG, &death);
        dprintf(1, "self blocked=%d death=%d group=%d watchdog=%d past=%d\n", blocked, death, getpgrp() == getpid(),
                getenv("WATCHDOG_USEC") != NULL, fcntl(FDS_FIRST + (int) n_fds, F_GETFD));
}

static void end(int status) {
        ring->exit_status = status;
        __atomic_store_n(&ring->finished, 1, __ATOMIC_RELEASE);
        _exit(0);
}

static void do_store(unsigned n, const char *first, const char *rest) {
        store_text(first, rest);
}

static void do_notify(unsigned n, const char *first, const char *rest) {
        char text[512];

        (void) snprintf(text, sizeof(text), "%s", first);
        for (char *c = text; *c; c++)
                *c = *c == ';' ? '\n' : *c;
        (void) !notify_send(getenv("NOTIFY_SOCKET"), text, NULL, 0);
        barrier();
        dprintf(1, "done\n");
}

static void do_spawn(unsigned n, const char *first, const char *rest) {
        open_table();
        start_children(n);
        dprintf(1, "done\n");
}

/* Milliseconds from now; the grace period in milliseconds. */
static void do_draining(unsigned n, const char *first, const char *rest) {
        ring->deadline_usec = usec_add(clock_now_usec(), n * USEC_PER_MSEC);
        ring->grace_usec = strtoul(rest, NULL, 10) * USEC_PER_MSEC;
        __atomic_store_n(&ring->is_draining, 1, __ATOMIC_RELEASE);
        eventfd_signal(room_fd); /* wakes the keeper, which reads those words */
        dprintf(1, "done\n");
}

#define VERB(name, ...)                                                                                              \
        static void do_##name(unsigned n, const char *first, const char *rest) {                                     \
                __VA_ARGS__;                                                                                         \
        }
VERB(fds, list_fds())
VERB(self, look_around())
VERB(many, store_many(n, false))
VERB(check, store_many(n, true))
VERB(garbage, send_garbage())
VERB(stubborn, start_stubborn(n))
VERB(orphans, start_orphans(n))
VERB(verify, open_table(); verify())
VERB(churn, is_churning = n != 0)
VERB(deaf, is_deaf = n != 0)
VERB(quiet, is_quiet = true)
VERB(count, dprintf(1, "count %u\n", n_counted))
VERB(grace, ring->grace_usec = n * USEC_PER_MSEC)
VERB(crash, (void) raise(SIGKILL))
VERB(quit, _exit((int) n))
VERB(end, end((int) n))

static const struct {
        const char *name;
        void (*act)(unsigned n, const char *first, const char *rest);
} verbs[] = {
        { "store", do_store },       { "notify", do_notify },     { "spawn", do_spawn },   { "draining", do_draining },
        { "fds", do_fds },           { "self", do_self },         { "many", do_many },     { "check", do_check },
        { "garbage", do_garbage },   { "stubborn", do_stubborn }, { "orphans", do_orphans }, { "verify", do_verify },
        { "churn", do_churn },       { "deaf", do_deaf },         { "quiet", do_quiet },   { "count", do_count },
        { "grace", do_grace },       { "crash", do_crash },       { "quit", do_quit },     { "end", do_end },
};

static void obey(char *line) {
        char *position, *verb = strtok_r(line, " ", &position);
        const char *first = strtok_r(NULL, " ", &position), *rest = position && *position ? position : "";

        for (size_t i = 0; verb && i < n_elements(verbs); i++) {
                if (strcmp(verb, verbs[i].name) == 0) {
                        verbs[i].act(first ? (unsigned) strtoul(first, NULL, 10) : 0, first, rest);
                        return;
                }
        }
        fail("no such verb");
}

/* One byte at a time: what follows the line is for the next core. False at the end of the input. */
static bool read_line(char *line, size_t size) {
        size_t n = 0;
        char c;

        while (n + 1 < size) {
                if (read(0, &c, 1) != 1)
                        return false;
                if (c == '\n')
                        break;
                line[n++] = c;
        }
        line[n] = '\0';
        return true;
}

static void on_term(int number) {
        dprintf(1, "keeper-died %d\n", number);
        _exit(0);
}

int main(int argc, char **argv) {
        char line[512];

        (void) signal(SIGTERM, on_term);
        take_over();
        dprintf(1, "start %u %d %u\n", ring->generation, getpid(), n_fds);
        for (int i = 1; i < argc; i++) {
                (void) snprintf(line, sizeof(line), "%s", argv[i]);
                obey(line);
        }
        if (fd_by_name("table") >= 0)
                open_table();
        for (;;) {
                struct pollfd fds[] = { { .fd = event_fd, .events = POLLIN }, { .fd = 0, .events = POLLIN } };

                if (!is_deaf) {
                        (void) eventfd_clear(event_fd);
                        read_ring();
                }
                if (is_churning)
                        start_children(20);
                fds[0].fd = is_deaf ? -1 : event_fd;
                if (poll(fds, 2, is_churning ? 0 : -1) > 0 && fds[1].revents) {
                        if (!read_line(line, sizeof(line)))
                                end(0);
                        obey(line);
                }
        }
}
