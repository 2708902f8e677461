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
        unsigned *drawn_columns;  /* owned: of each line of the block that stands there */
        unsigned n_drawn, n_drawn_allocated;
} Live;

void live_init(Live *live, const Client *client);
void live_done(Live *live);
void live_show(Live *live, Board *board, usec_t now);
/* The window has another size. */
void live_resized(Live *live);
/* What stands there is not ours any more: the block is drawn afresh below it. */
void live_forget(Live *live);
