#pragma once

/* Makes a process that is its maker's sibling: clone3 where there is one, else clone(2). Knows nothing of services. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../protocol/base.h"

typedef enum CloneMethod {
        CLONE_METHOD_CLONE3,
        CLONE_METHOD_VFORK, /* clone(2), the child shares our memory. Seccomp filters and valgrind know no clone3 */
        CLONE_METHOD_FORK,  /* clone(2), the child has a copy */
        CLONE_METHOD_MAX,
} CloneMethod;

typedef struct CloneRequest {
        void *stack; /* its lowest byte */
        size_t stack_size_bytes;
        int (*main)(void *userdata);
        void *userdata;
        int cgroup;      /* to be born in, or -EBADF; clone3 only */
        bool shares_files; /* the child begins with our table of descriptors, not with a copy; clone3 only */
        pid_t *pid_word; /* in shared memory: written before the child's first instruction */
} CloneRequest;

/* With clone3 the pid word is written before the child can be seen by anybody. With clone(2) that argument is taken
 * by the pidfd, and it is the child's way into user mode that writes the word: before its first instruction as well,
 * but after it came to be; whoever reads the word of a maker that was killed in that instant may find it too early.
 *
 * By clone3 it returns when the child has called execve or has ended; by the others maybe before.
 * The pid, or -errno. *ret_pidfd is -EBADF where the kernel did not give one. */
must_check pid_t clone_sibling(CloneMethod method, const CloneRequest *request, int *ret_pidfd);
