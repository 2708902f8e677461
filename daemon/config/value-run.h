#pragma once

/* How the values of keys are read that say how a command is run. Each function is a KeyParse. */

#include "keys.h"

int value_run_command(const KeyContext *context, const char *value, void *target);           /* Command: only one */
int value_run_commands(const KeyContext *context, const char *value, void *target);          /* CommandList */
int value_run_working_directory(const KeyContext *context, const char *value, void *target); /* ServiceConfig */
int value_run_environment(const KeyContext *context, const char *value, void *target);       /* StringList */
int value_run_environment_file(const KeyContext *context, const char *value, void *target);  /* ServiceDraft */
int value_run_groups(const KeyContext *context, const char *value, void *target);            /* ServiceDraft */
int value_run_umask(const KeyContext *context, const char *value, void *target);             /* ServiceConfig */
int value_run_nice(const KeyContext *context, const char *value, void *target);              /* ServiceConfig */
int value_run_oom_score_adjust(const KeyContext *context, const char *value, void *target);  /* ServiceConfig */
int value_run_bounding(const KeyContext *context, const char *value, void *target);          /* ServiceConfig */
int value_run_ambient(const KeyContext *context, const char *value, void *target);           /* ServiceConfig */
int value_run_output(const KeyContext *context, const char *value, void *target);            /* Output */
int value_run_error(const KeyContext *context, const char *value, void *target); /* Output, may be as output */

/* Lower-case letters, digits … : what may stand before the '=' in an environment. */
bool value_run_is_environment_name(const char *name, size_t n);
/* Adds NAME=VALUE, or replaces the entry of the same name. assignment is consumed, on failure too. */
must_check int value_run_environment_put(StringList *environment, char *assignment);
/* "CAP_KILL"; NULL where the kernel has one that we do not know. */
const char *value_run_capability_name(unsigned capability);
