#pragma once

/* What people ask for: starts, drains that join and shorten each other, resumes, skips, kills. */

#include "world.h"

void script_begin_round(World *world);
void script_ask(World *world, const Happening *happening);
/* The last drain has ended and nothing runs. */
bool script_round_is_over(World *world);
/* Whether there is another round. */
bool script_goes_on(World *world);
