#pragma once

/* The table of verbs: what they are called, take and do. */

#include "client.h"

#define VERB_NAMES_ANY 1000000u

typedef struct Verb {
        const char *name;
        int (*run)(Client *client);
        unsigned names_min, names_max; /* how many names it takes */
        unsigned options;              /* OptionId, beside OPTIONS_COMMON */
        const char *group;             /* NULL: that of the one before */
        const char *synopsis;          /* behind the verb */
        const char *summary;           /* one line */
        const char *text;              /* more of it, in lines of at most 78 columns */
        const char *usage_hint;        /* said when too few names are there: "write …" */
} Verb;

/* Ends with a NULL name. */
extern const Verb verb_table[];

/* Borrowed; NULL: there is none. */
const Verb *verb_find(const char *name);
/* The nearest to what was written, or NULL. */
const char *verb_suggest(const char *name);

/* To stdout. */
void verb_print_overview(void);
void verb_print_help(const Verb *verb);
