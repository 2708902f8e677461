#pragma once

/* What a stream of replies has told so far: the newest of each service, and of the operation. Shows nothing. */

#include "view.h"

typedef struct BoardEntry {
        json_t *value;    /* owned */
        ServiceView view; /* borrows from value */
        usec_t told;      /* when that was, on our own clock */
        bool is_new;      /* told and not looked at yet: for whoever shows it */
        char *shown;      /* owned; what was shown of it last; NULL: nothing */
} BoardEntry;

typedef struct Board {
        BoardEntry *entries; /* owned; in the order in which they were told first */
        unsigned n, allocated;
        json_t *index;          /* owned: name to place */
        json_t *operation;      /* owned; NULL: none */
        OperationView operation_view;
        usec_t operation_told;
} Board;

void board_init(Board *board);
void board_done(Board *board);
/* Takes in the members "services" and "operation" of a reply. Returns whether there were any. */
bool board_update(Board *board, const json_t *parameters, usec_t now);
/* NULL: not told of. Borrowed. */
const BoardEntry *board_find(const Board *board, const char *name);
/* What is left now, on our own clock: the daemon's may stand in another time namespace. */
usec_t board_left(usec_t left, usec_t told, usec_t now);
