#pragma once

/* Shows how services move. On a terminal: a block of lines, one a service, drawn again in place; the cursor always
 * rests below it, so there is nothing to restore. Elsewhere: one line for each transition. */

#include "board.h"
#include "client.h"

typedef struct Live {
        const Client *client;     /* borrowed */
        Screen screen;
        bool is_drawn;            /* in place; else lines */
        bool is_silent;           /* --quiet or --json */
        usec_t drawn;             /* when; 0: never */
        bool is_behind;           /* what is drawn is not the newest */
        unsigned *drawn_columns;  /* owned: of each line of the block that stands there */
        unsigned n_drawn, n_drawn_allocated;
} Live;

void live_init(Live *live, const Client *client);
void live_done(Live *live);
/* is_last: nothing follows. Otherwise a terminal may be left behind for a moment: thousands of services move faster
 * than anybody reads. */
void live_show(Live *live, Board *board, usec_t now, bool is_last);
/* When to show it again although nothing has come: time left runs. USEC_INFINITY: never. */
usec_t live_next(const Live *live);
/* The window has another size. */
void live_resized(Live *live);
/* What stands there is not ours any more: the block is drawn afresh below it. */
void live_forget(Live *live);
