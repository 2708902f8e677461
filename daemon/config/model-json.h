#pragma once

/* The model as one JSON document, from draind-config to the core. Knows the fields of the model, by table, and
 * nothing of what they mean. Of the services only the first has all fields; each other one has those that differ from
 * the first one's. */

#include <jansson.h>

#include "model.h"

#define MODEL_JSON_VERSION 2
#define MODEL_JSON_REASON_MAX 256u

/* New reference, or NULL: no memory, or a text that is not UTF-8. */
json_t *model_to_json(const Model *model);

/* Strict: what is missing, unknown or out of range is -EBADMSG; else 0 or -ENOMEM. *ret is the caller's:
 * model_done(); untouched on failure. */
must_check int model_from_json(Model *ret, const json_t *json);
/* As above; on -EBADMSG reterr_reason (MODEL_JSON_REASON_MAX bytes) says which field is wrong, and how. */
must_check int model_from_json_explained(Model *ret, const json_t *json, char *reterr_reason);
