#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/notify-message.h"

/* A copy of its very size plus the one byte that is asked for, so that a sanitizer sees a step too far. */
static NotifyOutcome parse(const char *text, size_t length, char **ret_copy, NotifyMessage *ret) {
        *ret_copy = malloc(length + 1);
        assert_non_null(*ret_copy);
        memcpy(*ret_copy, text, length);
        (*ret_copy)[length] = 'Z'; /* not a NUL */
        return notify_message_parse(*ret_copy, length, ret);
}

static void test_what_a_service_says_is_understood(void **state) {
        static const char text[] = "READY=1\nSTATUS=Serving 5 clients\nMAINPID=4711\nWATCHDOG_USEC=3000000\n"
                                   "EXTEND_TIMEOUT_USEC=5000000\nMONOTONIC_USEC=123\nERRNO=2\nBUSERROR=org.x.Failed\n"
                                   "X_DRAIND_INFLIGHT=12\nFDNAME=x\n\nnonsense\nRELOADING=1\nSTOPPING=1\nWATCHDOG=1";
        cleanup(freep) char *copy = NULL;
        NotifyMessage message;

        assert_int_equal(parse(text, sizeof(text) - 1, &copy, &message), NOTIFY_PARSED);
        assert_true(message.is_ready && message.is_reloading && message.is_stopping && message.is_watchdog_ping);
        assert_false(message.is_watchdog_trigger || message.is_barrier);
        assert_string_equal(message.status, "Serving 5 clients");
        assert_string_equal(message.bus_error, "org.x.Failed");
        assert_int_equal(message.main_pid, 4711);
        assert_int_equal(message.watchdog_usec, 3000000);
        assert_int_equal(message.extend_usec, 5000000);
        assert_int_equal(message.monotonic_usec, 123);
        assert_true(message.has_error);
        assert_int_equal(message.error_number, 2);
        assert_int_equal(message.n_unknown, 2);
        assert_int_equal(message.n_malformed, 0);
}

static void test_what_is_not_said_is_not_there(void **state) {
        cleanup(freep) char *copy = NULL;
        NotifyMessage message;

        assert_int_equal(parse("\n", 1, &copy, &message), NOTIFY_PARSED);
        assert_false(message.is_ready || message.has_error);
        assert_null(message.status);
        assert_null(message.bus_error);
        assert_int_equal(message.main_pid, 0);
        assert_int_equal(message.watchdog_usec, USEC_INFINITY);
        assert_int_equal(message.extend_usec, 0);
        assert_int_equal(message.n_unknown + message.n_malformed, 0);
}

static void test_a_value_without_sense_is_ignored_and_counted(void **state) {
        static const char *const texts[] = {
                "READY=0", "READY=", "READY=1 ", "READY=yes", "RELOADING=2", "STOPPING=-1", "BARRIER=11", "WATCHDOG=0",
                "WATCHDOG=Trigger", "WATCHDOG_USEC=", "WATCHDOG_USEC=-1", "WATCHDOG_USEC=+1", "WATCHDOG_USEC= 1",
                "WATCHDOG_USEC=1s", "WATCHDOG_USEC=18446744073709551615", "WATCHDOG_USEC=18446744073709551616",
                "WATCHDOG_USEC=99999999999999999999999", "EXTEND_TIMEOUT_USEC=0", "EXTEND_TIMEOUT_USEC=0x10",
                "MONOTONIC_USEC=1.5", "MAINPID=0", "MAINPID=1", "MAINPID=-5", "MAINPID=2147483648",
                "ERRNO=4096", "ERRNO=-2",
        };

        for (size_t i = 0; i < n_elements(texts); i++) {
                cleanup(freep) char *copy = NULL;
                NotifyMessage message;

                assert_int_equal(parse(texts[i], strlen(texts[i]), &copy, &message), NOTIFY_PARSED);
                assert_int_equal(message.n_malformed, 1);
                assert_int_equal(message.n_unknown, 0);
                assert_false(message.is_ready || message.is_reloading || message.is_stopping || message.is_barrier);
                assert_false(message.is_watchdog_ping || message.is_watchdog_trigger || message.has_error);
                assert_int_equal(message.watchdog_usec, USEC_INFINITY);
                assert_int_equal(message.extend_usec + message.monotonic_usec, 0);
                assert_int_equal(message.main_pid, 0);
        }
}

static void test_unknown_keys_are_counted_unless_they_are_private(void **state) {
        static const struct {
                const char *text;
                unsigned n_unknown;
        } rows[] = {
                { "X_ANY=1", 0 }, { "X_", 0 }, { "FDSTORE=1", 1 }, { "ready=1", 1 }, { "READY", 1 }, { "=1", 1 },
                { "READ=1", 1 }, { "READYY=1", 1 }, { " READY=1", 1 }, { "\n\n\n", 0 }, { "A=1\nB=2\nC=3\n", 3 },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                cleanup(freep) char *copy = NULL;
                NotifyMessage message;

                assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &copy, &message), NOTIFY_PARSED);
                assert_int_equal(message.n_unknown, rows[i].n_unknown);
                assert_false(message.is_ready);
        }
}

static void test_watchdog_knows_two_words(void **state) {
        static const char text[] = "WATCHDOG=trigger\nWATCHDOG_USEC=0\nEXTEND_TIMEOUT_USEC=18446744073709551615";
        cleanup(freep) char *copy = NULL;
        NotifyMessage message;

        assert_int_equal(parse(text, strlen(text), &copy, &message), NOTIFY_PARSED);
        assert_true(message.is_watchdog_trigger);
        assert_false(message.is_watchdog_ping);
        assert_int_equal(message.watchdog_usec, 0);
        assert_int_equal(message.extend_usec, USEC_INFINITY);
        assert_int_equal(message.n_malformed, 0);
}

static void test_of_a_key_given_twice_the_last_counts(void **state) {
        static const char text[] = "STATUS=one\nMAINPID=5\nSTATUS=\nMAINPID=6\nMAINPID=x";
        cleanup(freep) char *copy = NULL;
        NotifyMessage message;

        assert_int_equal(parse(text, strlen(text), &copy, &message), NOTIFY_PARSED);
        assert_string_equal(message.status, "");
        assert_int_equal(message.main_pid, 6);
        assert_int_equal(message.n_malformed, 1);
}

static void test_a_status_is_cut_and_made_safe(void **state) {
        cleanup(freep) char *first = NULL, *second = NULL;
        static const char odd[] = "STATUS=a\x1b[1m\xff\xc3\xbc\r\nREADY=1";
        char text[NOTIFY_MESSAGE_MAX];
        NotifyMessage message;

        assert_int_equal(parse(odd, strlen(odd), &first, &message), NOTIFY_PARSED);
        assert_string_equal(message.status, "a?[1m?\xc3\xbc?");
        assert_true(message.is_ready);
        memcpy(text, "STATUS=", 7);
        memset(text + 7, 'a', sizeof(text) - 7);
        memcpy(text + 7 + NOTIFY_STATUS_MAX - 1, "\xe2\x82\xac", 3); /* where it is cut */
        assert_int_equal(parse(text, sizeof(text), &second, &message), NOTIFY_PARSED);
        assert_int_equal(strlen(message.status), NOTIFY_STATUS_MAX - 1);
}

static void test_what_is_no_message_is_refused(void **state) {
        cleanup(freep) char *empty = NULL, *zero = NULL, *large = NULL;
        NotifyMessage message = { .main_pid = 77 };
        char text[NOTIFY_MESSAGE_MAX + 1];

        memset(text, 'a', sizeof(text));
        assert_int_equal(parse("", 0, &empty, &message), NOTIFY_EMPTY);
        assert_int_equal(parse("READY=1\0", 8, &zero, &message), NOTIFY_NOT_TEXT);
        assert_int_equal(parse(text, sizeof(text), &large, &message), NOTIFY_TOO_LONG);
        assert_int_equal(message.main_pid, 77); /* untouched */
        for (unsigned outcome = NOTIFY_PARSED; outcome <= NOTIFY_NOT_TEXT; outcome++)
                assert_non_null(notify_outcome_text((NotifyOutcome) outcome));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_a_service_says_is_understood),
                cmocka_unit_test(test_what_is_not_said_is_not_there),
                cmocka_unit_test(test_a_value_without_sense_is_ignored_and_counted),
                cmocka_unit_test(test_unknown_keys_are_counted_unless_they_are_private),
                cmocka_unit_test(test_watchdog_knows_two_words),
                cmocka_unit_test(test_of_a_key_given_twice_the_last_counts),
                cmocka_unit_test(test_a_status_is_cut_and_made_safe),
                cmocka_unit_test(test_what_is_no_message_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
