#include "keeper.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../../protocol/log-text.h"
#include "config.h"

#define RESPAWN_RETRY_USEC     (100 * USEC_PER_MSEC)
#define RESPAWN_DEATHS_USEC    (10 * USEC_PER_SEC)
#define RESPAWN_INHERITED_MAX  256u
#define RESPAWN_NAMES_MAX      (128u * 1024u) /* MAX_ARG_STRLEN: the longest string that exec takes */
#define RESPAWN_OWN_NAMES_MAX  5900u          /* of what the store leaves: names inherited, in full */
#define RESPAWN_CANNOT_EXECUTE 127

static InheritedFd respawn_inherited[RESPAWN_INHERITED_MAX]; /* owned, kept to the end */
static unsigned respawn_n_inherited;

static char respawn_path[PATH_MAX];
static char respawn_names[RESPAWN_NAMES_MAX], respawn_notify[96]; /* of environ, with the next two */
static char respawn_count[32] = "LISTEN_FDS=", respawn_pid[32] = "LISTEN_PID=";
static LogText respawn_list;
static int respawn_fds[KEEPER_FDS_MAX];
static uint16_t respawn_holders[KEEPER_FDS_MAX];
static unsigned respawn_n_fds;
static int *respawn_error; /* shared with the child: what exec said */

/* Beside ourselves, else where it was installed. Once: after an upgrade the link would name a deleted file. */
static void respawn_find_core(void) {
        static const char core[] = "draind-core";
        ssize_t n = readlink("/proc/self/exe", respawn_path, PATH_MAX - sizeof(core));
        char *slash;

        if (n < 0) /* then nothing here works for long: let the reason be known */
                say(LOG_ERR, "Cannot read /proc/self/exe: %s. Is /proc mounted?", strerror(errno));
        respawn_path[n > 0 ? n : 0] = '\0';
        slash = strrchr(respawn_path, '/');
        if (slash)
                memcpy(slash + 1, core, sizeof(core));
        if (access(respawn_path, X_OK) < 0)
                (void) snprintf(respawn_path, sizeof(respawn_path), "%s/%s", DRAIND_LIBEXECDIR, core);
}

int respawn_init(Keeper *k, char **argv) {
        static const char *const not_for_core[] = { "LISTEN_PIDFDID", "WATCHDOG_USEC", "WATCHDOG_PID", "FDSTORE" };

        /* fds that nobody announced (a shell's, a lock's) stay open here and go no further. */
        if (syscall(SYS_close_range, FDS_FIRST, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) < 0) /* before Linux 5.11 */
                for (int fd = FDS_FIRST; fd < 1024; fd++)
                        drop(fd_set_cloexec(fd, true)); /* most are not open */
        respawn_n_inherited = inherited_fds_take(respawn_inherited, RESPAWN_INHERITED_MAX);
        respawn_find_core();
        respawn_error = mmap(NULL, sizeof(*respawn_error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (respawn_error == MAP_FAILED)
                return -errno;
        k->argv = argv;
        k->argv[0] = (char *) "draind-core";
        /* The environment is changed here once; the strings that belong to us are rewritten for each core. */
        for (size_t i = 0; i < n_elements(not_for_core); i++)
                (void) unsetenv(not_for_core[i]); /* cannot fail: the name is valid */
        (void) snprintf(respawn_names, sizeof(respawn_names), "LISTEN_FDNAMES=");
        (void) snprintf(respawn_notify, sizeof(respawn_notify), "NOTIFY_SOCKET=%s", k->notify_address);
        if (putenv(respawn_names) || putenv(respawn_count) || putenv(respawn_pid) || putenv(respawn_notify))
                return -ENOMEM;
        return 0;
}

/* The limits of the store and of what is inherited leave room for each. */
static void respawn_add(int fd, const char *name) {
        log_text_format(&respawn_list, respawn_n_fds > 0 ? ":%s" : "%s", name);
        respawn_fds[respawn_n_fds++] = fd;
}

/* Writes the list of fds and the strings that announce it. */
static void respawn_announce(const Keeper *k) {
        const char *name;

        respawn_list = (LogText) { .bytes = respawn_names, .size = sizeof(respawn_names) };
        log_text_string(&respawn_list, "LISTEN_FDNAMES=");
        respawn_n_fds = 0;
        respawn_add(k->ring_fd, RING_FDNAME);
        respawn_add(k->event_fd, RING_EVENT_FDNAME);
        respawn_add(k->room_fd, RING_ROOM_FDNAME);
        for (unsigned i = 0; i < respawn_n_inherited; i++) {
                name = respawn_inherited[i].name;
                if (*name == '\0' || respawn_list.length + strlen(name) >= RESPAWN_OWN_NAMES_MAX)
                        name = "unknown"; /* as sd_listen_fds_with_names(3) has it */
                respawn_add(respawn_inherited[i].fd, name);
        }
        for (unsigned i = 0; i < store_count(); i++) {
                int fd = store_get(i, &name);

                respawn_add(fd, name);
        }
        log_text_bytes(&respawn_list, "", 1);
        (void) snprintf(respawn_count, sizeof(respawn_count), "LISTEN_FDS=%u", respawn_n_fds);
}

/* Between fork and exec: system calls only. Signals are blocked until the very end, so one that comes early
 * meets the core. */
static _Noreturn void respawn_child(const Keeper *k) {
        sigset_t none;

        (void) prctl(PR_SET_PDEATHSIG, SIGTERM); /* cannot fail: the signal is valid */
        if (getppid() != k->pid)
                _exit(RESPAWN_CANNOT_EXECUTE); /* the keeper died before the kernel was asked to tell us */
        (void) setpgid(0, 0); /* Ctrl-C is for the keeper alone; cannot fail in a fresh child */
        *respawn_error = -fds_place(respawn_fds, respawn_n_fds, respawn_holders);
        if (*respawn_error != 0)
                _exit(RESPAWN_CANNOT_EXECUTE);
        (void) snprintf(respawn_pid, sizeof(respawn_pid), "LISTEN_PID=%d", (int) getpid());
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) execv(respawn_path, k->argv);
        *respawn_error = errno;
        _exit(RESPAWN_CANNOT_EXECUTE);
}

void respawn_core(Keeper *k, usec_t now) {
        pid_t pid;

        respawn_announce(k);
        /* What a core has left behind is not trusted with the one thing that keeps us reaping. */
        if (k->ring->head - k->ring->tail > RING_CAPACITY) {
                say(LOG_ERR, "The core has left a ring that cannot be read, dropping what was in it.");
                k->ring->tail = k->ring->head;
        }
        k->ring->generation++;
        *respawn_error = 0;
        pid = fork();
        if (pid == 0)
                respawn_child(k);
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

void respawn_on_exit(Keeper *k, usec_t now) {
        bool was_asked = k->restart != USEC_INFINITY;
        usec_t oldest;

        notify_read(k, NOTIFY_ALL); /* what it has stored must not be lost */
        if (!k->is_core_reaped)
                (void) waitpid(k->core, NULL, __WALL); /* a zombie of ours: cannot fail, does not wait */
        k->core = 0;
        k->has_core_exited = false;
        k->must_reap = true;
        k->restart = USEC_INFINITY;
        if (k->ring->finished) {
                k->exit_status = k->ring->exit_status & 0xff;
                k->is_over = true;
                return;
        }
        if (*respawn_error != 0)
                say(LOG_ERR, "Cannot execute %s: %s.", respawn_path, strerror(*respawn_error));
        else
                say(was_asked ? LOG_INFO : LOG_WARNING, "The core %s %d%s, starting it again.",
                    k->core_exit.si_code == CLD_EXITED ? "exited with status" : "was killed by signal",
                    k->core_exit.si_status, was_asked ? " as asked" : "");
        if (!was_asked)
                k->deaths[k->n_deaths++ % n_elements(k->deaths)] = now;
        oldest = k->deaths[k->n_deaths % n_elements(k->deaths)];
        if (was_asked || oldest == 0 || now - oldest > RESPAWN_DEATHS_USEC) {
                respawn_core(k, now);
                return;
        }
        say(LOG_ERR, "The core died %u times within 10 s, giving it up.", (unsigned) n_elements(k->deaths));
        k->is_given_up = true;
}
