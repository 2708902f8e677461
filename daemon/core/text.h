#pragma once

/* Makes text from outside safe to print, to log and to put into JSON: one line of valid UTF-8 without control
 * characters. Knows nothing of where it comes from. */

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/base.h"

#define TEXT_ESCAPE_GROWTH 4u /* one byte becomes "\xNN" at most */

/* Copies text with control characters (tab excepted) and bytes that are no UTF-8 as \xNN; a backslash stays, so the
 * result is for reading, not for undoing. Cut where size ends, between characters; ends with NUL. Returns its length
 * without the NUL. size is 1 at least. */
size_t text_escape(char *ret, size_t size, const char *text, size_t length);
/* The same in place and without growing: each such byte becomes '?'. Returns whether any did. */
bool text_replace(char *text, size_t length);
/* The longest length up to max that does not end within a character. */
size_t text_cut(const char *text, size_t length, size_t max);
