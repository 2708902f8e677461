#include "api-bench.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../../protocol/message.h"

#define CONTROL "io.draind.Control."

void api_bench_start(ApiBench *bench, const FakeService *services) {
        static unsigned n;

        *bench = (ApiBench) { .manager = fake_manager_new(services), .text = varlink_text(api_interface_text) };
        (void) snprintf(bench->path, sizeof(bench->path), "/tmp/draind-test-api-%d-%u", (int) getpid(), n++);
        (void) unlink(bench->path);
        assert_int_equal(api_new(&bench->api, bench->manager, bench->path, -EBADF), 0);
}

void api_bench_stop(ApiBench *bench) {
        bench->api = api_free(bench->api);
        assert_int_equal(fake_manager_n_watchers(bench->manager), 0);
        fake_manager_free(bench->manager);
        (void) unlink(bench->path);
}

int api_bench_connect(const ApiBench *bench) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        strcpy(address.sun_path, bench->path);
        assert_true(fd >= 0);
        assert_int_equal(connect(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

void api_bench_say_json(int fd, const char *method, json_t *parameters, bool more) {
        cleanup(freep) char *text = NULL;
        char name[128];
        size_t length;

        (void) snprintf(name, sizeof(name), "%s%s", strchr(method, '.') ? "" : CONTROL, method);
        assert_int_equal(message_format_call(name, parameters, more, false, &text, &length), 0);
        assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
        json_decref(parameters);
}

void api_bench_say(int fd, const char *method, const char *parameters, bool more) {
        cleanup(freep) char *text = strdup(parameters ? parameters : "{}");
        json_t *value;

        for (char *c = text; *c != '\0'; c++)
                if (*c == '\'')
                        *c = '"';
        value = json_loads(text, 0, NULL);
        assert_non_null(value);
        api_bench_say_json(fd, method, value, more);
}

/* The next message, or NULL: the connection has ended. free(). */
static char *hear_text(ApiBench *bench, int fd) {
        size_t n = 0, size = 1 << 16;
        char *text = malloc(size);

        for (;;) {
                ssize_t k;

                assert_non_null(text);
                k = recv(fd, text + n, size - n, MSG_PEEK);
                if (k == 0 || (k < 0 && errno == ECONNRESET)) {
                        free(text);
                        return NULL;
                }
                if (k < 0) {
                        loop_until(loop_event(manager_loop(bench->manager)),
                                   recv(fd, &(char) { 0 }, 1, MSG_PEEK) >= 0 || errno != EAGAIN);
                        continue;
                }
                for (ssize_t i = 0; i < k; i++)
                        if (text[n + (size_t) i] == '\0') {
                                assert_int_equal(recv(fd, text + n, (size_t) i + 1, 0), i + 1);
                                return text;
                        }
                assert_int_equal(recv(fd, text + n, (size_t) k, 0), k);
                n += (size_t) k;
                if (size - n < 4096)
                        text = realloc(text, size *= 2);
        }
}

static bool hear_message(ApiBench *bench, int fd, MessageReply *ret) {
        cleanup(freep) char *text = hear_text(bench, fd);

        if (!text)
                return false;
        assert_int_equal(message_parse_reply(text, strlen(text), ret), MESSAGE_PARSED);
        return true;
}

json_t *api_bench_hear(ApiBench *bench, int fd, const char *method, bool *ret_continues) {
        json_t *parameters;
        MessageReply reply;

        if (!hear_message(bench, fd, &reply))
                return NULL;
        if (reply.error)
                fail_msg("%s was answered with %s: %s", method, reply.error, json_dumps(reply.parameters, 0));
        varlink_check_reply(&bench->text, method, reply.parameters);
        parameters = json_incref(reply.parameters);
        if (ret_continues)
                *ret_continues = reply.continues;
        else
                assert_false(reply.continues);
        message_reply_done(&reply);
        return parameters;
}

const char *api_bench_hear_error(ApiBench *bench, int fd, json_t **ret_parameters) {
        static char name[128];
        MessageReply reply;

        assert_true(hear_message(bench, fd, &reply));
        assert_false(reply.continues);
        (void) snprintf(name, sizeof(name), "%s", reply.error ? reply.error : "");
        if (strncmp(name, CONTROL, strlen(CONTROL)) == 0) {
                memmove(name, name + strlen(CONTROL), strlen(name) - strlen(CONTROL) + 1);
                varlink_check_error(&bench->text, name, reply.parameters);
        }
        if (ret_parameters)
                *ret_parameters = json_incref(reply.parameters);
        message_reply_done(&reply);
        return name;
}

bool api_bench_has_reply(ApiBench *bench, int fd) {
        drop(loop_settle(loop_event(manager_loop(bench->manager))));
        return recv(fd, &(char) { 0 }, 1, MSG_PEEK) >= 0;
}

json_t *api_bench_ask(ApiBench *bench, const char *method, const char *parameters) {
        cleanup(fd_closep) int fd = api_bench_connect(bench);

        api_bench_say(fd, method, parameters, false);
        return api_bench_hear(bench, fd, method, NULL);
}

const char *api_bench_ask_error(ApiBench *bench, const char *method, const char *parameters, json_t **ret_parameters) {
        cleanup(fd_closep) int fd = api_bench_connect(bench);

        api_bench_say(fd, method, parameters, strcmp(method, "Wait") == 0);
        return api_bench_hear_error(bench, fd, ret_parameters);
}

json_t *api_bench_hear_done(ApiBench *bench, int fd, const char *method) {
        json_t *seen = json_object(), *all = json_array(), *service;
        const char *name;
        size_t i;

        for (;;) {
                bool continues = false;
                json_t *reply = api_bench_hear(bench, fd, method, &continues);

                assert_non_null(reply);
                json_array_foreach(json_object_get(reply, "services"), i, service)
                        json_object_set(seen, json_string_value(json_object_get(service, "name")), service);
                assert_int_equal(json_is_true(json_object_get(reply, "done")), !continues);
                if (continues) {
                        json_decref(reply);
                        continue;
                }
                json_object_foreach(seen, name, service)
                        json_array_append(all, service);
                json_object_set_new(reply, "services", all);
                json_decref(seen);
                return reply;
        }
}

const json_t *api_bench_at(const json_t *value, const char *path) {
        char part[64];

        while (value && *path != '\0') {
                size_t n = strcspn(path, ".");

                assert_true(n < sizeof(part));
                memcpy(part, path, n);
                part[n] = '\0';
                value = json_is_array(value) ? json_array_get(value, strtoul(part, NULL, 10)) : json_object_get(value, part);
                path += path[n] == '.' ? n + 1 : n;
        }
        return value;
}

const char *api_bench_text(const json_t *value, const char *path) {
        const char *text = json_string_value(api_bench_at(value, path));

        return text ? text : "";
}

int64_t api_bench_number(const json_t *value, const char *path) {
        const json_t *number = api_bench_at(value, path);

        return json_is_integer(number) ? json_integer_value(number) : -1;
}

bool api_bench_flag(const json_t *value, const char *path) {
        return json_is_true(api_bench_at(value, path));
}
