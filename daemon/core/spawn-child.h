#pragma once

/* What a new process does between clone and exec: it shares the core's memory (or has a copy of it), so it makes
 * raw system calls only, allocates nothing and changes nothing of the core's but the report. */

#include <stddef.h>

#include "spawn.h"

/* In a shared page: it tells the truth whether the child had our memory or a copy. A pipe could not: its end of
 * file is the same for an exec that worked and for a child that died before. */
typedef struct SpawnReport {
        SpawnStep reached; /* the last step that was begun */
        int error;         /* errno of it; 0: it did not fail */
} SpawnReport;

typedef struct SpawnChild {
        const SpawnRequest *request;
        volatile SpawnReport *report;
        int sources[3];          /* what become 0, 1, 2 */
        int first_other;         /* where shares_files is set: the sources are below, nothing from here on is needed */
        bool shares_files;       /* our table is the core's until step_descriptors() */
        int gate;                /* or -EBADF; stays open until exec or exit: its reader learns that we are through */
        bool is_outside_cgroup;  /* request->cgroup was not entered by clone */
        const char *search_path; /* for commands without a slash */
        const char *home;        /* for the working directory "~" */
        char *path;              /* scratch for one path */
        size_t path_size_bytes;
} SpawnChild;

/* userdata: a SpawnChild. Does not return but to fulfil the type of clone(2)'s argument. */
int spawn_child_main(void *userdata);
