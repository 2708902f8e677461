#include "keys.h"

#include <assert.h>
#include <string.h>
#include <sys/resource.h>

#include "../../protocol/nearest.h"
#include "value-limit.h"
#include "value-run.h"
#include "value.h"

static const char *const log_targets[] = { "auto", "journal", "console", "json", NULL };
static const char *const types[] = { "simple", "exec", "notify", "oneshot", NULL };
static const char *const restarts[] = { "no", "on-failure", "always", NULL };
static const char *const withdraw_readies[] = { "quiesce", "withdraw", "terminate", NULL };
static const char *const guard_timeouts[] = { "continue", "rollback", NULL };
static const char *const roles[] = { "startup", "ready", "live", "drained", NULL };
static const char *const kinds[] = { "http", "tcp", "unix", "grpc", "exec", "connections", NULL };

static int value_cgroup(const KeyContext *context, const char *value, void *target) {
        if (strcmp(value, "auto") == 0)
                return *(bool *) target = true, 0;
        if (strcmp(value, "no") == 0)
                return *(bool *) target = false, 0;
        return KEY_MISMATCH;
}

#define SPAN "a time span, as 30s or 1min 30s"
#define SPAN_OR "a time span, as 30s or 1min 30s, or infinity"
#define BOOLEAN "yes or no"
#define NAMES "a list of services, separated by spaces"
#define LINE "a command with its arguments"
#define BYTES "a size, as 512M, SOFT:HARD or infinity"
#define NUMBER "a number, SOFT:HARD or infinity"
#define CAPS "a capability, as CAP_NET_BIND_SERVICE"
#define OUTPUT "log, inherit, null, file:/PATH or append:/PATH"
#define COUNT "a number from 0 to 1000000"
#define ONE_UP "a number from 1 to 1000000"

#define MANAGER(name, parse, field, def, expects, help)                                                                \
        { "Manager", name, parse, offsetof(Model, field), def, expects, help, NULL, 0 }
#define MANAGER_WHOLE(name, parse, def, expects, help)                                                                 \
        { "Manager", name, parse, 0, def, expects, help, NULL, 0 }
#define SERVICE(name, parse, field, def, expects, help)                                                                \
        { "Service", name, parse, offsetof(ServiceDraft, config.field), def, expects, help, NULL, 0 }
#define SERVICE_ENUM(name, names, field, def, expects, help)                                                           \
        { "Service", name, value_enum, offsetof(ServiceDraft, config.field), def, expects, help, names, 0 }
/* The parse function sets several fields of ServiceConfig, or of the draft. */
#define SERVICE_WHOLE(name, parse, def, expects, help)                                                                 \
        { "Service", name, parse, offsetof(ServiceDraft, config), def, expects, help, NULL, 0 }
#define DRAFT(name, parse, field, expects, help)                                                                       \
        { "Service", name, parse, offsetof(ServiceDraft, field), "", expects, help, NULL, 0 }
#define LIMIT(name, expects, help)                                                                                     \
        {                                                                                                              \
                "Service", "Limit" #name, value_limit, offsetof(ServiceDraft, config), "", expects, help, NULL,        \
                        RLIMIT_##name                                                                                  \
        }
#define PROBE(name, parse, field, def, expects, help)                                                                  \
        { "Probe", name, parse, offsetof(ProbeDraft, field), def, expects, help, NULL, 0 }

static const ConfigKey keys[] = {
        MANAGER("GracePeriodSec", value_duration, grace, "30s", SPAN, "how long a drain of everything may take"),
        MANAGER("OuterGracePeriodSec", value_duration_or_infinity, outer_grace, "infinity", SPAN_OR,
                "what the outer supervisor grants before it kills"),
        MANAGER("KillReserveSec", value_duration, kill_reserve, "2s", SPAN,
                "how long a tree may take to be gone after KILL"),
        MANAGER("WarnStopAfter", value_percent, warn_stop_after_percent, "70%", "a percentage from 1% to 100%",
                "the part of its time after which a slow stop is logged"),
        MANAGER("ControlSocket", value_socket_path, control_socket, "", "an absolute path", "where drainctl connects"),
        MANAGER_WHOLE("ControlGroup", value_control_group, "", "a group", "whose members may change things"),
        MANAGER("RuntimeDirectory", value_path, runtime_directory, "", "an absolute path",
                "for sockets and drain files"),
        MANAGER("StateDirectory", value_path, state_directory, "", "an absolute path",
                "for what must outlast a restart"),
        { "Manager", "LogTarget", value_enum, offsetof(Model, log_target), "auto", "auto, journal, console or json",
          "where the log goes", log_targets, 0 },
        MANAGER("LogLevel", value_log_level, log_level, "info",
                "a level: emerg, alert, crit, err, warning, notice, info or debug",
                "the least important records that are logged"),
        MANAGER("Cgroup", value_cgroup, use_cgroup, "auto", "auto or no", "whether services get control groups"),
        MANAGER("Listen", value_listen, listen, "", "PORT, HOST:PORT, [IPV6]:PORT or /PATH",
                "where the gateway answers HTTP"),

        SERVICE_ENUM("Type", types, type, "simple", "simple, exec, notify or oneshot", "when it counts as started"),
        SERVICE("ExecStartPre", value_run_commands, start_pre, "", LINE, "commands before the service"),
        SERVICE("ExecStart", value_run_command, start, "", LINE, "the service itself"),
        SERVICE("ExecReload", value_run_commands, reload, "", LINE,
                "commands that make it read its configuration again"),
        SERVICE("ExecStop", value_run_commands, stop, "", LINE, "commands at the start of the terminate phase"),
        SERVICE("ExecStopPost", value_run_commands, stop_post, "", LINE, "commands after its tree is empty"),
        DRAFT("User", value_name, user, "a user's name or number", "the user that it runs as"),
        DRAFT("Group", value_name, group, "a group's name or number", "the group that it runs as"),
        DRAFT("SupplementaryGroups", value_run_groups, config, "a list of groups, separated by spaces",
              "groups besides those of the user"),
        SERVICE_WHOLE("WorkingDirectory", value_run_working_directory, "",
                      "an absolute path or ~, with '-' in front if it may be missing", "where its commands run"),
        SERVICE("Environment", value_run_environment, environment, "", "an assignment NAME=VALUE",
                "environment variables"),
        DRAFT("EnvironmentFile", value_run_environment_file, config,
              "an absolute path, with '-' in front if it may be missing", "files with environment variables"),
        SERVICE_WHOLE("UMask", value_run_umask, "", "an octal number from 0 to 0777", "file mode creation mask"),
        SERVICE_WHOLE("Nice", value_run_nice, "", "a number from -20 to 19", "scheduling priority"),
        SERVICE_WHOLE("OOMScoreAdjust", value_run_oom_score_adjust, "", "a number from -1000 to 1000",
                      "how readily the kernel kills it when memory is short"),
        LIMIT(CPU, "a time in seconds, as 10min, SOFT:HARD or infinity", "CPU time"),
        LIMIT(FSIZE, BYTES, "size of a file that it writes"),
        LIMIT(DATA, BYTES, "size of its data segment"),
        LIMIT(STACK, BYTES, "size of its stack"),
        LIMIT(CORE, BYTES, "size of a core dump"),
        LIMIT(RSS, BYTES, "resident memory (no effect on Linux)"),
        LIMIT(NOFILE, NUMBER, "open file descriptors"),
        LIMIT(AS, BYTES, "address space"),
        LIMIT(NPROC, NUMBER, "processes of its user"),
        LIMIT(MEMLOCK, BYTES, "locked memory"),
        LIMIT(LOCKS, NUMBER, "file locks (no effect on Linux)"),
        LIMIT(SIGPENDING, NUMBER, "queued signals"),
        LIMIT(MSGQUEUE, BYTES, "POSIX message queues"),
        LIMIT(NICE, "a nice level as +5 or -5, a number from 0 to 40, or SOFT:HARD",
              "how far it may raise its priority"),
        LIMIT(RTPRIO, NUMBER, "real-time priority"),
        LIMIT(RTTIME, "a time in microseconds, as 500ms, SOFT:HARD or infinity",
              "real-time CPU time without a blocking call"),
        SERVICE("NoNewPrivileges", value_boolean, no_new_privileges, "no", BOOLEAN,
                "whether set-user-ID programs gain nothing"),
        SERVICE_WHOLE("CapabilityBoundingSet", value_run_bounding, "", CAPS, "the capabilities it can ever have"),
        SERVICE_WHOLE("AmbientCapabilities", value_run_ambient, "", CAPS,
                      "capabilities that it has without being root"),
        SERVICE("StandardOutput", value_run_output, output, "log", OUTPUT, "where its output goes"),
        SERVICE("StandardError", value_run_error, error, "", OUTPUT, "where its error output goes"),

        SERVICE("Requires", value_services, requires, "", NAMES, "services that it cannot do without"),
        SERVICE("Wants", value_services, wants, "", NAMES, "services that are started with it"),
        SERVICE("After", value_services, after, "", NAMES, "services that start before it, if they start"),
        SERVICE_ENUM("Restart", restarts, restart, "no", "no, on-failure or always",
                     "whether it is started again when it ends"),
        SERVICE("RestartSec", value_duration, restart_delay, "1s", SPAN, "the wait before the first restart"),
        SERVICE("RestartMaxSec", value_duration, restart_delay_max, "30s", SPAN, "what the wait doubles up to"),
        SERVICE("StartLimitBurst", value_count, start_limit_burst, "5", COUNT,
                "starts that are possible within the interval"),
        SERVICE("StartLimitIntervalSec", value_duration, start_limit_interval, "10s", SPAN,
                "the interval of StartLimitBurst="),
        SERVICE_WHOLE("SuccessExitStatus", value_success_statuses, "",
                      "an exit status (0 to 255), a name as EX_TEMPFAIL, or a signal",
                      "ends that count as success besides 0"),
        SERVICE("TimeoutStartSec", value_start_timeout, start_timeout, "90s", SPAN_OR, "how long a start may take"),
        SERVICE("WatchdogSec", value_watchdog, watchdog, "0", SPAN_OR, "how often it must say WATCHDOG=1"),
        SERVICE("Essential", value_boolean, is_essential, "no", BOOLEAN, "whether its end is the end of everything"),

        SERVICE("WithdrawSec", value_duration, withdraw, "0", SPAN,
                "how long it goes on serving while the world turns away"),
        SERVICE_ENUM("WithdrawReady", withdraw_readies, withdraw_ready, "quiesce", "quiesce, withdraw or terminate",
                     "the phase from which on it is not ready"),
        SERVICE("QuiesceSec", value_duration, quiesce, "0", SPAN, "how long it may finish what it has"),
        SERVICE("Guard", value_lines, guards, "", "a condition", "conditions that end quiesce early"),
        SERVICE_ENUM("OnGuardTimeout", guard_timeouts, on_guard_timeout, "continue", "continue or rollback",
                     "what happens when the guards do not hold in time"),
        SERVICE_WHOLE("StopSignals", value_ladder, "TERM:10s", "a ladder, as TERM:8s INT@tree:2s",
                      "the signals that ask it to stop"),
        SERVICE("StopAfter", value_services, stop_after, "", NAMES, "services that stop before it"),
        SERVICE("Supporting", value_boolean, is_supporting, "no", BOOLEAN, "whether it stops after all that are not"),

        { "Probe", "Role", value_enum, offsetof(ProbeDraft, role), "", "startup, ready, live or drained",
          "what it tells", roles, 0 },
        { "Probe", "Kind", value_enum, offsetof(ProbeDraft, kind), "", "http, tcp, unix, grpc, exec or connections",
          "how it asks", kinds, 0 },
        PROBE("Url", value_any, role, "", "a URL", "Kind=http: what it fetches"),
        PROBE("Address", value_any, role, "", "an address", "Kind=tcp, unix, grpc, connections: where"),
        PROBE("Exec", value_any, role, "", LINE, "Kind=exec: what it runs"),
        PROBE("Expect", value_any, role, "", "an answer", "what counts as success"),
        PROBE("InitialDelaySec", value_duration, initial_delay, "0", SPAN, "the wait before the first"),
        PROBE("PeriodSec", value_duration, period, "10", SPAN, "from one to the next"),
        PROBE("TimeoutSec", value_duration, timeout, "1", SPAN, "how long the answer may take"),
        PROBE("SuccessThreshold", value_threshold, success_threshold, "1", ONE_UP,
              "successes in a row that make it pass"),
        PROBE("FailureThreshold", value_threshold, failure_threshold, "3", ONE_UP,
              "failures in a row that make it fail"),
};

/* What systemd's users write and draind has otherwise. */
static const struct {
        const char *name, *instead;
} otherwise[] = {
        { "TimeoutStopSec", "StopSignals=TERM:10s says how long it may take" },
        { "TimeoutSec", "write TimeoutStartSec= and StopSignals=" },
        { "KillSignal", "write StopSignals=, as INT:10s" },
        { "RestartKillSignal", "write StopSignals=, as INT:10s" },
        { "FinalKillSignal", "KILL always follows StopSignals=" },
        { "SendSIGKILL", "KILL always follows StopSignals=" },
        { "SendSIGHUP", "write it into StopSignals=, as TERM:9s HUP:1s" },
        { "KillMode", "the whole tree is always ended; @main and @tree in StopSignals= say who gets a signal" },
        { "RestartMaxDelaySec", "write RestartMaxSec=" },
        { "Before", "write After= in the other service" },
        { "BindsTo", "write Requires=" },
        { "Requisite", "write Requires=" },
        { "PartOf", "write Requires=" },
        { "Description", "write a comment, a line that begins with #" },
        { "PIDFile", "the service is followed by itself; let it stay in the foreground" },
        { "WantedBy", "every service of the file is started" },
        { "LimitALL", "write each limit by itself" },
};

const ConfigKey *keys_table(size_t *ret_n) {
        *ret_n = n_elements(keys);
        return keys;
}

unsigned keys_index(const ConfigKey *key) {
        assert(key >= keys && key < keys + n_elements(keys));
        return (unsigned) (key - keys);
}

const ConfigKey *keys_find(const char *kind, const char *name) {
        for (size_t i = 0; i < n_elements(keys); i++)
                if (strcmp(keys[i].name, name) == 0 && strcmp(keys[i].section, kind) == 0)
                        return &keys[i];
        return NULL;
}

static void keys_report_unknown(const KeyContext *context, const char *kind, const char *name) {
        const char *candidates[n_elements(keys)], *meant;
        size_t n = 0;

        for (size_t i = 0; i < n_elements(otherwise); i++)
                if (strcmp(otherwise[i].name, name) == 0) {
                        report_error(context->report, context->place, context->section, name,
                                     "there is no such key; %s", otherwise[i].instead);
                        return;
                }
        for (size_t i = 0; i < n_elements(keys); i++)
                if (strcmp(keys[i].section, kind) == 0)
                        candidates[n++] = keys[i].name;
                else if (strcmp(keys[i].name, name) == 0) {
                        report_error(context->report, context->place, context->section, name,
                                     "this key belongs in [%s%s]", keys[i].section,
                                     strcmp(keys[i].section, "Manager") == 0 ? "" : " …");
                        return;
                }
        meant = nearest_of(name, candidates, n);
        report_error(context->report, context->place, context->section, NULL, "there is no key %s%s%s", quoted(name),
                     did_you_mean(meant), meant ? "" : "; draind.conf(5) lists them");
}

int keys_set(KeyContext *context, const char *kind, const char *name, const char *value, void *base) {
        const ConfigKey *key = keys_find(kind, name);
        int r;

        if (!key) {
                keys_report_unknown(context, kind, name);
                return KEY_REPORTED;
        }
        context->key = key;
        if (*value == '\0')
                value = key->default_text;
        r = key->parse(context, value, (char *) base + key->offset);
        if (r == KEY_MISMATCH) {
                report_error(context->report, context->place, context->section, key->name, "%s is not %s",
                             quoted(value), key->expects);
                r = KEY_REPORTED;
        }
        return r;
}
