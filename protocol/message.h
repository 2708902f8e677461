#pragma once

/* Varlink's two kinds of message, calls and replies, as C values over jansson. Knows neither sockets nor methods. */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base.h"

typedef enum MessageOutcome {
        MESSAGE_PARSED,
        MESSAGE_INVALID, /* no JSON object, too deeply nested, or no call (reply) by its members */
} MessageOutcome;

typedef struct MessageCall {
        json_t *root;       /* owned; the rest borrows from it */
        const char *method; /* "interface.Method" */
        json_t *parameters; /* owned, always an object */
        bool more, oneway, upgrade;
} MessageCall;

typedef struct MessageReply {
        json_t *root;       /* owned */
        const char *error;  /* NULL: success */
        json_t *parameters; /* owned, always an object */
        bool continues;
} MessageReply;

/* text need not end with NUL. MessageOutcome or -ENOMEM. Members that Varlink does not know are ignored; a member
 * that occurs twice is not. *ret is untouched unless MESSAGE_PARSED. */
must_check int message_parse_call(const char *text, size_t length, MessageCall *ret);
must_check int message_parse_reply(const char *text, size_t length, MessageReply *ret);
void message_call_done(MessageCall *call);
void message_reply_done(MessageReply *reply);

/* The text of a message, its NUL included in *ret_length: free(). parameters are borrowed; NULL is {}.
 * 0, -ENOMEM, or -EINVAL (parameters that are no object). */
must_check int message_format_call(const char *method, const json_t *parameters, bool more, bool oneway,
                                   char **ret_text, size_t *ret_length);
must_check int message_format_reply(const json_t *parameters, bool continues, char **ret_text, size_t *ret_length);
must_check int message_format_error(const char *error, const json_t *parameters, char **ret_text, size_t *ret_length);
