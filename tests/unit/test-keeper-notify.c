#include "../lib/test.h"

#include <string.h>

#include "../../daemon/keeper/keeper.h"

static char upstream[NOTIFY_MESSAGE_MAX + 1];

typedef struct Case {
        const char *text;
        bool is_store, is_remove;
        const char *name, *upstream;
} Case;

static void test_each_message_does_what_it_says(void **state) {
        static const Case cases[] = {
                { "FDSTORE=1", true, false, "stored", "" },
                { "FDSTORE=1\nFDNAME=o1", true, false, "o1", "" },
                { "FDNAME=o1\nFDSTORE=1\n", true, false, "o1", "" },
                { "FDSTORE=1\nFDNAME=o1\nFDPOLL=0", true, false, "o1", "" },
                { "FDSTORE=0\nFDNAME=o1", false, false, "o1", "" },
                { "FDSTORE=11\nFDNAME=", false, false, "", "" },
                { "FDSTOREREMOVE=1\nFDNAME=board", false, true, "board", "" },
                { "BARRIER=1", false, false, "stored", "" },
                { "READY=1", false, false, "stored", "READY=1" },
                { "READY=1\n", false, false, "stored", "READY=1" },
                { "READY=1\nMAINPID=17\nSTATUS=all up", false, false, "stored", "READY=1\nSTATUS=all up" },
                { "WATCHDOG=1\nWATCHDOG_USEC=5\nMAINPIDFD=1\nNOTIFYACCESS=all", false, false, "stored", "" },
                { "STOPPING=1\nEXTEND_TIMEOUT_USEC=5\nERRNO=2\nMONOTONIC_USEC=3\nRELOADING=1\nX_A=b=c", false, false,
                  "stored", "STOPPING=1\nEXTEND_TIMEOUT_USEC=5\nERRNO=2\nMONOTONIC_USEC=3\nRELOADING=1\nX_A=b=c" },
                { "FDSTORE=1\nFDNAME=a\nSTATUS=x", true, false, "a", "STATUS=x" },
                { "\n\n", false, false, "stored", "" },
                { "=1\nFDSTORE\n==", false, false, "stored", "" },
                { "STATUS=", false, false, "stored", "STATUS=" },
                /* One byte too long is kept, so that the store sees that it is; more is not needed. */
                { "FDNAME=0123456789abcdefghij", false, false, "0123456789abcdef", "" },
        };

        for (size_t i = 0; i < n_elements(cases); i++) {
                const Case *c = &cases[i];
                NotifyMessage message;

                assert_true(notify_parse(c->text, strlen(c->text), &message, upstream));
                assert_int_equal(message.is_store, c->is_store);
                assert_int_equal(message.is_remove, c->is_remove);
                assert_string_equal(message.name, c->name);
                assert_int_equal(message.upstream_length, strlen(c->upstream));
                assert_memory_equal(message.upstream_length ? upstream : "", c->upstream, strlen(c->upstream));
        }
}

static void test_what_is_no_message_changes_nothing(void **state) {
        NotifyMessage message = { .name = "untouched" };

        assert_false(notify_parse("", 0, &message, upstream));
        assert_false(notify_parse("FDSTORE=1\0", 10, &message, upstream));
        assert_false(notify_parse("\0FDSTORE=1", 10, &message, upstream));
        assert_string_equal(message.name, "untouched");
}

static void test_largest_message_goes_up_whole(void **state) {
        static char text[NOTIFY_MESSAGE_MAX];
        NotifyMessage message;

        memset(text, 'x', sizeof(text));
        memcpy(text, "STATUS=", 7);
        assert_true(notify_parse(text, sizeof(text), &message, upstream));
        assert_int_equal(message.upstream_length, sizeof(text));
        assert_memory_equal(upstream, text, sizeof(text));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_each_message_does_what_it_says),
                cmocka_unit_test(test_what_is_no_message_changes_nothing),
                cmocka_unit_test(test_largest_message_goes_up_whole),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
