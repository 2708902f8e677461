#pragma once

/* Reads INI text as systemd reads it, through inih, and hands out sections and pairs with their lines.
 * Knows no keys, opens no files.
 *
 * A comment is a line whose first character is '#' or ';'. A line that ends with a backslash goes on in the next
 * one; comment lines in between are left out. Everything else in a value stands for itself. */

#include <stddef.h>

#include "../../protocol/base.h"

#define INI_KEY_MAX 100u            /* bytes */
#define INI_VALUE_MAX (64u * 1024u) /* bytes, of a line with everything that continues it */

typedef struct IniHandler {
        /* The text between the brackets. NULL: the header was malformed and has been reported; its pairs are
         * not handed out. */
        int (*section)(void *userdata, unsigned line, const char *name);
        int (*pair)(void *userdata, unsigned line, const char *key, const char *value);
        /* Something that is no INI; reading goes on. The message is borrowed for the call. */
        void (*error)(void *userdata, unsigned line, const char *message);
} IniHandler;

/* text need not end with NUL; one within it is an error of its line. A handler's negative return ends the reading
 * and is returned. */
must_check int ini_read(const char *text, size_t size, const IniHandler *handler, void *userdata);
