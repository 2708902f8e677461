#pragma once

/* What the keeper tells the core: one fixed record for each child that ended and for each signal
 * that the keeper received. Plain data; shared memory holds it. */

#include <stdint.h>

typedef enum RingKind {
        RING_EXIT = 1,   /* a child of the keeper ended: pid, code and status as waitid(2) gives them */
        RING_SIGNAL = 2, /* the keeper received a signal: status is its number, pid and uid are the sender's */
} RingKind;

typedef struct RingRecord {
        uint32_t kind; /* RingKind */
        int32_t pid;
        int32_t code;   /* RING_EXIT: CLD_EXITED, CLD_KILLED, CLD_DUMPED; RING_SIGNAL: si_code */
        int32_t status; /* exit status or signal number */
        uint32_t uid;
        uint32_t reserved;
        uint64_t time_usec; /* CLOCK_BOOTTIME */
        uint64_t user_usec; /* CPU time of the child and the descendants it waited for */
        uint64_t system_usec;
        uint64_t max_rss_kib;
} RingRecord;
