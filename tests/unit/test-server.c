#include "../lib/loop.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../../protocol/fields.h"
#include "../../protocol/log.h"
#include "../../protocol/message.h"
#include "../../protocol/poller.h"
#include "../../protocol/server.h"

#define KEPT_MAX 4096

/* A real server on a real socket; the clients are plain sockets of the test, never blocking. */
typedef struct Bench {
        sd_event *event;
        Poller *poller;
        Server *server;
        char path[64];
        Call *kept[KEPT_MAX];
        unsigned n_kept, n_gone, n_calls;
} Bench;

static int echo(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { const char *text; } Arguments;
        static const Field fields[] = {
                { "text", field_string, offsetof(Arguments, text), FIELD_REQUIRED },
                { NULL, NULL, 0, 0 },
        };
        Arguments arguments = { NULL };
        Bench *bench = userdata;
        const char *bad;

        bench->n_calls++;
        if (fields_decode(parameters, fields, &arguments, &bad) != FIELDS_DECODED)
                return call_invalid_parameter(call, bad);
        return call_reply_pack(call, false, "{s:s}", "text", arguments.text);
}

static void on_gone(Call *call, void *userdata) {
        Bench *bench = userdata;

        bench->n_gone++;
        for (unsigned i = 0; i < bench->n_kept; i++)
                if (bench->kept[i] == call)
                        bench->kept[i] = NULL;
}

static int keep(Call *call, const json_t *parameters, void *userdata) {
        Bench *bench = userdata;

        assert_true(bench->n_kept < KEPT_MAX);
        bench->kept[bench->n_kept++] = call;
        call_keep(call, on_gone, bench);
        return 0;
}

static int count(Call *call, const json_t *parameters, void *userdata) {
        for (int i = 1; i <= 3; i++)
                assert_int_equal(call_reply(call, json_pack("{s:i}", "n", i), i < 3), 0);
        return 0;
}

static int refuse(Call *call, const json_t *parameters, void *userdata) {
        return -ENOSPC;
}

static int garble(Call *call, const json_t *parameters, void *userdata) {
        return call_reply_pack(call, false, "{s:s}", "text", "\xff");
}

static int forget(Call *call, const json_t *parameters, void *userdata) {
        return 0;
}

static int change(Call *call, const json_t *parameters, void *userdata) {
        ((Bench *) userdata)->n_calls++;
        return call_reply(call, NULL, false);
}

static const ServerMethod methods[] = {
        { "Echo", echo, 0 },
        { "Keep", keep, 0 },
        { "Count", count, 0 },
        { "Fail", refuse, 0 },
        { "Forget", forget, 0 },
        { "Garble", garble, 0 },
        { "Change", change, METHOD_CHANGES },
        { "Watch", keep, METHOD_NEEDS_MORE },
        { NULL, NULL, 0 },
};

static int start(void **state, const ServerOptions *options) {
        static ServerInterface interface = {
                .name = "io.test", .description = "interface io.test\n", .methods = methods
        };
        Bench *bench = calloc(1, sizeof(*bench));
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_non_null(bench);
        assert_true(sd_event_new(&bench->event) >= 0);
        assert_int_equal(poller_new(&bench->poller, bench->event, 0, "test"), 0);
        assert_int_equal(server_new(&bench->server, bench->poller, options), 0);
        interface.userdata = bench;
        assert_int_equal(server_add_interface(bench->server, &interface), 0);
        assert_int_equal(server_add_interface(bench->server, &interface), -EEXIST);
        (void) snprintf(bench->path, sizeof(bench->path), "/tmp/draind-test-server-%d", (int) getpid());
        (void) unlink(bench->path);
        strcpy(address.sun_path, bench->path);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(chmod(bench->path, 0666), 0);
        assert_int_equal(listen(fd, 4096), 0);
        assert_int_equal(server_listen(bench->server, fd), 0);
        *state = bench;
        return 0;
}

static const ServerOptions plain = { .vendor = "v", .product = "p", .version = "1", .url = "u" };

static int setup(void **state) {
        return start(state, &plain);
}

static int setup_small(void **state) {
        ServerOptions options = plain;

        options.connections_max = 5;
        options.connections_user_max = 3;
        options.output_max_bytes = 3 << 20;
        options.limits.output_max_bytes = 2 << 20;
        return start(state, &options);
}

static int teardown(void **state) {
        Bench *bench = *state;

        server_free(bench->server);
        poller_free(bench->poller);
        sd_event_unref(bench->event);
        (void) unlink(bench->path);
        free(bench);
        return 0;
}

static int client_open(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, path);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                fd = fd_close(fd);
        return fd;
}

static int client(Bench *bench) {
        int fd = client_open(bench->path);

        assert_true(fd >= 0);
        return fd;
}

static void say(int fd, const char *text) {
        assert_int_equal(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL), strlen(text) + 1);
}

/* The next message, without the bytes of those after it; NULL when the connection has ended. */
static const char *hear(Bench *bench, int fd) {
        static char text[1 << 16];
        size_t n = 0;

        for (;;) {
                ssize_t k = recv(fd, text + n, 1, 0);

                if (k == 0 || (k < 0 && errno == ECONNRESET))
                        return NULL;
                if (k < 0)
                        loop_until(bench->event, recv(fd, &(char) { 0 }, 1, MSG_PEEK) >= 0 || errno != EAGAIN);
                else if (text[n++] == '\0')
                        return text;
        }
}

static void expect(Bench *bench, int fd, const char *request, const char *reply) {
        say(fd, request);
        assert_string_equal(hear(bench, fd), reply);
}

static void test_the_service_describes_itself(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        expect(bench, fd, "{\"method\":\"org.varlink.service.GetInfo\"}",
               "{\"parameters\":{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\",\"url\":\"u\","
               "\"interfaces\":[\"org.varlink.service\",\"io.test\"]}}");
        expect(bench, fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
               "\"parameters\":{\"interface\":\"io.test\"}}",
               "{\"parameters\":{\"description\":\"interface io.test\\n\"}}");
        say(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                "\"parameters\":{\"interface\":\"org.varlink.service\"}}");
        assert_non_null(strstr(hear(bench, fd), "method GetInfo() -> (vendor: string"));
}

#define NOT_FOUND(method) \
        "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"" method "\"}}"

static void test_the_standard_errors_are_answered(void **state) {
        static const char *const rows[][2] = {
                { "{\"method\":\"io.test.Nothing\"}",
                  NOT_FOUND("io.test.Nothing") },
                { "{\"method\":\"io.nobody.Echo\"}",
                  NOT_FOUND("io.nobody.Echo") },
                { "{\"method\":\"Echo\"}",
                  NOT_FOUND("Echo") },
                { "{\"method\":\"io.test.\"}",
                  NOT_FOUND("io.test.") },
                { "{\"method\":\"io.test.Echo\"}",
                  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"text\"}}" },
                { "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"x\",\"more\":1}}",
                  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"more\"}}" },
                { "{\"method\":\"org.varlink.service.GetInfo\",\"parameters\":{\"x\":1}}",
                  "{\"error\":\"org.varlink.service.InvalidParameter\",\"parameters\":{\"parameter\":\"x\"}}" },
                { "{\"method\":\"org.varlink.service.GetInterfaceDescription\",\"parameters\":{\"interface\":\"x.y\"}}",
                  "{\"error\":\"org.varlink.service.InterfaceNotFound\",\"parameters\":{\"interface\":\"x.y\"}}" },
                { "{\"method\":\"io.test.Watch\"}", "{\"error\":\"org.varlink.service.ExpectedMore\"}" },
                { "{\"method\":\"io.test.Echo\",\"upgrade\":true}",
                  "{\"error\":\"org.varlink.service.MethodNotImplemented\","
                  "\"parameters\":{\"method\":\"io.test.Echo\"}}" },
                { "{\"method\":\"io.test.Fail\"}",
                  "{\"error\":\"io.test.Failed\","
                  "\"parameters\":{\"errno\":28,\"message\":\"No space left on device\"}}" },
        };
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        for (size_t i = 0; i < n_elements(rows); i++)
                expect(bench, fd, rows[i][0], rows[i][1]);
        say(fd, "{\"method\":\"io.test.Garble\"}");
        assert_non_null(strstr(hear(bench, fd), "io.test.Failed"));
        say(fd, "{\"method\":\"io.test.Forget\"}"); /* a handler that does nothing does not leave its caller waiting */
        assert_non_null(strstr(hear(bench, fd), "io.test.Failed"));
}

static void test_who_breaks_the_protocol_is_dropped(void **state) {
        static const char deep[] = "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":"
                                   "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}";
        static const char *const rows[] = {
                "", "x", "{}", "[]", "{\"method\":7}", "{\"method\":\"a\",\"method\":\"b\"}",
                "{\"method\":\"io.test.Keep\",\"oneway\":true,\"more\":true}", deep,
        };
        Bench *bench = *state;

        for (size_t i = 0; i < n_elements(rows); i++) {
                cleanup(fd_closep) int fd = client(bench);

                say(fd, rows[i]);
                if (hear(bench, fd))
                        fail_msg("answered: %s", rows[i]);
        }
        loop_until(bench->event, server_n_connections(bench->server) == 0);
        assert_int_equal(bench->n_kept, 0);
}

static void test_a_message_without_end_is_dropped(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);
        char bytes[4096];
        size_t n = 0;

        memset(bytes, ' ', sizeof(bytes));
        for (;;) {
                ssize_t k = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);

                if (k < 0 && errno == EPIPE)
                        break;
                n += k > 0 ? (size_t) k : 0;
                assert_true(n < 1 << 20);
                (void) loop_settle(bench->event);
        }
        assert_int_equal(server_n_connections(bench->server), 0);
}

static void test_pipelined_calls_are_answered_in_order(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}");
        say(fd, "{\"method\":\"io.test.Keep\"}");
        say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"3\"}}");
        say(fd, "{\"method\":\"io.test.Nothing\"}");
        assert_string_equal(hear(bench, fd), "{\"parameters\":{\"text\":\"1\"}}");
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_kept, 1);
        assert_int_equal(bench->n_calls, 1);
        assert_int_equal(call_reply(bench->kept[0], json_pack("{s:s}", "text", "2"), false), 0);
        assert_string_equal(hear(bench, fd), "{\"parameters\":{\"text\":\"2\"}}");
        assert_string_equal(hear(bench, fd), "{\"parameters\":{\"text\":\"3\"}}");
        assert_non_null(strstr(hear(bench, fd), "MethodNotFound"));
        assert_int_equal(bench->n_gone, 0);
}

static void test_a_oneway_call_is_never_answered(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        say(fd, "{\"method\":\"io.test.Change\",\"oneway\":true}");
        say(fd, "{\"method\":\"io.test.Nothing\",\"oneway\":true}");
        say(fd, "{\"method\":\"io.test.Fail\",\"oneway\":true}");
        say(fd, "{\"method\":\"io.test.Forget\",\"oneway\":true}");
        say(fd, "{\"method\":\"io.test.Keep\",\"oneway\":true}");
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_kept, 1);
        assert_true(call_is_oneway(bench->kept[0]));
        assert_int_equal(call_error(bench->kept[0], "x.y", NULL), 0);
        expect(bench, fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}",
               "{\"parameters\":{\"text\":\"1\"}}");
        assert_int_equal(bench->n_calls, 2);
}

static void test_a_oneway_call_before_a_hang_up_is_carried_out(void **state) {
        Bench *bench = *state;
        int fd = client(bench);

        for (unsigned i = 0; i < 50; i++)
                say(fd, "{\"method\":\"io.test.Change\",\"oneway\":true}");
        (void) fd_close(fd);
        loop_until(bench->event, bench->n_calls == 50);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
}

static void test_a_stream_continues_for_those_who_asked(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        say(fd, "{\"method\":\"io.test.Count\",\"more\":true}");
        assert_string_equal(hear(bench, fd), "{\"continues\":true,\"parameters\":{\"n\":1}}");
        assert_string_equal(hear(bench, fd), "{\"continues\":true,\"parameters\":{\"n\":2}}");
        assert_string_equal(hear(bench, fd), "{\"parameters\":{\"n\":3}}");
        expect(bench, fd, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        expect(bench, fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"4\"}}",
               "{\"parameters\":{\"text\":\"4\"}}");
}

static void test_a_half_closed_client_gets_its_late_reply(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench);

        say(fd, "{\"method\":\"io.test.Keep\"}");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        loop_until(bench->event, bench->n_kept == 1);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_gone, 0);
        assert_int_equal(call_reply(bench->kept[0], NULL, false), 0);
        assert_string_equal(hear(bench, fd), "{}");
        assert_null(hear(bench, fd));
        assert_int_equal(bench->n_gone, 0);
        assert_int_equal(server_n_connections(bench->server), 0);
}

static void test_the_owner_learns_that_its_caller_is_gone(void **state) {
        Bench *bench = *state;
        int fd = client(bench);

        say(fd, "{\"method\":\"io.test.Keep\"}");
        say(fd, "{\"method\":\"io.test.Keep\"}");
        loop_until(bench->event, bench->n_kept == 1);
        assert_string_equal(call_method(bench->kept[0]), "io.test.Keep");
        assert_int_equal(call_credentials(bench->kept[0])->uid, geteuid());
        (void) fd_close(fd);
        loop_until(bench->event, bench->n_gone == 1);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_kept, 1);
        assert_int_equal(server_n_connections(bench->server), 0);
}

static void test_closing_the_server_tells_the_owners(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int a = client(bench), b = client(bench);

        say(a, "{\"method\":\"io.test.Keep\"}");
        say(b, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 2);
        bench->server = server_free(bench->server);
        assert_int_equal(bench->n_gone, 2);
        assert_null(hear(bench, a));
}

static json_t *large_parameters(void) {
        static char text[20001];

        memset(text, 'x', sizeof(text) - 1);
        return json_pack("{s:s}", "text", text);
}

static void test_a_watcher_that_never_reads_is_dropped(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = client(bench), good = client(bench);

        say(fd, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 1);
        for (unsigned i = 0; i < 1000 && bench->n_gone == 0; i++) {
                assert_int_equal(call_reply(bench->kept[0], large_parameters(), true), 0);
                (void) loop_settle(bench->event);
        }
        assert_int_equal(bench->n_gone, 1);
        expect(bench, good, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}",
               "{\"parameters\":{\"text\":\"1\"}}");
}

/* Each stays below its own limit; together they are above that of all: the one that owes most goes. */
static void test_all_queues_together_are_bounded(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int a = client(bench), b = client(bench), c = client(bench);

        say(a, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 1);
        say(b, "{\"method\":\"io.test.Watch\",\"more\":true}");
        say(c, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 3);
        for (unsigned i = 0; i < 95; i++) /* 1.9 MB of 2 MiB */
                assert_int_equal(call_reply(bench->kept[0], large_parameters(), true), 0);
        for (unsigned k = 1; k < 3; k++)
                for (unsigned i = 0; i < 60; i++)
                        assert_int_equal(call_reply(bench->kept[k], large_parameters(), true), 0);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_gone, 1);
        assert_null(bench->kept[0]);
        assert_non_null(bench->kept[1]);
}

static void test_connections_above_the_limits_are_closed_at_once(void **state) {
        Bench *bench = *state;
        int fds[6];

        for (unsigned i = 0; i < 6; i++)
                fds[i] = client(bench);
        for (unsigned i = 0; i < 6; i++) {
                if (i < 3)
                        expect(bench, fds[i], "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
                else
                        assert_null(hear(bench, fds[i]));
        }
        assert_int_equal(server_n_connections(bench->server), 3);
        for (unsigned i = 0; i < 6; i++)
                (void) fd_close(fds[i]);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
        fds[0] = client(bench); /* the user's count went down again */
        expect(bench, fds[0], "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        (void) fd_close(fds[0]);
}

static int setup_many(void **state) {
        ServerOptions options = plain;

        options.connections_user_max = options.connections_max = 10000;
        return start(state, &options);
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
                fds[i] = client(bench);
                say(fds[i], "{\"method\":\"io.test.Keep\"}");
                if (i % 1000 == 999)
                        (void) loop_settle(bench->event);
        }
        loop_until(bench->event, bench->n_kept == n);
        begin = loop_seconds();
        for (unsigned i = 0; i < n; i++)
                assert_int_equal(call_reply(bench->kept[i], NULL, false), 0);
        for (unsigned i = 0; i < n; i++)
                say(fds[i], "{\"method\":\"io.test.Count\"}"); /* all ready at the same moment */
        for (unsigned i = 0; i < n; i++) {
                assert_string_equal(hear(bench, fds[i]), "{}");
                assert_string_equal(hear(bench, fds[i]), "{\"parameters\":{\"n\":3}}");
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
                cleanup(fd_closep) int fd = client(bench);
                const char *reply;

                n_allocations_left = n;
                say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}");
                reply = hear(bench, fd);
                n_ends += !reply;
                assert_true(!reply || strcmp(reply, "{}") != 0);
                n_good += reply && strcmp(reply, "{\"parameters\":{\"text\":\"1\"}}") == 0;
        }
        json_set_alloc_funcs(malloc, free);
        assert_true(n_ends > 3);
        assert_int_equal(n_good, 3);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
}

/* No fd is left: the client is sent away, the loop comes to rest, and afterwards all is well. */
static void test_running_out_of_fds_does_not_spin(void **state) {
        Bench *bench = *state;
        struct rlimit old, low;
        cleanup(fd_closep) int first = client(bench), second = client(bench), third = -EBADF;
        int next;

        expect(bench, first, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        expect(bench, second, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        third = client(bench);
        next = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = old;
        low.rlim_cur = (rlim_t) next; /* everything below is taken */
        (void) fd_close(next);
        for (int fd = 0; fd < next; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        (void) dup2(first, fd); /* holes as well */
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_true(loop_settle(bench->event) < 100);
        assert_null(hear(bench, third));
        assert_int_equal(server_n_connections(bench->server), 2);
        expect(bench, second, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        (void) fd_close(third);
        third = client(bench);
        expect(bench, third, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
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
                fd = client_open(bench->path);
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
        cleanup(fd_closep) int fd = client(bench);

        expect(bench, fd, "{\"method\":\"io.test.Change\"}", "{}"); /* our own user */
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

#define server_test(f, setup_it) cmocka_unit_test_setup_teardown(f, setup_it, teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                server_test(test_the_service_describes_itself, setup),
                server_test(test_the_standard_errors_are_answered, setup),
                server_test(test_who_breaks_the_protocol_is_dropped, setup),
                server_test(test_a_message_without_end_is_dropped, setup),
                server_test(test_pipelined_calls_are_answered_in_order, setup),
                server_test(test_a_oneway_call_is_never_answered, setup),
                server_test(test_a_oneway_call_before_a_hang_up_is_carried_out, setup),
                server_test(test_a_stream_continues_for_those_who_asked, setup),
                server_test(test_a_half_closed_client_gets_its_late_reply, setup),
                server_test(test_the_owner_learns_that_its_caller_is_gone, setup),
                server_test(test_closing_the_server_tells_the_owners, setup),
                server_test(test_a_watcher_that_never_reads_is_dropped, setup_small),
                server_test(test_all_queues_together_are_bounded, setup_small),
                server_test(test_connections_above_the_limits_are_closed_at_once, setup_small),
                server_test(test_thousands_of_connections_are_served, setup_many),
                server_test(test_want_of_memory_costs_the_connection_at_most, setup),
                server_test(test_running_out_of_fds_does_not_spin, setup),
                server_test(test_only_those_who_may_change_things, setup),
        };
        uint64_t old;

        log_open(LOG_TARGET_CONSOLE, LOG_EMERG, "test-server");
        (void) !fd_raise_limit(&old);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
