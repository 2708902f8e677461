#include "../lib/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "../../daemon/core/loop.h"
#include "../../protocol/fds.h"

#define N_MANY 5000u

/* Stands in front of libc's, for libsystemd too: counts. */
static unsigned n_settimes;
__attribute__((__visibility__("default"))) int timerfd_settime(int fd, int flags, const struct itimerspec *new_value,
                                                               struct itimerspec *old_value) {
        n_settimes++;
        return (int) syscall(SYS_timerfd_settime, fd, flags, new_value, old_value);
}

typedef struct Alarm {
        Timer timer;
        unsigned number;
        Loop *loop;
        struct Alarm *other;
} Alarm;

static unsigned fired[N_MANY + 16], n_fired, n_fired_max;

static int setup(void **state) {
        n_fired = 0;
        n_fired_max = UINT32_MAX;
        return loop_new((Loop **) state, N_MANY);
}

static int teardown(void **state) {
        loop_freep((Loop **) state);
        return 0;
}

static void on_fired(Timer *timer, usec_t now) {
        Alarm *alarm = container_of(timer, Alarm, timer);

        assert_false(timer_is_armed(timer));
        assert_true(now >= timer->deadline);
        fired[n_fired++] = alarm->number;
        if (n_fired == n_fired_max)
                loop_exit(alarm->loop, 0);
}

/* Runs until so many timers have fired, which are all due within the second. */
static void run_for(Loop *loop, unsigned n) {
        usec_t end = clock_now_usec() + 10 * USEC_PER_SEC;

        while (n_fired < n) {
                assert_true(clock_now_usec() < end);
                assert_true(sd_event_run(loop_event(loop), USEC_PER_SEC) >= 0);
        }
}

static Alarm alarm_make(Loop *loop, unsigned number) {
        return (Alarm) { .timer = { .fired = on_fired }, .number = number, .loop = loop };
}

static void test_timers_fire_by_deadline_and_then_by_arming(void **state) {
        static const struct { unsigned after_usec, place; } rows[] = {
                { 3000, 4 }, { 1000, 0 }, { 2000, 2 }, { 1000, 1 }, { 2000, 3 }, { 3000, 5 },
        };
        usec_t now = clock_now_usec();
        Alarm alarms[n_elements(rows)];

        for (unsigned i = 0; i < n_elements(rows); i++) {
                alarms[i] = alarm_make(*state, i);
                timer_arm(*state, &alarms[i].timer, now + rows[i].after_usec);
        }
        run_for(*state, n_elements(rows));
        for (unsigned i = 0; i < n_elements(rows); i++)
                assert_int_equal(fired[rows[i].place], i);
}

static void test_thousands_of_overdue_timers_fire_in_order(void **state) {
        cleanup(freep) Alarm *alarms = calloc(N_MANY, sizeof(Alarm));
        usec_t now = clock_now_usec();

        assert_non_null(alarms);
        for (unsigned i = 0; i < N_MANY; i++) {
                unsigned number = (i * 1237u) % N_MANY; /* 1237 and 5000 have no common factor: each occurs once */

                alarms[number] = alarm_make(*state, number);
                timer_arm(*state, &alarms[number].timer, now - N_MANY + number);
        }
        run_for(*state, N_MANY);
        for (unsigned i = 0; i < N_MANY; i++)
                assert_int_equal(fired[i], i);
}

static void test_arming_many_timers_sets_the_clock_once(void **state) {
        cleanup(freep) Alarm *alarms = calloc(1000, sizeof(Alarm));
        usec_t later = clock_now_usec() + 3600 * USEC_PER_SEC;
        Alarm first = alarm_make(*state, 0);

        assert_non_null(alarms);
        n_settimes = 0;
        for (unsigned i = 0; i < 1000; i++) {
                alarms[i] = alarm_make(*state, i + 1);
                timer_arm(*state, &alarms[i].timer, later - i); /* each is the first one when it is armed */
        }
        assert_int_equal(n_settimes, 0);
        assert_int_equal(sd_event_run(loop_event(*state), 0), 0);
        assert_int_equal(n_settimes, 1);
        assert_int_equal(sd_event_run(loop_event(*state), 0), 0);
        assert_int_equal(n_settimes, 1);
        timer_arm(*state, &first.timer, 1);
        run_for(*state, 1);
        for (unsigned i = 0; i < 1000; i++)
                timer_arm(*state, &alarms[i].timer, USEC_INFINITY);
}

/* A coalescing timer, sd-event's default, would take 250 ms for each. */
static void test_timers_are_not_coalesced(void **state) {
        usec_t began = clock_now_usec();

        for (unsigned i = 1; i <= 20; i++) {
                Alarm alarm = alarm_make(*state, i);

                timer_arm(*state, &alarm.timer, clock_now_usec() + 2000);
                run_for(*state, i);
        }
        assert_true(clock_now_usec() - began < 2 * USEC_PER_SEC);
}

static void on_rearm(Timer *timer, usec_t now) {
        Alarm *alarm = container_of(timer, Alarm, timer);

        on_fired(timer, now);
        if (n_fired < 3)
                timer_arm(alarm->loop, timer, timer->deadline + 1);
}

static void test_a_timer_may_arm_itself_again(void **state) {
        Alarm alarm = alarm_make(*state, 7), other = alarm_make(*state, 8);

        alarm.timer.fired = on_rearm;
        timer_arm(*state, &alarm.timer, clock_now_usec() - 100);
        timer_arm(*state, &other.timer, clock_now_usec());
        run_for(*state, 4);
        assert_memory_equal(fired, ((unsigned[]) { 7, 7, 7, 8 }), 4 * sizeof(unsigned));
        assert_false(timer_is_armed(&alarm.timer));
}

static void on_free_other(Timer *timer, usec_t now) {
        Alarm *alarm = container_of(timer, Alarm, timer);

        on_fired(timer, now);
        timer_arm(alarm->loop, &alarm->other->timer, USEC_INFINITY);
        free(alarm->other);
        free(alarm);
}

static void test_a_timer_may_free_itself_and_others_that_are_due(void **state) {
        Alarm *alarm = malloc(sizeof(*alarm)), *other = malloc(sizeof(*other)), last = alarm_make(*state, 3);
        usec_t now = clock_now_usec();

        assert_non_null(alarm);
        assert_non_null(other);
        *other = alarm_make(*state, 2);
        *alarm = alarm_make(*state, 1);
        alarm->timer.fired = on_free_other;
        alarm->other = other;
        timer_arm(*state, &alarm->timer, now - 3);
        timer_arm(*state, &other->timer, now - 2);
        timer_arm(*state, &last.timer, now - 1);
        run_for(*state, 2);
        assert_memory_equal(fired, ((unsigned[]) { 1, 3 }), 2 * sizeof(unsigned));
}

static int by_deadline(const void *a, const void *b) {
        const Alarm *x = *(Alarm *const *) a, *y = *(Alarm *const *) b;

        if (x->timer.deadline != y->timer.deadline)
                return x->timer.deadline < y->timer.deadline ? -1 : 1;
        return x->timer.sequence < y->timer.sequence ? -1 : 1;
}

static void test_the_heap_keeps_its_order_under_random_use(void **state) {
        enum { N = 300 };
        Alarm alarms[N], *armed[N];
        unsigned seed = 4711, n_armed = 0;

        for (unsigned i = 0; i < N; i++)
                alarms[i] = alarm_make(*state, i);
        for (unsigned step = 0; step < 20000; step++) {
                Alarm *alarm = &alarms[(unsigned) rand_r(&seed) % N];

                timer_arm(*state, &alarm->timer, rand_r(&seed) % 3 ? 1 + (usec_t) rand_r(&seed) % 50 : USEC_INFINITY);
        }
        for (unsigned i = 0; i < N; i++)
                if (timer_is_armed(&alarms[i].timer))
                        armed[n_armed++] = &alarms[i];
        assert_in_range(n_armed, 100, N);
        qsort(armed, n_armed, sizeof(armed[0]), by_deadline);
        run_for(*state, n_armed);
        for (unsigned i = 0; i < n_armed; i++)
                assert_int_equal(fired[i], armed[i]->number);
}

#define EXIT_NUMBER 99999u

static int on_exit_record(int fd, uint32_t events, void *userdata) {
        fired[n_fired++] = EXIT_NUMBER;
        (void) eventfd_clear(fd);
        return 0;
}

static LoopSource *watch(Loop *loop, int fd, int priority, LoopReady ready) {
        LoopSource *source = NULL;

        assert_int_equal(loop_add_fd(loop, fd, EPOLLIN, priority, "test", ready, NULL, &source), 0);
        return source;
}

static void test_an_exit_comes_before_a_deadline_of_the_same_wakeup(void **state) {
        cleanup(fd_closep) int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        Alarm alarm = alarm_make(*state, 1);
        LoopSource *source;

        timer_arm(*state, &alarm.timer, 1);
        source = watch(*state, fd, LOOP_PRIORITY_EXITS, on_exit_record);
        run_for(*state, 2);
        assert_memory_equal(fired, ((unsigned[]) { EXIT_NUMBER, 1 }), 2 * sizeof(unsigned));
        loop_remove(source);
}

static void on_signal_exit(Timer *timer, usec_t now) {
        Alarm *alarm = container_of(timer, Alarm, timer);

        on_fired(timer, now);
        eventfd_signal((int) alarm->number);
}

static void test_an_exit_waits_for_a_bounded_batch_of_timers(void **state) {
        cleanup(fd_closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        cleanup(freep) Alarm *alarms = calloc(1000, sizeof(Alarm));
        LoopSource *source;
        unsigned place = 0;

        assert_non_null(alarms);
        source = watch(*state, fd, LOOP_PRIORITY_EXITS, on_exit_record);
        for (unsigned i = 0; i < 1000; i++) {
                alarms[i] = alarm_make(*state, (unsigned) fd);
                timer_arm(*state, &alarms[i].timer, 1);
        }
        alarms[0].timer.fired = on_signal_exit;
        run_for(*state, 1001);
        while (fired[place] != EXIT_NUMBER)
                place++;
        assert_int_equal(place, 256);
        loop_remove(source);
}

typedef struct Worker {
        LoopWork *work;
        unsigned n_runs, n_again;
} Worker;

static void on_work(void *userdata) {
        Worker *worker = userdata;

        worker->n_runs++;
        if (worker->n_again > 0) {
                worker->n_again--;
                loop_post(worker->work);
        }
}

static void test_work_posted_twice_runs_once(void **state) {
        Worker worker = { 0 };

        assert_int_equal(loop_add_work(*state, LOOP_PRIORITY_LATER, "work", on_work, &worker, &worker.work), 0);
        assert_int_equal(sd_event_run(loop_event(*state), 0), 0);
        assert_int_equal(worker.n_runs, 0);
        loop_post(worker.work);
        loop_post(worker.work);
        assert_int_equal(sd_event_run(loop_event(*state), 0), 1);
        assert_int_equal(sd_event_run(loop_event(*state), 0), 0);
        assert_int_equal(worker.n_runs, 1);
        worker.n_again = 1;
        loop_post(worker.work);
        while (sd_event_run(loop_event(*state), 0) > 0)
                ;
        assert_int_equal(worker.n_runs, 3);
        loop_remove_work(worker.work);
}

static void test_work_waits_for_all_that_is_due(void **state) {
        Worker worker = { 0 };
        Alarm alarms[200];

        assert_int_equal(loop_add_work(*state, LOOP_PRIORITY_LATER, "work", on_work, &worker, &worker.work), 0);
        loop_post(worker.work);
        for (unsigned i = 0; i < n_elements(alarms); i++) {
                alarms[i] = alarm_make(*state, i);
                timer_arm(*state, &alarms[i].timer, 1);
        }
        while (worker.n_runs == 0)
                assert_int_equal(sd_event_run(loop_event(*state), 0), 1);
        assert_int_equal(n_fired, n_elements(alarms));
        loop_remove_work(worker.work);
}

static int on_broken(int fd, uint32_t events, void *userdata) {
        return -EUCLEAN;
}

static void test_a_callback_that_fails_ends_the_loop(void **state) {
        cleanup(fd_closep) int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        LoopSource *source;

        source = watch(*state, fd, LOOP_PRIORITY_CONTROL, on_broken);
        assert_int_equal(loop_run(*state), -EUCLEAN);
        loop_remove(source);
}

static void test_the_loop_returns_the_status_of_its_end(void **state) {
        Alarm alarm = alarm_make(*state, 1);

        alarm.timer.fired = on_fired;
        n_fired_max = 1;
        timer_arm(*state, &alarm.timer, 1);
        assert_int_equal(loop_run(*state), 0);
}

static void test_now_never_goes_back_and_is_at_most_a_millisecond_old(void **state) {
        usec_t end = clock_now_usec() + 20 * USEC_PER_MSEC, last = 0;

        while (last < end) {
                usec_t before = clock_now_usec(), now = loop_now(*state);

                assert_true(now >= last);
                assert_true(now + 1 + USEC_PER_MSEC > before);
                assert_true(now <= clock_now_usec());
                last = now;
        }
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                with_fixture(test_timers_fire_by_deadline_and_then_by_arming),
                with_fixture(test_thousands_of_overdue_timers_fire_in_order),
                with_fixture(test_arming_many_timers_sets_the_clock_once),
                with_fixture(test_timers_are_not_coalesced),
                with_fixture(test_a_timer_may_arm_itself_again),
                with_fixture(test_a_timer_may_free_itself_and_others_that_are_due),
                with_fixture(test_the_heap_keeps_its_order_under_random_use),
                with_fixture(test_an_exit_comes_before_a_deadline_of_the_same_wakeup),
                with_fixture(test_an_exit_waits_for_a_bounded_batch_of_timers),
                with_fixture(test_work_posted_twice_runs_once),
                with_fixture(test_work_waits_for_all_that_is_due),
                with_fixture(test_a_callback_that_fails_ends_the_loop),
                with_fixture(test_the_loop_returns_the_status_of_its_end),
                with_fixture(test_now_never_goes_back_and_is_at_most_a_millisecond_old),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
