#pragma once

/* Bytes to messages: Varlink ends each with a NUL. Pure: borrows the bytes, keeps nothing. Knows no JSON but its
 * brackets and strings. */

#include <stdbool.h>
#include <stddef.h>

#include "base.h"

#define FRAME_REQUEST_MAX  ((size_t) 64 * 1024)        /* what a daemon reads */
#define FRAME_REPLY_MAX    ((size_t) 16 * 1024 * 1024) /* what a client reads */
#define FRAME_NESTING_MAX  32u

typedef enum FrameOutcome {
        FRAME_MESSAGE,   /* one is complete: *ret_length bytes, then its NUL */
        FRAME_MORE,      /* it has not all arrived yet */
        FRAME_TOO_LARGE, /* it has more than max bytes */
} FrameOutcome;

/* Looks for the end of the first message. *scanned: how many of the bytes an earlier call has looked at already; the
 * caller keeps it, and sets it to 0 when it consumes a message. A message and its NUL are *ret_length + 1 bytes. */
must_check FrameOutcome frame_find(const char *bytes, size_t length, size_t max, size_t *scanned, size_t *ret_length);

/* Whether arrays and objects lie at most `max` deep in one another. Done before a parser that recurses is let near. */
bool frame_is_nested_within(const char *text, size_t length, unsigned max);
