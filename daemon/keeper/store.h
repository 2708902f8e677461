#pragma once

/* The file descriptors that the keeper holds for the core, each under a name of its own. Static memory.
 * The store owns them. Knows neither sockets nor messages. */

#include <stdbool.h>
#include <stddef.h>

#include "../../protocol/base.h"

#define STORE_MAX       24576u
#define STORE_NAME_MAX  15u            /* bytes of a name that the core gives */
#define STORE_NAMES_MAX (120u * 1024u) /* bytes of all of them, a colon each: one environment string holds 128 KiB */

enum {
        STORE_ADDED,
        STORE_REPLACED = 1, /* the fd of that name was closed */
        STORE_BAD_NAME,     /* too long, or a character that LISTEN_FDNAMES cannot carry */
        STORE_FULL,
};

/* Consumes fd, whatever comes of it. One of the outcomes above. */
must_check int store_put(const char *name, int fd);
/* Closes it; false when there is no such name. */
bool store_remove(const char *name);
unsigned store_count(void);
/* The fd and the name in place index, for each index below store_count(). Borrowed until the next change. */
int store_get(unsigned index, const char **ret_name);
