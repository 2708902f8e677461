#pragma once

/* Who asked for a drain, and why. Plain data: it stands in shared memory. */

#include <stdint.h>
#include <sys/types.h>

typedef enum CauseKind {
        CAUSE_NONE,
        CAUSE_SIGNAL,     /* draind received a signal */
        CAUSE_CLIENT,     /* somebody asked through the control socket */
        CAUSE_PROBE,      /* a live probe failed */
        CAUSE_DEPENDENCY, /* a service that it requires has failed for good */
        CAUSE_EXIT,       /* it ended by itself, or an essential service did */
        CAUSE_LIMIT,      /* it was started too often */
        CAUSE_TIMEOUT,    /* it did not become ready in time, or its watchdog ran out */
        CAUSE_RELOAD,     /* the configuration does not have it any more, or has it otherwise */
        CAUSE_KEEPER,     /* the keeper is gone */
        CAUSE_KIND_MAX,
} CauseKind;

#define CAUSE_TEXT_MAX 64

typedef struct Cause {
        uint32_t kind; /* CauseKind */
        int32_t signal;
        int32_t pid; /* of the asker, 0 where there is none */
        uint32_t uid;
        char command[16];              /* of the asker, as in /proc/PID/comm; "" not known */
        char service[CAUSE_TEXT_MAX];  /* the service that it comes from; "" none */
        char reason[CAUSE_TEXT_MAX];   /* the asker's own words; "" none */
} Cause;

const char *cause_kind_name(CauseKind kind);
/* One line for people: `SIGTERM from systemd (pid 1, uid 0)`, `client drainctl (pid 77, uid 0): "update"`. Returns buf. */
char *cause_format(char *buf, size_t size, const Cause *cause);
