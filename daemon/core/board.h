#pragma once

/* The blackboard: what the next core must know, in a memfd that the keeper keeps. Each record stands in two slots in
 * turn, with a sequence number, so that a write that was cut off leaves the older copy. Knows no meaning of what it holds. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../protocol/base.h"
#include "machine.h"

#define BOARD_INSTANCE_MAX 17u /* 16 hexadecimal digits and a NUL */

/* What stands beside the cell: processes are known by pid alone; a new core makes their pidfds. */
typedef struct BoardRun {
        Cell cell;
        int32_t leader, hook, main; /* pids; main: as MAINPID= said, 0: the leader */
} BoardRun;

/* Written word by word, outside the slots. */
typedef struct BoardWords {
        pid_t leader, hook;     /* the kernel stores the pid here before the child's first instruction */
        uint32_t signal_intent; /* number of the signal that is about to be sent: counts up through a stop */
        uint32_t signal_sent;   /* the last one that has been sent */
        uint32_t told;          /* CellTold, and of which cell: board_told_of() */
} BoardWords;

/* State, rung and whether there is a leader, above the bits of CellTold. */
static inline uint32_t board_told_of(const Cell *cell) {
        return (uint32_t) (cell->flags & CELL_LEADER) << 24 | (uint32_t) cell->state << 16 | (uint32_t) cell->rung << 8;
}

typedef struct Board Board;

/* A fresh one with room for n services. *ret: board_free(). */
must_check int board_new(Board **ret, unsigned n);
/* One that an earlier core has left. fd: consumed, on failure too. -EBADMSG: not one that this version can read. */
must_check int board_open(Board **ret, int fd);
Board *board_free(Board *board);
static inline void board_freep(Board **board) { *board = board_free(*board); }

int board_fd(const Board *board); /* borrowed */
unsigned board_n(const Board *board);
/* Text unique to this draind, the same for every core of it. Borrowed. */
const char *board_instance(const Board *board);

/* Place of a service. "" where there is none. Borrowed. */
const char *board_name(const Board *board, unsigned place);
must_check int board_set_name(Board *board, unsigned place, const char *name);
BoardWords *board_words(Board *board, unsigned place);
void board_commit(Board *board, unsigned place, const BoardRun *run);
/* false: nothing was ever committed. */
must_check bool board_read(const Board *board, unsigned place, BoardRun *ret);

void board_commit_operation(Board *board, unsigned place, const Operation *operation);
must_check bool board_read_operation(const Board *board, unsigned place, Operation *ret);
