#include "api-json.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../../protocol/fields.h"
#include "spawn.h"
#include "text.h"

#define ROW(record, wire, type, member) { wire, type, offsetof(record, member), 0 }
/* A number that is left out where it is UNTOLD. */
#define field_optional field_usec
#define UNTOLD         USEC_INFINITY

typedef struct CauseRecord {
        const char *kind, *signal, *command, *service, *reason, *text;
        uint64_t pid, uid;
} CauseRecord;

static const Field cause_fields[] = {
        ROW(CauseRecord, "kind", field_string, kind),       ROW(CauseRecord, "signal", field_string, signal),
        ROW(CauseRecord, "pid", field_optional, pid),       ROW(CauseRecord, "uid", field_optional, uid),
        ROW(CauseRecord, "command", field_string, command), ROW(CauseRecord, "service", field_string, service),
        ROW(CauseRecord, "reason", field_string, reason),   ROW(CauseRecord, "text", field_string, text),
        { NULL, NULL, 0, 0 },
};

typedef struct ServiceRecord {
        const char *name, *state, *phase, *detail, *result, *waits_for, *rung, *status_text, *exit_signal, *failed_step,
                *failed_text, *origin;
        uint64_t since, main_pid, n_processes, exit_code, failed_errno, n_restarts, operation, hops;
        usec_t deadline, left, used, budget;
        bool ready, wanted, needs_restart;
        json_t *cause, *requires; /* owned */
} ServiceRecord;

static const Field service_fields[] = {
        ROW(ServiceRecord, "name", field_string, name),
        ROW(ServiceRecord, "state", field_string, state),
        ROW(ServiceRecord, "phase", field_string, phase),
        ROW(ServiceRecord, "detail", field_string, detail),
        ROW(ServiceRecord, "result", field_string, result),
        ROW(ServiceRecord, "since", field_uint64, since),
        ROW(ServiceRecord, "deadline", field_usec, deadline),
        ROW(ServiceRecord, "leftUsec", field_usec, left),
        ROW(ServiceRecord, "waitsFor", field_string, waits_for),
        ROW(ServiceRecord, "rung", field_string, rung),
        ROW(ServiceRecord, "ready", field_bool, ready),
        ROW(ServiceRecord, "wanted", field_bool, wanted),
        ROW(ServiceRecord, "mainPid", field_optional, main_pid),
        ROW(ServiceRecord, "nProcesses", field_optional, n_processes),
        ROW(ServiceRecord, "statusText", field_string, status_text),
        ROW(ServiceRecord, "exitCode", field_optional, exit_code),
        ROW(ServiceRecord, "exitSignal", field_string, exit_signal),
        ROW(ServiceRecord, "failedStep", field_string, failed_step),
        ROW(ServiceRecord, "failedErrno", field_optional, failed_errno),
        ROW(ServiceRecord, "failedText", field_string, failed_text),
        ROW(ServiceRecord, "nRestarts", field_uint64, n_restarts),
        ROW(ServiceRecord, "operation", field_optional, operation),
        ROW(ServiceRecord, "cause", field_object, cause),
        ROW(ServiceRecord, "hops", field_optional, hops),
        ROW(ServiceRecord, "drainUsedUsec", field_usec, used),
        ROW(ServiceRecord, "drainBudgetUsec", field_usec, budget),
        ROW(ServiceRecord, "needsRestart", field_bool, needs_restart),
        ROW(ServiceRecord, "requires", field_any, requires),
        ROW(ServiceRecord, "origin", field_string, origin),
        { NULL, NULL, 0, 0 },
};

typedef struct OperationRecord {
        const char *state, *until;
        uint64_t id, requested, deadline, left, budget, used, n_killed, n_unkillable;
        bool all, restarts, exits, rolled_back;
        json_t *cause;    /* owned */
        json_t *services; /* borrowed */
} OperationRecord;

static const Field operation_fields[] = {
        ROW(OperationRecord, "id", field_uint64, id),
        ROW(OperationRecord, "state", field_string, state),
        ROW(OperationRecord, "until", field_string, until),
        ROW(OperationRecord, "all", field_bool, all),
        ROW(OperationRecord, "restarts", field_bool, restarts),
        ROW(OperationRecord, "exits", field_bool, exits),
        ROW(OperationRecord, "rolledBack", field_bool, rolled_back),
        ROW(OperationRecord, "cause", field_object, cause),
        ROW(OperationRecord, "requested", field_uint64, requested),
        ROW(OperationRecord, "deadline", field_uint64, deadline),
        ROW(OperationRecord, "leftUsec", field_uint64, left),
        ROW(OperationRecord, "budgetUsec", field_uint64, budget),
        ROW(OperationRecord, "usedUsec", field_uint64, used),
        ROW(OperationRecord, "services", field_any, services),
        ROW(OperationRecord, "nKilled", field_uint64, n_killed),
        ROW(OperationRecord, "nUnkillable", field_uint64, n_unkillable),
        { NULL, NULL, 0, 0 },
};

typedef struct PlanRecord {
        const char *name;
        uint64_t withdraw, quiesce, held, stop_hook, terminate, kill, end, wish, granted;
        bool cut;
        json_t *after; /* owned */
} PlanRecord;

static const Field plan_fields[] = {
        ROW(PlanRecord, "name", field_string, name),
        ROW(PlanRecord, "withdrawAt", field_uint64, withdraw),
        ROW(PlanRecord, "quiesceAt", field_uint64, quiesce),
        ROW(PlanRecord, "heldAt", field_uint64, held),
        ROW(PlanRecord, "stopHookAt", field_uint64, stop_hook),
        ROW(PlanRecord, "terminateAt", field_uint64, terminate),
        ROW(PlanRecord, "killAt", field_uint64, kill),
        ROW(PlanRecord, "endAt", field_uint64, end),
        ROW(PlanRecord, "wishUsec", field_uint64, wish),
        ROW(PlanRecord, "grantedUsec", field_uint64, granted),
        ROW(PlanRecord, "cut", field_bool, cut),
        ROW(PlanRecord, "after", field_any, after),
        { NULL, NULL, 0, 0 },
};

typedef struct ProcessRecord {
        int64_t pid, parent, session;
        const char *state, *command;
        bool escapee, leader;
} ProcessRecord;

static const Field process_fields[] = {
        ROW(ProcessRecord, "pid", field_int64, pid),          ROW(ProcessRecord, "parent", field_int64, parent),
        ROW(ProcessRecord, "session", field_int64, session),  ROW(ProcessRecord, "state", field_string, state),
        ROW(ProcessRecord, "command", field_string, command), ROW(ProcessRecord, "escapee", field_bool, escapee),
        ROW(ProcessRecord, "leader", field_bool, leader),     { NULL, NULL, 0, 0 },
};

typedef struct EventRecord {
        const char *kind, *service, *from, *to, *detail, *text;
        uint64_t sequence, time, realtime, operation;
} EventRecord;

static const Field event_fields[] = {
        ROW(EventRecord, "sequence", field_uint64, sequence), ROW(EventRecord, "time", field_uint64, time),
        ROW(EventRecord, "realtime", field_uint64, realtime), ROW(EventRecord, "kind", field_string, kind),
        ROW(EventRecord, "service", field_string, service),   ROW(EventRecord, "from", field_string, from),
        ROW(EventRecord, "to", field_string, to),             ROW(EventRecord, "detail", field_string, detail),
        ROW(EventRecord, "operation", field_optional, operation),
        ROW(EventRecord, "text", field_string, text),         { NULL, NULL, 0, 0 },
};

/* Text that we got from elsewhere, made safe. */
#define TEXT_BYTES 512u

static const char *safe(char buf[static TEXT_BYTES], const char *text) {
        if (!text || text[0] == '\0')
                return NULL;
        (void) text_escape(buf, TEXT_BYTES, text, strlen(text));
        return buf;
}

static uint64_t time_or_zero(usec_t time) {
        return time == USEC_INFINITY ? 0 : time;
}

int api_json_append(json_t *array, int made, json_t *item) {
        if (made < 0)
                return made;
        return json_array_append_new(array, item) < 0 ? -ENOMEM : 0;
}

int api_json_strings(const StringList *list, json_t **ret) {
        json_t *array = json_array();

        for (unsigned i = 0; array && i < list->n; i++)
                if (json_array_append_new(array, json_string(list->items[i])) < 0) {
                        json_decref(array);
                        return -ENOMEM;
                }
        if (!array)
                return -ENOMEM;
        *ret = array;
        return 0;
}

/* --- cause --- */

must_check static int cause_encode(const Cause *cause, json_t **ret) {
        char signal[16], command[TEXT_BYTES], service[TEXT_BYTES], reason[TEXT_BYTES], text[TEXT_BYTES], raw[TEXT_BYTES / 4];
        bool has_asker = cause->pid > 0 || cause->kind == CAUSE_CLIENT;
        CauseRecord record = {
                .kind = cause_kind_name(cause->kind),
                .signal = cause->signal > 0 ? signal_format(signal, sizeof(signal), cause->signal) : NULL,
                .pid = cause->pid > 0 ? (uint64_t) cause->pid : UNTOLD,
                .uid = has_asker ? cause->uid : UNTOLD,
                .command = safe(command, cause->command),
                .service = safe(service, cause->service),
                .reason = safe(reason, cause->reason),
                .text = text,
        };

        (void) cause_format(raw, sizeof(raw), cause);
        (void) text_escape(text, sizeof(text), raw, strlen(raw));
        return fields_encode(cause_fields, &record, ret);
}

/* --- operation --- */

unsigned api_json_place(Manager *manager, const Operation *operation) {
        return (unsigned) (operation - machine_operation(manager_machine(manager), 0));
}

int api_json_members(Manager *manager, const Operation *operation, json_t **ret) {
        const Machine *machine = manager_machine(manager);
        const Model *model = manager_model(manager);
        unsigned place = api_json_place(manager, operation);
        json_t *array = json_array();

        for (unsigned i = 0; array && i < machine_n_services(machine); i++)
                if (machine_is_member(machine, place, i)
                    && json_array_append_new(array, json_string(model->services[i].name)) < 0) {
                        json_decref(array);
                        return -ENOMEM;
                }
        if (!array)
                return -ENOMEM;
        *ret = array;
        return 0;
}

int api_json_operation(const Operation *operation, usec_t now, json_t *members, json_t **ret) {
        bool is_active = operation_state_is_active(operation->state);
        usec_t until = is_active || operation->ended < operation->requested ? now : operation->ended;
        OperationRecord record = {
                .id = operation->id,
                .state = operation_state_name(operation->state),
                .until = operation->until == DRAIN_UNTIL_QUIESCED ? "quiesced" : "stopped",
                .all = (operation->flags & OPERATION_ALL) != 0,
                .restarts = (operation->flags & OPERATION_RESTART) != 0,
                .exits = (operation->flags & OPERATION_EXITS) != 0,
                .rolled_back = (operation->flags & OPERATION_ROLLED_BACK) != 0,
                .requested = operation->requested,
                .deadline = operation->deadline,
                .left = is_active ? usec_left(operation->deadline, now) : 0,
                .budget = operation->budget,
                .used = usec_left(until, operation->requested),
                .services = members,
                .n_killed = operation->n_killed,
                .n_unkillable = operation->n_unkillable,
        };
        int r;

        r = cause_encode(&operation->cause, &record.cause);
        if (r < 0)
                return r;
        r = fields_encode(operation_fields, &record, ret);
        json_decref(record.cause);
        return r;
}

const Operation *api_json_operation_of(Manager *manager, unsigned service) {
        const Machine *machine = manager_machine(manager);
        const Operation *found = machine_operation_of(machine, service);

        for (unsigned place = 0; !found && place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(machine, place);

                /* None is active here, so what is left is the last one that it belonged to. */
                if (operation->id != 0 && machine_is_member(machine, place, service))
                        found = operation;
        }
        return found;
}

/* --- service --- */

bool api_json_is_ready(const ServiceConfig *config, const Cell *cell) {
        ServiceState state = cell->state;
        PublicState public = service_state_public(state);

        if ((cell->flags & CELL_READY) == 0)
                return false;
        if (public != PUBLIC_DRAINING)
                return public == PUBLIC_RUNNING;
        if ((cell->flags & CELL_LEADER) == 0)
                return false;
        switch (config->withdraw_ready) { /* from the beginning of that phase on it is not */
        case WITHDRAW_READY_WITHDRAW:
                return state < SERVICE_WITHDRAW;
        case WITHDRAW_READY_TERMINATE:
                return state < SERVICE_STOP_HOOK;
        case WITHDRAW_READY_QUIESCE:
        case WITHDRAW_READY_MAX:
        default:
                return state < SERVICE_QUIESCE;
        }
}

/* Of what it is doing now; a running service has none but its watchdog's, which is nobody's concern. */
static usec_t deadline_of(const Cell *cell) {
        if (cell->state == SERVICE_STOPPED || cell->state == SERVICE_RUNNING)
                return USEC_INFINITY;
        if (cell->state == SERVICE_TERMINATE && cell->kill_by != USEC_INFINITY)
                return cell->kill_by;
        return cell->deadline != USEC_INFINITY ? cell->deadline : cell->scope;
}

char *api_json_start_failure(char *buf, size_t size, const StartFailure *failure) {
        (void) snprintf(buf, size, "%s: %s", spawn_step_name((SpawnStep) failure->step), strerror(failure->error));
        return buf;
}

/* How its last run ended, if one did. */
static void put_end(ServiceRecord *record, const Cell *cell, char signal[static 16]) {
        bool has_failed_to_start = cell->failure.step != SPAWN_STEP_NONE;

        if (cell->exit_code != 0 || has_failed_to_start || cell->result != RESULT_SUCCESS)
                record->result = service_result_name(cell->result);
        if (cell->exit_code == CLD_EXITED)
                record->exit_code = (uint64_t) (cell->exit_status & 0xff);
        else if (cell->exit_code == CLD_KILLED || cell->exit_code == CLD_DUMPED)
                record->exit_signal = signal_format(signal, 16, cell->exit_status);
        if (has_failed_to_start) {
                record->failed_step = spawn_step_name((SpawnStep) cell->failure.step);
                record->failed_errno = (uint64_t) (cell->failure.error & INT32_MAX);
                record->failed_text = strerror(cell->failure.error);
        }
}

/* How its drain goes, or went. */
static void put_drain(ServiceRecord *record, Manager *manager, unsigned service, const Cell *cell, usec_t now) {
        bool is_draining = service_state_public(cell->state) == PUBLIC_DRAINING;
        usec_t until = is_draining ? now : cell->since;
        const Operation *operation;

        if (!is_draining && cell->state != SERVICE_STOPPED)
                return;
        operation = api_json_operation_of(manager, service);
        if (operation) {
                record->operation = operation->id;
                record->hops = manager_hops(manager, service);
        }
        if (time_or_zero(cell->drain_began) == 0 || until < cell->drain_began)
                return;
        record->used = until - cell->drain_began;
        record->budget = cell->drain_budget > 0 ? cell->drain_budget : USEC_INFINITY;
}

must_check static int put_cause(ServiceRecord *record, Manager *manager, unsigned service, const Cell *cell) {
        Cause cause;

        if (service_state_public(cell->state) != PUBLIC_DRAINING && cell->state != SERVICE_STOPPED)
                return 0;
        cause = manager_cause(manager, service);
        return cause.kind == CAUSE_NONE ? 0 : cause_encode(&cause, &record->cause);
}

static const char *current_rung(char *buf, size_t size, const ServiceConfig *config, const Cell *cell) {
        if (cell->state != SERVICE_TERMINATE || cell->rung >= config->n_rungs)
                return NULL;
        return rungs_format(buf, size, &config->rungs[cell->rung], 1);
}

int api_json_service(Manager *manager, unsigned service, int n_processes, json_t **ret) {
        const Machine *machine = manager_machine(manager);
        const Model *model = manager_model(manager);
        const ServiceConfig *config = &model->services[service];
        const Cell *cell = machine_cell(machine, service);
        ServiceRuntime runtime = manager_runtime(manager, service);
        unsigned waits_for = machine_waits_for(machine, service);
        Phase phase = service_state_phase(cell->state);
        usec_t now = manager_now(manager), deadline = deadline_of(cell);
        char signal[16], rung[64], status[TEXT_BYTES];
        ServiceRecord record = {
                .name = config->name,
                .state = public_state_name(service_state_public(cell->state)),
                .phase = phase == PHASE_NONE ? NULL : phase_name(phase),
                .detail = service_state_name(cell->state),
                .since = time_or_zero(cell->since),
                .deadline = deadline, .left = usec_left(deadline, now),
                .waits_for = waits_for == MACHINE_NO_SERVICE ? NULL : model->services[waits_for].name,
                .rung = current_rung(rung, sizeof(rung), config, cell),
                .ready = api_json_is_ready(config, cell),
                .wanted = (cell->flags & CELL_WANTED) != 0,
                .main_pid = runtime.main_pid > 0 ? (uint64_t) runtime.main_pid : UNTOLD,
                .n_processes = n_processes >= 0 ? (uint64_t) n_processes : UNTOLD,
                .status_text = safe(status, runtime.status_text),
                .exit_code = UNTOLD, .failed_errno = UNTOLD, .operation = UNTOLD, .hops = UNTOLD,
                .n_restarts = cell->n_restarts,
                .used = USEC_INFINITY, .budget = USEC_INFINITY,
                .needs_restart = runtime.needs_restart,
                .origin = config->origin ? config->origin : "",
        };
        int r;

        put_end(&record, cell, signal);
        put_drain(&record, manager, service, cell, now);
        r = put_cause(&record, manager, service, cell);
        if (r == 0)
                r = api_json_strings(&config->requires, &record.requires);
        if (r == 0)
                r = fields_encode(service_fields, &record, ret);
        json_decref(record.cause);
        json_decref(record.requires);
        return r;
}

/* --- plan --- */

must_check static int planned_before(Manager *manager, unsigned service, const PlanRow *rows, json_t **ret) {
        const Model *model = manager_model(manager);
        json_t *array = json_array();
        int r = array ? 0 : -ENOMEM;

        edges_foreach(before, &manager_order(manager)->stop_waits, service)
                if (r == 0 && rows[before].is_planned)
                        r = api_json_append(array, 0, json_string(model->services[before].name));
        if (r < 0) {
                json_decref(array);
                return r;
        }
        *ret = array;
        return 0;
}

int api_json_plan_service(Manager *manager, unsigned service, const PlanRow *rows, json_t **ret) {
        const ServiceConfig *config = &manager_model(manager)->services[service];
        const PlanRow *row = &rows[service];
        const Grant *grant = &row->grant;
        PlanRecord record = {
                .name = config->name,
                .withdraw = row->withdraw, .quiesce = row->quiesce, .held = row->held, .stop_hook = row->stop_hook,
                .terminate = row->terminate, .kill = row->kill, .end = row->end,
                .wish = budget_wish_total(config),
                .granted = usec_add(usec_add(usec_add(grant->withdraw, grant->quiesce), grant->stop_hook),
                                    usec_add(grant->ladder, grant->kill)),
                .cut = grant->is_cut,
        };
        int r;

        r = planned_before(manager, service, rows, &record.after);
        if (r < 0)
                return r;
        r = fields_encode(plan_fields, &record, ret);
        json_decref(record.after);
        return r;
}

/* --- processes, events, output --- */

int api_json_process(const TreeProcess *process, bool is_leader, json_t **ret) {
        char command[sizeof(process->command) * TEXT_ESCAPE_GROWTH + 1];
        ProcessRecord record = {
                .pid = process->pid, .parent = process->parent, .session = process->session,
                .state = (const char[]) { process->state > ' ' && process->state < 0x7f ? process->state : '?', '\0' },
                .command = command,
                .escapee = process->is_escapee, .leader = is_leader,
        };

        (void) text_escape(command, sizeof(command), process->command, strnlen(process->command, sizeof(process->command)));
        return fields_encode(process_fields, &record, ret);
}

int api_json_event(const Event *event, json_t **ret) {
        EventRecord record = {
                .sequence = event->sequence, .time = time_or_zero(event->time), .realtime = event->realtime_usec,
                .kind = event_kind_name(event->kind),
                .service = event->service, .from = event->from, .to = event->to, .detail = event->detail,
                .operation = event->operation > 0 ? event->operation : UNTOLD,
                .text = event->text ? event->text : "",
        };

        return fields_encode(event_fields, &record, ret);
}

int api_json_line(const OutputLine *line, int64_t realtime_offset, json_t **ret) {
        *ret = json_pack("{s:I, s:s, s:s%}", "realtime", (json_int_t) line->time + realtime_offset, "service", line->service,
                         "text", line->text, line->length);
        return *ret ? 0 : -ENOMEM;
}
