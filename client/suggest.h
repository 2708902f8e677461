#pragma once

/* "Did you mean": the one of several words that is nearest to what was written. */

#include <stddef.h>

/* Borrowed from candidates; NULL when none is near enough to be meant. Candidates that are NULL are passed over. */
const char *suggest_nearest(const char *word, const char *const *candidates, size_t n);
