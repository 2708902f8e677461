#pragma once

/* How a service is told of its drain: the file $DRAIND_DRAIN_FILE, which appears and changes by rename, and the same as
 * environment of a hook. Allocates nothing. Knows no states. */

#include <stddef.h>
#include <stdint.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"

#define DRAIN_FILE_TEXT_MAX   1024u
#define DRAIN_NAME_MAX        256u
#define DRAIN_FILE_CAUSE_MAX   512u /* bytes of the cause as it is written */
#define DRAIN_ENVIRONMENT_MAX  1024u
#define DRAIN_ENVIRONMENT_N    5u

typedef struct DrainNotice {
        usec_t deadline; /* absolute, CLOCK_BOOTTIME; USEC_INFINITY is written as "infinity" */
        usec_t now;
        const char *cause; /* any text; NULL is "" */
        const char *phase; /* phase_name() */
        uint64_t operation;
} DrainNotice;

/* Writes directory/name as a whole or not at all. 0 or -errno. */
must_check int drain_file_write(int dirfd, const char *name, const DrainNotice *notice);
/* The last one that was written; zeroed: none. One for each directory. */
typedef struct DrainShare {
        char name[DRAIN_NAME_MAX];
        char text[DRAIN_FILE_TEXT_MAX];
        size_t length;
} DrainShare;
/* The same. Where a thousand services are told the same, it is written once, and the others get links to it. */
must_check int drain_file_share(int dirfd, const char *name, const DrainNotice *notice, DrainShare *share);
/* The drain has ended or was taken back. Fine when there is none. */
must_check int drain_file_remove(int dirfd, const char *name);

/* DRAIND_DEADLINE_BOOTTIME_USEC=, DRAIND_REMAINING_USEC=, DRAIND_CAUSE=, DRAIND_PHASE=, DRAIND_OPERATION=. The strings
 * point into buf. */
void drain_environment(const DrainNotice *notice, char buf[static DRAIN_ENVIRONMENT_MAX],
                       char *ret_strings[static DRAIN_ENVIRONMENT_N]);
