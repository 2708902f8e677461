#pragma once

/* What /proc says about processes. Every file is opened, read and closed at once through one descriptor of /proc;
 * where no descriptor is left, one that was kept for this is given up meanwhile. Allocates nothing where the
 * kernel lists children (CONFIG_PROC_CHILDREN). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"

enum { PROCFS_RESERVE = 4, PROCFS_COMMAND_BYTES = 16 };

typedef struct ProcStat {
        pid_t pid, parent, group, session;
        unsigned n_threads;
        uint64_t start_time; /* clock ticks since the machine started: with the pid, who it is */
        char state;
        char command[PROCFS_COMMAND_BYTES];
} ProcStat;

typedef struct ProcfsPair {
        pid_t pid, parent;
} ProcfsPair;

typedef struct Procfs {
        int root; /* /proc */
        int reserve[PROCFS_RESERVE];
        bool has_children; /* else parents are looked up in pairs: a scan of /proc */
        ProcfsPair *pairs; /* owned */
        unsigned n_pairs, n_pairs_max;
} Procfs;

typedef void (*ProcfsPid)(pid_t pid, void *userdata);

must_check int procfs_init(Procfs *procfs);
void procfs_done(Procfs *procfs);

/* As openat; procfs_close() keeps a descriptor in reserve again. */
must_check int procfs_open(Procfs *procfs, int directory, const char *path, int flags);
void procfs_close(Procfs *procfs, int fd);

/* One line of /proc/PID/stat. Pure. 0 or -EINVAL. */
must_check int procfs_parse_stat(const char *text, ProcStat *ret);
/* -ESRCH or -ENOENT: nobody has this pid. */
must_check int procfs_stat(Procfs *procfs, pid_t pid, ProcStat *ret);
/* A zombie whose other threads run is alive: only its main thread has ended. */
static inline bool procfs_is_living(const ProcStat *stat) {
        return (stat->state != 'Z' && stat->state != 'X') || stat->n_threads > 1;
}

/* Numbers separated by anything, as in children and cgroup.procs, from the start of fd; of any length. */
must_check int procfs_read_pids(int fd, ProcfsPid on_pid, void *userdata);
/* The entries of a directory that are numbers, at most max of them. How many were written. */
unsigned procfs_list_numbers(int directory, pid_t *ret, unsigned max);
/* Children of all threads. Call procfs_refresh() first: it counts only where has_children is false. */
must_check int procfs_children(Procfs *procfs, pid_t pid, unsigned n_threads, ProcfsPid on_pid, void *userdata);
must_check int procfs_refresh(Procfs *procfs);

/* Everybody. Not for every day: it costs as much as the machine has processes. */
must_check int procfs_everybody(Procfs *procfs, ProcfsPid on_pid, void *userdata);

/* Copies the value of NAME= from the environment that pid was started with. 1: found. 0: not there. -errno: it
 * cannot be told. Waits with a process in state D: ask for its state before. */
must_check int procfs_environment(Procfs *procfs, pid_t pid, const char *name, char *ret, size_t size);
