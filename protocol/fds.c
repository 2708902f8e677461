#include "fds.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

int fd_set_nonblock(int fd) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -errno;
        if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

int fd_set_cloexec(int fd, bool is_cloexec) {
        if (fcntl(fd, F_SETFD, is_cloexec ? FD_CLOEXEC : 0) < 0)
                return -errno;
        return 0;
}

int fd_raise_limit(uint64_t *ret_old_soft) {
        struct rlimit limit;
        rlim_t old;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        old = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (old != limit.rlim_max && setrlimit(RLIMIT_NOFILE, &limit) < 0)
                return -errno;
        *ret_old_soft = old;
        return 0;
}

void eventfd_signal(int fd) {
        uint64_t one = 1;

        (void) !write(fd, &one, sizeof(one)); /* EAGAIN: the counter is full, the reader is awake */
}

uint64_t eventfd_clear(int fd) {
        uint64_t count;

        return read(fd, &count, sizeof(count)) == (ssize_t) sizeof(count) ? count : 0;
}

int memfd_make(const char *name, size_t size_bytes) {
        cleanup(fd_closep) int fd = -EBADF;

        if (size_bytes > (size_t) INT64_MAX)
                return -EFBIG;
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t) size_bytes) < 0)
                return -errno;
        if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        return take_fd(fd);
}

/* A whole decimal number up to max, or -1. strtol would take blanks, signs and a rest. */
static long number_parse(const char *text, long max) {
        long value = 0;

        if (!text || *text == '\0')
                return -1;
        for (; *text != '\0'; text++) {
                if (*text < '0' || *text > '9' || value > (max - (*text - '0')) / 10)
                        return -1;
                value = value * 10 + (*text - '0');
        }
        return value;
}

unsigned inherited_fds_count(void) {
        long n;

        if (number_parse(getenv("LISTEN_PID"), INT_MAX) != (long) getpid())
                return 0;
        n = number_parse(getenv("LISTEN_FDS"), INT_MAX - FDS_FIRST);
        return n > 0 ? (unsigned) n : 0;
}

/* The next of the names, which are separated by ':'; the list may end early. */
static const char *name_next(const char *names, char *ret_name) {
        size_t length = strcspn(names, ":");
        size_t kept = length <= FD_NAME_MAX ? length : 0; /* a cut name could be taken for another one */

        memcpy(ret_name, names, kept);
        ret_name[kept] = '\0';
        return names + length + (names[length] == ':');
}

unsigned inherited_fds_take(InheritedFd *array, unsigned max) {
        unsigned count = inherited_fds_count(), n = 0, n_missing = 0;
        const char *names = getenv("LISTEN_FDNAMES");

        if (!names)
                names = "";
        for (unsigned i = 0; i < count; i++) {
                char name[FD_NAME_MAX + 1];
                int fd = FDS_FIRST + (int) i;

                names = name_next(names, name);
                if (fd_set_cloexec(fd, true) < 0) { /* announced, but not open */
                        if (++n_missing > 1024)
                                break; /* a number out of thin air: do not count to two billion */
                        continue;
                }
                if (n >= max) {
                        (void) fd_close(fd);
                        continue;
                }
                array[n].fd = fd;
                memcpy(array[n].name, name, sizeof(name));
                n++;
        }
        (void) unsetenv("LISTEN_FDS"); /* cannot fail: the names are valid */
        (void) unsetenv("LISTEN_PID");
        (void) unsetenv("LISTEN_FDNAMES");
        return n;
}

int notify_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_length) {
        size_t length = strlen(path);
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if ((path[0] != '/' && path[0] != '@') || path[1] == '\0' || length >= sizeof(address.sun_path))
                return -EINVAL;
        memcpy(address.sun_path, path, length);
        if (path[0] == '@')
                address.sun_path[0] = '\0';
        else
                length++; /* the NUL of a path belongs to it */
        *ret = address;
        *ret_length = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length);
        return 0;
}

int notify_send(const char *socket_path, const char *text, const int *fds, unsigned n_fds) {
        union {
                char bytes[CMSG_SPACE(sizeof(int) * NOTIFY_FDS_MAX)];
                struct cmsghdr align;
        } control;
        struct iovec iov = { .iov_base = (char *) text, .iov_len = strlen(text) };
        struct sockaddr_un address;
        struct msghdr message = { .msg_name = &address, .msg_iov = &iov, .msg_iovlen = 1 };
        cleanup(fd_closep) int fd = -EBADF;
        int r;

        if (!socket_path || *socket_path == '\0')
                return 0;
        if (n_fds > NOTIFY_FDS_MAX)
                return -EINVAL;
        r = notify_address(socket_path, &address, &message.msg_namelen);
        if (r < 0)
                return r;
        if (n_fds > 0) {
                struct cmsghdr *cmsg;

                memset(&control, 0, sizeof(control));
                message.msg_control = &control;
                message.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
                cmsg = CMSG_FIRSTHDR(&message);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
                memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
        }
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return errno == ENOBUFS ? -EAGAIN : -errno;
        return 0;
}

/* A move of many fds at once, where the place of one may be held by another whose turn comes later: that one is
 * set aside. Each source is closed once it is placed, so there is never more than one fd above those that stay. */
int fds_place(int *sources, unsigned n, uint16_t *holders) {
        if (n >= UINT16_MAX)
                return -E2BIG;
        /* Index plus one of the fd that still lies in this place; 0: nobody. */
        memset(holders, 0, n * sizeof(*holders));
        for (unsigned i = 0; i < n; i++)
                if (sources[i] >= FDS_FIRST && sources[i] < FDS_FIRST + (int) n)
                        holders[sources[i] - FDS_FIRST] = (uint16_t) (i + 1);
        for (unsigned i = 0; i < n; i++) {
                int place = FDS_FIRST + (int) i, source = sources[i];

                if (source == place) {
                        if (fd_set_cloexec(place, false) < 0)
                                return -errno;
                        continue;
                }
                if (holders[i] > 0) {
                        int aside = fcntl(place, F_DUPFD_CLOEXEC, FDS_FIRST + (int) n);

                        if (aside < 0)
                                return -errno;
                        sources[holders[i] - 1] = aside;
                }
                if (dup2(source, place) < 0)
                        return -errno;
                if (source >= FDS_FIRST && source < FDS_FIRST + (int) n)
                        holders[source - FDS_FIRST] = 0;
                (void) fd_close(source);
        }
        return 0;
}
