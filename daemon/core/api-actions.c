#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "api-json.h"
#include "api-methods.h"
#include "api-names.h"

/* Methods that act on single services, and the reload. */

typedef struct ServicesArguments {
        FieldStrings services;
} ServicesArguments;

enum { ACTIONS_ANSWERED = 1 };

/* Asks the same of each service that is named; at least one is. *ret_services: free(). 0, ACTIONS_ANSWERED or -errno. */
must_check static int ask_each(Call *call, const json_t *parameters, Manager *manager,
                               int (*ask)(Manager *manager, unsigned service, const char **ret_why), ServicesArguments *ret,
                               unsigned **ret_services) {
        static const Field fields[] = {
                { "services", field_strings, offsetof(ServicesArguments, services), FIELD_REQUIRED },
                { NULL, NULL, 0, 0 },
        };
        int r;

        if (api_methods_decode(call, parameters, fields, ret) != 0)
                return ACTIONS_ANSWERED;
        if (ret->services.n == 0) {
                (void) call_invalid_parameter(call, "services");
                return ACTIONS_ANSWERED;
        }
        r = api_names_find_all(call, manager_model(manager), &ret->services, ret_services);
        if (r != 0)
                return r < 0 ? r : ACTIONS_ANSWERED;
        for (unsigned i = 0; i < ret->services.n; i++) {
                const char *why = "";

                r = ask(manager, (*ret_services)[i], &why);
                if (r < 0)
                        return r;
                if (r == MACHINE_REFUSED) {
                        r = api_methods_refuse(call, why, field_strings_at(&ret->services, i));
                        return r < 0 ? r : ACTIONS_ANSWERED;
                }
        }
        return 0;
}

/* --- Start --- */

/* One that could not even be started is told at once where nobody waits for more. */
static bool has_failed_already(Call *call, Manager *manager, unsigned service) {
        const Cell *cell = machine_cell(manager_machine(manager), service);
        char text[256];

        if (call_wants_more(call) || cell->state != SERVICE_STOPPED || cell->failure.step == 0)
                return false;
        (void) call_error(call, ERROR_START_FAILED,
                          json_pack("{s:s, s:s}", "service", manager_model(manager)->services[service].name, "text",
                                    api_json_start_failure(text, sizeof(text), &cell->failure)));
        return true;
}

int api_actions_start(Call *call, const json_t *parameters, void *userdata) {
        const ApiContext *context = userdata;
        Manager *manager = context->manager;
        cleanup(freep) unsigned *services = NULL;
        ServicesArguments arguments = { 0 };
        int r;

        r = ask_each(call, parameters, manager, manager_start, &arguments, &services);
        if (r != 0)
                return r < 0 ? r : 0;
        for (unsigned i = 0; i < arguments.services.n; i++)
                if (has_failed_already(call, manager, services[i]))
                        return 0;
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = GOAL_RUNNING, .names = arguments.services.array, .members = MEMBER_DONE, .has_patience = true,
        });
}

/* --- ReloadService --- */

int api_actions_reload_service(Call *call, const json_t *parameters, void *userdata) {
        Manager *manager = ((ApiContext *) userdata)->manager;
        cleanup(freep) unsigned *services = NULL;
        ServicesArguments arguments = { 0 };
        int r;

        r = ask_each(call, parameters, manager, manager_reload_service, &arguments, &services);
        if (r != 0)
                return r < 0 ? r : 0;
        return call_reply(call, json_object(), false);
}

/* --- Kill --- */

typedef struct KillArguments {
        const char *service, *signal;
        unsigned whom; /* KillWhom */
        bool force;
} KillArguments;

typedef enum KillWhom { KILL_MAIN, KILL_TREE } KillWhom;

static void record_kill(Manager *manager, const Call *call, const char *name, int signal, int n) {
        const PeerCredentials *who = call_credentials(call);
        char signal_text[16], text[160];

        (void) snprintf(text, sizeof(text), "SIG%s to %d process%s, asked for by pid %d, uid %u",
                        signal_format(signal_text, sizeof(signal_text), signal), n, n == 1 ? "" : "es", (int) who->pid,
                        (unsigned) who->uid);
        log_record(LOG_NOTICE, (const LogField[]) { { "DRAIND_SERVICE", name }, { NULL, NULL } }, __FILE__, __LINE__,
                   "%s: %s.", name, text);
        events_record(manager_events(manager), &(Event) { .time = manager_now(manager), .kind = EVENT_MESSAGE,
                                                          .service = name, .text = text });
}

int api_actions_kill(Call *call, const json_t *parameters, void *userdata) {
        static const char *const whom_names[] = { [KILL_MAIN] = "main", [KILL_TREE] = "tree", NULL };
        static const FieldType field_whom[1] = { FIELD_ENUM(whom_names) };
        static const Field fields[] = {
                { "service", field_string, offsetof(KillArguments, service), FIELD_REQUIRED },
                { "signal", field_string, offsetof(KillArguments, signal), FIELD_REQUIRED },
                { "whom", field_whom, offsetof(KillArguments, whom), 0 },
                { "force", field_bool, offsetof(KillArguments, force), 0 },
                { NULL, NULL, 0, 0 },
        };
        Manager *manager = ((ApiContext *) userdata)->manager;
        KillArguments arguments = { .whom = KILL_MAIN };
        unsigned service;
        int r, signal;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0
            || api_names_find(call, manager_model(manager), arguments.service, &service) != 0)
                return 0;
        if (signal_parse(arguments.signal, &signal) < 0 || signal < 1 || signal > SIGRTMAX)
                return call_invalid_parameter(call, "signal");
        if (!arguments.force
            && service_state_public(machine_cell(manager_machine(manager), service)->state) == PUBLIC_DRAINING)
                return api_methods_refuse(call, "it is being drained, and its ladder sends the right signals by itself",
                                          arguments.service);
        r = manager_kill(manager, service, signal, arguments.whom == KILL_TREE);
        if (r == -ESRCH)
                return api_methods_refuse(call, "no process of it is there", arguments.service);
        if (r < 0)
                return r;
        record_kill(manager, call, arguments.service, signal, r);
        return call_reply_pack(call, false, "{s:i}", "nSignalled", r);
}

/* --- Reload --- */

static void reload_reply(Call *call, const ReloadOutcome *outcome) {
        json_t *parameters = json_object();
        struct { const char *name; const StringList *list; } lists[] = {
                { "added", &outcome->added }, { "removed", &outcome->removed },
                { "changed", &outcome->changed }, { "needRestart", &outcome->need_restart },
        };

        for (size_t i = 0; i < n_elements(lists); i++) {
                json_t *array = NULL;

                if (api_json_strings(lists[i].list, &array) == 0)
                        (void) json_object_set_new(parameters, lists[i].name, array); /* as below */
        }
        if (outcome->operation != 0)
                (void) json_object_set_new(parameters, "operation", json_integer((json_int_t) outcome->operation)); /* below */
        if (json_object_size(parameters) != n_elements(lists) + (outcome->operation != 0)) {
                json_decref(parameters);
                (void) call_error(call, ERROR_FAILED,
                                  json_pack("{s:i, s:s}", "errno", ENOMEM, "message", strerror(ENOMEM)));
                return;
        }
        (void) call_reply(call, parameters, false);
}

static void on_reloaded(const ReloadOutcome *outcome, void *userdata) {
        ApiContext *context = userdata;
        Call *call = take(context->reload);
        json_t *errors = NULL;

        if (!call)
                return;
        if (outcome->errors.n == 0)
                reload_reply(call, outcome);
        else if (api_json_strings(&outcome->errors, &errors) == 0)
                (void) call_error(call, ERROR_CONFIGURATION_INVALID, json_pack("{s:o}", "errors", errors));
        else
                (void) call_error(call, ERROR_CONFIGURATION_INVALID,
                                  json_pack("{s:[s]}", "errors", "it has errors; the log tells which"));
}

static void reload_on_gone(Call *call, void *userdata) {
        ApiContext *context = userdata;

        context->reload = NULL;
        manager_reload_forget(context->manager, context);
}

int api_actions_reload(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { bool is_dry, restarts; } Arguments;
        static const Field fields[] = {
                { "dryRun", field_bool, offsetof(Arguments, is_dry), 0 },
                { "restart", field_bool, offsetof(Arguments, restarts), 0 },
                { NULL, NULL, 0, 0 },
        };
        ApiContext *context = userdata;
        Arguments arguments = { 0 };
        const char *why = "";
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        if (context->reload)
                return api_methods_refuse(call, "another reload is running", NULL);
        r = manager_reload(context->manager, arguments.is_dry, arguments.restarts, on_reloaded, context, &why);
        if (r == MANAGER_BUSY)
                return api_methods_refuse(call, why, NULL);
        if (r < 0)
                return r;
        context->reload = call;
        call_keep(call, reload_on_gone, context);
        return 0;
}
