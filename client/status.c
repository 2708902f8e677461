#include "verbs.h"

#include <string.h>

#include "process-tree.h"
#include "view.h"

#define NAME_COLUMNS_MIN 7u
#define NAME_COLUMNS_MAX 32u
#define STATE_COLUMNS    21u
#define AGE_COLUMNS    10u
#define PID_COLUMNS      8u
#define LABEL_COLUMNS    11u

/* "2h 5min": the two largest units are enough to see how long something lasts. */
static void add_age(Text *text, usec_t since, usec_t now) {
        usec_t age = since == USEC_INFINITY || now == USEC_INFINITY ? USEC_INFINITY : usec_left(now, since);

        if (age == USEC_INFINITY)
                return;
        if (age >= 86400 * USEC_PER_SEC)
                age -= age % (3600 * USEC_PER_SEC);
        else if (age >= 3600 * USEC_PER_SEC)
                age -= age % (60 * USEC_PER_SEC);
        else if (age >= 10 * USEC_PER_SEC)
                age -= age % USEC_PER_SEC;
        text_add_duration(text, age);
}

static void add_operations(Text *text, const json_t *operations) {
        const json_t *value;
        size_t i;

        json_array_foreach(operations, i, value) {
                OperationView operation = view_operation(value);
                const char *cause = view_cause(operation.cause).text;

                if (view_is(operation.state, "stopped") || view_is(operation.state, "resumed"))
                        continue;
                text_add(text, "  ");
                view_add_operation(text, &operation);
                text_add(text, ", ");
                text_add_foreign(text, operation.state);
                if (operation.left != USEC_INFINITY && operation.budget != USEC_INFINITY) {
                        text_add(text, ", ");
                        text_add_duration(text, operation.left);
                        text_add(text, " left of ");
                        text_add_duration(text, operation.budget);
                }
                text_newline(text);
                if (cause) {
                        text_add_coloured(text, COLOUR_DIM, "    asked for by ");
                        text_add_foreign(text, cause);
                        text_newline(text);
                }
        }
}

static void add_manager(Text *text, const ManagerView *manager) {
        Colour colour = manager->draining ? COLOUR_YELLOW : COLOUR_GREEN;

        text_add_glyph(text, colour, GLYPH_DOT);
        text_add_coloured(text, COLOUR_BOLD, " draind ");
        text_add_foreign(text, manager->version);
        text_add(text, ": ");
        text_add_coloured(text, colour, "%s", manager->draining ? "drains" : "runs");
        text_add(text, ", %lld of %lld services run, grace period ", (long long) manager->n_running,
                 (long long) manager->n_services);
        text_add_duration(text, manager->grace);
        if (manager->outer_grace != USEC_INFINITY) {
                text_add(text, " (outer ");
                text_add_duration(text, manager->outer_grace);
                text_add(text, ")");
        }
        text_newline(text);
        if (manager->generation > 1)
                text_add_coloured(text, COLOUR_YELLOW, "  the core was started %lld times\n",
                                  (long long) manager->generation);
        if (manager->log_dropped > 0)
                text_add_coloured(text, COLOUR_YELLOW, "  %lld log records could not be written\n",
                                  (long long) manager->log_dropped);
}

static unsigned name_columns(const Screen *screen, const json_t *services) {
        unsigned widest = NAME_COLUMNS_MIN;
        const json_t *service;
        size_t i;

        json_array_foreach(services, i, service) {
                const char *name = json_string_value(json_object_get(service, "name"));
                unsigned width = name ? text_width(screen, name) : 0;

                if (width > widest)
                        widest = width;
        }
        return widest < NAME_COLUMNS_MAX ? widest : NAME_COLUMNS_MAX;
}

static void add_table(Text *text, const json_t *services, usec_t now) {
        unsigned column = name_columns(text->screen, services) + 4;
        const json_t *value;
        size_t i;

        text_add_coloured(text, COLOUR_DIM, "  SERVICE");
        text_pad(text, column);
        text_add_coloured(text, COLOUR_DIM, "STATE");
        text_pad(text, column + STATE_COLUMNS);
        text_add_coloured(text, COLOUR_DIM, "FOR");
        text_pad(text, column + STATE_COLUMNS + AGE_COLUMNS);
        text_add_coloured(text, COLOUR_DIM, "PID");
        text_end_line(text);
        json_array_foreach(services, i, value) {
                ServiceView service = view_service(value);

                view_add_dot(text, &service);
                text_add(text, " ");
                text_add_foreign(text, service.name);
                text_pad(text, column);
                view_add_state(text, &service);
                text_pad(text, column + STATE_COLUMNS);
                add_age(text, service.since, now);
                text_pad(text, column + STATE_COLUMNS + AGE_COLUMNS);
                if (service.main_pid > 0)
                        text_add(text, "%lld", (long long) service.main_pid);
                text_pad(text, column + STATE_COLUMNS + AGE_COLUMNS + PID_COLUMNS);
                view_add_info(text, &service, service.left);
                text_end_line(text);
        }
}

static int show_all(Client *client) {
        Text text = text_make(&client->screen, true);
        MessageReply manager_reply, reply;
        ManagerView manager;
        int status;

        status = client_call(client, CONTROL_INTERFACE "List", NULL, &reply);
        if (status != STATUS_REACHED)
                return status;
        if (client_print_json(client, reply.parameters)) {
                message_reply_done(&reply);
                return STATUS_REACHED;
        }
        status = client_call(client, CONTROL_INTERFACE "GetManager", NULL, &manager_reply);
        if (status != STATUS_REACHED) {
                message_reply_done(&reply);
                return status;
        }
        manager = view_manager(manager_reply.parameters);
        add_manager(&text, &manager);
        add_operations(&text, json_object_get(reply.parameters, "operations"));
        if (json_array_size(json_object_get(reply.parameters, "services")) > 0) {
                text_newline(&text);
                add_table(&text, json_object_get(reply.parameters, "services"), manager.now);
        }
        client_print(client, &text);
        text_done(&text);
        message_reply_done(&manager_reply);
        message_reply_done(&reply);
        return STATUS_REACHED;
}

static void add_label(Text *text, const char *label) {
        text_pad(text, LABEL_COLUMNS - (unsigned) strlen(label) - 2);
        text_add_coloured(text, COLOUR_DIM, "%s: ", label);
}

static void add_list(Text *text, const char *label, const FieldStrings *list) {
        if (list->n == 0)
                return;
        add_label(text, label);
        for (unsigned i = 0; i < list->n; i++) {
                text_add(text, "%s", i > 0 ? ", " : "");
                text_add_foreign(text, field_strings_at(list, i));
        }
        text_newline(text);
}

static void add_foreign_line(Text *text, const char *label, const char *value) {
        if (!value || !value[0])
                return;
        add_label(text, label);
        text_add_foreign(text, value);
        text_newline(text);
}

/* How its drain goes, or went. */
static void add_drain(Text *text, const ServiceView *service) {
        CauseView cause = view_cause(service->cause);

        if (service->used != USEC_INFINITY) {
                add_label(text, "Drain");
                text_add_duration(text, service->used);
                text_add(text, " used");
                if (service->budget != USEC_INFINITY) {
                        text_add(text, " of ");
                        text_add_duration(text, service->budget);
                }
                if (service->operation > 0)
                        text_add(text, ", operation %lld", (long long) service->operation);
                text_newline(text);
        }
        if (!cause.text)
                return;
        add_label(text, "Cause");
        text_add_foreign(text, cause.text);
        if (service->hops > 0)
                text_add(text, " (%lld hop%s away)", (long long) service->hops, service->hops == 1 ? "" : "s");
        text_newline(text);
}

static void add_details(Text *text, const ServiceView *service, usec_t now) {
        view_add_dot(text, service);
        text_add(text, " ");
        text_add_coloured(text, COLOUR_BOLD, "%s", service->name);
        text_add(text, ": ");
        view_add_state(text, service);
        if (service->since != USEC_INFINITY && now != USEC_INFINITY) {
                text_add(text, " for ");
                add_age(text, service->since, now);
        }
        if (view_is(service->state, "draining") || view_is(service->state, "starting")) {
                text_add(text, ", ");
                view_add_info(text, service, service->left);
        }
        text_newline(text);
        add_foreign_line(text, "Status", service->status_text);
        if (service->detail && !view_is(service->detail, service->state))
                add_foreign_line(text, "Step", service->detail);
        if (service->failed_step || service->failed_text || service->exit_signal || service->exit_code >= 0) {
                add_label(text, "Last end");
                (void) view_add_end(text, service);
                text_newline(text);
        }
        add_drain(text, service);
        if (service->n_restarts > 0) {
                add_label(text, "Restarts");
                text_add(text, "%lld\n", (long long) service->n_restarts);
        }
        if (service->needs_restart) {
                add_label(text, "Changed");
                text_add_coloured(text, COLOUR_YELLOW, "needs a restart for its new configuration\n");
        }
        add_list(text, "Requires", &service->requires);
        add_foreign_line(text, "Origin", service->origin);
}

/* A service may be gone by now: then there is no tree. */
static void add_processes(Client *client, Text *text, const ServiceView *service) {
        MessageReply reply;
        int status;

        if (service->n_processes == 0 || view_is(service->state, "stopped"))
                return;
        client->is_trying = true;
        status = client_call(client, CONTROL_INTERFACE "Tree", client_pack("{s:s}", "service", service->name), &reply);
        client->is_trying = false;
        if (status != STATUS_REACHED)
                return;
        if (json_array_size(json_object_get(reply.parameters, "processes")) > 0) {
                add_label(text, "Processes");
                text_end_line(text);
                process_tree_add(text, json_object_get(reply.parameters, "processes"), LABEL_COLUMNS);
        }
        message_reply_done(&reply);
}

static usec_t daemon_now(Client *client) {
        usec_t now = USEC_INFINITY;
        MessageReply reply;

        if (client_call(client, CONTROL_INTERFACE "GetManager", NULL, &reply) == STATUS_REACHED) {
                now = view_manager(reply.parameters).now;
                message_reply_done(&reply);
        }
        return now;
}

static int show_named(Client *client) {
        Text text = text_make(&client->screen, true);
        int status, result = STATUS_REACHED;
        usec_t now = USEC_INFINITY;
        MessageReply reply;
        bool is_json;
        const json_t *value;
        size_t i;

        status = client_call(client, CONTROL_INTERFACE "List", client_pack("{s:o}", "services", client_names(client)),
                             &reply);
        if (status != STATUS_REACHED)
                return status;
        is_json = client_print_json(client, reply.parameters);
        if (!is_json)
                now = daemon_now(client);
        json_array_foreach(json_object_get(reply.parameters, "services"), i, value) {
                ServiceView service = view_service(value);

                if (!view_service_is_running(&service))
                        result = STATUS_NOT_SO;
                if (is_json)
                        continue;
                if (i > 0)
                        text_newline(&text);
                add_details(&text, &service, now);
                add_processes(client, &text, &service);
        }
        client_print(client, &text);
        text_done(&text);
        message_reply_done(&reply);
        return result;
}

int status_run(Client *client) {
        client->is_looking = true;
        return client->options->n_names > 0 ? show_named(client) : show_all(client);
}

static bool is_ready(const ServiceView *service) {
        return view_service_is_running(service) && service->ready;
}

static bool is_drained(const ServiceView *service) {
        return view_is(service->state, "stopped");
}

/* With `any` one service is enough, else all must be so. */
static int answer(Client *client, bool (*is_so)(const ServiceView *service), bool any) {
        json_t *names = client_names(client);
        Text text = text_make(&client->screen, true);
        size_t n_so = 0, n = 0;
        MessageReply reply;
        const json_t *value;
        bool is_json;
        int status;

        client->is_looking = true;
        status = client_call(client, CONTROL_INTERFACE "List", client_pack("{s:o*}", "services", names), &reply);
        if (status != STATUS_REACHED)
                return status;
        is_json = client_print_json(client, reply.parameters);
        json_array_foreach(json_object_get(reply.parameters, "services"), n, value) {
                ServiceView service = view_service(value);

                n_so += is_so(&service);
                text_add_foreign(&text, service.name);
                text_add(&text, ": ");
                view_add_state(&text, &service);
                text_newline(&text);
        }
        if (!is_json)
                client_print(client, &text);
        text_done(&text);
        message_reply_done(&reply);
        return (any ? n_so > 0 : n_so == n) ? STATUS_REACHED : STATUS_NOT_SO;
}

int status_is_running(Client *client) {
        return answer(client, view_service_is_running, false);
}

int status_is_ready(Client *client) {
        return answer(client, is_ready, false);
}

int status_is_drained(Client *client) {
        return answer(client, is_drained, false);
}

int status_is_failed(Client *client) {
        return answer(client, view_service_has_failed, true);
}
