#include "signals.h"

#include <ctype.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct {
        const char *name;
        int signal;
} signals[] = {
        { "HUP", SIGHUP },
        { "INT", SIGINT },
        { "QUIT", SIGQUIT },
        { "ILL", SIGILL },
        { "TRAP", SIGTRAP },
        { "ABRT", SIGABRT },
        { "BUS", SIGBUS },
        { "FPE", SIGFPE },
        { "KILL", SIGKILL },
        { "USR1", SIGUSR1 },
        { "SEGV", SIGSEGV },
        { "USR2", SIGUSR2 },
        { "PIPE", SIGPIPE },
        { "ALRM", SIGALRM },
        { "TERM", SIGTERM },
        { "STKFLT", SIGSTKFLT },
        { "CHLD", SIGCHLD },
        { "CONT", SIGCONT },
        { "STOP", SIGSTOP },
        { "TSTP", SIGTSTP },
        { "TTIN", SIGTTIN },
        { "TTOU", SIGTTOU },
        { "URG", SIGURG },
        { "XCPU", SIGXCPU },
        { "XFSZ", SIGXFSZ },
        { "PROF", SIGPROF },
        { "VTALRM", SIGVTALRM },
        { "WINCH", SIGWINCH },
        { "IO", SIGIO },
        { "PWR", SIGPWR },
        { "SYS", SIGSYS },
        /* Other names of the same signals: read, never written. */
        { "POLL", SIGPOLL },
        { "IOT", SIGABRT },
        { "CLD", SIGCHLD },
};

/* "RTMIN", "RTMIN+3", "RTMAX-1". The C library keeps two of the kernel's for itself, so SIGRTMIN is a call. */
static int signal_parse_realtime(const char *text, int *ret) {
        bool from_max = strncasecmp(text, "RTMAX", 5) == 0;
        const char *digits = text + 5;
        int offset = 0;

        if (!from_max && strncasecmp(text, "RTMIN", 5) != 0)
                return -EINVAL;
        if (*digits != '\0') {
                if (*digits++ != (from_max ? '-' : '+') || *digits == '\0' || strlen(digits) > 2)
                        return -EINVAL;
                for (; *digits != '\0'; digits++) {
                        if (!isdigit((unsigned char) *digits))
                                return -EINVAL;
                        offset = offset * 10 + (*digits - '0');
                }
        }
        if (offset > SIGRTMAX - SIGRTMIN)
                return -EINVAL;
        *ret = from_max ? SIGRTMAX - offset : SIGRTMIN + offset;
        return 0;
}

int signal_parse(const char *text, int *ret) {
        if (isdigit((unsigned char) *text)) {
                char *end;
                unsigned long number = strtoul(text, &end, 10);

                if (*end != '\0' || number < 1 || number > (unsigned long) SIGRTMAX)
                        return -EINVAL;
                *ret = (int) number;
                return 0;
        }
        if (strncasecmp(text, "SIG", 3) == 0)
                text += 3;
        for (size_t i = 0; i < n_elements(signals); i++)
                if (strcasecmp(text, signals[i].name) == 0) {
                        *ret = signals[i].signal;
                        return 0;
                }
        return signal_parse_realtime(text, ret);
}

char *signal_format(char *buf, size_t size, int signal) {
        for (size_t i = 0; i < n_elements(signals); i++)
                if (signals[i].signal == signal) {
                        (void) snprintf(buf, size, "%s", signals[i].name);
                        return buf;
                }
        if (signal == SIGRTMIN)
                (void) snprintf(buf, size, "RTMIN");
        else if (signal > SIGRTMIN && signal <= SIGRTMAX)
                (void) snprintf(buf, size, "RTMIN+%d", signal - SIGRTMIN);
        else
                (void) snprintf(buf, size, "%d", signal);
        return buf;
}
