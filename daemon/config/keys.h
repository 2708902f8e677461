#pragma once

/* The table of keys: what may stand in a configuration, how it is read, and what its manual says.
 * Knows no files and no rules across keys. */

#include "draft.h"

typedef struct ConfigKey ConfigKey;

/* What a parse function is told besides the value. */
typedef struct KeyContext {
        Report *report; /* borrowed */
        Place place;
        const char *section; /* for messages: "Manager", "Service web" */
        const ConfigKey *key;
        ServiceDraft *service; /* NULL outside of [Service NAME] */
} KeyContext;

enum {
        KEY_MISMATCH = 1, /* the value is not what the table says is expected: keys_set() reports it */
        KEY_REPORTED,     /* the parse function has said what is wrong */
};

/* target is the key's own place. 0, -ENOMEM, or an outcome; then target is as it was. */
typedef int (*KeyParse)(const KeyContext *context, const char *value, void *target);

struct ConfigKey {
        const char *section; /* "Manager", "Service", "Probe" */
        const char *name;
        KeyParse parse;
        size_t offset;            /* in Model, ServiceDraft or ProbeDraft */
        const char *default_text; /* what an empty value means as well; "" where empty is a value of its own */
        const char *expects;      /* "'x' is not …" */
        const char *help;         /* one line */
        const char *const *names; /* value_enum(): its values, NULL at the end */
        int argument;             /* value_limit(): the resource */
};

const ConfigKey *keys_table(size_t *ret_n);
unsigned keys_index(const ConfigKey *key);
/* kind: "Manager", "Service", "Probe". NULL when there is no such key. */
const ConfigKey *keys_find(const char *kind, const char *name);

/* Reads one pair into base, the struct that belongs to the kind. context->key need not be set.
 * 0 or negative when the machine fails; KEY_REPORTED after a mistake. */
must_check int keys_set(KeyContext *context, const char *kind, const char *name, const char *value, void *base);
