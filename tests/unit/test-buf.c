#include "../lib/test.h"

#include <string.h>

#include "../../protocol/buf.h"

static void test_bytes_come_out_as_they_went_in(void **state) {
        cleanup(buf_done) Buf buf = buf_make(100000);
        unsigned char next_in = 0, next_out = 0;

        for (unsigned round = 0; round < 2000; round++) {
                size_t n_in = round * 7 % 97, n_out;

                for (size_t i = 0; i < n_in; i++)
                        assert_int_equal(buf_append(&buf, (const char[]) { (char) next_in++ }, 1), 0);
                n_out = round * 5 % 103;
                if (n_out > buf.length)
                        n_out = buf.length;
                for (size_t i = 0; i < n_out; i++)
                        assert_int_equal((unsigned char) buf_bytes(&buf)[i], next_out++);
                buf_consume(&buf, n_out);
        }
}

static void test_the_maximum_is_hard_and_failure_changes_nothing(void **state) {
        cleanup(buf_done) Buf buf = buf_make(5000);
        char bytes[5001] = "abc";
        char *room;

        assert_int_equal(buf_append(&buf, bytes, 5001), -ENOBUFS);
        assert_int_equal(buf_append(&buf, bytes, 5000), 0);
        assert_int_equal(buf_append(&buf, bytes, 1), -ENOBUFS);
        assert_int_equal(buf_reserve(&buf, SIZE_MAX, &room), -ENOBUFS);
        assert_int_equal(buf_append(&buf, bytes, 0), 0);
        assert_int_equal(buf.length, 5000);
        assert_true(buf.allocated <= 5000);
        buf_consume(&buf, 4000);
        assert_int_equal(buf_append(&buf, bytes, 4000), 0);
        assert_int_equal(buf_append(&buf, bytes, 1), -ENOBUFS);
}

static void test_an_empty_one_gives_its_memory_back(void **state) {
        cleanup(buf_done) Buf buf = buf_make(1 << 20);
        static const char bytes[1 << 19];

        assert_int_equal(buf_append(&buf, bytes, sizeof(bytes)), 0);
        buf_consume(&buf, sizeof(bytes));
        assert_int_equal(buf.length, 0);
        assert_true(buf.allocated <= 1024);
        assert_string_equal(buf_bytes(&buf), "");
}

static void test_room_may_be_filled_in_place(void **state) {
        cleanup(buf_done) Buf buf = buf_make(64);
        char *room;

        assert_int_equal(buf_append(&buf, "ab", 2), 0);
        assert_int_equal(buf_reserve(&buf, 10, &room), 0);
        memcpy(room, "cd", 2);
        buf_commit(&buf, 2);
        assert_memory_equal(buf_bytes(&buf), "abcd", 4);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bytes_come_out_as_they_went_in),
                cmocka_unit_test(test_the_maximum_is_hard_and_failure_changes_nothing),
                cmocka_unit_test(test_an_empty_one_gives_its_memory_back),
                cmocka_unit_test(test_room_may_be_filled_in_place),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
