#include "verbs.h"

#include <string.h>

#include "outcome.h"

/* With an id, or with nothing: an operation. */
static int wait_for_operation(Client *client) {
        const Options *options = client->options;
        Text text = text_make(&client->screen, true);
        json_t *parameters = json_object();
        Follow follow;
        int status;

        client->may_be_idle = options->n_names == 0;
        if (options->n_names > 0)
                (void) json_object_set_new(parameters, "operation", json_integer(strtoll(options->names[0], NULL, 10)));
        follow_init(&follow, client, CONTROL_INTERFACE "Wait", parameters, "the operation");
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_drain(&follow, view_is(follow.board.operation_view.state, "holding") ? "Quiesced"
                                                                                                        : "Stopped");
        follow_done(&follow);
        if (status != STATUS_IDLE)
                return status;
        if (!options_has(options, OPTION_JSON))
                text_add(&text, "No operation is going on.\n");
        client_print(client, &text);
        text_done(&text);
        return STATUS_REACHED;
}

static int wait_for_services(Client *client) {
        const char *state = client->options->state ? client->options->state : "stopped";
        json_t *names = client_names(client);
        Follow follow;
        int status;

        follow_init(&follow, client, CONTROL_INTERFACE "Wait",
                    client_pack("{s:O, s:s}", "services", names, "for", state), "what was waited for");
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_services(&follow, state, names, "Waited for");
        follow_done(&follow);
        json_decref(names);
        return status;
}

int wait_run(Client *client) {
        const Options *options = client->options;
        bool is_operation = options->n_names == 0 || client_is_id(options->names[0]);

        if (!is_operation)
                return wait_for_services(client);
        if (options->state)
                return client_fail(STATUS_USAGE, "--for needs the names of services: `drainctl wait NAME --for %s`.",
                                   options->state);
        if (options->n_names > 1)
                return client_fail(STATUS_USAGE, "Only one operation can be waited for at a time.");
        return wait_for_operation(client);
}
