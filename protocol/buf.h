#pragma once

/* A growable queue of bytes with a hard maximum: append at the end, consume from the front. Knows no fds. */

#include <stddef.h>

#include "base.h"

typedef struct Buf {
        char *data;       /* owned; NULL while nothing was ever appended */
        size_t start;     /* bytes consumed at the front of data */
        size_t length;    /* bytes in the queue */
        size_t allocated;
        size_t max;
} Buf;

static inline Buf buf_make(size_t max) {
        return (Buf) { .max = max };
}

/* Frees what it holds; it may be used again. */
void buf_done(Buf *buf);

static inline const char *buf_bytes(const Buf *buf) {
        return buf->data ? buf->data + buf->start : "";
}

/* 0, -ENOBUFS (it would hold more than max) or -ENOMEM. Nothing is appended on failure. */
must_check int buf_append(Buf *buf, const char *bytes, size_t length);
/* Room for length more bytes behind the last one, borrowed until the next call on buf; filled by buf_commit(). */
must_check int buf_reserve(Buf *buf, size_t length, char **ret_room);
void buf_commit(Buf *buf, size_t length);
/* Drops bytes from the front. A buffer that has become empty gives large memory back. */
void buf_consume(Buf *buf, size_t length);
