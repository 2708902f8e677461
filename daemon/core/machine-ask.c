#include "machine-ask.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "machine-private.h"

/* Starts, the end of a service, and what can be asked of a machine. */

/* --- starting --- */

static bool everything_drains(const Machine *machine) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if ((machine->active & (1u << place)) != 0 && (machine->operations[place].flags & OPERATION_ALL) != 0)
                        return true;
        return false;
}

/* Recorded before anything is started, so that a new core starts what this one does not get to, and so that nobody who
 * comes after another begins before it because that one has not begun yet. */
static void want(Machine *machine, unsigned service) {
        Cell *cell = &machine->cells[service];

        cell_set(cell, CELL_WANTED, true);
        if (cell->state == SERVICE_STOPPED || cell->state == SERVICE_BACKOFF) {
                cell->n_starts = 0;
                cell->n_restarts = 0;
                cell->backoff = 0;
                cell_set(cell, CELL_FAILED, false);
        }
        if (cell->state != SERVICE_STOPPED)
                return;
        cell_set(cell, CELL_STARTS_AFTER, true);
        machine_touch(machine, service);
}

static void go(Machine *machine, unsigned service) {
        ServiceState state = machine->cells[service].state;

        if (state != SERVICE_STOPPED && state != SERVICE_BACKOFF)
                return;
        machine_post(machine, service, EV_START);
        machine_post_gate(machine, service);
}

int machine_start(Machine *machine, unsigned service, usec_t now, const char **ret_why) {
        unsigned *marked = machine->marked, n_marked = 0;
        bool is_new = false;

        machine_at(machine, now);
        *ret_why = machine->why;
        if (everything_drains(machine)) {
                (void) snprintf(machine->why, sizeof(machine->why), "everything is being drained, so nothing is started");
                return MACHINE_REFUSED;
        }
        /* A walk over what it pulls in; marked[] is the queue of the walk. */
        marked[n_marked++] = service;
        for (unsigned at = 0; at < n_marked; at++)
                edges_foreach(pulled, &machine->order->pulls, marked[at]) {
                        bool is_known = false;

                        for (unsigned i = 0; i < n_marked && !is_known; i++)
                                is_known = marked[i] == pulled;
                        if (!is_known)
                                marked[n_marked++] = pulled;
                }
        for (unsigned at = 0; at < n_marked; at++) {
                if (machine_active_of(machine, marked[at]) != 0) {
                        (void) snprintf(machine->why, sizeof(machine->why), "%s is being drained",
                                        machine_config(machine, marked[at])->name);
                        return MACHINE_REFUSED;
                }
                is_new |= machine->cells[marked[at]].state == SERVICE_STOPPED
                        || machine->cells[marked[at]].state == SERVICE_BACKOFF;
        }
        if (!is_new)
                return MACHINE_NOTHING;
        for (unsigned at = n_marked; at-- > 0;)
                want(machine, marked[at]);
        for (unsigned at = n_marked; at-- > 0;)
                go(machine, marked[at]);
        machine_run(machine, now);
        return 0;
}

void machine_want_all(Machine *machine, usec_t now) {
        machine_at(machine, now);
        for (unsigned i = 0; !everything_drains(machine) && i < machine->n; i++)
                want(machine, i);
}

bool machine_start_some(Machine *machine, unsigned n, usec_t now) {
        unsigned n_left = n;

        machine_at(machine, now);
        for (unsigned at = machine->n; at-- > 0;) {
                unsigned i = machine->order->stop_order[at];
                const Cell *cell = &machine->cells[i];

                if (cell->state != SERVICE_STOPPED || !cell_has(cell, CELL_STARTS_AFTER) || machine_active_of(machine, i) != 0)
                        continue;
                if (n_left-- == 0)
                        break;
                go(machine, i);
        }
        machine_run(machine, now);
        return n_left == UINT_MAX;
}

void machine_start_all(Machine *machine, usec_t now) {
        machine_want_all(machine, now);
        drop(machine_start_some(machine, machine->n, now)); /* there are not more */
}

int machine_reload_service(Machine *machine, unsigned service, usec_t now, const char **ret_why) {
        const char *name = machine_config(machine, service)->name;

        *ret_why = machine->why;
        if (machine_config(machine, service)->reload.n == 0) {
                (void) snprintf(machine->why, sizeof(machine->why), "%s has no ExecReload=", name);
                return MACHINE_REFUSED;
        }
        if (machine->cells[service].state != SERVICE_RUNNING) {
                (void) snprintf(machine->why, sizeof(machine->why), "%s is not running", name);
                return MACHINE_REFUSED;
        }
        machine_post(machine, service, EV_RELOAD);
        machine_run(machine, now);
        return 0;
}

/* --- a service that ended for good --- */

static void set_cause(Cause *cause, CauseKind kind, const ServiceConfig *service) {
        *cause = (Cause) { .kind = kind };
        (void) snprintf(cause->service, sizeof(cause->service), "%s", service->name);
}

static void drain_dependents(Machine *machine, unsigned service, CauseKind kind) {
        DrainRequest request = { .budget = USEC_INFINITY, .until = DRAIN_UNTIL_STOPPED };
        const Edges *edges = &machine->order->required_by;
        const char *why;
        uint64_t id;

        request.n_services = edges->first[service + 1] - edges->first[service];
        request.services = &edges->at[edges->first[service]];
        if (request.n_services == 0)
                return;
        set_cause(&request.cause, kind, machine_config(machine, service));
        drop(machine_drain(machine, &request, machine->now, &id, &why)); /* with no free place they run on without it */
}

void machine_ended(Machine *machine, unsigned service) {
        const ServiceConfig *config = machine_config(machine, service);
        Cell *cell = &machine->cells[service];
        bool has_failed = cell_has(cell, CELL_FAILED), was_wanted = cell_has(cell, CELL_WANTED);
        CauseKind kind = cell_has(cell, CELL_LIMITED) ? CAUSE_LIMIT : CAUSE_EXIT;

        cell_set(cell, CELL_WANTED, false);
        if (!was_wanted)
                return;
        machine_touch(machine, service);
        if (config->is_essential && (has_failed || config->type != SERVICE_ONESHOT)) {
                DrainRequest request = { .budget = USEC_INFINITY, .flags = OPERATION_ALL | OPERATION_EXITS };
                const char *why;
                uint64_t id;

                set_cause(&request.cause, kind, config);
                drop(machine_drain(machine, &request, machine->now, &id, &why)); /* the last place is kept for it */
        } else if (has_failed)
                drain_dependents(machine, service, CAUSE_DEPENDENCY);
}

/* --- looking --- */

const char *service_result_name(ServiceResult result) {
        static const char *const names[RESULT_MAX] = {
                "success", "exit-code", "signal", "timeout", "killed", "unkillable", "start-failed", "dependency",
        };

        return result < RESULT_MAX ? names[result] : "unknown";
}

const Cell *machine_cell(const Machine *machine, unsigned service) {
        return &machine->cells[service];
}

unsigned machine_n_services(const Machine *machine) {
        return machine->n;
}

const Operation *machine_operation(const Machine *machine, unsigned place) {
        return &machine->operations[place];
}

const Operation *machine_operation_find(const Machine *machine, uint64_t id) {
        for (unsigned place = 0; id != 0 && place < MACHINE_OPERATIONS_MAX; place++)
                if (machine->operations[place].id == id)
                        return &machine->operations[place];
        return NULL;
}

const Operation *machine_operation_of(const Machine *machine, unsigned service) {
        uint8_t active = machine_active_of(machine, service);
        const Operation *found = NULL;

        for (unsigned place = 0; active != 0; place++, active >>= 1)
                if ((active & 1) != 0 && (!found || machine->operations[place].deadline < found->deadline))
                        found = &machine->operations[place];
        return found;
}

bool machine_is_member(const Machine *machine, unsigned place, unsigned service) {
        return (machine->cells[service].operations & (1u << place)) != 0;
}

static unsigned waits_to_start(const Machine *machine, unsigned service) {
        edges_foreach(needed, &machine->order->start_needs, service) {
                ServiceState state = machine->cells[needed].state;

                if (state != SERVICE_RUNNING && state != SERVICE_RELOADING && state != SERVICE_STOPPED)
                        return needed;
        }
        return MACHINE_NO_SERVICE;
}

unsigned machine_waits_for(const Machine *machine, unsigned service) {
        ServiceState state = machine->cells[service].state;

        if (state == SERVICE_QUEUED)
                return waits_to_start(machine, service);
        if (state != SERVICE_PENDING && state != SERVICE_HELD)
                return MACHINE_NO_SERVICE;
        return machine_blocker(machine, service, state == SERVICE_HELD);
}

usec_t machine_plan(Machine *machine, usec_t budget, PlanRow *rows) {
        usec_t end;

        for (unsigned i = 0; i < machine->n; i++) {
                unsigned char stage = machine->stages[i];

                machine->marked[i] = stage;
                if (machine->active == 0)
                        machine->stages[i] = machine->cells[i].state == SERVICE_STOPPED ? BUDGET_GONE : BUDGET_WHOLE;
        }
        end = budget_plan(machine->budget, machine->stages, budget, rows);
        for (unsigned i = 0; i < machine->n; i++)
                machine->stages[i] = (unsigned char) machine->marked[i];
        budget_forget(machine->budget);
        return end;
}

bool machine_is_idle(const Machine *machine) {
        for (unsigned i = 0; i < machine->n; i++)
                if (machine->cells[i].state != SERVICE_STOPPED)
                        return false;
        return true;
}

uint64_t machine_n_unexpected(const Machine *machine) {
        return machine->n_unexpected;
}
