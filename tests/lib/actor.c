/* A service that plays a part and writes down what it sees: actor NAME [ROLE/]WORD...
 *
 * Each line that it appends to the file $STAMPS is "USEC LABEL PID TEXT", USEC on CLOCK_BOOTTIME, LABEL being NAME, or
 * NAME/ROLE in the processes that it forks. TEXT is "up" once the words are done, "got SIGNAL" for each signal, or what a
 * step says. Words with "ROLE/" before them belong to the process that fork:ROLE or escape:ROLE makes.
 *
 * A word is a step, or on:SIGNAL=STEP,STEP... for what a signal leads to; without one TERM, INT, QUIT and HUP end it, and
 * other signals are written down only. A signal that comes while steps run ends them if it has steps of its own. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 4096
#define WATCH_MSEC 5

extern char **environ;

static char **words;      /* all of them, of every role */
static const char *role;  /* "" in the process that draind started */
static char label[128];
static int stamps = -1;
static pid_t last_child;
static int last_signal = SIGTERM;

__attribute__((__format__(printf, 1, 2))) static void stamp(const char *format, ...) {
        struct timespec now;
        char text[3000], line[3300];
        va_list arguments;
        int n;

        va_start(arguments, format);
        (void) vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        for (char *c = text; *c != '\0'; c++)
                if (*c == '\n')
                        *c = '|';
        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        n = snprintf(line, sizeof(line), "%" PRId64 " %s %d %s\n", (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000, label,
                     (int) getpid(), text);
        if (stamps >= 0 && write(stamps, line, (size_t) n) != n)
                _exit(99);
}

/* --- signals --- */

static const char *const signal_names[32] = {
        [SIGHUP] = "HUP",   [SIGINT] = "INT",   [SIGQUIT] = "QUIT", [SIGABRT] = "ABRT", [SIGUSR1] = "USR1",   [SIGUSR2] = "USR2",
        [SIGPIPE] = "PIPE", [SIGALRM] = "ALRM", [SIGTERM] = "TERM", [SIGCONT] = "CONT", [SIGWINCH] = "WINCH",
};

static const char *signal_name(int number) {
        return number < 32 && signal_names[number] ? signal_names[number] : "another";
}

/* The word without its role, or NULL when it belongs to another. */
static const char *own_word(const char *word) {
        size_t n = strlen(role);

        if (n == 0)
                return strncmp(word, "on:", 3) != 0 && strchr(word, '/') && strcspn(word, "/") < strcspn(word, ":=,") ? NULL : word;
        return strncmp(word, role, n) == 0 && word[n] == '/' ? word + n + 1 : NULL;
}

/* What a signal leads to, or NULL. */
static const char *reaction_to(int number) {
        for (char **at = words; *at; at++) {
                const char *word = own_word(*at), *name = signal_name(number);
                size_t n = strlen(name);

                if (word && strncmp(word, "on:", 3) == 0 && strncmp(word + 3, name, n) == 0 && word[3 + n] == '=')
                        return word + 4 + n;
        }
        return number == SIGTERM || number == SIGINT || number == SIGQUIT || number == SIGHUP ? "die" : NULL;
}

__attribute__((__noreturn__)) static void die(void) {
        sigset_t set;

        (void) signal(last_signal, SIG_DFL);
        (void) raise(last_signal);
        (void) sigemptyset(&set);
        (void) sigaddset(&set, last_signal);
        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
        _exit(98);
}

static void play(const char *steps);

/* Waits for a signal, at most so long; < 0: for ever. True when one came that has steps of its own, which are done by then. */
static int take_signal(int64_t milliseconds) {
        struct timespec timeout = { .tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000 };
        const char *steps;
        siginfo_t info;
        sigset_t all;
        int number;

        (void) sigfillset(&all);
        number = milliseconds < 0 ? sigwaitinfo(&all, &info) : sigtimedwait(&all, &info, &timeout);
        if (number <= 0)
                return 0;
        if (number == SIGCHLD) {
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                return 0;
        }
        stamp("got %s", signal_name(number));
        steps = reaction_to(number);
        if (!steps)
                return 0;
        last_signal = number;
        play(steps);
        return 1;
}

__attribute__((__noreturn__)) static void stay(void) {
        for (;;)
                (void) take_signal(-1);
}

static int64_t now_msec(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_BOOTTIME, &now);
        return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void after(int64_t milliseconds) {
        int64_t end = now_msec() + milliseconds;

        for (int64_t left = milliseconds; left > 0; left = end - now_msec())
                if (take_signal(left) != 0)
                        stay(); /* its steps took the place of those that were waiting */
}

/* --- steps --- */

static void expand(char *buf, size_t size, const char *text) {
        size_t n = 0;

        for (; *text != '\0' && n + 16 < size; text++) {
                if (text[0] == '%' && (text[1] == 'c' || text[1] == 'p'))
                        n += (size_t) snprintf(buf + n, size - n, "%d", text[1] == 'c' ? (int) last_child : (int) getpid()), text++;
                else
                        buf[n++] = *text == '|' ? '\n' : *text;
        }
        buf[n] = '\0';
}

static void notify(const char *text) {
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        size_t length = path ? strlen(path) : 0;
        char message[2048];
        int fd;

        expand(message, sizeof(message), text);
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (length == 0 || length >= sizeof(address.sun_path) || fd < 0) {
                stamp("no notify socket");
                return;
        }
        memcpy(address.sun_path, path, length);
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        if (sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *) &address,
                   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length)) < 0)
                stamp("cannot notify: %s", strerror(errno));
        (void) close(fd);
}

static int stamp_drain_file(void) {
        const char *path = getenv("DRAIND_DRAIN_FILE");
        char text[2048];
        ssize_t n;
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (fd < 0)
                return 0;
        n = read(fd, text, sizeof(text) - 1);
        (void) close(fd);
        text[n < 0 ? 0 : n] = '\0';
        stamp("file %s", text);
        return 1;
}

static void watch_drain_file(void) {
        while (!stamp_drain_file())
                after(WATCH_MSEC);
}

static void stamp_environment(void) {
        static const char *const shown[] = { "DRAIND_", "EXIT_", "SERVICE_RESULT=", "MAINPID=", "NOTIFY_SOCKET=", "WATCHDOG_",
                                             "USER=", "HOME=", "LISTEN_" };

        for (char **at = environ; *at; at++)
                for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
                        if (strncmp(*at, shown[i], strlen(shown[i])) == 0)
                                stamp("env %s", *at);
}

__attribute__((__noreturn__)) static void live(void);

static void fork_role(const char *name, int is_escape) {
        pid_t pid = fork();

        if (pid < 0)
                stamp("cannot fork: %s", strerror(errno));
        if (pid != 0) {
                last_child = pid;
                if (is_escape)
                        (void) waitpid(pid, NULL, 0);
                return;
        }
        if (is_escape && (setsid() < 0 || fork() != 0))
                _exit(0);
        role = strdup(name);
        (void) snprintf(label + strcspn(label, "/"), sizeof(label) - strcspn(label, "/"), "/%s", name);
        live();
}

/* Each is somebody's grandchild, and ends at once: whoever adopts it has to reap it. */
static void make_orphans(long n) {
        for (long i = 0; i < n; i++) {
                pid_t pid = fork();

                if (pid < 0) {
                        i--; /* too many at once: wait until some are reaped */
                        (void) usleep(1000);
                } else if (pid == 0)
                        _exit(fork() < 0);
                else
                        (void) waitpid(pid, NULL, 0);
        }
        stamp("made %ld", n);
}

static void flood(long n_kib) {
        char line[1024];
        size_t n = 0, written = 0;

        while (written < (size_t) n_kib * 1024) {
                n = (size_t) snprintf(line, sizeof(line), "flood %zu ", written);
                memset(line + n, 'x', sizeof(line) - n - 1);
                line[sizeof(line) - 1] = '\n';
                if (write(STDOUT_FILENO, line, sizeof(line)) != (ssize_t) sizeof(line)) {
                        stamp("flood ended: %s", strerror(errno));
                        return;
                }
                written += sizeof(line);
        }
        stamp("flood of %zu", written);
}

/* Waits in the kernel for a child that borrows its memory: state D, until somebody sends KILL. */
static void wait_in_kernel(void) {
        sigset_t none;

        for (int i = 1; i < 32; i++)
                if (i != SIGCHLD)
                        (void) signal(i, SIG_IGN);
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        stamp("blocked");
        if (vfork() == 0 && syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL) == 0)
                for (;;)
                        (void) syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
}

static int is_alive(int pid) {
        char path[32], text[256], *end;
        ssize_t n;
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        (void) close(fd);
        text[n < 0 ? 0 : n] = '\0';
        end = strrchr(text, ')');
        return end && end[2] != 'Z' && end[2] != 'X';
}

/* Which processes of that actor are there still, by what they have written down. */
static void stamp_alive(const char *name) {
        char line[4096], who[128], what[16];
        FILE *file = fopen(getenv("STAMPS"), "re");
        int pid;

        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "%*d %127s %d %15s", who, &pid, what) == 3 && strcmp(what, "up") == 0
                    && strncmp(who, name, strlen(name)) == 0 && strchr("/.", who[strlen(name)]) && is_alive(pid))
                        stamp("alive %s %d", who, pid);
        if (file)
                (void) fclose(file);
}

static void say(const char *text) {
        char line[2048];

        expand(line, sizeof(line) - 1, text);
        (void) dprintf(STDOUT_FILENO, "%s\n", line);
}

static void play_step(const char *step);

/* "N:STEP" */
static void repeat(const char *value) {
        const char *step = strchr(value, ':');

        for (long i = atol(value); step && i > 0; i--)
                play_step(step + 1);
}

static void play_step(const char *step) {
        const char *colon = strchr(step, ':'), *value = colon ? colon + 1 : "";
        size_t n = colon ? (size_t) (colon - step) : strlen(step);

#define IS(name) (n == sizeof(name) - 1 && strncmp(step, name, n) == 0)
        if (IS("exit"))
                _exit(atoi(value));
        else if (IS("die"))
                die();
        else if (IS("after"))
                after(atol(value));
        else if (IS("note"))
                stamp("%s", value);
        else if (IS("notify"))
                notify(value);
        else if (IS("say"))
                say(value);
        else if (IS("file")) {
                if (!stamp_drain_file())
                        stamp("no file");
        } else if (IS("watch"))
                watch_drain_file();
        else if (IS("env"))
                stamp_environment();
        else if (IS("fork"))
                fork_role(value, 0);
        else if (IS("escape"))
                fork_role(value, 1);
        else if (IS("orphans"))
                make_orphans(atol(value));
        else if (IS("flood"))
                flood(atol(value));
        else if (IS("stop"))
                (void) raise(SIGSTOP);
        else if (IS("repeat"))
                repeat(value);
        else if (IS("alive"))
                stamp_alive(value);
        else if (IS("block"))
                wait_in_kernel();
        else if (IS("ids"))
                stamp("uid %d gid %d", (int) getuid(), (int) getgid());
        else
                stamp("no such step: %s", step);
#undef IS
}

static void play(const char *steps) {
        char copy[STEPS_MAX], *rest = copy;

        (void) snprintf(copy, sizeof(copy), "%s", steps);
        for (char *step; (step = strsep(&rest, ",")) != NULL;)
                if (*step != '\0')
                        play_step(step);
}

__attribute__((__noreturn__)) static void live(void) {
        for (char **at = words; *at; at++) {
                const char *word = own_word(*at);

                if (word && strncmp(word, "on:", 3) != 0)
                        play(word);
        }
        stamp("up");
        stay();
}

int main(int argc, char *argv[]) {
        const char *path = getenv("STAMPS");
        sigset_t all;

        if (argc < 2) {
                (void) fprintf(stderr, "usage: actor NAME [ROLE/]WORD...\n");
                return 2;
        }
        (void) sigfillset(&all);
        (void) sigprocmask(SIG_SETMASK, &all, NULL);
        (void) snprintf(label, sizeof(label), "%s", argv[1]);
        role = "";
        words = argv + 2;
        stamps = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
        live();
}
