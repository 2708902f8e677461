#include "fields.h"

#include <limits.h>
#include <string.h>

#include "clock.h"

static bool string_decode(const FieldType *type, const json_t *value, void *target) {
        if (!json_is_string(value))
                return false;
        *(const char **) target = json_string_value(value);
        return true;
}

static json_t *encoded(json_t *value, int *reterr) {
        if (!value)
                *reterr = -ENOMEM;
        return value;
}

static json_t *string_encode(const FieldType *type, const void *source, int *reterr) {
        const char *string = *(const char *const *) source;

        return string ? encoded(json_string(string), reterr) : NULL;
}

static bool bool_decode(const FieldType *type, const json_t *value, void *target) {
        if (!json_is_boolean(value))
                return false;
        *(bool *) target = json_is_true(value);
        return true;
}

static json_t *bool_encode(const FieldType *type, const void *source, int *reterr) {
        return json_boolean(*(const bool *) source);
}

static bool integer_within(const json_t *value, int64_t min, int64_t max, int64_t *ret) {
        int64_t n = json_integer_value(value);

        if (!json_is_integer(value) || n < min || n > max)
                return false;
        *ret = n;
        return true;
}

static bool int_decode(const FieldType *type, const json_t *value, void *target) {
        int64_t n;

        if (!integer_within(value, INT_MIN, INT_MAX, &n))
                return false;
        *(int *) target = (int) n;
        return true;
}

static json_t *int_encode(const FieldType *type, const void *source, int *reterr) {
        return encoded(json_integer(*(const int *) source), reterr);
}

static bool unsigned_decode(const FieldType *type, const json_t *value, void *target) {
        int64_t n;

        if (!integer_within(value, 0, UINT_MAX, &n))
                return false;
        *(unsigned *) target = (unsigned) n;
        return true;
}

static json_t *unsigned_encode(const FieldType *type, const void *source, int *reterr) {
        return encoded(json_integer(*(const unsigned *) source), reterr);
}

static bool int64_decode(const FieldType *type, const json_t *value, void *target) {
        return integer_within(value, INT64_MIN, INT64_MAX, target);
}

static json_t *int64_encode(const FieldType *type, const void *source, int *reterr) {
        return encoded(json_integer(*(const int64_t *) source), reterr);
}

static bool uint64_decode(const FieldType *type, const json_t *value, void *target) {
        int64_t n;

        if (!integer_within(value, 0, INT64_MAX, &n))
                return false;
        *(uint64_t *) target = (uint64_t) n;
        return true;
}

static json_t *uint64_encode(const FieldType *type, const void *source, int *reterr) {
        uint64_t n = *(const uint64_t *) source;

        return encoded(json_integer(n < INT64_MAX ? (json_int_t) n : INT64_MAX), reterr);
}

static json_t *usec_encode(const FieldType *type, const void *source, int *reterr) {
        return *(const usec_t *) source == USEC_INFINITY ? NULL : uint64_encode(type, source, reterr);
}

static bool strings_decode(const FieldType *type, const json_t *value, void *target) {
        size_t n = json_array_size(value);

        if (!json_is_array(value) || n > UINT_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!json_is_string(json_array_get(value, i)))
                        return false;
        *(FieldStrings *) target = (FieldStrings) { .array = value, .n = (unsigned) n };
        return true;
}

static json_t *value_encode(const json_t *value) {
        return json_incref((json_t *) value); /* NULL is fine: left out */
}

static json_t *strings_encode(const FieldType *type, const void *source, int *reterr) {
        return value_encode(((const FieldStrings *) source)->array);
}

static bool any_decode(const FieldType *type, const json_t *value, void *target) {
        *(const json_t **) target = value;
        return true;
}

static bool object_decode(const FieldType *type, const json_t *value, void *target) {
        return json_is_object(value) && any_decode(type, value, target);
}

static json_t *any_encode(const FieldType *type, const void *source, int *reterr) {
        return value_encode(*(const json_t *const *) source);
}

bool field_enum_decode(const FieldType *type, const json_t *value, void *target) {
        if (!json_is_string(value))
                return false;
        for (unsigned i = 0; type->names[i]; i++)
                if (strcmp(type->names[i], json_string_value(value)) == 0) {
                        *(unsigned *) target = i;
                        return true;
                }
        return false;
}

json_t *field_enum_encode(const FieldType *type, const void *source, int *reterr) {
        unsigned n = *(const unsigned *) source;

        for (unsigned i = 0; type->names[i]; i++)
                if (i == n)
                        return encoded(json_string(type->names[i]), reterr);
        return NULL; /* the value that stands for none */
}

const FieldType field_string[1] = { { string_decode, string_encode, NULL } };
const FieldType field_bool[1] = { { bool_decode, bool_encode, NULL } };
const FieldType field_int[1] = { { int_decode, int_encode, NULL } };
const FieldType field_unsigned[1] = { { unsigned_decode, unsigned_encode, NULL } };
const FieldType field_int64[1] = { { int64_decode, int64_encode, NULL } };
const FieldType field_uint64[1] = { { uint64_decode, uint64_encode, NULL } };
const FieldType field_usec[1] = { { uint64_decode, usec_encode, NULL } };
const FieldType field_strings[1] = { { strings_decode, strings_encode, NULL } };
const FieldType field_object[1] = { { object_decode, any_encode, NULL } };
const FieldType field_any[1] = { { any_decode, any_encode, NULL } };

static const Field *find_field(const Field *fields, const char *name) {
        for (const Field *field = fields; field->name; field++)
                if (strcmp(field->name, name) == 0)
                        return field;
        return NULL;
}

FieldsOutcome fields_decode(const json_t *object, const Field *fields, void *ret, const char **reterr_bad) {
        const char *name;
        json_t *value;

        *reterr_bad = "";
        if (object && !json_is_object(object))
                return FIELDS_INVALID;
        json_object_foreach ((json_t *) object, name, value) {
                if (find_field(fields, name))
                        continue;
                *reterr_bad = name;
                return FIELDS_UNKNOWN;
        }
        for (const Field *field = fields; field->name; field++) {
                value = json_object_get(object, field->name);
                *reterr_bad = field->name;
                if (!value || json_is_null(value)) {
                        if ((field->flags & FIELD_REQUIRED) != 0)
                                return FIELDS_MISSING;
                        continue;
                }
                if (!field->type->decode(field->type, value, (char *) ret + field->offset))
                        return FIELDS_INVALID;
        }
        return FIELDS_DECODED;
}

int fields_encode(const Field *fields, const void *source, json_t **ret) {
        json_t *object = json_object();
        int r = object ? 0 : -ENOMEM;

        for (const Field *field = fields; r == 0 && field->name; field++) {
                json_t *value = field->type->encode(field->type, (const char *) source + field->offset, &r);

                if (value && json_object_set_new(object, field->name, value) < 0)
                        r = -ENOMEM;
        }
        if (r < 0) {
                json_decref(object);
                return r;
        }
        *ret = object;
        return 0;
}

const char *field_strings_at(const FieldStrings *strings, unsigned i) {
        return json_string_value(json_array_get(strings->array, i));
}
