#include "suggest.h"

#include <string.h>

#define WORD_MAX 64u

/* Insertions, deletions, changes and swaps of neighbours that turn one into the other (optimal string alignment). */
static unsigned distance(const char *a, size_t length_a, const char *b, size_t length_b) {
        unsigned rows[3][WORD_MAX + 1];
        unsigned *before = rows[0], *last = rows[1], *now = rows[2];

        for (size_t j = 0; j <= length_b; j++)
                last[j] = (unsigned) j;
        for (size_t i = 1; i <= length_a; i++) {
                unsigned *spare = before;

                now[0] = (unsigned) i;
                for (size_t j = 1; j <= length_b; j++) {
                        unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

                        if (last[j] + 1 < best)
                                best = last[j] + 1;
                        if (now[j - 1] + 1 < best)
                                best = now[j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                                best = before[j - 2] + 1;
                        now[j] = best;
                }
                before = last;
                last = now;
                now = spare;
        }
        return last[length_b];
}

const char *suggest_nearest(const char *word, const char *const *candidates, size_t n) {
        size_t length = strlen(word);
        unsigned best = (unsigned) length / 3 + 1; /* one slip in three letters is still meant */
        const char *nearest = NULL;

        if (length == 0 || length > WORD_MAX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                unsigned found;

                if (!candidates[i] || strlen(candidates[i]) > WORD_MAX)
                        continue;
                found = distance(word, length, candidates[i], strlen(candidates[i]));
                if (found < best || (found == best && !nearest)) {
                        best = found;
                        nearest = candidates[i];
                }
        }
        return nearest;
}
