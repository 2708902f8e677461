#pragma once

/* Names of services in requests: found, or answered with the one that was probably meant. */

#include "../../protocol/fields.h"
#include "../../protocol/server.h"
#include "manager.h"

/* The service that is most like the name, or NULL. Bounded. */
const char *api_names_nearest(const Model *model, const char *name);

enum { NAMES_ANSWERED = 1 }; /* the call was answered with an error */
/* 0 or NAMES_ANSWERED. */
must_check int api_names_find(Call *call, const Model *model, const char *name, unsigned *ret);
/* *ret: free(). 0, -ENOMEM or NAMES_ANSWERED. */
must_check int api_names_find_all(Call *call, const Model *model, const FieldStrings *names, unsigned **ret);
