#include "keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "../../protocol/fds.h"
#include "config.h"
#include "notify.h"

#define RESPAWN_RETRY_USEC     (100 * USEC_PER_MSEC)
#define RESPAWN_DEATHS_USEC    (10 * USEC_PER_SEC)
#define RESPAWN_INHERITED_MAX  256u
#define RESPAWN_NAMES_MAX      (128u * 1024u) /* MAX_ARG_STRLEN: the longest string that exec takes */
#define RESPAWN_OWN_NAMES_MAX  5900u          /* of what the store leaves: names inherited, in full */
#define RESPAWN_OWN_VARIABLES  4u
#define RESPAWN_CANNOT_EXECUTE 127

static InheritedFd respawn_inherited[RESPAWN_INHERITED_MAX]; /* owned, kept to the end */
static unsigned respawn_n_inherited;

static char respawn_paths[2][PATH_MAX]; /* beside ourselves; else where it was installed */
static const char **respawn_environment; /* mapped once */
static char respawn_names[RESPAWN_NAMES_MAX], respawn_count[32], respawn_pid[32], respawn_notify[96];
static int *respawn_error; /* shared with the child: what exec said */

static bool respawn_is_ours(const char *variable) {
        static const char *const ours[] = {
                "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=", "NOTIFY_SOCKET=",
                "WATCHDOG_USEC=", "WATCHDOG_PID=", "FDSTORE=",
        };

        for (size_t i = 0; i < n_elements(ours); i++)
                if (strncmp(variable, ours[i], strlen(ours[i])) == 0)
                        return true;
        return false;
}

/* Ours come last; the strings behind them are rewritten for each core. */
static int respawn_build_environment(const Keeper *k) {
        size_t n = 0, n_given = 0;

        while (environ[n_given])
                n_given++;
        respawn_environment = mmap(NULL, sizeof(char *) * (n_given + RESPAWN_OWN_VARIABLES + 1),
                                   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (respawn_environment == MAP_FAILED)
                return -errno;
        for (size_t i = 0; i < n_given; i++)
                if (!respawn_is_ours(environ[i]))
                        respawn_environment[n++] = environ[i];
        respawn_environment[n++] = respawn_names;
        respawn_environment[n++] = respawn_count;
        respawn_environment[n++] = respawn_pid;
        respawn_environment[n++] = respawn_notify;
        (void) snprintf(respawn_notify, sizeof(respawn_notify), "NOTIFY_SOCKET=%s", k->notify_address);
        return 0;
}

static void respawn_find_core(void) {
        static const char core[] = "draind-core";
        ssize_t n = readlink("/proc/self/exe", respawn_paths[0], PATH_MAX - sizeof(core));
        char *slash;

        respawn_paths[0][n > 0 ? n : 0] = '\0';
        slash = strrchr(respawn_paths[0], '/');
        if (slash) /* looked up once: after an upgrade the link would name a deleted file */
                memcpy(slash + 1, core, sizeof(core));
        (void) snprintf(respawn_paths[1], PATH_MAX, "%s/%s", DRAIND_LIBEXECDIR, core);
}

/* fds that nobody announced (a shell's, a lock's) stay open here and go no further. */
static void respawn_hide_others(void) {
        if (syscall(SYS_close_range, FDS_FIRST, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0)
                return;
        /* Until Linux 5.11 is the baseline. */
        for (int fd = FDS_FIRST; fd < 1024; fd++)
                (void) !fd_set_cloexec(fd, true); /* most are not open */
}

int respawn_init(Keeper *k, char **argv) {
        respawn_hide_others();
        respawn_n_inherited = inherited_fds_take(respawn_inherited, RESPAWN_INHERITED_MAX);
        respawn_find_core();
        respawn_error = mmap(NULL, sizeof(*respawn_error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (respawn_error == MAP_FAILED)
                return -errno;
        k->argv = argv;
        return respawn_build_environment(k);
}

/* Appends a name to LISTEN_FDNAMES. The limits of the store and of what is inherited leave room for it. */
static size_t respawn_add_name(size_t at, const char *name) {
        int n = snprintf(respawn_names + at, sizeof(respawn_names) - at, "%s:", name);

        return n > 0 && (size_t) n < sizeof(respawn_names) - at ? at + (size_t) n : at;
}

/* Writes the list of fds and the strings that announce it; returns how many there are. */
static unsigned respawn_announce(const Keeper *k, int *ret_fds) {
        size_t at = (size_t) snprintf(respawn_names, sizeof(respawn_names), "LISTEN_FDNAMES=");
        unsigned n = 0;

        ret_fds[n++] = k->ring_fd;
        at = respawn_add_name(at, RING_FDNAME);
        ret_fds[n++] = k->event_fd;
        at = respawn_add_name(at, RING_EVENT_FDNAME);
        ret_fds[n++] = k->room_fd;
        at = respawn_add_name(at, RING_ROOM_FDNAME);
        for (unsigned i = 0; i < respawn_n_inherited; i++) {
                const char *name = respawn_inherited[i].name;
                bool is_usable = *name && at + strlen(name) < RESPAWN_OWN_NAMES_MAX;

                ret_fds[n++] = respawn_inherited[i].fd;
                at = respawn_add_name(at, is_usable ? name : "unknown"); /* as sd_listen_fds_with_names(3) has it */
        }
        for (unsigned i = 0; i < store_count(); i++) {
                const char *name;

                ret_fds[n++] = store_get(i, &name);
                at = respawn_add_name(at, name);
        }
        respawn_names[at - 1] = '\0'; /* the last colon */
        (void) snprintf(respawn_count, sizeof(respawn_count), "LISTEN_FDS=%u", n);
        return n;
}

/* Between fork and exec: system calls only. Signals are blocked until the very end, so one that comes early
 * meets the core. */
static _Noreturn void respawn_child(const Keeper *k, int *fds, unsigned n_fds) {
        sigset_t none;

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM); /* cannot fail: the signal is valid */
        if (getppid() != k->pid)
                _exit(RESPAWN_CANNOT_EXECUTE); /* the keeper died before the kernel was asked to tell us */
        (void) setpgid(0, 0); /* Ctrl-C is for the keeper alone; cannot fail in a fresh child */
        *respawn_error = -place_fds(fds, n_fds);
        if (*respawn_error != 0)
                _exit(RESPAWN_CANNOT_EXECUTE);
        (void) snprintf(respawn_pid, sizeof(respawn_pid), "LISTEN_PID=%d", (int) getpid());
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        k->argv[0] = (char *) "draind-core";
        (void) execve(respawn_paths[0], k->argv, (char *const *) respawn_environment);
        if (errno == ENOENT)
                (void) execve(respawn_paths[1], k->argv, (char *const *) respawn_environment);
        *respawn_error = errno;
        _exit(RESPAWN_CANNOT_EXECUTE);
}

/* What a core has left behind is not trusted with the one thing that keeps us reaping. */
static void respawn_check_ring(Keeper *k) {
        if (k->ring->head - k->ring->tail > RING_CAPACITY) {
                say(LOG_ERR, "The core has left a ring that cannot be read, dropping what was in it.");
                k->ring->tail = k->ring->head;
        }
}

void respawn_core(Keeper *k, usec_t now) {
        static int fds[PLACE_MAX];
        unsigned n_fds = respawn_announce(k, fds);
        pid_t pid;

        respawn_check_ring(k);
        k->ring->generation++;
        *respawn_error = 0;
        pid = fork();
        if (pid == 0)
                respawn_child(k, fds, n_fds);
        if (pid < 0) {
                say(LOG_WARNING, "Cannot start the core: %s, retrying.", strerror(errno));
                k->ring->generation--;
                k->respawn = usec_add(now, RESPAWN_RETRY_USEC);
                return;
        }
        k->core = pid;
        k->respawn = USEC_INFINITY;
        watch_on_spawn(k, now);
}

/* Whether it was one death too many. */
static bool respawn_count_death(Keeper *k, usec_t now) {
        usec_t oldest;

        k->deaths[k->n_deaths++ % n_elements(k->deaths)] = now;
        oldest = k->deaths[k->n_deaths % n_elements(k->deaths)];
        return k->n_deaths >= n_elements(k->deaths) && now - oldest <= RESPAWN_DEATHS_USEC;
}

void respawn_on_exit(Keeper *k, usec_t now) {
        bool was_asked = k->restart != USEC_INFINITY;
        char death[64];

        notify_drain(k); /* while its pid is still its own: what it has stored must not be lost */
        reap_one(k->core);
        k->core = 0;
        k->has_core_exited = false;
        k->must_reap = true;
        k->restart = USEC_INFINITY;
        if (k->ring->finished) {
                k->exit_status = k->ring->exit_status & 0xff;
                k->is_over = true;
                return;
        }
        (void) say_death(death, sizeof(death), &k->core_exit);
        if (was_asked) {
                say(LOG_INFO, "The core %s as asked, starting it again.", death);
        } else if (*respawn_error != 0) {
                say(LOG_ERR, "Cannot execute %s: %s.", respawn_paths[1], strerror(*respawn_error));
        } else {
                say(LOG_WARNING, "The core %s, starting it again.", death);
        }
        if (!was_asked && respawn_count_death(k, now)) {
                say(LOG_ERR, "The core died %u times within 10 s, giving it up.", (unsigned) n_elements(k->deaths));
                k->is_given_up = true;
                return;
        }
        respawn_core(k, now);
}
