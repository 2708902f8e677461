#include "keeper.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

#include "../../protocol/fds.h"
#include "config.h"

static Keeper keeper; /* zeroed memory of its own: the whole state */

static const char main_help[] =
        "Usage: draind [-c FILE|DIR]\n"
        "       draind [--grace SPAN] [--stop-signals LADDER] [--withdraw SPAN] [--name NAME] -- COMMAND [ARG ...]\n"
        "\nRuns services, and stops them well.\n\n"
        "  -c FILE|DIR            read this configuration instead of the system's\n"
        "  --grace SPAN           how long a drain may take in all, such as 30s\n"
        "  --stop-signals LADDER  signals and their time, such as TERM:8s,INT:2s; KILL always follows\n"
        "  --withdraw SPAN        how long to keep serving after a drain was asked for\n"
        "  --name NAME            the name of the one service\n"
        "  --help, --version      print this, or the version, and exit\n"
        "\nSee draind(8), draind.conf(5) and drainctl(1).\n";

/* --help and --version are ours; everything else is checked by draind-config, which knows the rest. */
static bool main_answers(char **argv) {
        for (char **arg = argv + 1; argv[0] && *arg && strcmp(*arg, "--") != 0; arg++) {
                bool is_help = strcmp(*arg, "--help") == 0 || strcmp(*arg, "-h") == 0;
                const char *text = is_help ? main_help : "draind " DRAIND_VERSION "\n";

                if (!is_help && strcmp(*arg, "--version") != 0)
                        continue;
                drop(write(STDOUT_FILENO, text, strlen(text))); /* a reader who is gone wants nothing */
                return true;
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

static int main_open_fds(Keeper *k) {
        const int wanted[] = { SIGCHLD, SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGRTMIN + 3 };
        sigset_t set;

        (void) sigemptyset(&set);
        for (size_t i = 0; i < n_elements(wanted); i++)
                (void) sigaddset(&set, wanted[i]);
        k->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        k->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        k->room_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        if (k->signal_fd < 0 || k->event_fd < 0 || k->room_fd < 0)
                return -errno;
        k->ring_fd = memfd_make("draind-ring", ring_size_bytes());
        if (k->ring_fd < 0)
                return k->ring_fd;
        /* All of its memory is ours from here on, and is mapped where it is used. */
        if (fallocate(k->ring_fd, 0, 0, (off_t) ring_size_bytes()) < 0)
                return -errno;
        k->ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, k->ring_fd, 0);
        if (k->ring == MAP_FAILED)
                return -errno;
        ring_init(k->ring);
        return 0;
}

static int main_init(Keeper *k, char **argv) {
        uint64_t old_limit;
        int r;

        k->pid = getpid();
        k->upstream_fd = -EBADF;
        k->respawn = k->restart = k->scan = USEC_INFINITY;
        (void) !fd_raise_limit(&old_limit); /* fewer fds are still fds */
        watch_init(k);
        if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
                return -errno;
        r = main_open_fds(k);
        if (r == 0)
                r = notify_open(k);
        return r == 0 ? respawn_init(k, argv) : r;
}

static int main_run(Keeper *k) {
        usec_t next = 0;

        respawn_core(k, clock_now_usec());
        while (!k->is_over) {
                watch_wait(k, next);
                if (k->must_reap)
                        reap_children(k);
                if (k->has_core_exited)
                        respawn_on_exit(k, clock_now_usec());
                if (!k->is_over && !k->is_given_up)
                        next = watch_tick(k, clock_now_usec());
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
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        r = main_init(&keeper, argv);
        if (r == 0)
                return main_run(&keeper);
        say(LOG_ERR, "Cannot start: %s.", strerror(-r));
        return KEEPER_EXIT_GIVEN_UP;
}
