#pragma once

/* A call that goes on until something is reached: shows what happens, joins again when the connection is lost, and
 * leaves on Ctrl-C or when --timeout is over, which ends nothing but the waiting. */

#include "board.h"
#include "client.h"
#include "live.h"

typedef struct Follow {
        Client *client;      /* borrowed */
        const char *method;  /* borrowed */
        json_t *parameters;  /* owned */
        const char *what;    /* borrowed; in words, what goes on when nobody waits: "the start" */
        /* After the first reply, before anything is shown. May be NULL. */
        void (*on_begin)(Client *client, const Board *board);
        Board board;
        Live live;
        int signal_fd;       /* owned */
        usec_t began;
        unsigned n_replies, n_lost; /* n_lost: connections, since the last reply */
        bool daemon_has_ended;      /* as the operation asked for */
} Follow;

/* parameters: consumed. */
void follow_init(Follow *follow, Client *client, const char *method, json_t *parameters, const char *what);
void follow_done(Follow *follow);
/* STATUS_REACHED: done was told; the board has the last of everything. Else it was said on stderr why not. */
must_check int follow_run(Follow *follow);
