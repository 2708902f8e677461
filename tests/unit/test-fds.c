#include "../lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"

static void test_flags_are_set_and_cleared(void **state) {
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        assert_int_equal(fd_set_nonblock(fds[0]), 0);
        assert_int_equal(fd_set_nonblock(fds[0]), 0);
        assert_true((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0);
        assert_int_equal(fd_set_cloexec(fds[0], true), 0);
        assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
        assert_int_equal(fd_set_cloexec(fds[0], false), 0);
        assert_int_equal(fcntl(fds[0], F_GETFD), 0);
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
        assert_int_equal(fd_set_nonblock(fds[0]), -EBADF);
        assert_int_equal(fd_set_cloexec(fds[0], true), -EBADF);
}

static void test_the_limit_rises_to_the_hard_one(void **state) {
        struct rlimit limit;
        uint64_t old = 0;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max < 100 ? limit.rlim_max : 100;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_int_equal(fd_raise_limit(&old), 0);
        assert_int_equal(old, limit.rlim_cur);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        assert_true(limit.rlim_cur == limit.rlim_max);
}

static void test_an_eventfd_never_blocks(void **state) {
        cleanup(fd_closep) int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        uint64_t nearly_full = UINT64_MAX - 1;

        assert_int_equal(eventfd_clear(fd), 0);
        eventfd_signal(fd);
        eventfd_signal(fd);
        assert_int_equal(eventfd_clear(fd), 2);
        assert_int_equal(eventfd_clear(fd), 0);
        assert_int_equal(write(fd, &nearly_full, sizeof(nearly_full)), sizeof(nearly_full));
        eventfd_signal(fd);
        assert_true(eventfd_clear(fd) == nearly_full);
}

static void test_shared_memory_keeps_its_size(void **state) {
        cleanup(fd_closep) int fd = memfd_make("test", 10000);
        struct stat st;
        char *bytes;

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 10000);
        assert_int_equal(ftruncate(fd, 1), -1);
        assert_int_equal(ftruncate(fd, 20000), -1);
        bytes = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        assert_true(bytes != MAP_FAILED);
        bytes[9999] = 'x';
        assert_int_equal(munmap(bytes, 10000), 0);
}

/* In a child, whose fds from 3 on are its own affair. Returns its status. */
static int in_child(int (*body)(void)) {
        int status = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(body());
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void announce(const char *n, const char *names) {
        char pid[16];

        (void) snprintf(pid, sizeof(pid), "%d", (int) getpid());
        (void) setenv("LISTEN_PID", pid, 1);
        (void) setenv("LISTEN_FDS", n, 1);
        if (names)
                (void) setenv("LISTEN_FDNAMES", names, 1);
        else
                (void) unsetenv("LISTEN_FDNAMES");
}

/* Opens fds 3 to 3 + n - 1, and nothing after them. */
static void open_from_three(int n) {
        int null = open("/dev/null", O_RDONLY);

        for (int fd = FDS_FIRST; fd < FDS_FIRST + n; fd++)
                if (fd != null)
                        (void) dup2(null, fd);
        for (int fd = FDS_FIRST + n; fd < 4096; fd++)
                (void) close(fd);
}

#define check(condition)             \
        do {                         \
                if (!(condition))    \
                        return __LINE__ % 256; \
        } while (0)

static int child_takes_named_fds(void) {
        InheritedFd fds[4];

        open_from_three(4);
        announce("4", "one::three");
        check(inherited_fds_count() == 4);
        check(inherited_fds_take(fds, 4) == 4);
        check(fds[0].fd == 3 && strcmp(fds[0].name, "one") == 0);
        check(fds[1].fd == 4 && strcmp(fds[1].name, "") == 0);
        check(fds[2].fd == 5 && strcmp(fds[2].name, "three") == 0);
        check(fds[3].fd == 6 && strcmp(fds[3].name, "") == 0);
        for (int fd = 3; fd < 7; fd++)
                check(fcntl(fd, F_GETFD) == FD_CLOEXEC);
        check(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
        check(inherited_fds_count() == 0);
        return 0;
}

static int child_closes_what_has_no_room(void) {
        InheritedFd fds[2];

        open_from_three(4);
        announce("4", NULL);
        check(inherited_fds_take(fds, 2) == 2);
        check(fcntl(4, F_GETFD) >= 0);
        check(fcntl(5, F_GETFD) < 0 && fcntl(6, F_GETFD) < 0);
        return 0;
}

static int child_survives_nonsense(void) {
        static const char *const numbers[] = { "", "-1", "0", "1x", " 1", "99999999999999999999", "+1" };
        InheritedFd fds[2];
        char name[FD_NAME_MAX + 100];

        for (size_t i = 0; i < n_elements(numbers); i++) {
                announce(numbers[i], NULL);
                check(inherited_fds_count() == 0);
                check(inherited_fds_take(fds, 2) == 0);
        }
        open_from_three(1);
        announce("2000000000", NULL); /* mostly not open: ends soon */
        check(inherited_fds_take(fds, 2) == 1);
        open_from_three(1);
        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        announce("1", name);
        check(inherited_fds_take(fds, 2) == 1);
        check(fds[0].name[0] == '\0');
        announce("1", NULL);
        (void) setenv("LISTEN_PID", "1", 1); /* meant for another */
        check(getpid() == 1 || inherited_fds_count() == 0);
        return 0;
}

static void test_inherited_fds_are_taken_with_their_names(void **state) {
        assert_int_equal(in_child(child_takes_named_fds), 0);
}

static void test_inherited_fds_without_room_are_closed(void **state) {
        assert_int_equal(in_child(child_closes_what_has_no_room), 0);
}

static void test_nonsense_in_the_environment_is_survived(void **state) {
        assert_int_equal(in_child(child_survives_nonsense), 0);
}

static int notify_socket(const char *name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        assert_true(fd >= 0);
        strcpy(address.sun_path, name);
        if (name[0] == '@')
                address.sun_path[0] = '\0';
        assert_int_equal(bind(fd, (struct sockaddr *) &address,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name))), 0);
        return fd;
}

static void test_a_notification_carries_text_and_fds(void **state) {
        char name[64], text[100], control[CMSG_SPACE(sizeof(int) * 4)];
        struct iovec iov = { text, sizeof(text) };
        struct msghdr message = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        cleanup(fd_closep) int fd = -EBADF;
        struct cmsghdr *cmsg;
        int fds[2];

        (void) snprintf(name, sizeof(name), "@draind-test-fds-%d", (int) getpid());
        fd = notify_socket(name);
        assert_int_equal(notify_send(name, "READY=1", NULL, 0), 0);
        assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
        assert_memory_equal(text, "READY=1", 7);
        assert_int_equal(notify_send(name, "FDSTORE=1\nFDNAME=x", (const int[]) { fd, 0 }, 2), 0);
        assert_int_equal(recvmsg(fd, &message, MSG_CMSG_CLOEXEC), 18);
        cmsg = CMSG_FIRSTHDR(&message);
        assert_non_null(cmsg);
        assert_int_equal(cmsg->cmsg_len, CMSG_LEN(sizeof(fds)));
        memcpy(fds, CMSG_DATA(cmsg), sizeof(fds));
        (void) fd_close(fds[0]);
        (void) fd_close(fds[1]);
}

static void test_a_full_receiver_is_not_waited_for(void **state) {
        char name[64];
        cleanup(fd_closep) int fd = -EBADF;
        int r = 0;

        (void) snprintf(name, sizeof(name), "@draind-test-full-%d", (int) getpid());
        fd = notify_socket(name);
        for (unsigned i = 0; i < 100000 && r == 0; i++)
                r = notify_send(name, "WATCHDOG=1", NULL, 0);
        assert_int_equal(r, -EAGAIN);
}

static void test_notifications_to_nowhere_fail_or_are_not_meant(void **state) {
        static const int fds[NOTIFY_FDS_MAX + 1];
        char path[200];

        assert_int_equal(notify_send(NULL, "READY=1", NULL, 0), 0);
        assert_int_equal(notify_send("", "READY=1", NULL, 0), 0);
        assert_int_equal(notify_send("relative", "READY=1", NULL, 0), -EINVAL);
        assert_int_equal(notify_send("/", "READY=1", NULL, 0), -EINVAL);
        assert_int_equal(notify_send("/proc/self/nothing/socket", "READY=1", NULL, 0), -ENOENT);
        assert_int_equal(notify_send("@draind-nobody-is-here", "READY=1", NULL, 0), -ECONNREFUSED);
        assert_int_equal(notify_send("@x", "READY=1", fds, NOTIFY_FDS_MAX + 1), -EINVAL);
        memset(path, 'x', sizeof(path) - 1);
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(notify_send(path, "READY=1", NULL, 0), -EINVAL);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_flags_are_set_and_cleared),
                cmocka_unit_test(test_the_limit_rises_to_the_hard_one),
                cmocka_unit_test(test_an_eventfd_never_blocks),
                cmocka_unit_test(test_shared_memory_keeps_its_size),
                cmocka_unit_test(test_inherited_fds_are_taken_with_their_names),
                cmocka_unit_test(test_inherited_fds_without_room_are_closed),
                cmocka_unit_test(test_nonsense_in_the_environment_is_survived),
                cmocka_unit_test(test_a_notification_carries_text_and_fds),
                cmocka_unit_test(test_a_full_receiver_is_not_waited_for),
                cmocka_unit_test(test_notifications_to_nowhere_fail_or_are_not_meant),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
