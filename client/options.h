#pragma once

/* The command line: one table of options, each with the verbs that take it. Options may stand anywhere; "--" ends them.
 * Knows the names of verbs only through its caller. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol/base.h"
#include "../protocol/clock.h"

/* A verb's set of options. */
typedef enum OptionId {
        OPTION_SOCKET = 1 << 0,
        OPTION_JSON = 1 << 1,
        OPTION_QUIET = 1 << 2,
        OPTION_HELP = 1 << 3,
        OPTION_VERSION = 1 << 4,
        OPTION_NO_WAIT = 1 << 5,
        OPTION_TIMEOUT = 1 << 6,
        OPTION_BUDGET = 1 << 7,
        OPTION_UNTIL = 1 << 8,
        OPTION_REASON = 1 << 9,
        OPTION_FORCE = 1 << 10,
        OPTION_ALL = 1 << 11,
        OPTION_NOW = 1 << 12,
        OPTION_KILL = 1 << 13,
        OPTION_EXIT = 1 << 14,
        OPTION_LINES = 1 << 15,
        OPTION_FOLLOW = 1 << 16,
        OPTION_FOR = 1 << 17,
        OPTION_SIGNAL = 1 << 18,
        OPTION_WHOM = 1 << 19,
        OPTION_DRY_RUN = 1 << 20,
        OPTION_RESTART = 1 << 21,
} OptionId;

/* Every verb takes these. */
#define OPTIONS_COMMON (OPTION_SOCKET | OPTION_JSON | OPTION_QUIET | OPTION_HELP | OPTION_VERSION | OPTION_TIMEOUT)

/* Strings are borrowed from argv. NULL, USEC_INFINITY and -1 are: not given. */
typedef struct Options {
        unsigned given; /* OptionId */
        const char *socket, *until, *reason, *state, *signal, *whom;
        usec_t timeout, budget;
        int64_t n_lines;
        const char *verb;
        const char **names; /* owned array, ends with NULL */
        unsigned n_names;
} Options;

static inline bool options_has(const Options *options, OptionId id) {
        return (options->given & id) != 0;
}

typedef enum OptionsOutcome {
        OPTIONS_PARSED,
        OPTIONS_WRONG, /* and said so on stderr */
} OptionsOutcome;

/* *ret: options_done(), in every case. */
must_check OptionsOutcome options_parse(int argc, char **argv, Options *ret);
void options_done(Options *options);
/* The first given option that is not in `taken`: as it is written, or NULL. */
const char *options_misplaced(const Options *options, unsigned taken);

/* Whether a row of the table describes the option; for the help: i counts up until false. ret_text: what it does. */
bool options_describe(size_t i, OptionId *ret_id, const char **ret_usage, const char **ret_text);
