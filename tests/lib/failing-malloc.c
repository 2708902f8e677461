/* A library to preload: the FAIL_AT-th allocation of the process fails, all others are glibc's. */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define EXPORTED __attribute__((__visibility__("default")))

/* glibc's own names for what is replaced here. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);

EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t n, size_t size);
EXPORTED void *realloc(void *p, size_t size);
EXPORTED void *reallocarray(void *p, size_t n, size_t size);

static int fails(void) {
        static long fail_at = -1, count;

        if (fail_at < 0) {
                const char *text = getenv("FAIL_AT");

                fail_at = text ? atol(text) : 0;
        }
        if (fail_at == 0 || ++count != fail_at)
                return 0;
        errno = ENOMEM;
        return 1;
}

void *malloc(size_t size) {
        return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
        return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t size) {
        return fails() ? NULL : __libc_realloc(p, size);
}

void *reallocarray(void *p, size_t n, size_t size) {
        size_t bytes;

        if (__builtin_mul_overflow(n, size, &bytes)) {
                errno = ENOMEM;
                return NULL;
        }
        return realloc(p, bytes);
}
