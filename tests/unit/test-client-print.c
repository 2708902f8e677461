#include "../lib/test.h"

#include <assert.h>
#include <locale.h>
#include <string.h>

#include "../../client/plan-chart.h"
#include "../../client/print.h"
#include "../../client/view.h"

static const Screen terminal = { .is_terminal = true, .has_colours = true, .has_unicode = true,
                                 .columns = 10, .rows = 5 };
static const Screen file = { .has_unicode = true, .columns = 80, .rows = 24 };

static void test_foreign_text_cannot_steer_the_terminal(void **state) {
        static const struct {
                const char *foreign, *shown;
        } cases[] = {
                { "plain", "plain" }, { "a\tb", "a b" }, { "a\nb\r", "a?b?" }, { "\033[2J", "?[2J" }, { "\x7f", "?" },
                { "\xc2\x9b" "1m", "?1m" }, { "\xff\xfe", "??" }, { "\xc3", "?" }, { "\xe2\x80\xae" "x", "?x" },
                { "\xc3\xbc\xe2\x82\xac", "\xc3\xbc\xe2\x82\xac" }, { "", "" },
        };

        for (size_t i = 0; i < n_elements(cases); i++) {
                Text text = text_make(&file, false);

                text_add_foreign(&text, cases[i].foreign);
                assert_string_equal(text.bytes ? text.bytes : "", cases[i].shown);
                assert_int_equal(text.column, text_width(&file, cases[i].foreign));
                text_done(&text);
        }
}

static void test_lines_of_a_terminal_are_cut(void **state) {
        Text text = text_make(&terminal, true);

        text_add(&text, "%s", "0123456789\nab\n");
        /* Each two columns wide. */
        text_add_foreign(&text, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2");
        assert_string_equal(text.bytes, "012345678\xe2\x80\xa6\nab\n"
                                        "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe2\x80\xa6");
        text_done(&text);
}

static void test_columns_are_counted_without_colours(void **state) {
        Text text = text_make(&terminal, true);

        text_add_coloured(&text, COLOUR_RED, "ab");
        text_pad(&text, 4);
        text_add(&text, "c");
        assert_string_equal(text.bytes, "\033[31mab\033[0m  c");
        assert_int_equal(text.column, 5);
        text_done(&text);
}

static void test_colours_of_output_stay_and_all_else_goes(void **state) {
        static const struct {
                const char *written, *shown;
        } cases[] = {
                { "\033[31mred\033[0m", "\033[31mred\033[0m\033[0m" },
                { "\033[1;32mx\033[2Jy", "\033[1;32mx?[2Jy\033[0m" },
                { "\033", "?" },
                { "\033[", "?[" },
                { "a\033]0;t\007", "a?]0;t?" },
        };
        Screen wide = terminal;

        wide.columns = 200;
        for (size_t i = 0; i < n_elements(cases); i++) {
                Text text = text_make(&wide, false), raw = text_make(&file, false);

                text_add_output(&text, cases[i].written);
                assert_string_equal(text.bytes, cases[i].shown);
                text_add_output(&raw, cases[i].written); /* a file gets what was written */
                assert_string_equal(raw.bytes, cases[i].written);
                text_done(&text);
                text_done(&raw);
        }
}

static void test_a_newer_daemon_is_understood(void **state) {
        json_t *object = json_pack("{s:s, s:s, s:i, s:s, s:n, s:[s, i]}", "name", "web", "state", "running",
                                   "leftUsec", -5, "ready", "yes", "mainPid", "requires", "app", 7);
        ServiceView view = view_service(object);

        assert_string_equal(view.name, "web");
        assert_true(view_service_is_running(&view));
        assert_true(view.left == USEC_INFINITY);
        assert_false(view.ready);
        assert_int_equal(view.main_pid, -1);
        json_decref(object);
}

/* Also where it would divide by nothing, or run past what a number holds. */
static void test_a_plan_of_any_numbers_is_drawn(void **state) {
        static const json_int_t ends[] = { 0, 1, 999, 30000000, INT64_MAX };

        for (size_t i = 0; i < n_elements(ends); i++) {
                json_t *plan = json_pack("{s:I, s:I, s:[{s:s, s:I, s:I, s:b}]}", "budgetUsec",
                                         ends[n_elements(ends) - 1 - i],
                                         "outerUsec", ends[i], "services", "name", "web", "killAt",
                                         ends[i] / 2, "endAt",
                                         ends[i], "cut", 1);
                Text text = text_make(&file, false);

                plan_chart_add(&text, plan);
                assert_non_null(strstr(text.bytes, "\nweb "));
                text_done(&text);
                json_decref(plan);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_foreign_text_cannot_steer_the_terminal),
                cmocka_unit_test(test_lines_of_a_terminal_are_cut),
                cmocka_unit_test(test_columns_are_counted_without_colours),
                cmocka_unit_test(test_colours_of_output_stay_and_all_else_goes),
                cmocka_unit_test(test_a_newer_daemon_is_understood),
                cmocka_unit_test(test_a_plan_of_any_numbers_is_drawn),
        };

        assert(setlocale(LC_CTYPE, "C.UTF-8"));
        return cmocka_run_group_tests(tests, NULL, NULL);
}
