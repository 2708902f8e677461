#include "../lib/loop.h"

#include <sys/eventfd.h>
#include <sys/resource.h>

#include "../../protocol/fds.h"
#include "../../protocol/poller.h"

typedef struct Item {
        PollerEntry entry;
        int fd;
        unsigned n_calls;
        struct Item *removes; /* which one its callback takes away */
        unsigned *sum;
} Item;

typedef struct Bench {
        sd_event *event;
        Poller *poller;
} Bench;

static int setup(void **state) {
        Bench *bench = calloc(1, sizeof(*bench));

        assert_non_null(bench);
        assert_true(sd_event_new(&bench->event) >= 0);
        assert_int_equal(poller_new(&bench->poller, bench->event, 0, "test"), 0);
        *state = bench;
        return 0;
}

static int teardown(void **state) {
        Bench *bench = *state;

        poller_free(bench->poller);
        sd_event_unref(bench->event);
        free(bench);
        return 0;
}

static void on_ready(PollerEntry *entry, uint32_t events) {
        Item *item = container_of(entry, Item, entry);

        item->n_calls++;
        if (item->sum)
                (*item->sum)++;
        (void) eventfd_clear(item->fd);
        if (item->removes)
                poller_remove(&item->removes->entry);
}

static void item_open(Item *item, Poller *poller) {
        *item = (Item) { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
        assert_true(item->fd >= 0);
        assert_int_equal(poller_add(poller, &item->entry, item->fd, EPOLLIN, on_ready), 0);
}

static void item_close(Item *item) {
        poller_remove(&item->entry);
        item->fd = fd_close(item->fd);
}

static void test_what_is_ready_is_called_and_nothing_else(void **state) {
        Bench *bench = *state;
        Item a, b;

        item_open(&a, bench->poller);
        item_open(&b, bench->poller);
        (void) loop_settle(bench->event);
        assert_int_equal(a.n_calls + b.n_calls, 0);
        eventfd_signal(a.fd);
        (void) loop_settle(bench->event);
        assert_int_equal(a.n_calls, 1);
        assert_int_equal(b.n_calls, 0);
        item_close(&a);
        item_close(&b);
}

static void test_interest_may_change(void **state) {
        Bench *bench = *state;
        Item a;

        item_open(&a, bench->poller);
        poller_modify(&a.entry, 0);
        eventfd_signal(a.fd);
        (void) loop_settle(bench->event);
        assert_int_equal(a.n_calls, 0);
        poller_modify(&a.entry, EPOLLIN);
        (void) loop_settle(bench->event);
        assert_int_equal(a.n_calls, 1);
        item_close(&a);
}

/* Both are in the same batch, each removes the other: exactly one is called. */
static void test_a_removed_entry_is_not_called_in_the_same_batch(void **state) {
        Bench *bench = *state;
        Item a, b;

        item_open(&a, bench->poller);
        item_open(&b, bench->poller);
        a.removes = &b;
        b.removes = &a;
        eventfd_signal(a.fd);
        eventfd_signal(b.fd);
        (void) loop_settle(bench->event);
        assert_int_equal(a.n_calls + b.n_calls, 1);
        item_close(&a);
        item_close(&b);
}

static void on_ready_free(PollerEntry *entry, uint32_t events) {
        Item *item = container_of(entry, Item, entry);

        (*item->sum)++;
        item_close(item);
        free(item);
}

static void test_an_entry_may_free_its_owner(void **state) {
        Bench *bench = *state;
        unsigned n_calls = 0;

        for (unsigned i = 0; i < 200; i++) {
                Item *item = calloc(1, sizeof(*item));

                assert_non_null(item);
                item->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
                item->sum = &n_calls;
                assert_int_equal(poller_add(bench->poller, &item->entry, item->fd, EPOLLIN, on_ready_free), 0);
        }
        (void) loop_settle(bench->event);
        assert_int_equal(n_calls, 200);
}

static void on_ready_keep(PollerEntry *entry, uint32_t events) {
        container_of(entry, Item, entry)->n_calls++; /* left readable: it comes again */
}

/* More than a batch is always ready: the kernel takes them in turn. */
static void test_nobody_starves(void **state) {
        enum { N = 500 };
        Bench *bench = *state;
        static Item items[N];

        for (unsigned i = 0; i < N; i++) {
                item_open(&items[i], bench->poller);
                items[i].entry.callback = on_ready_keep;
                eventfd_signal(items[i].fd);
        }
        for (unsigned i = 0; i < 10 * N / POLLER_BATCH + 10; i++)
                assert_true(sd_event_run(bench->event, 0) > 0);
        for (unsigned i = 0; i < N; i++) {
                assert_in_range(items[i].n_calls, 9, 12);
                item_close(&items[i]);
        }
}

static int on_other(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        ++*(unsigned *) userdata;
        (void) eventfd_clear(fd);
        return 0;
}

/* One wake-up is one batch: a source of higher priority waits for 64 callbacks at most. */
static void test_a_batch_is_bounded(void **state) {
        enum { N = 300 };
        Bench *bench = *state;
        static Item items[N];
        unsigned n_calls = 0, n_other = 0;
        cleanup(fd_closep) int other = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        sd_event_source *source = NULL;

        for (unsigned i = 0; i < N; i++) {
                item_open(&items[i], bench->poller);
                items[i].sum = &n_calls;
                eventfd_signal(items[i].fd);
        }
        assert_true(sd_event_run(bench->event, 0) > 0);
        assert_int_equal(n_calls, POLLER_BATCH);
        assert_true(sd_event_add_io(bench->event, &source, other, EPOLLIN, on_other, &n_other) >= 0);
        assert_true(sd_event_source_set_priority(source, -1) >= 0);
        assert_true(sd_event_run(bench->event, 0) > 0);
        assert_int_equal(n_other, 1);
        assert_int_equal(n_calls, POLLER_BATCH);
        (void) loop_settle(bench->event);
        assert_int_equal(n_calls, N);
        sd_event_source_unref(source);
        for (unsigned i = 0; i < N; i++)
                item_close(&items[i]);
}

static void test_what_cannot_be_polled_is_refused(void **state) {
        Bench *bench = *state;
        Item item = { 0 };

        assert_int_equal(poller_add(bench->poller, &item.entry, -1, EPOLLIN, on_ready), -EBADF);
        assert_null(item.entry.poller);
        poller_remove(&item.entry); /* not in: fine */
        item_open(&item, bench->poller);
        {
                Item twice = { 0 };

                assert_int_equal(poller_add(bench->poller, &twice.entry, item.fd, EPOLLIN, on_ready), -EEXIST);
        }
        item_close(&item);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_what_is_ready_is_called_and_nothing_else, setup, teardown),
                cmocka_unit_test_setup_teardown(test_interest_may_change, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_removed_entry_is_not_called_in_the_same_batch, setup, teardown),
                cmocka_unit_test_setup_teardown(test_an_entry_may_free_its_owner, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody_starves, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_batch_is_bounded, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_cannot_be_polled_is_refused, setup, teardown),
        };
        uint64_t old;

        (void) !fd_raise_limit(&old);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
