#include "verbs.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "process-tree.h"

int process_tree(Client *client) {
        Text text = text_make(&client->screen, true);
        MessageReply reply;
        int status;

        client->is_looking = true;
        status = client_call(client, CONTROL_INTERFACE "Tree",
                             client_pack("{s:s}", "service", client->options->names[0]), &reply);
        if (status != STATUS_REACHED)
                return status;
        if (!client_print_json(client, reply.parameters)) {
                process_tree_add(&text, json_object_get(reply.parameters, "processes"), 0);
                if (text.length == 0)
                        text_add(&text, "No process.\n");
                client_print(client, &text);
        }
        text_done(&text);
        message_reply_done(&reply);
        return STATUS_REACHED;
}

/* "HUP", "SIGHUP", "hup" and "1" become "HUP"; NULL: there is no such signal. */
static const char *signal_name(const char *word) {
        char *end;
        long number = strtol(word, &end, 10);

        if (end != word && !*end)
                return number > 0 && number < NSIG ? sigabbrev_np((int) number) : NULL;
        if (strncasecmp(word, "SIG", 3) == 0)
                word += 3;
        for (int i = 1; i < NSIG; i++) {
                const char *name = sigabbrev_np(i);

                if (name && strcasecmp(name, word) == 0)
                        return name;
        }
        return strncasecmp(word, "RTM", 3) == 0 ? word : NULL; /* RTMIN+3: draind knows them */
}

int process_kill(Client *client) {
        const Options *options = client->options;
        const char *word = options->signal ? options->signal : "TERM", *name = signal_name(word);
        Text text = text_make(&client->screen, true);
        MessageReply reply;
        int64_t n;
        int status;

        if (!name)
                return client_fail(STATUS_USAGE, "There is no signal '%s'.", word);
        status = client_call(client, CONTROL_INTERFACE "Kill",
                             client_pack("{s:s, s:s, s:s*, s:b}", "service", options->names[0], "signal", name,
                                         "whom", options->whom, "force", options_has(options, OPTION_FORCE)), &reply);
        if (status != STATUS_REACHED)
                return status;
        n = json_integer_value(json_object_get(reply.parameters, "nSignalled"));
        if (!client_print_json(client, reply.parameters)) {
                text_add(&text, "Sent SIG%s to %lld process%s of ", name, (long long) n, n == 1 ? "" : "es");
                text_add_foreign(&text, options->names[0]);
                text_add(&text, ".\n");
                client_print(client, &text);
        }
        text_done(&text);
        message_reply_done(&reply);
        return STATUS_REACHED;
}
