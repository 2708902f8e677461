#pragma once

/* What one datagram of sd_notify(3) says: bytes in, values out. Knows neither sockets nor services. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"

#define NOTIFY_MESSAGE_MAX 4096u /* as systemd has it: PIPE_BUF */
#define NOTIFY_STATUS_MAX  512u  /* bytes of a text that are kept */

typedef struct NotifyMessage {
        bool is_ready;            /* READY=1 */
        bool is_reloading;        /* RELOADING=1 */
        bool is_stopping;         /* STOPPING=1: it has begun to stop by itself */
        bool is_watchdog_ping;    /* WATCHDOG=1 */
        bool is_watchdog_trigger; /* WATCHDOG=trigger */
        bool is_barrier;          /* BARRIER=1 */
        bool has_error;           /* ERRNO= was given */
        int error_number;         /* positive, or 0 */
        pid_t main_pid;           /* MAINPID=; 0: not given */
        usec_t watchdog_usec;     /* WATCHDOG_USEC=; USEC_INFINITY: not given. 0 turns it off */
        usec_t extend_usec;       /* EXTEND_TIMEOUT_USEC=; 0: not given */
        usec_t monotonic_usec;    /* MONOTONIC_USEC=; 0: not given */
        const char *status;       /* STATUS=, "" takes it away; NULL: not given. Borrowed from the datagram */
        const char *bus_error;    /* BUSERROR= or VARLINKERROR=, as above */
        unsigned n_unknown;       /* assignments that are not known here (X_… are not counted) */
        unsigned n_malformed;     /* values that do not make sense for their key: that assignment is ignored */
} NotifyMessage;

typedef enum NotifyOutcome {
        NOTIFY_PARSED,
        NOTIFY_EMPTY,     /* no byte */
        NOTIFY_TOO_LONG,  /* more than NOTIFY_MESSAGE_MAX */
        NOTIFY_NOT_TEXT,  /* a NUL byte in it */
} NotifyOutcome;

/* text is changed: texts are ended with a NUL and made valid UTF-8 without control characters, so it must have room for
 * length + 1 bytes. Of a key given twice the last one counts. *ret is untouched unless NOTIFY_PARSED. */
must_check NotifyOutcome notify_message_parse(char *text, size_t length, NotifyMessage *ret);
/* "is empty", "is too long" …, for the log. */
const char *notify_outcome_text(NotifyOutcome outcome);
