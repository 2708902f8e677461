#pragma once

/* Which files a configuration consists of, and their text. Knows nothing of what is in them. */

#include "report.h"
#include "words.h"

#define FILES_SIZE_MAX (16u * 1024u * 1024u) /* bytes of one file */

/* The whole file. *ret is the caller's: free(). 0 or -errno; -EFBIG where it is larger than any configuration. */
must_check int files_read(const char *path, char **ret, size_t *ret_size);

/* Appends the files that an argument stands for: itself, or for a directory its draind.conf, its other *.conf and
 * those of its conf.d, each in order of name. One that cannot be read, or has none, goes to the report. */
must_check int files_find(const char *path, Report *report, StringList *files);
/* Appends the files of the system's configuration. */
must_check int files_find_default(const char *directory, Report *report, StringList *files);
