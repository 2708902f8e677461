#pragma once

/* An owned list of owned strings. */

#include <stdbool.h>

#include "../../protocol/base.h"

/* items may be NULL when n is 0. */
typedef struct StringList {
        char **items;
        unsigned n;
} StringList;

/* Frees what it owns and leaves it empty. */
void string_list_done(StringList *list);
/* item is consumed, on failure too. */
must_check int string_list_append(StringList *list, char *item);
/* As above, unless the list has it already. *ret_is_new may be NULL. */
must_check int string_list_append_new(StringList *list, char *item, bool *ret_is_new);
bool string_list_has(const StringList *list, const char *item);
/* The first that equals the item, which may be the list's own. */
void string_list_remove(StringList *list, const char *item);
