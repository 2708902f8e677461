#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../../daemon/core/api-json.h"
#include "../../daemon/core/api-methods.h"
#include "../../protocol/message.h"
#include "../lib/api-bench.h"

/* Each method of io.draind.Control: what is asked, what comes back, and what is refused. */

static const FakeService services[] = {
        { .name = "app", .requires = "db", .quiesce = 3600 * USEC_PER_SEC, .has_reload = true },
        { .name = "bad", .fails_to_start = true },
        { .name = "db" },
        { .name = "once", .type = SERVICE_ONESHOT },
        { .name = "web", .requires = "app", .withdraw = 3600 * USEC_PER_SEC },
        { .name = NULL },
};
enum { APP, BAD, DB, ONCE, WEB };

static int setup(void **state) {
        ApiBench *bench = malloc(sizeof(*bench));

        assert_non_null(bench);
        api_bench_start(bench, services);
        fake_manager_start_all(bench->manager);
        *state = bench;
        return 0;
}

static int teardown(void **state) {
        api_bench_stop(*state);
        free(*state);
        return 0;
}

static void test_the_text_is_read_as_it_is_meant(void **state) {
        ApiBench *bench = *state;
        static const struct {
                const char *type, *value;
                bool fits;
        } rows[] = {
                { "int", "1", true },           { "int", "'x'", false },         { "?int", "null", true },
                { "int", "null", false },       { "[]string", "['a']", true },   { "[]string", "['a', 1]", false },
                { "(a: int)", "{'a': 1}", true }, { "(a: int)", "{}", false },   { "(a: ?int)", "{}", true },
                { "(a: int)", "{'a': 1, 'b': 2}", false },                       { "Process", "{}", false },
                { "[](a: bool)", "[{'a': true}, {'a': 3}]", false },
        };

        assert_int_equal(bench->text.n_methods, 14);
        assert_int_equal(bench->text.n_errors, 6);
        assert_int_equal(bench->text.n_types, 7);
        for (size_t i = 0; i < n_elements(rows); i++) {
                char text[128];
                json_t *value;

                (void) snprintf(text, sizeof(text), "%s", rows[i].value);
                for (char *c = text; *c; c++)
                        *c = *c == '\'' ? '"' : *c;
                value = json_loads(text, JSON_DECODE_ANY, NULL);
                assert_non_null(value);
                if (varlink_fits(&bench->text, rows[i].type, value) != rows[i].fits)
                        fail_msg("%s as %s", rows[i].value, rows[i].type);
                json_decref(value);
        }
}

static void test_the_served_text_is_that_of_the_repository(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        MessageReply reply;
        char text[1 << 15];
        ssize_t n;

        api_bench_say(fd, "org.varlink.service.GetInterfaceDescription", "{'interface': 'io.draind.Control'}", false);
        assert_true(api_bench_has_reply(bench, fd));
        n = recv(fd, text, sizeof(text), 0);
        assert_true(n > 0 && text[n - 1] == '\0');
        assert_int_equal(message_parse_reply(text, (size_t) n - 1, &reply), MESSAGE_PARSED);
        assert_string_equal(api_bench_text(reply.parameters, "description"), api_interface_text);
        message_reply_done(&reply);
        assert_non_null(strstr(api_interface_text, "\ninterface io.draind.Control\n"));
}

static void test_the_daemon_tells_about_itself(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "GetManager", NULL);

        assert_int_equal(api_bench_number(reply, "pid"), getpid());
        assert_int_equal(api_bench_number(reply, "generation"), 2);
        assert_int_equal(api_bench_number(reply, "nServices"), 5);
        assert_int_equal(api_bench_number(reply, "nRunning"), 3);
        assert_false(api_bench_flag(reply, "draining"));
        assert_string_equal(api_bench_text(reply, "configuration.0"), "/etc/a.conf");
        assert_string_equal(api_bench_text(reply, "configuration.1"), "/etc/b.d");
        assert_string_equal(api_bench_text(reply, "configuration.2"), "/etc/c");
        json_decref(reply);
}

static void test_services_are_listed(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "List", NULL);

        assert_int_equal(json_array_size(api_bench_at(reply, "services")), 5);
        assert_string_equal(api_bench_text(reply, "services.0.name"), "app");
        assert_string_equal(api_bench_text(reply, "services.0.state"), "running");
        assert_true(api_bench_flag(reply, "services.0.ready"));
        assert_int_equal(api_bench_number(reply, "services.0.mainPid"), 1000);
        assert_string_equal(api_bench_text(reply, "services.0.requires.0"), "db");
        assert_null(api_bench_at(reply, "services.0.nProcesses"));
        assert_null(api_bench_at(reply, "services.0.leftUsec"));
        assert_string_equal(api_bench_text(reply, "services.1.result"), "start-failed");
        assert_string_equal(api_bench_text(reply, "services.1.failedStep"), "user");
        assert_string_equal(api_bench_text(reply, "services.1.failedText"), "Operation not permitted");
        assert_int_equal(api_bench_number(reply, "services.1.failedErrno"), EPERM);
        assert_string_equal(api_bench_text(reply, "services.3.state"), "starting");
        assert_false(api_bench_flag(reply, "services.3.ready"));
        json_decref(reply);
        fake_manager_exit(bench->manager, ONCE, 0);
        fake_manager_set_status(bench->manager, DB, "Serving 3 \x1b[1mclients\xff");
        reply = api_bench_ask(bench, "List", "{'services': ['once', 'db']}");
        assert_int_equal(json_array_size(api_bench_at(reply, "services")), 2);
        assert_int_equal(api_bench_number(reply, "services.0.nProcesses"), 2);
        assert_string_equal(api_bench_text(reply, "services.0.statusText"), "Serving 3 \\x1b[1mclients\\xff");
        assert_string_equal(api_bench_text(reply, "services.1.state"), "stopped");
        assert_string_equal(api_bench_text(reply, "services.1.result"), "success");
        assert_int_equal(api_bench_number(reply, "services.1.exitCode"), 0);
        json_decref(reply);
}

static void test_readiness_goes_when_the_configuration_says(void **state) {
        static const struct {
                WithdrawReady until;
                ServiceState last_ready, first_not;
        } cases[] = {
                { WITHDRAW_READY_WITHDRAW, SERVICE_PENDING, SERVICE_WITHDRAW },
                { WITHDRAW_READY_QUIESCE, SERVICE_WITHDRAW, SERVICE_QUIESCE },
                { WITHDRAW_READY_TERMINATE, SERVICE_HELD, SERVICE_STOP_HOOK },
        };

        for (size_t i = 0; i < n_elements(cases); i++) {
                ServiceConfig config = { .withdraw_ready = cases[i].until };
                Cell cell = { .flags = CELL_READY | CELL_LEADER, .state = (uint8_t) cases[i].last_ready };

                assert_true(api_json_is_ready(&config, &cell));
                cell.state = (uint8_t) cases[i].first_not;
                assert_false(api_json_is_ready(&config, &cell));
                cell.state = SERVICE_RUNNING;
                assert_true(api_json_is_ready(&config, &cell));
        }
}

static void test_a_drain_is_described(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Drain", "{'services': ['db'], 'budgetUsec': 20000000000, 'reason': 'new disks'}");
        char comm[32];
        int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);

        comm[read(fd, comm, sizeof(comm) - 1) - 1] = '\0';
        (void) close(fd);
        assert_int_equal(json_array_size(api_bench_at(reply, "operation.services")), 3);
        assert_int_equal(json_array_size(api_bench_at(reply, "services")), 3);
        assert_false(api_bench_flag(reply, "joined") || api_bench_flag(reply, "done"));
        assert_int_equal(api_bench_number(reply, "operation.id"), 1);
        assert_string_equal(api_bench_text(reply, "operation.state"), "quiescing");
        assert_string_equal(api_bench_text(reply, "operation.cause.kind"), "client");
        assert_string_equal(api_bench_text(reply, "operation.cause.reason"), "new disks");
        assert_string_equal(api_bench_text(reply, "operation.cause.command"), comm);
        assert_int_equal(api_bench_number(reply, "operation.cause.pid"), getpid());
        assert_int_equal(api_bench_number(reply, "operation.budgetUsec"), 20000000000);
        assert_true(api_bench_number(reply, "operation.leftUsec") <= 20000000000);
        assert_string_equal(api_bench_text(reply, "services.0.phase"), "withdraw");
        assert_string_equal(api_bench_text(reply, "services.0.detail"), "pending");
        assert_string_equal(api_bench_text(reply, "services.0.waitsFor"), "web");
        assert_true(api_bench_flag(reply, "services.0.ready")); /* until it quiesces */
        assert_int_equal(api_bench_number(reply, "services.0.operation"), 1);
        assert_int_equal(api_bench_number(reply, "services.0.hops"), 1);
        assert_string_equal(api_bench_text(reply, "services.2.detail"), "withdraw");
        assert_true(api_bench_number(reply, "services.2.leftUsec") > 0);
        assert_int_equal(api_bench_number(reply, "services.2.drainBudgetUsec"), 20000000000);
        json_decref(reply);
        reply = api_bench_ask(bench, "List", "{'services': ['once']}");
        assert_int_equal(json_array_size(api_bench_at(reply, "operations")), 0); /* of others */
        json_decref(reply);
        reply = api_bench_ask(bench, "Drain", "{'services': ['app'], 'budgetUsec': 9000000000}");
        assert_true(api_bench_flag(reply, "joined"));
        assert_true(api_bench_number(reply, "operation.leftUsec") <= 9000000000);
        json_decref(reply);
}

static void test_what_an_asker_says_is_cut_and_made_safe(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Drain", "{'services': ['web'], 'reason': 'line\\u001b[2J\\nnext ääääääääääääääää"
                                      "äääääääääääääääääääääääääääääääääääääääääääääääääääääää'}");
        const char *reason = api_bench_text(reply, "operation.cause.reason");

        assert_true(strlen(reason) < CAUSE_TEXT_MAX && strlen(reason) > CAUSE_TEXT_MAX - 4);
        assert_memory_equal(reason, "line?[2J?next \xc3\xa4", 16);
        json_decref(reply);
}

static void test_nothing_to_drain_is_said(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Drain", "{'services': ['bad']}");

        assert_true(api_bench_flag(reply, "done"));
        assert_false(api_bench_flag(reply, "joined"));
        assert_null(api_bench_at(reply, "operation"));
        assert_int_equal(json_array_size(api_bench_at(reply, "services")), 0);
        json_decref(reply);
}

static void test_a_restart_of_what_has_stopped_is_a_start(void **state) {
        ApiBench *bench = *state;
        json_t *reply;

        fake_manager_exit(bench->manager, WEB, 0);
        reply = api_bench_ask(bench, "Drain", "{'services': ['web'], 'restart': true}");
        assert_true(api_bench_flag(reply, "done"));
        assert_string_equal(api_bench_text(reply, "services.0.state"), "running");
        json_decref(reply);
}

static void test_a_drain_is_taken_back(void **state) {
        ApiBench *bench = *state;
        json_t *reply, *parameters;

        assert_string_equal(api_bench_ask_error(bench, "Resume", NULL, NULL), "NoSuchOperation");
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['web']}"));
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['once']}")); /* ends */
        reply = api_bench_ask(bench, "Resume", "{'service': 'web'}");
        assert_string_equal(api_bench_text(reply, "operation.state"), "resumed");
        assert_string_equal(api_bench_text(reply, "services.0.state"), "running");
        assert_int_equal(api_bench_number(reply, "operation.leftUsec"), 0);
        json_decref(reply);
        assert_string_equal(api_bench_ask_error(bench, "Resume", "{'service': 'web'}", NULL), "Refused");
        assert_string_equal(api_bench_ask_error(bench, "Resume", "{'operation': 1}", NULL), "Refused");
        assert_string_equal(api_bench_ask_error(bench, "Resume", "{'operation': 99}", &parameters), "NoSuchOperation");
        assert_int_equal(api_bench_number(parameters, "operation"), 99);
        json_decref(parameters);
}

static void test_an_operation_is_escalated(void **state) {
        ApiBench *bench = *state;
        json_t *reply;

        json_decref(api_bench_ask(bench, "Drain", "{'services': ['web']}"));
        reply = api_bench_ask(bench, "Escalate", "{'level': 'terminate'}");
        assert_string_equal(api_bench_text(reply, "operation.state"), "stopping");
        json_decref(reply);
        loop_until(loop_event(manager_loop(bench->manager)),
                   machine_cell(manager_machine(bench->manager), WEB)->state == SERVICE_STOPPED);
        assert_string_equal(api_bench_ask_error(bench, "Escalate", "{'level': 'kill', 'operation': 1}", NULL), "Refused");
        json_decref(api_bench_ask(bench, "Drain", NULL));
        reply = api_bench_ask(bench, "Escalate", "{'level': 'kill', 'operation': 2}");
        assert_string_equal(api_bench_text(reply, "operation.state"), "killing");
        assert_true(api_bench_flag(reply, "operation.all"));
        json_decref(reply);
}

static void test_several_operations_need_a_name(void **state) {
        ApiBench *bench = *state;
        json_t *parameters;

        json_decref(api_bench_ask(bench, "Drain", "{'services': ['web']}"));
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['app'], 'until': 'quiesced'}"));
        assert_string_equal(api_bench_ask_error(bench, "Escalate", "{'level': 'kill'}", &parameters), "Refused");
        assert_string_equal(api_bench_text(parameters, "text"),
                            "several operations are going on, so one must be named: 1, 2.");
        json_decref(parameters);
        assert_string_equal(api_bench_ask_error(bench, "Wait", NULL, NULL), "Refused");
}

static void test_a_plan_is_made(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Plan", "{'budgetUsec': 60000000}");

        assert_int_equal(json_array_size(api_bench_at(reply, "services")), 4); /* all but the one that is not there */
        assert_int_equal(api_bench_number(reply, "budgetUsec"), 60000000);
        assert_in_range(api_bench_number(reply, "endUsec"), 59000000, 60000000);
        assert_true(api_bench_number(reply, "wishUsec") > 7200 * (int64_t) USEC_PER_SEC);
        assert_true(api_bench_flag(reply, "services.0.cut"));
        assert_string_equal(api_bench_text(reply, "services.0.after.0"), "web");
        assert_string_equal(api_bench_text(reply, "warnings.0"), "The longest chain wishes for 2h 24s and the budget is 1min, "
                            "so 2 services do not get all they wish for: app, web.");
        json_decref(reply);
        reply = api_bench_ask(bench, "Plan", "{'budgetUsec': 9223372036854775807}");
        assert_int_equal(json_array_size(api_bench_at(reply, "warnings")), 0);
        assert_int_equal(api_bench_number(reply, "endUsec"), api_bench_number(reply, "wishUsec"));
        json_decref(reply);
}

static void test_signals_are_sent(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Kill", "{'service': 'web', 'signal': 'HUP'}");
        bool to_tree;

        assert_int_equal(api_bench_number(reply, "nSignalled"), 1);
        json_decref(reply);
        assert_int_equal(fake_manager_last_kill(bench->manager, &to_tree), SIGHUP);
        assert_false(to_tree);
        reply = api_bench_ask(bench, "Kill", "{'service': 'web', 'signal': 'RTMIN+3', 'whom': 'tree'}");
        assert_int_equal(api_bench_number(reply, "nSignalled"), 2);
        json_decref(reply);
        assert_int_equal(fake_manager_last_kill(bench->manager, &to_tree), SIGRTMIN + 3);
        assert_true(to_tree);
        assert_string_equal(api_bench_ask_error(bench, "Kill", "{'service': 'bad', 'signal': 'HUP'}", NULL), "Refused");
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['web']}"));
        assert_string_equal(api_bench_ask_error(bench, "Kill", "{'service': 'web', 'signal': 'HUP'}", NULL), "Refused");
        json_decref(api_bench_ask(bench, "Kill", "{'service': 'web', 'signal': 'USR1', 'force': true}"));
        assert_int_equal(fake_manager_last_kill(bench->manager, &to_tree), SIGUSR1);
}

static void test_processes_are_listed(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Tree", "{'service': 'web'}");

        assert_int_equal(json_array_size(api_bench_at(reply, "processes")), 2);
        assert_true(api_bench_flag(reply, "processes.0.leader"));
        assert_false(api_bench_flag(reply, "processes.0.escapee"));
        assert_string_equal(api_bench_text(reply, "processes.1.command"), "\\xff\\x1b[1m");
        assert_string_equal(api_bench_text(reply, "processes.1.state"), "D");
        assert_true(api_bench_flag(reply, "processes.1.escapee"));
        json_decref(reply);
}

static void test_starts_are_refused_with_the_reason(void **state) {
        ApiBench *bench = *state;
        json_t *parameters, *reply;

        assert_string_equal(api_bench_ask_error(bench, "Start", "{'services': ['bad']}", &parameters), "StartFailed");
        assert_string_equal(api_bench_text(parameters, "text"), "user: Operation not permitted");
        json_decref(parameters);
        json_decref(api_bench_ask(bench, "Drain", "{'services': ['web']}"));
        assert_string_equal(api_bench_ask_error(bench, "Start", "{'services': ['web']}", &parameters), "Refused");
        assert_string_equal(api_bench_text(parameters, "service"), "web");
        assert_non_null(strstr(api_bench_text(parameters, "text"), "is being drained."));
        json_decref(parameters);
        reply = api_bench_ask(bench, "Start", "{'services': ['db']}");
        assert_true(api_bench_flag(reply, "done")); /* it runs */
        json_decref(reply);
}

static void test_exec_reload_is_run(void **state) {
        ApiBench *bench = *state;

        json_decref(api_bench_ask(bench, "ReloadService", "{'services': ['app']}"));
        assert_string_equal(api_bench_ask_error(bench, "ReloadService", "{'services': ['web']}", NULL), "Refused");
}

static StringList list_of(const char *text) {
        StringList list = { 0 };

        assert_int_equal(string_list_append(&list, strdup(text)), 0);
        return list;
}

static void test_the_configuration_is_read_again(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        ReloadOutcome outcome = { .added = list_of("new"), .need_restart = list_of("web"), .operation = 4 };
        ReloadOutcome failure = { .errors = list_of("x.conf:1: wrong") };
        json_t *reply, *parameters;

        api_bench_say(fd, "Reload", "{'restart': true}", false);
        assert_false(api_bench_has_reply(bench, fd));
        assert_string_equal(api_bench_ask_error(bench, "Reload", NULL, NULL), "Refused"); /* one at a time */
        assert_true(fake_manager_reload_ends(bench->manager, &outcome));
        reply = api_bench_hear(bench, fd, "Reload", NULL);
        assert_string_equal(api_bench_text(reply, "added.0"), "new");
        assert_string_equal(api_bench_text(reply, "needRestart.0"), "web");
        assert_int_equal(api_bench_number(reply, "operation"), 4);
        json_decref(reply);
        api_bench_say(fd, "Reload", "{'dryRun': true}", false);
        assert_false(api_bench_has_reply(bench, fd));
        assert_true(fake_manager_reload_ends(bench->manager, &failure));
        assert_string_equal(api_bench_hear_error(bench, fd, &parameters), "ConfigurationInvalid");
        assert_string_equal(api_bench_text(parameters, "errors.0"), "x.conf:1: wrong");
        json_decref(parameters);
        fake_manager_be_busy(bench->manager);
        assert_string_equal(api_bench_ask_error(bench, "Reload", NULL, NULL), "Refused");
        string_list_done(&outcome.added);
        string_list_done(&outcome.need_restart);
        string_list_done(&failure.errors);
}

static void test_who_asked_for_a_reload_may_leave(void **state) {
        ApiBench *bench = *state;
        int fd = api_bench_connect(bench);

        api_bench_say(fd, "Reload", NULL, false);
        assert_false(api_bench_has_reply(bench, fd));
        (void) close(fd);
        drop(loop_settle(loop_event(manager_loop(bench->manager))));
        assert_false(fake_manager_reload_ends(bench->manager, &(ReloadOutcome) { 0 }));
}

static void test_events_and_output_are_told(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Events", "{'last': 3}");

        assert_int_equal(json_array_size(api_bench_at(reply, "events")), 3);
        json_decref(reply);
        reply = api_bench_ask(bench, "Events", "{'service': 'web', 'last': 1000}");
        assert_string_equal(api_bench_text(reply, "events.0.service"), "web");
        assert_string_equal(api_bench_text(reply, "events.0.kind"), "service");
        assert_true(api_bench_number(reply, "events.0.realtime") > 0);
        json_decref(reply);
        reply = api_bench_ask(bench, "Events", "{'last': 0}");
        assert_int_equal(json_array_size(api_bench_at(reply, "events")), 0);
        json_decref(reply);
        reply = api_bench_ask(bench, "Logs", NULL);
        assert_int_equal(json_array_size(api_bench_at(reply, "lines")), 0);
        json_decref(reply);
}

static void test_names_are_suggested(void **state) {
        static const struct {
                const char *name, *suggestion;
        } rows[] = {
                { "wbe", "web" }, { "app1", "app" }, { "one", "once" }, { "d", "db" }, { "zzzzzz", "" }, { "", "" },
        };
        ApiBench *bench = *state;

        for (size_t i = 0; i < n_elements(rows); i++) {
                char parameters[128];
                json_t *told;

                (void) snprintf(parameters, sizeof(parameters), "{'services': ['db', '%s']}", rows[i].name);
                assert_string_equal(api_bench_ask_error(bench, "List", parameters, &told), "NoSuchService");
                assert_string_equal(api_bench_text(told, "service"), rows[i].name);
                assert_string_equal(api_bench_text(told, "suggestion"), rows[i].suggestion);
                json_decref(told);
        }
}

#define INVALID "org.varlink.service.InvalidParameter"

static void test_requests_that_make_no_sense_are_refused_by_name(void **state) {
        static const struct {
                const char *method, *parameters, *error, *parameter;
        } rows[] = {
                { "GetManager", "{'x': 1}", INVALID, "x" },
                { "List", "{'services': 'web'}", INVALID, "services" },
                { "List", "{'services': [1]}", INVALID, "services" },
                { "List", "{'service': []}", INVALID, "service" },
                { "Start", "{}", INVALID, "services" },
                { "Start", "{'services': []}", INVALID, "services" },
                { "Drain", "{'services': []}", INVALID, "services" },
                { "Drain", "{'budgetUsec': -1}", INVALID, "budgetUsec" },
                { "Drain", "{'budgetUsec': 1.5}", INVALID, "budgetUsec" },
                { "Drain", "{'budgetUsec': '1s'}", INVALID, "budgetUsec" },
                { "Drain", "{'until': 'killed'}", INVALID, "until" },
                { "Drain", "{'until': 1}", INVALID, "until" },
                { "Drain", "{'restart': 'yes'}", INVALID, "restart" },
                { "Drain", "{'services': ['web'], 'exit': true}", INVALID, "exit" },
                { "Drain", "{'restart': true, 'exit': true}", INVALID, "restart" },
                { "Drain", "{'restart': true, 'until': 'quiesced'}", INVALID, "until" },
                { "Drain", "{'services': ['we\\u0007b']}", "NoSuchService", NULL },
                { "Resume", "{'operation': 1, 'service': 'web'}", INVALID, "service" },
                { "Resume", "{'operation': -1}", INVALID, "operation" },
                { "Resume", "{'operation': 0}", "NoSuchOperation", NULL },
                { "Resume", "{'operation': 9223372036854775807}", "NoSuchOperation", NULL },
                { "Escalate", "{}", INVALID, "level" },
                { "Escalate", "{'level': 'more'}", INVALID, "level" },
                { "Wait", "{'services': []}", INVALID, "services" },
                { "Wait", "{'services': ['web'], 'operation': 1}", INVALID, "services" },
                { "Wait", "{'for': 'ready'}", INVALID, "for" },
                { "Wait", "{'services': ['web'], 'for': 'draining'}", INVALID, "for" },
                { "Plan", "{'budgetUsec': true}", INVALID, "budgetUsec" },
                { "Reload", "{'dryRun': 1}", INVALID, "dryRun" },
                { "Kill", "{'service': 'web'}", INVALID, "signal" },
                { "Kill", "{'service': 'web', 'signal': '0'}", INVALID, "signal" },
                { "Kill", "{'service': 'web', 'signal': '65'}", INVALID, "signal" },
                { "Kill", "{'service': 'web', 'signal': 'NOTHING'}", INVALID, "signal" },
                { "Kill", "{'service': 'web', 'signal': 9}", INVALID, "signal" },
                { "Kill", "{'service': 'web', 'signal': 'HUP', 'whom': 'all'}", INVALID, "whom" },
                { "Tree", "{'service': 'nobody'}", "NoSuchService", NULL },
                { "Events", "{'last': -1}", INVALID, "last" },
                { "Events", "{'service': 'nobody'}", "NoSuchService", NULL },
                { "Logs", "{'last': 4294967296}", INVALID, "last" },
        };
        ApiBench *bench = *state;

        for (size_t i = 0; i < n_elements(rows); i++) {
                json_t *parameters;
                const char *error = api_bench_ask_error(bench, rows[i].method, rows[i].parameters, &parameters);

                if (strcmp(error, rows[i].error) != 0 ||
                    (rows[i].parameter && strcmp(api_bench_text(parameters, "parameter"), rows[i].parameter) != 0))
                        fail_msg("%s(%s): %s about '%s'", rows[i].method, rows[i].parameters, error,
                                 api_bench_text(parameters, "parameter"));
                json_decref(parameters);
        }
        assert_false(machine_operation(manager_machine(bench->manager), 0)->id != 0); /* and nothing has happened */
}

static void test_what_changes_something_is_not_for_everybody(void **state) {
        static const char *const for_all[] = { "GetManager", "List", "Wait", "Plan", "Tree", "Events", "Logs" };
        ApiBench *bench = *state;
        unsigned n = 0;

        for (const ServerMethod *method = api_methods; method->name; method++, n++) {
                bool is_for_all = false;

                for (size_t i = 0; i < n_elements(for_all); i++)
                        is_for_all |= strcmp(for_all[i], method->name) == 0;
                assert_int_equal((method->flags & METHOD_CHANGES) == 0, is_for_all);
        }
        assert_int_equal(n, bench->text.n_methods);
}

static void test_waiting_needs_more(void **state) {
        ApiBench *bench = *state;
        cleanup(fd_closep) int fd = api_bench_connect(bench);

        api_bench_say(fd, "Wait", "{'services': ['web']}", false);
        assert_string_equal(api_bench_hear_error(bench, fd, NULL), "org.varlink.service.ExpectedMore");
}

static void test_an_endless_budget_does_not_overflow(void **state) {
        ApiBench *bench = *state;
        json_t *reply = api_bench_ask(bench, "Drain", "{'services': ['web'], 'budgetUsec': 9223372036854775807}");

        assert_true(api_bench_number(reply, "operation.deadline") > 0);
        assert_int_equal(api_bench_number(reply, "operation.deadline") - api_bench_number(reply, "operation.requested"),
                         api_bench_number(reply, "operation.budgetUsec"));
        json_decref(reply);
}

static void test_a_stale_socket_is_replaced_and_a_live_one_is_not(void **state) {
        ApiBench *bench = *state;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int stale = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        cleanup(api_freep) Api *other = NULL;
        struct stat status;
        char path[128];

        (void) snprintf(path, sizeof(path), "%s-stale", bench->path);
        strcpy(address.sun_path, path);
        assert_int_equal(bind(stale, (struct sockaddr *) &address, sizeof(address)), 0);
        (void) close(stale);
        assert_int_equal(api_new(&other, bench->manager, path, -EBADF), 0);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0666);
        assert_int_equal(api_new(&(Api *) { NULL }, bench->manager, path, -EBADF), -EADDRINUSE);
        assert_int_equal(stat(path, &status), 0);
        other = api_free(other);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
        assert_int_equal(api_new(&other, bench->manager, path, -EBADF), -EEXIST); /* somebody's file */
        assert_int_equal(unlink(path), 0);
        assert_int_equal(api_new(&other, bench->manager, "/nonexistent-for-sure/control", -EBADF), -ENOENT);
        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(api_new(&other, bench->manager, path, -EBADF), -ENAMETOOLONG);
}

static void test_a_new_core_goes_on_with_the_old_socket(void **state) {
        ApiBench *bench = *state;
        int fd = dup(api_listening_fd(bench->api)), client;
        json_t *reply;

        assert_true(fd >= 0);
        bench->api = api_free(bench->api);
        client = api_bench_connect(bench); /* waits meanwhile */
        api_bench_say(client, "GetManager", NULL, false);
        assert_int_equal(api_new(&bench->api, bench->manager, NULL, fd), 0);
        assert_int_equal(api_listening_fd(bench->api), fd);
        reply = api_bench_hear(bench, client, "GetManager", NULL);
        json_decref(reply);
        (void) close(client);
}

static void test_without_a_socket_there_is_nothing_to_do(void **state) {
        assert_int_equal(api_listening_fd(NULL), -EBADF);
        assert_null(api_free(NULL));
        api_set_control_group(NULL, true, 1);
        api_flush(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_the_text_is_read_as_it_is_meant),
                TEST(test_the_served_text_is_that_of_the_repository),
                TEST(test_the_daemon_tells_about_itself),
                TEST(test_services_are_listed),
                TEST(test_readiness_goes_when_the_configuration_says),
                TEST(test_a_drain_is_described),
                TEST(test_what_an_asker_says_is_cut_and_made_safe),
                TEST(test_nothing_to_drain_is_said),
                TEST(test_a_restart_of_what_has_stopped_is_a_start),
                TEST(test_a_drain_is_taken_back),
                TEST(test_an_operation_is_escalated),
                TEST(test_several_operations_need_a_name),
                TEST(test_a_plan_is_made),
                TEST(test_signals_are_sent),
                TEST(test_processes_are_listed),
                TEST(test_starts_are_refused_with_the_reason),
                TEST(test_exec_reload_is_run),
                TEST(test_the_configuration_is_read_again),
                TEST(test_who_asked_for_a_reload_may_leave),
                TEST(test_events_and_output_are_told),
                TEST(test_names_are_suggested),
                TEST(test_requests_that_make_no_sense_are_refused_by_name),
                TEST(test_what_changes_something_is_not_for_everybody),
                TEST(test_waiting_needs_more),
                TEST(test_an_endless_budget_does_not_overflow),
                TEST(test_a_stale_socket_is_replaced_and_a_live_one_is_not),
                TEST(test_a_new_core_goes_on_with_the_old_socket),
                cmocka_unit_test(test_without_a_socket_there_is_nothing_to_do),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
