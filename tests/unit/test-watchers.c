#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/watchers.h"

typedef struct Seen {
        Watcher watcher;
        char name;
} Seen;

static void walk_over(Watchers *list, char *ret) {
        WatchersWalk walk;
        size_t n = 0;

        for (Watcher *w = watchers_begin(&walk, list); w; w = watchers_next(&walk))
                ret[n++] = container_of(w, Seen, watcher)->name;
        ret[n] = '\0';
}

static void test_watchers_are_met_in_the_order_in_which_they_came(void **state) {
        Watchers list = { 0 };
        Seen a = { .name = 'a' }, b = { .name = 'b' }, c = { .name = 'c' };
        char seen[8];

        watchers_add(&list, &a.watcher);
        watchers_add(&list, &b.watcher);
        watchers_add(&list, &c.watcher);
        watchers_add(&list, &a.watcher); /* again: moves to the end */
        walk_over(&list, seen);
        assert_string_equal(seen, "bca");
        watchers_remove(&c.watcher);
        watchers_remove(&c.watcher);
        walk_over(&list, seen);
        assert_string_equal(seen, "ba");
        watchers_remove(&a.watcher);
        watchers_remove(&b.watcher);
        assert_null(list.first);
        assert_null(list.last);
}

static void test_any_watcher_may_leave_during_walks_within_walks(void **state) {
        for (unsigned leaver = 0; leaver < 4; leaver++)
                for (unsigned at = 0; at < 4; at++) {
                        Seen all[4] = { { .name = 'a' }, { .name = 'b' }, { .name = 'c' }, { .name = 'd' } };
                        char outer[8] = "", inner[8], expected[8] = "";
                        Watchers list = { 0 };
                        WatchersWalk walk;
                        size_t n = 0;

                        for (unsigned i = 0; i < 4; i++)
                                watchers_add(&list, &all[i].watcher);
                        for (Watcher *w = watchers_begin(&walk, &list); w; w = watchers_next(&walk)) {
                                outer[n++] = container_of(w, Seen, watcher)->name;
                                walk_over(&list, inner);
                                if (n == at + 1)
                                        watchers_remove(&all[leaver].watcher);
                        }
                        for (unsigned i = 0; i < 4; i++)
                                if (i != leaver || i <= at)
                                        strncat(expected, &all[i].name, 1);
                        assert_string_equal(outer, expected);
                        walk_over(&list, inner);
                        assert_int_equal(strlen(inner), 3);
                        assert_null(list.walks);
                }
}

static void test_who_comes_during_a_walk_is_met_by_it(void **state) {
        Watchers list = { 0 };
        Seen a = { .name = 'a' }, b = { .name = 'b' };
        WatchersWalk walk;
        char seen[8] = "";

        watchers_add(&list, &a.watcher);
        for (Watcher *w = watchers_begin(&walk, &list); w; w = watchers_next(&walk)) {
                strncat(seen, &container_of(w, Seen, watcher)->name, 1);
                if (!b.watcher.in)
                        watchers_add(&list, &b.watcher);
        }
        assert_string_equal(seen, "ab");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_watchers_are_met_in_the_order_in_which_they_came),
                cmocka_unit_test(test_any_watcher_may_leave_during_walks_within_walks),
                cmocka_unit_test(test_who_comes_during_a_walk_is_met_by_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
