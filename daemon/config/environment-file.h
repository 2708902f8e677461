#pragma once

/* Files of environment variables, as systemd reads those of EnvironmentFile=. */

#include "draft.h"

/* Reads the files that the service names, in their order, into its environment; what they set wins over
 * Environment=. Mistakes go to the draft's report. 0 or -ENOMEM. */
must_check int environment_file_load(Draft *draft, ServiceDraft *service);
/* Adds a file's text to the list. Entries whose name is none are left out, with a warning. 0 or -ENOMEM. */
must_check int environment_file_parse(Report *report, const char *path, const char *text, size_t size,
                                      StringList *environment);
