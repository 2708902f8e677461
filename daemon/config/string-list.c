#include "string-list.h"

#include <string.h>

void string_list_done(StringList *list) {
        for (unsigned i = 0; i < list->n; i++)
                free(list->items[i]);
        free(list->items);
        *list = (StringList){ 0 };
}

int string_list_append(StringList *list, char *item) {
        char **items = item ? reallocarray(list->items, list->n + 1, sizeof(*items)) : NULL;

        if (!items) {
                free(item);
                return -ENOMEM;
        }
        list->items = items;
        items[list->n++] = item;
        return 0;
}

int string_list_append_new(StringList *list, char *item, bool *ret_is_new) {
        bool is_new = !item || !string_list_has(list, item);
        int r = 0;

        if (is_new)
                r = string_list_append(list, item);
        else
                free(item);
        if (r == 0 && ret_is_new)
                *ret_is_new = is_new;
        return r;
}

bool string_list_has(const StringList *list, const char *item) {
        for (unsigned i = 0; i < list->n; i++)
                if (strcmp(list->items[i], item) == 0)
                        return true;
        return false;
}

void string_list_remove(StringList *list, const char *item) {
        for (unsigned i = 0; i < list->n; i++)
                if (strcmp(list->items[i], item) == 0) {
                        free(list->items[i]); /* perhaps item itself: not looked at again */
                        memmove(&list->items[i], &list->items[i + 1], (--list->n - i) * sizeof(*list->items));
                        return;
                }
}
