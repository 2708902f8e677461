#include "verbs.h"

#include "outcome.h"

/* The names of every service; NULL: it was said on stderr why not. */
static json_t *all_names(Client *client, int *reterr_status) {
        MessageReply reply;
        const json_t *service;
        json_t *names;
        size_t i;

        *reterr_status = client_call(client, CONTROL_INTERFACE "List", NULL, &reply);
        if (*reterr_status != STATUS_REACHED)
                return NULL;
        names = json_array();
        json_array_foreach(json_object_get(reply.parameters, "services"), i, service)
                if (json_array_append(names, json_object_get(service, "name")) < 0)
                        die(EPROTO);
        message_reply_done(&reply);
        return names;
}

int start_run(Client *client) {
        json_t *names = client_names(client), *parameters;
        Follow follow;
        int status;

        if (!names)
                names = all_names(client, &status);
        if (!names)
                return status;
        parameters = client_pack("{s:O}", "services", names);
        if (options_has(client->options, OPTION_NO_WAIT)) {
                json_decref(names);
                return client_order(client, CONTROL_INTERFACE "Start", parameters);
        }
        follow_init(&follow, client, CONTROL_INTERFACE "Start", parameters, "the start");
        status = follow_run(&follow);
        if (status == STATUS_REACHED)
                status = outcome_of_services(&follow, "running", names, "Started");
        follow_done(&follow);
        json_decref(names);
        return status;
}
