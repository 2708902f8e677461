#include "verbs.h"

#include <stdio.h>
#include <string.h>

#include "outcome.h"

typedef struct DrainOrder {
        const char *verb;  /* what has been done in the end: "Stopped" */
        bool restarts;
} DrainOrder;

static bool is_named(const Client *client, const char *name) {
        for (unsigned i = 0; i < client->options->n_names; i++)
                if (strcmp(client->options->names[i], name) == 0)
                        return true;
        return client->options->n_names == 0;
}

/* The named service (or one that is taken along) because of which this one is drained, or NULL. */
static const char *taken_along_by(const Board *board, const ServiceView *service) {
        for (unsigned i = 0; i < service->requires.n; i++) {
                const char *needed = field_strings_at(&service->requires, i);

                if (needed && board_find(board, needed))
                        return needed;
        }
        return NULL;
}

/* Who is drained without being named is told before anything else. */
static void say_taken_along(Client *client, const Board *board) {
        Text text = text_make(&client->screen, false);
        bool is_first = true;

        for (unsigned i = 0; i < board->n; i++) {
                const ServiceView *service = &board->entries[i].view;
                const char *needed;

                if (is_named(client, service->name) || !view_is(service->state, "draining"))
                        continue;
                text_add(&text, is_first ? "Also drains: " : ", ");
                is_first = false;
                text_add_foreign(&text, service->name);
                needed = taken_along_by(board, service);
                if (needed) {
                        text_add(&text, " (requires ");
                        text_add_foreign(&text, needed);
                        text_add(&text, ")");
                }
        }
        if (!is_first) {
                text_add(&text, ".\n");
                if (!options_has(client->options, OPTION_JSON))
                        client_print(client, &text);
        }
        text_done(&text);
}

static void set_new(json_t *object, const char *name, json_t *value) {
        if (json_object_set_new(object, name, value) < 0)
                die(EILSEQ); /* no UTF-8 */
}

static json_t *drain_parameters(const Client *client, const DrainOrder *order) {
        const Options *options = client->options;
        json_t *parameters = json_object(), *names = client_names(client);

        if (names)
                set_new(parameters, "services", names);
        if (options->budget != USEC_INFINITY)
                set_new(parameters, "budgetUsec", json_integer((json_int_t) options->budget));
        if (options->until)
                set_new(parameters, "until", json_string(options->until));
        if (options->reason)
                set_new(parameters, "reason", json_string(options->reason));
        if (order->restarts)
                set_new(parameters, "restart", json_true());
        if (options_has(options, OPTION_EXIT))
                set_new(parameters, "exit", json_true());
        return parameters;
}

static bool escalates(const Client *client) {
        return options_has(client->options, OPTION_NOW) || options_has(client->options, OPTION_KILL);
}

static int escalate(Client *client, int64_t id) {
        const char *level = options_has(client->options, OPTION_KILL) ? "kill" : "terminate";

        return client_order(client, CONTROL_INTERFACE "Escalate",
                            client_pack("{s:I, s:s}", "operation", (json_int_t) id, "level", level));
}

static void print_id(const Client *client, int64_t id) {
        Text text = text_make(&client->screen, false);

        text_add(&text, "%lld\n", (long long) id);
        if (!options_has(client->options, OPTION_JSON))
                client_print(client, &text);
        text_done(&text);
}

/* Orders the drain and does not wait. *ret_id: of the operation, -1 where nothing is to be done. */
static int order_drain(Client *client, const DrainOrder *order, int64_t *ret_id) {
        const Options *options = client->options;
        MessageReply reply;
        int status;

        if (escalates(client) && options->n_names == 1 && client_is_id(options->names[0])) {
                *ret_id = strtoll(options->names[0], NULL, 10);
                return STATUS_REACHED;
        }
        status = client_call(client, CONTROL_INTERFACE "Drain", drain_parameters(client, order), &reply);
        if (status != STATUS_REACHED)
                return status;
        *ret_id = view_operation(json_object_get(reply.parameters, "operation")).id;
        (void) client_print_json(client, reply.parameters);
        message_reply_done(&reply);
        return STATUS_REACHED;
}

/* After the drain of a restart: until all of them run again. */
static int wait_for_return(Client *client, const Follow *drained) {
        json_t *names = client_names(client);
        Follow follow;
        int status;

        if (!names) {
                names = json_array();
                for (unsigned i = 0; i < drained->board.n; i++)
                        (void) json_array_append_new(names, json_string(drained->board.entries[i].view.name));
        }
        follow_init(&follow, client, CONTROL_INTERFACE "Wait",
                    client_pack("{s:O, s:s}", "services", names, "for", "running"), "the restart");
        follow.began = drained->began;
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_services(&follow, "running", names, "Restarted");
        follow_done(&follow);
        json_decref(names);
        return status;
}

static int follow_drain(Client *client, const DrainOrder *order, const char *method, json_t *parameters) {
        bool is_quiesced = view_is(client->options->until, "quiesced");
        Follow follow;
        int status, status_of_return;

        follow_init(&follow, client, method, parameters, "the drain");
        follow.on_begin = say_taken_along;
        status = follow_run(&follow);
        if (status == STATUS_REACHED && !order->restarts)
                status = outcome_of_drain(&follow, is_quiesced ? "Quiesced" : order->verb);
        if (status == STATUS_REACHED && order->restarts) {
                /* That some had to be killed is told in any case, and that they did not come back matters more. */
                status = outcome_of_drain(&follow, "Stopped");
                if (status == STATUS_REACHED || status == STATUS_KILLED) {
                        status_of_return = wait_for_return(client, &follow);
                        if (status_of_return != STATUS_REACHED)
                                status = status_of_return;
                }
        }
        follow_done(&follow);
        return status;
}

static int drain(Client *client, const DrainOrder *order) {
        bool waits = !options_has(client->options, OPTION_NO_WAIT);
        int64_t id = -1;
        int status;

        if (waits && !escalates(client))
                return follow_drain(client, order, CONTROL_INTERFACE "Drain", drain_parameters(client, order));
        status = order_drain(client, order, &id);
        if (status == STATUS_REACHED && id >= 0 && escalates(client))
                status = escalate(client, id);
        if (status != STATUS_REACHED)
                return status;
        if (waits && id >= 0)
                return follow_drain(client, order, CONTROL_INTERFACE "Wait",
                                    client_pack("{s:I}", "operation", (json_int_t) id));
        if (id >= 0)
                print_id(client, id);
        return STATUS_REACHED;
}

int drain_stop(Client *client) {
        static const DrainOrder order = { .verb = "Stopped" };

        return drain(client, &order);
}

int drain_restart(Client *client) {
        static const DrainOrder order = { .verb = "Restarted", .restarts = true };

        return drain(client, &order);
}

int drain_run(Client *client) {
        static const DrainOrder order = { .verb = "Drained" };

        return drain(client, &order);
}

int drain_resume(Client *client) {
        const Options *options = client->options;
        json_t *parameters = json_object();
        Text text = text_make(&client->screen, true);
        MessageReply reply;
        OperationView operation;
        int status;

        if (options->n_names > 0 && client_is_id(options->names[0]))
                set_new(parameters, "operation", json_integer(strtoll(options->names[0], NULL, 10)));
        else if (options->n_names > 0)
                set_new(parameters, "service", json_string(options->names[0]));
        status = client_call(client, CONTROL_INTERFACE "Resume", parameters, &reply);
        if (status != STATUS_REACHED)
                return status;
        operation = view_operation(json_object_get(reply.parameters, "operation"));
        if (!client_print_json(client, reply.parameters)) {
                text_add(&text, "Taken back: ");
                view_add_operation(&text, &operation);
                text_add(&text, ".\n");
                client_print(client, &text);
        }
        text_done(&text);
        message_reply_done(&reply);
        return STATUS_REACHED;
}
