#include "../lib/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../../daemon/core/notify.h"
#include "../../protocol/fds.h"
#include "../../protocol/log.h"

typedef struct Fixture {
        char directory[32];
        Loop *loop;
        NotifySet *set;
        NotifySocket *a, *b;
        unsigned n, n_of_a, n_ready, n_barriers, last_service;
        char status[NOTIFY_STATUS_MAX + 1];
        NotifySender sender;
        bool frees_itself, reads_itself;
        unsigned n_refills;
} Fixture;

static void on_message(unsigned service, const NotifyMessage *message, const NotifySender *sender, void *userdata) {
        Fixture *f = userdata;

        f->n++;
        f->n_of_a += service == 0;
        f->n_ready += message->is_ready;
        f->n_barriers += message->is_barrier;
        f->last_service = service;
        f->sender = *sender;
        (void) snprintf(f->status, sizeof(f->status), "%s", message->status ? message->status : "");
        if (f->frees_itself)
                f->a = notify_socket_free(f->a);
        if (f->n_refills > 0 && f->n_refills-- > 0)
                assert_int_equal(notify_send(notify_socket_path(f->a), "WATCHDOG=1", NULL, 0), 0);
        if (f->reads_itself)
                notify_socket_read(f->a);
}

static int setup(void **state) {
        static Fixture fixture;

        fixture = (Fixture) { .directory = "/tmp/test-notify-XXXXXX" };
        *state = &fixture;
        if (!mkdtemp(fixture.directory) || loop_new(&fixture.loop, 1) < 0)
                return -1;
        if (notify_set_new(&fixture.set, fixture.loop, fixture.directory, on_message, &fixture) < 0)
                return -1;
        if (notify_socket_new(&fixture.a, fixture.set, 0, "a", -EBADF) < 0)
                return -1;
        return notify_socket_new(&fixture.b, fixture.set, 1, "b", -EBADF);
}

static int teardown(void **state) {
        Fixture *f = *state;
        char path[64];

        f->a = notify_socket_remove(f->a);
        f->b = notify_socket_remove(f->b);
        notify_set_freep(&f->set);
        loop_freep(&f->loop);
        (void) snprintf(path, sizeof(path), "%s/notify/a", f->directory);
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/notify", f->directory);
        return rmdir(path) < 0 ? -1 : rmdir(f->directory); /* fails when something was left */
}

static void run_until(Fixture *f, const unsigned *counter, unsigned n) {
        usec_t end = clock_now_usec() + 10 * USEC_PER_SEC;

        while (*counter < n) {
                assert_true(clock_now_usec() < end);
                assert_true(sd_event_run(loop_event(f->loop), USEC_PER_SEC) >= 0);
        }
}

static void run_all(Fixture *f) {
        while (sd_event_run(loop_event(f->loop), 0) > 0)
                ;
}

static unsigned n_open_fds(void) {
        DIR *directory = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(directory);
        while (readdir(directory))
                n++;
        closedir(directory);
        return n;
}

static void test_a_message_belongs_to_the_socket_that_it_came_in(void **state) {
        Fixture *f = *state;

        assert_int_equal(notify_send(notify_socket_path(f->b), "READY=1\nSTATUS=up", NULL, 0), 0);
        run_until(f, &f->n, 1);
        assert_int_equal(f->last_service, 1);
        assert_int_equal(f->n_ready, 1);
        assert_string_equal(f->status, "up");
        assert_int_equal(f->sender.pid, getpid());
        assert_int_equal(f->sender.uid, getuid());
        notify_socket_renumber(f->b, 17);
        assert_int_equal(notify_send(notify_socket_path(f->b), "READY=1", NULL, 0), 0);
        run_until(f, &f->n, 2);
        assert_int_equal(f->last_service, 17);
}

enum { EXIT_NO_PROGRAM = 77, EXIT_NO_SUCH_USER };

static pid_t start(const char *const *argv, const char *path, uid_t uid) {
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        if (uid != 0 && setuid(uid) < 0)
                _exit(errno == EINVAL ? EXIT_NO_SUCH_USER : 90);
        if (!argv)
                _exit(notify_send(path, "STATUS=of another user", NULL, 0) < 0 ? 91 : 0);
        (void) setenv("NOTIFY_SOCKET", path, 1);
        (void) execvp(argv[0], (char *const *) argv);
        _exit(errno == ENOENT ? EXIT_NO_PROGRAM : 92);
}

/* Its status, the loop running meanwhile. */
static int run_to_exit(Fixture *f, pid_t pid) {
        usec_t end = clock_now_usec() + 10 * USEC_PER_SEC;
        int status = -1;

        while (waitpid(pid, &status, WNOHANG) == 0) {
                assert_true(clock_now_usec() < end);
                assert_true(sd_event_run(loop_event(f->loop), 1000) >= 0);
        }
        run_all(f);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_a_service_of_another_user_can_send(void **state) {
        Fixture *f = *state;
        int status;

        if (geteuid() != 0 || chmod(f->directory, 0755) < 0)
                skip();
        status = run_to_exit(f, start(NULL, notify_socket_path(f->a), 65534));
        if (status == EXIT_NO_SUCH_USER)
                skip(); /* a user namespace without other users */
        assert_int_equal(status, 0);
        assert_int_equal(f->n, 1);
        assert_int_equal(f->sender.uid, 65534);
        assert_string_equal(f->status, "of another user");
}

static void test_systemd_notify_is_understood_and_its_barrier_answered(void **state) {
        static const char *const argv[] = { "systemd-notify", "--ready", "--status=from the tool", NULL };
        Fixture *f = *state;
        int status = run_to_exit(f, start(argv, notify_socket_path(f->a), 0));

        if (status == EXIT_NO_PROGRAM)
                skip(); /* there is none here */
        assert_int_equal(status, 0); /* it waits for its barrier, and fails without an answer */
        assert_int_equal(f->n_ready, 1);
        assert_int_equal(f->n_of_a, f->n);
}

static bool is_answered(int fd) {
        struct pollfd pollfd = { .fd = fd, .events = POLLIN };

        return poll(&pollfd, 1, 0) == 1 && (pollfd.revents & POLLHUP);
}

static void test_a_barrier_is_answered_after_what_came_before_it(void **state) {
        Fixture *f = *state;
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "STATUS=first", NULL, 0), 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", NULL, 0), 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "BARRIER=1", &fds[1], 1), 0);
        fd_close(fds[1]);
        assert_false(is_answered(fds[0]));
        while (!is_answered(fds[0])) {
                assert_int_equal(f->n_barriers, 0);
                run_until(f, &f->n, f->n + 1);
        }
        assert_int_equal(f->n, 3);
        assert_int_equal(f->n_ready, 1);
        assert_int_equal(f->n_barriers, 1);
        fd_close(fds[0]);
}

static void test_what_is_no_message_is_refused_and_the_next_one_heard(void **state) {
        Fixture *f = *state;
        cleanup(fd_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        cleanup(freep) char *large = malloc(65536);
        struct sockaddr_storage address;
        socklen_t length = sizeof(address);

        assert_non_null(large);
        memset(large, 'a', 65536);
        assert_int_equal(getsockname(notify_socket_fd(f->a), (struct sockaddr *) &address, &length), 0);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, length), 0);
        assert_int_equal(send(fd, "", 0, 0), 0);
        assert_int_equal(send(fd, large, 65536, 0), 65536);
        assert_int_equal(send(fd, large, NOTIFY_MESSAGE_MAX + 1, 0), NOTIFY_MESSAGE_MAX + 1);
        assert_int_equal(send(fd, large, NOTIFY_MESSAGE_MAX, 0), NOTIFY_MESSAGE_MAX); /* nonsense, but a message */
        assert_int_equal(send(fd, "READY=1\0", 8, 0), 8);
        assert_int_equal(send(fd, "READY=1", 7, 0), 7);
        run_all(f);
        assert_int_equal(f->n_ready, 1);
        assert_int_equal(f->n, 2);
        assert_int_equal(notify_socket_n_refused(f->a), 4);
        assert_int_equal(notify_socket_n_refused(f->b), 0);
}

static void test_attached_fds_never_become_ours(void **state) {
        Fixture *f = *state;
        int fds[NOTIFY_FDS_MAX], pipe_fds[2];
        unsigned n_before;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        for (unsigned i = 0; i < NOTIFY_FDS_MAX; i++)
                fds[i] = pipe_fds[1];
        n_before = n_open_fds();
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", fds, NOTIFY_FDS_MAX), 0);
        fd_close(pipe_fds[1]);
        run_until(f, &f->n_ready, 5);
        assert_int_equal(n_open_fds(), n_before - 1);
        assert_true(is_answered(pipe_fds[0])); /* nobody holds any of them any more */
        fd_close(pipe_fds[0]);
        assert_int_equal(f->sender.pid, getpid());
}

/* A sender that is as fast as we are: each wake-up ends, and the other socket is heard. */
static void test_a_flood_starves_nobody(void **state) {
        Fixture *f = *state;
        unsigned n_sent = 0;

        f->n_refills = 1000;
        assert_int_equal(notify_send(notify_socket_path(f->a), "WATCHDOG=1", NULL, 0), 0);
        assert_true(sd_event_run(loop_event(f->loop), 0) > 0);
        assert_int_equal(f->n, 16);
        assert_int_equal(notify_send(notify_socket_path(f->b), "READY=1", NULL, 0), 0);
        assert_true(sd_event_run(loop_event(f->loop), 0) > 0);
        assert_int_equal(f->n_ready, 1);
        run_all(f);
        assert_int_equal(f->n, 1002);
        f->n = f->n_of_a = f->n_ready = 0;

        for (unsigned round = 0; round < 50; round++) {
                while (notify_send(notify_socket_path(f->a), "WATCHDOG=1", NULL, 0) == 0)
                        n_sent++;
                if (round == 25)
                        assert_int_equal(notify_send(notify_socket_path(f->b), "READY=1", NULL, 0), 0);
                assert_true(sd_event_run(loop_event(f->loop), 0) > 0);
        }
        run_all(f);
        assert_int_equal(f->n_ready, 1);
        assert_int_equal(f->n_of_a, n_sent);
}

static void test_reading_at_once_gets_what_is_there(void **state) {
        Fixture *f = *state;

        notify_socket_read(f->a);
        assert_int_equal(f->n, 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", NULL, 0), 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "STATUS=x", NULL, 0), 0);
        f->reads_itself = true; /* from within its own callback that does nothing */
        notify_socket_read(f->a);
        assert_int_equal(f->n, 2);
        assert_string_equal(f->status, "x");
}

static void test_a_socket_may_be_freed_by_its_own_message(void **state) {
        Fixture *f = *state;

        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", NULL, 0), 0);
        f->frees_itself = true;
        run_all(f);
        assert_int_equal(f->n, 1);
        assert_null(f->a);
}

static void test_the_next_core_takes_the_socket_over(void **state) {
        Fixture *f = *state;
        int kept = fcntl(notify_socket_fd(f->a), F_DUPFD_CLOEXEC, 3);
        char path[sizeof(struct sockaddr_storage)];

        (void) snprintf(path, sizeof(path), "%s", notify_socket_path(f->a));
        f->a = notify_socket_free(f->a);
        assert_int_equal(notify_send(path, "READY=1", NULL, 0), 0); /* nobody reads, nothing is lost */
        assert_int_equal(fcntl(kept, F_SETFD, 0), 0);
        assert_int_equal(notify_socket_new(&f->a, f->set, 0, "a", kept), 0);
        assert_int_equal(notify_socket_fd(f->a), kept);
        assert_int_equal(fcntl(kept, F_GETFD), FD_CLOEXEC);
        assert_string_equal(notify_socket_path(f->a), path);
        run_until(f, &f->n_ready, 1);
}

static void test_what_cannot_be_taken_over_is_replaced(void **state) {
        Fixture *f = *state;
        int fds[2];

        /* Its path is gone. */
        fds[0] = fcntl(notify_socket_fd(f->a), F_DUPFD_CLOEXEC, 3);
        f->a = notify_socket_remove(f->a);
        assert_int_equal(notify_socket_new(&f->a, f->set, 0, "a", fds[0]), 0);
        assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", NULL, 0), 0);
        run_until(f, &f->n_ready, 1);
        /* It is no socket, and no such socket. */
        f->a = notify_socket_free(f->a);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(notify_socket_new(&f->a, f->set, 0, "a", fds[0]), 0);
        fd_close(fds[1]);
        f->a = notify_socket_free(f->a);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(notify_socket_new(&f->a, f->set, 0, "a", fds[0]), 0); /* over the path that was left */
        fd_close(fds[1]);
        assert_int_equal(notify_send(notify_socket_path(f->a), "READY=1", NULL, 0), 0);
        run_until(f, &f->n_ready, 2);
}

static void test_a_long_name_gets_a_short_path(void **state) {
        Fixture *f = *state;
        cleanup(notify_set_freep) NotifySet *set = NULL;
        cleanup(notify_socket_freep) NotifySocket *one = NULL, *two = NULL;
        char runtime[160], name[64];

        memset(name, 'n', 63);
        name[63] = '\0';
        (void) snprintf(runtime, sizeof(runtime), "%s/%.35s", f->directory, name);
        assert_int_equal(mkdir(runtime, 0700), 0);
        assert_int_equal(notify_set_new(&set, f->loop, runtime, on_message, f), 0);
        assert_int_equal(notify_socket_new(&one, set, 5, name, -EBADF), 0);
        name[62] = 'm';
        assert_int_equal(notify_socket_new(&two, set, 6, name, -EBADF), 0);
        assert_true(strlen(notify_socket_path(one)) < 108);
        assert_string_not_equal(notify_socket_path(one), notify_socket_path(two));
        assert_int_equal(notify_send(notify_socket_path(two), "READY=1", NULL, 0), 0);
        run_until(f, &f->n_ready, 1);
        assert_int_equal(f->last_service, 6);
        one = notify_socket_remove(one);
        two = notify_socket_remove(two);
        set = notify_set_free(set);
        (void) strcat(runtime, "/notify");
        assert_int_equal(rmdir(runtime), 0);
        *strrchr(runtime, '/') = '\0';
        assert_int_equal(rmdir(runtime), 0);
}

static void test_a_runtime_directory_that_is_too_long_is_refused(void **state) {
        Fixture *f = *state;
        cleanup(notify_set_freep) NotifySet *set = NULL;
        cleanup(notify_socket_freep) NotifySocket *socket = NULL;
        char runtime[160], notify[170];

        (void) snprintf(runtime, sizeof(runtime), "%s/%0100d", f->directory, 0);
        (void) snprintf(notify, sizeof(notify), "%s/notify", runtime);
        assert_int_equal(notify_set_new(&set, f->loop, runtime, on_message, f), -ENOENT);
        assert_int_equal(mkdir(runtime, 0700), 0);
        assert_int_equal(notify_set_new(&set, f->loop, runtime, on_message, f), 0);
        assert_int_equal(notify_socket_new(&socket, set, 0, "x", -EBADF), -ENAMETOOLONG);
        assert_int_equal(rmdir(notify), 0);
        assert_int_equal(rmdir(runtime), 0);
}

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                with_fixture(test_a_message_belongs_to_the_socket_that_it_came_in),
                with_fixture(test_a_service_of_another_user_can_send),
                with_fixture(test_systemd_notify_is_understood_and_its_barrier_answered),
                with_fixture(test_a_barrier_is_answered_after_what_came_before_it),
                with_fixture(test_what_is_no_message_is_refused_and_the_next_one_heard),
                with_fixture(test_attached_fds_never_become_ours),
                with_fixture(test_a_flood_starves_nobody),
                with_fixture(test_reading_at_once_gets_what_is_there),
                with_fixture(test_a_socket_may_be_freed_by_its_own_message),
                with_fixture(test_the_next_core_takes_the_socket_over),
                with_fixture(test_what_cannot_be_taken_over_is_replaced),
                with_fixture(test_a_long_name_gets_a_short_path),
                with_fixture(test_a_runtime_directory_that_is_too_long_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
