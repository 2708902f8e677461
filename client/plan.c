#include "verbs.h"

#include "plan-chart.h"

int plan_run(Client *client) {
        usec_t budget = client->options->budget;
        json_t *parameters = json_object();
        Text text = text_make(&client->screen, true);
        MessageReply reply;
        const json_t *warning;
        size_t i;
        int status;

        if (budget != USEC_INFINITY &&
            json_object_set_new(parameters, "budgetUsec", json_integer((json_int_t) budget)) < 0)
                die(ENOMEM);
        status = client_call(client, CONTROL_INTERFACE "Plan", parameters, &reply);
        if (status != STATUS_REACHED)
                return status;
        if (!client_print_json(client, reply.parameters)) {
                plan_chart_add(&text, reply.parameters);
                text.limit = 0; /* sentences are not cut */
                json_array_foreach(json_object_get(reply.parameters, "warnings"), i, warning) {
                        text_add(&text, "%s", i == 0 ? "\n" : "");
                        text_add_coloured(&text, COLOUR_YELLOW, "Warning: ");
                        text_add_foreign(&text, json_string_value(warning));
                        text_newline(&text);
                }
                client_print(client, &text);
        }
        text_done(&text);
        message_reply_done(&reply);
        return STATUS_REACHED;
}
