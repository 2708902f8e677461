#include "../lib/loop.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "../../protocol/peer.h"
#include "../../protocol/poller.h"

/* A peer on one end of a socket pair; the test is the other side. */
typedef struct Bench {
        sd_event *event;
        Poller *poller;
        Peer *peer;
        int other;
        unsigned n_messages, n_ends;
        PeerEnd end;
        char last[128];
        enum { ON_MESSAGE_KEEP, ON_MESSAGE_FREE, ON_MESSAGE_DROP, ON_MESSAGE_PAUSE, ON_MESSAGE_ECHO,
               ON_MESSAGE_ANSWER_AT_LENGTH } on_message;
} Bench;

static const char long_answer[600000];

static void on_message(Peer *peer, const char *text, size_t length, void *userdata) {
        Bench *bench = userdata;

        bench->n_messages++;
        assert_int_equal(text[length], '\0');
        assert_int_equal(strlen(text), length);
        if (length < sizeof(bench->last))
                strcpy(bench->last, text);
        switch (bench->on_message) {
        case ON_MESSAGE_KEEP:
                break;
        case ON_MESSAGE_FREE:
                bench->peer = peer_free(peer);
                assert_int_equal(text[length], '\0'); /* the text lives as long as the call */
                break;
        case ON_MESSAGE_DROP:
                peer_drop(peer, PEER_DROPPED);
                assert_int_equal(bench->n_ends, 0);
                break;
        case ON_MESSAGE_PAUSE:
                peer_pause(peer);
                break;
        case ON_MESSAGE_ECHO:
                assert_int_equal(peer_send(peer, text, length + 1), 0);
                break;
        case ON_MESSAGE_ANSWER_AT_LENGTH:
                assert_int_equal(peer_send(peer, long_answer, sizeof(long_answer)), 0);
                break;
        }
}

static void on_end(Peer *peer, PeerEnd end, void *userdata) {
        Bench *bench = userdata;

        bench->n_ends++;
        bench->end = end;
        bench->peer = peer_free(peer);
}

static const PeerHandlers handlers = { .on_message = on_message, .on_end = on_end };

static int setup(void **state) {
        Bench *bench = calloc(1, sizeof(*bench));
        int fds[2];

        assert_non_null(bench);
        assert_true(sd_event_new(&bench->event) >= 0);
        assert_int_equal(poller_new(&bench->poller, bench->event, 0, "test"), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(peer_new(&bench->peer, bench->poller, fds[0], &(PeerLimits) { 1000, 2000000 }, &handlers,
                                  bench), 0);
        bench->other = fds[1];
        assert_int_equal(fcntl(bench->other, F_SETFL, O_NONBLOCK), 0);
        *state = bench;
        return 0;
}

static int teardown(void **state) {
        Bench *bench = *state;

        peer_free(bench->peer);
        poller_free(bench->poller);
        sd_event_unref(bench->event);
        (void) fd_close(bench->other);
        free(bench);
        return 0;
}

static void give(Bench *bench, const char *bytes, size_t length) {
        assert_int_equal(send(bench->other, bytes, length, MSG_NOSIGNAL), length);
}

static void test_messages_may_come_in_pieces(void **state) {
        Bench *bench = *state;

        for (unsigned i = 0; i < 6; i++) {
                give(bench, &"hello"[i], 1);
                (void) loop_settle(bench->event);
                assert_int_equal(bench->n_messages, i == 5);
        }
        assert_string_equal(bench->last, "hello");
        give(bench, "a\0b\0c", 5);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 3);
        assert_string_equal(bench->last, "b");
        give(bench, "", 1);
        (void) loop_settle(bench->event);
        assert_string_equal(bench->last, "c");
}

static void test_one_wake_up_hands_out_a_bounded_number(void **state) {
        static const char nuls[10000];
        Bench *bench = *state;

        give(bench, nuls, sizeof(nuls));
        assert_true(sd_event_run(bench->event, 0) > 0);
        assert_int_equal(bench->n_messages, PEER_BATCH);
        assert_true(sd_event_run(bench->event, 0) > 0);
        assert_int_equal(bench->n_messages, 2 * PEER_BATCH);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, sizeof(nuls));
}

static void test_it_may_be_freed_within_its_own_message(void **state) {
        Bench *bench = *state;

        bench->on_message = ON_MESSAGE_FREE;
        give(bench, "a\0b", 4);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 1);
        assert_int_equal(bench->n_ends, 0);
        assert_null(bench->peer);
}

static void test_a_drop_ends_it_once_and_later(void **state) {
        Bench *bench = *state;

        bench->on_message = ON_MESSAGE_DROP;
        give(bench, "a\0b", 4);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 1);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_DROPPED);
}

static void test_a_drop_from_outside_is_carried_out_by_the_loop(void **state) {
        Bench *bench = *state;

        peer_drop(bench->peer, PEER_DROPPED);
        peer_drop(bench->peer, PEER_TOO_SLOW);
        assert_int_equal(bench->n_ends, 0);
        assert_int_equal(peer_send(bench->peer, "x", 2), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_DROPPED);
}

static void test_the_limit_of_a_message_is_exact(void **state) {
        Bench *bench = *state;
        char bytes[1001];

        memset(bytes, 'x', sizeof(bytes));
        bytes[1000] = '\0';
        give(bench, bytes, 1001);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 1);
        bytes[1000] = 'x';
        give(bench, bytes, 1000);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 0);
        give(bench, "x", 1);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_TOO_LARGE);
}

static void test_a_closed_connection_hands_out_what_came_before(void **state) {
        Bench *bench = *state;

        for (unsigned i = 0; i < 100; i++)
                give(bench, "x", 2);
        give(bench, "half", 4);
        bench->other = fd_close(bench->other);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 100);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_GONE);
}

static void test_a_half_closed_one_still_gets_answers(void **state) {
        Bench *bench = *state;
        char bytes[400];
        ssize_t n;

        bench->on_message = ON_MESSAGE_ECHO;
        for (unsigned i = 0; i < 100; i++)
                give(bench, "abc", 4);
        assert_int_equal(shutdown(bench->other, SHUT_WR), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 100);
        assert_int_equal(bench->n_ends, 1); /* all said and done */
        n = recv(bench->other, bytes, sizeof(bytes), MSG_WAITALL);
        assert_int_equal(n, 400);
}

static void test_a_paused_one_waits_and_still_notices_the_end(void **state) {
        Bench *bench = *state;

        bench->on_message = ON_MESSAGE_PAUSE;
        give(bench, "a\0b\0c", 6);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 1);
        peer_resume(bench->peer);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 2);
        assert_int_equal(shutdown(bench->other, SHUT_WR), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 0); /* it still reads */
        bench->other = fd_close(bench->other);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 2);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_GONE);
}

static void test_one_that_never_reads_is_dropped(void **state) {
        static const char text[10000] = "x";
        Bench *bench = *state;
        unsigned i;

        for (i = 0; i < 1000 && peer_n_queued_bytes(bench->peer) < 1900000; i++)
                assert_int_equal(peer_send(bench->peer, text, sizeof(text)), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 0);
        for (i = 0; i < 100; i++)
                assert_int_equal(peer_send(bench->peer, text, sizeof(text)), 0);
        assert_int_equal(bench->n_ends, 0);
        assert_int_equal(peer_n_queued_bytes(bench->peer), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_ends, 1);
        assert_int_equal(bench->end, PEER_TOO_SLOW);
}

static void test_a_slow_one_gets_everything(void **state) {
        Bench *bench = *state;
        static char text[1500000], back[sizeof(text)];
        size_t n = 0;

        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char) ('a' + i % 23);
        text[sizeof(text) - 1] = '\0';
        assert_int_equal(peer_send(bench->peer, text, sizeof(text)), 0);
        while (n < sizeof(text)) {
                ssize_t k = recv(bench->other, back + n, sizeof(text) - n < 7777 ? sizeof(text) - n : 7777, 0);

                if (k < 0)
                        assert_true(sd_event_run(bench->event, 1000000) > 0);
                else
                        n += (size_t) k;
        }
        assert_memory_equal(text, back, sizeof(text));
        (void) loop_settle(bench->event);
        assert_int_equal(peer_n_queued_bytes(bench->peer), 0);
        assert_int_equal(bench->n_ends, 0);
}

/* It asks faster than it reads: it is made to wait, not dropped, and nothing grows without bound. */
static void test_one_that_asks_without_reading_is_held_back(void **state) {
        Bench *bench = *state;
        char message[900], bytes[4096];
        size_t n_given = 0, n_back = 0, n_waits = 0;

        bench->on_message = ON_MESSAGE_ECHO;
        memset(message, 'x', sizeof(message) - 1);
        message[sizeof(message) - 1] = '\0';
        while (n_waits < 3) {
                ssize_t k = send(bench->other, message, sizeof(message), MSG_NOSIGNAL);

                if (k == (ssize_t) sizeof(message)) {
                        n_given++;
                        n_waits = 0;
                        continue;
                }
                assert_true(k < 0);
                n_waits++;
                (void) loop_settle(bench->event);
                assert_true(peer_n_queued_bytes(bench->peer) < 300 * 1024);
        }
        assert_int_equal(bench->n_ends, 0);
        while (n_back < n_given * sizeof(message)) {
                ssize_t k = recv(bench->other, bytes, sizeof(bytes), 0);

                if (k < 0)
                        assert_true(sd_event_run(bench->event, 1000000) > 0);
                else
                        n_back += (size_t) k;
        }
        assert_int_equal(bench->n_messages, n_given);
}

/* Sixteen of these answers at once would be more than its queue may hold. */
static void test_large_answers_are_not_piled_up(void **state) {
        static const char nuls[50];
        Bench *bench = *state;
        char bytes[65536];
        size_t n_back = 0;

        bench->on_message = ON_MESSAGE_ANSWER_AT_LENGTH;
        give(bench, nuls, sizeof(nuls));
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_messages, 1);
        while (n_back < sizeof(nuls) * sizeof(long_answer)) {
                ssize_t k = recv(bench->other, bytes, sizeof(bytes), 0);

                if (k < 0)
                        assert_true(sd_event_run(bench->event, 1000000) > 0);
                else
                        n_back += (size_t) k;
                assert_int_equal(bench->n_ends, 0);
        }
        assert_int_equal(bench->n_messages, sizeof(nuls));
}

static void test_credentials_are_the_kernels(void **state) {
        Bench *bench = *state;
        const PeerCredentials *credentials = peer_credentials(bench->peer);

        assert_int_equal(credentials->pid, getpid());
        assert_int_equal(credentials->uid, geteuid());
        assert_true(peer_is_member(bench->peer, getegid()));
        assert_false(peer_is_member(bench->peer, (gid_t) -1));
        assert_false(peer_is_member(bench->peer, 4123456));
}

#define peer_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                peer_test(test_messages_may_come_in_pieces),
                peer_test(test_one_wake_up_hands_out_a_bounded_number),
                peer_test(test_it_may_be_freed_within_its_own_message),
                peer_test(test_a_drop_ends_it_once_and_later),
                peer_test(test_a_drop_from_outside_is_carried_out_by_the_loop),
                peer_test(test_the_limit_of_a_message_is_exact),
                peer_test(test_a_closed_connection_hands_out_what_came_before),
                peer_test(test_a_half_closed_one_still_gets_answers),
                peer_test(test_a_paused_one_waits_and_still_notices_the_end),
                peer_test(test_one_that_never_reads_is_dropped),
                peer_test(test_a_slow_one_gets_everything),
                peer_test(test_one_that_asks_without_reading_is_held_back),
                peer_test(test_large_answers_are_not_piled_up),
                peer_test(test_credentials_are_the_kernels),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
