#pragma once

/* The simulator's own budgets: the longest way through the graph of steps found the plainest way, with a depth of cut
 * that is found by halving. Shares nothing with daemon/core/budget.c. */

#include "graph.h"

typedef enum ShareStage { SHARE_GONE, SHARE_SECOND, SHARE_BOTH } ShareStage;

typedef struct Share {
        usec_t withdraw, quiesce, stop_hook, ladder, kill;
        double ladder_scale;
        bool is_cut;
        usec_t rest;    /* what those after it need, at the same depth of cut */
        usec_t longest; /* from this step to the end of everything, uncut */
} Share;

/* is_exact: look for the depth; else a cut is only noticed. */
Share share_of(const Graph *graph, const ShareStage *stages, unsigned service, usec_t available, bool is_exact);
