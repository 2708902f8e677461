#pragma once

/* A hash table by pid, open addressing. Grows only where it is told to, so what must not need memory does not. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"

typedef struct PidEntry {
        pid_t pid; /* 0: free */
        unsigned service;
        uint64_t start_time; /* tells two processes with one pid apart; 0: not known */
        int pidfd;           /* borrowed, or -EBADF */
} PidEntry;

typedef struct PidTable {
        PidEntry *entries; /* owned */
        unsigned n, n_slots; /* slots: a power of two */
} PidTable;

/* An empty table is all zero. */
void pid_table_done(PidTable *table);
/* Room for n entries in all. 0 or -ENOMEM, then the table is as it was. */
must_check int pid_table_reserve(PidTable *table, unsigned n);
/* Borrowed until the next change, or NULL. */
PidEntry *pid_table_find(const PidTable *table, pid_t pid);
/* Adds, or replaces the entry of the same pid. -ENOSPC: no room that was reserved. */
must_check int pid_table_put(PidTable *table, const PidEntry *entry);
void pid_table_remove(PidTable *table, pid_t pid);
/* Keeps the entries for which keep says so. Allocates nothing. */
void pid_table_filter(PidTable *table, bool (*keep)(const PidEntry *entry, void *userdata), void *userdata);
/* Forgets all, keeps the room. */
void pid_table_empty(PidTable *table);
