#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api-json.h"
#include "api-methods.h"
#include "api-names.h"
#include "text.h"

/* Methods that begin, change, end and follow operations. */

#define BUDGET_MAX (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC) /* 100 years, as in the configuration: sums cannot overflow */

/* --- Drain --- */

typedef struct DrainArguments {
        FieldStrings services;
        usec_t budget;
        unsigned until; /* DrainUntil */
        const char *reason;
        bool restarts, exits;
} DrainArguments;

static void read_command(pid_t pid, char command[static 16]) {
        char path[48];
        cleanup(fd_closep) int fd = -EBADF;
        ssize_t n;

        command[0] = '\0';
        if (pid <= 0)
                return;
        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, command, 15);
        command[n > 0 ? n : 0] = '\0';
        command[strcspn(command, "\n")] = '\0';
        (void) text_replace(command, strlen(command));
}

static Cause client_cause(const Call *call, const char *reason) {
        const PeerCredentials *who = call_credentials(call);
        Cause cause = { .kind = CAUSE_CLIENT, .pid = who->pid, .uid = who->uid };

        read_command(who->pid, cause.command);
        if (reason) {
                size_t length = text_cut(reason, strlen(reason), sizeof(cause.reason) - 1);

                memcpy(cause.reason, reason, length);
                (void) text_replace(cause.reason, length);
        }
        return cause;
}

/* NULL: they make sense; else the one that does not. */
static const char *wrong_argument(const DrainArguments *arguments) {
        if (arguments->services.array && arguments->services.n == 0)
                return "services"; /* nobody who drains an empty list means everything */
        if (arguments->exits && arguments->services.array)
                return "exit";
        if (arguments->restarts && arguments->exits)
                return "restart";
        return arguments->restarts && arguments->until == DRAIN_UNTIL_QUIESCED ? "until" : NULL;
}

/* All had stopped already: then a restart is a start. */
static int start_stopped(const ApiContext *context, Call *call, const DrainRequest *drain, const json_t *names) {
        unsigned n = drain->services ? drain->n_services : manager_model(context->manager)->n_services;
        const char *why = "";

        for (unsigned i = 0; i < n; i++) {
                unsigned service = drain->services ? drain->services[i] : i;
                int r = manager_start(context->manager, service, &why);

                if (r < 0)
                        return r;
                if (r == MACHINE_REFUSED)
                        return api_methods_refuse(call, why, manager_model(context->manager)->services[service].name);
        }
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = GOAL_REACHED, .names = names,
                        .members = MEMBER_OPERATION | MEMBER_JOINED | MEMBER_DONE,
        });
}

/* Nothing to do, so nobody is concerned. */
static int reply_nothing(Call *call) {
        return call_reply_pack(call, false, "{s:[], s:b, s:b}", "services", "joined", false, "done", true);
}

static int drain(const ApiContext *context, Call *call, const DrainArguments *arguments, const unsigned *services) {
        DrainRequest request = {
                .services = arguments->services.array ? services : NULL,
                .n_services = arguments->services.n,
                .budget = arguments->budget == USEC_INFINITY ? USEC_INFINITY : usec_min(arguments->budget, BUDGET_MAX),
                .until = (DrainUntil) arguments->until,
                .flags = (arguments->restarts ? OPERATION_RESTART : 0) | (arguments->exits ? OPERATION_EXITS : 0)
                        | (arguments->services.array ? 0 : OPERATION_ALL),
                .cause = client_cause(call, arguments->reason),
        };
        const char *why = "";
        uint64_t id = 0;
        int r;

        r = manager_drain(context->manager, &request, &id, &why);
        if (r < 0)
                return r;
        if (r == MACHINE_REFUSED)
                return api_methods_refuse(call, why, arguments->services.n == 1 ? field_strings_at(&arguments->services, 0)
                                                                                : NULL);
        if (r == MACHINE_NOTHING)
                return arguments->restarts ? start_stopped(context, call, &request, arguments->services.array)
                                           : reply_nothing(call);
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = GOAL_OPERATION, .operation = id,
                        .members = MEMBER_OPERATION | MEMBER_JOINED | MEMBER_DONE,
                        .has_joined = r == MACHINE_JOINED,
                        .is_quiesced_enough = arguments->until == DRAIN_UNTIL_QUIESCED,
        });
}

int api_drains_drain(Call *call, const json_t *parameters, void *userdata) {
        static const char *const until_names[] = {
                [DRAIN_UNTIL_STOPPED] = "stopped", [DRAIN_UNTIL_QUIESCED] = "quiesced", NULL,
        };
        static const FieldType field_until[1] = { FIELD_ENUM(until_names) };
        static const Field fields[] = {
                { "services", field_strings, offsetof(DrainArguments, services), 0 },
                { "budgetUsec", field_usec, offsetof(DrainArguments, budget), 0 },
                { "until", field_until, offsetof(DrainArguments, until), 0 },
                { "reason", field_string, offsetof(DrainArguments, reason), 0 },
                { "restart", field_bool, offsetof(DrainArguments, restarts), 0 },
                { "exit", field_bool, offsetof(DrainArguments, exits), 0 },
                { NULL, NULL, 0, 0 },
        };
        const ApiContext *context = userdata;
        cleanup(freep) unsigned *services = NULL;
        DrainArguments arguments = { .budget = USEC_INFINITY, .until = DRAIN_UNTIL_STOPPED };
        const char *wrong;
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        wrong = wrong_argument(&arguments);
        if (wrong)
                return call_invalid_parameter(call, wrong);
        r = api_names_find_all(call, manager_model(context->manager), &arguments.services, &services);
        if (r != 0)
                return r < 0 ? r : 0;
        return drain(context, call, &arguments, services);
}

/* --- which operation --- */

static int no_such_operation(Call *call, uint64_t id) {
        if (id == 0)
                return call_error(call, ERROR_NO_SUCH_OPERATION, json_object());
        return call_error(call, ERROR_NO_SUCH_OPERATION, json_pack("{s:I}", "operation", (json_int_t) id));
}

enum { OPERATION_ANSWERED = 1 };

/* The only one that goes on. 0 or OPERATION_ANSWERED. */
must_check static int find_only_operation(Call *call, const Machine *machine, uint64_t *ret) {
        char text[256] = "";
        uint64_t found = 0;
        unsigned n = 0;

        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(machine, place);
                size_t length = strlen(text);

                if (!operation_state_is_active(operation->state))
                        continue;
                (void) snprintf(text + length, sizeof(text) - length, "%s%" PRIu64, n > 0 ? ", " : "", operation->id);
                found = operation->id;
                n++;
        }
        if (n == 1) {
                *ret = found;
                return 0;
        }
        if (n == 0) {
                (void) no_such_operation(call, 0);
        } else {
                char sentence[sizeof(text) + 64];

                (void) snprintf(sentence, sizeof(sentence), "several operations are going on, so one must be named: %s", text);
                (void) api_methods_refuse(call, sentence, NULL);
        }
        return OPERATION_ANSWERED;
}

/* id: USEC_INFINITY: not given. 0 or OPERATION_ANSWERED. */
must_check static int find_operation(Call *call, const Machine *machine, uint64_t id, uint64_t *ret) {
        if (id == USEC_INFINITY)
                return find_only_operation(call, machine, ret);
        if (!machine_operation_find(machine, id)) {
                (void) call_error(call, ERROR_NO_SUCH_OPERATION, json_pack("{s:I}", "operation", (json_int_t) id));
                return OPERATION_ANSWERED;
        }
        *ret = id;
        return 0;
}

/* --- Resume, Escalate --- */

must_check static int find_operation_to_resume(Call *call, Manager *manager, uint64_t id, const char *service, uint64_t *ret) {
        const Operation *operation;
        unsigned at;

        if (!service || id != USEC_INFINITY)
                return find_operation(call, manager_machine(manager), id, ret);
        if (api_names_find(call, manager_model(manager), service, &at) != 0)
                return OPERATION_ANSWERED;
        operation = machine_operation_of(manager_machine(manager), at);
        if (!operation) {
                (void) api_methods_refuse(call, "it belongs to no operation", service);
                return OPERATION_ANSWERED;
        }
        *ret = operation->id;
        return 0;
}

int api_drains_resume(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { uint64_t operation; const char *service; } Arguments;
        static const Field fields[] = {
                { "operation", field_uint64, offsetof(Arguments, operation), 0 },
                { "service", field_string, offsetof(Arguments, service), 0 },
                { NULL, NULL, 0, 0 },
        };
        const ApiContext *context = userdata;
        Arguments arguments = { .operation = USEC_INFINITY };
        const char *why = "";
        uint64_t id;
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        if (arguments.service && arguments.operation != USEC_INFINITY)
                return call_invalid_parameter(call, "service");
        if (find_operation_to_resume(call, context->manager, arguments.operation, arguments.service, &id) != 0)
                return 0;
        r = manager_resume(context->manager, id, &why);
        if (r < 0)
                return r;
        if (r == MACHINE_REFUSED)
                return api_methods_refuse(call, why, arguments.service);
        if (r == MACHINE_NOTHING)
                return api_methods_refuse(call, "it has ended already", arguments.service);
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = GOAL_REACHED, .operation = id, .members = MEMBER_OPERATION, .is_once = true,
        });
}

int api_drains_escalate(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { uint64_t operation; unsigned level; } Arguments;
        static const char *const levels[] = { "terminate", "kill", NULL };
        static const FieldType field_level[1] = { FIELD_ENUM(levels) };
        static const Field fields[] = {
                { "operation", field_uint64, offsetof(Arguments, operation), 0 },
                { "level", field_level, offsetof(Arguments, level), FIELD_REQUIRED },
                { NULL, NULL, 0, 0 },
        };
        Manager *manager = ((ApiContext *) userdata)->manager;
        Arguments arguments = { .operation = USEC_INFINITY };
        json_t *members, *item = NULL;
        const Operation *operation;
        uint64_t id;
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0
            || find_operation(call, manager_machine(manager), arguments.operation, &id) != 0)
                return 0;
        r = manager_escalate(manager, id, arguments.level + 1);
        if (r < 0)
                return r;
        operation = machine_operation_find(manager_machine(manager), id);
        if (r == MACHINE_NOTHING || !operation)
                return api_methods_refuse(call, "it has ended already", NULL);
        r = api_json_members(manager, operation, &members);
        if (r < 0)
                return r;
        r = api_json_operation(operation, manager_now(manager), members, &item);
        json_decref(members);
        return r < 0 ? r : call_reply_pack(call, false, "{s:o}", "operation", item);
}

/* --- Wait --- */

typedef struct WaitArguments {
        uint64_t operation;
        FieldStrings services;
        unsigned goal; /* place in goal_names */
} WaitArguments;

static const char *const goal_names[] = { "running", "ready", "quiesced", "stopped", NULL };
static const StreamGoal goals[] = { GOAL_RUNNING, GOAL_READY, GOAL_QUIESCED, GOAL_STOPPED };
enum { NO_GOAL = n_elements(goals), GOAL_DEFAULT = n_elements(goals) - 1 };

static int wait_for_operation(const ApiContext *context, Call *call, const WaitArguments *arguments) {
        uint64_t id;

        if (arguments->goal != NO_GOAL && goals[arguments->goal] != GOAL_QUIESCED && goals[arguments->goal] != GOAL_STOPPED)
                return call_invalid_parameter(call, "for");
        if (find_operation(call, manager_machine(context->manager), arguments->operation, &id) != 0)
                return 0;
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = GOAL_OPERATION, .operation = id, .members = MEMBER_OPERATION | MEMBER_DONE,
                        .is_quiesced_enough = arguments->goal != NO_GOAL && goals[arguments->goal] == GOAL_QUIESCED,
        });
}

int api_drains_wait(Call *call, const json_t *parameters, void *userdata) {
        static const FieldType field_goal[1] = { FIELD_ENUM(goal_names) };
        static const Field fields[] = {
                { "operation", field_uint64, offsetof(WaitArguments, operation), 0 },
                { "services", field_strings, offsetof(WaitArguments, services), 0 },
                { "for", field_goal, offsetof(WaitArguments, goal), 0 },
                { NULL, NULL, 0, 0 },
        };
        const ApiContext *context = userdata;
        cleanup(freep) unsigned *services = NULL;
        WaitArguments arguments = { .operation = USEC_INFINITY, .goal = NO_GOAL };
        int r;

        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        if (!arguments.services.array)
                return wait_for_operation(context, call, &arguments);
        if (arguments.services.n == 0 || arguments.operation != USEC_INFINITY)
                return call_invalid_parameter(call, "services");
        r = api_names_find_all(call, manager_model(context->manager), &arguments.services, &services);
        if (r != 0)
                return r < 0 ? r : 0;
        return streams_add_services(context->streams, call, &(StreamRequest) {
                        .goal = goals[arguments.goal == NO_GOAL ? GOAL_DEFAULT : arguments.goal],
                        .names = arguments.services.array, .members = MEMBER_DONE,
        });
}
