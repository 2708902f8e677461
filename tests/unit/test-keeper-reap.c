#include "../lib/test.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "../../daemon/keeper/keeper.h"
#include "../../protocol/fds.h"

/* Real children, and no core. */
static Keeper *make_keeper(void) {
        static Keeper keeper;
        const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGRTMIN + 3, SIGHUP, SIGUSR2, SIGCHLD };
        sigset_t set;

        keeper = (Keeper) { .pid = getpid(), .respawn = USEC_INFINITY, .restart = USEC_INFINITY };
        keeper.ring = mmap(NULL, ring_size_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_true(keeper.ring != MAP_FAILED);
        ring_init(keeper.ring);
        keeper.event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        (void) sigemptyset(&set);
        for (size_t i = 0; i < n_elements(signals); i++)
                (void) sigaddset(&set, signals[i]);
        assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
        keeper.signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        assert_true(keeper.event_fd >= 0 && keeper.signal_fd >= 0);
        return &keeper;
}

static void free_keeper(Keeper *k) {
        struct signalfd_siginfo info;

        while (read(k->signal_fd, &info, sizeof(info)) > 0)
                ; /* the next test wants none of them */
        (void) munmap(k->ring, ring_size_bytes());
        (void) close(k->event_fd);
        (void) close(k->signal_fd);
}

/* A child that is a zombie when this returns. */
static pid_t make_dead(int status) {
        siginfo_t si;
        pid_t pid = fork();

        if (pid == 0)
                _exit(status);
        assert_true(pid > 0);
        assert_int_equal(waitid(P_PID, (id_t) pid, &si, WEXITED | WNOWAIT), 0);
        return pid;
}

static bool is_zombie(pid_t pid) {
        siginfo_t si = { .si_pid = 0 };

        return waitid(P_PID, (id_t) pid, &si, WEXITED | WNOWAIT | WNOHANG) == 0 && si.si_pid == pid;
}

static void fill_ring(Keeper *k) {
        const RingRecord record = { .kind = RING_EXIT, .pid = 1 };

        while (ring_put(k->ring, &record))
                ;
}

static RingRecord take_record(Keeper *k) {
        RingRecord record;
        bool was_starved;

        assert_true(ring_take(k->ring, &record, &was_starved));
        return record;
}

static void test_dead_child_is_recorded_and_reaped(void **state) {
        Keeper *k = make_keeper();
        pid_t pid = make_dead(23);
        RingRecord record;

        reap_children(k);
        record = take_record(k);
        assert_int_equal(record.kind, RING_EXIT);
        assert_int_equal(record.pid, pid);
        assert_int_equal(record.code, CLD_EXITED);
        assert_int_equal(record.status, 23);
        assert_true(record.max_rss_kib > 0);
        assert_true(record.time_usec > 0);
        assert_false(is_zombie(pid));
        assert_int_equal(eventfd_clear(k->event_fd), 1);
        assert_false(k->must_reap);
        free_keeper(k);
}

static void test_death_by_signal_is_told_from_an_exit(void **state) {
        Keeper *k = make_keeper();
        siginfo_t si;
        pid_t pid = fork();
        RingRecord record;

        if (pid == 0)
                for (;;)
                        (void) pause();
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t) pid, &si, WEXITED | WNOWAIT), 0);
        reap_children(k);
        record = take_record(k);
        assert_int_equal(record.code, CLD_KILLED);
        assert_int_equal(record.status, SIGKILL);
        free_keeper(k);
}

static void test_nothing_to_reap_wakes_nobody(void **state) {
        Keeper *k = make_keeper();

        reap_children(k);
        assert_int_equal(eventfd_clear(k->event_fd), 0);
        free_keeper(k);
}

static void test_full_ring_leaves_the_dead_to_the_kernel(void **state) {
        Keeper *k = make_keeper();
        pid_t pid = make_dead(1);

        fill_ring(k);
        reap_children(k);
        assert_true(is_zombie(pid));
        assert_int_equal(k->ring->starved, 1);
        (void) take_record(k);
        reap_retry(k);
        assert_true(k->must_reap);
        reap_children(k);
        assert_false(is_zombie(pid));
        assert_int_equal(k->ring->starved, 0);
        free_keeper(k);
}

static void test_core_is_seen_and_not_recorded(void **state) {
        Keeper *k = make_keeper();

        k->core = make_dead(7);
        reap_children(k);
        assert_true(k->has_core_exited);
        assert_int_equal(k->core_exit.si_status, 7);
        assert_true(is_zombie(k->core)); /* until its last messages are read, its pid is its own */
        assert_null(ring_peek(k->ring, 0));
        assert_int_equal(waitpid(k->core, NULL, 0), k->core);
        free_keeper(k);
}

static void test_core_is_seen_behind_a_full_ring(void **state) {
        Keeper *k = make_keeper();
        pid_t other = make_dead(1);

        k->core = make_dead(7);
        fill_ring(k);
        reap_children(k);
        assert_true(k->has_core_exited);
        assert_int_equal(k->core_exit.si_pid, k->core);
        assert_int_equal(waitpid(k->core, NULL, 0), k->core);
        assert_int_equal(waitpid(other, NULL, 0), other);
        free_keeper(k);
}

static void test_large_crowd_is_reaped_in_batches(void **state) {
        Keeper *k = make_keeper();
        unsigned n_rounds = 0;

        for (unsigned i = 0; i < 600; i++)
                (void) make_dead(0);
        do {
                reap_children(k);
                n_rounds++;
        } while (k->must_reap);
        assert_in_range(n_rounds, 3, 4);
        assert_int_equal(k->ring->head, 600);
        assert_int_equal(eventfd_clear(k->event_fd), 3); /* one wake-up a batch */
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        free_keeper(k);
}

static void test_signal_is_recorded_with_its_sender(void **state) {
        Keeper *k = make_keeper();
        RingRecord record;

        assert_int_equal(kill(getpid(), SIGTERM), 0);
        reap_signals(k, 1234);
        record = take_record(k);
        assert_int_equal(record.kind, RING_SIGNAL);
        assert_int_equal(record.status, SIGTERM);
        assert_int_equal(record.pid, getpid());
        assert_int_equal(record.uid, getuid());
        assert_int_equal(record.time_usec, 1234);
        assert_int_equal(eventfd_clear(k->event_fd), 1);
        free_keeper(k);
}

static void test_signals_wait_for_room(void **state) {
        Keeper *k = make_keeper();
        unsigned n_term = 0, n_hup = 0;

        fill_ring(k);
        for (unsigned i = 0; i < KEEPER_SIGNALS_KEPT + 2; i++) {
                assert_int_equal(kill(getpid(), SIGTERM), 0);
                reap_signals(k, i);
        }
        assert_int_equal(kill(getpid(), SIGHUP), 0);
        reap_signals(k, 9);
        assert_true(k->has_pending_signal);
        for (unsigned i = 0; i < RING_CAPACITY; i++)
                (void) take_record(k);
        reap_retry(k);
        assert_false(k->has_pending_signal);
        while (ring_peek(k->ring, 0)) {
                RingRecord record = take_record(k);

                n_term += record.status == SIGTERM;
                n_hup += record.status == SIGHUP;
        }
        assert_int_equal(n_term, KEEPER_SIGNALS_KEPT);
        assert_int_equal(n_hup, 1);
        free_keeper(k);
}

/* Whoever writes into the ring says that nobody waits for room. */
static void test_the_dead_do_not_overtake_a_signal_that_waits(void **state) {
        Keeper *k = make_keeper();
        pid_t pid = make_dead(1);

        fill_ring(k);
        assert_int_equal(kill(getpid(), SIGHUP), 0);
        assert_int_equal(kill(getpid(), SIGTERM), 0);
        reap_signals(k, 1);
        (void) take_record(k);
        reap_children(k);
        assert_true(is_zombie(pid) && k->ring->starved == 1);
        reap_retry(k); /* room for one of them */
        assert_true(k->has_pending_signal && k->ring->starved == 1);
        (void) take_record(k);
        (void) take_record(k);
        reap_retry(k);
        reap_children(k);
        assert_false(is_zombie(pid) || k->has_pending_signal);
        free_keeper(k);
}

/* What a new core has read of before is still a zombie until its record is written. Seen from outside, both ways leave
 * the same; this one writes each record before it reaps. */
static void test_while_a_core_takes_over_all_are_recorded(void **state) {
        Keeper *k = make_keeper();
        pid_t pid = make_dead(3);

        k->watch.is_starting = true;
        fill_ring(k);
        reap_children(k);
        assert_true(is_zombie(pid));
        while (ring_peek(k->ring, 0))
                (void) take_record(k);
        reap_children(k);
        assert_false(is_zombie(pid));
        assert_int_equal(take_record(k).status, 3);
        free_keeper(k);
}

static void test_usr2_sets_the_core_a_time(void **state) {
        Keeper *k = make_keeper();

        assert_int_equal(kill(getpid(), SIGUSR2), 0);
        reap_signals(k, 1000);
        assert_int_equal(k->restart, 1000 + KEEPER_RESTART_USEC);
        assert_int_equal(kill(getpid(), SIGUSR2), 0);
        reap_signals(k, 2000);
        assert_int_equal(k->restart, 1000 + KEEPER_RESTART_USEC); /* asking again does not put it off */
        assert_int_equal(take_record(k).status, SIGUSR2);
        free_keeper(k);
}

static void test_each_signal_that_asks_for_the_end_counts(void **state) {
        const int asks[] = { SIGTERM, SIGINT, SIGQUIT, SIGRTMIN + 3 }, others[] = { SIGHUP, SIGUSR2 };
        Keeper *k = make_keeper();

        for (size_t i = 0; i < n_elements(asks); i++) {
                assert_int_equal(kill(getpid(), asks[i]), 0);
                reap_signals(k, 1000);
                assert_int_equal(k->n_asked, i + 1);
        }
        for (size_t i = 0; i < n_elements(others); i++)
                assert_int_equal(kill(getpid(), others[i]), 0);
        reap_signals(k, 2000);
        assert_int_equal(k->n_asked, n_elements(asks));
        free_keeper(k);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dead_child_is_recorded_and_reaped),
                cmocka_unit_test(test_death_by_signal_is_told_from_an_exit),
                cmocka_unit_test(test_nothing_to_reap_wakes_nobody),
                cmocka_unit_test(test_full_ring_leaves_the_dead_to_the_kernel),
                cmocka_unit_test(test_core_is_seen_and_not_recorded),
                cmocka_unit_test(test_core_is_seen_behind_a_full_ring),
                cmocka_unit_test(test_large_crowd_is_reaped_in_batches),
                cmocka_unit_test(test_signal_is_recorded_with_its_sender),
                cmocka_unit_test(test_signals_wait_for_room),
                cmocka_unit_test(test_the_dead_do_not_overtake_a_signal_that_waits),
                cmocka_unit_test(test_while_a_core_takes_over_all_are_recorded),
                cmocka_unit_test(test_usr2_sets_the_core_a_time),
                cmocka_unit_test(test_each_signal_that_asks_for_the_end_counts),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
