#include "api-methods.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "api-json.h"
#include "api-names.h"
#include "config.h"

#define EVENTS_DEFAULT  50u
#define LINES_DEFAULT   100u
#define COUNTED_MAX     16u /* services whose processes are counted for one reply: each is a look at /proc */

int api_methods_decode(Call *call, const json_t *parameters, const Field *fields, void *ret) {
        const char *bad;

        if (fields_decode(parameters, fields, ret, &bad) == FIELDS_DECODED)
                return 0;
        (void) call_invalid_parameter(call, bad);
        return 1;
}

int api_methods_refuse(Call *call, const char *text, const char *service) {
        char sentence[512];
        size_t length = strlen(text);
        bool has_end = length > 0 && text[length - 1] == '.';

        (void) snprintf(sentence, sizeof(sentence), "%s%s", text, has_end ? "" : ".");
        (void) call_error(call, ERROR_REFUSED, json_pack("{s:s, s:s*}", "text", sentence, "service", service));
        return 0;
}

static const Field no_fields[] = { { NULL, NULL, 0, 0 } };

/* --- GetManager --- */

/* "-c PATH", "-cPATH", "--config PATH", "--config=PATH". NULL: the option is another. */
static const char *path_in(char *const *arguments, unsigned *at) {
        const char *argument = arguments[*at];
        bool is_short = strncmp(argument, "-c", 2) == 0, is_long = strncmp(argument, "--config", 8) == 0;

        if (is_short && argument[2] != '\0')
                return argument + 2;
        if (is_long && argument[8] == '=')
                return argument + 9;
        if (!is_short && !(is_long && argument[8] == '\0'))
                return NULL;
        return arguments[*at + 1] ? arguments[++*at] : NULL;
}

must_check static int configuration_paths(Manager *manager, json_t **ret) {
        char *const *arguments = manager_arguments(manager);
        json_t *array = json_array();
        bool fits = array;

        for (unsigned i = 1; arguments && arguments[0] && arguments[i] && strcmp(arguments[i], "--") != 0; i++) {
                const char *path = path_in(arguments, &i);

                /* A path need not be UTF-8: then it cannot be told. */
                if (path)
                        (void) json_array_append_new(array, json_string(path));
        }
        if (fits && json_array_size(array) == 0 && !manager_model(manager)->is_command)
                fits = json_array_append_new(array, json_string(DRAIND_SYSCONFDIR "/draind.conf")) == 0
                        && json_array_append_new(array, json_string(DRAIND_SYSCONFDIR "/conf.d")) == 0;
        if (!fits) {
                json_decref(array);
                return -ENOMEM;
        }
        *ret = array;
        return 0;
}

static int get_manager(Call *call, const json_t *parameters, void *userdata) {
        Manager *manager = ((ApiContext *) userdata)->manager;
        const Model *model = manager_model(manager);
        const Machine *machine = manager_machine(manager);
        unsigned n_running = 0;
        bool is_draining = false;
        json_t *configuration;
        int r;

        if (api_methods_decode(call, parameters, no_fields, NULL) != 0)
                return 0;
        r = configuration_paths(manager, &configuration);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < model->n_services; i++)
                n_running += service_state_public(machine_cell(machine, i)->state) == PUBLIC_RUNNING;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                is_draining |= operation_state_is_active(machine_operation(machine, place)->state);
        return call_reply_pack(call, false, "{s:s, s:i, s:i, s:i, s:o, s:I, s:I, s:o*, s:b, s:i, s:i, s:I}",
                               "version", DRAIND_VERSION, "pid", (int) getpid(), "keeperPid", (int) manager_keeper(manager),
                               "generation", (int) manager_generation(manager), "configuration", configuration,
                               "now", (json_int_t) manager_now(manager), "graceUsec", (json_int_t) model->grace,
                               "outerGraceUsec", model->outer_grace == USEC_INFINITY
                                                         ? NULL : json_integer((json_int_t) model->outer_grace),
                               "draining", is_draining, "nServices", (int) model->n_services, "nRunning", (int) n_running,
                               "logDropped", (json_int_t) log_dropped());
}

/* --- List --- */

static int list(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { FieldStrings services; } Arguments;
        static const Field fields[] = {
                { "services", field_strings, offsetof(Arguments, services), 0 },
                { NULL, NULL, 0, 0 },
        };
        const ApiContext *context = userdata;
        cleanup(freep) unsigned *services = NULL;
        Arguments arguments = { 0 };
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        r = api_names_find_all(call, manager_model(context->manager), &arguments.services, &services);
        if (r != 0)
                return r < 0 ? r : 0;
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .names = arguments.services.array, .members = MEMBER_OPERATIONS,
                        .counts_processes = arguments.services.n > 0 && arguments.services.n <= COUNTED_MAX
                                && !call_wants_more(call),
        });
}

/* --- Tree --- */

typedef struct ProcessList {
        json_t *array;
        pid_t leader;
        int error;
} ProcessList;

static void on_process(const TreeProcess *process, void *userdata) {
        ProcessList *processes = userdata;
        json_t *item = NULL;
        int r;

        if (processes->error < 0)
                return;
        r = api_json_process(process, process->pid == processes->leader, &item);
        processes->error = api_json_append(processes->array, r, item);
}

static int list_tree(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { const char *service; } Arguments;
        static const Field fields[] = {
                { "service", field_string, offsetof(Arguments, service), FIELD_REQUIRED },
                { NULL, NULL, 0, 0 },
        };
        Manager *manager = ((ApiContext *) userdata)->manager;
        Arguments arguments = { 0 };
        ProcessList processes = { 0 };
        unsigned service;
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0
            || api_names_find(call, manager_model(manager), arguments.service, &service) != 0)
                return 0;
        processes = (ProcessList) { .array = json_array(), .leader = manager_runtime(manager, service).main_pid };
        if (!processes.array)
                return -ENOMEM;
        r = manager_processes(manager, service, on_process, &processes);
        if (r >= 0)
                r = processes.error;
        if (r < 0) {
                json_decref(processes.array);
                return r;
        }
        return call_reply_pack(call, false, "{s:o}", "processes", processes.array);
}

/* --- Events, Logs --- */

typedef struct RecordsArguments {
        const char *service;
        unsigned last;
} RecordsArguments;

static int records(Call *call, const json_t *parameters, const ApiContext *context, StreamRecords kind, unsigned last) {
        static const Field fields[] = {
                { "service", field_string, offsetof(RecordsArguments, service), 0 },
                { "last", field_unsigned, offsetof(RecordsArguments, last), 0 },
                { NULL, NULL, 0, 0 },
        };
        RecordsArguments arguments = { .last = last };
        unsigned service;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        if (arguments.service
            && api_names_find(call, manager_model(context->manager), arguments.service, &service) != 0)
                return 0;
        return streams_add_records(context->streams, call, kind, arguments.service, arguments.last);
}

static int list_events(Call *call, const json_t *parameters, void *userdata) {
        return records(call, parameters, userdata, STREAM_EVENTS, EVENTS_DEFAULT);
}

static int list_lines(Call *call, const json_t *parameters, void *userdata) {
        return records(call, parameters, userdata, STREAM_LINES, LINES_DEFAULT);
}

const ServerMethod api_methods[] = {
        { "GetManager", get_manager, 0 },
        { "List", list, 0 },
        { "Start", api_actions_start, METHOD_CHANGES },
        { "Drain", api_drains_drain, METHOD_CHANGES },
        { "Resume", api_drains_resume, METHOD_CHANGES },
        { "Escalate", api_drains_escalate, METHOD_CHANGES },
        { "Wait", api_drains_wait, METHOD_NEEDS_MORE },
        { "Plan", api_plan, 0 },
        { "Reload", api_actions_reload, METHOD_CHANGES },
        { "ReloadService", api_actions_reload_service, METHOD_CHANGES },
        { "Kill", api_actions_kill, METHOD_CHANGES },
        { "Tree", list_tree, 0 },
        { "Events", list_events, 0 },
        { "Logs", list_lines, 0 },
        { NULL, NULL, 0 },
};
