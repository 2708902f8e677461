#pragma once

/* The rules of the design as oracles, kept on books of the simulator's own: what it asked for, what it did, what it
 * saw. A field of the machine is read only where the oracle is about what the machine reports. */

#include "world.h"

Books *books_new(void);
Books *books_free(Books *books);
void oracles_list(void);
void oracles_begin(World *world);
void oracles_at_end(World *world);

/* What the machine orders. */
void oracles_on_changed(World *world, unsigned service, ServiceState from, ServiceEvent on, usec_t now);
void oracles_on_action(World *world, unsigned service, ServiceAction action, usec_t now);
void oracles_on_signal(World *world, unsigned service, unsigned rung, bool to_tree);
void oracles_on_hook(World *world, unsigned service, HookKind kind, unsigned command);
void oracles_on_hook_started(World *world, unsigned service, HookKind kind);
void oracles_on_spawn(World *world, unsigned service);
void oracles_on_spawned(World *world, unsigned service);
void oracles_on_spawn_failed(World *world, unsigned service, bool is_retryable);
void oracles_on_arm(World *world, unsigned service, usec_t deadline);
void oracles_on_operation(World *world, unsigned place, const Operation *operation, usec_t now);

/* What it is told. */
void oracles_on_exit(World *world, unsigned service, int code, int status, bool is_empty);
void oracles_after_exit(World *world, unsigned service);
void oracles_on_hook_exit(World *world, unsigned service, bool is_empty);
void oracles_on_empty(World *world, unsigned service);
void oracles_on_ready(World *world, unsigned service);
void oracles_after_guards(World *world, unsigned service);
void oracles_on_ping(World *world, unsigned service);
void oracles_on_extend(World *world, unsigned service, usec_t by);
void oracles_after_extend(World *world, unsigned service, bool is_granted);
void oracles_on_crash(World *world);
void oracles_after_restore(World *world);
void oracles_after_step(World *world);
/* Nothing is due any more; the next thing happens at `next`. */
void oracles_when_quiet(World *world, usec_t next);
void oracles_on_busy(World *world);

/* Requests: what they must do and what they must leave alone. */
void oracles_before_drain(World *world, const DrainRequest *request);
void oracles_after_drain(World *world, const DrainRequest *request, int r, uint64_t id, const char *why);
void oracles_before_resume(World *world, uint64_t id);
void oracles_after_resume(World *world, uint64_t id, int r, const char *why);
void oracles_before_harder(World *world, uint64_t id, bool to_kill);
void oracles_after_harder(World *world, uint64_t id, bool to_kill, int r);
void oracles_before_start_all(World *world);
void oracles_before_start(World *world, unsigned service);
void oracles_after_start(World *world, unsigned service, int r, const char *why);
void oracles_before_request(World *world);
void oracles_after_request(World *world, int r, const char *why);
