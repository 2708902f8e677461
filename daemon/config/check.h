#pragma once

/* Rules across keys and services: what each line allows and all together do not. Works on a finished draft, changes
 * nothing on disk, and asks the machine nothing but what check_commands() says. */

#include "draft.h"

/* Mistakes and warnings go to the draft's report. Edges of the graph that are mistakes are taken out of the model, so
 * that one mistake is told once. Call after draft_finish(). 0 or -ENOMEM. */
must_check int check_rules(Draft *draft);
/* Commands and directories that are not there now: warnings only, for that is the state of the machine, not of the
 * configuration. */
must_check int check_commands(Draft *draft);
