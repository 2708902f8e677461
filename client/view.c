#include "view.h"

#include <string.h>

#define ROW(view, wire, type, member) { wire, type, offsetof(view, member), 0 }

static const Field cause_fields[] = {
        ROW(CauseView, "kind", field_string, kind),       ROW(CauseView, "signal", field_string, signal),
        ROW(CauseView, "command", field_string, command), ROW(CauseView, "service", field_string, service),
        ROW(CauseView, "reason", field_string, reason),   ROW(CauseView, "text", field_string, text),
        { NULL, NULL, 0, 0 },
};

static const Field service_fields[] = {
        ROW(ServiceView, "name", field_string, name),
        ROW(ServiceView, "state", field_string, state),
        ROW(ServiceView, "phase", field_string, phase),
        ROW(ServiceView, "detail", field_string, detail),
        ROW(ServiceView, "result", field_string, result),
        ROW(ServiceView, "waitsFor", field_string, waits_for),
        ROW(ServiceView, "rung", field_string, rung),
        ROW(ServiceView, "statusText", field_string, status_text),
        ROW(ServiceView, "exitSignal", field_string, exit_signal),
        ROW(ServiceView, "failedStep", field_string, failed_step),
        ROW(ServiceView, "failedText", field_string, failed_text),
        ROW(ServiceView, "origin", field_string, origin),
        ROW(ServiceView, "since", field_usec, since),
        ROW(ServiceView, "leftUsec", field_usec, left),
        ROW(ServiceView, "drainUsedUsec", field_usec, used),
        ROW(ServiceView, "drainBudgetUsec", field_usec, budget),
        ROW(ServiceView, "mainPid", field_int64, main_pid),
        ROW(ServiceView, "nProcesses", field_int64, n_processes),
        ROW(ServiceView, "exitCode", field_int64, exit_code),
        ROW(ServiceView, "nRestarts", field_int64, n_restarts),
        ROW(ServiceView, "operation", field_int64, operation),
        ROW(ServiceView, "hops", field_int64, hops),
        ROW(ServiceView, "ready", field_bool, ready),
        ROW(ServiceView, "wanted", field_bool, wanted),
        ROW(ServiceView, "needsRestart", field_bool, needs_restart),
        ROW(ServiceView, "requires", field_strings, requires),
        ROW(ServiceView, "cause", field_object, cause),
        { NULL, NULL, 0, 0 },
};

static const Field operation_fields[] = {
        ROW(OperationView, "id", field_int64, id),
        ROW(OperationView, "nKilled", field_int64, n_killed),
        ROW(OperationView, "nUnkillable", field_int64, n_unkillable),
        ROW(OperationView, "state", field_string, state),
        ROW(OperationView, "until", field_string, until),
        ROW(OperationView, "all", field_bool, all),
        ROW(OperationView, "restarts", field_bool, restarts),
        ROW(OperationView, "exits", field_bool, exits),
        ROW(OperationView, "rolledBack", field_bool, rolled_back),
        ROW(OperationView, "leftUsec", field_usec, left),
        ROW(OperationView, "budgetUsec", field_usec, budget),
        ROW(OperationView, "usedUsec", field_usec, used),
        ROW(OperationView, "services", field_strings, services),
        ROW(OperationView, "cause", field_object, cause),
        { NULL, NULL, 0, 0 },
};

static const Field manager_fields[] = {
        ROW(ManagerView, "version", field_string, version),
        ROW(ManagerView, "pid", field_int64, pid),
        ROW(ManagerView, "keeperPid", field_int64, keeper_pid),
        ROW(ManagerView, "generation", field_int64, generation),
        ROW(ManagerView, "nServices", field_int64, n_services),
        ROW(ManagerView, "nRunning", field_int64, n_running),
        ROW(ManagerView, "logDropped", field_int64, log_dropped),
        ROW(ManagerView, "now", field_usec, now),
        ROW(ManagerView, "graceUsec", field_usec, grace),
        ROW(ManagerView, "outerGraceUsec", field_usec, outer_grace),
        ROW(ManagerView, "draining", field_bool, draining),
        { NULL, NULL, 0, 0 },
};

static const Field plan_fields[] = {
        ROW(PlanView, "name", field_string, name),
        ROW(PlanView, "withdrawAt", field_usec, withdraw),
        ROW(PlanView, "quiesceAt", field_usec, quiesce),
        ROW(PlanView, "heldAt", field_usec, held),
        ROW(PlanView, "stopHookAt", field_usec, stop_hook),
        ROW(PlanView, "terminateAt", field_usec, terminate),
        ROW(PlanView, "killAt", field_usec, kill),
        ROW(PlanView, "endAt", field_usec, end),
        ROW(PlanView, "wishUsec", field_usec, wish),
        ROW(PlanView, "grantedUsec", field_usec, granted),
        ROW(PlanView, "cut", field_bool, cut),
        ROW(PlanView, "after", field_strings, after),
        { NULL, NULL, 0, 0 },
};

static const Field process_fields[] = {
        ROW(ProcessView, "pid", field_int64, pid),           ROW(ProcessView, "parent", field_int64, parent),
        ROW(ProcessView, "session", field_int64, session),   ROW(ProcessView, "state", field_string, state),
        ROW(ProcessView, "command", field_string, command),  ROW(ProcessView, "escapee", field_bool, escapee),
        ROW(ProcessView, "leader", field_bool, leader),      { NULL, NULL, 0, 0 },
};

static const Field event_fields[] = {
        ROW(EventView, "kind", field_string, kind),
        ROW(EventView, "service", field_string, service),
        ROW(EventView, "text", field_string, text),
        ROW(EventView, "realtime", field_int64, realtime),
        { NULL, NULL, 0, 0 },
};

static const Field log_line_fields[] = {
        ROW(LogLineView, "service", field_string, service),
        ROW(LogLineView, "text", field_string, text),
        ROW(LogLineView, "realtime", field_int64, realtime),
        { NULL, NULL, 0, 0 },
};

/* Unlike fields_decode() it forgives. */
static void decode(const json_t *object, const Field *fields, void *ret) {
        for (const Field *field = fields; field->name; field++) {
                const json_t *value = json_object_get(object, field->name);

                if (value && !json_is_null(value))
                        (void) field->type->decode(field->type, value, (char *) ret + field->offset);
        }
}

CauseView view_cause(const json_t *object) {
        CauseView view = { 0 };

        decode(object, cause_fields, &view);
        return view;
}

ServiceView view_service(const json_t *object) {
        ServiceView view = { .name = "?", .state = "?", .since = USEC_INFINITY, .left = USEC_INFINITY,
                             .used = USEC_INFINITY, .budget = USEC_INFINITY, .main_pid = -1, .n_processes = -1,
                             .exit_code = -1, .n_restarts = -1, .operation = -1, .hops = -1 };

        decode(object, service_fields, &view);
        return view;
}

OperationView view_operation(const json_t *object) {
        OperationView view = { .id = -1, .state = "?", .left = USEC_INFINITY, .budget = USEC_INFINITY,
                               .used = USEC_INFINITY };

        decode(object, operation_fields, &view);
        return view;
}

ManagerView view_manager(const json_t *object) {
        ManagerView view = { .version = "?", .pid = -1, .keeper_pid = -1, .generation = -1, .now = USEC_INFINITY,
                             .grace = USEC_INFINITY, .outer_grace = USEC_INFINITY };

        decode(object, manager_fields, &view);
        return view;
}

PlanView view_plan(const json_t *object) {
        PlanView view = { .name = "?" };

        decode(object, plan_fields, &view);
        return view;
}

ProcessView view_process(const json_t *object) {
        ProcessView view = { .pid = -1, .parent = -1, .session = -1 };

        decode(object, process_fields, &view);
        return view;
}

EventView view_event(const json_t *object) {
        EventView view = { 0 };

        decode(object, event_fields, &view);
        return view;
}

LogLineView view_log_line(const json_t *object) {
        LogLineView view = { 0 };

        decode(object, log_line_fields, &view);
        return view;
}

const char *view_or_empty(const char *text) {
        return text ? text : "";
}

bool view_is(const char *text, const char *expected) {
        return text && strcmp(text, expected) == 0;
}

bool view_service_is_running(const ServiceView *service) {
        return view_is(service->state, "running");
}

bool view_service_has_failed(const ServiceView *service) {
        return view_is(service->state, "stopped") && service->result && !view_is(service->result, "success");
}

bool view_service_was_killed(const ServiceView *service) {
        return view_is(service->state, "stopped") &&
               (view_is(service->result, "killed") || view_is(service->result, "unkillable"));
}

Colour view_service_colour(const ServiceView *service) {
        if (view_is(service->state, "running"))
                return service->ready ? COLOUR_GREEN : COLOUR_CYAN;
        if (view_is(service->state, "starting"))
                return COLOUR_BLUE;
        if (view_is(service->state, "draining"))
                return view_is(service->phase, "kill") ? COLOUR_RED : COLOUR_YELLOW;
        return view_service_has_failed(service) ? COLOUR_RED : COLOUR_DIM;
}

void view_add_dot(Text *text, const ServiceView *service) {
        Glyph glyph = GLYPH_DOT;

        if (view_service_has_failed(service))
                glyph = GLYPH_CROSS;
        else if (view_is(service->state, "stopped"))
                glyph = GLYPH_RING;
        text_add_glyph(text, view_service_colour(service), glyph);
}

static const struct {
        const char *result, *words;
} result_words[] = {
        { "exit-code", "failed" },     { "signal", "failed" },         { "timeout", "timed out" },
        { "killed", "killed" },        { "unkillable", "unkillable" }, { "start-failed", "start failed" },
        { "dependency", "dependency" },
};

void view_add_state(Text *text, const ServiceView *service) {
        Colour colour = view_service_colour(service);
        const char *more = NULL;

        if (view_is(service->state, "draining"))
                more = service->phase;
        else if (view_service_has_failed(service)) {
                more = service->result;
                for (size_t i = 0; i < n_elements(result_words); i++)
                        if (view_is(service->result, result_words[i].result))
                                more = result_words[i].words;
        } else if (view_is(service->state, "running") && !service->ready)
                more = "not ready";
        text_add_coloured(text, colour, "%s%s%s", service->state, more ? ": " : "", more ? more : "");
}

bool view_add_end(Text *text, const ServiceView *service) {
        if (service->failed_step || service->failed_text) {
                text_add_foreign(text, view_or_empty(service->failed_step));
                text_add(text, "%s", service->failed_step && service->failed_text ? ": " : "");
                text_add_foreign(text, view_or_empty(service->failed_text));
        } else if (service->exit_signal) {
                text_add(text, "ended by SIG");
                text_add_foreign(text, strncmp(service->exit_signal, "SIG", 3) == 0 ? service->exit_signal + 3
                                                                                    : service->exit_signal);
        } else if (service->exit_code >= 0) {
                text_add(text, "exit code %lld", (long long) service->exit_code);
        } else {
                return false;
        }
        return true;
}

/* Begins another part of a list: a comma where there is one before it. */
static void add_comma(Text *text, bool *is_first) {
        if (!*is_first)
                text_add(text, ", ");
        *is_first = false;
}

static void add_info_stopped(Text *text, const ServiceView *service) {
        bool is_first = true;
        bool went_wrong = view_service_has_failed(service);

        if (service->used != USEC_INFINITY) {
                add_comma(text, &is_first);
                text_add(text, "drained in ");
                text_add_duration(text, service->used);
                if (service->budget != USEC_INFINITY) {
                        text_add(text, " of ");
                        text_add_duration(text, service->budget);
                }
        }
        if (went_wrong && (service->failed_step || service->failed_text || service->exit_signal ||
                           service->exit_code >= 0)) {
                add_comma(text, &is_first);
                (void) view_add_end(text, service);
        }
}

static void add_info_moving(Text *text, const ServiceView *service, usec_t left) {
        bool is_first = true;

        if (left != USEC_INFINITY) {
                add_comma(text, &is_first);
                text_add_duration(text, left);
                text_add(text, " left");
        }
        if (service->waits_for) {
                add_comma(text, &is_first);
                text_add(text, "waits for ");
                text_add_foreign(text, service->waits_for);
        }
        if (service->rung && view_is(service->phase, "terminate")) {
                add_comma(text, &is_first);
                text_add_foreign(text, service->rung);
        }
        if (!service->waits_for && service->n_processes > 1) {
                add_comma(text, &is_first);
                text_add(text, "%lld processes", (long long) service->n_processes);
        }
        if (is_first && service->status_text)
                text_add_foreign(text, service->status_text);
}

void view_add_info(Text *text, const ServiceView *service, usec_t left) {
        if (view_is(service->state, "stopped")) {
                add_info_stopped(text, service);
                return;
        }
        if (!view_is(service->state, "running")) {
                add_info_moving(text, service, left);
                return;
        }
        text_add_foreign(text, service->status_text);
        if (service->needs_restart)
                text_add_coloured(text, COLOUR_YELLOW, "%sneeds a restart", service->status_text ? ", " : "");
}

void view_add_line(Text *text, const ServiceView *service, usec_t left) {
        Screen plain = *text->screen;
        Text info;

        plain.has_colours = false;
        info = text_make(&plain, false);
        view_add_state(text, service);
        view_add_info(&info, service, left);
        if (info.length > 0) {
                text_add(text, view_is(service->state, "running") ? " - " : ", ");
                text_add(text, "%s", info.bytes);
        }
        text_done(&info);
}

void view_add_operation(Text *text, const OperationView *operation) {
        bool to_quiesced = view_is(operation->until, "quiesced");
        const char *verb = operation->restarts ? "restarts" : to_quiesced ? "quiesces" : "stops";

        text_add(text, "operation %lld: %s ", (long long) operation->id, verb);
        if (operation->all)
                text_add(text, "everything");
        else if (operation->services.n == 1)
                text_add_foreign(text, field_strings_at(&operation->services, 0));
        else
                text_add(text, "%u services", operation->services.n);
        if (operation->exits)
                text_add(text, ", then draind ends");
}
