#include <stdio.h>
#include <string.h>

#include "../../daemon/config/ini.h"
#include "../lib/test.h"

typedef struct Transcript {
        FILE *out;
        char *text;
        size_t size;
        int fails_at; /* the pair's line at which the handler fails */
} Transcript;

static int on_section(void *userdata, unsigned line, const char *name) {
        Transcript *transcript = userdata;

        (void) fprintf(transcript->out, "%u[%s]\n", line, name ? name : "?");
        return 0;
}

static int on_pair(void *userdata, unsigned line, const char *key, const char *value) {
        Transcript *transcript = userdata;

        (void) fprintf(transcript->out, "%u %s=%s|\n", line, key, value);
        return transcript->fails_at == (int) line ? -EIO : 0;
}

static void on_error(void *userdata, unsigned line, const char *message) {
        Transcript *transcript = userdata;

        (void) fprintf(transcript->out, "%u! %.20s\n", line, message);
}

static int read_text(Transcript *transcript, const char *text, size_t size) {
        static const IniHandler handler = { on_section, on_pair, on_error };
        char *exact = malloc(size + (size == 0));
        int r;

        assert_non_null(exact);
        memcpy(exact, text, size); /* exactly as large as promised: a sanitizer sees one byte too many */
        transcript->out = open_memstream(&transcript->text, &transcript->size);
        assert_non_null(transcript->out);
        r = ini_read(exact, size, &handler, transcript);
        assert_int_equal(fclose(transcript->out), 0);
        free(exact);
        return r;
}

#define TEXT(literal) literal, sizeof(literal) - 1

static const struct {
        const char *text;
        size_t size;
        const char *transcript;
} cases[] = {
        { TEXT(""), "" },
        { TEXT("\n\n# nothing\n; at all\n   # here\n"), "" },
        { TEXT("[A]\nk=v\n"), "1[A]\n2 k=v|\n" },
        { TEXT("[A]\nk=v"), "1[A]\n2 k=v|\n" },
        { TEXT("[A]\r\nk=v\r\n"), "1[A]\n2 k=v|\n" },
        { TEXT("\xef\xbb\xbf[A]\nk=v\n"), "1[A]\n2 k=v|\n" },
        { TEXT("  [A b.c]  \n\t k \t = \t v w \t \n"), "1[A b.c]\n2 k=v w|\n" },
        { TEXT("[A]\n[B]\n"), "1[A]\n2[B]\n" },
        { TEXT("[A]\nk=\n"), "1[A]\n2 k=|\n" },
        { TEXT("[A]\nk= ; # : = [x] \\; \"a ; b\"\n"), "1[A]\n2 k=; # : = [x] \\; \"a ; b\"|\n" },
        { TEXT("[A]\nk:x=v:w\n"), "1[A]\n2 k:x=v:w|\n" },
        { TEXT("[A]\nk;x =v ;w\n"), "1[A]\n2 k;x=v ;w|\n" },
        { TEXT("[A]\nk=a\n  b=c\n"), "1[A]\n2 k=a|\n3 b=c|\n" },
        { TEXT("[A]\nk=a \\\n   b \\\n  c\nl=d\n"), "1[A]\n2 k=a  b  c|\n5 l=d|\n" },
        { TEXT("[A]\nk=a\\\n# comment\n; too\n  b\n"), "1[A]\n2 k=a b|\n" },
        { TEXT("[A]\nk=a\\\n\nl=b\n"), "1[A]\n2 k=a|\n4 l=b|\n" },
        { TEXT("[A]\nk=a\\\\\nl=b\n"), "1[A]\n2 k=a\\\\|\n3 l=b|\n" },
        { TEXT("[A]\nk=a\\\\\\\nb\n"), "1[A]\n2 k=a\\\\ b|\n" },
        { TEXT("[A]\nk=a\\"), "1[A]\n2 k=a|\n" },
        { TEXT("[A]\n# c \\\nk=a\n"), "1[A]\n3 k=a|\n" },
        { TEXT("[A]\nk=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n"), "1[A]\n2 k=\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80|\n" },
        /* What is wrong, and that reading goes on. */
        { TEXT("k=v\nl=w\n[A]\nm=x\n"), "1! this stands before t\n3[A]\n4 m=x|\n" },
        { TEXT("[A]\nnothing\nk=v\n"), "1[A]\n2! there is no '=' in '\n3 k=v|\n" },
        { TEXT("[A]\n=v\nk=v\n"), "1[A]\n2! there is no key befo\n3 k=v|\n" },
        { TEXT("[A\nk=v\n[B]\nl=w\n"), "1! the section header d\n1[?]\n3[B]\n4 l=w|\n" },
        { TEXT("[A] # x\nk=v\n"), "1! the section header d\n1[?]\n" },
        { TEXT("[A]]\nk=v\n"), "1! the section header h\n1[?]\n" },
        { TEXT("[A]\nk=a\0b\nl=w\n"), "1[A]\n2! the line has a NUL b\n3 l=w|\n" },
        { TEXT("[A]\nk=a\x01\nl=w\n"), "1[A]\n2! the line has a contr\n3 l=w|\n" },
        { TEXT("[A]\nk=a\rb\nl=w\n"), "1[A]\n2! the line has a contr\n3 l=w|\n" },
        { TEXT("[A]\nk=\xff\nl=w\n"), "1[A]\n2! the line is not UTF-\n3 l=w|\n" },
        { TEXT("[A]\nk=\xc0\x80\nl=\xed\xa0\x80\nm=\xe2\x82\n"),
          "1[A]\n2! the line is not UTF-\n3! the line is not UTF-\n4! the line is not UTF-\n" },
        { TEXT("[A]\nk=a\\\n\x01\\\n  b\nl=w\n"), "1[A]\n3! the line has a contr\n5 l=w|\n" },
};

static void test_means_what_systemd_would_make_of_it(void **state) {
        for (size_t i = 0; i < n_elements(cases); i++) {
                Transcript transcript = { .fails_at = -1 };

                assert_int_equal(read_text(&transcript, cases[i].text, cases[i].size), 0);
                if (strcmp(transcript.text, cases[i].transcript) != 0)
                        fail_msg("from:\n%s\nwanted:\n%s\nfound:\n%s", cases[i].text, cases[i].transcript,
                                 transcript.text);
                free(transcript.text);
        }
}

/* inih cuts lines: whatever the length, whatever stands where it would be cut, the value comes back whole. */
static void test_keeps_long_values_whole(void **state) {
        static const char filling[] = " ;#:=[]\t\"x";

        for (size_t n = 1; n <= INI_VALUE_MAX; n += n < 450 ? 1 : n / 3) {
                Transcript transcript = { .fails_at = -1 };
                char *value = malloc(n + 1), *text, *wanted;

                assert_non_null(value);
                for (size_t i = 0; i < n; i++)
                        value[i] = i == 0 || i == n - 1 ? 'v' : filling[i * 7 % (sizeof(filling) - 1)];
                value[n] = '\0';
                assert_true(asprintf(&text, "[A]\nsome.key=%s\nl=w\n", value) > 0);
                assert_true(asprintf(&wanted, "1[A]\n2 some.key=%s|\n3 l=w|\n", value) > 0);
                assert_int_equal(read_text(&transcript, text, strlen(text)), 0);
                assert_string_equal(transcript.text, wanted);
                free(transcript.text);
                free(wanted);
                free(text);
                free(value);
        }
}

static void test_refuses_what_is_too_long(void **state) {
        size_t n = INI_VALUE_MAX + INI_KEY_MAX + 16;
        char *text = malloc(n + 16);
        Transcript transcript = { .fails_at = -1 };

        assert_non_null(text);
        memset(text, 'a', n + 16);
        memcpy(text, "[A]\nk=", 6);
        memcpy(text + n, "\nl=w\n", 6);
        assert_int_equal(read_text(&transcript, text, strlen(text)), 0);
        assert_string_equal(transcript.text, "1[A]\n2! the line is longer t\n3 l=w|\n");
        free(transcript.text);

        transcript = (Transcript){ .fails_at = -1 };
        text[5] = 'k';
        text[200] = '=';
        memcpy(text + 300, "\nl=w\n", 6);
        assert_int_equal(read_text(&transcript, text, strlen(text)), 0);
        assert_string_equal(transcript.text, "1[A]\n2! the key before the '\n3 l=w|\n");
        free(transcript.text);
        free(text);
}

static void test_ends_when_the_handler_fails(void **state) {
        Transcript transcript = { .fails_at = 2 };

        assert_int_equal(read_text(&transcript, TEXT("[A]\nk=v\nl=w\n[B]\n")), -EIO);
        assert_string_equal(transcript.text, "1[A]\n2 k=v|\n");
        free(transcript.text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_means_what_systemd_would_make_of_it),
                cmocka_unit_test(test_keeps_long_values_whole),
                cmocka_unit_test(test_refuses_what_is_too_long),
                cmocka_unit_test(test_ends_when_the_handler_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
