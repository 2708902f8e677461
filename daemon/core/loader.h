#pragma once

/* Runs draind-config, which reads and checks the configuration, and takes over the document that it prints. */

#include <jansson.h>

#include "../../protocol/base.h"
#include "../config/model.h"
#include "loop.h"

enum { LOADER_REFUSED = 1 }; /* the configuration is not valid, or draind-config could not say */

/* Waits for it: for a core that has nothing to look after yet. What draind-config has to say goes to our stderr.
 * arguments: those of draind, NULL-ended, argv[0] first. *ret_fd: a memfd with the document, the caller's.
 * LOADER_REFUSED: *ret_status is its exit status. */
must_check int loader_run(char *const *arguments, int *ret_fd, int *ret_status);

typedef struct Loader Loader;
/* document: a memfd, borrowed for the call. errors: what it said, one a line; empty when status is 0. */
typedef void (*LoaderDone)(int document, int status, const StringList *errors, void *userdata);
/* The same beside everything else. done is called once from the loop; the loader may be freed in it. */
must_check int loader_new(Loader **ret, Loop *loop, char *const *arguments, LoaderDone done, void *userdata);
Loader *loader_free(Loader *loader);

/* Parses a document. reason (256 bytes) tells what is wrong with it. 0, -EBADMSG, -ENOMEM … */
must_check int loader_parse(int document, Model *ret, char *reason);
