#pragma once

/* PURE. Who goes before whom: the start graph and the stop graph of a model's services, and their cycles.
 * Opens nothing, reads no clock; allocates only in order_new().
 *
 * Start: a service waits for everything it names in Requires= or After=.
 * Stop: X goes before Y where X requires Y or is after Y, or where Y names X in StopAfter= (which overrides an
 * After= between the two, never a Requires=). Supporting services, and what they need, go after all others. */

#include <stdbool.h>

#include "../../protocol/base.h"
#include "../config/model.h"

/* Neighbours of every service in one direction: those of i are at[first[i]] … at[first[i + 1] - 1]. */
typedef struct Edges {
        unsigned *first; /* n + 1 entries */
        unsigned *at;
} Edges;

typedef struct Order {
        unsigned n;
        Edges start_needs;   /* i -> whom its start waits for (Requires=, After=) */
        Edges start_holds;   /* the inverse */
        Edges requires;      /* i -> whom it cannot do without (Requires=) */
        Edges required_by;   /* the inverse */
        Edges pulls;         /* i -> whom a start of it starts as well (Requires=, Wants=) */
        Edges stop_waits;    /* i -> who must go before it */
        Edges stop_holds;    /* the inverse: whom i holds up */
        bool *is_late;       /* supporting, or needed by something supporting */
        unsigned n_late;
        unsigned *stop_order; /* all services, those that stop first in front */
} Order;

enum {
        ORDER_UNKNOWN = 1, /* a name that is no service: *reterr has service and name */
        ORDER_CYCLE,       /* *reterr has the path */
};

typedef struct OrderProblem {
        unsigned service;  /* ORDER_UNKNOWN: who names it */
        const char *name;  /* ORDER_UNKNOWN: what; borrowed from the model */
        unsigned *path;    /* ORDER_CYCLE: each waits for the next, the last for the first; owned, free() */
        unsigned n_path;
        bool is_start;     /* ORDER_CYCLE: in the start graph, else in the stop graph */
} OrderProblem;

/* *ret is the caller's: order_free(). The model is only read. 0, -ENOMEM, or an outcome with *reterr set. */
must_check int order_new(Order **ret, const Model *model, OrderProblem *reterr);
Order *order_free(Order *order);
static inline void order_freep(Order **order) { *order = order_free(*order); }

#define edges_foreach(neighbour, edges, i)                                                     \
        for (unsigned at_ = (edges)->first[i], neighbour;                                      \
             at_ < (edges)->first[(i) + 1] && ((neighbour) = (edges)->at[at_], true); at_++)
