#include "server-bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../../protocol/fields.h"

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

        assert_true(bench->n_kept < BENCH_KEPT_MAX);
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

const ServerOptions bench_options = { .vendor = "v", .product = "p", .version = "1", .url = "u" };

int bench_start(void **state, const ServerOptions *options) {
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

int bench_setup(void **state) {
        return bench_start(state, &bench_options);
}

int bench_teardown(void **state) {
        Bench *bench = *state;

        server_free(bench->server);
        poller_free(bench->poller);
        sd_event_unref(bench->event);
        (void) unlink(bench->path);
        free(bench);
        return 0;
}

int bench_connect(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, path);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                fd = fd_close(fd);
        return fd;
}

int bench_client(Bench *bench) {
        int fd = bench_connect(bench->path);

        assert_true(fd >= 0);
        return fd;
}

void bench_say(int fd, const char *text) {
        assert_int_equal(send(fd, text, strlen(text) + 1, MSG_NOSIGNAL), strlen(text) + 1);
}

/* The next message, without the bytes of those after it; NULL when the connection has ended. */
const char *bench_hear(Bench *bench, int fd) {
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

void bench_expect(Bench *bench, int fd, const char *request, const char *reply) {
        bench_say(fd, request);
        assert_string_equal(bench_hear(bench, fd), reply);
}

json_t *bench_large_parameters(void) {
        static char text[20001];

        memset(text, 'x', sizeof(text) - 1);
        return json_pack("{s:s}", "text", text);
}
