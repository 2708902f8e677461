#pragma once

/* `draind [options] -- COMMAND`: one service without a file. Knows the command line, and no INI. */

#include "draft.h"

typedef struct CommandLine {
        const char *grace, *stop_signals, *withdraw, *name; /* as given; NULL where not; borrowed */
        char *const *argv;                                  /* the command, NULL at its end; borrowed */
} CommandLine;

enum { COMMAND_LINE_WRONG = 1 }; /* the report says what */

/* Adds the service to an empty draft. 0, -errno, or COMMAND_LINE_WRONG. */
must_check int command_line_draft(Draft *draft, const CommandLine *line);
