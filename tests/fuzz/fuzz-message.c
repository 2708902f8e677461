#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/clock.h"
#include "../../protocol/fields.h"
#include "../../protocol/message.h"

int fuzz_accepted;

typedef struct Sample {
        const char *service;
        usec_t budget;
        bool is_forced;
        int number;
        unsigned count, until;
        int64_t big;
        FieldStrings services;
        const json_t *object;
} Sample;

static const char *const until_names[] = { "quiesced", "stopped", NULL };
static const FieldType field_until[1] = { FIELD_ENUM(until_names) };
static const Field sample_fields[] = {
        { "service", field_string, offsetof(Sample, service), FIELD_REQUIRED },
        { "budgetUsec", field_usec, offsetof(Sample, budget), 0 },
        { "force", field_bool, offsetof(Sample, is_forced), 0 },
        { "number", field_int, offsetof(Sample, number), 0 },
        { "count", field_unsigned, offsetof(Sample, count), 0 },
        { "until", field_until, offsetof(Sample, until), 0 },
        { "big", field_int64, offsetof(Sample, big), 0 },
        { "services", field_strings, offsetof(Sample, services), 0 },
        { "object", field_object, offsetof(Sample, object), 0 },
        { NULL, NULL, 0, 0 },
};

/* What was decoded is encoded, and decodes to the same text again. */
static void check_round_trip(const Sample *sample) {
        Sample again = { .budget = USEC_INFINITY };
        json_t *first = NULL, *second = NULL;
        const char *bad;
        int r;

        r = fields_encode(sample_fields, sample, &first);
        assert(r == 0);
        r = (int) fields_decode(first, sample_fields, &again, &bad);
        assert(r == FIELDS_DECODED);
        r = fields_encode(sample_fields, &again, &second);
        assert(r == 0 && json_equal(first, second));
        json_decref(second);
        json_decref(first);
}

static int check_call(const char *text, size_t length) {
        Sample sample = { .budget = USEC_INFINITY };
        MessageCall call, again;
        const char *bad = NULL;
        char *written = NULL;
        size_t n_written = 0;
        int r, is_good;

        if (message_parse_call(text, length, &call) != MESSAGE_PARSED)
                return 0;
        r = message_format_call(call.method, call.parameters, call.more, call.oneway, &written, &n_written);
        assert(r == 0 && strlen(written) + 1 == n_written);
        r = message_parse_call(written, n_written - 1, &again);
        assert(r == MESSAGE_PARSED && strcmp(again.method, call.method) == 0 && again.more == call.more &&
               again.oneway == call.oneway && json_equal(again.parameters, call.parameters));
        message_call_done(&again);
        free(written);
        is_good = fields_decode(call.parameters, sample_fields, &sample, &bad) == FIELDS_DECODED;
        assert(is_good || bad);
        if (is_good)
                check_round_trip(&sample);
        message_call_done(&call);
        return is_good;
}

/* Good: a call whose parameters are those of the sample. Every input is tried as a reply as well. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        MessageReply reply;

        fuzz_accepted = check_call((const char *) data, size);
        if (message_parse_reply((const char *) data, size, &reply) == MESSAGE_PARSED)
                message_reply_done(&reply);
        return 0;
}
