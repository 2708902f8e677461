#pragma once

/* PURE. How long each phase of each service may take, so that the longest chain ends before the deadline.
 *
 * A drain is a graph of two steps a service: before its first signal (withdraw, quiesce) and after
 * (ExecStop, ladder, kill reserve). The first step waits for the first steps of those that go before it, the
 * second for its own first step and for their second steps. What the longest path from a step to the end wishes
 * for is held against the time that is available. Where it is too long, its wishes are cut in a fixed order:
 * withdraw, then quiesce, then ExecStop and ladder together, each in proportion. Only when ladders at a
 * quarter of their wish still do not fit, ladder and kill reserve shrink together, so that even then nobody's
 * first signal is KILL. A grant is made anew when a step begins: what was left unused has flowed on by then. */

#include <stdint.h>

#include "../../protocol/base.h"
#include "../../protocol/clock.h"
#include "../config/model.h"
#include "order.h"

/* How far a service is, for the longest path. */
typedef enum BudgetStage {
        BUDGET_GONE,       /* takes no more time: stopped, or no part of this drain */
        BUDGET_SIGNALLED,  /* its second step has begun: its own deadlines rule; counts as gone */
        BUDGET_TO_SIGNAL,  /* quiesced: only the second step is to come */
        BUDGET_WHOLE,      /* both steps are to come */
} BudgetStage;

typedef struct Wish {
        usec_t withdraw, quiesce, stop_hook, ladder, kill;
} Wish;

/* What one service gets. Durations, except rest. */
typedef struct Grant {
        usec_t withdraw, quiesce, stop_hook, ladder, kill;
        uint32_t ladder_scale; /* of BUDGET_SCALE_ONE: each rung's time is multiplied by it */
        usec_t rest;           /* what those after this service need from its end on, at the same cut */
        bool is_cut;
} Grant;

#define BUDGET_SCALE_ONE (UINT32_C(1) << 24)

typedef struct Budget Budget;

/* *ret is the caller's: budget_free(). order and services are borrowed for as long; services has order->n entries. */
must_check int budget_new(Budget **ret, const Order *order, const ServiceConfig *services);
Budget *budget_free(Budget *budget);
static inline void budget_freep(Budget **budget) { *budget = budget_free(*budget); }

Wish budget_wish(const ServiceConfig *service);
usec_t budget_wish_total(const ServiceConfig *service);

/* The longest paths that are remembered between grants are made anew by the next one: to be called when services come
 * into a drain. (That some have stopped since only makes a remembered path too long, and it is made anew before
 * anything is cut because of it.) */
void budget_forget(Budget *budget);

/* The service's first step (stages[service] is BUDGET_WHOLE) or second step (BUDGET_TO_SIGNAL) begins now and
 * `available` is left until the deadline of the whole. stages has one BudgetStage for every service.
 * Allocates nothing. */
Grant budget_grant(Budget *budget, unsigned service, const unsigned char *stages, usec_t available);

/* The worst case of a whole drain: offsets from its beginning. A service that is BUDGET_GONE has zeros. */
typedef struct PlanRow {
        usec_t withdraw, quiesce, held, stop_hook, terminate, kill, end; /* when each begins; kill: when KILL is sent */
        Grant grant;
        bool is_planned;
} PlanRow;

/* rows has one entry for every service. Returns the end of the last. Allocates nothing. */
usec_t budget_plan(Budget *budget, const unsigned char *stages, usec_t available, PlanRow *rows);

/* What the longest path wishes for, nothing cut: the time at which everything is granted. path (n entries, may be
 * NULL) gets the services on it in order, *ret_n how many. */
usec_t budget_longest(Budget *budget, const unsigned char *stages, unsigned *path, unsigned *ret_n);
