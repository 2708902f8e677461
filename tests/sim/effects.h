#pragma once

/* The effects of the machine, carried out on simulated processes and on the blackboard. */

#include "world.h"

extern const MachineEffects effects;

/* A place where the core may die: true when it has. */
bool effects_cross(World *world);
/* The service's cell goes onto the blackboard. */
void effects_publish(World *world, unsigned service);
/* What the blackboard says about the signal that the recorded cell was about to send. */
bool effects_signal_counts_as_sent(const World *world, unsigned service, const Cell *cell, bool *ret_tree);
