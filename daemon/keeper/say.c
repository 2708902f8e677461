#include "keeper.h"

#include <stdio.h>
#include <string.h>

#include "config.h"

/* Not through stdio, which allocates. */
static void say_plain(const char *text) {
        (void) !write(STDOUT_FILENO, text, strlen(text)); /* a reader who is gone wants nothing */
}

void say_help(void) {
        say_plain("Usage: draind [-c FILE|DIR]\n"
                  "       draind [--grace SPAN] [--stop-signals LADDER] [--withdraw SPAN] [--name NAME] -- COMMAND [ARG ...]\n"
                  "\n"
                  "Runs services, and stops them well.\n"
                  "\n"
                  "  -c FILE|DIR            read this configuration instead of the system's\n"
                  "  --grace SPAN           how long a drain may take in all, such as 30s\n"
                  "  --stop-signals LADDER  signals and their time, such as TERM:8s,INT:2s; KILL always follows\n"
                  "  --withdraw SPAN        how long to keep serving after a drain was asked for\n"
                  "  --name NAME            the name of the one service\n"
                  "  --help, --version      print this, or the version, and exit\n"
                  "\n"
                  "See draind(8), draind.conf(5) and drainctl(1).\n");
}

void say_version(void) {
        say_plain("draind " DRAIND_VERSION "\n");
}

char *say_death(char *buf, size_t size, const siginfo_t *si) {
        if (si->si_code == CLD_EXITED)
                (void) snprintf(buf, size, "exited with status %d", si->si_status);
        else
                (void) snprintf(buf, size, "was killed by signal %d", si->si_status);
        return buf;
}

void say_upstream_open(Keeper *k, const char *address) {
        size_t length = address ? strlen(address) : 0;

        /* Other kinds of address (vsock) are for virtual machines as a whole. */
        if (length < 2 || length >= sizeof(k->upstream.sun_path) || (address[0] != '/' && address[0] != '@'))
                return;
        k->upstream = (struct sockaddr_un) { .sun_family = AF_UNIX };
        memcpy(k->upstream.sun_path, address, length);
        if (address[0] == '@')
                k->upstream.sun_path[0] = '\0';
        k->upstream_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length + (address[0] == '/'));
        k->upstream_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void say_upstream(Keeper *k, const char *text, size_t length) {
        if (k->upstream_fd < 0)
                return;
        /* Lossy on purpose: systemd gets the next one, and nothing here may wait for it. */
        (void) sendto(k->upstream_fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *) &k->upstream,
                      k->upstream_size);
}
