#include "../lib/server-bench.h"

#include <string.h>
#include <sys/socket.h>

#include "../../protocol/log.h"

/* What a well-behaved client sees, and one that breaks the protocol. */

static void test_the_service_describes_itself(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_expect(bench, fd, "{\"method\":\"org.varlink.service.GetInfo\"}",
               "{\"parameters\":{\"vendor\":\"v\",\"product\":\"p\",\"version\":\"1\",\"url\":\"u\","
               "\"interfaces\":[\"org.varlink.service\",\"io.test\"]}}");
        bench_expect(bench, fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
               "\"parameters\":{\"interface\":\"io.test\"}}",
               "{\"parameters\":{\"description\":\"interface io.test\\n\"}}");
        bench_say(fd, "{\"method\":\"org.varlink.service.GetInterfaceDescription\","
                "\"parameters\":{\"interface\":\"org.varlink.service\"}}");
        assert_non_null(strstr(bench_hear(bench, fd), "method GetInfo() -> (vendor: string"));
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
        cleanup(fd_closep) int fd = bench_client(bench);

        for (size_t i = 0; i < n_elements(rows); i++)
                bench_expect(bench, fd, rows[i][0], rows[i][1]);
        bench_say(fd, "{\"method\":\"io.test.Garble\"}");
        assert_non_null(strstr(bench_hear(bench, fd), "io.test.Failed"));
        /* A handler that does nothing does not leave its caller waiting. */
        bench_say(fd, "{\"method\":\"io.test.Forget\"}");
        assert_non_null(strstr(bench_hear(bench, fd), "io.test.Failed"));
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
                cleanup(fd_closep) int fd = bench_client(bench);

                bench_say(fd, rows[i]);
                if (bench_hear(bench, fd))
                        fail_msg("answered: %s", rows[i]);
        }
        loop_until(bench->event, server_n_connections(bench->server) == 0);
        assert_int_equal(bench->n_kept, 0);
}

static void test_a_message_without_end_is_dropped(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);
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
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}");
        bench_say(fd, "{\"method\":\"io.test.Keep\"}");
        bench_say(fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"3\"}}");
        bench_say(fd, "{\"method\":\"io.test.Nothing\"}");
        assert_string_equal(bench_hear(bench, fd), "{\"parameters\":{\"text\":\"1\"}}");
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_kept, 1);
        assert_int_equal(bench->n_calls, 1);
        assert_int_equal(call_reply(bench->kept[0], json_pack("{s:s}", "text", "2"), false), 0);
        assert_string_equal(bench_hear(bench, fd), "{\"parameters\":{\"text\":\"2\"}}");
        assert_string_equal(bench_hear(bench, fd), "{\"parameters\":{\"text\":\"3\"}}");
        assert_non_null(strstr(bench_hear(bench, fd), "MethodNotFound"));
        assert_int_equal(bench->n_gone, 0);
}

static void test_a_oneway_call_is_never_answered(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Change\",\"oneway\":true}");
        bench_say(fd, "{\"method\":\"io.test.Nothing\",\"oneway\":true}");
        bench_say(fd, "{\"method\":\"io.test.Fail\",\"oneway\":true}");
        bench_say(fd, "{\"method\":\"io.test.Forget\",\"oneway\":true}");
        bench_say(fd, "{\"method\":\"io.test.Keep\",\"oneway\":true}");
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_kept, 1);
        assert_true(call_is_oneway(bench->kept[0]));
        assert_int_equal(call_error(bench->kept[0], "x.y", NULL), 0);
        bench_expect(bench, fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"1\"}}",
               "{\"parameters\":{\"text\":\"1\"}}");
        assert_int_equal(bench->n_calls, 2);
}

static void test_a_oneway_call_before_a_hang_up_is_carried_out(void **state) {
        Bench *bench = *state;
        int fd = bench_client(bench);

        for (unsigned i = 0; i < 50; i++)
                bench_say(fd, "{\"method\":\"io.test.Change\",\"oneway\":true}");
        (void) fd_close(fd);
        loop_until(bench->event, bench->n_calls == 50);
        loop_until(bench->event, server_n_connections(bench->server) == 0);
}

static void test_a_stream_continues_for_those_who_asked(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Count\",\"more\":true}");
        assert_string_equal(bench_hear(bench, fd), "{\"continues\":true,\"parameters\":{\"n\":1}}");
        assert_string_equal(bench_hear(bench, fd), "{\"continues\":true,\"parameters\":{\"n\":2}}");
        assert_string_equal(bench_hear(bench, fd), "{\"parameters\":{\"n\":3}}");
        bench_expect(bench, fd, "{\"method\":\"io.test.Count\"}", "{\"parameters\":{\"n\":3}}");
        bench_expect(bench, fd, "{\"method\":\"io.test.Echo\",\"parameters\":{\"text\":\"4\"}}",
               "{\"parameters\":{\"text\":\"4\"}}");
}

static void test_a_half_closed_client_gets_its_late_reply(void **state) {
        Bench *bench = *state;
        cleanup(fd_closep) int fd = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Keep\"}");
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        loop_until(bench->event, bench->n_kept == 1);
        (void) loop_settle(bench->event);
        assert_int_equal(bench->n_gone, 0);
        assert_int_equal(call_reply(bench->kept[0], NULL, false), 0);
        assert_string_equal(bench_hear(bench, fd), "{}");
        assert_null(bench_hear(bench, fd));
        assert_int_equal(bench->n_gone, 0);
        assert_int_equal(server_n_connections(bench->server), 0);
}

static void test_the_owner_learns_that_its_caller_is_gone(void **state) {
        Bench *bench = *state;
        int fd = bench_client(bench);

        bench_say(fd, "{\"method\":\"io.test.Keep\"}");
        bench_say(fd, "{\"method\":\"io.test.Keep\"}");
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
        cleanup(fd_closep) int a = bench_client(bench), b = bench_client(bench);

        bench_say(a, "{\"method\":\"io.test.Keep\"}");
        bench_say(b, "{\"method\":\"io.test.Watch\",\"more\":true}");
        loop_until(bench->event, bench->n_kept == 2);
        bench->server = server_free(bench->server);
        assert_int_equal(bench->n_gone, 2);
        assert_null(bench_hear(bench, a));
}

#define server_test(f, setup_it) cmocka_unit_test_setup_teardown(f, setup_it, bench_teardown)

int main(void) {
        static const struct CMUnitTest tests[] = {
                server_test(test_the_service_describes_itself, bench_setup),
                server_test(test_the_standard_errors_are_answered, bench_setup),
                server_test(test_who_breaks_the_protocol_is_dropped, bench_setup),
                server_test(test_a_message_without_end_is_dropped, bench_setup),
                server_test(test_pipelined_calls_are_answered_in_order, bench_setup),
                server_test(test_a_oneway_call_is_never_answered, bench_setup),
                server_test(test_a_oneway_call_before_a_hang_up_is_carried_out, bench_setup),
                server_test(test_a_stream_continues_for_those_who_asked, bench_setup),
                server_test(test_a_half_closed_client_gets_its_late_reply, bench_setup),
                server_test(test_the_owner_learns_that_its_caller_is_gone, bench_setup),
                server_test(test_closing_the_server_tells_the_owners, bench_setup),
        };

        log_open(LOG_TARGET_CONSOLE, LOG_EMERG, "test-server");
        return cmocka_run_group_tests(tests, NULL, NULL);
}
