#pragma once

/* JSON object to struct and back, by a table of fields. Strings and lists are borrowed from the JSON value: the struct
 * lives as long as that and frees nothing. Unknown members, wrong types and values out of range are refused by name.
 *
 *      static const Field drain_fields[] = {
 *              { "service", field_string, offsetof(DrainArgs, service), FIELD_REQUIRED },
 *              { "budgetUsec", field_usec, offsetof(DrainArgs, budget), 0 },
 *              { NULL, NULL, 0, 0 },
 *      };
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

typedef struct FieldType FieldType;

struct FieldType {
        bool (*decode)(const FieldType *type, const json_t *value, void *target);
        /* A new value, or NULL: left out. *reterr is set when it is left out for want of memory. */
        json_t *(*encode)(const FieldType *type, const void *source, int *reterr);
        const char *const *names; /* enums: the name of each value, in order; ends with NULL */
};

enum { FIELD_REQUIRED = 1 << 0 };

typedef struct Field {
        const char *name; /* the table ends with NULL */
        const FieldType *type;
        size_t offset;
        unsigned flags;
} Field;

/* An array of strings, borrowed. */
typedef struct FieldStrings {
        const json_t *array; /* NULL: none */
        unsigned n;
} FieldStrings;

extern const FieldType field_string[1];   /* const char * */
extern const FieldType field_bool[1];     /* bool */
extern const FieldType field_int[1];      /* int */
extern const FieldType field_unsigned[1]; /* unsigned */
extern const FieldType field_int64[1];    /* int64_t */
extern const FieldType field_uint64[1];   /* uint64_t; JSON carries up to INT64_MAX */
extern const FieldType field_usec[1];     /* usec_t, an integer; USEC_INFINITY is left out */
extern const FieldType field_strings[1];  /* FieldStrings */
extern const FieldType field_object[1];   /* json_t *, borrowed, an object */
extern const FieldType field_any[1];      /* json_t *, borrowed */

bool field_enum_decode(const FieldType *type, const json_t *value, void *target);
json_t *field_enum_encode(const FieldType *type, const void *source, int *reterr);
/* Of an enum (stored as unsigned): static const FieldType field_until[1] = { FIELD_ENUM(until_names) }; */
#define FIELD_ENUM(value_names) { .decode = field_enum_decode, .encode = field_enum_encode, .names = (value_names) }

typedef enum FieldsOutcome {
        FIELDS_DECODED,
        FIELDS_MISSING, /* a required member is not there, or null */
        FIELDS_UNKNOWN, /* a member that no row names */
        FIELDS_INVALID, /* a wrong type or a value out of range */
} FieldsOutcome;

/* What is absent or null leaves the struct as it was: fill in defaults first. *reterr_bad names the member that is
 * wrong, borrowed from object or the table ("" when object is none). NULL for object is {}. On failure the struct may
 * be partly filled in. */
must_check FieldsOutcome fields_decode(const json_t *object, const Field *fields, void *ret, const char **reterr_bad);

/* *ret: a new object; NULL strings and infinite times are left out. 0 or -ENOMEM (jansson says so of strings that are
 * no UTF-8, too). */
must_check int fields_encode(const Field *fields, const void *source, json_t **ret);

/* The i-th string of a list, i < n. Borrowed. */
const char *field_strings_at(const FieldStrings *strings, unsigned i);
