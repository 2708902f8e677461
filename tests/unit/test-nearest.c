#include "../lib/test.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/base.h"
#include "../../protocol/nearest.h"

static void test_the_word_that_was_meant_is_found(void **state) {
        static const char *const words[] = { "status", "start", "stop", "restart", NULL, "drain", "db", "web", "worker", "web-admin" };
        static const struct {
                const char *written, *meant;
        } rows[] = {
                { "statsu", "status" }, { "strat", "start" }, { "stpo", "stop" }, { "drian", "drain" },
                { "restarts", "restart" }, { "wbe", "web" }, { "webadmin", "web-admin" }, { "d", "db" },
                { "WORKR", "worker" }, { "Drain", "drain" }, { "web", "web" },
                { "xyzzy", NULL }, { "x", NULL }, { "", NULL }, { "database", NULL },
                { "this is longer than any word could ever be, and is no slip of the keyboard", NULL },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                const char *found = nearest_of(rows[i].written, words, n_elements(words));

                if (rows[i].meant) {
                        assert_non_null(found);
                        assert_string_equal(found, rows[i].meant);
                } else
                        assert_null(found);
        }
}

static void test_nearer_wins_over_earlier(void **state) {
        static const char *const words[] = { "worker-xx", "worker-x", "worker" };

        assert_ptr_equal(nearest_of("workr", words, n_elements(words)), words[2]);
        assert_ptr_equal(nearest_of("worker-y", words, n_elements(words)), words[1]);
}

/* A swap may end two rows later in fewer steps than the row between shows. */
static void test_swaps_are_one_step(void **state) {
        static const char *const words[] = { "badc" };

        assert_ptr_equal(nearest_of("abcd", words, 1), words[0]);
        assert_null(nearest_of("dcba", words, 1));
}

static void test_the_work_is_bounded(void **state) {
        char written[65], word[65];
        Nearest nearest;
        unsigned n = 0;

        memset(written, 'a', sizeof(written) - 1);
        memset(word, 'a', sizeof(word) - 1);
        written[64] = word[64] = '\0';
        memcpy(word + 60, "bcd", 3); /* two steps at the least; each word is compared to its end */
        for (nearest = nearest_begin(written); !nearest.is_over && n < 1000000; n++)
                nearest_offer(&nearest, n % 2 == 0 ? word : "b");
        assert_true(nearest.is_over);
        assert_in_range(n, 100, 2000);
        assert_ptr_equal(nearest.best, word);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_word_that_was_meant_is_found),
                cmocka_unit_test(test_nearer_wins_over_earlier),
                cmocka_unit_test(test_swaps_are_one_step),
                cmocka_unit_test(test_the_work_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
