#pragma once

/* "Did you mean": the one of several words that is nearest to what was written. Words are offered one by one, so they may
 * stand anywhere. Allocates nothing; the work for all words together is bounded to some milliseconds. */

#include <stdbool.h>
#include <stddef.h>

typedef struct Nearest {
        const char *written; /* borrowed */
        size_t length;
        unsigned limit; /* steps that are still better than the best so far */
        unsigned work;
        const char *best; /* borrowed from whoever offered it; NULL: none is near enough to be meant */
        bool is_over;     /* nothing better can come */
} Nearest;

Nearest nearest_begin(const char *written);
/* word: NULL is passed over. */
void nearest_offer(Nearest *nearest, const char *word);

/* All at once: the nearest of n words, or NULL. */
const char *nearest_of(const char *written, const char *const *words, size_t n);
