#include "../lib/server-bench.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../../protocol/log.h"

/* Greedy, slow, forbidden and random clients, and a machine without memory or fds. */

static int setup_small(void **state) {
        ServerOptions options = bench_options;

        options.connections_max = 5;
        options.connections_user_max = 3;
        options.output_max_bytes = 3 << 20;
        options.limits.output_max_bytes = 2 << 20;
        return bench_start(state, &options);
}

static void test_a_watcher_that_never_reads_is_dropped(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench), good = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 1);
        for (unsigned i = 0; i < 1000 && bench->n_gone == 0; i++) {
                assert_int_equal(call_reply(bench->kept[0], bench_large_parameters(), true), 0);
                (void) loop_settle(bench->event);
        }
        assert_int_equal(bench->n_gone, 1);
        bench_expect(bench, good, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}",
               "{\"parameters\":{\"text\":\"1\"}}");
}

/* Each stays below its own limit; together they are above that of all: the one that owes most goes. */
static void test_all_queues_together_are_bounded(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int a = bench_client(bench), b = bench_client(bench), c = bench_client(bench);

        bench_say(a, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 1);
        bench_say(b, "{\"method\":\"io.test.Watch\",\"more\":true}");
        bench_say(c, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 3);
        for (unsigned i = 0; i < 95; i++) /* 1.9 MB of 2 MiB */
                assert_int_equal(call_reply(bench->kept[0], bench_large_parameters(), true), 0);
        for (unsigned k = 1; k < 3; k++)
                for (unsigned i = 0; i < 60; i++)
                        assert_int_equal(call_reply(bench->kept[k], bench_large_parameters(), true), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_gone, 1);
        assert_null(bench->kept[0]);
        assert_non_null(bench->kept[1]);
}

static void test_connections_above_the_limits_are_closed_at_once(void **state) {
        Bench *bench = *state;
        int fds[6];

        for (unsigned i = 0; i < 6; i++)
                fds[i] = bench_client(bench);
        for (unsigned i = 0; i < 6; i++) {
                if (i < 3)
                        bench_expect(bench, fds[i], "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
                else
                        assert_null(bench_hear(bench, fds[i]));
        }
        assert_int_equal(server_n_connections(bench->server), 3);
        for (unsigned i = 0; i < 6; i++)
                (void) fd_close(fds[i]);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
        fds[0] = bench_client(bench); /* the user's count went down again */
        bench_expect(bench, fds[0], "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        (void) fd_close(fds[0]);
}

static int setup_many(void **state) {
        ServerOptions options = bench_options;

        options.connections_user_max = options.connections_max = 10000;
        return bench_start(state, &options);
}

static void test_thousands_of_connections_are_served(void **state) {
        Bench *bench = *state;
        static int fds[3000];
        struct rlimit limit;
        unsigned n = n_elements(fds);
        double begin;

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        if (limit.rlim_cur < 2 * n + 100)
                n = (unsigned) (limit.rlim_cur - 100) / 2;
        for (unsigned i = 0; i < n; i++) {
                fds[i] = bench_client(bench);
                bench_say(fds[i], "{\"method\":\"io.test.Keep\"}");
                if (i % 1000 == 999)
                        (void) loop_settle(bench->event);
        }
        loop_until(bench->event, bench->n_kept == n);
        begin = loop_seconds();
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(call_reply(bench->kept[i], NULL, false), 0);
        for (unsigned i = 0; i < n; i++)
                bench_say(fds[i], "{\"method\":\"io.test.Count\"}"); /* all ready at the same moment */
        for (unsigned i = 0; i < n; i++) {
                assert_string_equal(bench_hear(bench, fds[i]), "{}");
                assert_string_equal(bench_hear(bench, fds[i]), "{\"parameters\":{\"n\":3}}");
        }
        assert_true(loop_seconds() - begin < 10); /* O(n²) would be */
        for (unsigned i = 0; i < n; i++)
                (void) fd_close(fds[i]);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
        assert_int_equal(bench->n_gone, 0);
}

/* Allocations of jansson that still succeed. */
static long n_allocations_left;

static void *failing_malloc(size_t size) {
        return n_allocations_left-- > 0 ? malloc(size) : NULL;
}

/* Whichever allocation fails, the caller gets its reply, an error, or the end of the connection; never silence. */
static void test_want_of_memory_costs_the_connection_at_most(void **state) {
        Bench *bench = *state;
        unsigned n_ends = 0, n_good = 0;

        json_set_alloc_funcs(failing_malloc, free);
        for (long n = 0; n < 100 && n_good < 3; n++) {
                cleanup(fd_closep) int fd = bench_client(bench);
                const char *reply;

                n_allocations_left = n;
                bench_say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}");
                reply = bench_hear(bench, fd);
                n_ends += !reply;
                assert_true(!reply || strcmp(reply, "{}") != 0);
                n_good += reply && strcmp(reply, "{\"parameters\":{\"text\":\"1\"}}") == 0;
        }
        json_set_alloc_funcs(malloc, free);
        assert_true(n_ends > 3);
        assert_int_equal(n_good, 3);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
}

/* Lowers the limit so that no further fd can be had; returns the limit that was. */
static struct rlimit use_up_fds(void) {
        int next = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the lowest number that is free */
        struct rlimit old, low;

        assert_true(next >= 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = (struct rlimit) { .rlim_cur = (rlim_t) next, .rlim_max = old.rlim_max };
        (void) fd_close(next);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        return old;
}

/* No fd is left: the client is sent away, the loop comes to rest, and afterwards all is well. */
static void test_running_out_of_fds_does_not_spin(void **state) {
        Bench *bench = *state;
        struct rlimit old;
        cleanup(fd_closep) int first = bench_client(bench), second = bench_client(bench), third = -EBADF;

        bench_expect(bench, first, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        bench_expect(bench, second, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        third = bench_client(bench);
        old = use_up_fds();
        assert_true(loop_settle(bench->event) < 100);
        assert_null(bench_hear(bench, third));
        assert_int_equal(server_n_connections(bench->server), 2);
        bench_expect(bench, second, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        (void) fd_close(third);
        third = bench_client(bench);
        bench_expect(bench, third, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
}

/* Not even the reserve could be opened: the door stays shut without a spin, and opens when somebody leaves. */
static void test_without_a_reserve_it_waits_until_a_client_leaves(void **state) {
        Bench *bench = *state;
        cleanup(server_freep) Server *poor = NULL;
        cleanup(fd_closep) int first = -EBADF, second = -EBADF;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct rlimit old;
        int fd, r;

        old = use_up_fds();
        r = server_new(&poor, bench->poller, &bench_options);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s-poor", bench->path);
        (void) unlink(address.sun_path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(listen(fd, 16), 0);
        assert_int_equal(server_listen(poor, fd), 0);
        first = bench_connect(address.sun_path);
        loop_until(bench->event, server_n_connections(poor) == 1);
        second = bench_connect(address.sun_path);
        (void) unlink(address.sun_path);
        old = use_up_fds();
        assert_true(loop_settle(bench->event) < 100);
        assert_int_equal(server_n_connections(poor), 1);
        first = fd_close(first);
        loop_until(bench->event, server_n_connections(poor) == 1);
        bench_expect(bench, second, "{\"method\":\"org.varlink.service.GetInterfaceDescription\"}",
                     "{\"error\":\"org.varlink.service.InvalidParameter\","
                     "\"parameters\":{\"parameter\":\"interface\"}}");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* A process of another user, with a supplementary group or without, asks. Its status: 1 denied, 2 done. */
static int ask_as_nobody(Bench *bench, gid_t group) {
        int status = -1;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                char text[200] = "";
                int fd;

                if (setgroups(group != 0, &group) < 0 || setgid(65534) < 0 || setuid(65534) < 0)
                        _exit(77);
                fd = bench_connect(bench->path);
                if (fd < 0 || fcntl(fd, F_SETFL, 0) < 0)
                        _exit(78);
                (void) !send(fd, "{\"method\":\"io.test.Change\"}", 28, MSG_NOSIGNAL);
                (void) recv(fd, text, sizeof(text) - 1, 0);
                _exit(strstr(text, "PermissionDenied") ? 1 : strcmp(text, "{}") == 0 ? 2 : 79);
        }
        loop_until(bench->event, waitpid(pid, &status, WNOHANG) == pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_only_those_who_may_change_things(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_expect(bench, fd, "{\"method\":\"io.test.Change\"}", "{}"); /* our own user */
        if (geteuid() != 0)
                skip();
        assert_int_equal(ask_as_nobody(bench, 0), 1);
        assert_int_equal(ask_as_nobody(bench, 4242), 1);
        server_set_control_group(bench->server, true, 4242);
        assert_int_equal(ask_as_nobody(bench, 0), 1);
        assert_int_equal(ask_as_nobody(bench, 4242), 2);
        server_set_control_group(bench->server, true, 65534);
        assert_int_equal(ask_as_nobody(bench, 0), 2);
}

static unsigned random_below(uint64_t *seed, unsigned n) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (*seed >> 33) % n;
}

/* One random thing that a client, or the owner of a kept call, may do. */
static void do_something(Bench *bench, int *fd, uint64_t *seed) {
        static const char *const texts[] = {
                "{\"method\":\"io.test.Keep\"}", "{\"method\":\"io.test.Watch\",\"more\":true}",
                "{\"method\":\"io.test.Keep\",\"oneway\":true}", "{\"method\":\"io.test.Count\",\"more\":true}",
                "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"x\"}}", "{\"method\":\"io.test.Fail\"}",
                "{\"method\":\"x\"}", "{\"meth", "garbage",
        };
        const char *text = texts[random_below(seed, n_elements(texts) - (random_below(seed, 8) != 0 ? 2 : 0))];
        unsigned k = bench->n_kept > 0 ? random_below(seed, bench->n_kept) : 0;
        char bytes[4096];

        switch (random_below(seed, 9)) {
        case 0:
                if (*fd < 0)
                        *fd = bench_client(bench);
                break;
        case 1:
                if (random_below(seed, 4) == 0)
                        *fd = fd_close(*fd);
                break;
        case 2:
                (void) shutdown(*fd, random_below(seed, 6) == 0 ? SHUT_RDWR : SHUT_WR);
                break;
        case 3:
        case 4:
                (void) send(*fd, text, strlen(text) + (random_below(seed, 20) != 0), MSG_NOSIGNAL);
                break;
        case 5:
                (void) recv(*fd, bytes, random_below(seed, sizeof(bytes)), 0);
                break;
        case 6:
                if (bench->kept[k])
                        (void) call_reply(bench->kept[k], bench_large_parameters(), true);
                break;
        case 7:
                if (bench->kept[k])
                        (void) call_reply(take(bench->kept[k]), NULL, false);
                break;
        default:
                for (unsigned i = random_below(seed, 4); i > 0; i--)
                        assert_true(sd_event_run(bench->event, 0) >= 0);
                break;
        }
        while (bench->n_kept > 0 && !bench->kept[bench->n_kept - 1])
                bench->n_kept--;
}

static void test_random_clients_leave_nothing_behind(void **state) {
        Bench *bench = *state;

        for (uint64_t start_seed = 1; start_seed <= 40; start_seed++) {
                uint64_t seed = start_seed;
                int fds[12];

                for (size_t i = 0; i < n_elements(fds); i++)
                        fds[i] = -EBADF;
                for (unsigned i = 0; i < 1500; i++)
                        do_something(bench, &fds[random_below(&seed, n_elements(fds))], &seed);
                for (size_t i = 0; i < n_elements(fds); i++)
                        (void) fd_close(fds[i]);
                (void) loop_settle(bench->event);
                if (server_n_connections(bench->server) != 0)
                        fail_msg("seed %u: %u connections are left", (unsigned) start_seed,
                                 server_n_connections(bench->server));
                for (unsigned i = 0; i < bench->n_kept; i++)
                        assert_null(bench->kept[i]);
                bench->n_kept = 0;
        }
}

static int setup_tight(void **state) {
        ServerOptions options = bench_options;

        options.output_max_bytes = 1 << 20;
        options.limits.output_max_bytes = 1 << 19;
        return bench_start(state, &options);
}

#define server_test(f, setup_it) cmocka_unit_test_setup_teardown(f, setup_it, bench_teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                server_test(test_a_watcher_that_never_reads_is_dropped, setup_small),
                server_test(test_all_queues_together_are_bounded, setup_small),
                server_test(test_connections_above_the_limits_are_closed_at_once, setup_small),
                server_test(test_thousands_of_connections_are_served, setup_many),
                server_test(test_want_of_memory_costs_the_connection_at_most, bench_setup),
                server_test(test_running_out_of_fds_does_not_spin, bench_setup),
                server_test(test_without_a_reserve_it_waits_until_a_client_leaves, bench_setup),
                server_test(test_random_clients_leave_nothing_behind, setup_tight),
                server_test(test_only_those_who_may_change_things, bench_setup),
        };
        uint64_t old;

        log_open(LOG_TARGET_CONSOLE, LOG_EMERG, "test-server");
        (void) !fd_raise_limit(&old);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
