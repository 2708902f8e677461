#pragma once

/* File descriptors: flags, limits, eventfds, memfds, those inherited from a manager, and the way to hand
 * some to it. Needs libc alone, allocates nothing, never blocks. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h> /* socklen_t, by value */

#include "base.h"

struct sockaddr_un;

#define FD_NAME_MAX      255u /* bytes, as systemd has it */
#define FDS_FIRST        3    /* SD_LISTEN_FDS_START */
#define NOTIFY_FDS_MAX   253u /* SCM_MAX_FD */

typedef struct InheritedFd {
        int fd; /* the caller's, CLOEXEC */
        char name[FD_NAME_MAX + 1]; /* "" where none was given */
} InheritedFd;

must_check int fd_set_nonblock(int fd);
must_check int fd_set_cloexec(int fd, bool is_cloexec);
/* Raises the soft limit of open files to the hard one. *ret_old_soft is for the programs that we start:
 * they may use select(2) and rely on the low limit. */
must_check int fd_raise_limit(uint64_t *ret_old_soft);

/* Wakes the reader of an eventfd. A counter that is full has woken it already. The fd is EFD_NONBLOCK. */
void eventfd_signal(int fd);
/* Back to zero; returns what it was. The fd is EFD_NONBLOCK. */
uint64_t eventfd_clear(int fd);

/* Zeroed shared memory of a fixed size: sealed, so that no holder can shrink it under another's mapping.
 * Returns the fd (the caller's, CLOEXEC) or -errno. */
must_check int memfd_make(const char *name, size_t size_bytes);

/* How many fds $LISTEN_FDS announces to this process; 0 when it is not meant. */
unsigned inherited_fds_count(void);
/* Takes them over: sets CLOEXEC, fills array and unsets LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES. Fds for which the
 * array has no room are closed. Returns how many entries were filled. */
unsigned inherited_fds_take(InheritedFd *array, unsigned max);

/* The address that NOTIFY_SOCKET= names: absolute, or '@' and an abstract name. 0 or -EINVAL. */
must_check int notify_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_length);
/* Sends one datagram as sd_notify(3) does, without ever waiting. socket_path: absolute, or '@' and an abstract
 * name; NULL or "" sends nothing and succeeds. fds are borrowed.
 * 0, -EAGAIN (the receiver's queue is full), -EINVAL, or another -errno. */
must_check int notify_send(const char *socket_path, const char *text, const int *fds, unsigned n_fds);

/* In a child before exec: moves sources[i], all different, to FDS_FIRST + i, without CLOEXEC. holders: scratch, n entries.
 * 0, -E2BIG (65535 and more) or another -errno. */
must_check int fds_place(int *sources, unsigned n, uint16_t *holders);
