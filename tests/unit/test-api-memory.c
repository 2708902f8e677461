#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../lib/api-bench.h"

/* Where JSON's allocation n fails, for every n: the caller gets its answer, an error or a closed connection, and the daemon
 * goes on. */

static const FakeService services[] = {
        { .name = "app", .requires = "db", .quiesce = 1000 * USEC_PER_SEC, .has_reload = true },
        { .name = "bad", .fails_to_start = true },
        { .name = "db" },
        { .name = NULL },
};

static unsigned fail_at, n_allocations; /* fail_at: 0: none does */

static void *failing_malloc(size_t size) {
        return ++n_allocations == fail_at ? NULL : malloc(size);
}

static bool ends_with_nul(const char *buf, ssize_t n) {
        return n > 0 && buf[n - 1] == '\0';
}

/* Returns whether an allocation failed on the way. */
static bool call_once(ApiBench *bench, const char *method, const char *parameters, bool more) {
        sd_event *event = loop_event(manager_loop(bench->manager));
        cleanup(fd_closep) int fd = api_bench_connect(bench);
        char text[512];
        static char buf[1 << 17];
        ssize_t n;
        int length;

        length = snprintf(text, sizeof(text), "{\"method\":\"io.draind.Control.%s\",\"parameters\":%s%s}", method, parameters,
                          more ? ",\"more\":true" : "");
        for (char *c = text; *c != '\0'; c++)
                *c = *c == '\'' ? '"' : *c;
        assert_int_equal(send(fd, text, (size_t) length + 1, MSG_NOSIGNAL), length + 1);
        drop(loop_settle(event));
        fake_manager_set_status(bench->manager, 2, "news");
        (void) fake_manager_reload_ends(bench->manager, &(ReloadOutcome) { .operation = 1 });
        drop(loop_settle(event));
        n = recv(fd, buf, sizeof(buf), 0);
        if (!(ends_with_nul(buf, n) || n == 0 || errno == ECONNRESET))
                fail_msg("%s is not answered when allocation %u fails", method, fail_at);
        return n_allocations >= fail_at;
}

static void test_memory_runs_out_at_every_step(void **state) {
        static const struct {
                const char *method, *parameters;
                bool more;
        } calls[] = {
                { "GetManager", "{}", false },                        { "List", "{}", true },
                { "List", "{'services':['db']}", false },             { "List", "{'services':['nobody']}", false },
                { "Start", "{'services':['db','app']}", false },      { "Start", "{'services':['bad']}", false },
                { "Drain", "{'services':['app']}", true },            { "Drain", "{'services':['bad']}", false },
                { "Resume", "{'service':'app'}", false },             { "Escalate", "{'level':'kill'}", false },
                { "Wait", "{'services':['db']}", true },              { "Wait", "{}", true },
                { "Plan", "{'budgetUsec':1000000}", false },          { "Reload", "{}", false },
                { "ReloadService", "{'services':['app']}", false },   { "Tree", "{'service':'db'}", false },
                { "Kill", "{'service':'db','signal':'HUP'}", false }, { "Events", "{}", true },
                { "Logs", "{}", true },
        };

        for (size_t i = 0; i < n_elements(calls); i++) {
                bool has_failed = true;
                unsigned n;

                for (n = 1; has_failed; n++) {
                        ApiBench bench;

                        api_bench_start(&bench, services);
                        fake_manager_start_all(bench.manager);
                        n_allocations = 0;
                        fail_at = n;
                        has_failed = call_once(&bench, calls[i].method, calls[i].parameters, calls[i].more);
                        fail_at = 0;
                        json_decref(api_bench_ask(&bench, "List", NULL));
                        api_bench_stop(&bench);
                        assert_true(n < 10000);
                }
                assert_true(n > 20); /* the request alone takes some */
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_memory_runs_out_at_every_step),
        };

        json_set_alloc_funcs(failing_malloc, free);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
