#include "buf.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#define BUF_FIRST_BYTES 1024
#define BUF_KEPT_BYTES  1024 /* ten thousand idle connections keep no more than this each */

void buf_done(Buf *buf) {
        free(buf->data);
        *buf = buf_make(buf->max);
}

static int grow(Buf *buf, size_t needed) {
        size_t size = buf->allocated > 0 ? buf->allocated : BUF_FIRST_BYTES;
        char *data;

        while (size < needed)
                size = size <= SIZE_MAX / 2 ? size * 2 : needed;
        if (size > buf->max && needed <= buf->max)
                size = buf->max;
        data = malloc(size); /* not realloc: what was consumed is not worth copying */
        if (!data)
                return -ENOMEM;
        if (buf->length > 0)
                memcpy(data, buf->data + buf->start, buf->length);
        free(buf->data);
        buf->data = data;
        buf->start = 0;
        buf->allocated = size;
        return 0;
}

int buf_reserve(Buf *buf, size_t length, char **ret_room) {
        if (length > buf->max || buf->length > buf->max - length)
                return -ENOBUFS;
        if (length > buf->allocated - buf->start - buf->length) {
                int r;

                /* Moving is cheap where at least half is gone: a byte moves at most once for each one consumed. */
                if (buf->length + length <= buf->allocated && buf->start >= buf->length) {
                        memmove(buf->data, buf->data + buf->start, buf->length);
                        buf->start = 0;
                } else {
                        r = grow(buf, buf->length + length);
                        if (r < 0)
                                return r;
                }
        }
        *ret_room = buf->data + buf->start + buf->length;
        return 0;
}

void buf_commit(Buf *buf, size_t length) {
        assert(length <= buf->allocated - buf->start - buf->length);
        buf->length += length;
}

int buf_append(Buf *buf, const char *bytes, size_t length) {
        char *room;
        int r;

        if (length == 0)
                return 0;
        r = buf_reserve(buf, length, &room);
        if (r < 0)
                return r;
        memcpy(room, bytes, length);
        buf_commit(buf, length);
        return 0;
}

void buf_consume(Buf *buf, size_t length) {
        assert(length <= buf->length);
        buf->start += length;
        buf->length -= length;
        if (buf->length > 0)
                return;
        buf->start = 0;
        if (buf->allocated > BUF_KEPT_BYTES)
                buf_done(buf);
}
