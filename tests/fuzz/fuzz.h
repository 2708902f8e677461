#pragma once

/* What every fuzz target offers: to libFuzzer, or to replay-main.c, which runs the corpus in ordinary test runs. */

#include <stddef.h>
#include <stdint.h>

/* Set by each run: 1 when the input was good, 0 when it was refused. The corpus' files are named by it: y_*, n_*. */
extern int fuzz_accepted;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
