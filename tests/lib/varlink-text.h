#pragma once

/* Holds replies against the text of a Varlink interface: the text is walked along with the value, so there is nothing
 * between the two that could be wrong. Whatever does not fit fails the test. */

#include <jansson.h>
#include <stdbool.h>

#include "test.h"

typedef struct VarlinkText {
        const char *text; /* borrowed */
        const char *name; /* of the interface, in the text */
        unsigned n_methods, n_errors, n_types;
} VarlinkText;

/* Reads every declaration. */
VarlinkText varlink_text(const char *text);
/* parameters: of a reply to the method ("List"). */
void varlink_check_reply(const VarlinkText *it, const char *method, const json_t *parameters);
/* error: "NoSuchService". */
void varlink_check_error(const VarlinkText *it, const char *error, const json_t *parameters);
/* Whether a value is of the type that is written there ("?[]string"). */
bool varlink_fits(const VarlinkText *it, const char *type, const json_t *value);
