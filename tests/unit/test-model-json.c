#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../../daemon/config/model-json.h"
#include "../lib/draft-text.h"

/* Every field has a value that is not its default. */
static const char full_text[] =
        "[Manager]\nGracePeriodSec=40s\nOuterGracePeriodSec=50s\nKillReserveSec=3s\nWarnStopAfter=60%\n"
        "ControlSocket=/run/c\nControlGroup=0\nRuntimeDirectory=/run/d\nStateDirectory=/var/d\nLogTarget=json\n"
        "LogLevel=debug\nCgroup=no\nListen=8080 [::1]:81\n"
        "[Service a]\nType=notify\nExecStartPre=-/bin/pre 1\nExecStartPre=/bin/pre 2\nExecStart=/bin/a \"x y\" "
        "\xc3\xa4\n"
        "ExecReload=/bin/reload\nExecStop=/bin/stop\nExecStopPost=/bin/post\n"
        "WorkingDirectory=-/tmp\nEnvironment=A=1 B=2\nUMask=027\nNice=-5\nOOMScoreAdjust=500\nLimitNOFILE=10:20\n"
        "LimitCORE=infinity\nNoNewPrivileges=yes\nCapabilityBoundingSet=CAP_KILL "
        "CAP_CHOWN\nAmbientCapabilities=CAP_KILL\n"
        "StandardOutput=file:/tmp/out\nStandardError=append:/tmp/err\nRequires=b\nWants=c\nAfter=b c\n"
        "Restart=on-failure\nRestartSec=2s\nRestartMaxSec=1min\nStartLimitBurst=7\nStartLimitIntervalSec=20s\n"
        "SuccessExitStatus=63 64 255 RTMAX USR1\nTimeoutStartSec=infinity\nWatchdogSec=4s\nEssential=yes\n"
        "WithdrawSec=1s\nWithdrawReady=terminate\nQuiesceSec=2s\nGuard=x is 0\nOnGuardTimeout=rollback\n"
        "StopSignals=TERM:1s INT@tree:2s\nStopAfter=c\nSupporting=yes\n"
        "[Service b]\nExecStart=/bin/b\n[Service c]\nExecStart=c\n";

static json_t *full_json(void) {
        DraftText it;
        json_t *json;

        draft_text_read(&it, full_text);
        assert_string_equal(it.errors, "");
        json = model_to_json(&it.draft.model);
        draft_text_done(&it);
        assert_non_null(json);
        return json;
}

static void test_comes_back_as_it_was(void **state) {
        json_t *json = full_json(), *again, *parsed;
        Model model = { 0 };
        char *text = json_dumps(json, JSON_COMPACT);

        assert_non_null(text);
        parsed = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(parsed);
        assert_int_equal(model_from_json(&model, parsed), 0);
        assert_int_equal(model.n_services, 3);
        assert_int_equal(model.services[0].n_limits, 2);
        assert_true(model.services[0].limits[1].hard == UINT64_MAX);
        assert_true(model.services[0].success_statuses[0] == (UINT64_C(1) | UINT64_C(1) << 63));
        assert_true(model.services[0].success_statuses[1] == 1);
        assert_true(model.services[0].success_statuses[3] == UINT64_C(1) << 63);
        assert_true(model.services[0].success_signals ==
                    (UINT64_C(1) << (SIGUSR1 - 1) | UINT64_C(1) << (SIGRTMAX - 1)));
        assert_true(model.services[0].start_timeout == USEC_INFINITY);
        assert_null(model.services[0].start.argv[3]);
        again = model_to_json(&model);
        assert_true(json_equal(json, again));
        json_decref(again);
        json_decref(parsed);
        json_decref(json);
        free(text);
        model_done(&model);
}

/* A default of one field beside a value of another would not show that one of them is forgotten. */
static void test_every_field_differs_from_its_default(void **state) {
        static const char *const same[] = { "name",   "origin",    "has_user", "uid",   "gid",        "has_groups",
                                            "groups", "user_name", "home",     "shell", "is_command", "control_group" };
        json_t *json = full_json(), *services = json_object_get(json, "services"), *value;
        const char *key;

        json_object_foreach(json_array_get(services, 0), key, value) {
                bool may_be_same = false;

                for (size_t i = 0; i < n_elements(same); i++)
                        may_be_same |= strcmp(same[i], key) == 0;
                if (!may_be_same && !json_object_get(json_array_get(services, 1), key) && strcmp(key, "kill_reserve") != 0)
                        fail_msg("%s has its default", key);
        }
        json_decref(json);
}

static void test_what_is_as_in_the_first_service_is_left_out(void **state) {
        json_t *json = full_json(), *services = json_object_get(json, "services"), *third = json_array_get(services, 2);
        Model model = { 0 };

        assert_non_null(json_object_get(third, "name"));
        assert_null(json_object_get(third, "kill_reserve"));
        assert_int_equal(json_object_del(third, "restart_delay_max"), 0);
        assert_int_equal(json_object_del(third, "environment"), 0);
        assert_int_equal(model_from_json(&model, json), 0);
        assert_true(model.services[2].kill_reserve == 3 * USEC_PER_SEC);
        assert_true(model.services[2].restart_delay_max == 60 * USEC_PER_SEC);
        assert_int_equal(model.services[2].environment.n, 2);
        assert_string_equal(model.services[2].environment.items[1], "B=2");
        assert_int_equal(model.services[1].environment.n, 0);
        model_done(&model);
        json_decref(json);
}

static void expect_bad(const json_t *json, const char *what) {
        char reason[MODEL_JSON_REASON_MAX];
        Model model = { .n_services = 77 };

        if (model_from_json_explained(&model, json, reason) != -EBADMSG)
                fail_msg("%s was taken", what);
        assert_string_not_equal(reason, "");
        assert_int_equal(model.n_services, 77); /* untouched */
}

/* Which model's JSON has an object to be bent. */
static json_t *object_of(json_t *json, unsigned which) {
        return which == 0   ? json
               : which == 1 ? json_object_get(json, "manager")
                            : json_array_get(json_object_get(json, "services"), 0);
}

static void test_a_missing_or_unknown_field_is_refused(void **state) {
        for (unsigned which = 0; which < 3; which++) {
                json_t *json = full_json(), *object = object_of(json, which), *copy = json_copy(object), *value;
                const char *key;

                json_object_foreach(copy, key, value) {
                        assert_int_equal(json_object_del(object, key), 0);
                        expect_bad(json, key);
                        assert_int_equal(json_object_set_new(object, "Unknown", json_incref(value)), 0);
                        expect_bad(json, key);
                        assert_int_equal(json_object_del(object, "Unknown"), 0);
                        assert_int_equal(json_object_set(object, key, value), 0);
                }
                assert_int_equal(json_object_set_new(object, "Unknown", json_null()), 0);
                expect_bad(json, "an unknown field");
                json_decref(copy);
                json_decref(json);
        }
}

static const struct {
        const char *field, *value; /* of the first service; JSON */
} bad_values[] = {
        { "name", "null" },
        { "name", "\"\"" },
        { "name", "\"zz\"" },
        { "name", "\"b\"" },
        { "name", "\"a\\u0000b\"" },
        { "type", "4" },
        { "type", "-1" },
        { "type", "1.0" },
        { "start", "{\"argv\": [], \"may_fail\": false}" },
        { "start", "{\"argv\": [\"\"], \"may_fail\": false}" },
        { "start", "{\"argv\": [\"a\", 1], \"may_fail\": false}" },
        { "start", "{\"argv\": [\"a\"], \"may_fail\": 0}" },
        { "start", "{\"argv\": [\"a\"], \"may_fail\": true, \"x\": 1}" },
        { "stop", "[{\"argv\": [], \"may_fail\": false}]" },
        { "uid", "4294967296" },
        { "umask", "512" },
        { "nice", "20" },
        { "oom_score_adjust", "-1001" },
        { "output", "{\"kind\": 5, \"path\": null}" },
        { "output", "{\"kind\": 3, \"path\": null}" },
        { "output", "{\"kind\": 0, \"path\": \"/x\"}" },
        { "error", "{\"kind\": 6, \"path\": null}" },
        { "rungs", "[]" },
        { "rungs", "[{\"signal\": 0, \"to_tree\": false, \"time\": 1}]" },
        { "rungs", "[{\"signal\": 65, \"to_tree\": false, \"time\": 1}]" },
        { "rungs", "[{\"signal\": 15, \"to_tree\": false, \"time\": \"infinity\"}]" },
        { "limits", "[{\"resource\": 16, \"soft\": 1, \"hard\": 1}]" },
        { "limits", "[{\"resource\": 1, \"soft\": -1, \"hard\": 1}]" },
        { "success_statuses", "[256]" },
        { "success_signals", "[0]" },
        { "success_signals", "[65]" },
        { "restart_delay", "\"infinity\"" },
        { "withdraw", "-1" },
        { "groups", "[-1]" },
};

static void test_a_value_out_of_range_is_refused(void **state) {
        for (size_t i = 0; i < n_elements(bad_values); i++) {
                json_t *json = full_json();
                json_t *value = json_loads(bad_values[i].value, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

                assert_non_null(value);
                assert_int_equal(json_object_set_new(object_of(json, 2), bad_values[i].field, value), 0);
                expect_bad(json, bad_values[i].field);
                json_decref(json);
        }
}

/* Every node of the document in turn becomes each of these: taken or refused, never a crash or a leak. */
static unsigned bend(json_t *root, json_t *node) {
        static const char *const instead[] = { "null",         "true", "-1",   "7",  "1e300",  "\"\"",
                                               "\"infinity\"", "[]",   "[[]]", "{}", "[null]", "9223372036854775807" };
        size_t n = json_is_array(node) ? json_array_size(node) : json_object_size(node);
        void *iter = json_is_object(node) ? json_object_iter(node) : NULL;
        unsigned n_refused = 0;

        for (size_t i = 0; i < n; i++) {
                json_t *child = json_is_array(node) ? json_array_get(node, i) : json_object_iter_value(iter);
                const char *key = iter ? json_object_iter_key(iter) : NULL;

                json_incref(child);
                for (size_t k = 0; k < n_elements(instead); k++) {
                        json_t *value = json_loads(instead[k], JSON_DECODE_ANY, NULL);
                        Model model = { 0 };
                        int r;

                        assert_int_equal(
                                key ? json_object_set_new(node, key, value) : json_array_set_new(node, i, value), 0);
                        r = model_from_json(&model, root);
                        assert_true(r == 0 || r == -EBADMSG);
                        n_refused += r != 0;
                        model_done(&model);
                }
                assert_int_equal(key ? json_object_set(node, key, child) : json_array_set(node, i, child), 0);
                n_refused += bend(root, child);
                json_decref(child);
                if (iter)
                        iter = json_object_iter_next(node, iter);
        }
        return n_refused;
}

static void test_no_bent_document_does_harm(void **state) {
        json_t *json = full_json();
        Model model = { 0 };

        assert_true(bend(json, json) > 1000);
        assert_int_equal(model_from_json(&model, json), 0); /* it was put back each time */
        model_done(&model);
        json_decref(json);
}

static void test_no_object_at_all_is_refused(void **state) {
        static const char *const texts[] = { "null", "[]", "{}", "3",
                                             "{\"version\": 2, \"manager\": {}, \"services\": []}" };

        for (size_t i = 0; i < n_elements(texts); i++) {
                json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);

                expect_bad(json, texts[i]);
                json_decref(json);
        }
}

static void test_signals_have_names(void **state) {
        static const struct {
                const char *text;
                int signal; /* 0: refused */
        } signals[] = {
                { "TERM", SIGTERM },
                { "SIGTERM", SIGTERM },
                { "sigterm", SIGTERM },
                { "15", SIGTERM },
                { "POLL", SIGIO },
                { "CLD", SIGCHLD },
                { "RTMIN", 34 },
                { "RTMIN+3", 37 },
                { "SIGRTMAX-1", 63 },
                { "64", 64 },
                { "", 0 },
                { "0", 0 },
                { "65", 0 },
                { "TERMX", 0 },
                { "RTMIN-1", 0 },
                { "RTMIN+31", 0 },
                { "RTMAX+1", 0 },
                { "RTMIN+", 0 },
                { "RTMIN+x", 0 },
                { "-1", 0 },
                { "15x", 0 },
                { "RTMIN+999", 0 },
                { "SIG", 0 },
        };

        for (size_t i = 0; i < n_elements(signals); i++) {
                int signal = 0, r = signal_parse(signals[i].text, &signal);

                if (signal != signals[i].signal || (r == 0) != (signals[i].signal != 0))
                        fail_msg("'%s' became %d, r = %d", signals[i].text, signal, r);
        }
        for (int signal = 1; signal <= SIGRTMAX; signal++) {
                char name[16];
                int back = 0;

                assert_int_equal(signal_parse(signal_format(name, sizeof(name), signal), &back), 0);
                assert_int_equal(back, signal);
        }
}

static void test_a_ladder_is_written_as_it_is_read(void **state) {
        const Rung rungs[] = { { SIGTERM, false, 90500 * USEC_PER_MSEC }, { SIGINT, true, 2 * USEC_PER_SEC } };
        char buf[64], small[12];

        assert_string_equal(rungs_format(buf, sizeof(buf), rungs, 2), "TERM:1min30.5s INT@tree:2s");
        assert_string_equal(rungs_format(small, sizeof(small), rungs, 2), "TERM:1min30");
        assert_string_equal(rungs_format(buf, sizeof(buf), rungs, 0), "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_comes_back_as_it_was),
                cmocka_unit_test(test_every_field_differs_from_its_default),
                cmocka_unit_test(test_what_is_as_in_the_first_service_is_left_out),
                cmocka_unit_test(test_a_missing_or_unknown_field_is_refused),
                cmocka_unit_test(test_a_value_out_of_range_is_refused),
                cmocka_unit_test(test_no_bent_document_does_harm),
                cmocka_unit_test(test_no_object_at_all_is_refused),
                cmocka_unit_test(test_signals_have_names),
                cmocka_unit_test(test_a_ladder_is_written_as_it_is_read),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
