#include "outcome.h"

#include <string.h>

#define NAMES_SHOWN_MAX 6u

typedef bool (*ServicePredicate)(const ServiceView *service);

/* "web, app and 12 more". Returns how many there are. */
static unsigned add_names(Text *text, const Board *board, const json_t *names, ServicePredicate is_meant) {
        unsigned n = 0, shown = 0;
        const json_t *name;
        size_t i;

        for (unsigned pass = 0; pass < 2; pass++) {
                for (i = 0; i < board->n; i++) {
                        const ServiceView *service = &board->entries[i].view;
                        bool is_named = !names;
                        size_t k;

                        json_array_foreach(names, k, name)
                                is_named = is_named || view_is(json_string_value(name), service->name);
                        if (!is_named || !is_meant(service))
                                continue;
                        if (pass == 0) {
                                n++;
                                continue;
                        }
                        if (shown >= NAMES_SHOWN_MAX && n > NAMES_SHOWN_MAX + 1)
                                continue;
                        text_add(text, "%s", shown == 0 ? "" : shown + 1 == n ? " and " : ", ");
                        text_add_foreign(text, service->name);
                        shown++;
                }
        }
        if (shown < n)
                text_add(text, " and %u more", n - shown);
        return n;
}

static bool is_any(const ServiceView *service) {
        return true;
}

static bool was_unkillable(const ServiceView *service) {
        return view_is(service->state, "stopped") && view_is(service->result, "unkillable");
}

/* One sentence about those services on stderr: "%s" of the format is their names. Returns whether there are any. */
static bool say_about(const Follow *follow, const json_t *names, ServicePredicate is_meant, int status,
                      const char *before, const char *after) {
        Screen plain = { .has_unicode = follow->client->screen.has_unicode };
        Text text = text_make(&plain, false);
        bool is_any_meant = add_names(&text, &follow->board, names, is_meant) > 0;

        if (is_any_meant)
                (void) client_fail(status, "%s%s%s", before, text.bytes, after);
        text_done(&text);
        return is_any_meant;
}

static void say_reached(const Follow *follow, const json_t *names, const char *verb) {
        Text text = text_make(&follow->client->screen, true);

        if (!options_has(follow->client->options, OPTION_JSON)) {
                text_add(&text, "%s ", verb);
                if (add_names(&text, &follow->board, names, is_any) == 0)
                        text_add(&text, "nothing");
                text_add(&text, " in ");
                text_add_duration(&text, clock_now_usec() - follow->began);
                text_add(&text, follow->daemon_has_ended ? "; draind has ended.\n" : ".\n");
                client_print(follow->client, &text);
        }
        text_done(&text);
}

static int say_resumed(const Follow *follow) {
        const OperationView *operation = &follow->board.operation_view;

        if (operation->rolled_back)
                return client_fail(STATUS_FAILED, "Operation %lld was taken back: a guard did not hold in time, and "
                                   "OnGuardTimeout=rollback.", (long long) operation->id);
        return client_fail(STATUS_FAILED, "Operation %lld was taken back.", (long long) operation->id);
}

int outcome_of_drain(const Follow *follow, const char *verb) {
        const OperationView *operation = &follow->board.operation_view;
        bool was_killed, was_left;

        if (!follow->board.operation && follow->board.n == 0) {
                Text text = text_make(&follow->client->screen, true);

                text_add(&text, "Nothing to do: it is so already.\n");
                if (!options_has(follow->client->options, OPTION_JSON))
                        client_print(follow->client, &text);
                text_done(&text);
                return STATUS_REACHED;
        }
        if (view_is(operation->state, "resumed"))
                return say_resumed(follow);
        was_left = say_about(follow, NULL, was_unkillable, STATUS_FAILED, "SIGKILL did not end ",
                             ": a process hangs in the kernel. It was left behind.") || operation->n_unkillable > 0;
        if (was_left)
                return STATUS_FAILED;
        /* A service may have been killed in an earlier stop: then it is not the operation that counts it. */
        was_killed = operation->n_killed > 0 || !follow->board.operation;
        if (was_killed && say_about(follow, NULL, view_service_was_killed, STATUS_KILLED, "Had to be killed: ", "."))
                return STATUS_KILLED;
        if (operation->n_killed > 0)
                return client_fail(STATUS_KILLED, "%lld had to be killed.", (long long) operation->n_killed);
        say_reached(follow, NULL, verb);
        return STATUS_REACHED;
}

static bool is_in_state(const ServiceView *service, const char *state) {
        if (strcmp(state, "ready") == 0)
                return view_service_is_running(service) && service->ready;
        if (strcmp(state, "running") == 0) /* a oneshot that has ended well has run */
                return view_service_is_running(service) ||
                       (view_is(service->state, "stopped") && view_is(service->result, "success"));
        if (strcmp(state, "quiesced") == 0)
                return view_is(service->state, "stopped") || view_is(service->state, "draining");
        return view_is(service->state, "stopped");
}

static void say_not_reached(const ServiceView *service, const char *state) {
        Screen plain = { 0 };
        Text text = text_make(&plain, false);

        if (view_service_has_failed(service) && strcmp(state, "stopped") != 0) {
                text_add(&text, "did not start: ");
                view_add_line(&text, service, USEC_INFINITY);
        } else {
                text_add(&text, "is not %s: it is ", state);
                view_add_line(&text, service, USEC_INFINITY);
        }
        (void) client_fail(STATUS_FAILED, "%s %s.", service->name, text.bytes);
        text_done(&text);
}

int outcome_of_services(const Follow *follow, const char *state, const json_t *names, const char *verb) {
        int status = STATUS_REACHED;
        const json_t *name;
        size_t i;

        if (names && strcmp(state, "stopped") == 0 &&
            say_about(follow, names, view_service_was_killed, STATUS_KILLED, "Had to be killed: ", "."))
                status = STATUS_KILLED;
        json_array_foreach(names, i, name) {
                const BoardEntry *entry = board_find(&follow->board, json_string_value(name));

                if (!entry || is_in_state(&entry->view, state))
                        continue;
                say_not_reached(&entry->view, state);
                status = STATUS_FAILED;
        }
        if (status == STATUS_REACHED)
                say_reached(follow, names, verb);
        return status;
}
