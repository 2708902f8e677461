#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "api.h"
#include "journal-ids.h"
#include "loader.h"
#include "manager-private.h"

/* Reading the configuration again. The new one is read and checked by draind-config beside everything else. When it is good,
 * what vanished is drained under the old one; when that is done, the new one takes its place in one step: services
 * that are in both keep their processes, and run by the new keys from their next start on.
 *
 * Nothing is exchanged while an operation runs: a drain is never carried from one graph to another. */

typedef enum ReloadPhase { RELOAD_IDLE, RELOAD_READING, RELOAD_DRAINING } ReloadPhase;

typedef struct Reload {
        Manager *manager;
        ReloadPhase phase;
        Loader *loader;
        LoopWork *free_work; /* the loader is freed after its callback */
        Model *next;         /* owned; waits for what vanished */
        int document;        /* owned, of next */
        bool is_dry, restarts;
        bool is_read;        /* the loader has done its work and may be freed */
        bool is_asked_again; /* while it was going on: the files may have changed since */
        ReloadDone done;
        void *userdata;
        ReloadOutcome outcome;
} Reload;

/* --- outcome --- */

static void strings_done(StringList *list) {
        for (unsigned i = 0; i < list->n; i++)
                free(list->items[i]);
        free(list->items);
        *list = (StringList) { 0 };
}

must_check static int strings_add(StringList *list, const char *text) {
        char **items = reallocarray(list->items, list->n + 1u, sizeof(char *));

        if (!items)
                return -ENOMEM;
        list->items = items;
        items[list->n] = strdup(text);
        if (!items[list->n])
                return -ENOMEM;
        list->n++;
        return 0;
}

void reload_outcome_done(ReloadOutcome *outcome) {
        strings_done(&outcome->added);
        strings_done(&outcome->removed);
        strings_done(&outcome->changed);
        strings_done(&outcome->need_restart);
        strings_done(&outcome->errors);
        *outcome = (ReloadOutcome) { 0 };
}

/* --- difference --- */

static bool same_text(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_strings(const StringList *a, const StringList *b) {
        if (a->n != b->n)
                return false;
        for (unsigned i = 0; i < a->n; i++)
                if (strcmp(a->items[i], b->items[i]) != 0)
                        return false;
        return true;
}

static bool same_command(const Command *a, const Command *b) {
        unsigned i = 0;

        for (; a->argv && b->argv && a->argv[i] && b->argv[i]; i++)
                if (strcmp(a->argv[i], b->argv[i]) != 0)
                        return false;
        return a->argv && b->argv && !a->argv[i] && !b->argv[i] && a->may_fail == b->may_fail;
}

static bool same_commands(const CommandList *a, const CommandList *b) {
        if (a->n != b->n)
                return false;
        for (unsigned i = 0; i < a->n; i++)
                if (!same_command(&a->items[i], &b->items[i]))
                        return false;
        return true;
}

static bool same_output(const Output *a, const Output *b) {
        return a->kind == b->kind && same_text(a->path, b->path);
}

static bool same_numbers(const ServiceConfig *a, const ServiceConfig *b) {
        if (a->n_groups != b->n_groups || a->n_limits != b->n_limits)
                return false;
        for (unsigned i = 0; i < a->n_groups; i++)
                if (a->groups[i] != b->groups[i])
                        return false;
        for (unsigned i = 0; i < a->n_limits; i++)
                if (a->limits[i].resource != b->limits[i].resource || a->limits[i].soft != b->limits[i].soft
                    || a->limits[i].hard != b->limits[i].hard)
                        return false;
        return a->has_user == b->has_user && a->uid == b->uid && a->gid == b->gid && a->has_groups == b->has_groups
                && a->has_umask == b->has_umask && a->umask == b->umask && a->has_nice == b->has_nice && a->nice == b->nice
                && a->has_oom_score_adjust == b->has_oom_score_adjust && a->oom_score_adjust == b->oom_score_adjust
                && a->no_new_privileges == b->no_new_privileges && a->has_bounding == b->has_bounding
                && a->bounding == b->bounding && a->ambient == b->ambient;
}

/* What the running process was started with: it has to be started again to get another. */
static bool same_run(const ServiceConfig *a, const ServiceConfig *b) {
        return a->type == b->type && same_command(&a->start, &b->start) && same_commands(&a->start_pre, &b->start_pre)
                && same_numbers(a, b) && same_text(a->working_directory, b->working_directory)
                && same_strings(&a->environment, &b->environment) && same_output(&a->output, &b->output)
                && same_output(&a->error, &b->error) && a->watchdog == b->watchdog;
}

static bool same_ladder(const ServiceConfig *a, const ServiceConfig *b) {
        if (a->n_rungs != b->n_rungs)
                return false;
        for (unsigned i = 0; i < a->n_rungs; i++)
                if (a->rungs[i].signal != b->rungs[i].signal || a->rungs[i].to_tree != b->rungs[i].to_tree
                    || a->rungs[i].time != b->rungs[i].time)
                        return false;
        return true;
}

/* What counts from now on, without a restart. */
static bool same_rest(const ServiceConfig *a, const ServiceConfig *b) {
        return same_commands(&a->reload, &b->reload) && same_commands(&a->stop, &b->stop)
                && same_commands(&a->stop_post, &b->stop_post) && same_strings(&a->requires, &b->requires)
                && same_strings(&a->wants, &b->wants) && same_strings(&a->after, &b->after)
                && same_strings(&a->stop_after, &b->stop_after) && same_strings(&a->guards, &b->guards)
                && a->restart == b->restart && a->restart_delay == b->restart_delay
                && a->restart_delay_max == b->restart_delay_max && a->start_limit_burst == b->start_limit_burst
                && a->start_limit_interval == b->start_limit_interval && a->start_timeout == b->start_timeout
                && memcmp(a->success_statuses, b->success_statuses, sizeof(a->success_statuses)) == 0
                && a->success_signals == b->success_signals && a->is_essential == b->is_essential
                && a->withdraw == b->withdraw && a->quiesce == b->quiesce && a->withdraw_ready == b->withdraw_ready
                && a->on_guard_timeout == b->on_guard_timeout && a->kill_reserve == b->kill_reserve
                && a->is_supporting == b->is_supporting && same_ladder(a, b);
}

must_check static int compare_models(const Manager *manager, const Model *next, ReloadOutcome *outcome) {
        const Model *now = manager->model;
        int r = 0;

        for (unsigned i = 0; r == 0 && i < now->n_services; i++)
                if (model_find(next, now->services[i].name) < 0)
                        r = strings_add(&outcome->removed, now->services[i].name);
        for (unsigned i = 0; r == 0 && i < next->n_services; i++) {
                const ServiceConfig *b = &next->services[i];
                int at = model_find(now, b->name);
                const ServiceConfig *a = at < 0 ? NULL : &now->services[at];

                if (!a) {
                        r = strings_add(&outcome->added, b->name);
                        continue;
                }
                if (!same_run(a, b) || !same_rest(a, b))
                        r = strings_add(&outcome->changed, b->name);
                if (r == 0 && (!same_run(a, b) || manager->services[at]->needs_restart)
                    && machine_cell(manager->machine, (unsigned) at)->state != SERVICE_STOPPED)
                        r = strings_add(&outcome->need_restart, b->name);
        }
        return r;
}

/* --- the exchange --- */

/* Everything that is made anew, before anything old is given up. */
typedef struct Exchange {
        Model *model;
        Order *order;
        Machine *machine;
        Service **services;
        Service **made; /* of them, those that are new */
        unsigned n_made;
        Tree *tree;
        PidTable pids;
} Exchange;

static Service *find_service(Manager *manager, const char *name) {
        int at = model_find(manager->model, name);

        return at < 0 ? NULL : manager->services[at];
}

static unsigned free_place(const Manager *manager) {
        unsigned place = 0;

        while (place < board_n(manager->board) && board_name(manager->board, place)[0] != '\0')
                place++;
        return place;
}

must_check static int make_new_service(Manager *manager, Exchange *exchange, unsigned index) {
        unsigned place = free_place(manager);
        int r;

        if (place >= board_n(manager->board))
                return -ENOSPC;
        r = service_new(&exchange->services[index], manager, index, place);
        if (r < 0)
                return r;
        exchange->made[exchange->n_made++] = exchange->services[index];
        return board_set_name(manager->board, place, exchange->model->services[index].name);
}

must_check static int make_exchange(Manager *manager, Exchange *exchange) {
        OrderProblem problem = { 0 };
        unsigned n = exchange->model->n_services;
        int r;

        r = order_new(&exchange->order, exchange->model, &problem);
        free(problem.path);
        if (r != 0)
                return r < 0 ? r : -EBADMSG;
        r = machine_new(&exchange->machine, exchange->model, exchange->order, &manager_effects, manager);
        if (r == 0)
                r = pid_table_reserve(&exchange->pids, 2 * n + 16);
        if (r == 0)
                r = loop_reserve_timers(manager->loop, manager->n_services + n + 64);
        exchange->services = calloc((size_t) n + 1, sizeof(Service *));
        exchange->made = calloc((size_t) n + 1, sizeof(Service *));
        if (r < 0 || !exchange->services || !exchange->made)
                return r < 0 ? r : -ENOMEM;
        for (unsigned i = 0; r == 0 && i < n; i++) {
                exchange->services[i] = find_service(manager, exchange->model->services[i].name);
                if (!exchange->services[i])
                        r = make_new_service(manager, exchange, i);
        }
        return r < 0 ? r : manager_make_tree(manager, exchange->model, exchange->services, &exchange->tree);
}

static void exchange_undo(Manager *manager, Exchange *exchange) {
        for (unsigned i = 0; i < exchange->n_made; i++) {
                drop(board_set_name(manager->board, exchange->made[i]->place, "")); /* "" is never too long */
                service_free(exchange->made[i]);
        }
        free(exchange->services);
        free(exchange->made);
        machine_free(exchange->machine);
        order_free(exchange->order);
        tree_free(exchange->tree);
        pid_table_done(&exchange->pids);
        model_free(exchange->model);
}

static void remove_service(Manager *manager, Service *service) {
        service_finish(service); /* its chores are later than this, where many vanish at once */
        if (service->output)
                link_unstore_place(manager->link, 'o', service->place);
        if (service->notify) {
                link_unstore_place(manager->link, 'n', service->place);
                service->notify = notify_socket_remove(service->notify);
        }
        if (service->awaits_empty)
                manager->n_awaiting--;
        drop(board_set_name(manager->board, service->place, "")); /* "" is never too long */
        service_free(service);
}

static bool keeps_running(const Cell *cell) {
        return cell->state != SERVICE_STOPPED;
}

static void carry_over(Manager *manager, Exchange *exchange) {
        for (unsigned i = 0; i < exchange->model->n_services; i++) {
                Service *service = exchange->services[i];
                int at = model_find(manager->model, exchange->model->services[i].name);

                if (at < 0)
                        continue;
                machine_restore_cell(exchange->machine, i, machine_cell(manager->machine, (unsigned) at));
                service->needs_restart |= keeps_running(machine_cell(manager->machine, (unsigned) at))
                        && !same_run(&manager->model->services[at], &exchange->model->services[i]);
        }
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                machine_restore_operation(exchange->machine, place, machine_operation(manager->machine, place));
}

static void follow_again(Manager *manager, Service *service) {
        if (service->leader > 0) {
                poller_remove(&service->leader_entry);
                drop(exits_watch(service, false)); /* the ring tells its end in any case */
        }
        if (service->hook > 0)
                drop(exits_watch(service, true)); /* as above */
        if (service->notify)
                notify_socket_renumber(service->notify, service->index);
        if (service_prepare(service) < 0)
                log_message(LOG_WARNING, "%s: no output pipe or notify socket.", service_config(service)->name);
}

must_check static int exchange_models(Manager *manager, Model *next) {
        Exchange exchange = { .model = next };
        Service **old = manager->services;
        unsigned n_old = manager->n_services;
        Model *old_model = manager->model;
        WatchersWalk walk;
        int r;

        records_flush(manager);
        r = make_exchange(manager, &exchange);
        if (r < 0) {
                exchange_undo(manager, &exchange);
                return r;
        }
        carry_over(manager, &exchange);
        for (unsigned i = 0; i < n_old; i++)
                if (model_find(next, old_model->services[i].name) < 0)
                        remove_service(manager, take(old[i]));
        free(old);
        free(exchange.made);
        machine_free(manager->machine);
        order_free(manager->order);
        tree_free(manager->tree);
        pid_table_done(&manager->pids);
        manager->tree = exchange.tree;
        manager->machine = exchange.machine;
        manager->order = exchange.order;
        manager->services = exchange.services;
        manager->n_services = next->n_services;
        manager->pids = exchange.pids;
        manager->model = next;
        for (unsigned i = 0; i < manager->n_services; i++)
                manager->services[i]->index = i;
        for (unsigned i = 0; i < manager->n_services; i++)
                follow_again(manager, manager->services[i]);
        model_free(old_model);
        drop(environment_reserve(manager)); /* the old one is large enough, or services fail to start and say so */
        drop(records_reserve(manager));     /* as above: notes are written earlier then */
        link_set_grace(manager->link, usec_min(next->grace, next->outer_grace));
        log_set_max_level(next->log_level);
        api_set_control_group(manager->api, next->has_control_group, next->control_group);
        machine_restored(manager->machine, manager_now(manager));
        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                if (watcher->reloaded)
                        watcher->reloaded(watcher);
        }
        return 0;
}

/* --- the way through --- */

static bool is_operation_running(const Manager *manager) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                if (operation_state_is_active(machine_operation(manager->machine, place)->state))
                        return true;
        return false;
}

static void conclude(Reload *reload) {
        ReloadDone done = reload->done;

        reload->phase = RELOAD_IDLE;
        reload->done = NULL;
        if (done)
                done(&reload->outcome, reload->userdata);
        reload_outcome_done(&reload->outcome);
        reload->next = model_free(reload->next);
        reload->document = fd_close(reload->document);
        loop_post(reload->free_work);
}

static void refuse(Reload *reload, const char *text) {
        drop(strings_add(&reload->outcome.errors, text)); /* then the empty list says that nothing changed */
        log_id(LOG_ERR, MSG_CONFIGURATION_REFUSED, "The configuration stays as it is: %s", text);
        conclude(reload);
}

must_check static int drain_named(Manager *manager, const StringList *names, uint32_t flags, uint64_t *ret_id) {
        cleanup(freep) unsigned *services = calloc((size_t) names->n + 1, sizeof(unsigned));
        DrainRequest request = {
                .services = services, .budget = USEC_INFINITY, .flags = flags, .cause = { .kind = CAUSE_RELOAD },
        };
        const char *why;

        if (!services)
                return -ENOMEM;
        for (unsigned i = 0; i < names->n; i++) {
                int at = model_find(manager->model, names->items[i]);

                if (at >= 0)
                        services[request.n_services++] = (unsigned) at;
        }
        return request.n_services == 0 ? MACHINE_NOTHING : manager_drain(manager, &request, ret_id, &why);
}

static void start_new(Manager *manager, const StringList *names) {
        const char *why;

        for (unsigned i = 0; i < names->n; i++) {
                int at = model_find(manager->model, names->items[i]);

                if (at >= 0 && manager_start(manager, (unsigned) at, &why) == MACHINE_REFUSED)
                        log_message(LOG_WARNING, "%s: not started: %s.", names->items[i], why);
        }
}

static void apply(Reload *reload) {
        Manager *manager = reload->manager;
        ReloadOutcome *outcome = &reload->outcome;
        int document = take_fd(reload->document), r;

        r = exchange_models(manager, take(reload->next));
        if (r < 0) {
                (void) fd_close(document);
                refuse(reload, strerror(-r));
                return;
        }
        r = link_store(manager->link, "model", document);
        (void) fd_close(document);
        if (r < 0)
                log_message(LOG_WARNING, "A new core would run by the old configuration: %s.", strerror(-r));
        log_id(LOG_NOTICE, MSG_CONFIGURATION_LOADED,
               "Configuration read again: %u added, %u removed, %u changed, %u of them need a restart.", outcome->added.n,
               outcome->removed.n, outcome->changed.n, outcome->need_restart.n);
        start_new(manager, &outcome->added);
        if (reload->restarts && outcome->need_restart.n > 0)
                drop(drain_named(manager, &outcome->need_restart, OPERATION_RESTART, &outcome->operation)); /* `need
                                                                                        restart` stays in their status */
        conclude(reload);
}

void reload_continue(Manager *manager) {
        Reload *reload = manager->reload;

        if (!reload || reload->phase != RELOAD_DRAINING || is_operation_running(manager))
                return;
        for (unsigned i = 0; i < reload->outcome.removed.n; i++) {
                int at = model_find(manager->model, reload->outcome.removed.items[i]);

                if (at >= 0 && machine_cell(manager->machine, (unsigned) at)->state != SERVICE_STOPPED) {
                        refuse(reload, "the drain of what vanished was taken back");
                        return;
                }
        }
        apply(reload);
}

static void after_reading(void *userdata) {
        Reload *reload = userdata;

        if (reload->is_read)
                reload->loader = loader_free(reload->loader);
        reload->is_read = false;
        if (reload->phase != RELOAD_IDLE || reload->loader || !reload->is_asked_again)
                return;
        reload->is_asked_again = false;
        reload_signalled(reload->manager);
}

void reload_signalled(Manager *manager) {
        Reload *reload = manager->reload;
        const char *why;

        if (reload->phase != RELOAD_IDLE || reload->loader) {
                reload->is_asked_again = true;
                return;
        }
        if (manager_reload(manager, false, false, NULL, NULL, &why) != 0)
                log_message(LOG_WARNING, "Not reading the configuration again: %s.", why);
}

static void on_read(int document, int status, const StringList *errors, void *userdata) {
        Reload *reload = userdata;
        Manager *manager = reload->manager;
        char reason[256] = "";
        uint64_t id = 0;
        int r = 0;

        reload->is_read = true;
        loop_post(reload->free_work);
        if (status != 0) {
                for (unsigned i = 0; i < errors->n; i++) {
                        log_id(LOG_ERR, MSG_CONFIGURATION_REFUSED, "%s", errors->items[i]);
                        r = r < 0 ? r : strings_add(&reload->outcome.errors, errors->items[i]);
                }
                refuse(reload, "it has errors.");
                return;
        }
        reload->next = calloc(1, sizeof(*reload->next));
        r = reload->next ? loader_parse(document, reload->next, reason) : -ENOMEM;
        if (r == 0)
                r = compare_models(manager, reload->next, &reload->outcome);
        if (r < 0) {
                refuse(reload, reason[0] ? reason : strerror(-r));
                return;
        }
        if (reload->is_dry) {
                conclude(reload);
                return;
        }
        if (is_operation_running(manager)) {
                refuse(reload, "an operation has begun meanwhile");
                return;
        }
        reload->document = fcntl(document, F_DUPFD_CLOEXEC, 3); /* what a new core would run by */
        if (reload->document < 0) {
                refuse(reload, strerror(errno));
                return;
        }
        reload->phase = RELOAD_DRAINING;
        r = drain_named(manager, &reload->outcome.removed, 0, &id);
        reload->outcome.operation = id;
        if (r < 0 || r == MACHINE_REFUSED)
                refuse(reload, "what vanished cannot be drained now");
        else if (r == MACHINE_NOTHING)
                apply(reload);
}

int manager_reload(Manager *manager, bool is_dry, bool restarts, ReloadDone done, void *userdata, const char **ret_why) {
        Reload *reload = manager->reload;
        int r;

        *ret_why = "another reload is running";
        if (reload->phase != RELOAD_IDLE || reload->loader)
                return MANAGER_BUSY;
        *ret_why = "services are still being started for the first time";
        if (!is_dry && manager->is_starting_up)
                return MANAGER_BUSY;
        *ret_why = "an operation is running; wait for its end";
        if (!is_dry && is_operation_running(manager))
                return MANAGER_BUSY;
        *ret_why = "there is no configuration file: one command was given";
        if (manager->model->is_command)
                return MANAGER_BUSY;
        r = loader_new(&reload->loader, manager->loop, manager->arguments, on_read, reload);
        if (r < 0)
                return r;
        reload->phase = RELOAD_READING;
        reload->is_dry = is_dry;
        reload->restarts = restarts;
        reload->done = done;
        reload->userdata = userdata;
        return 0;
}

void manager_reload_forget(Manager *manager, const void *userdata) {
        if (manager->reload->userdata == userdata)
                manager->reload->done = NULL;
}

int reload_new(struct Reload **ret, Manager *manager) {
        Reload *reload = calloc(1, sizeof(*reload));
        int r;

        if (!reload)
                return -ENOMEM;
        reload->manager = manager;
        reload->document = -EBADF;
        r = loop_add_work(manager->loop, LOOP_PRIORITY_CONTROL, "after reading", after_reading, reload, &reload->free_work);
        if (r < 0) {
                free(reload);
                return r;
        }
        *ret = reload;
        return 0;
}

struct Reload *reload_free(struct Reload *reload) {
        if (!reload)
                return NULL;
        loop_remove_work(reload->free_work);
        loader_free(reload->loader);
        model_free(reload->next);
        (void) fd_close(reload->document);
        reload_outcome_done(&reload->outcome);
        free(reload);
        return NULL;
}
