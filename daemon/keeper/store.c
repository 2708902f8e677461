#include "store.h"

#include <stdint.h>
#include <string.h>

#include "../../protocol/ring.h" /* names that are taken */

#define STORE_BUCKETS 32768u /* a power of two above STORE_MAX: chains stay short */

/* Entries lie without gaps, so that they are passed in one go; a removed one is replaced by the last.
 * Chains hold places plus one, so that zeroed memory is an empty store. */
typedef struct StoreEntry {
        int fd;
        uint16_t next;
        char name[STORE_NAME_MAX + 1];
} StoreEntry;

_Static_assert(STORE_MAX < UINT16_MAX, "a place fits into its link");

static StoreEntry store_entries[STORE_MAX];
static uint16_t store_buckets[STORE_BUCKETS];
static unsigned store_n;
static size_t store_names_bytes;

static uint16_t *store_bucket(const char *name) {
        uint32_t hash = 0;

        /* Names come from our own core, and most are a letter and a number that counts up: those fall into neighbouring
         * buckets, so few pages are touched. Nobody aims at it. */
        for (; *name; name++)
                hash = hash * 10 + (unsigned char) *name;
        return &store_buckets[hash & (STORE_BUCKETS - 1)];
}

/* The link that leads to the entry of that name; it holds 0 where the chain ends without one. */
static uint16_t *store_find(const char *name) {
        uint16_t *link = store_bucket(name);

        while (*link && strcmp(store_entries[*link - 1].name, name) != 0)
                link = &store_entries[*link - 1].next;
        return link;
}

static bool store_name_is_valid(const char *name) {
        size_t length = strlen(name);

        if (length == 0 || length > STORE_NAME_MAX)
                return false;
        for (const char *c = name; *c; c++)
                if (*c <= ' ' || *c > '~' || *c == ':')
                        return false;
        return strcmp(name, RING_FDNAME) != 0 && strcmp(name, RING_EVENT_FDNAME) != 0 &&
               strcmp(name, RING_ROOM_FDNAME) != 0;
}

int store_put(const char *name, int fd) {
        cleanup(fd_closep) int owned = fd;
        uint16_t *link;
        StoreEntry *entry;

        if (!store_name_is_valid(name))
                return STORE_BAD_NAME;
        link = store_find(name);
        if (*link) {
                entry = &store_entries[*link - 1];
                (void) fd_close(entry->fd);
                entry->fd = take_fd(owned);
                return STORE_REPLACED;
        }
        if (store_n == STORE_MAX || store_names_bytes + strlen(name) + 1 > STORE_NAMES_MAX)
                return STORE_FULL;
        entry = &store_entries[store_n++];
        *entry = (StoreEntry) { .fd = take_fd(owned) };
        memcpy(entry->name, name, strlen(name) + 1);
        *link = (uint16_t) store_n;
        store_names_bytes += strlen(name) + 1;
        return STORE_ADDED;
}

bool store_remove(const char *name) {
        uint16_t *link = store_find(name);
        unsigned place, last;

        if (!*link)
                return false;
        place = *link - 1u;
        *link = store_entries[place].next;
        (void) fd_close(store_entries[place].fd);
        store_names_bytes -= strlen(store_entries[place].name) + 1;
        last = --store_n;
        if (place != last) {
                *store_find(store_entries[last].name) = (uint16_t) (place + 1);
                store_entries[place] = store_entries[last];
        }
        return true;
}

unsigned store_count(void) {
        return store_n;
}

int store_get(unsigned index, const char **ret_name) {
        *ret_name = store_entries[index].name;
        return store_entries[index].fd;
}
