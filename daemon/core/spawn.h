#pragma once

/* Starts one process of a service as a child of the keeper (CLONE_PARENT), with its pidfd, and tells the step that
 * failed. Blocks until the child has called execve (VFORK), so nothing on the way may wait: fds are opened before.
 * Knows neither states nor the loop. The child's side is spawn-child.c. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"
#include "../config/model.h"

typedef enum SpawnStep {
        SPAWN_STEP_NONE,
        SPAWN_STEP_CLONE,             /* retryable: EAGAIN, ENOMEM, and EMFILE/ENFILE of fds opened for it */
        SPAWN_STEP_OUTPUT,            /* StandardOutput=, StandardError= */
        SPAWN_STEP_CGROUP,
        SPAWN_STEP_SESSION,
        SPAWN_STEP_NICE,
        SPAWN_STEP_OOM_SCORE,
        SPAWN_STEP_LIMITS,
        SPAWN_STEP_GROUPS,
        SPAWN_STEP_GROUP,
        SPAWN_STEP_BOUNDING_SET,
        SPAWN_STEP_USER,
        SPAWN_STEP_CAPABILITIES,
        SPAWN_STEP_NO_NEW_PRIVILEGES,
        SPAWN_STEP_WORKING_DIRECTORY,
        SPAWN_STEP_DESCRIPTORS,
        SPAWN_STEP_EXEC,
        SPAWN_STEP_MAX,
} SpawnStep;

/* As a person calls it: "user", "working directory", "exec" … */
const char *spawn_step_name(SpawnStep step);

typedef struct SpawnRequest {
        const Command *command;       /* argv[0] without a slash is searched for in the PATH of environment */
        const ServiceConfig *service; /* user, limits, …: applied to hooks and leaders alike */
        char *const *environment;     /* complete, ends with NULL */
        int input, output, error;     /* become 0, 1, 2; -EBADF: /dev/null. Borrowed */
        int cgroup;                   /* fd of the cgroup directory, or -EBADF. Borrowed */
        pid_t *pid_word;              /* in shared memory: gets the pid before the child's first instruction */
        uint64_t default_nofile;      /* soft RLIMIT_NOFILE that a child gets unless LimitNOFILE= says otherwise; 0: ours */
        bool keep_directory;          /* without WorkingDirectory=: our own, instead of "/" */
} SpawnRequest;

typedef struct SpawnFailure {
        SpawnStep step;
        int error; /* errno, positive */
} SpawnFailure;

enum { SPAWN_FAILED = 1 }; /* *reterr says where */

typedef struct Spawner Spawner; /* stack with guard page, the shared report page, /dev/null */
must_check int spawner_new(Spawner **ret);
Spawner *spawner_free(Spawner *spawner);
static inline void spawner_freep(Spawner **spawner) { *spawner = spawner_free(*spawner); }

/* 0: it runs, *ret_pidfd is the caller's (-EBADF only where neither clone nor the kernel knows pidfds). SPAWN_FAILED: nothing
 * runs (the keeper will report the exit of a pid that nobody needs to know; *pid_word is 0 again). A negative number is
 * a request that makes no sense. */
must_check int spawn_process(Spawner *spawner, const SpawnRequest *request, pid_t *ret_pid, int *ret_pidfd,
                             SpawnFailure *reterr);
