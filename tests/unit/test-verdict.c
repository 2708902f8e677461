#include "../lib/test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ptrace.h>

#include "../lib/family.h"
#include "../../daemon/core/verdict.h"

/* HELPERS_DIR is where the compiled programs of tests/lib/ are. */
#define STUBBORN HELPERS_DIR "/stubborn"

static uint64_t bit_of(int signal) {
        return UINT64_C(1) << (signal - 1);
}

/* A child of ours, ready. Ended by the test or by family_sweep(). */
static pid_t start(const char *recipe) {
        char text[64] = "";
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                (void) dup2(fds[1], 1);
                (void) execl(STUBBORN, STUBBORN, recipe, NULL);
                _exit(127);
        }
        (void) close(fds[1]);
        assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
        (void) close(fds[0]);
        assert_int_equal(strncmp(text, "ready ", 6), 0);
        return pid;
}

static void end(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Takes verdicts until the process has come to rest in this state. */
static Verdict take_in_state(pid_t pid, char state) {
        long long until = family_now() + 10000;
        Verdict verdict = { .state = '?' };

        while (family_now() < until) {
                assert_int_equal(verdict_take(pid, &verdict), 0);
                if (verdict.state == state)
                        return verdict;
                (void) poll(NULL, 0, 1);
        }
        fail_msg("state %c, not %c", verdict.state, state);
        return verdict;
}

static void assert_says(const Verdict *verdict, int signal, const char *part) {
        char text[VERDICT_TEXT_BYTES];

        if (!strstr(verdict_format(text, sizeof(text), verdict, signal), part))
                fail_msg("no \"%s\" in \"%s\"", part, text);
}

static void test_what_becomes_of_the_signal_is_told(void **state) {
        static const struct {
                const char *recipe, *text;
        } rows[] = {
                { "ignore", "ignores SIGTERM; sleeping" },
                { "block", "blocks SIGTERM, it is pending; sleeping" },
                { "handle", "handles SIGTERM itself; sleeping" },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                pid_t pid = start(rows[i].recipe);
                Verdict verdict;

                assert_int_equal(kill(pid, SIGTERM), 0);
                (void) poll(NULL, 0, 1);
                verdict = take_in_state(pid, 'S');
                assert_int_equal(verdict.pid, pid);
                assert_int_equal(verdict.parent, getpid());
                assert_int_equal(verdict.n_threads, 1);
                assert_string_equal(verdict.command, "stubborn");
                assert_says(&verdict, SIGTERM, rows[i].text);
                end(pid);
        }
}

static void test_the_call_that_it_waits_in_is_named(void **state) {
        pid_t pid = start("read");
        Verdict verdict = take_in_state(pid, 'S');

        if (verdict.system_call < 0)
                print_message("/proc/PID/syscall is not readable here\n");
        else
                assert_says(&verdict, SIGTERM, "ignores SIGTERM; sleeping in read(2)");
        if (verdict.wchan[0])
                assert_says(&verdict, SIGTERM, ", wchan ");
        end(pid);
}

static void test_a_stopped_process_is_said_to_need_a_signal(void **state) {
        pid_t pid = start("stop");
        Verdict verdict = take_in_state(pid, 'T');

        assert_int_equal(kill(pid, SIGTERM), 0);
        verdict = take_in_state(pid, 'T');
        assert_true(verdict.pending & bit_of(SIGTERM));
        assert_says(&verdict, SIGTERM, "has not been able to take SIGTERM; stopped, needs SIGCONT");
        assert_true(strstr(verdict_format((char[VERDICT_TEXT_BYTES]) { "" }, VERDICT_TEXT_BYTES, &verdict, 0), "SIGTERM") == NULL);
        end(pid);
}

static void test_a_wait_in_the_kernel_is_named(void **state) {
        pid_t pid = start("dstate");
        Verdict verdict = take_in_state(pid, 'D');

        assert_int_equal(kill(pid, SIGTERM), 0);
        verdict = take_in_state(pid, 'D');
        assert_says(&verdict, SIGTERM, "has not been able to take SIGTERM; waiting in the kernel");
        end(pid);
}

static void test_of_many_threads_the_stuck_one_is_told(void **state) {
        pid_t pid = start("dthread");
        Verdict verdict = take_in_state(pid, 'D');

        assert_int_not_equal(verdict.thread, pid);
        assert_false(verdict.has_lost_leader);
        assert_says(&verdict, SIGTERM, " of 2 is waiting in the kernel");
        end(pid);
}

static void test_threads_that_outlive_the_main_one_are_told(void **state) {
        pid_t pid = start("leader");
        Verdict verdict = take_in_state(pid, 'S');

        while (!verdict.has_lost_leader)
                verdict = take_in_state(pid, 'S');
        assert_int_equal(verdict.n_threads, 2);
        assert_int_not_equal(verdict.thread, pid);
        assert_says(&verdict, SIGTERM, "ignores SIGTERM; thread ");
        assert_says(&verdict, SIGTERM, "; its main thread has ended");
        end(pid);
}

static void test_a_tracer_is_named(void **state) {
        pid_t pid = start("ignore");
        char text[64];
        Verdict verdict;

        assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
        verdict = take_in_state(pid, 't');
        (void) snprintf(text, sizeof(text), "stopped by a tracer");
        assert_says(&verdict, SIGTERM, text);
        (void) snprintf(text, sizeof(text), "; traced by pid %d", (int) getpid());
        assert_says(&verdict, SIGTERM, text);
        end(pid);
}

static void test_the_dead_get_no_verdict(void **state) {
        pid_t pid = start("obey");
        siginfo_t info;
        Verdict verdict;

        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(verdict_take(pid, &verdict), -ESRCH); /* a zombie */
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(verdict_take(pid, &verdict), -ESRCH);
}

static void test_sentences_as_the_log_has_them(void **state) {
        static const struct {
                Verdict verdict;
                int signal;
                const char *text;
        } rows[] = {
                { { .pid = 12, .thread = 12, .state = 'S', .ignored = 1 << 14, .command = "nginx", .system_call = -1,
                    .wchan = "pipe_read" }, SIGTERM, "nginx (pid 12) ignores SIGTERM; sleeping, wchan pipe_read" },
                { { .pid = 12, .thread = 12, .state = 'R', .command = "nginx", .system_call = -1 }, SIGTERM,
                  "nginx (pid 12) does not handle SIGTERM; running" },
                { { .pid = 12, .thread = 13, .n_threads = 4, .state = 'D', .command = "a\nb\033c", .system_call = 99999 },
                  0, "a?b?c (pid 12) thread 13 of 4 is waiting in the kernel and cannot be interrupted (state D) in "
                     "system call 99999" },
                { { .pid = 1, .thread = 1, .state = '?', .command = "x", .system_call = -1, .tracer = 7 }, 99,
                  "x (pid 1) in an unknown state; traced by pid 7" },
        };
        char text[VERDICT_TEXT_BYTES], small[8];

        for (size_t i = 0; i < n_elements(rows); i++)
                assert_string_equal(verdict_format(text, sizeof(text), &rows[i].verdict, rows[i].signal), rows[i].text);
        assert_string_equal(verdict_format(small, sizeof(small), &rows[0].verdict, SIGTERM), "nginx (");
        small[0] = 'x';
        (void) verdict_format(small, 0, &rows[0].verdict, SIGTERM);
        assert_int_equal(small[0], 'x');
}

static void test_status_is_read_by_line(void **state) {
        static const char text[] = "Name:\tSigIgn:\nState:\tS (sleeping)\nTracerPid:\t33\nSigPnd:\t0000000000000001\n"
                                   "ShdPnd:\t0000000000004000\nSigBlk:\t8000000000000000\nSigIgn:\t0000000000001000\n"
                                   "SigCgt:\t0000000000000002\n";
        Verdict verdict = { 0 };

        assert_int_equal(verdict_parse_status(text, &verdict), 0);
        assert_int_equal(verdict.tracer, 33);
        assert_true(verdict.pending == (bit_of(1) | bit_of(15)) && verdict.blocked == bit_of(64));
        assert_true(verdict.ignored == bit_of(13) && verdict.caught == bit_of(2));
        assert_int_equal(verdict_parse_status("", &verdict), -EINVAL);
        assert_int_equal(verdict_parse_status("Name:\tx\n", &verdict), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_becomes_of_the_signal_is_told),
                cmocka_unit_test(test_the_call_that_it_waits_in_is_named),
                cmocka_unit_test(test_a_stopped_process_is_said_to_need_a_signal),
                cmocka_unit_test(test_a_wait_in_the_kernel_is_named),
                cmocka_unit_test(test_of_many_threads_the_stuck_one_is_told),
                cmocka_unit_test(test_threads_that_outlive_the_main_one_are_told),
                cmocka_unit_test(test_a_tracer_is_named),
                cmocka_unit_test(test_the_dead_get_no_verdict),
                cmocka_unit_test(test_sentences_as_the_log_has_them),
                cmocka_unit_test(test_status_is_read_by_line),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
