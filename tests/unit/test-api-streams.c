#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../lib/api-bench.h"

/* Calls with `more`: what followers get, when they are done, and what they cost. */

static const FakeService services[] = {
        { .name = "app", .requires = "db", .quiesce = 1000 * USEC_PER_SEC },
        { .name = "bad", .fails_to_start = true },
        { .name = "db" },
        { .name = "notify", .type = SERVICE_NOTIFY },
        { .name = "once", .type = SERVICE_ONESHOT },
        { .name = "stubborn", .ladder = 1, .is_stubborn = true },
        { .name = NULL },
};
enum { APP, BAD, DB, NOTIFY, ONCE, STUBBORN };

static const FakeService fewer_services[] = {
        { .name = "app" }, { .name = "new" }, { .name = "once", .type = SERVICE_ONESHOT }, { .name = NULL },
};

static int setup(void **state) {
        ApiBench *bench = malloc(sizeof(*bench));

        assert_non_null(bench);
        api_bench_start(bench, services);
        *state = bench;
        return 0;
}

static int setup_running(void **state) {
        ApiBench *bench;

        setup(state);
        bench = *state;
        fake_manager_start_all(bench->manager);
        fake_manager_ready(bench->manager, NOTIFY);
        return 0;
}

static int teardown(void **state) {
        api_bench_stop(*state);
        free(*state);
        return 0;
}

static json_t *hear_one(ApiBench *bench, int fd, const char *method) {
        bool continues = false;
        json_t *reply = api_bench_hear(bench, fd, method, &continues);

        assert_non_null(reply);
        assert_true(continues);
        return reply;
}

static size_t n_services_in(const json_t *reply) {
        return json_array_size(api_bench_at(reply, "services"));
}

/* The state of a service in a reply, "" where it is not in it. */
static const char *state_in(const json_t *reply, const char *name) {
        const json_t *service;
        size_t i;

        json_array_foreach(api_bench_at(reply, "services"), i, service)
                if (strcmp(api_bench_text(service, "name"), name) == 0)
                        return api_bench_text(service, "state");
        return "";
}

static void test_a_list_goes_on_with_what_changes(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "List", NULL, true);
        reply = hear_one(bench, fd, "List");
        assert_int_equal(n_services_in(reply), 6);
        json_decref(reply);
        assert_false(api_bench_has_reply(bench, fd));
        for (unsigned i = 0; i < 100; i++)
                fake_manager_set_status(bench->manager, DB, "Serving");
        fake_manager_set_status(bench->manager, APP, "Serving too");
        reply = hear_one(bench, fd, "List"); /* all of that is one reply */
        assert_int_equal(n_services_in(reply), 2);
        assert_int_equal(json_array_size(api_bench_at(reply, "operations")), 0);
        json_decref(reply);
        assert_false(api_bench_has_reply(bench, fd));
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['app']}"));
        reply = hear_one(bench, fd, "List");
        assert_int_equal(n_services_in(reply), 1);
        assert_string_equal(api_bench_text(reply, "operations.0.services.0"), "app");
        json_decref(reply);
}

static void test_a_list_of_named_ones_tells_of_no_others(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "List", "{'services': ['db', 'db']}", true);
        reply = hear_one(bench, fd, "List");
        assert_int_equal(n_services_in(reply), 1);
        json_decref(reply);
        fake_manager_set_status(bench->manager, APP, "Serving");
        assert_false(api_bench_has_reply(bench, fd));
}

static void test_a_drain_is_followed_to_its_end(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "Drain", "{'services': ['db']}", true);
        reply = hear_one(bench, fd, "Drain");
        assert_int_equal(n_services_in(reply), 2);
        assert_false(api_bench_flag(reply, "joined"));
        assert_string_equal(api_bench_text(reply, "operation.state"), "quiescing");
        json_decref(reply);
        json_decref(api_bench_ask(bench, "Escalate", "{'level': 'terminate'}"));
        reply = api_bench_hear_done(bench, fd, "Drain");
        assert_string_equal(api_bench_text(reply, "operation.state"), "stopped");
        assert_string_equal(state_in(reply, "app"), "stopped");
        assert_string_equal(state_in(reply, "db"), "stopped");
        json_decref(reply);
}

static void test_the_killed_are_counted(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "Drain", "{'services': ['stubborn']}", true);
        reply = api_bench_hear_done(bench, fd, "Drain");
        assert_int_equal(api_bench_number(reply, "operation.nKilled"), 1);
        assert_string_equal(api_bench_text(reply, "services.0.result"), "killed");
        assert_string_equal(api_bench_text(reply, "services.0.exitSignal"), "KILL");
        assert_true(api_bench_number(reply, "services.0.drainUsedUsec") >= 0);
        json_decref(reply);
}

static void test_quiesced_is_as_far_as_it_goes(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench), other = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "Drain", "{'services': ['db', 'notify'], 'until': 'quiesced'}", true);
        reply = hear_one(bench, fd, "Drain");
        assert_string_equal(api_bench_text(reply, "operation.until"), "quiesced");
        json_decref(reply);
        api_bench_say(other, "Wait", NULL, true);
        json_decref(hear_one(bench, other, "Wait"));
        machine_guards(manager_machine(bench->manager), APP, true, manager_now(bench->manager));
        reply = api_bench_hear_done(bench, fd, "Drain");
        assert_string_equal(api_bench_text(reply, "operation.state"), "holding");
        assert_string_equal(state_in(reply, "app"), "draining");
        json_decref(reply);
        reply = api_bench_hear_done(bench, other, "Wait");
        assert_string_equal(api_bench_text(reply, "operation.state"), "holding");
        json_decref(reply);
}

static void test_a_drain_that_is_taken_back_is_done(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench), other = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "Drain", "{'services': ['app']}", true);
        json_decref(hear_one(bench, fd, "Drain"));
        api_bench_say(other, "Wait", "{'services': ['app', 'once']}", true);
        json_decref(hear_one(bench, other, "Wait"));
        json_decref(api_bench_ask(bench, "Resume", NULL));
        reply = api_bench_hear_done(bench, fd, "Drain");
        assert_string_equal(api_bench_text(reply, "operation.state"), "resumed");
        assert_string_equal(state_in(reply, "app"), "running");
        json_decref(reply);
        json_decref(api_bench_hear_done(bench, other, "Wait"));
}

static void test_a_start_waits_for_all(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(fd, "Start", "{'services': ['app', 'bad', 'notify', 'once']}", true);
        reply = hear_one(bench, fd, "Start");
        assert_int_equal(n_services_in(reply), 4);
        assert_string_equal(state_in(reply, "notify"), "starting");
        assert_string_equal(state_in(reply, "bad"), "stopped"); /* has failed, which ends nothing */
        json_decref(reply);
        fake_manager_ready(bench->manager, NOTIFY);
        json_decref(hear_one(bench, fd, "Start"));
        fake_manager_exit(bench->manager, ONCE, 0);
        reply = api_bench_hear_done(bench, fd, "Start");
        assert_string_equal(state_in(reply, "once"), "stopped");
        json_decref(reply);
}

static void test_services_are_waited_for(void **state) {
        static const struct {
                const char *parameters;
                bool is_done;
        } rows[] = {
                { "{'services': ['app'], 'for': 'running'}", true },     { "{'services': ['app'], 'for': 'ready'}", true },
                { "{'services': ['app'], 'for': 'stopped'}", false },    { "{'services': ['app'], 'for': 'quiesced'}", false },
                { "{'services': ['app']}", false },                      { "{'services': ['bad']}", true },
                { "{'services': ['bad', 'once'], 'for': 'running'}", true }, /* bad cannot come there */
                { "{'services': ['once'], 'for': 'ready'}", false },     { "{'services': ['bad'], 'for': 'quiesced'}", true },
        };
        ApiBench *bench = *state;

        for (size_t i = 0; i < n_elements(rows); i++) {
                cleanup(fd_closep) int fd = api_bench_connect(bench);
                bool continues = false;
                json_t *reply;

                api_bench_say(fd, "Wait", rows[i].parameters, true);
                reply = api_bench_hear(bench, fd, "Wait", &continues);
                if (continues == rows[i].is_done || api_bench_flag(reply, "done") != rows[i].is_done)
                        fail_msg("%s: %s", rows[i].parameters, continues ? "goes on" : "is done");
                json_decref(reply);
        }
}

static void test_a_stop_that_is_over_in_no_time_was_one(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;
        uint64_t id;
        const char *why;
        DrainRequest request = { .services = (const unsigned[]) { NOTIFY }, .n_services = 1, .budget = USEC_INFINITY,
                                 .flags = OPERATION_RESTART };

        api_bench_say(fd, "Wait", "{'services': ['notify'], 'for': 'stopped'}", true);
        json_decref(hear_one(bench, fd, "Wait"));
        /* Stopped and started again before anything is sent. */
        assert_int_equal(manager_drain(bench->manager, &request, &id, &why), 0);
        fake_manager_exit(bench->manager, NOTIFY, 0);
        assert_int_not_equal(machine_cell(manager_machine(bench->manager), NOTIFY)->state, SERVICE_STOPPED);
        reply = api_bench_hear_done(bench, fd, "Wait");
        assert_string_equal(state_in(reply, "notify"), "starting");
        json_decref(reply);
}

static void test_a_restart_is_waited_for_until_it_runs(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        json_t *reply;

        json_decref(api_bench_ask(bench, "Drain", "{'services': ['app'], 'restart': true}"));
        api_bench_say(fd, "Wait", "{'services': ['app'], 'for': 'running'}", true);
        json_decref(hear_one(bench, fd, "Wait"));
        json_decref(api_bench_ask(bench, "Escalate", "{'level': 'terminate'}"));
        reply = api_bench_hear_done(bench, fd, "Wait");
        assert_string_equal(state_in(reply, "app"), "running");
        json_decref(reply);
}

static void test_events_are_followed(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench), other = api_bench_connect(bench);
        int64_t sequence;
        json_t *reply;

        api_bench_say(fd, "Events", "{'last': 1}", true);
        reply = hear_one(bench, fd, "Events");
        assert_int_equal(json_array_size(api_bench_at(reply, "events")), 1);
        sequence = api_bench_number(reply, "events.0.sequence");
        json_decref(reply);
        api_bench_say(other, "Events", "{'last': 0, 'service': 'db'}", true);
        reply = hear_one(bench, other, "Events");
        assert_int_equal(json_array_size(api_bench_at(reply, "events")), 0);
        json_decref(reply);
        fake_manager_exit(bench->manager, ONCE, 3);
        reply = hear_one(bench, fd, "Events");
        assert_int_equal(api_bench_number(reply, "events.0.sequence"), sequence + 1);
        assert_string_equal(api_bench_text(reply, "events.0.service"), "once");
        json_decref(reply);
        assert_false(api_bench_has_reply(bench, other)); /* it was another's */
}

static void test_output_is_followed(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        OutputPipe *pipe;
        json_t *reply;
        int writer;

        assert_int_equal(output_open(&pipe, manager_outputs(bench->manager), "db", -EBADF), 0);
        writer = output_writer(pipe);
        assert_int_equal(write(writer, "one\ntwo\n", 8), 8);
        loop_until(loop_event(manager_loop(bench->manager)), outputs_n_lines(manager_outputs(bench->manager)) == 2);
        api_bench_say(fd, "Logs", "{'last': 1, 'service': 'db'}", true);
        reply = hear_one(bench, fd, "Logs");
        assert_int_equal(json_array_size(api_bench_at(reply, "lines")), 1);
        assert_string_equal(api_bench_text(reply, "lines.0.text"), "two");
        assert_true(api_bench_number(reply, "lines.0.realtime") > 1700000000000000);
        json_decref(reply);
        assert_int_equal(write(writer, "th\x1b[1mree\xff\n", 12), 12);
        reply = hear_one(bench, fd, "Logs");
        assert_int_equal(json_array_size(api_bench_at(reply, "lines")), 1);
        assert_string_equal(api_bench_text(reply, "lines.0.text"), "th\\x1b[1mree\\xff");
        json_decref(reply);
        (void) close(writer);
        output_close(pipe);
}

static void test_after_a_reload_everything_is_sent_again(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int all = api_bench_connect(bench), gone = api_bench_connect(bench), kept = api_bench_connect(bench);
        json_t *reply;

        api_bench_say(all, "List", NULL, true);
        json_decref(hear_one(bench, all, "List"));
        api_bench_say(gone, "Wait", "{'services': ['db']}", true);
        json_decref(hear_one(bench, gone, "Wait"));
        api_bench_say(kept, "Wait", "{'services': ['once']}", true);
        json_decref(hear_one(bench, kept, "Wait"));
        fake_manager_set_status(bench->manager, STUBBORN, "marked, and then not there any more");
        fake_manager_exchange(bench->manager, fewer_services);
        reply = hear_one(bench, all, "List");
        assert_int_equal(n_services_in(reply), 3);
        assert_string_equal(api_bench_text(reply, "services.1.name"), "new");
        json_decref(reply);
        json_decref(api_bench_hear_done(bench, gone, "Wait")); /* what is not there has stopped */
        reply = hear_one(bench, kept, "Wait");
        assert_int_equal(n_services_in(reply), 1);
        json_decref(reply);
        fake_manager_exit(bench->manager, 2, 0);
        json_decref(api_bench_hear_done(bench, kept, "Wait"));
}

static void test_what_is_owed_is_sent_before_the_end(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        sd_event *event = loop_event(manager_loop(bench->manager));
        Machine *machine = manager_machine(bench->manager);
        char buf[1 << 16];
        ssize_t n;

        api_bench_say(fd, "Drain", "{'services': ['db']}", true);
        json_decref(hear_one(bench, fd, "Drain"));
        assert_int_equal(manager_escalate(bench->manager, 1, 2), 0);
        /* The loop ends before anything is sent. */
        loop_until(event, machine_operation_find(machine, 1)->state == OPERATION_STOPPED);
        api_flush(bench->api);
        bench->api = api_free(bench->api);
        n = recv(fd, buf, sizeof(buf), 0);
        assert_true(n > 0 && buf[n - 1] == '\0');
        assert_non_null(memmem(buf, (size_t) n, "\"done\":true", 11));
        assert_int_equal(recv(fd, buf, sizeof(buf), 0), 0);
}

static void test_heartbeats_come_while_somebody_listens(void **state) {
        ApiBench *bench = *state;
        int fd = api_bench_connect(bench), other = api_bench_connect(bench);
        sd_event *event = loop_event(manager_loop(bench->manager));
        double began = loop_seconds();
        json_t *reply;

        api_bench_say(fd, "Wait", "{'services': ['app']}", true);
        json_decref(hear_one(bench, fd, "Wait"));
        api_bench_say(other, "Events", "{'last': 0}", true);
        json_decref(hear_one(bench, other, "Events"));
        reply = hear_one(bench, fd, "Wait");
        assert_true(loop_seconds() - began > 5 && loop_seconds() - began < 15);
        assert_int_equal(n_services_in(reply), 0);
        assert_null(api_bench_at(reply, "operation"));
        json_decref(reply);
        reply = hear_one(bench, other, "Events");
        assert_int_equal(json_array_size(api_bench_at(reply, "events")), 0);
        json_decref(reply);
        (void) close(fd);
        (void) close(other);
        drop(loop_settle(event));
}

static void test_clients_leave_at_any_time(void **state) {
        static const char *const calls[][2] = {
                { "List", "{}" }, { "Drain", "{'services': ['app']}" }, { "Wait", "{'services': ['db']}" },
                { "Events", "{}" }, { "Logs", "{}" }, { "Start", "{'services': ['once']}" },
        };
        ApiBench *bench = *state;
        sd_event *event = loop_event(manager_loop(bench->manager));

        for (unsigned turns = 0; turns < 4; turns++)
                for (size_t i = 0; i < n_elements(calls); i++) {
                        int fd = api_bench_connect(bench);

                        api_bench_say(fd, calls[i][0], calls[i][1], true);
                        for (unsigned k = 0; k < turns; k++)
                                assert_true(sd_event_run(event, 0) >= 0);
                        (void) close(fd);
                        fake_manager_set_status(bench->manager, DB, "x");
                        for (unsigned k = 0; k < turns; k++)
                                assert_true(sd_event_run(event, 0) >= 0);
                }
        drop(loop_settle(event));
}

static void test_a_oneway_call_is_carried_out_and_not_answered(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        static const char call[] = "{\"method\":\"io.draind.Control.Drain\",\"oneway\":true,"
                                   "\"parameters\":{\"services\":[\"app\"]}}";

        assert_int_equal(send(fd, call, sizeof(call), 0), sizeof(call));
        assert_false(api_bench_has_reply(bench, fd));
        assert_int_equal(machine_operation(manager_machine(bench->manager), 0)->id, 1);
        api_bench_say(fd, "GetManager", NULL, false); /* and the connection is as good as before */
        json_decref(api_bench_hear(bench, fd, "GetManager", NULL));
}

#define MANY 1000

static const FakeService *many_services(void) {
        static FakeService many[MANY + 1];
        static char names[MANY][16];

        for (unsigned i = 0; i < MANY; i++) {
                (void) snprintf(names[i], sizeof(names[i]), "service-%04u", i);
                many[i] = (FakeService) { .name = names[i], .requires = i % 10 == 0 ? NULL : names[i - 1] };
        }
        return many;
}

static void test_a_thousand_services_are_named(void **state) {
        json_t *names = json_array(), *reply;
        ApiBench bench;
        int fd;

        api_bench_start(&bench, many_services());
        fd = api_bench_connect(&bench);
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(json_array_append_new(names, json_string(many_services()[MANY - 1 - i].name)), 0);
        api_bench_say_json(fd, "List", json_pack("{s:O}", "services", names), false);
        reply = api_bench_hear(&bench, fd, "List", NULL);
        assert_int_equal(n_services_in(reply), MANY);
        json_decref(reply);
        api_bench_say_json(fd, "Start", json_pack("{s:O}", "services", names), true);
        json_decref(api_bench_hear_done(&bench, fd, "Start"));
        api_bench_say_json(fd, "Drain", json_pack("{s:O}", "services", names), true);
        reply = api_bench_hear_done(&bench, fd, "Drain");
        assert_int_equal(n_services_in(reply), MANY);
        json_decref(reply);
        json_decref(names);
        (void) close(fd);
        api_bench_stop(&bench);
}

/* No turn of the loop makes JSON for more than a batch, so a signal waits for that at most. */
static void test_a_drain_of_a_thousand_is_followed_in_small_steps(void **state) {
        unsigned n_replies = 0, n_told = 0;
        bool continues = true;
        ApiBench bench;
        json_t *reply;
        int fd;

        api_bench_start(&bench, many_services());
        fake_manager_start_all(bench.manager);
        fd = api_bench_connect(&bench);
        api_bench_say(fd, "Drain", NULL, true);
        while (continues) {
                reply = api_bench_hear(&bench, fd, "Drain", &continues);
                assert_non_null(reply);
                n_replies++;
                n_told += (unsigned) n_services_in(reply);
                json_decref(reply);
        }
        for (unsigned i = 0; i < MANY; i++)
                assert_int_equal(machine_cell(manager_machine(bench.manager), i)->state, SERVICE_STOPPED);
        assert_true(n_replies < 200);
        assert_in_range(n_told, MANY, 12 * MANY);
        (void) close(fd);
        api_bench_stop(&bench);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_running, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_a_list_goes_on_with_what_changes),
                TEST(test_a_list_of_named_ones_tells_of_no_others),
                TEST(test_a_drain_is_followed_to_its_end),
                TEST(test_the_killed_are_counted),
                TEST(test_quiesced_is_as_far_as_it_goes),
                TEST(test_a_drain_that_is_taken_back_is_done),
                cmocka_unit_test_setup_teardown(test_a_start_waits_for_all, setup, teardown),
                TEST(test_services_are_waited_for),
                TEST(test_a_stop_that_is_over_in_no_time_was_one),
                TEST(test_a_restart_is_waited_for_until_it_runs),
                TEST(test_events_are_followed),
                TEST(test_output_is_followed),
                TEST(test_after_a_reload_everything_is_sent_again),
                TEST(test_what_is_owed_is_sent_before_the_end),
                TEST(test_heartbeats_come_while_somebody_listens),
                cmocka_unit_test(test_a_thousand_services_are_named),
                cmocka_unit_test(test_a_drain_of_a_thousand_is_followed_in_small_steps),
                TEST(test_clients_leave_at_any_time),
                TEST(test_a_oneway_call_is_carried_out_and_not_answered),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
