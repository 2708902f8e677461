#pragma once

/* The simulated processes: the world's side of the effects. What the core knows of them it is told later. */

#include "world.h"

void processes_start_leader(World *world, unsigned service);
bool processes_start_hook(World *world, unsigned service, HookKind kind); /* false: cannot be run */
void processes_end_hook(World *world, unsigned service);
void processes_signal(World *world, unsigned service, unsigned rung, bool to_tree);
void processes_kill(World *world, unsigned service);
/* Abandoned, or cleared away: they belong to no run any more. */
void processes_disown(World *world, unsigned service);
bool processes_are_gone(const World *world, unsigned service);
/* A process ends, or makes up its mind about a signal. True when the core is to be told. */
bool processes_happen(World *world, Happening *happening);
