#include "../lib/test.h"

#include <fcntl.h>
#include <unistd.h>

#include "../../client/options.h"
#include "../../client/verb.h"

#define ARGUMENTS_MAX 8

static int parse(const char *const *arguments, Options *ret) {
        char *argv[ARGUMENTS_MAX + 2] = { (char *) "drainctl" };
        int argc = 1;

        for (; arguments[argc - 1]; argc++)
                argv[argc] = (char *) arguments[argc - 1];
        return (int) options_parse(argc, argv, ret);
}

static void test_names_and_options_may_be_mixed(void **state) {
        static const char *const arguments[] = { "-q", "stop", "--budget", "1min 30s", "web", "-r=x", "app", NULL };
        Options options;

        assert_int_equal(parse(arguments, &options), OPTIONS_PARSED);
        assert_string_equal(options.verb, "stop");
        assert_int_equal(options.n_names, 2);
        assert_string_equal(options.names[0], "web");
        assert_string_equal(options.names[1], "app");
        assert_null(options.names[2]);
        assert_int_equal(options.given, OPTION_QUIET | OPTION_BUDGET | OPTION_REASON);
        assert_int_equal(options.budget, 90 * USEC_PER_SEC);
        assert_int_equal(options.timeout, USEC_INFINITY);
        assert_string_equal(options.reason, "=x");
        options_done(&options);
}

static void test_letters_may_be_bundled(void **state) {
        static const char *const arguments[] = { "logs", "-qfn7", NULL };
        Options options;

        assert_int_equal(parse(arguments, &options), OPTIONS_PARSED);
        assert_int_equal(options.given, OPTION_QUIET | OPTION_FOLLOW | OPTION_LINES);
        assert_int_equal(options.n_lines, 7);
        options_done(&options);
}

static void test_two_dashes_end_the_options(void **state) {
        static const char *const arguments[] = { "stop", "--", "--now", "-q", "-", NULL };
        Options options;

        assert_int_equal(parse(arguments, &options), OPTIONS_PARSED);
        assert_int_equal(options.given, 0);
        assert_int_equal(options.n_names, 3);
        options_done(&options);
}

/* Each says why on stderr, which is of no interest here. */
static void test_what_is_wrong_is_refused(void **state) {
        static const char *const wrong[][3] = {
                { "--nope" }, { "-X" }, { "--budget" }, { "--budget=" }, { "--budget", "x" }, { "--now=1" },
                { "-n", "-1" },
                { "-n" }, { "-n5x" }, { "--until", "gone" }, { "--for=" }, { "--whom", "" }, { "--socket=" },
                { "--=" },
        };
        int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        assert_true(kept >= 0 && null >= 0 && dup2(null, STDERR_FILENO) == STDERR_FILENO);
        for (size_t i = 0; i < n_elements(wrong); i++) {
                const char *const arguments[] = { wrong[i][0], wrong[i][1], NULL };
                Options options;
                int outcome = parse(arguments, &options);

                options_done(&options);
                assert_int_equal(outcome, OPTIONS_WRONG);
        }
        assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
        (void) close(kept);
        (void) close(null);
}

static void test_every_verb_is_whole(void **state) {
        size_t n = 0;

        for (const Verb *verb = verb_table; verb->name; verb++, n++) {
                assert_non_null(verb->run);
                assert_true(verb->names_min <= verb->names_max);
                assert_true(verb->names_min == 0 || verb->usage_hint);
                assert_int_equal(verb->options & OPTIONS_COMMON, 0);
                assert_ptr_equal(verb_find(verb->name), verb);
        }
        assert_in_range(n, 18, 40);
        assert_null(verb_find("nope"));
        assert_string_equal(verb_suggest("ls"), "status");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names_and_options_may_be_mixed),
                cmocka_unit_test(test_letters_may_be_bundled),
                cmocka_unit_test(test_two_dashes_end_the_options),
                cmocka_unit_test(test_what_is_wrong_is_refused),
                cmocka_unit_test(test_every_verb_is_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
