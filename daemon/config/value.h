#pragma once

/* How the values of keys are read, where they are not about running a command (value-run.h). Each function is a
 * KeyParse. */

#include "keys.h"

/* No time in a configuration is longer, so that sums of them cannot overflow. */
#define VALUE_DURATION_MAX (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC) /* 100 years */

int value_boolean(const KeyContext *context, const char *value, void *target);  /* bool */
int value_enum(const KeyContext *context, const char *value, void *target);     /* an enum */
int value_duration(const KeyContext *context, const char *value, void *target); /* usec_t, finite */
int value_duration_or_infinity(const KeyContext *context, const char *value, void *target);
int value_start_timeout(const KeyContext *context, const char *value, void *target); /* 0 is infinity, as in systemd */
int value_watchdog(const KeyContext *context, const char *value, void *target);      /* infinity is 0 */
int value_count(const KeyContext *context, const char *value, void *target);         /* unsigned */
int value_threshold(const KeyContext *context, const char *value, void *target);     /* unsigned, at least 1 */
int value_percent(const KeyContext *context, const char *value, void *target);       /* unsigned, 1 to 100 */
int value_log_level(const KeyContext *context, const char *value, void *target);     /* int */
int value_path(const KeyContext *context, const char *value, void *target);          /* char *, absolute or NULL */
int value_socket_path(const KeyContext *context, const char *value, void *target);   /* fits into sockaddr_un */
int value_control_group(const KeyContext *context, const char *value, void *target); /* Model */
int value_listen(const KeyContext *context, const char *value, void *target);        /* StringList */
int value_services(const KeyContext *context, const char *value, void *target);      /* StringList, with references */
int value_lines(const KeyContext *context, const char *value, void *target);         /* StringList, a value each */
int value_name(const KeyContext *context, const char *value, void *target);          /* char *: user or group */
int value_success_statuses(const KeyContext *context, const char *value, void *target); /* ServiceConfig */
int value_ladder(const KeyContext *context, const char *value, void *target);           /* ServiceConfig */
int value_any(const KeyContext *context, const char *value, void *target);              /* nothing is kept */

/* Reports and returns KEY_REPORTED. */
int value_fault(const KeyContext *context, const char *format, ...) printf_like(2, 3);
/* A decimal number without sign and space. */
must_check bool value_parse_number(const char *text, uint64_t max, uint64_t *ret);
/* The ladder as StopSignals= writes it. A last rung without a time gets `rest`. Faults are told in context. */
must_check int value_parse_ladder(const KeyContext *context, const char *text, usec_t rest, Rung **ret,
                                  unsigned *ret_n);
