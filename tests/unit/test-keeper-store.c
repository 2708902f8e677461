#include "../lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../../daemon/keeper/store.h"

static int fresh(void) {
        int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static bool is_open(int fd) {
        return fcntl(fd, F_GETFD) >= 0;
}

static int fd_of(const char *name) {
        for (unsigned i = 0; i < store_count(); i++) {
                const char *found;
                int fd = store_get(i, &found);

                if (strcmp(found, name) == 0)
                        return fd;
        }
        return -1;
}

static int empty(void **state) {
        const char *name;

        while (store_count() > 0) {
                (void) store_get(store_count() - 1, &name);
                (void) store_remove(name);
        }
        return 0;
}

static void test_keeps_what_it_is_given(void **state) {
        int a = fresh(), b = fresh();

        assert_int_equal(store_put("a", a), STORE_ADDED);
        assert_int_equal(store_put("b", b), STORE_ADDED);
        assert_int_equal(store_count(), 2);
        assert_int_equal(fd_of("a"), a);
        assert_int_equal(fd_of("b"), b);
}

static void test_same_name_replaces_and_closes(void **state) {
        int a = fresh(), b = fresh();

        assert_int_equal(store_put("a", a), STORE_ADDED);
        assert_int_equal(store_put("a", b), STORE_REPLACED);
        assert_int_equal(store_count(), 1);
        assert_int_equal(fd_of("a"), b);
        assert_false(is_open(a));
}

static void test_removal_closes_and_leaves_the_others(void **state) {
        int a = fresh(), b = fresh(), c = fresh();

        assert_int_equal(store_put("a", a), STORE_ADDED);
        assert_int_equal(store_put("b", b), STORE_ADDED);
        assert_int_equal(store_put("c", c), STORE_ADDED);
        assert_true(store_remove("a"));
        assert_false(store_remove("a"));
        assert_false(is_open(a));
        assert_int_equal(store_count(), 2);
        assert_int_equal(fd_of("b"), b);
        assert_int_equal(fd_of("c"), c);
        assert_true(store_remove("c"));
        assert_true(store_remove("b"));
        assert_int_equal(store_count(), 0);
}

static void test_refused_names_cost_the_fd(void **state) {
        static const char *const refused[] = {
                "", "ring", "ring-event", "ring-room", "a:b", "a b", "a\nb", "a\177", "\303\244", "sixteen-letters-",
        };

        for (size_t i = 0; i < n_elements(refused); i++) {
                int fd = fresh();

                assert_int_equal(store_put(refused[i], fd), STORE_BAD_NAME);
                assert_false(is_open(fd));
        }
        assert_int_equal(store_put("fifteen-letters", fresh()), STORE_ADDED);
}

static void test_removing_what_is_not_there_is_answered(void **state) {
        assert_false(store_remove("never-there"));
        assert_int_equal(store_count(), 0);
}

/* Numbers that are open nowhere, so that no limit of the machine is in the way: closing them fails, quietly. */
static int unreal(unsigned i) {
        return (1 << 28) + (int) i;
}

static void test_all_names_together_fit_one_environment_string(void **state) {
        size_t bytes = 0;
        unsigned n = 0;
        char name[STORE_NAME_MAX + 1];

        for (;; n++) {
                int r;

                (void) snprintf(name, sizeof(name), "fifteen%08u", n);
                r = store_put(name, unreal(n));
                if (r == STORE_FULL)
                        break;
                assert_int_equal(r, STORE_ADDED);
                bytes += strlen(name) + 1;
        }
        assert_in_range(bytes, STORE_NAMES_MAX - 16, STORE_NAMES_MAX);
        assert_true(store_remove("fifteen00000000"));
        assert_int_equal(store_put(name, unreal(n)), STORE_ADDED);
}

static void test_as_many_as_promised_and_no_more(void **state) {
        unsigned n_kept = 0;
        char name[STORE_NAME_MAX + 1];

        /* Names of four bytes, in base 64, or the bytes would run out first. */
        for (unsigned i = 0; i <= STORE_MAX; i++) {
                int r;

                for (unsigned c = 0; c < 4; c++)
                        name[c] = (char) ('A' + (i >> 4 * c & 15));
                name[4] = '\0';
                r = store_put(name, unreal(i));
                assert_int_equal(r, i < STORE_MAX ? STORE_ADDED : STORE_FULL);
                n_kept += r == STORE_ADDED;
        }
        assert_int_equal(store_count(), n_kept);
        /* A full one still replaces. */
        assert_int_equal(store_put("AAAA", unreal(STORE_MAX + 1)), STORE_REPLACED);
}

/* Against the simplest model: an array in which place i says whether name i is there. */
static void test_random_changes_agree_with_a_model(void **state) {
        int model[64] = { 0 };
        unsigned seed = 4711;

        for (unsigned step = 0; step < 20000; step++) {
                char name[STORE_NAME_MAX + 1];
                unsigned i = (unsigned) rand_r(&seed) % 64, n = 0;

                (void) snprintf(name, sizeof(name), "n%u", i);
                if (rand_r(&seed) % 2) {
                        assert_int_equal(store_put(name, unreal(step)), model[i] ? STORE_REPLACED : STORE_ADDED);
                        model[i] = unreal(step);
                } else {
                        assert_int_equal(store_remove(name), model[i] != 0);
                        model[i] = 0;
                }
                for (unsigned j = 0; j < 64; j++)
                        n += model[j] != 0;
                assert_int_equal(store_count(), n);
                if (model[i])
                        assert_int_equal(fd_of(name), model[i]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_keeps_what_it_is_given, empty),
                cmocka_unit_test_teardown(test_same_name_replaces_and_closes, empty),
                cmocka_unit_test_teardown(test_removal_closes_and_leaves_the_others, empty),
                cmocka_unit_test_teardown(test_refused_names_cost_the_fd, empty),
                cmocka_unit_test_teardown(test_removing_what_is_not_there_is_answered, empty),
                cmocka_unit_test_teardown(test_all_names_together_fit_one_environment_string, empty),
                cmocka_unit_test_teardown(test_as_many_as_promised_and_no_more, empty),
                cmocka_unit_test_teardown(test_random_changes_agree_with_a_model, empty),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
