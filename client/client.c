#include "client.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_USEC      (10 * USEC_PER_SEC)
#define SILENCE_USEC      (60 * USEC_PER_SEC) /* four heartbeats that did not come */

int client_init(Client *client, const Options *options) {
        const char *silence = getenv("DRAINCTL_SILENCE");

        *client = (Client) { .options = options, .screen = screen_of(STDOUT_FILENO), .silence = SILENCE_USEC };
        if (silence && (duration_parse(silence, &client->silence) < 0 || client->silence == 0))
                client->silence = SILENCE_USEC;
        client->deadline = options->timeout == USEC_INFINITY ? USEC_INFINITY
                                                             : usec_add(clock_now_usec(), options->timeout);
        return conn_find_path(options->socket, &client->path);
}

void client_done(Client *client) {
        client->conn = conn_free(client->conn);
        free(client->path);
        client->path = NULL;
}

int client_fail(int status, const char *format, ...) {
        Screen screen = screen_of(STDERR_FILENO);
        Text text = text_make(&screen, false);
        cleanup(freep) char *made = NULL;
        va_list list;

        va_start(list, format);
        if (vasprintf(&made, format, list) < 0)
                die(ENOMEM);
        va_end(list);
        text_add(&text, "drainctl: ");
        text_add_foreign(&text, made);
        text_newline(&text);
        (void) text_write(&text, STDERR_FILENO); /* nobody is left to be told */
        text_done(&text);
        return status;
}

static int explain_connect(const Client *client, int outcome) {
        const char *path = client->path;

        switch (outcome) {
        case -ENOENT:
        case -ENOTDIR:
                return client_fail(STATUS_NOT_REACHED, "There is no socket at %s: is draind running? "
                                   "Start it, or name its socket with --socket or $DRAIND_SOCKET.", path);
        case -ECONNREFUSED:
                return client_fail(STATUS_NOT_REACHED, "Nobody listens at %s: draind has ended. "
                                   "Start it, or name another socket with --socket.", path);
        case -EACCES:
        case -EPERM:
                return client_fail(STATUS_NOT_PERMITTED, "%s may not be opened by this user: it needs root, "
                                   "the daemon's user or the control group.", path);
        case CONN_TIMED_OUT:
                return client_fail(STATUS_NOT_REACHED, "draind does not take connections at %s.", path);
        default:
                return client_fail(STATUS_NOT_REACHED, "%s cannot be reached: %s.", path, strerror(-outcome));
        }
}

int client_connect(Client *client) {
        int r;

        if (client->conn)
                return STATUS_REACHED;
        r = conn_new(&client->conn, client->path, usec_min(usec_add(clock_now_usec(), CONNECT_USEC), client->deadline));
        if (r != CONN_DONE)
                return explain_connect(client, r);
        return STATUS_REACHED;
}

int client_explain_lost(Client *client, int outcome) {
        switch (outcome) {
        case CONN_TIMED_OUT:
                if (usec_left(client->deadline, clock_now_usec()) == 0)
                        return client_fail(STATUS_TIMED_OUT, "draind has not answered in time.");
                return client_fail(STATUS_NOT_REACHED, "draind at %s does not answer.", client->path);
        case CONN_CLOSED:
                return client_fail(STATUS_NOT_REACHED, "draind closed the connection before it had answered.");
        case CONN_GARBLED:
                return client_fail(STATUS_NOT_REACHED, "What answers at %s is not draind: "
                                   "it sent something that is no reply.", client->path);
        default:
                return client_fail(STATUS_NOT_REACHED, "The connection to %s broke: %s.", client->path,
                                   strerror(outcome < 0 ? -outcome : EIO));
        }
}

static const char *parameter(const MessageReply *reply, const char *name, const char *otherwise) {
        const char *value = json_string_value(json_object_get(reply->parameters, name));

        return value && value[0] ? value : otherwise;
}

static int explain_no_service(Client *client, const MessageReply *reply) {
        const char *suggestion = parameter(reply, "suggestion", NULL);
        const char *service = parameter(reply, "service", "?");
        int status = client->is_looking ? STATUS_UNKNOWN : STATUS_NO_SERVICE;

        if (suggestion)
                return client_fail(status, "There is no service '%s'. Did you mean '%s'?", service, suggestion);
        return client_fail(status, "There is no service '%s'; `drainctl status` lists those there are.", service);
}

static int explain_no_operation(Client *client, const MessageReply *reply) {
        const json_t *id = json_object_get(reply->parameters, "operation");

        if (json_is_integer(id))
                return client_fail(STATUS_NO_SERVICE, "There is no operation %lld (any more).",
                                   (long long) json_integer_value(id));
        if (client->may_be_idle)
                return STATUS_IDLE;
        return client_fail(STATUS_NO_SERVICE, "No operation is going on.");
}

static int explain_configuration(Client *client, const MessageReply *reply) {
        const json_t *error;
        size_t i;

        json_array_foreach(json_object_get(reply->parameters, "errors"), i, error)
                (void) client_fail(0, "%s", json_is_string(error) ? json_string_value(error) : "?");
        return client_fail(STATUS_BAD_CONFIGURATION, "The configuration is not valid; nothing was changed.");
}

int client_explain(Client *client, const MessageReply *reply) {
        const char *error = reply->error;

        if (strcmp(error, CONTROL_INTERFACE "NoSuchService") == 0)
                return explain_no_service(client, reply);
        if (strcmp(error, CONTROL_INTERFACE "NoSuchOperation") == 0)
                return explain_no_operation(client, reply);
        if (strcmp(error, CONTROL_INTERFACE "ConfigurationInvalid") == 0)
                return explain_configuration(client, reply);
        if (strcmp(error, CONTROL_INTERFACE "Refused") == 0)
                return client_fail(STATUS_REFUSED, "Refused: %s",
                                   parameter(reply, "text", "the state does not allow it."));
        if (strcmp(error, CONTROL_INTERFACE "StartFailed") == 0)
                return client_fail(STATUS_FAILED, "%s did not start: %s", parameter(reply, "service", "?"),
                                   parameter(reply, "text", "see `drainctl status`."));
        if (strcmp(error, "org.varlink.service.PermissionDenied") == 0)
                return client_fail(STATUS_NOT_PERMITTED, "Not permitted: it needs root, the daemon's user or "
                                   "the control group.");
        if (strcmp(error, "org.varlink.service.InvalidParameter") == 0)
                return client_fail(STATUS_USAGE, "draind does not take this value for '%s'.",
                                   parameter(reply, "parameter", "?"));
        if (strcmp(error, "org.varlink.service.MethodNotFound") == 0 ||
            strcmp(error, "org.varlink.service.MethodNotImplemented") == 0 ||
            strcmp(error, "org.varlink.service.InterfaceNotFound") == 0)
                return client_fail(STATUS_FAILED, "The running draind cannot do that: it is another version than "
                                   "drainctl.");
        return client_fail(STATUS_FAILED, "draind answers: %s", parameter(reply, "message", error));
}

int client_call(Client *client, const char *method, json_t *parameters, MessageReply *ret) {
        usec_t deadline;
        MessageReply reply;
        int r, status;

        status = client_connect(client);
        deadline = usec_min(client->deadline, usec_add(clock_now_usec(), client->silence));
        r = status == STATUS_REACHED ? conn_call(client->conn, method, parameters, false, deadline) : CONN_DONE;
        json_decref(parameters);
        if (status != STATUS_REACHED)
                return status;
        /* A call that was refused early may have its answer here although the rest of it could not be sent. */
        if (r == CONN_DONE || r == CONN_CLOSED)
                r = conn_receive(client->conn, -EBADF, deadline, &reply);
        if (r != CONN_DONE)
                return client_explain_lost(client, r);
        if (!reply.error) {
                *ret = reply;
                return STATUS_REACHED;
        }
        status = client->is_trying ? STATUS_FAILED : client_explain(client, &reply);
        message_reply_done(&reply);
        return status;
}

int client_order(Client *client, const char *method, json_t *parameters) {
        MessageReply reply;
        int status = client_call(client, method, parameters, &reply);

        if (status != STATUS_REACHED)
                return status;
        (void) client_print_json(client, reply.parameters);
        message_reply_done(&reply);
        return STATUS_REACHED;
}

int client_call_more(Client *client, const char *method, const json_t *parameters) {
        usec_t deadline = usec_min(client->deadline, usec_add(clock_now_usec(), client->silence));

        return conn_call(client->conn, method, parameters, true, deadline);
}

bool client_print_json(const Client *client, const json_t *parameters) {
        cleanup(freep) char *text = NULL;

        if (!options_has(client->options, OPTION_JSON))
                return false;
        text = json_dumps(parameters, JSON_COMPACT);
        if (!text)
                die(ENOMEM);
        puts(text);
        (void) fflush(stdout); /* a follower reads line by line */
        return true;
}

void client_print(const Client *client, Text *text) {
        if (!options_has(client->options, OPTION_QUIET))
                (void) text_write(text, STDOUT_FILENO); /* whoever closed it does not want it */
        text->length = 0;
        text->column = 0;
}

json_t *client_names(const Client *client) {
        json_t *names;

        if (client->options->n_names == 0)
                return NULL;
        names = json_array();
        for (unsigned i = 0; i < client->options->n_names; i++)
                if (json_array_append_new(names, json_string(client->options->names[i])) < 0)
                        die(EILSEQ); /* no UTF-8 */
        return names;
}

json_t *client_pack(const char *format, ...) {
        json_error_t error;
        json_t *value;
        va_list list;

        va_start(list, format);
        value = json_vpack_ex(&error, 0, format, list);
        va_end(list);
        if (!value)
                die(json_error_code(&error) == json_error_out_of_memory ? ENOMEM : EILSEQ);
        return value;
}

bool client_is_id(const char *name) {
        return name[0] && name[strspn(name, "0123456789")] == '\0' && strlen(name) <= 18;
}
