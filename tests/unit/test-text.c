#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/text.h"

static const struct {
        const char *raw;
        size_t length;
        const char *escaped, *replaced;
} texts[] = {
        { "", 0, "", "" },
        { "plain\ttext\\", 11, "plain\ttext\\", "plain\ttext\\" },
        { "a\x1b[31mb", 7, "a\\x1b[31mb", "a?[31mb" },
        { "a\nb\rc", 5, "a\\x0ab\\x0dc", "a?b?c" },
        { "a\0b", 3, "a\\x00b", "a?b" },
        { "\x7f", 1, "\\x7f", "?" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 15, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
          "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "\xc2\x9b" "31m", 5, "\\xc2\\x9b31m", "??31m" }, /* CSI in one character */
        { "\xc2\xa0", 2, "\xc2\xa0", "\xc2\xa0" },
        { "\xff\xc3", 2, "\\xff\\xc3", "??" },
        { "\xed\xa0\x80", 3, "\\xed\\xa0\\x80", "???" },     /* half of a surrogate pair */
        { "\xc0\xaf", 2, "\\xc0\\xaf", "??" },               /* overlong */
        { "\xf0\x9f\x98", 3, "\\xf0\\x9f\\x98", "???" },     /* cut short */
};

static void test_text_from_outside_becomes_one_safe_line(void **state) {
        for (size_t i = 0; i < n_elements(texts); i++) {
                char buf[128];
                size_t n = text_escape(buf, sizeof(buf), texts[i].raw, texts[i].length);

                assert_int_equal(n, strlen(texts[i].escaped));
                assert_string_equal(buf, texts[i].escaped);
                memcpy(buf, texts[i].raw, texts[i].length);
                buf[texts[i].length] = '\0';
                assert_int_equal(text_replace(buf, texts[i].length), strcmp(texts[i].replaced, texts[i].escaped) != 0);
                assert_string_equal(buf, texts[i].replaced);
        }
}

static void test_escaping_is_cut_between_characters_at_every_size(void **state) {
        static const char raw[] = "a\x1b\xe2\x82\xac\xff" "b";

        for (size_t size = 1; size < 32; size++) {
                cleanup(freep) char *buf = malloc(size); /* of that very size: a sanitizer sees one byte too many */
                char whole[64];
                size_t n = text_escape(buf, size, raw, sizeof(raw) - 1);

                (void) text_escape(whole, sizeof(whole), raw, sizeof(raw) - 1);
                assert_true(n < size);
                assert_int_equal(strlen(buf), n);
                assert_memory_equal(buf, whole, n);
                assert_true(n == 0 || n == 1 || n == 5 || n == 8 || n == 12 || n == 13);
        }
}

static void test_a_cut_is_never_within_a_character(void **state) {
        static const char text[] = "a\xe2\x82\xac\xf0\x9f\x98\x80z";
        static const size_t expected[] = { 0, 1, 1, 1, 4, 4, 4, 4, 8, 9, 9, 9 };

        for (size_t max = 1; max < n_elements(expected); max++)
                assert_int_equal(text_cut(text, sizeof(text) - 1, max), expected[max]);
        assert_int_equal(text_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5); /* no UTF-8: cut where it was asked for */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_text_from_outside_becomes_one_safe_line),
                cmocka_unit_test(test_escaping_is_cut_between_characters_at_every_size),
                cmocka_unit_test(test_a_cut_is_never_within_a_character),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
