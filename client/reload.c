#include "verbs.h"

#include "outcome.h"

static void add_list(Text *text, const char *label, const json_t *names) {
        const json_t *name;
        size_t i;

        if (json_array_size(names) == 0)
                return;
        text_add(text, "%s: ", label);
        json_array_foreach(names, i, name) {
                text_add(text, "%s", i > 0 ? ", " : "");
                text_add_foreign(text, json_string_value(name));
        }
        text_newline(text);
}

static void add_difference(Text *text, const Client *client, const json_t *difference) {
        bool is_dry = options_has(client->options, OPTION_DRY_RUN);
        bool restarts = options_has(client->options, OPTION_RESTART);
        const json_t *need_restart = json_object_get(difference, "needRestart");

        add_list(text, is_dry ? "Would be new" : "New", json_object_get(difference, "added"));
        add_list(text, is_dry ? "Would be gone" : "Gone", json_object_get(difference, "removed"));
        add_list(text, is_dry ? "Would change" : "Changed", json_object_get(difference, "changed"));
        add_list(text, restarts ? is_dry ? "Would be restarted" : "Restarted" : "Needs a restart", need_restart);
        if (text->length == 0)
                text_add(text, "No difference.\n");
        else if (!restarts && !is_dry && json_array_size(need_restart) > 0)
                text_add(text, "`drainctl reload --restart` restarts those.\n");
}

/* What is restarted is stopped first: until it runs again. */
static int wait_for_restart(Client *client, int64_t operation) {
        Follow follow;
        int status;

        follow_init(&follow, client, CONTROL_INTERFACE "Wait",
                    client_pack("{s:I}", "operation", (json_int_t) operation), "the restart");
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_drain(&follow, "Stopped");
        follow_done(&follow);
        return status;
}

static int wait_until_running(Client *client, json_t *names) {
        Follow follow;
        int status;

        follow_init(&follow, client, CONTROL_INTERFACE "Wait",
                    client_pack("{s:O, s:s}", "services", names, "for", "running"), "the restart");
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_services(&follow, "running", names, "Restarted");
        follow_done(&follow);
        return status;
}

static int reload_configuration(Client *client) {
        const Options *options = client->options;
        bool waits = !options_has(options, OPTION_DRY_RUN) && !options_has(options, OPTION_NO_WAIT);
        Text text = text_make(&client->screen, true);
        int status, status_of_return;
        const json_t *operation;
        json_t *need_restart;
        MessageReply reply;

        status = client_call(client, CONTROL_INTERFACE "Reload",
                             client_pack("{s:b, s:b}", "dryRun", options_has(options, OPTION_DRY_RUN), "restart",
                                         options_has(options, OPTION_RESTART)), &reply);
        if (status != STATUS_REACHED)
                return status;
        if (!client_print_json(client, reply.parameters)) {
                add_difference(&text, client, reply.parameters);
                client_print(client, &text);
        }
        text_done(&text);
        operation = json_object_get(reply.parameters, "operation");
        need_restart = json_object_get(reply.parameters, "needRestart");
        if (waits && json_is_integer(operation)) {
                status = wait_for_restart(client, json_integer_value(operation));
                if ((status == STATUS_REACHED || status == STATUS_KILLED) && json_array_size(need_restart) > 0) {
                        status_of_return = wait_until_running(client, need_restart);
                        if (status_of_return != STATUS_REACHED)
                                status = status_of_return;
                }
        }
        message_reply_done(&reply);
        return status;
}

static int reload_services(Client *client) {
        Text text = text_make(&client->screen, true);
        int status;

        if (options_has(client->options, OPTION_DRY_RUN) || options_has(client->options, OPTION_RESTART))
                return client_fail(STATUS_USAGE, "--dry-run and --restart are for the configuration: "
                                   "`drainctl reload` without names.");
        status = client_order(client, CONTROL_INTERFACE "ReloadService",
                              client_pack("{s:o}", "services", client_names(client)));
        if (status == STATUS_REACHED && !options_has(client->options, OPTION_JSON)) {
                text_add(&text, "Reloads ");
                for (unsigned i = 0; i < client->options->n_names; i++) {
                        text_add(&text, "%s", i > 0 ? ", " : "");
                        text_add_foreign(&text, client->options->names[i]);
                }
                text_add(&text, ".\n");
                client_print(client, &text);
        }
        text_done(&text);
        return status;
}

int reload_run(Client *client) {
        return client->options->n_names > 0 ? reload_services(client) : reload_configuration(client);
}
