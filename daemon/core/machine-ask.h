#pragma once

/* PURE. What can be asked of a machine, and how a new core fills one with what the old one has left. */

#include "machine.h"

/* --- a new core takes over --- */

/* Puts a recorded cell or operation in its place; nothing is done yet. */
void machine_restore_cell(Machine *machine, unsigned service, const Cell *cell);
void machine_restore_operation(Machine *machine, unsigned place, const Operation *operation);
/* After all of them: arms every timer and carries out what was ordered and not carried out. Exits that happened in
 * between are told after it: a leader or hook that was started counts as alive until then. Before it the caller sets
 * what only the spawn knows: machine_restore_runs(). */
void machine_restore_runs(Machine *machine, unsigned service, bool leader_was_started, bool hook_was_started);
void machine_restored(Machine *machine, usec_t now);

/* --- looking --- */

const Cell *machine_cell(const Machine *machine, unsigned service);
unsigned machine_n_services(const Machine *machine);
/* place < MACHINE_OPERATIONS_MAX. Ended operations stay until their place is needed. */
const Operation *machine_operation(const Machine *machine, unsigned place);
const Operation *machine_operation_find(const Machine *machine, uint64_t id);
/* The active operation that the service belongs to (the one with the earliest deadline), or NULL. */
const Operation *machine_operation_of(const Machine *machine, unsigned service);
bool machine_is_member(const Machine *machine, unsigned place, unsigned service);
/* The first service that this one waits for (to start, to withdraw or to get its signal), or MACHINE_NO_SERVICE. */
unsigned machine_waits_for(const Machine *machine, unsigned service);
/* The rung's time as granted. */
usec_t machine_rung_time(const Machine *machine, unsigned service, unsigned rung);
/* Worst case of a drain of everything that runs that began now with this budget. rows: one a service. */
usec_t machine_plan(Machine *machine, usec_t budget, PlanRow *rows);
/* No service but stopped ones. */
bool machine_is_idle(const Machine *machine);
/* Events that fell on no row and were not expected there, since the start. */
uint64_t machine_n_unexpected(const Machine *machine);
