#pragma once

/* The configuration as plain values: what draind-config has read and checked, what the core runs by.
 * Knows neither files nor JSON. Names refer to services; indices are places in Model.services. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h> /* uid_t, gid_t, mode_t */

#include "../../protocol/base.h"
#include "../../protocol/clock.h" /* usec_t, by value */
#include "signals.h"     /* the names in a ladder */
#include "string-list.h" /* by value */

#define SERVICE_NAME_MAX 63u /* bytes, without the NUL */
#define SERVICES_MAX     8192u
#define RUNGS_MAX        32u

typedef enum ServiceType {
        SERVICE_SIMPLE, SERVICE_EXEC, SERVICE_NOTIFY, SERVICE_ONESHOT, SERVICE_TYPE_MAX
} ServiceType;
typedef enum RestartPolicy { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS, RESTART_POLICY_MAX } RestartPolicy;
typedef enum WithdrawReady {
        WITHDRAW_READY_QUIESCE, WITHDRAW_READY_WITHDRAW, WITHDRAW_READY_TERMINATE, WITHDRAW_READY_MAX
} WithdrawReady;
typedef enum OnGuardTimeout { ON_GUARD_CONTINUE, ON_GUARD_ROLLBACK, ON_GUARD_MAX } OnGuardTimeout;
typedef enum OutputKind {
        OUTPUT_LOG, OUTPUT_INHERIT, OUTPUT_NULL, OUTPUT_FILE, OUTPUT_APPEND, OUTPUT_KIND_MAX
} OutputKind;
typedef enum ConfigLogTarget {
        CONFIG_LOG_AUTO, CONFIG_LOG_JOURNAL, CONFIG_LOG_CONSOLE, CONFIG_LOG_JSON, CONFIG_LOG_MAX
} ConfigLogTarget;

/* One step of the ladder. */
typedef struct Rung {
        int signal;
        bool to_tree; /* else to the leader */
        usec_t time;  /* until the next rung, or KILL */
} Rung;

/* argv is owned, ends with NULL, has at least one entry; argv[0] is absolute, or a name that PATH is searched for. */
typedef struct Command {
        char **argv;
        bool may_fail; /* written with '-' in front: its failure counts as success */
} Command;

typedef struct CommandList {
        Command *items; /* owned */
        unsigned n;
} CommandList;

typedef struct Limit {
        int resource; /* RLIMIT_… */
        uint64_t soft, hard; /* UINT64_MAX is infinity */
} Limit;

typedef struct Output {
        OutputKind kind;
        char *path; /* owned; OUTPUT_FILE, OUTPUT_APPEND */
} Output;

/* One [Service NAME]. Every pointer is owned by it; NULL where the key is not given. */
typedef struct ServiceConfig {
        char *name;
        char *origin; /* "FILE:LINE" of the section, for messages */

        /* run */
        ServiceType type;
        CommandList start_pre, reload, stop, stop_post;
        Command start;
        bool has_user; /* uid, gid and groups were resolved by draind-config */
        uid_t uid;
        gid_t gid;
        bool has_groups; /* supplementary groups are set to exactly these */
        gid_t *groups;
        unsigned n_groups;
        char *user_name, *home, *shell; /* for USER, LOGNAME, HOME, SHELL; NULL without User= */
        char *working_directory;
        bool working_directory_may_fail; /* written with '-' in front */
        StringList environment;          /* NAME=VALUE, files already read in, later ones win */
        bool has_umask, has_nice, has_oom_score_adjust;
        mode_t umask;
        int nice, oom_score_adjust;
        Limit *limits;
        unsigned n_limits;
        bool no_new_privileges;
        bool has_bounding;
        uint64_t bounding, ambient; /* capability bit sets */
        Output output, error;       /* error.kind is OUTPUT_KIND_MAX: as output */

        /* keep: names of services; start order is After= and Requires= together */
        StringList requires, wants, after;
        RestartPolicy restart;
        usec_t restart_delay, restart_delay_max;
        unsigned start_limit_burst; /* 0: no limit */
        usec_t start_limit_interval;
        uint64_t success_statuses[4]; /* bit set of exit statuses 0 to 255 that count as success; 0 always does */
        uint64_t success_signals;     /* bit N-1: death by signal N counts as success */
        usec_t start_timeout;         /* USEC_INFINITY: none */
        usec_t watchdog;              /* 0: none */
        bool is_essential;

        /* stop */
        usec_t withdraw, quiesce;
        WithdrawReady withdraw_ready;
        StringList guards; /* as written; kept for the probes that come later */
        OnGuardTimeout on_guard_timeout;
        Rung *rungs; /* never empty: TERM:10s by default */
        unsigned n_rungs;
        usec_t kill_reserve; /* the manager's KillReserveSec= */
        StringList stop_after;
        bool is_supporting;
} ServiceConfig;

/* The whole of it. services is sorted by name (strcmp) and owned. */
typedef struct Model {
        usec_t grace;
        usec_t outer_grace; /* USEC_INFINITY: not given */
        usec_t kill_reserve;
        unsigned warn_stop_after_percent;
        char *control_socket; /* NULL: in the runtime directory */
        bool has_control_group;
        gid_t control_group;
        char *runtime_directory, *state_directory; /* NULL: the default for who we are */
        ConfigLogTarget log_target;
        int log_level; /* syslog's numbers */
        bool use_cgroup;
        StringList listen; /* for the gateway */
        bool is_command;   /* draind [options] -- COMMAND: one essential service whose status is ours */
        ServiceConfig *services;
        unsigned n_services;
} Model;

/* Values that a key has when nobody gives it. The parts that own memory are empty. */
void model_defaults(Model *model);
void service_config_defaults(ServiceConfig *config);
/* Frees what they own; the struct itself is the caller's. Empty values are fine; for the first two NULL too. */
void model_done(Model *model);
void service_config_done(ServiceConfig *config);
void command_done(Command *command);
void command_list_done(CommandList *list);
Model *model_free(Model *model);
static inline void model_freep(Model **model) { *model = model_free(*model); }
static inline void model_donep(Model *model) { model_done(model); }
/* Index of the service with this name, or -1. Needs the services sorted. */
int model_find(const Model *model, const char *name);
const char *service_type_name(ServiceType type);
const char *restart_policy_name(RestartPolicy policy);
/* "TERM:8s INT@tree:2s", as StopSignals= is written. Returns buf, cut if it must be. */
char *rungs_format(char *buf, size_t size, const Rung *rungs, unsigned n_rungs);
