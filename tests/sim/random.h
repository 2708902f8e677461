#pragma once

/* A small seeded generator (splitmix64): the same seed gives the same history on every machine. */

#include <stdbool.h>
#include <stdint.h>

#include "../../protocol/clock.h"

typedef struct Random {
        uint64_t state;
} Random;

static inline uint64_t random_next(Random *random) {
        uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
}

/* 0 … n - 1; n is above zero. */
static inline unsigned random_below(Random *random, unsigned n) {
        return (unsigned) (((random_next(random) >> 32) * n) >> 32);
}

static inline bool random_chance(Random *random, unsigned percent) {
        return random_below(random, 100) < percent;
}

/* from … to, both possible. */
static inline usec_t random_between(Random *random, usec_t from, usec_t to) {
        return from + random_next(random) % (to - from + 1);
}
