#include "../lib/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/clock.h"

#define MINUTE (60 * USEC_PER_SEC)

static void test_time_spans_are_read_as_systemd_reads_them(void **state) {
        static const struct {
                const char *text;
                usec_t expected;
        } rows[] = {
                { "0", 0 },
                { "90", 90 * USEC_PER_SEC },
                { "30s", 30 * USEC_PER_SEC },
                { " 30 s ", 30 * USEC_PER_SEC },
                { "1min 30s", 90 * USEC_PER_SEC },
                { "1min30s", 90 * USEC_PER_SEC },
                { "1m 30", 90 * USEC_PER_SEC },
                { "500ms", 500 * USEC_PER_MSEC },
                { "500 msec", 500 * USEC_PER_MSEC },
                { "1.5s", 1500 * USEC_PER_MSEC },
                { ".5s", 500 * USEC_PER_MSEC },
                { "5.s", 5 * USEC_PER_SEC },
                { "0.000001s", 1 },
                { "0.0000001s", 0 },
                { "1.25min", 75 * USEC_PER_SEC },
                { "7us", 7 },
                { "7usec", 7 },
                { "7\xc2\xb5s", 7 },
                { "2 seconds 3 minutes", 182 * USEC_PER_SEC },
                { "1second", USEC_PER_SEC },
                { "1 minute", MINUTE },
                { "1h", 60 * MINUTE },
                { "1hr", 60 * MINUTE },
                { "2hours", 120 * MINUTE },
                { "1d", 24 * 60 * MINUTE },
                { "1 day 2days", 3 * 24 * 60 * MINUTE },
                { "1w", 7 * 24 * 60 * MINUTE },
                { "2weeks", 14 * 24 * 60 * MINUTE },
                { "1M", UINT64_C(2629800) * USEC_PER_SEC },
                { "1y", UINT64_C(31557600) * USEC_PER_SEC },
                { "infinity", USEC_INFINITY },
                { "  infinity\n", USEC_INFINITY },
                { "18446744073709551614us", USEC_INFINITY - 1 },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                usec_t value = 12345;

                if (duration_parse(rows[i].text, &value) < 0 || value != rows[i].expected)
                        fail_msg("'%s' is %" PRIu64 ", not %" PRIu64, rows[i].text, value, rows[i].expected);
        }
}

static void test_what_is_no_time_span_is_refused(void **state) {
        static const struct {
                const char *text;
                int error;
        } rows[] = {
                { "", -EINVAL },        { "  ", -EINVAL },         { "-1", -EINVAL },       { "+1", -EINVAL },
                { "s", -EINVAL },       { ".", -EINVAL },          { "1.2.3", -EINVAL },    { "1 parsec", -EINVAL },
                { "1S", -EINVAL },      { "infinity1", -EINVAL },  { "1 infinity", -EINVAL }, { "0x10", -EINVAL },
                { "1e3", -EINVAL },     { "1,5s", -EINVAL },       { "30sec!", -EINVAL },   { "nan", -EINVAL },
                { "18446744073709551615us", -ERANGE }, { "18446744073709551616", -ERANGE },
                { "999999999999999y", -ERANGE },       { "18446744073709551614us 1us", -ERANGE },
                { "18446744073709551614us 0.9s", -ERANGE },
                { "99999999999999999999999999999999999999", -ERANGE },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                usec_t value = 12345;
                int r = duration_parse(rows[i].text, &value);

                if (r != rows[i].error || (r < 0 && value != 12345))
                        fail_msg("'%s' returned %d, not %d", rows[i].text, r, rows[i].error);
        }
}

static void test_time_spans_are_written_for_people(void **state) {
        static const struct {
                usec_t value;
                const char *expected;
        } rows[] = {
                { 0, "0" },
                { USEC_INFINITY, "infinity" },
                { 1, "1us" },
                { 120 * USEC_PER_MSEC, "120ms" },
                { 1500, "1.5ms" },
                { 2500 * USEC_PER_MSEC, "2.5s" },
                { 2 * USEC_PER_SEC + 1, "2.000001s" },
                { 90 * USEC_PER_SEC, "1min 30s" },
                { MINUTE, "1min" },
                { MINUTE + 250 * USEC_PER_MSEC, "1min 250ms" },
                { 25 * 60 * MINUTE, "1d 1h" },
                { 8 * 24 * 60 * MINUTE + 5 * USEC_PER_SEC, "1w 1d 5s" },
        };
        char text[DURATION_TEXT_MAX], small[4];

        for (size_t i = 0; i < n_elements(rows); i++)
                assert_string_equal(duration_format(text, sizeof(text), rows[i].value), rows[i].expected);
        assert_string_equal(duration_format(small, sizeof(small), 90 * USEC_PER_SEC), "1mi");
        (void) duration_format(small, 0, 1);
}

static void test_what_is_written_reads_back_the_same(void **state) {
        uint64_t random = 42;

        for (unsigned i = 0; i < 200000; i++) {
                char text[DURATION_TEXT_MAX];
                usec_t value, back;

                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                value = random >> (i % 64);
                (void) duration_format(text, sizeof(text), value);
                if (duration_parse(text, &back) < 0 || back != value)
                        fail_msg("%" PRIu64 " became '%s'", value, text);
        }
}

static void test_rounding_keeps_what_people_care_about(void **state) {
        assert_int_equal(duration_round(1234), 1234);
        assert_int_equal(duration_round(123456), 123000);
        assert_int_equal(duration_round(2503817), 2500000);
        assert_int_equal(duration_round(2550000), 2600000);
        assert_int_equal(duration_round(61400000), 61000000);
        assert_true(duration_round(USEC_INFINITY) == USEC_INFINITY);
}

static void test_deadlines_only_shrink_on_their_way_down(void **state) {
        assert_int_equal(deadline_within(100, 10, 50), 60);
        assert_int_equal(deadline_within(100, 10, 500), 100);
        assert_int_equal(deadline_within(100, 10, USEC_INFINITY), 100);
        assert_true(deadline_within(USEC_INFINITY, 10, USEC_INFINITY) == USEC_INFINITY);
        assert_int_equal(usec_left(100, 40), 60);
        assert_int_equal(usec_left(100, 140), 0);
        assert_true(usec_left(USEC_INFINITY, 140) == USEC_INFINITY);
}

static void test_the_clock_does_not_go_back(void **state) {
        usec_t before = clock_now_usec();

        assert_true(before > 0);
        assert_true(clock_now_usec() >= before);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_time_spans_are_read_as_systemd_reads_them),
                cmocka_unit_test(test_what_is_no_time_span_is_refused),
                cmocka_unit_test(test_time_spans_are_written_for_people),
                cmocka_unit_test(test_what_is_written_reads_back_the_same),
                cmocka_unit_test(test_rounding_keeps_what_people_care_about),
                cmocka_unit_test(test_deadlines_only_shrink_on_their_way_down),
                cmocka_unit_test(test_the_clock_does_not_go_back),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
