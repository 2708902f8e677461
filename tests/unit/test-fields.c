#include "../lib/test.h"

#include <limits.h>
#include <string.h>

#include "../../protocol/clock.h"
#include "../../protocol/fields.h"

static const char *const colours[] = { "red", "green", NULL };
static const FieldType field_colour[1] = { FIELD_ENUM(colours) };

typedef struct Sample {
        const char *name;
        bool is_on;
        int small;
        unsigned count;
        int64_t big;
        uint64_t size;
        usec_t budget;
        FieldStrings list;
        const json_t *object, *any;
        unsigned colour;
} Sample;

static const Field sample_fields[] = {
        { "name", field_string, offsetof(Sample, name), FIELD_REQUIRED },
        { "on", field_bool, offsetof(Sample, is_on), 0 },
        { "small", field_int, offsetof(Sample, small), 0 },
        { "count", field_unsigned, offsetof(Sample, count), 0 },
        { "big", field_int64, offsetof(Sample, big), 0 },
        { "size", field_uint64, offsetof(Sample, size), 0 },
        { "budgetUsec", field_usec, offsetof(Sample, budget), 0 },
        { "list", field_strings, offsetof(Sample, list), 0 },
        { "object", field_object, offsetof(Sample, object), 0 },
        { "any", field_any, offsetof(Sample, any), 0 },
        { "colour", field_colour, offsetof(Sample, colour), 0 },
        { NULL, NULL, 0, 0 },
};

static json_t *load(const char *text) {
        json_t *value = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);

        assert_non_null(value);
        return value;
}

static void test_every_type_is_read(void **state) {
        json_t *json = load("{\"name\":\"web\",\"on\":true,\"small\":-2147483648,\"count\":4294967295,"
                            "\"big\":-9223372036854775808,\"size\":9223372036854775807,\"budgetUsec\":5,"
                            "\"list\":[\"a\",\"b\"],\"object\":{},\"any\":[1],\"colour\":\"green\"}");
        Sample sample = { 0 };
        const char *bad;

        assert_int_equal(fields_decode(json, sample_fields, &sample, &bad), FIELDS_DECODED);
        assert_string_equal(sample.name, "web");
        assert_true(sample.is_on);
        assert_int_equal(sample.small, INT_MIN);
        assert_int_equal(sample.count, UINT_MAX);
        assert_true(sample.big == INT64_MIN);
        assert_true(sample.size == INT64_MAX);
        assert_int_equal(sample.budget, 5);
        assert_int_equal(sample.list.n, 2);
        assert_string_equal(field_strings_at(&sample.list, 1), "b");
        assert_non_null(sample.object);
        assert_int_equal(json_array_size(sample.any), 1);
        assert_int_equal(sample.colour, 1);
        json_decref(json);
}

static void test_what_is_absent_or_null_keeps_its_default(void **state) {
        json_t *json = load("{\"name\":\"web\",\"budgetUsec\":null}");
        Sample sample = { .budget = USEC_INFINITY, .small = 7 };
        const char *bad;

        assert_int_equal(fields_decode(json, sample_fields, &sample, &bad), FIELDS_DECODED);
        assert_true(sample.budget == USEC_INFINITY);
        assert_int_equal(sample.small, 7);
        json_decref(json);
}

static void test_mistakes_are_told_by_name(void **state) {
        static const struct {
                const char *text;
                FieldsOutcome outcome;
                const char *bad;
        } rows[] = {
                { "{}", FIELDS_MISSING, "name" },
                { "{\"name\":null}", FIELDS_MISSING, "name" },
                { "{\"name\":1}", FIELDS_INVALID, "name" },
                { "{\"name\":\"x\",\"nmae\":1}", FIELDS_UNKNOWN, "nmae" },
                { "{\"nmae\":null}", FIELDS_UNKNOWN, "nmae" },
                { "{\"name\":\"x\",\"on\":1}", FIELDS_INVALID, "on" },
                { "{\"name\":\"x\",\"small\":2147483648}", FIELDS_INVALID, "small" },
                { "{\"name\":\"x\",\"small\":-2147483649}", FIELDS_INVALID, "small" },
                { "{\"name\":\"x\",\"small\":1.0}", FIELDS_INVALID, "small" },
                { "{\"name\":\"x\",\"count\":-1}", FIELDS_INVALID, "count" },
                { "{\"name\":\"x\",\"count\":4294967296}", FIELDS_INVALID, "count" },
                { "{\"name\":\"x\",\"size\":-1}", FIELDS_INVALID, "size" },
                { "{\"name\":\"x\",\"budgetUsec\":-1}", FIELDS_INVALID, "budgetUsec" },
                { "{\"name\":\"x\",\"budgetUsec\":\"30s\"}", FIELDS_INVALID, "budgetUsec" },
                { "{\"name\":\"x\",\"list\":\"a\"}", FIELDS_INVALID, "list" },
                { "{\"name\":\"x\",\"list\":[\"a\",1]}", FIELDS_INVALID, "list" },
                { "{\"name\":\"x\",\"object\":[]}", FIELDS_INVALID, "object" },
                { "{\"name\":\"x\",\"colour\":\"blue\"}", FIELDS_INVALID, "colour" },
                { "{\"name\":\"x\",\"colour\":0}", FIELDS_INVALID, "colour" },
                { "[]", FIELDS_INVALID, "" },
                { "7", FIELDS_INVALID, "" },
        };

        for (size_t i = 0; i < n_elements(rows); i++) {
                json_t *json = load(rows[i].text);
                Sample sample = { 0 };
                const char *bad = NULL;

                if (fields_decode(json, sample_fields, &sample, &bad) != rows[i].outcome ||
                    strcmp(bad, rows[i].bad) != 0)
                        fail_msg("%s: named '%s'", rows[i].text, bad);
                json_decref(json);
        }
}

static void test_no_object_is_an_empty_one(void **state) {
        static const Field none[] = { { NULL, NULL, 0, 0 } };
        Sample sample = { 0 };
        const char *bad;

        assert_int_equal(fields_decode(NULL, none, NULL, &bad), FIELDS_DECODED);
        assert_int_equal(fields_decode(NULL, sample_fields, &sample, &bad), FIELDS_MISSING);
}

static void test_what_is_written_reads_back_the_same(void **state) {
        json_t *json = load("{\"name\":\"web\",\"on\":true,\"small\":-3,\"count\":3,\"big\":-9,\"size\":9,"
                            "\"budgetUsec\":5,\"list\":[\"a\"],\"object\":{\"x\":1},\"any\":2.5,\"colour\":\"red\"}");
        json_t *written = NULL;
        Sample sample = { 0 };
        const char *bad;

        assert_int_equal(fields_decode(json, sample_fields, &sample, &bad), FIELDS_DECODED);
        assert_int_equal(fields_encode(sample_fields, &sample, &written), 0);
        assert_true(json_equal(json, written));
        json_decref(json);
        json_decref(written);
}

static void test_what_there_is_not_is_left_out(void **state) {
        Sample sample = { .budget = USEC_INFINITY, .size = UINT64_MAX, .colour = 2 };
        json_t *written = NULL;

        assert_int_equal(fields_encode(sample_fields, &sample, &written), 0);
        assert_null(json_object_get(written, "name"));
        assert_null(json_object_get(written, "budgetUsec"));
        assert_null(json_object_get(written, "list"));
        assert_null(json_object_get(written, "colour"));
        assert_true(json_integer_value(json_object_get(written, "size")) == INT64_MAX);
        json_decref(written);
        sample.name = "\xff";
        assert_true(fields_encode(sample_fields, &sample, &written) < 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_type_is_read),
                cmocka_unit_test(test_what_is_absent_or_null_keeps_its_default),
                cmocka_unit_test(test_mistakes_are_told_by_name),
                cmocka_unit_test(test_no_object_is_an_empty_one),
                cmocka_unit_test(test_what_is_written_reads_back_the_same),
                cmocka_unit_test(test_what_there_is_not_is_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
