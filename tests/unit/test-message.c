#include "../lib/test.h"

#include <string.h>

#include "../../protocol/message.h"

static int parse_call(const char *text, MessageCall *ret) {
        return message_parse_call(text, strlen(text), ret);
}

static void test_a_call_is_read(void **state) {
        MessageCall call;

        assert_int_equal(parse_call("{\"method\":\"a.b.C\",\"parameters\":{\"x\":1},\"more\":true,\"later\":[1]}",
                                    &call), MESSAGE_PARSED);
        assert_string_equal(call.method, "a.b.C");
        assert_int_equal(json_integer_value(json_object_get(call.parameters, "x")), 1);
        assert_true(call.more);
        assert_false(call.oneway || call.upgrade);
        message_call_done(&call);
}

static void test_absent_and_null_parameters_are_empty(void **state) {
        static const char *const texts[] = {
                "{\"method\":\"a.B\"}", "{\"method\":\"a.B\",\"parameters\":null,\"more\":null}",
        };

        for (size_t i = 0; i < n_elements(texts); i++) {
                MessageCall call;

                assert_int_equal(parse_call(texts[i], &call), MESSAGE_PARSED);
                assert_true(json_is_object(call.parameters));
                assert_int_equal(json_object_size(call.parameters), 0);
                assert_false(call.more);
                message_call_done(&call);
        }
}

static void test_what_is_no_call_is_invalid(void **state) {
        static const char *const texts[] = {
                "", " ", "null", "1", "\"method\"", "[]", "{}", "{", "{\"method\":1}", "{\"method\":null}",
                "{\"method\":\"a.B\"} x", "{\"method\":\"a.B\",\"method\":\"a.C\"}",
                "{\"method\":\"a.B\",\"parameters\":[]}", "{\"method\":\"a.B\",\"parameters\":\"x\"}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":1,\"x\":2}}", "{\"method\":\"a.B\",\"more\":1}",
                "{\"method\":\"a.B\",\"oneway\":\"true\"}", "{\"method\":\"a.B\",\"upgrade\":{}}",
                "{'method':'a.B'}", "{\"method\":\"a.\xff\"}", "{\"method\":\"a.\\u0000B\"}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":9223372036854775808}}",
                "{\"method\":\"a.B\",\"parameters\":{\"x\":NaN}}", "{\"method\":\"a.B\",\"parameters\":{\"x\":1e999}}",
        };

        for (size_t i = 0; i < n_elements(texts); i++) {
                MessageCall call = { .method = "untouched" };

                if (parse_call(texts[i], &call) != MESSAGE_INVALID)
                        fail_msg("accepted: %s", texts[i]);
                assert_string_equal(call.method, "untouched");
        }
}

static void test_deep_nesting_never_reaches_the_parser(void **state) {
        char text[256] = "{\"method\":\"a.B\",\"parameters\":{\"x\":";
        size_t n = strlen(text);
        MessageCall call;

        memset(text + n, '[', 30); /* 32 with the two objects around */
        memset(text + n + 30, ']', 30);
        strcpy(text + n + 60, "}}");
        assert_int_equal(parse_call(text, &call), MESSAGE_PARSED);
        message_call_done(&call);
        memset(text + n, '[', 31);
        memset(text + n + 31, ']', 31);
        strcpy(text + n + 62, "}}");
        assert_int_equal(parse_call(text, &call), MESSAGE_INVALID);
}

static void test_replies_are_read(void **state) {
        MessageReply reply;
        static const char good[] = "{\"parameters\":{\"a\":true},\"continues\":true}";
        static const char error[] = "{\"error\":\"a.b.Bad\"}";
        static const char *const bad[] = { "[]", "{\"error\":1}", "{\"continues\":\"no\"}", "{\"parameters\":1}" };

        assert_int_equal(message_parse_reply(good, strlen(good), &reply), MESSAGE_PARSED);
        assert_true(reply.continues);
        assert_null(reply.error);
        assert_true(json_is_true(json_object_get(reply.parameters, "a")));
        message_reply_done(&reply);
        assert_int_equal(message_parse_reply(error, strlen(error), &reply), MESSAGE_PARSED);
        assert_string_equal(reply.error, "a.b.Bad");
        assert_int_equal(json_object_size(reply.parameters), 0);
        message_reply_done(&reply);
        for (size_t i = 0; i < n_elements(bad); i++)
                assert_int_equal(message_parse_reply(bad[i], strlen(bad[i]), &reply), MESSAGE_INVALID);
}

static void expect_text(int r, char *text, size_t length, const char *expected) {
        assert_int_equal(r, 0);
        assert_string_equal(text, expected);
        assert_int_equal(length, strlen(expected) + 1);
        free(text);
}

static void test_messages_are_written_as_varlink_has_them(void **state) {
        json_t *parameters = json_pack("{s:s}", "x", "y");
        json_t *array = json_array();
        size_t length = 0;
        char *text = NULL;
        int r;

        r = message_format_call("a.b.C", parameters, true, false, &text, &length);
        expect_text(r, text, length, "{\"method\":\"a.b.C\",\"more\":true,\"parameters\":{\"x\":\"y\"}}");
        r = message_format_call("a.b.C", NULL, false, true, &text, &length);
        expect_text(r, text, length, "{\"method\":\"a.b.C\",\"oneway\":true}");
        r = message_format_reply(parameters, true, &text, &length);
        expect_text(r, text, length, "{\"continues\":true,\"parameters\":{\"x\":\"y\"}}");
        r = message_format_reply(NULL, false, &text, &length);
        expect_text(r, text, length, "{}");
        r = message_format_error("a.b.Bad", parameters, &text, &length);
        expect_text(r, text, length, "{\"error\":\"a.b.Bad\",\"parameters\":{\"x\":\"y\"}}");
        assert_int_equal(message_format_reply(array, false, &text, &length), -EINVAL);
        assert_int_equal(parameters->refcount, 1);
        json_decref(parameters);
        json_decref(array);
}

/* Allocations of jansson that still succeed. */
static long n_allocations_left;

static void *failing_malloc(size_t size) {
        return n_allocations_left-- > 0 ? malloc(size) : NULL;
}

/* However far it comes, a failure is reported, nothing leaks and nothing is handed out. */
static void test_every_failed_allocation_is_reported(void **state) {
        static const char text[] = "{\"method\":\"a.b.C\",\"parameters\":{\"x\":[1,2.5,\"y\",{}],\"z\":null}}";
        int parsed = -1, formatted = -1;
        long n;

        json_set_alloc_funcs(failing_malloc, free);
        for (n = 0; n < 1000 && (parsed != 0 || formatted != 0); n++) {
                MessageCall call = { 0 };
                char *written = NULL;
                size_t length = 0;

                n_allocations_left = n;
                parsed = message_parse_call(text, strlen(text), &call);
                assert_true(parsed == MESSAGE_PARSED || parsed == -ENOMEM || parsed == MESSAGE_INVALID);
                assert_true((parsed == MESSAGE_PARSED) == (call.root != NULL));
                if (parsed != MESSAGE_PARSED)
                        continue;
                n_allocations_left = n - 20; /* writing needs fewer: all its failures are met, too */
                formatted = message_format_error("a.b.Bad", call.parameters, &written, &length);
                assert_true(formatted == 0 || formatted == -ENOMEM);
                assert_true((formatted == 0) == (written != NULL));
                free(written);
                message_call_done(&call);
        }
        assert_in_range(n, 10, 999);
        json_set_alloc_funcs(malloc, free);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_call_is_read),
                cmocka_unit_test(test_absent_and_null_parameters_are_empty),
                cmocka_unit_test(test_what_is_no_call_is_invalid),
                cmocka_unit_test(test_deep_nesting_never_reaches_the_parser),
                cmocka_unit_test(test_replies_are_read),
                cmocka_unit_test(test_messages_are_written_as_varlink_has_them),
                cmocka_unit_test(test_every_failed_allocation_is_reported),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
