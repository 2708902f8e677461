#pragma once

/* The names of signals, read and written. */

#include <stddef.h>

#include "../../protocol/base.h"

/* "TERM", "RTMIN+3", "SIGINT" or a number; 0 or -EINVAL. */
must_check int signal_parse(const char *text, int *ret);
/* "TERM"; a number as text where it has no name. The buffer holds 16 bytes at least and is returned. */
char *signal_format(char *buf, size_t size, int signal);
