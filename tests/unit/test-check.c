#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../daemon/config/command-line.h"
#include "../../daemon/config/environment-file.h"
#include "../../daemon/config/files.h"
#include "../lib/draft-text.h"

#define SERVICE(name) "[Service " name "]\nExecStart=/bin/true\n"

static const struct {
        const char *text, *errors; /* one part a line */
} faults[] = {
        { "[Service a]\n", "test.conf:1: [Service a] ExecStart: this service has no command" },
        { SERVICE("a") "Requires=b\nWants=c\nAfter=d\nStopAfter=e\n",
          "test.conf:3: [Service a] Requires: there is no service 'b'\ntest.conf:4: [Service a] Wants: there is no "
          "service 'c'\n:5: [Service a] After: there is no service 'd'\n:6: [Service a] StopAfter: there is no service "
          "'e'" },
        { SERVICE("database") SERVICE("web") "Requires=databse\n", "no service 'databse' (did you mean 'database'?)" },
        { SERVICE("a") "After=a\n", "test.conf:3: [Service a] After: a service cannot name itself" },
        { SERVICE("a") "Requires=b\n" SERVICE("b") "After=a\n",
          "test.conf:3: [Service a] Requires: a cycle, each starts after the next: a -> b -> a "
          "([Service a] Requires=b at test.conf:3, [Service b] After=a at test.conf:6)" },
        { SERVICE("a") "Requires=b\n" SERVICE("b") "After=c\n" SERVICE("c") "Requires=a\n" SERVICE(
                  "x") "After=y\n" SERVICE("y") "After=x\n",
          "a cycle, each starts after the next: a -> b -> c -> a\n: x -> y -> x" },
        /* Stop order alone: b waits for a, which must stop after b. */
        { SERVICE("a") "StopAfter=b\n" SERVICE("b") "StopAfter=a\n",
          "a cycle, each stops after the next: a -> b -> a" },
        { SERVICE("a") "Requires=b\nStopAfter=b\n" SERVICE("b"), "a cycle, each stops after the next: a -> b -> a" },
        { SERVICE("a") "Type=oneshot\nRestart=always\n", "test.conf:4: [Service a] Restart: 'always' would run" },
        { SERVICE("a") "RestartSec=20s\nRestartMaxSec=10s\n", "test.conf:4: [Service a] RestartMaxSec: this is less" },
        { SERVICE("a") "CapabilityBoundingSet=CAP_KILL\nAmbientCapabilities=CAP_KILL CAP_CHOWN\n",
          "test.conf:4: [Service a] AmbientCapabilities: CAP_CHOWN is not in CapabilityBoundingSet=" },
        /* Sections. */
        { "[Manger]\nx=y\n", "test.conf:1: [Manger] there is no such section (did you mean 'Manager'?)" },
        { "[Unit]\nDescription=x\n", "test.conf:1: [Unit] there is no such section; its keys" },
        { "[Service]\nExecStart=/x\n", "test.conf:1: [Service] the service has no name" },
        { "[Manager x]\n", "test.conf:1: [Manager x] the section of draind itself has no name" },
        { "[Service -x]\nExecStart=/x\n", "'-x' is no name for a service" },
        { "[Manager]\n[Manager]\nLogLevel=x\n",
          "test.conf:2: [Manager] this section is in the file already, at line 1" },
        { SERVICE("a") SERVICE("a") "Type=bad\n", "test.conf:3: [Service a] this service is in the file already: "
                                                  "'test.conf':1" },
        { "[Probe a]\nx=y\n", "test.conf:1: [Probe a] 'a' is no name for a probe" },
        { SERVICE("web") "[Probe wbe.live]\nRole=live\n",
          "test.conf:3: [Probe] there is no service 'wbe' (did you mean 'web'?)" },
        { SERVICE("web") "[Probe web.live]\nRole=lively\nPeriod=3\nPeriodSec=x\nFailureThreshold=0\n",
          ":4: [Probe web.live] Role: 'lively'\n:5: [Probe web.live] there is no key 'Period'\n:6: [Probe web.live] "
          "PeriodSec: 'x'\n:7: [Probe web.live] FailureThreshold: '0'" },
        /* One mistake is told once. */
        { "[Servce db]\nExecStart=/x\n" SERVICE("web") "Requires=db\n",
          "test.conf:1: [Servce db] there is no such section" },
        { "[Service d b]\nExecStart=/x\n" SERVICE("web") "Requires=db\n",
          "test.conf:1: [Service d b] 'd b' is no name" },
        { "[Service a]\nExecStrt=/x\n", "test.conf:2: [Service a] there is no key" },
        { "[Service a]\nExecStart=/x \"\nRestart=always\nType=oneshot\n", "test.conf:2: [Service a] ExecStart:" },
        { SERVICE("a") "User=nosuchuser4711\nWorkingDirectory=~\n", "test.conf:3: [Service a] User:" },
};

static void test_rules_across_keys(void **state) {
        for (size_t i = 0; i < n_elements(faults); i++) {
                DraftText it;

                draft_text_read(&it, faults[i].text);
                draft_text_expect(faults[i].text, it.errors, faults[i].errors);
                draft_text_done(&it);
        }
}

static const struct {
        const char *text, *warnings;
} warned[] = {
        { SERVICE("a") SERVICE("b") "After=a\nStopAfter=a\n", "" }, /* StopAfter= overrides */
        { SERVICE("a") "Wants=b\n" SERVICE("b") "Wants=a\n", "" },  /* Wants= has no order */
        { SERVICE("a") "Requires=b\nAfter=b\n" SERVICE("b"), "" },
        { "[Manager]\nGracePeriodSec=12s\n" SERVICE("a"), "" },
        { "[Manager]\nGracePeriodSec=11s\n" SERVICE("a"), "test.conf:2: warning: [Manager] GracePeriodSec: the longest "
                                                          "path of the drain wishes for 12s and gets 11s, so its "
                                                          "phases will be cut: a 12s" },
        { SERVICE("a") "QuiesceSec=5s\n" SERVICE("b") "Requires=a\n" SERVICE("c") "Requires=b\nWithdrawSec=2s\n",
          "GracePeriodSec: the longest path of the drain wishes for 38s and gets 30s, so its phases will be cut: "
          "c 14s -> b 12s -> a 12s" },
        { SERVICE("a") "StopSignals=TERM:1s\nQuiesceSec=40s\n" SERVICE(
                  "b") "Requires=a\nStopSignals=TERM:1s\nWithdrawSec=5s\n",
          "wishes for 48s and gets 30s, so its phases will be cut: b 5s -> a 43s" },
        { "[Manager]\nOuterGracePeriodSec=10s\nGracePeriodSec=40s\n" SERVICE("a"),
          "OuterGracePeriodSec: this is less than GracePeriodSec=\nOuterGracePeriodSec: the longest path" },
        { "[Manager]\nKillReserveSec=30s\n",
          "test.conf: warning: there is no [Service NAME]\nKillReserveSec: this leaves nothing" },
        { SERVICE("a") "OnGuardTimeout=rollback\n", "[Service a] OnGuardTimeout: without a Guard=" },
        { SERVICE("a") "Guard=x\n", "[Service a] Guard: guards are waited for" },
        { SERVICE("a") "[Probe a.live]\nRole=live\nKind=http\nUrl=http://x\nExpect=200-299\n",
          "test.conf:3: warning: [Probe a.live] probes are not supported by this version" },
        { "", "there is no [Service NAME]" },
};

static void test_what_is_no_mistake_is_a_warning_at_most(void **state) {
        for (size_t i = 0; i < n_elements(warned); i++) {
                DraftText it;

                draft_text_read(&it, warned[i].text);
                assert_string_equal(it.errors, "");
                draft_text_expect(warned[i].text, it.warnings, warned[i].warnings);
                draft_text_done(&it);
        }
}

static void test_a_flood_of_mistakes_is_bounded(void **state) {
        char text[16384] = SERVICE("a");
        DraftText it;

        for (unsigned i = 0; i < 250; i++)
                strcat(text, "Nice=x\n");
        draft_text_read(&it, text);
        assert_int_equal(draft_text_lines(it.errors), REPORT_ERRORS_MAX + 1);
        assert_non_null(strstr(it.errors, "and 150 more errors."));
        assert_int_equal(report_n_errors(it.report), 250);
        draft_text_done(&it);
}

/* A later file adds to the section of an earlier one, and overrides it. */
static void test_later_files_are_drop_ins(void **state) {
        static const char *const texts[] = {
                "[Manager]\nGracePeriodSec=5s\nLogLevel=debug\n" SERVICE(
                        "a") "Environment=A=1 B=1\nNice=3\nAfter=b\n" SERVICE("b"),
                "[Manager]\nGracePeriodSec=50s\n[Service a]\nEnvironment=B=2\nNice=4\nAfter=c\n" SERVICE("c"),
                "[Service a]\nExecStart=\nExecStart=/other\nAfter=\nAfter=c\n",
        };
        const ServiceConfig *a;
        DraftText it;

        draft_text_begin(&it);
        for (size_t i = 0; i < n_elements(texts); i++) {
                char path[16];

                (void) snprintf(path, sizeof(path), "%zu.conf", i);
                assert_int_equal(draft_read(&it.draft, path, texts[i], strlen(texts[i])), 0);
        }
        draft_text_end(&it);
        assert_string_equal(it.errors, "");
        assert_int_equal(it.draft.model.n_services, 3);
        a = &it.draft.model.services[0];
        assert_true(it.draft.model.grace == 50 * USEC_PER_SEC);
        assert_int_equal(it.draft.model.log_level, 7);
        assert_string_equal(a->origin, "0.conf:4");
        assert_string_equal(a->start.argv[0], "/other");
        assert_int_equal(a->nice, 4);
        assert_int_equal(a->environment.n, 2);
        assert_string_equal(a->environment.items[1], "B=2");
        assert_int_equal(a->after.n, 1);
        draft_text_done(&it);
}

static const struct {
        const char *text, *environment; /* joined by '|' */
        unsigned n_warnings;
} environment_cases[] = {
        { "", "", 0 },
        { "A=1\nB=two words  \n", "A=1|B=two words", 0 },
        { "# A=1\n; A=2\n\n  B = 3\n", "B=3", 0 },
        { "A='x y'\nB=\"x \\\" \\$ \\n\"\n", "A=x y|B=x \" $ \\n", 0 },
        { "A='1'\"2\" 3\n", "A=123", 0 },
        { "A=x\\\ny\nB=\"p\nq\"\n", "A=xy|B=p\nq", 0 },
        { "A=x\\ \nB=1", "A=x |B=1", 0 },
        { "A=\nB=2\r\nA=3\n", "A=3|B=2", 0 },
        { "no assignment\nA=1\n", "A=1", 0 },
        { "1A=1\nA-B=2\nC=3\n", "C=3", 2 },
        { "# comment \\\nA=1\nB=2\n", "B=2", 0 },
        { "A='open", "A=open", 0 },
};

static void test_environment_files_are_read_as_by_systemd(void **state) {
        for (size_t i = 0; i < n_elements(environment_cases); i++) {
                cleanup(string_list_done) StringList environment = { 0 };
                cleanup(report_freep) Report *report = NULL;
                char joined[256] = "", *warnings;

                assert_int_equal(report_new(&report), 0);
                assert_int_equal(environment_file_parse(report, "env", environment_cases[i].text,
                                                        strlen(environment_cases[i].text), &environment),
                                 0);
                for (unsigned k = 0; k < environment.n; k++)
                        (void) snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
                                        k > 0 ? "|" : "", environment.items[k]);
                warnings = draft_text_printed(report, report_print_warnings);
                assert_string_equal(joined, environment_cases[i].environment);
                assert_int_equal(draft_text_lines(warnings), environment_cases[i].n_warnings);
                free(warnings);
        }
}

static void write_file(const char *directory, const char *name, const char *text) {
        char path[256];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(close(fd), 0);
}

static void remove_file(const char *directory, const char *name) {
        char path[256];

        (void) snprintf(path, sizeof(path), "%s/%s", directory, name);
        assert_int_equal(remove(path), 0);
}

static void test_files_come_in_order_of_name(void **state) {
        static const char *const names[] = { "draind.conf",   "b.conf",         "a.conf",
                                             "conf.d/2.conf", "conf.d/10.conf", "conf.d/.hidden.conf",
                                             "conf.d/no",     "conf.d/.conf" };
        static const char *const wanted[] = { "draind.conf", "a.conf", "b.conf", "conf.d/10.conf", "conf.d/2.conf" };
        static const char *const wanted_default[] = { "draind.conf", "conf.d/10.conf", "conf.d/2.conf" };
        cleanup(string_list_done) StringList files = { 0 }, defaults = { 0 }, none = { 0 };
        cleanup(report_freep) Report *report = NULL;
        char directory[] = "/tmp/draind-test-XXXXXX", more[64];

        assert_int_equal(report_new(&report), 0);
        assert_non_null(mkdtemp(directory));
        (void) snprintf(more, sizeof(more), "%s/conf.d", directory);
        assert_int_equal(files_find(directory, report, &none), 0);
        assert_true(report_has_unreadable(report));
        assert_int_equal(none.n, 0);
        assert_int_equal(mkdir(more, 0700), 0);
        for (size_t i = 0; i < n_elements(names); i++)
                write_file(directory, names[i], "");
        assert_int_equal(files_find(directory, report, &files), 0);
        assert_int_equal(files.n, n_elements(wanted));
        for (size_t i = 0; i < files.n; i++)
                assert_string_equal(files.items[i] + strlen(directory) + 1, wanted[i]);
        assert_int_equal(files_find_default(directory, report, &defaults), 0);
        assert_int_equal(defaults.n, n_elements(wanted_default));
        for (size_t i = 0; i < defaults.n; i++)
                assert_string_equal(defaults.items[i] + strlen(directory) + 1, wanted_default[i]);
        for (size_t i = 0; i < n_elements(names); i++)
                remove_file(directory, names[i]);
        assert_int_equal(rmdir(more), 0);
        assert_int_equal(rmdir(directory), 0);
}

static const struct {
        const char *grace, *signals, *withdraw, *name;
        const char *ladder; /* NULL: wrong */
} command_cases[] = {
        { NULL, NULL, NULL, NULL, "TERM:28s" },
        { "20s", NULL, "5s", NULL, "TERM:13s" },
        { "2s", NULL, NULL, NULL, "TERM:1.5s" },
        { "0", NULL, NULL, NULL, "TERM:0" },
        { "20s", "INT:3s,TERM", NULL, "job", "INT:3s TERM:15s" },
        { NULL, "TERM:8s,INT@tree:2s", NULL, NULL, "TERM:8s INT@tree:2s" },
        { "x", NULL, NULL, NULL, NULL },
        { "infinity", NULL, NULL, NULL, NULL },
        { NULL, "TRM", NULL, NULL, NULL },
        { NULL, NULL, "x", NULL, NULL },
        { NULL, NULL, NULL, "a b", NULL },
};

static void test_a_command_needs_no_file(void **state) {
        char *const argv[] = { (char *) "./my prog", (char *) "-x", NULL };

        for (size_t i = 0; i < n_elements(command_cases); i++) {
                const CommandLine line = { command_cases[i].grace, command_cases[i].signals, command_cases[i].withdraw,
                                           command_cases[i].name, argv };
                const ServiceConfig *service;
                char ladder[64];
                DraftText it;
                int r;

                draft_text_begin(&it);
                (void) report_file(it.report, "command line");
                r = command_line_draft(&it.draft, &line);
                assert_int_equal(r, command_cases[i].ladder ? 0 : COMMAND_LINE_WRONG);
                assert_int_equal(report_n_errors(it.report), command_cases[i].ladder ? 0 : 1);
                if (r == 0) {
                        draft_text_end(&it);
                        assert_string_equal(it.errors, "");
                        service = &it.draft.model.services[0];
                        assert_string_equal(rungs_format(ladder, sizeof(ladder), service->rungs, service->n_rungs),
                                            command_cases[i].ladder);
                        assert_string_equal(service->name, command_cases[i].name ? command_cases[i].name : "my_prog");
                        assert_string_equal(service->origin, "command line");
                        assert_true(it.draft.model.is_command && service->is_essential);
                        assert_int_equal(service->start.argv[0][0], '/');
                        assert_string_equal(service->start.argv[1], "-x");
                        assert_null(service->start.argv[2]);
                }
                draft_text_done(&it);
        }
}

static void test_commands_that_are_not_there_are_warned_of(void **state) {
        static const char text[] = "[Service a]\nExecStart=/proc/no-such-file/x\nExecStartPre=/bin/sh\nExecStop=sh\n"
                                   "ExecReload=nosuchprogram4711\nWorkingDirectory=/proc/no-such-file\n"
                                   "ExecStopPost=/tmp\n";
        char *warnings;
        DraftText it;

        draft_text_read(&it, text);
        assert_string_equal(it.warnings, "");
        assert_int_equal(check_commands(&it.draft), 0);
        warnings = draft_text_printed(it.report, report_print_warnings);
        draft_text_expect(text, warnings,
                          ":2: warning: [Service a] ExecStart: '/proc/no-such-file/x' is no program\n"
                          ":5: warning: [Service a] ExecReload: 'nosuchprogram4711' is not found in PATH\n"
                          ":6: warning: [Service a] WorkingDirectory: '/proc/no-such-file' is no directory\n"
                          ":7: warning: [Service a] ExecStopPost: '/tmp' is no program");
        free(warnings);
        draft_text_done(&it);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules_across_keys),
                cmocka_unit_test(test_what_is_no_mistake_is_a_warning_at_most),
                cmocka_unit_test(test_a_flood_of_mistakes_is_bounded),
                cmocka_unit_test(test_later_files_are_drop_ins),
                cmocka_unit_test(test_environment_files_are_read_as_by_systemd),
                cmocka_unit_test(test_files_come_in_order_of_name),
                cmocka_unit_test(test_a_command_needs_no_file),
                cmocka_unit_test(test_commands_that_are_not_there_are_warned_of),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
