#include "../lib/test.h"

#include <stdio.h>
#include <string.h>

#include "../../daemon/core/events.h"

typedef struct Seen {
        EventWatcher watcher;
        Events *events;
        unsigned n;
        uint64_t first, last;
        char text[256], service[80];
        bool leaves, echoes;
} Seen;

static void on_event(const Event *event, void *userdata) {
        Seen *seen = userdata;

        if (seen->n++ == 0)
                seen->first = event->sequence;
        else
                assert_true(event->sequence > seen->last);
        seen->last = event->sequence;
        (void) snprintf(seen->text, sizeof(seen->text), "%s", event->text ? event->text : "(none)");
        (void) snprintf(seen->service, sizeof(seen->service), "%s", event->service ? event->service : "(none)");
        if (seen->leaves)
                events_unwatch(&seen->watcher);
        if (seen->echoes) {
                seen->echoes = false;
                for (unsigned i = 0; i < EVENTS_MAX; i++)
                        events_record(seen->events, &(Event) { .kind = EVENT_MESSAGE, .text = "echo" });
                assert_string_equal(event->text, "call"); /* still ours, however much was recorded meanwhile */
        }
}

static int setup(void **state) {
        return events_new((Events **) state);
}

static int teardown(void **state) {
        events_freep((Events **) state);
        return 0;
}

static void test_an_event_comes_back_as_it_was_recorded(void **state) {
        const Event event = { .time = 5, .kind = EVENT_SERVICE, .operation = 7, .service = "db", .from = "running",
                              .to = "draining", .detail = "withdraw", .text = "db drains." };
        Seen seen = { 0 };

        assert_int_equal(events_last(*state), 0);
        assert_int_equal(events_recent(*state, NULL, 10, on_event, &seen), 0);
        events_record(*state, &event);
        assert_int_equal(events_last(*state), 1);
        assert_int_equal(events_recent(*state, "db", 10, on_event, &seen), 1);
        assert_int_equal(seen.first, 1);
        assert_string_equal(seen.text, "db drains.");
        assert_string_equal(event_kind_name(EVENT_SERVICE), "service");
        assert_string_equal(event_kind_name(EVENT_OPERATION), "operation");
        assert_string_equal(event_kind_name(EVENT_MESSAGE), "message");
}

static void on_check(const Event *event, void *userdata) {
        assert_int_equal(event->time, 5);
        assert_true(event->realtime_usec > UINT64_C(1600000000000000));
        assert_int_equal(event->kind, EVENT_OPERATION);
        assert_int_equal(event->operation, 9);
        assert_null(event->service);
        assert_string_equal(event->from, "quiescing");
        assert_string_equal(event->to, "holding");
        assert_string_equal(event->detail, "");
        assert_null(event->text);
}

static void test_texts_that_are_not_there_stay_away(void **state) {
        EventWatcher watcher = { .happened = on_check };
        const Event event = { .time = 5, .kind = EVENT_OPERATION, .operation = 9, .from = "quiescing", .to = "holding",
                              .detail = "" };

        events_watch(*state, &watcher);
        events_record(*state, &event);
        assert_int_equal(events_recent(*state, NULL, 1, on_check, NULL), 1);
        events_unwatch(&watcher);
}

static void test_texts_are_cut_and_made_safe(void **state) {
        char long_text[1000], name[64];
        Seen seen = { 0 };

        memset(long_text, 'x', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = '\0';
        memset(name, 'n', 63);
        name[63] = '\0';
        events_record(*state, &(Event) { .service = name, .from = long_text, .to = long_text, .detail = long_text,
                                         .text = long_text });
        assert_int_equal(events_recent(*state, name, 1, on_event, &seen), 1);
        assert_string_equal(seen.service, name); /* a name is never cut */
        assert_in_range(strlen(seen.text), 40, EVENTS_TEXT_MAX);
        events_record(*state, &(Event) { .text = long_text });
        (void) events_recent(*state, NULL, 1, on_event, &seen);
        assert_true(strlen(seen.text) >= EVENTS_TEXT_MAX);
        events_record(*state, &(Event) { .text = "bad\n\xff" });
        (void) events_recent(*state, NULL, 1, on_event, &seen);
        assert_string_equal(seen.text, "bad\\x0a\\xff");
}

static void test_the_newest_stay_when_the_ring_is_full(void **state) {
        Seen seen = { 0 };

        for (unsigned i = 1; i <= 3 * EVENTS_MAX + 5; i++)
                events_record(*state, &(Event) { .service = i % 10 == 0 ? "ten" : "other", .text = "x" });
        assert_int_equal(events_recent(*state, NULL, UINT32_MAX, on_event, &seen), EVENTS_MAX);
        assert_int_equal(seen.n, EVENTS_MAX);
        assert_int_equal(seen.first, 2 * EVENTS_MAX + 6);
        assert_int_equal(seen.last, 3 * EVENTS_MAX + 5);
        seen = (Seen) { 0 };
        assert_int_equal(events_recent(*state, "ten", 3, on_event, &seen), 3);
        assert_int_equal(seen.n, 3);
        assert_int_equal(seen.first, 1520);
        assert_int_equal(seen.last, 1540);
        assert_int_equal(events_recent(*state, "nobody", 3, on_event, &seen), 0);
        assert_int_equal(events_recent(*state, NULL, 0, on_event, &seen), 0);
}

static void test_watchers_may_leave_and_record_from_within(void **state) {
        Seen leaver = { .watcher = { .happened = on_event, .userdata = &leaver }, .leaves = true };
        Seen echoer = { .watcher = { .happened = on_event, .userdata = &echoer }, .events = *state, .echoes = true };
        Seen plain = { .watcher = { .happened = on_event, .userdata = &plain } };

        events_watch(*state, &leaver.watcher);
        events_watch(*state, &echoer.watcher);
        events_record(*state, &(Event) { .text = "call" });
        events_watch(*state, &plain.watcher);
        events_record(*state, &(Event) { .text = "more" });
        assert_int_equal(leaver.n, 1);
        assert_int_equal(echoer.n, EVENTS_MAX + 2);
        assert_int_equal(plain.n, 1);
        assert_string_equal(plain.text, "more");
        events_unwatch(&echoer.watcher);
        events_unwatch(&plain.watcher);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                with_fixture(test_an_event_comes_back_as_it_was_recorded),
                with_fixture(test_texts_that_are_not_there_stay_away),
                with_fixture(test_texts_are_cut_and_made_safe),
                with_fixture(test_the_newest_stay_when_the_ring_is_full),
                with_fixture(test_watchers_may_leave_and_record_from_within),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
