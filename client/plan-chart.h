#pragma once

/* The worst case of a drain as a chart: one line a service, one glyph a phase. */

#include <jansson.h>

#include "print.h"

/* plan: the parameters of a reply to Plan. */
void plan_chart_add(Text *text, const json_t *plan);
