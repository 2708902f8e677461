#pragma once

/* The newest lines of all services in a fixed amount of memory: what is new pushes out what is oldest. Knows no
 * pipes. */

#include "output.h"

typedef struct OutputRecent OutputRecent;

/* NULL: no memory. The pages are touched as lines come. */
OutputRecent *output_recent_new(void);
OutputRecent *output_recent_free(OutputRecent *recent);
static inline void output_recent_freep(OutputRecent **recent) {
        *recent = output_recent_free(*recent);
}
void output_recent_add(OutputRecent *recent, const OutputLine *line);
/* As outputs_recent(). */
unsigned output_recent_list(const OutputRecent *recent, const char *service, unsigned n, OutputOnLine on_line,
                            void *userdata);
