#include "../lib/test.h"

#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../protocol/log-text.h"
#include "../../protocol/log.h"

/* The log is one for a process and opens stderr once: so each test logs in a child, whose stderr it made, and reads
 * what comes out at the other end. */

typedef void (*Body)(void);

static pid_t start(int err, Body body) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        (void) dup2(err, STDERR_FILENO);
        (void) signal(SIGPIPE, SIG_IGN);
        (void) unsetenv("JOURNAL_STREAM");
        body();
        _exit(0);
}

static void finish(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

static size_t read_all(int fd, char *ret, size_t size) {
        size_t n = 0;

        for (;;) {
                ssize_t k = read(fd, ret + n, size - 1 - n);

                if (k <= 0)
                        break;
                n += (size_t) k;
        }
        ret[n] = '\0';
        return n;
}

/* What body writes to a pipe. */
static char *written(Body body) {
        static char text[1 << 20];
        int fds[2];
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = start(fds[1], body);
        (void) fd_close(fds[1]);
        (void) read_all(fds[0], text, sizeof(text));
        (void) fd_close(fds[0]);
        finish(pid);
        return text;
}

static void body_console(void) {
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        log_message(LOG_INFO, "Started %s.", "web");
        log_message(LOG_NOTICE, "Draining.");
        log_message(LOG_WARNING, "Still running, killing it.");
        log_message(LOG_ERR, "Could not start.");
        log_message(LOG_DEBUG, "Not to be seen.");
        log_message(LOG_INFO, "Two\nlines\033[31m.");
        log_output("web", "hello \033[1mworld", 15);
        log_output("web", "newline\n", 8);
        log_output("web", "", 0);
        log_set_max_level(LOG_DEBUG);
        errno = ENOENT;
        log_message(LOG_DEBUG, "Seen: %m.");
        if (errno != ENOENT || log_target() != LOG_TARGET_CONSOLE || log_dropped() != 0)
                _exit(1);
}

static void test_the_console_is_for_people(void **state) {
        assert_string_equal(written(body_console), "draind: Started web.\n"
                                                   "draind: Draining.\n"
                                                   "draind: warning: Still running, killing it.\n"
                                                   "draind: error: Could not start.\n"
                                                   "draind: Two\\x0alines\\x1b[31m.\n"
                                                   "web | hello \033[1mworld\n"
                                                   "web | newline\n"
                                                   "web | \n"
                                                   "draind: Seen: No such file or directory.\n");
}

static void body_json(void) {
        log_open(LOG_TARGET_JSON, LOG_INFO, "draind");
        log_record(LOG_WARNING, (const LogField[]) { { "MESSAGE_ID", "1f" }, { "DRAIND_SERVICE", "we\"b" },
                                                     { "DRAIND_STATE", NULL }, { NULL, NULL } },
                   "x.c", 1, "A \"quote\", a \\, a tab\t, \x01, \x7f, \xc3\xa9 and \xff\xc3.");
        log_output("web", "out\0put", 7);
}

static void test_json_is_one_valid_object_a_line(void **state) {
        char *text = written(body_json), *second = strchr(text, '\n') + 1;
        json_t *json;

        second[-1] = '\0';
        json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "level")), "warning");
        assert_string_equal(json_string_value(json_object_get(json, "identifier")), "draind");
        assert_string_equal(json_string_value(json_object_get(json, "service")), "we\"b");
        assert_string_equal(json_string_value(json_object_get(json, "message_id")), "1f");
        assert_null(json_object_get(json, "state"));
        assert_string_equal(json_string_value(json_object_get(json, "message")),
                            "A \"quote\", a \\, a tab\t, \x01, \x7f, \xc3\xa9 and \xef\xbf\xbd\xef\xbf\xbd.");
        assert_int_equal(strlen(json_string_value(json_object_get(json, "time"))), 27);
        json_decref(json);
        json = json_loads(second, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
        assert_string_equal(json_string_value(json_object_get(json, "identifier")), "web");
        assert_int_equal(json_string_length(json_object_get(json, "message")), 7);
        json_decref(json);
}

static void body_long(void) {
        static char text[20000];

        memset(text, 'a', sizeof(text));
        log_open(LOG_TARGET_JSON, LOG_INFO, "draind");
        log_message(LOG_INFO, "%.*s", 20000, text);
        memset(text, 1, sizeof(text)); /* each becomes six bytes */
        log_output("web", text, sizeof(text));
        log_finish(20000); /* it is more than the pipe takes: the reader is needed */
        if (log_dropped() != 0)
                _exit(1);
}

static void test_long_lines_are_cut_or_become_several(void **state) {
        char *line = strtok(written(body_long), "\n");
        size_t lengths[8] = { 0 }, n = 0;

        for (; line; line = strtok(NULL, "\n")) {
                json_t *json = json_loads(line, 0, NULL);

                assert_non_null(json);
                assert_true(n < 8);
                lengths[n++] = json_string_length(json_object_get(json, "message"));
                json_decref(json);
        }
        assert_int_equal(n, 4);
        assert_true(lengths[0] > 4000 && lengths[0] < 4096);
        assert_int_equal(lengths[1] + lengths[2] + lengths[3], 20000);
}

/* A reader that does not read, and then does. */
enum { FLOOD = 20000 };
static int flooded[2], go_on[2];

static void body_flood(void) {
        struct pollfd wait = { .fd = go_on[0], .events = POLLIN };
        struct pollfd room = { .fd = STDERR_FILENO, .events = POLLOUT };

        log_open(LOG_TARGET_CONSOLE, LOG_INFO, "draind");
        for (unsigned i = 0; i < FLOOD; i++)
                log_message(LOG_INFO, "Line %u %.*s", i, (int) (i % 50),
                            "..................................................");
        if (log_dropped() == 0 || log_dropped() >= FLOOD)
                _exit(1);
        (void) close(go_on[1]);
        (void) close(flooded[1]);
        (void) poll(&wait, 1, 20000); /* the reader has made room */
        log_flush();
        (void) poll(&room, 1, 20000);
        log_message(LOG_INFO, "The end %llu", (unsigned long long) log_dropped());
        log_finish(20000);
}

static void test_a_full_pipe_loses_whole_lines_and_counts_them(void **state) {
        static char text[1 << 20];
        unsigned long long dropped = 0, said = 0;
        unsigned n_lines = 0, number, expected = 0;
        int fds[2], n_held = 0;
        size_t n = 0;
        pid_t pid;

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
        assert_int_equal(pipe2(flooded, O_CLOEXEC), 0);
        pid = start(fds[1], body_flood);
        (void) fd_close(fds[1]);
        (void) fd_close(go_on[0]);
        (void) fd_close(flooded[1]);
        assert_int_equal(read(flooded[0], text, 1), 0); /* the flood is over, and nothing was read of it */
        (void) fd_close(flooded[0]);
        assert_int_equal(ioctl(fds[0], FIONREAD, &n_held), 0);
        assert_true(n_held > 4096);
        while (n < (size_t) n_held) {
                ssize_t k = read(fds[0], text + n, (size_t) n_held - n);

                assert_true(k > 0);
                n += (size_t) k;
        }
        (void) fd_close(go_on[1]);
        n += read_all(fds[0], text + n, sizeof(text) - n);
        finish(pid);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                if (sscanf(line, "draind: Line %u ", &number) == 1) {
                        assert_true(number >= expected); /* in order, nothing twice */
                        expected = number + 1;
                        assert_int_equal(strlen(strrchr(line, ' ') + 1), number % 50);
                        n_lines++;
                } else if (sscanf(line, "draind: warning: %llu", &said) == 1) {
                        assert_non_null(strstr(line, " lost here"));
                        dropped += said;
                } else {
                        assert_int_equal(sscanf(line, "draind: The end %llu", &said), 1);
                        assert_true(said == dropped);
                        n_lines++;
                }
        }
        assert_int_equal(n_lines - 1 + dropped, FLOOD);
}

static void body_stderr_stays_blocking(void) {
        log_open(LOG_TARGET_CONSOLE, LOG_INFO, "draind");
        log_message(LOG_INFO, "x");
        if ((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) != 0)
                _exit(1);
}

static void test_the_stderr_of_others_stays_blocking(void **state) {
        assert_string_equal(written(body_stderr_stays_blocking), "draind: x\n");
}

static void body_short(void) {
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        log_message(LOG_INFO, "Hello.");
}

static void test_a_socket_and_a_file_work_as_well(void **state) {
        char path[] = "/tmp/draind-test-log-XXXXXX", text[100];
        int fds[2], file = mkostemp(path, O_CLOEXEC);

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        finish(start(fds[1], body_short));
        (void) fd_close(fds[1]);
        (void) read_all(fds[0], text, sizeof(text));
        assert_string_equal(text, "draind: Hello.\n");
        (void) fd_close(fds[0]);
        assert_true(file >= 0);
        assert_int_equal(write(file, "before\n", 7), 7);
        finish(start(file, body_short));
        assert_int_equal(write(file, "after\n", 6), 6); /* one offset for all who share it */
        assert_int_equal(lseek(file, 0, SEEK_SET), 0);
        (void) read_all(file, text, sizeof(text));
        assert_string_equal(text, "before\ndraind: Hello.\nafter\n");
        (void) fd_close(file);
        assert_int_equal(unlink(path), 0);
}

static void body_nobody_reads(void) {
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        for (unsigned i = 0; i < 100000; i++)
                log_message(LOG_INFO, "Hello.");
        if (log_dropped() == 0)
                _exit(1);
        log_finish(10); /* ends, whether or not somebody reads */
}

static void body_closed(void) {
        (void) close(STDERR_FILENO);
        body_nobody_reads();
}

static void test_a_stderr_that_leads_nowhere_is_survived(void **state) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        finish(start(fds[1], body_nobody_reads)); /* full */
        (void) fd_close(fds[0]);
        finish(start(fds[1], body_nobody_reads)); /* no reader */
        (void) fd_close(fds[1]);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        (void) fd_close(fds[0]);
        finish(start(fds[1], body_nobody_reads));
        finish(start(fds[1], body_closed));
        (void) fd_close(fds[1]);
}

static char journal_path[64];

static int journal_make(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        (void) snprintf(journal_path, sizeof(journal_path), "/tmp/draind-test-journal-%d", (int) getpid());
        (void) unlink(journal_path);
        strcpy(address.sun_path, journal_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static void body_journal(void) {
        struct stat st;
        char stream[64];

        (void) fstat(STDERR_FILENO, &st);
        (void) snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino);
        (void) setenv("JOURNAL_STREAM", stream, 1);
        log_set_journal_socket(journal_path);
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        log_record(LOG_ERR, (const LogField[]) { { "DRAIND_SERVICE", "web" }, { NULL, NULL } }, "../daemon/x.c", 7,
                   "Two\nlines.");
        log_output("web", "output", 6);
        for (unsigned i = 0; i < 10000; i++) /* until its queue is full */
                log_message(LOG_INFO, "Flood.");
        if (log_dropped() == 0)
                _exit(1);
}

static void test_journald_gets_its_native_protocol(void **state) {
        static const char first[] = "MESSAGE\n\x0a\0\0\0\0\0\0\0Two\nlines.\nPRIORITY=3\nSYSLOG_IDENTIFIER=draind\n"
                                    "CODE_FILE=daemon/x.c\nCODE_LINE=7\nDRAIND_SERVICE=web\n";
        static const char second[] = "MESSAGE=output\nPRIORITY=6\nSYSLOG_IDENTIFIER=web\nDRAIND_SERVICE=web\n";
        cleanup(fd_closep) int journal = journal_make();
        char text[1000];

        assert_string_equal(written(body_journal), "");
        assert_int_equal(recv(journal, text, sizeof(text), 0), sizeof(first) - 1);
        assert_memory_equal(text, first, sizeof(first) - 1);
        assert_int_equal(recv(journal, text, sizeof(text), 0), sizeof(second) - 1);
        assert_memory_equal(text, second, sizeof(second) - 1);
        assert_int_equal(unlink(journal_path), 0);
}

static void body_no_journal(void) {
        struct stat st;
        char stream[64];

        (void) fstat(STDERR_FILENO, &st);
        (void) snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long) st.st_dev,
                        (unsigned long long) st.st_ino);
        (void) setenv("JOURNAL_STREAM", stream, 1);
        log_set_journal_socket("/proc/self/nothing/journal");
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        log_message(LOG_WARNING, "Careful.");
        log_output("web", "out", 3);
}

static void test_without_journald_its_stream_gets_prefixes(void **state) {
        assert_string_equal(written(body_no_journal), "<4>draind: warning: Careful.\n<6>web | out\n");
}

static void body_journal_dies(void) {
        log_set_journal_socket(journal_path);
        log_open(LOG_TARGET_JOURNAL, LOG_INFO, "draind");
        if (log_target() != LOG_TARGET_JOURNAL)
                _exit(1);
        (void) unlink(journal_path);
        log_message(LOG_INFO, "Hello.");
}

static void test_a_journald_that_vanishes_leaves_stderr(void **state) {
        cleanup(fd_closep) int journal = -EBADF;

        journal = journal_make();
        assert_string_equal(written(body_journal_dies), "draind: Hello.\n");
}

static void test_dates_are_right(void **state) {
        static const struct {
                int64_t seconds;
                const char *expected;
        } rows[] = {
                { 0, "1970-01-01T00:00:00.000001Z" },          { 951782400, "2000-02-29T00:00:00.000001Z" },
                { 951868799, "2000-02-29T23:59:59.000001Z" },  { 951868800, "2000-03-01T00:00:00.000001Z" },
                { 1767225599, "2025-12-31T23:59:59.000001Z" }, { 1709164800, "2024-02-29T00:00:00.000001Z" },
                { 4107542400, "2100-03-01T00:00:00.000001Z" }, { -1, "1969-12-31T23:59:59.000001Z" },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                char bytes[64];
                LogText text = { .bytes = bytes, .size = sizeof(bytes) };

                log_text_time(&text, rows[i].seconds, 1);
                assert_int_equal(text.length, 27);
                assert_memory_equal(bytes, rows[i].expected, 27);
        }
}

static void test_utf8_is_told_from_other_bytes(void **state) {
        static const struct {
                const char *bytes;
                size_t expected;
        } rows[] = {
                { "a", 1 },  { "\xc3\xa9", 2 },     { "\xe2\x82\xac", 3 }, { "\xf0\x9f\x98\x80", 4 },
                { "", 0 },   { "\xc0\x80", 0 },     { "\xe0\x80\x80", 0 }, { "\xed\xa0\x80", 0 },
                { "\x80", 0 }, { "\xf4\x90\x80\x80", 0 }, { "\xc3", 0 },   { "\xe2\x82", 0 },
                { "\xff", 0 }, { "\xf0\x8f\x80\x80", 0 }, { "\xe2\x82z", 0 },
        };

        for (size_t i = 0; i < n_elements(rows); i++)
                assert_int_equal(log_text_character(rows[i].bytes, strlen(rows[i].bytes)), rows[i].expected);
        assert_int_equal(log_text_cut("ab\xc3\xa9", 3), 2);
        assert_int_equal(log_text_cut("abcd", 3), 3);
        assert_int_equal(log_text_cut("\x80\x80\x80\x80\x80\x80", 5), 5);
}

/* Whatever a service writes, what comes out is JSON. */
static void test_any_bytes_become_a_json_string(void **state) {
        uint64_t seed = 7;

        for (unsigned i = 0; i < 20000; i++) {
                char bytes[24], out[200];
                LogText text = { .bytes = out, .size = sizeof(out) };
                size_t n = i % (sizeof(bytes) + 1);
                json_t *json;

                for (size_t k = 0; k < n; k++) {
                        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                        bytes[k] = (char) (seed >> 56);
                        if (k > 0 && (seed >> 40 & 1) != 0) /* many that nearly are UTF-8 */
                                bytes[k] = (char) (0x80 | (bytes[k] & 0x3f));
                }
                log_text_bytes(&text, "\"", 1);
                log_text_json(&text, bytes, n);
                log_text_bytes(&text, "\"", 1);
                assert_false(text.is_cut);
                json = json_loadb(out, text.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
                assert_non_null(json);
                json_decref(json);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_console_is_for_people),
                cmocka_unit_test(test_json_is_one_valid_object_a_line),
                cmocka_unit_test(test_long_lines_are_cut_or_become_several),
                cmocka_unit_test(test_a_full_pipe_loses_whole_lines_and_counts_them),
                cmocka_unit_test(test_the_stderr_of_others_stays_blocking),
                cmocka_unit_test(test_a_socket_and_a_file_work_as_well),
                cmocka_unit_test(test_a_stderr_that_leads_nowhere_is_survived),
                cmocka_unit_test(test_journald_gets_its_native_protocol),
                cmocka_unit_test(test_without_journald_its_stream_gets_prefixes),
                cmocka_unit_test(test_a_journald_that_vanishes_leaves_stderr),
                cmocka_unit_test(test_any_bytes_become_a_json_string),
                cmocka_unit_test(test_dates_are_right),
                cmocka_unit_test(test_utf8_is_told_from_other_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
