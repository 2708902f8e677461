#include "../lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../daemon/core/output.h"
#include "../../protocol/log.h"

#define N_LINES_MAX 64u

typedef struct Fixture {
        Loop *loop;
        Outputs *outputs;
        OutputPipe *a, *b;
        OutputWatcher watcher;
        unsigned n, n_of_a, n_of_b;
        char lines[N_LINES_MAX][OUTPUT_LINE_MAX * 4 + 1]; /* the first of them */
        bool is_continued[N_LINES_MAX];
        bool closes_a, flushes_a, leaves;
} Fixture;

/* Where a journald would listen: keeps what is logged away from the test's own output, and can be read. */
static int journal = -EBADF;
static char directory[] = "/tmp/test-output-XXXXXX";

static void on_line(const OutputLine *line, void *userdata) {
        Fixture *f = userdata;

        assert_int_equal(strlen(line->text), line->length);
        if (f->n < N_LINES_MAX) {
                memcpy(f->lines[f->n], line->text, line->length + 1);
                f->is_continued[f->n] = line->is_continued;
        }
        f->n++;
        f->n_of_a += strcmp(line->service, "a") == 0;
        f->n_of_b += strcmp(line->service, "b") == 0;
        if (f->closes_a)
                f->a = output_close(f->a);
        if (f->flushes_a)
                output_flush(f->a);
        if (f->leaves)
                outputs_unwatch(&f->watcher);
}

static int group_setup(void **state) {
        static struct sockaddr_un address = { .sun_family = AF_UNIX }; /* the log borrows its path */

        (void) signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(directory))
                return -1;
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", directory);
        journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (bind(journal, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -1;
        log_set_journal_socket(address.sun_path);
        log_open(LOG_TARGET_JOURNAL, LOG_INFO, "draind");
        return 0;
}

static int group_teardown(void **state) {
        char path[64];

        journal = fd_close(journal);
        (void) snprintf(path, sizeof(path), "%s/journal", directory);
        (void) unlink(path);
        return rmdir(directory);
}

static int setup(void **state) {
        static Fixture fixture;

        fixture = (Fixture) { .watcher = { .on_line = on_line, .userdata = &fixture } };
        *state = &fixture;
        if (loop_new(&fixture.loop, 1) < 0 || outputs_new(&fixture.outputs, fixture.loop) < 0)
                return -1;
        outputs_watch(fixture.outputs, &fixture.watcher);
        if (output_open(&fixture.a, fixture.outputs, "a", -EBADF) < 0)
                return -1;
        return output_open(&fixture.b, fixture.outputs, "b", -EBADF);
}

static int teardown(void **state) {
        Fixture *f = *state;

        f->a = output_close(f->a);
        f->b = output_close(f->b);
        outputs_unwatch(&f->watcher);
        outputs_freep(&f->outputs);
        loop_freep(&f->loop);
        return 0;
}

static void run_all(Fixture *f) {
        while (sd_event_run(loop_event(f->loop), 0) > 0)
                ;
}

static void put(int fd, const char *text, size_t length) {
        assert_int_equal(write(fd, text, length), length);
}

static void say(int fd, const char *text) {
        put(fd, text, strlen(text));
}

static void test_output_becomes_lines(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_WRONLY); /* as programs expect it */
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        say(fd, "one\ntwo\r\n\nthr");
        run_all(f);
        assert_int_equal(f->n_of_a, 3);
        assert_string_equal(f->lines[0], "one");
        assert_string_equal(f->lines[1], "two");
        assert_string_equal(f->lines[2], "");
        say(fd, "ee\tfour\n");
        run_all(f);
        assert_int_equal(f->n, 4);
        assert_string_equal(f->lines[3], "three\tfour");
        assert_int_equal(outputs_n_lines(f->outputs), 4);
}

static void test_what_a_terminal_would_obey_is_escaped(void **state) {
        static const char raw[] = "a\x1b[2J\0\xff\xc2\x9b" "b\rc \xe2\x82\xac\n";
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);

        put(fd, raw, sizeof(raw) - 1);
        run_all(f);
        assert_string_equal(f->lines[0], "a\\x1b[2J\\x00\\xff\\xc2\\x9bb\\x0dc \xe2\x82\xac");
}

static void test_a_long_line_goes_on_in_the_next(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);
        char text[2 * OUTPUT_LINE_MAX];

        memset(text, 'x', sizeof(text));
        memcpy(text + OUTPUT_LINE_MAX - 2, "\xe2\x82\xac", 3); /* lies across the first cut */
        put(fd, text, sizeof(text));
        say(fd, "end\n");
        run_all(f);
        assert_int_equal(f->n, 3);
        assert_true(f->is_continued[0] && f->is_continued[1] && !f->is_continued[2]);
        assert_int_equal(strlen(f->lines[0]), OUTPUT_LINE_MAX - 2);
        assert_int_equal(strncmp(f->lines[1], "\xe2\x82\xacx", 4), 0);
        assert_int_equal(strlen(f->lines[0]) + strlen(f->lines[1]) + strlen(f->lines[2]), sizeof(text) + 3);
        memset(text, '\x1b', OUTPUT_LINE_MAX);
        text[OUTPUT_LINE_MAX - 1] = '\n';
        put(fd, text, OUTPUT_LINE_MAX);
        run_all(f);
        assert_int_equal(f->n, 4); /* the longest line that is one */
        assert_int_equal(strlen(f->lines[3]), (OUTPUT_LINE_MAX - 1) * 4);
}

static void test_a_flush_ends_the_last_line_and_an_end_wakes_nobody(void **state) {
        Fixture *f = *state;
        int fd = output_writer(f->a);

        say(fd, "no newline");
        run_all(f);
        assert_int_equal(f->n, 0);
        fd_close(fd);
        run_all(f);
        assert_int_equal(f->n, 0); /* the end of the writer wakes nobody */
        output_flush(f->a);
        assert_int_equal(f->n, 1);
        assert_string_equal(f->lines[0], "no newline");
        assert_int_equal(sd_event_run(loop_event(f->loop), 0), 0);
        fd = output_writer(f->a); /* it is started again */
        say(fd, "again\n");
        run_all(f);
        assert_string_equal(f->lines[1], "again");
        fd_close(fd);
}

static void test_flushing_brings_what_a_stopped_service_has_left(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a); /* somebody still has it open */

        output_flush(f->a);
        assert_int_equal(f->n, 0);
        say(fd, "one\ntwo\nthree");
        output_flush(f->a);
        assert_int_equal(f->n, 3);
        assert_string_equal(f->lines[2], "three");
        say(fd, "four\n");
        run_all(f);
        assert_string_equal(f->lines[3], "four");
}

static void test_closing_loses_nothing(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);

        say(fd, "one\ntwo");
        f->a = output_close(f->a);
        assert_int_equal(f->n, 2);
        assert_int_equal(write(fd, "x", 1), -1);
        assert_int_equal(errno, EPIPE);
}

static void test_a_watcher_may_close_or_flush_the_pipe_and_leave(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);

        say(fd, "one\ntwo\nthree");
        f->flushes_a = true;
        run_all(f);
        assert_int_equal(f->n, 3);
        f->flushes_a = false;
        f->closes_a = true;
        say(fd, "four\nfive");
        run_all(f);
        assert_int_equal(f->n, 5);
        assert_string_equal(f->lines[0], "one");
        assert_null(f->a);
        fd_close(take_fd(fd));
        fd = output_writer(f->b);
        f->leaves = true;
        say(fd, "six\nseven\n");
        run_all(f);
        assert_int_equal(f->n, 6);
        assert_int_equal(outputs_n_lines(f->outputs), 7);
}

static void test_the_next_core_goes_on_reading(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);
        int kept = fcntl(output_fd(f->a), F_DUPFD_CLOEXEC, 3);

        f->a = output_close(f->a);
        say(fd, "while nobody read\n");
        assert_int_equal(fcntl(kept, F_SETFL, 0), 0);
        assert_int_equal(output_open(&f->a, f->outputs, "a", kept), 0);
        run_all(f);
        assert_string_equal(f->lines[0], "while nobody read");
        assert_int_equal(output_fd(f->a), kept);
        assert_true(fcntl(kept, F_GETFL) & O_NONBLOCK);
}

static void test_a_service_of_any_user_may_open_its_stderr_again(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);
        int status = -1;
        pid_t pid = fork();

        if (pid == 0) {
                int again;

                if (geteuid() == 0 && setuid(65534) < 0 && errno != EINVAL)
                        _exit(1); /* EINVAL: a user namespace without other users */
                if (dup2(fd, 2) < 0)
                        _exit(1);
                again = open("/dev/stderr", O_WRONLY | O_APPEND);
                _exit(again >= 0 && write(again, "again\n", 6) == 6 ? 0 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        run_all(f);
        assert_string_equal(f->lines[0], "again");
}

/* Fills the pipe with lines of one byte. */
static void fill(int fd) {
        static char lines[4096];

        memset(lines, '\n', sizeof(lines));
        assert_true(fcntl(fd, F_SETFL, O_NONBLOCK) >= 0);
        while (write(fd, lines, sizeof(lines)) > 0)
                ;
}

static void test_a_flood_is_read_in_turns(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int a = output_writer(f->a), b = output_writer(f->b);
        unsigned n_wakeups = 0;

        while (f->n_of_a == 0 || f->n_of_b == 0) {
                unsigned before = f->n;

                fill(a);
                fill(b);
                assert_true(sd_event_run(loop_event(f->loop), 0) > 0);
                assert_true(f->n > before);
                assert_true(f->n - before <= OUTPUT_LINES_WAKEUP + OUTPUT_LINE_MAX);
                assert_true(++n_wakeups <= 4);
        }
        for (unsigned i = 0; i < 20; i++) {
                fill(a);
                fill(b);
                assert_true(sd_event_run(loop_event(f->loop), 0) > 0);
        }
        assert_in_range(f->n_of_a, f->n_of_b / 2, f->n_of_b * 2);
        /* A pipe that was passed over and is then emptied by a flush does not keep the others waiting. */
        output_flush(f->a);
        for (unsigned i = 0; i < 70; i++)
                output_flush(f->b);
        f->n_of_a = 0;
        fill(a);
        run_all(f);
        assert_true(f->n_of_a > 1000);
}

static void count_line(const OutputLine *line, void *userdata) {
        Fixture *f = userdata;

        (void) snprintf(f->lines[f->n++ % N_LINES_MAX], sizeof(f->lines[0]), "%s:%s", line->service, line->text);
}

static void test_recent_lines_are_kept_for_who_asks(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int a = output_writer(f->a), b = output_writer(f->b);

        assert_int_equal(outputs_recent(f->outputs, NULL, 10, count_line, f), 0);
        say(a, "1\n2\n3\n");
        run_all(f);
        say(b, "4\n5\n");
        run_all(f);
        f->n = 0;
        assert_int_equal(outputs_recent(f->outputs, NULL, 3, count_line, f), 3);
        assert_string_equal(f->lines[0], "a:3");
        assert_string_equal(f->lines[1], "b:4");
        assert_string_equal(f->lines[2], "b:5");
        f->n = 0;
        assert_int_equal(outputs_recent(f->outputs, "a", 2, count_line, f), 2);
        assert_string_equal(f->lines[0], "a:2");
        assert_string_equal(f->lines[1], "a:3");
        assert_int_equal(outputs_recent(f->outputs, "c", 2, count_line, f), 0);
        assert_int_equal(outputs_recent(f->outputs, "a", 0, count_line, f), 0);
}

static void check_order(const OutputLine *line, void *userdata) {
        uint64_t *last = userdata;

        assert_true(*last == 0 || line->sequence == *last + 1);
        assert_int_equal(strlen(line->text), line->length);
        *last = line->sequence;
}

static void test_recent_lines_take_a_fixed_amount_of_memory(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);
        char line[OUTPUT_LINE_MAX];

        outputs_unwatch(&f->watcher);
        memset(line, 'y', sizeof(line));
        for (unsigned i = 0; i < 5000; i++) {
                size_t length = 1 + (i * 131u) % (sizeof(line) - 1); /* all lengths, so every kind of wrap */
                uint64_t last = 0;

                line[length - 1] = '\n';
                put(fd, line, length);
                line[length - 1] = i % 3 ? 'y' : '\x01'; /* and some that grow */
                output_flush(f->a);
                if (i % 50 == 0) {
                        unsigned n = outputs_recent(f->outputs, NULL, UINT32_MAX, check_order, &last);

                        assert_true(n >= (i < 30 ? i : 30));
                        assert_int_equal(last, i + 1);
                }
        }
}

static void test_each_line_is_logged(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = output_writer(f->a);
        char record[4096];
        ssize_t n;

        while (recv(journal, record, sizeof(record), 0) >= 0)
                ; /* what the other tests have left */
        say(fd, "for the \x1b journal\n");
        run_all(f);
        n = recv(journal, record, sizeof(record) - 1, 0);
        assert_true(n > 0);
        record[n] = '\0';
        assert_non_null(strstr(record, "for the \\x1b journal"));
        assert_non_null(strstr(record, "DRAIND_SERVICE=a\n"));
}

static void test_a_name_that_is_too_long_is_refused(void **state) {
        Fixture *f = *state;
        OutputPipe *pipe = NULL;
        char name[OUTPUT_NAME_MAX + 2] = "";
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        memset(name, 'n', OUTPUT_NAME_MAX + 1);
        assert_int_equal(output_open(&pipe, f->outputs, name, fds[0]), -ENAMETOOLONG);
        assert_int_equal(fcntl(fds[0], F_GETFD), -1); /* consumed */
        fd_close(fds[1]);
        assert_null(output_close(NULL));
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                with_fixture(test_output_becomes_lines),
                with_fixture(test_what_a_terminal_would_obey_is_escaped),
                with_fixture(test_a_long_line_goes_on_in_the_next),
                with_fixture(test_a_flush_ends_the_last_line_and_an_end_wakes_nobody),
                with_fixture(test_flushing_brings_what_a_stopped_service_has_left),
                with_fixture(test_closing_loses_nothing),
                with_fixture(test_a_watcher_may_close_or_flush_the_pipe_and_leave),
                with_fixture(test_the_next_core_goes_on_reading),
                with_fixture(test_a_service_of_any_user_may_open_its_stderr_again),
                with_fixture(test_a_flood_is_read_in_turns),
                with_fixture(test_recent_lines_are_kept_for_who_asks),
                with_fixture(test_recent_lines_take_a_fixed_amount_of_memory),
                with_fixture(test_each_line_is_logged),
                with_fixture(test_a_name_that_is_too_long_is_refused),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
