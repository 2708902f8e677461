#include "message.h"

#include <string.h>

#include "frame.h"

static int parse_object(const char *text, size_t length, json_t **ret) {
        json_error_t error;
        json_t *root;

        if (!frame_is_nested_within(text, length, FRAME_NESTING_MAX))
                return MESSAGE_INVALID;
        root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
        if (!root)
                return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : MESSAGE_INVALID;
        if (!json_is_object(root)) {
                json_decref(root);
                return MESSAGE_INVALID;
        }
        *ret = root;
        return MESSAGE_PARSED;
}

/* An absent or null flag is false. */
static bool read_flag(const json_t *root, const char *name, bool *ret) {
        const json_t *value = json_object_get(root, name);

        if (value && !json_is_boolean(value) && !json_is_null(value))
                return false;
        *ret = json_is_true(value);
        return true;
}

/* *ret: a reference of the caller's; NULL only for want of memory. */
static bool read_parameters(const json_t *root, json_t **ret) {
        json_t *value = json_object_get(root, "parameters");

        if (value && !json_is_object(value) && !json_is_null(value))
                return false;
        *ret = json_is_object(value) ? json_incref(value) : json_object();
        return true;
}

static bool read_string(const json_t *root, const char *name, const char **ret) {
        const json_t *value = json_object_get(root, name);

        if (value && !json_is_string(value) && !json_is_null(value))
                return false;
        *ret = json_string_value(value);
        return true;
}

int message_parse_call(const char *text, size_t length, MessageCall *ret) {
        MessageCall call = { 0 };
        int r;

        r = parse_object(text, length, &call.root);
        if (r != MESSAGE_PARSED)
                return r;
        if (!read_string(call.root, "method", &call.method) || !call.method ||
            !read_flag(call.root, "more", &call.more) || !read_flag(call.root, "oneway", &call.oneway) ||
            !read_flag(call.root, "upgrade", &call.upgrade) || !read_parameters(call.root, &call.parameters)) {
                message_call_done(&call);
                return MESSAGE_INVALID;
        }
        if (!call.parameters) {
                message_call_done(&call);
                return -ENOMEM;
        }
        *ret = call;
        return MESSAGE_PARSED;
}

int message_parse_reply(const char *text, size_t length, MessageReply *ret) {
        MessageReply reply = { 0 };
        int r;

        r = parse_object(text, length, &reply.root);
        if (r != MESSAGE_PARSED)
                return r;
        if (!read_string(reply.root, "error", &reply.error) || !read_flag(reply.root, "continues", &reply.continues) ||
            !read_parameters(reply.root, &reply.parameters)) {
                message_reply_done(&reply);
                return MESSAGE_INVALID;
        }
        if (!reply.parameters) {
                message_reply_done(&reply);
                return -ENOMEM;
        }
        *ret = reply;
        return MESSAGE_PARSED;
}

void message_call_done(MessageCall *call) {
        json_decref(call->parameters);
        json_decref(call->root);
        *call = (MessageCall) { 0 };
}

void message_reply_done(MessageReply *reply) {
        json_decref(reply->parameters);
        json_decref(reply->root);
        *reply = (MessageReply) { 0 };
}

/* The envelope is consumed. parameters are put into it for the time of writing. */
static int format_envelope(json_t *envelope, const json_t *parameters, char **ret_text, size_t *ret_length) {
        char *text = NULL;
        int r = -ENOMEM;

        if (parameters && !json_is_object(parameters))
                r = -EINVAL;
        else if (envelope && (!parameters || json_object_set(envelope, "parameters", (json_t *) parameters) == 0))
                text = json_dumps(envelope, JSON_COMPACT);
        json_decref(envelope);
        if (!text)
                return r;
        *ret_text = text;
        *ret_length = strlen(text) + 1;
        return 0;
}

static json_t *envelope_new(const char *name, const char *value) {
        json_t *envelope = json_object();

        if (envelope && name && json_object_set_new(envelope, name, json_string(value)) < 0) {
                json_decref(envelope);
                return NULL;
        }
        return envelope;
}

/* Takes the envelope and returns it, or NULL. */
static json_t *envelope_flag(json_t *envelope, const char *name, bool value) {
        if (envelope && value && json_object_set_new(envelope, name, json_true()) < 0) {
                json_decref(envelope);
                return NULL;
        }
        return envelope;
}

int message_format_call(const char *method, const json_t *parameters, bool more, bool oneway, char **ret_text,
                        size_t *ret_length) {
        json_t *envelope = envelope_new("method", method);

        envelope = envelope_flag(envelope_flag(envelope, "more", more), "oneway", oneway);
        return format_envelope(envelope, parameters, ret_text, ret_length);
}

int message_format_reply(const json_t *parameters, bool continues, char **ret_text, size_t *ret_length) {
        json_t *envelope = envelope_flag(envelope_new(NULL, NULL), "continues", continues);

        return format_envelope(envelope, parameters, ret_text, ret_length);
}

int message_format_error(const char *error, const json_t *parameters, char **ret_text, size_t *ret_length) {
        return format_envelope(envelope_new("error", error), parameters, ret_text, ret_length);
}
