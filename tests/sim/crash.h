#pragma once

/* The core is dead: time goes by, and a new one takes over what the blackboard holds. */

#include "world.h"

void crash_recover(World *world);
