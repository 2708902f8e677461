#include "../lib/test.h"

#include <string.h>

#include "../../protocol/frame.h"

static void test_a_message_ends_with_its_nul(void **state) {
        static const char bytes[] = "one\0two\0thr";
        size_t scanned = 0, length = 99;

        assert_int_equal(frame_find(bytes, 11, 100, &scanned, &length), FRAME_MESSAGE);
        assert_int_equal(length, 3);
        scanned = 0;
        assert_int_equal(frame_find(bytes + 4, 7, 100, &scanned, &length), FRAME_MESSAGE);
        assert_int_equal(length, 3);
        scanned = 0;
        length = 99;
        assert_int_equal(frame_find(bytes + 8, 3, 100, &scanned, &length), FRAME_MORE);
        assert_int_equal(scanned, 3);
        assert_int_equal(length, 99);
}

static void test_bytes_may_arrive_one_by_one(void **state) {
        static const char bytes[] = "{\"method\":\"a.b\"}";
        size_t scanned = 0, length = 0;

        for (size_t n = 0; n < sizeof(bytes); n++) {
                FrameOutcome outcome = frame_find(bytes, n, 100, &scanned, &length);

                assert_int_equal(outcome, FRAME_MORE);
                assert_int_equal(scanned, n);
        }
        assert_int_equal(frame_find(bytes, sizeof(bytes), 100, &scanned, &length), FRAME_MESSAGE);
        assert_int_equal(length, sizeof(bytes) - 1);
}

static void test_the_limit_counts_the_bytes_before_the_nul(void **state) {
        static const char bytes[] = "12345";
        size_t scanned = 0, length = 0;

        assert_int_equal(frame_find(bytes, 6, 5, &scanned, &length), FRAME_MESSAGE);
        scanned = 0;
        assert_int_equal(frame_find(bytes, 5, 5, &scanned, &length), FRAME_MORE);
        assert_int_equal(frame_find(bytes, 5, 4, &scanned, &length), FRAME_TOO_LARGE);
        scanned = 0;
        assert_int_equal(frame_find(bytes, 6, 4, &scanned, &length), FRAME_TOO_LARGE);
}

static void test_a_flood_of_nuls_is_many_empty_messages(void **state) {
        static const char bytes[64];
        size_t scanned = 0, length = 7;

        assert_int_equal(frame_find(bytes, sizeof(bytes), 100, &scanned, &length), FRAME_MESSAGE);
        assert_int_equal(length, 0);
        assert_int_equal(frame_find(bytes, 0, 100, &scanned, &length), FRAME_MORE);
}

static void test_nesting_is_counted_outside_of_strings(void **state) {
        static const struct {
                const char *text;
                bool is_fine;
        } rows[] = {
                { "", true },
                { "[[[]]]", true },
                { "[[[[]]]]", false },
                { "{\"a\":{\"b\":[]}}", true },
                { "{\"a\":{\"b\":[{}]}}", false },
                { "[\"[[[[[[[[\"]", true },
                { "[\"\\\"[[[[[[[[\"]", true },
                { "[\"\\\\\",[[[", false },
                { "[\"\\\\\",[[", true },
                { "][][][][[[[", false },
                { "]]]]]][[[", true },
                { "[][][][][][]", true },
                { "\"\\", true },
                { "\"[[[[[[[", true },
        };

        for (size_t i = 0; i < n_elements(rows); i++)
                if (frame_is_nested_within(rows[i].text, strlen(rows[i].text), 3) != rows[i].is_fine)
                        fail_msg("row %zu: %s", i, rows[i].text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_message_ends_with_its_nul),
                cmocka_unit_test(test_bytes_may_arrive_one_by_one),
                cmocka_unit_test(test_the_limit_counts_the_bytes_before_the_nul),
                cmocka_unit_test(test_a_flood_of_nuls_is_many_empty_messages),
                cmocka_unit_test(test_nesting_is_counted_outside_of_strings),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
