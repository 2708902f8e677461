#include "api-json.h"
#include "api-streams-private.h"

#include <string.h>

/* Streams of services: which of them, what is sent, and when all is done. */

/* How far one service is on the way to what is waited for. */
typedef enum Progress { PROGRESS_UNDER_WAY, PROGRESS_THERE, PROGRESS_NEVER } Progress;

static const Cell *follow_cell(const Stream *stream, unsigned service) {
        return machine_cell(manager_machine(stream->streams->manager), service);
}

/* --- which services --- */

static void select_all(const Stream *stream, uint64_t *selected) {
        for (unsigned i = 0; i < stream->streams->n_services; i++)
                bits_add(selected, i);
}

static void select_names(const Stream *stream, uint64_t *selected) {
        const Model *model = manager_model(stream->streams->manager);
        const json_t *name;
        size_t i;

        json_array_foreach(stream->follow.request.names, i, name) {
                int at = model_find(model, json_string_value(name));

                if (at >= 0) /* else a reload has removed it */
                        bits_add(selected, (unsigned) at);
        }
}

static void select_members(const Stream *stream, const Operation *operation, uint64_t *selected) {
        unsigned place = api_json_place(stream->streams->manager, operation);

        for (unsigned i = 0; i < stream->streams->n_services; i++)
                if (machine_is_member(manager_machine(stream->streams->manager), place, i))
                        bits_add(selected, i);
}

/* As if it had just been asked for: everything is sent. */
static int follow_begin(Stream *stream) {
        Manager *manager = stream->streams->manager;
        unsigned n = stream->streams->n_services;
        Follow *follow = &stream->follow;
        const Operation *operation = machine_operation_find(manager_machine(manager), follow->request.operation);
        cleanup(freep) uint64_t *selected = bits_new(n), *marked = bits_new(n), *reached = bits_new(n);
        json_t *members;

        if (!selected || !marked || !reached)
                return -ENOMEM;
        if (operation) {
                if (api_json_members(manager, operation, &members) < 0)
                        return -ENOMEM;
                json_decref(follow->members);
                follow->members = members;
                follow->operation = *operation;
        }
        if (follow->request.names)
                select_names(stream, selected);
        else if (operation)
                select_members(stream, operation, selected);
        else if (follow->request.operation == 0)
                select_all(stream, selected);
        memcpy(marked, selected, bits_n_words(n) * sizeof(*marked));
        free(follow->selected);
        free(follow->marked);
        free(follow->reached);
        follow->selected = take(selected);
        follow->marked = take(marked);
        follow->reached = take(reached);
        follow->has_operation_changed = true;
        follow->places = UINT8_MAX;
        json_decref(take(follow->services));
        follow->at = 0;
        return 0;
}

int api_follow_init(Stream *stream, const StreamRequest *request) {
        stream->follow.request = *request;
        stream->follow.request.names = json_incref((json_t *) request->names);
        return follow_begin(stream);
}

void api_follow_done(Follow *follow) {
        json_decref((json_t *) follow->request.names);
        json_decref(follow->services);
        json_decref(follow->members);
        free(follow->selected);
        free(follow->marked);
        free(follow->reached);
}

/* --- being told --- */

void api_follow_operation(Stream *stream, const Operation *operation) {
        Follow *follow = &stream->follow;

        if (follow->request.operation == 0 || follow->request.operation != operation->id)
                return;
        follow->operation = *operation; /* its place may soon be another's */
        follow->has_operation_changed = true;
}

void api_follow_tell(Stream *stream) {
        const Streams *streams = stream->streams;
        Follow *follow = &stream->follow;

        for (unsigned i = 0; i < bits_n_words(streams->n_services); i++) {
                follow->marked[i] |= streams->changed[i] & follow->selected[i];
                follow->reached[i] |= streams->stopped[i] & follow->selected[i];
                follow->was_resumed |= (streams->resumed[i] & follow->selected[i]) != 0;
        }
        if ((follow->request.members & MEMBER_OPERATIONS) != 0)
                follow->places |= streams->places;
}

static bool has_marks(const Stream *stream) {
        unsigned n = stream->streams->n_services;

        return bits_next(stream->follow.marked, n, 0) < n;
}

static bool follow_is_owed(const Stream *stream) {
        const Follow *follow = &stream->follow;

        return !stream->has_begun || stream->needs_heartbeat || follow->services || follow->has_operation_changed
                || follow->places != 0 || has_marks(stream);
}

/* --- whether all is done --- */

static bool will_start(const Cell *cell) {
        return cell->state != SERVICE_STOPPED || (cell->flags & CELL_STARTS_AFTER) != 0;
}

static Progress progress_of(const Stream *stream, unsigned service) {
        const ServiceConfig *config = &manager_model(stream->streams->manager)->services[service];
        const Cell *cell = follow_cell(stream, service);
        bool was_stopped = cell->state == SERVICE_STOPPED || bits_have(stream->follow.reached, service);
        bool is_there;

        switch (stream->follow.request.goal) {
        case GOAL_RUNNING:
                is_there = service_state_public(cell->state) == PUBLIC_RUNNING
                        || (cell->state == SERVICE_STOPPED && config->type == SERVICE_ONESHOT
                            && (cell->flags & CELL_READY) != 0);
                return is_there ? PROGRESS_THERE : will_start(cell) ? PROGRESS_UNDER_WAY : PROGRESS_NEVER;
        case GOAL_READY:
                is_there = service_state_public(cell->state) == PUBLIC_RUNNING && api_json_is_ready(config, cell);
                return is_there ? PROGRESS_THERE : will_start(cell) ? PROGRESS_UNDER_WAY : PROGRESS_NEVER;
        case GOAL_QUIESCED:
                is_there = was_stopped || cell->state >= SERVICE_HELD;
                break;
        case GOAL_STOPPED:
                is_there = was_stopped;
                break;
        case GOAL_NONE:
        case GOAL_REACHED:
        case GOAL_OPERATION:
        default:
                return PROGRESS_THERE;
        }
        return is_there ? PROGRESS_THERE : stream->follow.was_resumed ? PROGRESS_NEVER : PROGRESS_UNDER_WAY;
}

static bool are_services_there(const Stream *stream) {
        const Follow *follow = &stream->follow;
        unsigned n = stream->streams->n_services;
        bool is_under_way = false;

        for (unsigned i = bits_next(follow->selected, n, 0); i < n; i = bits_next(follow->selected, n, i + 1)) {
                Progress progress = progress_of(stream, i);

                if (progress == PROGRESS_NEVER && !follow->request.has_patience)
                        return true;
                is_under_way |= progress == PROGRESS_UNDER_WAY;
        }
        return !is_under_way;
}

static bool are_members_quiesced(const Stream *stream) {
        const Follow *follow = &stream->follow;
        unsigned n = stream->streams->n_services;

        for (unsigned i = bits_next(follow->selected, n, 0); i < n; i = bits_next(follow->selected, n, i + 1)) {
                ServiceState state = follow_cell(stream, i)->state;

                if (state != SERVICE_STOPPED && state < SERVICE_HELD)
                        return false;
        }
        return true;
}

static bool is_operation_there(const Stream *stream) {
        const Follow *follow = &stream->follow;
        const Operation *operation = &follow->operation;

        if (operation->id == 0 || !operation_state_is_active(operation->state))
                return true;
        if (operation->until == DRAIN_UNTIL_QUIESCED)
                return operation->state == OPERATION_HOLDING;
        return follow->request.is_quiesced_enough && are_members_quiesced(stream);
}

static bool follow_is_done(const Stream *stream) {
        if (has_marks(stream))
                return false; /* the last reply leaves nothing out */
        switch (stream->follow.request.goal) {
        case GOAL_NONE:
                return false;
        case GOAL_REACHED:
                return true;
        case GOAL_OPERATION:
                return is_operation_there(stream);
        case GOAL_RUNNING:
        case GOAL_READY:
        case GOAL_QUIESCED:
        case GOAL_STOPPED:
        default:
                return are_services_there(stream);
        }
}

/* --- a round --- */

static int n_processes_of(const Stream *stream, unsigned service) {
        if (!stream->follow.request.counts_processes || follow_cell(stream, service)->state == SERVICE_STOPPED)
                return -1;
        return manager_processes(stream->streams->manager, service, NULL, NULL); /* -errno is not told either */
}

/* 1: the round is at its end. */
static int round_go_on(Stream *stream, unsigned *budget) {
        unsigned n = stream->streams->n_services;
        Follow *follow = &stream->follow;

        if (!follow->services) {
                follow->services = json_array();
                follow->at = 0;
        }
        for (;;) {
                unsigned service = bits_next(follow->marked, n, follow->at);
                json_t *item = NULL;
                int r;

                follow->at = service;
                if (service == n)
                        return 1;
                if (*budget == 0)
                        return 0;
                bits_remove(follow->marked, service);
                r = api_json_service(stream->streams->manager, service, n_processes_of(stream, service), &item);
                r = api_json_append(follow->services, r, item);
                if (r < 0)
                        return r;
                (*budget)--;
        }
}

/* What is not told by itself: how many were killed so far. */
static void refresh_operation(Stream *stream) {
        Follow *follow = &stream->follow;
        const Operation *now = machine_operation_find(manager_machine(stream->streams->manager), follow->request.operation);

        if (!now || memcmp(now, &follow->operation, sizeof(*now)) == 0)
                return;
        follow->operation = *now;
        follow->has_operation_changed = true;
}

static bool concerns(const Stream *stream, unsigned place) {
        const Follow *follow = &stream->follow;
        unsigned n = stream->streams->n_services;

        if (!follow->request.names)
                return true;
        for (unsigned i = bits_next(follow->selected, n, 0); i < n; i = bits_next(follow->selected, n, i + 1))
                if (machine_is_member(manager_machine(stream->streams->manager), place, i))
                        return true;
        return false;
}

static int put_operations(Stream *stream, json_t *parameters) {
        Manager *manager = stream->streams->manager;
        json_t *operations = json_array();

        if (json_object_set_new(parameters, "operations", operations) < 0)
                return -ENOMEM;
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Operation *operation = machine_operation(manager_machine(manager), place);
                json_t *members, *item = NULL;
                int r;

                if ((stream->follow.places & (1u << place)) == 0 || operation->id == 0 || !concerns(stream, place))
                        continue;
                r = api_json_members(manager, operation, &members);
                if (r < 0)
                        return r;
                r = api_json_operation(operation, manager_now(manager), members, &item);
                json_decref(members);
                r = api_json_append(operations, r, item);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int put_operation(Stream *stream, json_t *parameters) {
        Follow *follow = &stream->follow;
        json_t *item;

        if (follow->operation.id == 0)
                return 0;
        if (api_json_operation(&follow->operation, manager_now(stream->streams->manager), follow->members, &item) < 0)
                return -ENOMEM;
        return json_object_set_new(parameters, "operation", item) < 0 ? -ENOMEM : 0;
}

/* Consumes the round. NULL: no memory. */
static json_t *follow_reply(Stream *stream, bool is_done, bool continues) {
        Follow *follow = &stream->follow;
        unsigned members = follow->request.members;
        json_t *parameters = json_pack("{s:o}", "services", take(follow->services));
        int r = parameters ? 0 : -ENOMEM;

        if (r == 0 && (members & MEMBER_OPERATIONS) != 0)
                r = put_operations(stream, parameters);
        if (r == 0 && (members & MEMBER_OPERATION) != 0 && (follow->has_operation_changed || !continues))
                r = put_operation(stream, parameters);
        if (r == 0 && (members & MEMBER_JOINED) != 0)
                r = json_object_set_new(parameters, "joined", json_boolean(follow->request.has_joined));
        if (r == 0 && (members & MEMBER_DONE) != 0)
                r = json_object_set_new(parameters, "done", json_boolean(is_done));
        if (r == 0)
                return parameters;
        json_decref(parameters);
        return NULL;
}

static int follow_serve(Stream *stream, unsigned *budget) {
        Follow *follow = &stream->follow;
        bool is_done, continues;
        json_t *parameters;
        int r;

        r = round_go_on(stream, budget);
        if (r <= 0)
                return r;
        refresh_operation(stream);
        is_done = follow_is_done(stream);
        continues = call_wants_more(stream->call) && !follow->request.is_once && !is_done;
        parameters = follow_reply(stream, is_done, continues);
        follow->has_operation_changed = false;
        follow->places = 0;
        *budget -= *budget > 0;
        return stream_send(stream, parameters, continues);
}

static int follow_reload(Stream *stream) {
        return follow_begin(stream);
}

const StreamType api_follow_type = { .is_owed = follow_is_owed, .serve = follow_serve, .reload = follow_reload };
