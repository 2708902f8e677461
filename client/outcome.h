#pragma once

/* What came out when the waiting is over: the last sentence, and the exit status. */

#include "follow.h"

/* Of a drain: all that belongs to the operation, or all that the board has. verb: "Stopped". */
must_check int outcome_of_drain(const Follow *follow, const char *verb);
/* Of a wait for services to be "running", "ready", "quiesced" or "stopped". names: borrowed; NULL: all of the board. */
must_check int outcome_of_services(const Follow *follow, const char *state, const json_t *names, const char *verb);
