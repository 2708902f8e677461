#include "../lib/test.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../daemon/keeper/keeper.h"

#define SEC USEC_PER_SEC

/* A core that is nothing but a process that can be killed; its answers are written by the test. */
static int begin(void **state) {
        static Keeper keeper;
        Keeper *k = &keeper;
        pid_t core = fork();

        if (core == 0)
                for (;;)
                        (void) pause();
        keeper = (Keeper) {
                .pid = getpid(), .core = core, .respawn = USEC_INFINITY, .restart = USEC_INFINITY, .upstream_fd = -EBADF,
        };
        k->ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ring_init(k->ring);
        k->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        (void) unsetenv("WATCHDOG_USEC");
        watch_init(k);
        watch_on_spawn(k, 100 * SEC);
        *state = k;
        return core < 0;
}

static int end(void **state) {
        Keeper *k = *state;

        if (k->core > 0) {
                (void) kill(k->core, SIGKILL);
                (void) waitpid(k->core, NULL, 0);
        }
        (void) munmap(k->ring, ring_size_bytes());
        (void) close(k->event_fd);
        return 0;
}

static void answer(Keeper *k) {
        k->ring->pong = k->ring->ping;
}

static void drain_until(Keeper *k, usec_t deadline) {
        k->ring->deadline_usec = deadline;
        k->ring->is_draining = 1;
}

static void test_healthy_core_is_asked_every_ten_seconds(void **state) {
        Keeper *k = *state;

        answer(k);
        watch_tick(k, 101 * SEC);
        assert_int_equal(watch_tick(k, 101 * SEC), 110 * SEC);
        for (usec_t now = 110 * SEC; now < 200 * SEC; now += 10 * SEC) {
                uint64_t before = k->ring->ping;

                watch_tick(k, now);
                assert_int_equal(k->ring->ping, before + 1);
                assert_int_equal(watch_tick(k, now), now + 10 * SEC);
                answer(k);
        }
        assert_false(k->watch.is_condemned);
}

static void test_start_may_take_thirty_seconds(void **state) {
        Keeper *k = *state;

        watch_tick(k, 130 * SEC - 1);
        assert_false(k->watch.is_condemned);
        assert_int_equal(watch_tick(k, 130 * SEC - 1), 130 * SEC);
        watch_tick(k, 130 * SEC);
        assert_true(k->watch.is_condemned);
}

static void test_silent_core_is_killed_once(void **state) {
        Keeper *k = *state;
        int status;

        answer(k);
        watch_tick(k, 110 * SEC);
        watch_tick(k, 120 * SEC);
        assert_true(k->watch.is_condemned);
        assert_int_equal(watch_tick(k, 120 * SEC), USEC_INFINITY);
        assert_int_equal(waitpid(k->core, &status, 0), k->core);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        k->core = 0;
}

static void test_drain_makes_it_impatient(void **state) {
        Keeper *k = *state;

        answer(k);
        drain_until(k, 500 * SEC);
        assert_int_equal(watch_tick(k, 100 * SEC), 101 * SEC);
        watch_tick(k, 101 * SEC);
        watch_tick(k, 102 * SEC);
        assert_false(k->watch.is_condemned);
        assert_int_equal(watch_tick(k, 102 * SEC), 103 * SEC);
        watch_tick(k, 103 * SEC);
        assert_true(k->watch.is_condemned);
}

static void test_own_lateness_is_not_held_against_the_core(void **state) {
        Keeper *k = *state;

        answer(k);
        watch_tick(k, 110 * SEC);
        watch_tick(k, 5000 * SEC); /* the machine slept */
        assert_false(k->watch.is_condemned);
        assert_int_equal(watch_tick(k, 5000 * SEC), 5002 * SEC);
        watch_tick(k, 5002 * SEC);
        assert_true(k->watch.is_condemned);
}

static void test_core_that_answers_at_the_deadline_goes_on(void **state) {
        Keeper *k = *state;

        answer(k);
        drain_until(k, 100 * SEC + 500000);
        assert_int_equal(watch_tick(k, 100 * SEC), 100 * SEC + 500000);
        watch_tick(k, 100 * SEC + 500000);
        answer(k);
        watch_tick(k, 100 * SEC + 600000);
        assert_false(k->is_given_up);
        watch_tick(k, 104 * SEC);
        assert_false(k->is_given_up);
}

static void test_core_that_is_silent_at_the_deadline_is_given_up(void **state) {
        Keeper *k = *state;

        answer(k);
        drain_until(k, 100 * SEC + 500000);
        watch_tick(k, 100 * SEC + 500000);
        assert_int_equal(watch_tick(k, 100 * SEC + 500000), 101 * SEC + 500000);
        watch_tick(k, 101 * SEC + 500000);
        assert_true(k->is_given_up);
}

static void test_core_that_is_gone_at_the_deadline_is_given_up(void **state) {
        Keeper *k = *state;
        pid_t core = k->core;

        k->core = 0;
        drain_until(k, 101 * SEC);
        watch_tick(k, 101 * SEC);
        assert_false(k->is_given_up);
        watch_tick(k, 102 * SEC);
        assert_true(k->is_given_up);
        k->core = core;
}

static void test_drain_taken_back_forgets_its_deadline(void **state) {
        Keeper *k = *state;

        answer(k);
        drain_until(k, 101 * SEC);
        watch_tick(k, 101 * SEC);
        k->ring->is_draining = 0;
        k->ring->deadline_usec = UINT64_MAX;
        watch_tick(k, 101 * SEC + 1);
        assert_int_equal(k->watch.overdue, 0);
        assert_false(k->is_given_up);
}

static void test_core_that_ignores_usr2_is_killed(void **state) {
        Keeper *k = *state;

        answer(k);
        k->restart = 102 * SEC;
        assert_int_equal(watch_tick(k, 101 * SEC), 102 * SEC);
        watch_tick(k, 102 * SEC);
        assert_true(k->watch.is_condemned);
}

static void test_no_time_that_is_due_stays_due(void **state) {
        Keeper *k = *state;
        unsigned seed = 7;
        usec_t now = 100 * SEC;

        /* Whatever the core does: after a tick the next one lies ahead, so that the keeper never spins. */
        for (unsigned step = 0; step < 20000 && !k->watch.is_condemned && !k->is_given_up; step++) {
                usec_t next;

                if (rand_r(&seed) % 20)
                        answer(k);
                if (rand_r(&seed) % 50 == 0)
                        drain_until(k, now + (usec_t) rand_r(&seed) % (5 * SEC));
                if (rand_r(&seed) % 5 == 0)
                        k->ring->is_draining = 0;
                next = watch_tick(k, now);
                if (!k->is_given_up)
                        assert_true(next > now);
                now = rand_r(&seed) % 3 ? usec_min(next, now + 20 * SEC) : now + (usec_t) rand_r(&seed) % SEC;
        }
}

static void test_systemd_is_fed_at_half_its_period(void **state) {
        Keeper *k = *state;

        (void) setenv("WATCHDOG_USEC", "4000000", 1);
        watch_init(k);
        answer(k);
        watch_tick(k, 101 * SEC);
        assert_int_equal(watch_tick(k, 101 * SEC), 103 * SEC);
        (void) setenv("WATCHDOG_PID", "1", 1); /* somebody else's */
        watch_init(k);
        assert_int_equal(watch_tick(k, 101 * SEC), 110 * SEC);
        (void) unsetenv("WATCHDOG_PID");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_healthy_core_is_asked_every_ten_seconds, begin, end),
                cmocka_unit_test_setup_teardown(test_start_may_take_thirty_seconds, begin, end),
                cmocka_unit_test_setup_teardown(test_silent_core_is_killed_once, begin, end),
                cmocka_unit_test_setup_teardown(test_drain_makes_it_impatient, begin, end),
                cmocka_unit_test_setup_teardown(test_own_lateness_is_not_held_against_the_core, begin, end),
                cmocka_unit_test_setup_teardown(test_core_that_answers_at_the_deadline_goes_on, begin, end),
                cmocka_unit_test_setup_teardown(test_core_that_is_silent_at_the_deadline_is_given_up, begin, end),
                cmocka_unit_test_setup_teardown(test_core_that_is_gone_at_the_deadline_is_given_up, begin, end),
                cmocka_unit_test_setup_teardown(test_drain_taken_back_forgets_its_deadline, begin, end),
                cmocka_unit_test_setup_teardown(test_core_that_ignores_usr2_is_killed, begin, end),
                cmocka_unit_test_setup_teardown(test_no_time_that_is_due_stays_due, begin, end),
                cmocka_unit_test_setup_teardown(test_systemd_is_fed_at_half_its_period, begin, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
