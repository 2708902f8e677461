#pragma once

/* Words of a value, with systemd's quotes and C escapes. Knows no keys. */

#include <stdbool.h>

#include "string-list.h"

enum {
        WORDS_END = 1,    /* no word is left */
        WORDS_UNCLOSED,   /* a quote is not closed */
        WORDS_BAD_ESCAPE, /* a backslash that is followed by nothing known */
};

/* The next word; *text moves behind it. *ret is the caller's: free(). 0, -ENOMEM, or an outcome. */
must_check int words_next(const char **text, char **ret);
/* What an outcome above means, as the end of a sentence. */
const char *words_fault(int outcome);

/* Every word of the text is appended to the list. 0, -ENOMEM, or an outcome; then the list may have grown. */
must_check int words_append(const char *text, StringList *list);

/* The configuration travels as JSON, which can carry nothing else. */
bool words_are_utf8(const char *text, size_t n);
