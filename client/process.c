#include "process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "verbs.h"
#include "view.h"

#define DEPTH_MAX 24u /* deeper ones stand in the same column: a hostile tree may be as deep as there are pids */

typedef struct Forest {
        ProcessView *items; /* owned */
        unsigned n;
        bool *is_shown, *is_root; /* owned */
        bool has_next[DEPTH_MAX];
        unsigned indent;
} Forest;

static bool has_parent_here(const Forest *forest, unsigned i) {
        for (unsigned k = 0; k < forest->n; k++)
                if (k != i && forest->items[k].pid == forest->items[i].parent)
                        return true;
        return false;
}

static bool belongs_under(const Forest *forest, unsigned i, int64_t parent, bool is_root) {
        if (forest->is_shown[i])
                return false;
        return is_root ? forest->is_root[i] : !forest->is_root[i] && forest->items[i].parent == parent;
}

static void add_process(Text *text, const Forest *forest, const ProcessView *process, unsigned depth, bool is_last) {
        text_add(text, "%*s", (int) forest->indent, "");
        for (unsigned i = 1; i < depth && i < DEPTH_MAX; i++)
                text_add(text, "%s", forest->has_next[i] ? screen_glyph(text->screen, GLYPH_TRUNK) : "   ");
        if (depth > 0)
                text_add(text, "%s", screen_glyph(text->screen, is_last ? GLYPH_LAST_BRANCH : GLYPH_BRANCH));
        text_add_coloured(text, process->leader ? COLOUR_BOLD : COLOUR_NONE, "%lld", (long long) process->pid);
        text_add(text, " ");
        text_add_foreign(text, view_or_empty(process->command));
        if (process->leader)
                text_add_coloured(text, COLOUR_DIM, "  (leader)");
        if (process->escapee)
                text_add_coloured(text, COLOUR_YELLOW, "  (escapee, session %lld)", (long long) process->session);
        if (view_is(process->state, "D"))
                text_add_coloured(text, COLOUR_RED, "  (hangs in the kernel)");
        else if (view_is(process->state, "Z"))
                text_add_coloured(text, COLOUR_DIM, "  (zombie)");
        else if (view_is(process->state, "T"))
                text_add_coloured(text, COLOUR_YELLOW, "  (stopped)");
        text_newline(text);
}

static void add_children(Text *text, Forest *forest, int64_t parent, unsigned depth) {
        unsigned at = depth < DEPTH_MAX ? depth : DEPTH_MAX - 1;

        for (unsigned i = 0; i < forest->n; i++) {
                bool has_next = false;

                if (!belongs_under(forest, i, parent, depth == 0))
                        continue;
                for (unsigned k = i + 1; k < forest->n; k++)
                        has_next = has_next || belongs_under(forest, k, parent, depth == 0);
                forest->is_shown[i] = true;
                forest->has_next[at] = has_next;
                add_process(text, forest, &forest->items[i], at, !has_next);
                add_children(text, forest, forest->items[i].pid, depth + 1);
        }
}

void process_add_tree(Text *text, const json_t *processes, unsigned indent) {
        Forest forest = { .n = (unsigned) json_array_size(processes), .indent = indent };
        const json_t *process;
        size_t i;

        if (forest.n == 0)
                return;
        forest.items = calloc(forest.n, sizeof(*forest.items));
        forest.is_shown = calloc(forest.n, sizeof(*forest.is_shown));
        forest.is_root = calloc(forest.n, sizeof(*forest.is_root));
        if (!forest.items || !forest.is_shown || !forest.is_root)
                die(ENOMEM);
        json_array_foreach(processes, i, process)
                forest.items[i] = view_process(process);
        for (unsigned k = 0; k < forest.n; k++)
                forest.is_root[k] = !has_parent_here(&forest, k);
        add_children(text, &forest, -1, 0);
        for (unsigned k = 0; k < forest.n; k++) /* parents in a circle: pids were used again while they were read */
                if (!forest.is_shown[k])
                        add_process(text, &forest, &forest.items[k], 0, true);
        free(forest.items);
        free(forest.is_shown);
        free(forest.is_root);
}

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
                process_add_tree(&text, json_object_get(reply.parameters, "processes"), 0);
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
