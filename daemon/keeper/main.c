#include "keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>

#include "../../protocol/fds.h"
#include "notify.h"

static Keeper keeper; /* zeroed memory of its own: the whole state */

/* --help and --version are ours; everything else is checked by draind-config, which knows the rest. */
static bool main_answers(char **argv) {
        for (char **arg = argv + 1; argv[0] && *arg && strcmp(*arg, "--") != 0; arg++) {
                if (strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0) {
                        say_help();
                        return true;
                }
                if (strcmp(*arg, "--version") == 0) {
                        say_version();
                        return true;
                }
        }
        return false;
}

/* From the first moment on: what arrives while we start waits for the signalfd. Dispositions are inherited
 * through exec, and an ignored SIGCHLD would let the kernel throw away what we are here to record. */
static void main_block_signals(void) {
        sigset_t all;

        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, NULL);
        for (int i = 1; i <= KEEPER_SIGNAL_MAX; i++)
                (void) signal(i, SIG_DFL); /* fails for KILL, STOP and libc's own two */
}

static void main_open_standard_fds(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        while (fd >= 0 && fd < FDS_FIRST && fd_set_cloexec(fd, false) == 0);
        (void) fd_close(fd);
}

static int main_open_signals(Keeper *k) {
        const int wanted[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN + 3 };
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < n_elements(wanted); i++)
                (void) sigaddset(&set, wanted[i]);
        k->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        return k->signal_fd < 0 ? -errno : 0;
}

static int main_open_ring(Keeper *k) {
        k->ring_fd = memfd_make("draind-ring", ring_size_bytes());
        if (k->ring_fd < 0)
                return k->ring_fd;
        k->ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, k->ring_fd, 0);
        if (k->ring == MAP_FAILED)
                return -errno;
        ring_init(k->ring);
        k->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        k->room_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        return k->event_fd < 0 || k->room_fd < 0 ? -errno : 0;
}

static int main_init(Keeper *k, char **argv) {
        uint64_t old_limit;
        int r;

        *k = (Keeper) {
                .pid = getpid(), .ring_fd = -EBADF, .event_fd = -EBADF, .room_fd = -EBADF, .signal_fd = -EBADF,
                .notify_fd = -EBADF, .upstream_fd = -EBADF, .respawn = USEC_INFINITY, .restart = USEC_INFINITY,
        };
        (void) !fd_raise_limit(&old_limit); /* fewer fds are still fds */
        watch_init(k);
        say_upstream_open(k, getenv("NOTIFY_SOCKET"));
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return -errno;
        r = main_open_signals(k);
        if (r < 0)
                return r;
        r = main_open_ring(k);
        if (r < 0)
                return r;
        r = notify_open(k);
        return r < 0 ? r : respawn_init(k, argv);
}

static void main_wait(Keeper *k) {
        struct pollfd fds[] = {
                { .fd = k->signal_fd, .events = POLLIN },
                { .fd = k->notify_fd, .events = POLLIN },
                { .fd = k->room_fd, .events = POLLIN },
        };
        usec_t now = clock_now_usec(), left = k->must_reap ? 0 : usec_left(watch_next(k, now), now);
        struct timespec timeout = { .tv_sec = (time_t) (left / USEC_PER_SEC),
                                    .tv_nsec = (long) (left % USEC_PER_SEC) * 1000 };

        log_flush();
        if (ppoll(fds, n_elements(fds), left == USEC_INFINITY ? NULL : &timeout, NULL) <= 0)
                return;
        if (fds[0].revents)
                reap_signals(k, clock_now_usec());
        if (fds[1].revents)
                notify_read(k);
        if (fds[2].revents) {
                (void) eventfd_clear(k->room_fd);
                reap_retry(k);
        }
}

static int main_run(Keeper *k) {
        respawn_core(k, clock_now_usec());
        while (!k->is_over) {
                main_wait(k);
                if (k->ring->starved) /* also when a core died before it could say that there is room */
                        reap_retry(k);
                if (k->must_reap)
                        reap_children(k);
                if (k->has_core_exited)
                        respawn_on_exit(k, clock_now_usec());
                if (!k->is_over && !k->is_given_up)
                        watch_tick(k, clock_now_usec());
                if (k->is_given_up)
                        last_rites_perform(k);
        }
        last_rites_sweep(k);
        return k->exit_status;
}

int main(int argc, char **argv) {
        int r;

        if (main_answers(argv))
                return 0;
        main_block_signals();
        main_open_standard_fds();
        r = main_init(&keeper, argv);
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        if (r < 0) {
                say(LOG_ERR, "Cannot start: %s.", strerror(-r));
                return KEEPER_EXIT_GIVEN_UP;
        }
        return main_run(&keeper);
}
