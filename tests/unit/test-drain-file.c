#include "../lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "../../daemon/core/drain-file.h"

static char directory[] = "/tmp/test-drain-file-XXXXXX";
static int dirfd_ = -EBADF;

static int setup(void **state) {
        if (!mkdtemp(directory))
                return -1;
        dirfd_ = open(directory, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        return dirfd_ < 0;
}

static int teardown(void **state) {
        dirfd_ = fd_close(dirfd_);
        return rmdir(directory); /* fails when a test has left anything */
}

static const char *file_read(const char *name) {
        static char text[2048];
        cleanup(fd_closep) int fd = openat(dirfd_, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, text, sizeof(text) - 1);

        text[n < 0 ? 0 : n] = '\0';
        return n < 0 ? NULL : text;
}

static const DrainNotice notice = {
        .deadline = 5000000, .now = 2000000, .cause = "SIGTERM from systemd", .phase = "withdraw", .operation = 3,
};

static void test_the_same_is_written_once_and_shared(void **state) {
        DrainShare share = { .length = 0 };
        DrainNotice other = notice;
        struct stat a, b;

        other.deadline++;
        assert_int_equal(drain_file_share(dirfd_, "a", &notice, &share), 0);
        assert_int_equal(drain_file_share(dirfd_, "b", &notice, &share), 0);
        assert_int_equal(fstatat(dirfd_, "a", &a, 0), 0);
        assert_int_equal(fstatat(dirfd_, "b", &b, 0), 0);
        assert_true(a.st_ino == b.st_ino);
        assert_non_null(strstr(file_read("b"), "deadline_boottime_usec=5000000\n"));
        /* Another text, to one of them alone; then to both, where a file stands in the way. */
        assert_int_equal(drain_file_share(dirfd_, "b", &other, &share), 0);
        assert_int_equal(fstatat(dirfd_, "b", &b, 0), 0);
        assert_true(a.st_ino != b.st_ino);
        assert_int_equal(drain_file_share(dirfd_, "a", &other, &share), 0);
        assert_int_equal(fstatat(dirfd_, "a", &a, 0), 0);
        assert_true(a.st_ino == b.st_ino);
        /* The one to link to is gone. */
        assert_int_equal(drain_file_remove(dirfd_, "b"), 0);
        assert_int_equal(drain_file_share(dirfd_, "c", &other, &share), 0);
        assert_non_null(strstr(file_read("c"), "deadline_boottime_usec=5000001\n"));
        assert_int_equal(drain_file_remove(dirfd_, "a"), 0);
        assert_int_equal(drain_file_remove(dirfd_, "c"), 0);
}

static void test_the_file_says_what_the_manual_says(void **state) {
        struct stat status;

        assert_int_equal(drain_file_write(dirfd_, "db", &notice), 0);
        assert_string_equal(file_read("db"), "deadline_boottime_usec=5000000\nremaining_usec=3000000\n"
                                             "cause=SIGTERM from systemd\nphase=withdraw\noperation=3\n");
        assert_int_equal(fstatat(dirfd_, "db", &status, 0), 0);
        assert_int_equal(status.st_mode, S_IFREG | 0644);
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
}

static void test_the_cause_stays_one_line(void **state) {
        DrainNotice odd = { .deadline = USEC_INFINITY, .now = 1, .cause = "a\nphase=kill\xff", .phase = NULL };
        char cause[4 * DRAIN_FILE_CAUSE_MAX];
        const char *text;

        assert_int_equal(drain_file_write(dirfd_, "db", &odd), 0);
        assert_string_equal(file_read("db"), "deadline_boottime_usec=infinity\nremaining_usec=infinity\n"
                                             "cause=a\\x0aphase=kill\\xff\nphase=\noperation=0\n");
        memset(cause, '\n', sizeof(cause) - 1);
        cause[sizeof(cause) - 1] = '\0';
        odd.cause = cause;
        odd.operation = UINT64_MAX;
        assert_int_equal(drain_file_write(dirfd_, "db", &odd), 0);
        text = file_read("db");
        assert_non_null(strstr(text, "\noperation=18446744073709551615\n"));
        assert_true(strlen(text) < 1000);
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
}

static void test_a_deadline_in_the_past_leaves_nothing(void **state) {
        const DrainNotice late = { .deadline = 1, .now = 2, .cause = NULL, .phase = "kill", .operation = 1 };

        assert_int_equal(drain_file_write(dirfd_, "db", &late), 0);
        assert_non_null(strstr(file_read("db"), "remaining_usec=0\ncause=\nphase=kill\n"));
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
}

/* A watch on the directory, as a service would have it: the name appears complete, in one step. */
static void test_the_file_appears_by_rename(void **state) {
        cleanup(fd_closep) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        char buf[1024] __attribute__((__aligned__(8)));
        unsigned n_moved = 0;
        ssize_t n;

        assert_true(inotify_add_watch(fd, directory, IN_MOVED_TO | IN_CREATE | IN_MODIFY) >= 0);
        assert_int_equal(drain_file_write(dirfd_, "db", &notice), 0);
        n = read(fd, buf, sizeof(buf));
        for (ssize_t i = 0; i < n;) {
                const struct inotify_event *event = (const void *) (buf + i);

                if (strcmp(event->name, "db") == 0) {
                        assert_int_equal(event->mask, IN_MOVED_TO);
                        n_moved++;
                }
                i += (ssize_t) (sizeof(*event) + event->len);
        }
        assert_int_equal(n_moved, 1);
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
}

static void test_a_failed_write_leaves_nothing_behind(void **state) {
        char name[256];

        memset(name, 'n', 255);
        name[255] = '\0';
        assert_int_equal(drain_file_write(dirfd_, name, &notice), -ENAMETOOLONG);
        assert_int_equal(drain_file_write(dirfd_, "a/b", &notice), -EINVAL);
        assert_int_equal(drain_file_write(dirfd_, "", &notice), -EINVAL);
        assert_int_equal(drain_file_write(-EBADF, "db", &notice), -EBADF);
        assert_int_equal(mkdirat(dirfd_, "db", 0700), 0);
        assert_int_equal(drain_file_write(dirfd_, "db", &notice), -EISDIR);
        assert_int_equal(unlinkat(dirfd_, "db", AT_REMOVEDIR), 0);
        assert_int_equal(symlinkat("/nonexistent", dirfd_, "db.new"), 0);
        /* Never through somebody's link, which is gone after that. */
        assert_int_equal(drain_file_write(dirfd_, "db", &notice), -ELOOP);
        assert_int_equal(drain_file_write(dirfd_, "db", &notice), 0);
        assert_int_equal(drain_file_remove(dirfd_, "db"), 0);
}

static void test_a_hook_gets_the_same_in_its_environment(void **state) {
        char buf[DRAIN_ENVIRONMENT_MAX], *strings[DRAIN_ENVIRONMENT_N], cause[4 * DRAIN_FILE_CAUSE_MAX];
        DrainNotice longest = { .deadline = UINT64_MAX - 1, .now = 0, .cause = cause,
                                .phase = "a phase with a name that is much too long for one", .operation = UINT64_MAX };

        drain_environment(&notice, buf, strings);
        assert_string_equal(strings[0], "DRAIND_DEADLINE_BOOTTIME_USEC=5000000");
        assert_string_equal(strings[1], "DRAIND_REMAINING_USEC=3000000");
        assert_string_equal(strings[2], "DRAIND_CAUSE=SIGTERM from systemd");
        assert_string_equal(strings[3], "DRAIND_PHASE=withdraw");
        assert_string_equal(strings[4], "DRAIND_OPERATION=3");
        memset(cause, 'c', sizeof(cause) - 1);
        cause[sizeof(cause) - 1] = '\0';
        drain_environment(&longest, buf, strings);
        assert_string_equal(strings[4], "DRAIND_OPERATION=18446744073709551615");
}

/* Not a test of speed, which is the machine's: only says it. */
static void test_how_long_a_write_takes_is_printed(void **state) {
        cleanup(fd_closep) int shm = open("/dev/shm", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        usec_t best = USEC_INFINITY;
        char name[32];

        if (shm < 0)
                skip();
        (void) snprintf(name, sizeof(name), "test-drain-file-%d", (int) getpid());
        for (unsigned batch = 0; batch < 100; batch++) {
                usec_t began = clock_now_usec();

                for (unsigned i = 0; i < 100; i++)
                        if (drain_file_write(shm, name, &notice) < 0)
                                skip(); /* a sandbox without it */
                best = usec_min(best, clock_now_usec() - began);
        }
        print_message("# %.2f us for each write on tmpfs\n", (double) best / 100);
        assert_int_equal(drain_file_remove(shm, name), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_same_is_written_once_and_shared),
                cmocka_unit_test(test_the_file_says_what_the_manual_says),
                cmocka_unit_test(test_the_cause_stays_one_line),
                cmocka_unit_test(test_a_deadline_in_the_past_leaves_nothing),
                cmocka_unit_test(test_the_file_appears_by_rename),
                cmocka_unit_test(test_a_failed_write_leaves_nothing_behind),
                cmocka_unit_test(test_a_hook_gets_the_same_in_its_environment),
                cmocka_unit_test(test_how_long_a_write_takes_is_printed),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
