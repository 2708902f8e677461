#include "pid-table.h"

#include <string.h>

enum { SLOTS_MIN = 64, SLOTS_LIMIT = 1 << 24 };

void pid_table_done(PidTable *table) {
        free(table->entries);
        *table = (PidTable) { 0 };
}

/* Pids are handed out in order: neighbours must not make one long run with those of the last round. */
static unsigned slot_of(const PidTable *table, pid_t pid) {
        return ((unsigned) pid * 0x9E3779B1u >> 7) & (table->n_slots - 1);
}

static PidEntry *find_slot(const PidTable *table, pid_t pid) {
        unsigned i = slot_of(table, pid);

        while (table->entries[i].pid != 0 && table->entries[i].pid != pid)
                i = (i + 1) & (table->n_slots - 1);
        return &table->entries[i];
}

/* At most two thirds are used, so a search finds a free slot. */
static bool has_room(const PidTable *table, unsigned n) {
        return n <= table->n_slots / 3 * 2;
}

int pid_table_reserve(PidTable *table, unsigned n) {
        PidTable bigger = { .n_slots = table->n_slots > 0 ? table->n_slots : SLOTS_MIN };

        if (table->n_slots > 0 && has_room(table, n))
                return 0;
        while (!has_room(&bigger, n) && bigger.n_slots < SLOTS_LIMIT)
                bigger.n_slots *= 2;
        if (!has_room(&bigger, n))
                return -ENOMEM;
        bigger.entries = calloc(bigger.n_slots, sizeof(*bigger.entries));
        if (!bigger.entries)
                return -ENOMEM;
        bigger.n = table->n;
        for (unsigned i = 0; i < table->n_slots; i++)
                if (table->entries[i].pid != 0)
                        *find_slot(&bigger, table->entries[i].pid) = table->entries[i];
        free(table->entries);
        *table = bigger;
        return 0;
}

PidEntry *pid_table_find(const PidTable *table, pid_t pid) {
        PidEntry *entry;

        if (table->n == 0 || pid <= 0)
                return NULL;
        entry = find_slot(table, pid);
        return entry->pid != 0 ? entry : NULL;
}

int pid_table_put(PidTable *table, const PidEntry *entry) {
        PidEntry *slot;

        if (table->n_slots == 0 || entry->pid <= 0)
                return -ENOSPC;
        slot = find_slot(table, entry->pid);
        if (slot->pid == 0) {
                if (!has_room(table, table->n + 1))
                        return -ENOSPC;
                table->n++;
        }
        *slot = *entry;
        return 0;
}

/* Closes the gap: whoever stands behind it in the same run, and could stand in it, moves up. */
static void close_gap(PidTable *table, unsigned gap) {
        unsigned mask = table->n_slots - 1;

        for (unsigned i = (gap + 1) & mask; table->entries[i].pid != 0; i = (i + 1) & mask) {
                unsigned home = slot_of(table, table->entries[i].pid);

                if (((i - home) & mask) < ((i - gap) & mask))
                        continue; /* its home lies behind the gap */
                table->entries[gap] = table->entries[i];
                gap = i;
        }
        table->entries[gap] = (PidEntry) { 0 };
}

void pid_table_remove(PidTable *table, pid_t pid) {
        PidEntry *entry = pid_table_find(table, pid);

        if (!entry)
                return;
        close_gap(table, (unsigned) (entry - table->entries));
        table->n--;
}

/* Removing moves entries towards their homes, so into a slot that is looked at again or was looked at before; those
 * that wrap around from the start to the end are asked about twice. */
void pid_table_filter(PidTable *table, bool (*keep)(const PidEntry *entry, void *userdata), void *userdata) {
        for (unsigned i = 0; i < table->n_slots; i++)
                while (table->entries[i].pid != 0 && !keep(&table->entries[i], userdata)) {
                        close_gap(table, i);
                        table->n--;
                }
}

void pid_table_empty(PidTable *table) {
        if (table->n > 0)
                memset(table->entries, 0, table->n_slots * sizeof(*table->entries));
        table->n = 0;
}
