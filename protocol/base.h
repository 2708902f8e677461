#pragma once

/* Cleanup attributes and hand-over of ownership; nothing else. */

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check  __attribute__((__warn_unused_result__))
#define cleanup(fn) __attribute__((__cleanup__(fn)))
/* A result that is not needed; the line says why. (A cast to void does not silence gcc.) */
#define drop(result) ((void) !(result))
#define printf_like(format, first) __attribute__((__format__(__printf__, format, first)))
#define take(ptr)   ({ typeof(ptr) *p_ = &(ptr), v_ = *p_; *p_ = NULL; v_; })
#define take_fd(fd) ({ int *p_ = &(fd), v_ = *p_; *p_ = -EBADF; v_; })
#define n_elements(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(ptr, type, member) ((type *) ((char *) (ptr) - offsetof(type, member)))

static inline int fd_close(int fd) {
        int saved = errno;

        if (fd >= 0)
                (void) close(fd); /* Linux frees the number even on EINTR: never retry. */
        errno = saved;
        return -EBADF;
}

static inline void fd_closep(int *fd) {
        *fd = fd_close(*fd);
}

static inline void freep(void *p) {
        free(*(void **) p);
}
