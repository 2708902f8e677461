#include "nearest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 64u         /* longer words are never compared */
#define WORK_MAX (1u << 20) /* in cells of the table below */

static int letter(const char *text, size_t i) {
        return tolower((unsigned char) text[i]);
}

/* Steps (insert, remove, replace, swap neighbours: optimal string alignment) from what was written to the word, without
 * regard to case; limit + 1 where it is more. */
static unsigned distance(Nearest *nearest, const char *word, size_t length) {
        unsigned rows[3][WORD_MAX + 1], *before = rows[0], *above = rows[1], *row = rows[2];
        const char *written = nearest->written;

        for (unsigned j = 0; j <= length; j++)
                above[j] = j;
        for (unsigned i = 1; i <= nearest->length; i++) {
                unsigned *spare = before, least = i;

                row[0] = i;
                for (unsigned j = 1; j <= length; j++) {
                        int x = letter(written, i - 1), y = letter(word, j - 1);
                        unsigned best = above[j - 1] + (x != y);

                        if (above[j] + 1 < best)
                                best = above[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        if (i > 1 && j > 1 && x == letter(word, j - 2) && letter(written, i - 2) == y && before[j - 2] + 1 < best)
                                best = before[j - 2] + 1;
                        row[j] = best;
                        if (best < least)
                                least = best;
                }
                nearest->work += (unsigned) length + 1;
                if (least > nearest->limit + 1) /* a swap may still save one */
                        return nearest->limit + 1;
                before = above;
                above = row;
                row = spare;
        }
        return above[length] <= nearest->limit ? above[length] : nearest->limit + 1;
}

Nearest nearest_begin(const char *written) {
        size_t length = strnlen(written, WORD_MAX + 1);

        return (Nearest) {
                .written = written, .length = length, .is_over = length == 0 || length > WORD_MAX,
                .limit = length < 4 ? 1 : length < 9 ? 2 : 3, /* slips of the keyboard, not other words */
        };
}

void nearest_offer(Nearest *nearest, const char *word) {
        size_t length = word ? strnlen(word, WORD_MAX + 1) : 0;
        unsigned steps;

        if (nearest->is_over || length == 0 || length > WORD_MAX)
                return;
        if (length > nearest->length + nearest->limit || nearest->length > length + nearest->limit)
                return;
        steps = distance(nearest, word, length);
        /* A word of which nothing is left is no suggestion. */
        if (steps <= nearest->limit && steps < length) {
                nearest->best = word;
                nearest->is_over = steps == 0;
                nearest->limit = steps > 0 ? steps - 1 : 0; /* from here on only what is better */
        }
        if (nearest->work >= WORK_MAX)
                nearest->is_over = true;
}

const char *nearest_of(const char *written, const char *const *words, size_t n) {
        Nearest nearest = nearest_begin(written);

        for (size_t i = 0; i < n && !nearest.is_over; i++)
                nearest_offer(&nearest, words[i]);
        return nearest.best;
}
