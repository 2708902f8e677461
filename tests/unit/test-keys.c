#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "../../daemon/config/keys.h"
#include "../../daemon/config/model-json.h"
#include "../lib/draft-text.h"

/* Pairs of one service, and what a field of its JSON is then. */
static const struct {
        const char *pairs, *field, *json;
} service_cases[] = {
        { "Type=oneshot", "type", "3" },
        { "Type=notify\nType=", "type", "0" },
        /* Commands: words, quotes, escapes. */
        { "ExecStop=/bin/a b  c", "stop", "[{\"argv\":[\"/bin/a\",\"b\",\"c\"],\"may_fail\":false}]" },
        { "ExecStop=-a", "stop", "[{\"argv\":[\"a\"],\"may_fail\":true}]" },
        { "ExecStop=/b \"c d\" 'e \"f' g\"h i\"j", "stop",
          "[{\"argv\":[\"/b\",\"c d\",\"e \\\"f\",\"gh ij\"],\"may_fail\":false}]" },
        { "ExecStop=/b \\x41\\101\\u00e4\\t\\s\\\\ \\\"", "stop",
          "[{\"argv\":[\"/b\",\"AA\xc3\xa4\\t \\\\\",\"\\\"\"],\"may_fail\":false}]" },
        { "ExecStop=/b $$x 100%% a$b $ % a;b \\; '' end", "stop",
          "[{\"argv\":[\"/b\",\"$x\",\"100%\",\"a$b\",\"$\",\"%\",\"a;b\",\";\",\"\",\"end\"],\"may_fail\":false}]" },
        { "ExecStop=/a\nExecStop=/b", "stop",
          "[{\"argv\":[\"/a\"],\"may_fail\":false},{\"argv\":[\"/b\"],\"may_fail\":false}]" },
        { "ExecStop=/a\nExecStop=\nExecStop=/b", "stop", "[{\"argv\":[\"/b\"],\"may_fail\":false}]" },
        { "ExecStart=\nExecStart=/other", "start", "{\"argv\":[\"/other\"],\"may_fail\":false}" },
        { "WorkingDirectory=-/tmp", "working_directory_may_fail", "true" },
        { "WorkingDirectory=/tmp\nWorkingDirectory=", "working_directory", "null" },
        { "WorkingDirectory=~\nUser=0", "working_directory", "\"/root\"" },
        { "Environment=A=1 \"B=two words\" C='x;y' D=$x D2=100%%", "environment",
          "[\"A=1\",\"B=two words\",\"C=x;y\",\"D=$x\",\"D2=100%\"]" },
        { "Environment=A=1 B=2\nEnvironment=A=3", "environment", "[\"A=3\",\"B=2\"]" },
        { "Environment=A=1\nEnvironment=\nEnvironment=B=", "environment", "[\"B=\"]" },
        { "EnvironmentFile=-/proc/no-such-file", "environment", "[]" },
        { "UMask=0027", "umask", "23" },
        { "UMask=22\nUMask=", "has_umask", "false" },
        { "Nice=-20", "nice", "-20" },
        { "Nice=+19", "nice", "19" },
        { "OOMScoreAdjust=-1000", "oom_score_adjust", "-1000" },
        { "LimitNOFILE=1024:4096", "limits", "[{\"resource\":7,\"soft\":1024,\"hard\":4096}]" },
        { "LimitNOFILE=5\nLimitNOFILE=6:infinity", "limits", "[{\"resource\":7,\"soft\":6,\"hard\":\"infinity\"}]" },
        { "LimitNOFILE=5\nLimitNOFILE=", "limits", "[]" },
        { "LimitAS=4G", "limits", "[{\"resource\":9,\"soft\":4294967296,\"hard\":4294967296}]" },
        { "LimitCORE=0:1K", "limits", "[{\"resource\":4,\"soft\":0,\"hard\":1024}]" },
        { "LimitCPU=1min 1ms", "limits", "[{\"resource\":0,\"soft\":61,\"hard\":61}]" },
        { "LimitCPU=90", "limits", "[{\"resource\":0,\"soft\":90,\"hard\":90}]" },
        { "LimitRTTIME=90", "limits", "[{\"resource\":15,\"soft\":90,\"hard\":90}]" },
        { "LimitRTTIME=2ms:1s", "limits", "[{\"resource\":15,\"soft\":2000,\"hard\":1000000}]" },
        { "LimitNICE=-5", "limits", "[{\"resource\":13,\"soft\":25,\"hard\":25}]" },
        { "LimitNICE=+19:40", "limits", "[{\"resource\":13,\"soft\":1,\"hard\":40}]" },
        { "NoNewPrivileges=true", "no_new_privileges", "true" },
        { "NoNewPrivileges=ON\nNoNewPrivileges=0", "no_new_privileges", "false" },
        { "CapabilityBoundingSet=CAP_CHOWN cap_kill", "bounding", "33" },
        { "CapabilityBoundingSet=CAP_CHOWN\nCapabilityBoundingSet=CAP_KILL", "bounding", "33" },
        { "CapabilityBoundingSet=CAP_CHOWN CAP_KILL\nCapabilityBoundingSet=~CAP_KILL", "bounding", "1" },
        { "CapabilityBoundingSet=~CAP_CHOWN", "bounding", "2199023255550" },
        { "CapabilityBoundingSet=", "bounding", "0" },
        { "CapabilityBoundingSet=", "has_bounding", "true" },
        { "CapabilityBoundingSet=~", "bounding", "2199023255551" },
        { "AmbientCapabilities=CAP_CHECKPOINT_RESTORE", "ambient", "1099511627776" },
        { "StandardOutput=inherit", "output", "{\"kind\":1,\"path\":null}" },
        { "StandardOutput=append:/a b", "output", "{\"kind\":4,\"path\":\"/a b\"}" },
        { "StandardError=null\nStandardError=", "error", "{\"kind\":5,\"path\":null}" },
        /* keep */
        { "Requires=y z\nRequires=y", "requires", "[\"y\",\"z\"]" },
        { "After=y\nAfter=\nAfter=z", "after", "[\"z\"]" },
        { "RestartSec=0", "restart_delay", "0" },
        { "RestartSec=1min", "restart_delay_max", "60000000" },
        { "StartLimitBurst=0", "start_limit_burst", "0" },
        { "StartLimitIntervalSec=0", "start_limit_burst", "0" },
        { "SuccessExitStatus=143 EX_TEMPFAIL CONFIG", "success_statuses", "[0,75,78,143]" },
        { "SuccessExitStatus=SIGTERM KILL", "success_signals", "[9,15]" },
        { "SuccessExitStatus=1 HUP\nSuccessExitStatus=\nSuccessExitStatus=2", "success_statuses", "[0,2]" },
        { "TimeoutStartSec=0", "start_timeout", "\"infinity\"" },
        { "TimeoutStartSec=1h 30min", "start_timeout", "5400000000" },
        { "WatchdogSec=infinity", "watchdog", "0" },
        /* stop */
        { "WithdrawSec=500ms", "withdraw", "500000" },
        { "StopSignals=INT", "rungs", "[{\"signal\":2,\"to_tree\":false,\"time\":10000000}]" },
        { "StopSignals=SIGTERM@main:8s,INT@tree:2s", "rungs",
          "[{\"signal\":15,\"to_tree\":false,\"time\":8000000},{\"signal\":2,\"to_tree\":true,\"time\":2000000}]" },
        { "StopSignals= TERM:1min30s  RTMIN+1:1 ", "rungs",
          "[{\"signal\":15,\"to_tree\":false,\"time\":90000000},{\"signal\":35,\"to_tree\":false,\"time\":1000000}]" },
        { "StopSignals=INT:1s\nStopSignals=", "rungs", "[{\"signal\":15,\"to_tree\":false,\"time\":10000000}]" },
        { "QuiesceSec=1\nGuard=connections on :8080 are 0\nGuard=b", "guards",
          "[\"connections on :8080 are 0\",\"b\"]" },
        { "User=0", "has_user", "true" },
        { "User=root", "home", "\"/root\"" },
};

static void test_a_service_is_as_written(void **state) {
        for (size_t i = 0; i < n_elements(service_cases); i++) {
                json_t *all, *found, *wanted = json_loads(service_cases[i].json, JSON_DECODE_ANY, NULL);
                char *text;
                DraftText it;

                if (strstr(service_cases[i].pairs, "User=") && geteuid() != 0) {
                        json_decref(wanted);
                        continue;
                }
                assert_non_null(wanted);
                assert_true(asprintf(&text,
                                     "[Service x]\nExecStart=/bin/x\n%s\n[Service y]\nExecStart=y\n"
                                     "[Service z]\nExecStart=z\n",
                                     service_cases[i].pairs) > 0);
                draft_text_read(&it, text);
                assert_string_equal(it.errors, "");
                all = model_to_json(&it.draft.model);
                found = json_object_get(json_array_get(json_object_get(all, "services"), 0), service_cases[i].field);
                if (!found || !json_equal(found, wanted)) {
                        char *shown = json_dumps(found, JSON_ENCODE_ANY);

                        fail_msg("%s: %s is %s", service_cases[i].pairs, service_cases[i].field, shown);
                }
                json_decref(all);
                json_decref(wanted);
                draft_text_done(&it);
                free(text);
        }
}

static const struct {
        const char *pairs, *field, *json;
} manager_cases[] = {
        { "GracePeriodSec=1min 30s", "grace", "90000000" },
        { "GracePeriodSec=5\nGracePeriodSec=", "grace", "30000000" },
        { "OuterGracePeriodSec=50s", "outer_grace", "50000000" },
        { "OuterGracePeriodSec=", "outer_grace", "\"infinity\"" },
        { "WarnStopAfter=50%", "warn_stop_after_percent", "50" },
        { "WarnStopAfter=100", "warn_stop_after_percent", "100" },
        { "ControlSocket=/a", "control_socket", "\"/a\"" },
        { "ControlGroup=12345", "control_group", "12345" },
        { "ControlGroup=root", "has_control_group", "true" },
        { "LogLevel=7", "log_level", "7" },
        { "LogLevel=warning", "log_level", "4" },
        { "LogTarget=json", "log_target", "3" },
        { "Cgroup=no", "use_cgroup", "false" },
        { "Listen=80 127.0.0.1:81 [::1]:82 /run/x\nListen=80", "listen",
          "[\"80\",\"127.0.0.1:81\",\"[::1]:82\",\"/run/x\"]" },
};

static void test_the_manager_is_as_written(void **state) {
        for (size_t i = 0; i < n_elements(manager_cases); i++) {
                json_t *all, *found, *wanted = json_loads(manager_cases[i].json, JSON_DECODE_ANY, NULL);
                char *text;
                DraftText it;

                assert_non_null(wanted);
                assert_true(asprintf(&text, "[Manager]\n%s\n", manager_cases[i].pairs) > 0);
                draft_text_read(&it, text);
                assert_string_equal(it.errors, "");
                all = model_to_json(&it.draft.model);
                found = json_object_get(json_object_get(all, "manager"), manager_cases[i].field);
                if (!found || !json_equal(found, wanted))
                        fail_msg("%s: %s", manager_cases[i].pairs, manager_cases[i].field);
                json_decref(all);
                json_decref(wanted);
                draft_text_done(&it);
                free(text);
        }
}

/* One pair of a service, and what is said about it behind "test.conf:3: [Service x] ". */
static const struct {
        const char *pair, *error;
} faults[] = {
        { "ExecStrt=/x", "there is no key 'ExecStrt' (did you mean 'ExecStart'?)" },
        { "execstart=/x", "there is no key 'execstart' (did you mean 'ExecStart'?)" },
        { "GracePeriodSec=3", "GracePeriodSec: this key belongs in [Manager]" },
        { "TimeoutStopSec=3", "TimeoutStopSec: there is no such key; StopSignals=TERM:10s says" },
        { "Type=forking", "Type: 'forking' is not simple, exec, notify or oneshot" },
        { "Type=notfy", "(did you mean 'notify'?)" },
        { "ExecStart=/y", "ExecStart: there is one already; write what comes before it as ExecStartPre=" },
        { "ExecStop=./y", "'./y' is a relative path" },
        { "ExecStop=/bin/", "'/bin/' is a directory" },
        { "ExecStop=-", "there is no command" },
        { "ExecStop=\"\"", "there is no command" },
        { "ExecStop=@/y z", "the prefix '@' of systemd is not possible" },
        { "ExecStop=/a ; /b", "';' between commands is not possible; write one line a command" },
        { "ExecStop=/a \"b", "has a quote that is not closed" },
        { "ExecStop=/a \\q", "has an unknown escape" },
        { "ExecStop=/a \\x4", "has an unknown escape" },
        { "ExecStop=/a \\xff", "has an unknown escape" },
        { "ExecStop=/a \\000", "has an unknown escape" },
        { "ExecStop=/a \\ud800", "has an unknown escape" },
        { "ExecStop=/a $X", "'$X': draind does not expand variables" },
        { "ExecStop=/a --x=${X}", "draind does not expand variables" },
        { "ExecStop=/a %n", "'%n' would be a specifier" },
        { "User=nosuchuser4711", "User: there is no user 'nosuchuser4711'" },
        { "User=a b", "is not a user's name or number" },
        { "Group=nosuchgroup4711", "Group: there is no group" },
        { "SupplementaryGroups=nosuchgroup4711", "SupplementaryGroups: there is no group" },
        { "WorkingDirectory=x", "'x' is not an absolute path or ~" },
        { "Environment=1A=secret", "Environment: '1A' is not an assignment NAME=VALUE" },
        { "Environment=A", "'A' is not an assignment" },
        { "Environment=A=%h", "would be a specifier" },
        { "EnvironmentFile=/proc/no-such-file", "cannot be read: No such file or directory; write '-' in front" },
        { "EnvironmentFile=x", "is not an absolute path" },
        { "UMask=8", "'8' is not an octal number" },
        { "UMask=1000", "is not an octal number" },
        { "Nice=20", "is not a number from -20 to 19" },
        { "OOMScoreAdjust=1001", "is not a number from -1000 to 1000" },
        { "LimitNOFILE=1K", "is not a number, SOFT:HARD or infinity" },
        { "LimitNOFILE=2:1", "the soft limit is above the hard limit" },
        { "LimitAS=1X", "is not a size" },
        { "LimitAS=99999999999E", "is not a size" },
        { "LimitNICE=41", "is not a nice level" },
        { "NoNewPrivileges=maybe", "is not yes or no" },
        { "CapabilityBoundingSet=CAP_KIL", "is not a capability, as CAP_NET_BIND_SERVICE (did you mean 'CAP_KILL'?)" },
        { "StandardOutput=logg", "(did you mean 'log'?)" },
        { "StandardOutput=file:x", "'x' is no absolute path; write file:/" },
        { "Requires=a/b", "'a/b' is no name of a service: only letters" },
        { "Requires=y,z", "names are separated by spaces" },
        { "Restart=alway", "(did you mean 'always'?)" },
        { "RestartSec=infinity", "a drain always ends" },
        { "RestartSec=5 parsecs", "is not a time span" },
        { "RestartSec=-1", "is not a time span" },
        { "RestartSec=101year", "is too long" },
        { "StartLimitBurst=-1", "is not a number from 0" },
        { "SuccessExitStatus=256", "is not an exit status" },
        { "SuccessExitStatus=1-5", "a range is written as its numbers" },
        { "SuccessExitStatus=EX_FOO", "is not an exit status" },
        { "StopSignals=TRM:1s", "'TRM' is no signal (did you mean 'TERM'?)" },
        { "StopSignals=TERM:1s KILL:1s", "KILL always follows the ladder" },
        { "StopSignals=STOP:1s", "'STOP' stops no service for good" },
        { "StopSignals=TERM INT:1s", "'TERM' has no time; only the last rung may leave it out" },
        { "StopSignals=TERM:1min 30s", "'30s' is no signal; a time is written without a space" },
        { "StopSignals=TERM:", "is no time span" },
        { "StopSignals=TERM:0", "leaves no time to stop" },
        { "StopSignals=TERM:infinity", "never ends" },
        { "StopSignals=TERM@all:1s", "'all' is no target; write @main or @tree" },
        { "StopSignals=,", "the ladder has no rung" },
        { "StopSignals=:1s", "a rung without a signal" },
        { "OnGuardTimeout=rollbak", "(did you mean 'rollback'?)" },
};

static void test_a_fault_says_what_is_wrong_and_what_would_be_right(void **state) {
        for (size_t i = 0; i < n_elements(faults); i++) {
                char *text;
                DraftText it;

                assert_true(asprintf(&text, "[Service x]\nExecStart=/bin/x\n%s\n", faults[i].pair) > 0);
                draft_text_read(&it, text);
                draft_text_expect(text, it.errors, faults[i].error);
                assert_ptr_equal(strstr(it.errors, "test.conf:3: [Service x] "), it.errors);
                draft_text_done(&it);
                free(text);
        }
}

static void test_secrets_are_not_shown(void **state) {
        DraftText it;

        draft_text_read(&it, "[Service x]\nExecStart=x\nEnvironment=1TOKEN=hunter2 \"B=hunter2\n");
        assert_null(strstr(it.errors, "hunter2"));
        assert_int_equal(draft_text_lines(it.errors), 1);
        draft_text_done(&it);
}

/* The text of a default is what the value is without it: a service without keys is one with every key left empty. */
static void test_defaults_in_the_table_are_those_of_the_model(void **state) {
        const ConfigKey *keys;
        char *text = NULL;
        size_t n, size = 0;
        DraftText bare, empty;
        json_t *a, *b;
        FILE *out = open_memstream(&text, &size);

        keys = keys_table(&n);
        assert_true(n > 70);
        (void) fprintf(out, "[Service x]\nExecStart=\n");
        for (size_t i = 0; i < n; i++)
                if (strcmp(keys[i].section, "Service") == 0 && strcmp(keys[i].name, "CapabilityBoundingSet") != 0)
                        (void) fprintf(out, "%s=\n", keys[i].name);
        (void) fprintf(out, "ExecStart=x\n[Manager]\n");
        for (size_t i = 0; i < n; i++)
                if (strcmp(keys[i].section, "Manager") == 0)
                        (void) fprintf(out, "%s=%s\n", keys[i].name, keys[i].default_text);
        assert_int_equal(fclose(out), 0);
        draft_text_read(&empty, text);
        assert_string_equal(empty.errors, "");
        draft_text_read(&bare, "[Service x]\nExecStart=x\n");
        a = model_to_json(&bare.draft.model);
        b = model_to_json(&empty.draft.model);
        assert_true(json_equal(a, b));
        json_decref(a);
        json_decref(b);
        draft_text_done(&bare);
        draft_text_done(&empty);
        free(text);
}

static void test_each_key_stands_once_and_is_explained(void **state) {
        const ConfigKey *keys;
        size_t n;

        keys = keys_table(&n);
        for (size_t i = 0; i < n; i++) {
                assert_ptr_equal(keys_find(keys[i].section, keys[i].name), &keys[i]);
                assert_int_equal(keys_index(&keys[i]), i);
                assert_string_not_equal(keys[i].help, "");
                assert_string_not_equal(keys[i].expects, "");
        }
        assert_null(keys_find("Service", "GracePeriodSec"));
}

static void test_outside_text_is_quoted_cut_and_escaped(void **state) {
        char long_text[1000], buf[QUOTED_MAX];

        assert_string_equal(quote(buf, "a\tb\x1b[1m\x7f\xff\xc2\x9b\xc3\xa4"),
                            "'a\\x09b\\x1b[1m\\x7f\\xff\\xc2\\x9b\xc3\xa4'");
        memset(long_text, '\x01', sizeof(long_text) - 1);
        long_text[sizeof(long_text) - 1] = '\0';
        quote(buf, long_text);
        assert_true(strlen(buf) <= 206);
        assert_string_equal(buf + strlen(buf) - 4, "…'");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_service_is_as_written),
                cmocka_unit_test(test_the_manager_is_as_written),
                cmocka_unit_test(test_a_fault_says_what_is_wrong_and_what_would_be_right),
                cmocka_unit_test(test_secrets_are_not_shown),
                cmocka_unit_test(test_defaults_in_the_table_are_those_of_the_model),
                cmocka_unit_test(test_each_key_stands_once_and_is_explained),
                cmocka_unit_test(test_outside_text_is_quoted_cut_and_escaped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
