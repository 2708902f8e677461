#include "../lib/test.h"

#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../../protocol/ring.h"

static Ring *ring_map(void) {
        cleanup(fd_closep) int fd = memfd_make("ring", ring_size_bytes());
        Ring *ring;

        assert_true(fd >= 0);
        ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(ring != MAP_FAILED);
        ring_init(ring);
        return ring;
}

static int setup(void **state) {
        *state = ring_map();
        return 0;
}

static int teardown(void **state) {
        return munmap(*state, ring_size_bytes());
}

static bool put(Ring *ring, int pid) {
        return ring_put(ring, &(RingRecord) { .kind = RING_EXIT, .pid = pid });
}

static int take_pid(Ring *ring, bool *ret_was_starved) {
        RingRecord record;

        return ring_take(ring, &record, ret_was_starved) ? record.pid : -1;
}

static void test_a_fresh_ring_is_valid_and_empty(void **state) {
        Ring *ring = *state;
        bool was_starved = true;

        assert_true(ring_is_valid(ring, ring_size_bytes()));
        assert_false(ring_is_valid(ring, ring_size_bytes() - 1));
        assert_int_equal(take_pid(ring, &was_starved), -1);
        assert_false(was_starved);
        assert_null(ring_peek(ring, 0));
        assert_true(ring->deadline_usec == UINT64_MAX);
}

static void test_what_is_no_ring_is_refused(void **state) {
        Ring *ring = *state;

        ring->magic++;
        assert_false(ring_is_valid(ring, ring_size_bytes()));
        ring->magic--;
        ring->version++;
        assert_false(ring_is_valid(ring, ring_size_bytes()));
        ring->version--;
        ring->capacity *= 2;
        assert_false(ring_is_valid(ring, ring_size_bytes()));
        ring->capacity /= 2;
        ring->tail = 1; /* more read than was written */
        assert_false(ring_is_valid(ring, ring_size_bytes()));
        ring->tail = 0;
        ring->head = RING_CAPACITY + 1;
        assert_false(ring_is_valid(ring, ring_size_bytes()));
        ring->head = 0;
        assert_true(ring_is_valid(ring, ring_size_bytes()));
}

static void test_records_come_out_in_order_however_often_it_wraps(void **state) {
        Ring *ring = *state;
        bool was_starved;
        int in = 0, out = 0;

        ring->head = ring->tail = UINT64_MAX - 5000; /* the numbers themselves wrap as well */
        while (out < 20000) {
                for (int i = 0; i < 777; i++)
                        assert_true(put(ring, in++));
                assert_int_equal(ring_peek(ring, 776)->pid, in - 1);
                assert_null(ring_peek(ring, 777));
                for (int i = 0; i < 777; i++)
                        assert_int_equal(take_pid(ring, &was_starved), out++);
        }
}

static void test_a_full_ring_refuses_and_says_that_it_waits(void **state) {
        Ring *ring = *state;
        bool was_starved;

        for (unsigned i = 0; i < RING_CAPACITY; i++)
                assert_true(put(ring, (int) i));
        assert_int_equal(ring->starved, 0);
        assert_false(put(ring, -7));
        assert_int_equal(ring->starved, 1);
        assert_int_equal(take_pid(ring, &was_starved), 0);
        assert_true(was_starved);
        assert_true(put(ring, -8));
        assert_int_equal(ring->starved, 0);
        assert_int_equal(ring_peek(ring, RING_CAPACITY - 1)->pid, -8);
}

/* The reader dies after it took the last record and before it told the writer: the next one is told, though the ring
 * is empty by then. */
static void test_a_waiting_writer_is_not_forgotten_when_the_reader_crashes(void **state) {
        Ring *ring = *state;
        bool was_starved;

        for (unsigned i = 0; i < RING_CAPACITY; i++)
                assert_true(put(ring, (int) i));
        assert_false(put(ring, -1));
        for (unsigned i = 0; i < RING_CAPACITY; i++)
                assert_int_equal(take_pid(ring, &was_starved), (int) i);
        assert_int_equal(take_pid(ring, &was_starved), -1);
        assert_true(was_starved);
}

static void test_a_nonsense_tail_never_leaves_the_array(void **state) {
        static const uint64_t tails[] = { 1, 100, UINT64_MAX, UINT64_C(1) << 63, UINT64_MAX - RING_CAPACITY };
        Ring *ring = *state;
        bool was_starved;

        for (size_t i = 0; i < n_elements(tails); i++) {
                ring->head = 0;
                ring->tail = tails[i];
                if (ring->head - ring->tail <= RING_CAPACITY)
                        continue; /* that one makes sense */
                assert_false(put(ring, 1));
                assert_int_equal(take_pid(ring, &was_starved), -1);
                assert_null(ring_peek(ring, 0));
                assert_null(ring_peek(ring, UINT64_MAX));
                assert_false(ring_is_valid(ring, ring_size_bytes()));
        }
}

/* Writer and reader in two processes, as keeper and core are, over shared memory. */
static void test_two_processes_lose_and_double_nothing(void **state) {
        enum { N = 200000 };
        Ring *ring = *state;
        bool was_starved;
        pid_t writer;
        int status;

        writer = fork();
        assert_true(writer >= 0);
        if (writer == 0) {
                for (int i = 0; i < N; i++)
                        while (!ring_put(ring, &(RingRecord) { .pid = i, .status = ~i, .time_usec = (uint64_t) i * 3 }))
                                (void) sched_yield();
                _exit(0);
        }
        for (int i = 0; i < N;) {
                RingRecord record;

                if (!ring_take(ring, &record, &was_starved)) {
                        (void) sched_yield();
                        continue;
                }
                assert_int_equal(record.pid, i);
                assert_int_equal(record.status, ~i);
                assert_true(record.time_usec == (uint64_t) i * 3);
                i++;
        }
        assert_int_equal(waitpid(writer, &status, 0), writer);
        assert_int_equal(status, 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_a_fresh_ring_is_valid_and_empty, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_no_ring_is_refused, setup, teardown),
                cmocka_unit_test_setup_teardown(test_records_come_out_in_order_however_often_it_wraps, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_full_ring_refuses_and_says_that_it_waits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_a_waiting_writer_is_not_forgotten_when_the_reader_crashes, setup,
                                                teardown),
                cmocka_unit_test_setup_teardown(test_a_nonsense_tail_never_leaves_the_array, setup, teardown),
                cmocka_unit_test_setup_teardown(test_two_processes_lose_and_double_nothing, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
