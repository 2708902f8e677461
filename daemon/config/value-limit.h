#pragma once

/* How the values of LimitCPU= to LimitRTTIME= are read. */

#include "keys.h"

/* Service's limits; context->key->argument is the resource. */
int value_limit(const KeyContext *context, const char *value, void *target);
