#pragma once

/* Users and groups: names to numbers. May wait for the network (NSS), which is why it is done here and never in the
 * core. */

#include "draft.h"

/* Fills uid, gid, groups, user_name, home and shell from User=, Group= and SupplementaryGroups=, and turns
 * WorkingDirectory=~ into a path. Mistakes go to the draft's report. 0 or -ENOMEM. */
must_check int identity_resolve(Draft *draft, ServiceDraft *service);
