#pragma once

/* Sets of services, as bits. Of one length, which their owner knows as a number of words. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline unsigned bits_n_words(unsigned n) {
        return (n + 63) / 64;
}

/* Empty; NULL: no memory. free(). */
static inline uint64_t *bits_new(unsigned n) {
        return calloc(bits_n_words(n) + 1, sizeof(uint64_t));
}

static inline void bits_add(uint64_t *bits, unsigned i) {
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static inline void bits_remove(uint64_t *bits, unsigned i) {
        bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

static inline bool bits_have(const uint64_t *bits, unsigned i) {
        return (bits[i / 64] >> (i % 64) & 1) != 0;
}

/* The first that is `from` or after it, and below n; n: there is none. */
static inline unsigned bits_next(const uint64_t *bits, unsigned n, unsigned from) {
        while (from < n && bits[from / 64] >> (from % 64) == 0)
                from = (from / 64 + 1) * 64;
        return from < n ? from + (unsigned) __builtin_ctzll(bits[from / 64] >> (from % 64)) : n;
}
