#pragma once

/* The processes of a service as a tree. */

#include <jansson.h>

#include "print.h"

/* processes: the array of the reply. Each line has `indent` blanks in front. */
void process_tree_add(Text *text, const json_t *processes, unsigned indent);
