#include "fake-manager.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../../daemon/core/order.h"
#include "loop.h"

#define SERVICES_HERE_MAX 2048u

typedef struct FakeRun {
        Manager *manager;
        unsigned index;
        Timer timer;
        int dies_of; /* a signal that it has got; 0: none */
        char status[128];
        pid_t pid;
} FakeRun;

struct Manager {
        Loop *loop;
        const FakeService *services;
        Model model;
        Order *order;
        Machine *machine;
        Events *events;
        Outputs *outputs;
        Watchers watchers;
        FakeRun *runs; /* owned; by index */
        FakeRun places[MACHINE_OPERATIONS_MAX];
        LoopWork *deaths;
        ReloadDone done;
        void *done_userdata;
        bool is_busy, last_to_tree;
        int last_kill;
};

/* --- effects --- */

static void on_perform(void *userdata, unsigned service, ServiceAction action, usec_t now) {
        Manager *manager = userdata;
        FakeRun *run = &manager->runs[service];
        const FakeService *fake = &manager->services[service];

        if (action == ACT_SPAWN && fake->fails_to_start) {
                machine_spawn_failed(manager->machine, service, (StartFailure) { .step = 11, .error = EPERM }, false);
                return;
        }
        if (action == ACT_SPAWN) {
                run->pid = 1000 + (pid_t) service;
                machine_spawned(manager->machine, service);
        } else if (action == ACT_RELOAD) {
                machine_hook_ended(manager->machine, service, true);
        } else if ((action == ACT_SIGNAL || action == ACT_SIGNAL_TREE) && !fake->is_stubborn) {
                run->dies_of = SIGTERM;
        } else if (action == ACT_KILL) {
                run->dies_of = SIGKILL;
        }
        if (run->dies_of != 0)
                loop_post(manager->deaths);
        if (action != ACT_RELOAD)
                machine_told(manager->machine, service, TOLD_ACTION);
}

static void on_deaths(void *userdata) {
        Manager *manager = userdata;

        for (unsigned i = 0; i < manager->model.n_services; i++) {
                int signal = manager->runs[i].dies_of;

                if (signal == 0)
                        continue;
                manager->runs[i].dies_of = 0;
                manager->runs[i].pid = 0;
                machine_exited(manager->machine, i, CLD_KILLED, signal, true, manager_now(manager));
        }
}

static void publish(Manager *manager, unsigned service) {
        WatchersWalk walk;

        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                watcher->service_changed(watcher, service);
        }
}

static void on_changed(void *userdata, unsigned service, ServiceState from, ServiceEvent on, usec_t now) {
        Manager *manager = userdata;
        ServiceState to = machine_cell(manager->machine, service)->state;

        if (from != to)
                events_record(manager->events, &(Event) {
                                .time = now, .kind = EVENT_SERVICE, .service = manager->model.services[service].name,
                                .from = service_state_name(from), .to = service_state_name(to), .text = "changed" });
        publish(manager, service);
}

static void on_arm(void *userdata, unsigned service, usec_t deadline) {
        Manager *manager = userdata;

        timer_arm(manager->loop, &manager->runs[service].timer, deadline);
}

static void on_operation(void *userdata, const Operation *operation, usec_t now) {
        Manager *manager = userdata;
        WatchersWalk walk;

        events_record(manager->events, &(Event) { .time = now, .kind = EVENT_OPERATION, .operation = operation->id,
                                                  .to = operation_state_name(operation->state), .text = "operation" });
        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                watcher->operation_changed(watcher, operation);
        }
}

static void on_arm_operation(void *userdata, unsigned place, usec_t deadline) {
        Manager *manager = userdata;

        timer_arm(manager->loop, &manager->places[place].timer, deadline);
}

static const MachineEffects effects = {
        .perform = on_perform, .changed = on_changed, .arm = on_arm, .operation = on_operation,
        .arm_operation = on_arm_operation,
};

static void on_timer(Timer *timer, usec_t now) {
        FakeRun *run = container_of(timer, FakeRun, timer);

        machine_timer(run->manager->machine, run->index, now);
}

static void on_operation_timer(Timer *timer, usec_t now) {
        FakeRun *run = container_of(timer, FakeRun, timer);

        machine_operation_timer(run->manager->machine, run->index, now);
}

/* --- making --- */

static void add_requires(StringList *list, const char *name) {
        if (name)
                assert_int_equal(string_list_append(list, strdup(name)), 0);
}

static void fill_service(ServiceConfig *config, const FakeService *fake) {
        service_config_defaults(config);
        config->name = strdup(fake->name);
        config->origin = strdup("test.conf:1");
        config->type = fake->type;
        config->withdraw = fake->withdraw;
        config->quiesce = fake->quiesce;
        config->withdraw_ready = fake->withdraw_ready;
        config->start_limit_burst = 0;
        config->rungs = calloc(1, sizeof(Rung));
        config->rungs[0] = (Rung) { .signal = SIGTERM, .time = fake->ladder > 0 ? fake->ladder : 10 * USEC_PER_SEC };
        config->n_rungs = 1;
        add_requires(&config->requires, fake->requires);
        if (fake->has_reload) {
                config->reload = (CommandList) { .items = calloc(1, sizeof(Command)), .n = 1 };
                config->reload.items[0].argv = calloc(2, sizeof(char *));
                config->reload.items[0].argv[0] = strdup("/bin/true");
        }
}

static Model make_model(const FakeService *services) {
        Model model;
        unsigned n = 0;

        model_defaults(&model);
        model.grace = 14400 * USEC_PER_SEC; /* nobody's wish is cut unless the test wants it */
        while (services[n].name)
                n++;
        assert_true(n <= SERVICES_HERE_MAX);
        model.services = calloc(n + 1, sizeof(ServiceConfig));
        model.n_services = n;
        for (unsigned i = 0; i < n; i++)
                fill_service(&model.services[i], &services[i]);
        return model;
}

static void make_machine(Manager *manager, const FakeService *services) {
        OrderProblem problem = { 0 };

        manager->services = services;
        manager->model = make_model(services);
        assert_int_equal(order_new(&manager->order, &manager->model, &problem), 0);
        assert_int_equal(machine_new(&manager->machine, &manager->model, manager->order, &effects, manager), 0);
        manager->runs = calloc(manager->model.n_services + 1, sizeof(FakeRun));
        for (unsigned i = 0; i < manager->model.n_services; i++)
                manager->runs[i] = (FakeRun) { .manager = manager, .index = i, .timer = { .fired = on_timer } };
}

static void free_machine(Manager *manager) {
        for (unsigned i = 0; i < manager->model.n_services; i++)
                timer_arm(manager->loop, &manager->runs[i].timer, USEC_INFINITY);
        machine_free(manager->machine);
        order_free(manager->order);
        model_done(&manager->model);
        free(manager->runs);
}

Manager *fake_manager_new(const FakeService *services) {
        Manager *manager = calloc(1, sizeof(*manager));

        assert_int_equal(loop_new(&manager->loop, SERVICES_HERE_MAX + 64), 0);
        assert_int_equal(loop_add_work(manager->loop, LOOP_PRIORITY_EXITS, "deaths", on_deaths, manager, &manager->deaths), 0);
        assert_int_equal(events_new(&manager->events), 0);
        assert_int_equal(outputs_new(&manager->outputs, manager->loop), 0);
        for (unsigned i = 0; i < MACHINE_OPERATIONS_MAX; i++)
                manager->places[i] = (FakeRun) { .manager = manager, .index = i, .timer = { .fired = on_operation_timer } };
        make_machine(manager, services);
        return manager;
}

void fake_manager_free(Manager *manager) {
        for (unsigned i = 0; i < MACHINE_OPERATIONS_MAX; i++)
                timer_arm(manager->loop, &manager->places[i].timer, USEC_INFINITY);
        free_machine(manager);
        outputs_free(manager->outputs);
        events_free(manager->events);
        loop_remove_work(manager->deaths);
        loop_free(manager->loop);
        free(manager);
}

void fake_manager_start_all(Manager *manager) {
        machine_start_all(manager->machine, manager_now(manager));
}

void fake_manager_exit(Manager *manager, unsigned service, int status) {
        manager->runs[service].pid = 0;
        manager->runs[service].dies_of = 0;
        machine_exited(manager->machine, service, CLD_EXITED, status, true, manager_now(manager));
}

void fake_manager_ready(Manager *manager, unsigned service) {
        machine_ready(manager->machine, service, manager_now(manager));
}

void fake_manager_set_status(Manager *manager, unsigned service, const char *text) {
        (void) snprintf(manager->runs[service].status, sizeof(manager->runs[service].status), "%s", text);
        publish(manager, service);
}

void fake_manager_exchange(Manager *manager, const FakeService *services) {
        Manager old = *manager;
        WatchersWalk walk;

        make_machine(manager, services);
        for (unsigned i = 0; i < manager->model.n_services; i++) {
                int at = model_find(&old.model, manager->model.services[i].name);

                if (at < 0)
                        continue;
                machine_restore_cell(manager->machine, i, machine_cell(old.machine, (unsigned) at));
                machine_restore_runs(manager->machine, i, true, false);
        }
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                machine_restore_operation(manager->machine, place, machine_operation(old.machine, place));
        free_machine(&old);
        machine_restored(manager->machine, manager_now(manager));
        for (Watcher *at = watchers_begin(&walk, &manager->watchers); at; at = watchers_next(&walk)) {
                ManagerWatcher *watcher = container_of(at, ManagerWatcher, watcher);

                watcher->reloaded(watcher);
        }
}

bool fake_manager_reload_ends(Manager *manager, const ReloadOutcome *outcome) {
        ReloadDone done = manager->done;

        manager->done = NULL;
        if (done)
                done(outcome, manager->done_userdata);
        return done != NULL;
}

void fake_manager_be_busy(Manager *manager) {
        manager->is_busy = true;
}

int fake_manager_last_kill(const Manager *manager, bool *ret_to_tree) {
        *ret_to_tree = manager->last_to_tree;
        return manager->last_kill;
}

unsigned fake_manager_n_watchers(const Manager *manager) {
        unsigned n = 0;

        for (const Watcher *at = manager->watchers.first; at; at = at->next)
                n++;
        return n;
}

/* --- manager.h --- */

Loop *manager_loop(Manager *manager) {
        return manager->loop;
}

const Model *manager_model(const Manager *manager) {
        return &manager->model;
}

Machine *manager_machine(Manager *manager) {
        return manager->machine;
}

const Order *manager_order(const Manager *manager) {
        return manager->order;
}

Events *manager_events(Manager *manager) {
        return manager->events;
}

Outputs *manager_outputs(Manager *manager) {
        return manager->outputs;
}

usec_t manager_now(Manager *manager) {
        return loop_now(manager->loop);
}

unsigned manager_generation(const Manager *manager) {
        return 2;
}

pid_t manager_keeper(const Manager *manager) {
        return getppid();
}

char *const *manager_arguments(const Manager *manager) {
        static char *const arguments[] = {
                (char *) "draind", (char *) "-c", (char *) "/etc/a.conf", (char *) "--config=/etc/b.d", (char *) "-c/etc/c", NULL,
        };

        return arguments;
}

ServiceRuntime manager_runtime(const Manager *manager, unsigned service) {
        const FakeRun *run = &manager->runs[service];

        return (ServiceRuntime) { .main_pid = run->pid, .status_text = run->status[0] ? run->status : NULL };
}

Cause manager_cause(const Manager *manager, unsigned service) {
        const Operation *operation = machine_operation_of(manager->machine, service);

        return operation ? operation->cause : (Cause) { .kind = CAUSE_NONE };
}

unsigned manager_hops(const Manager *manager, unsigned service) {
        return manager->services[service].requires ? 1 : 0;
}

int manager_processes(Manager *manager, unsigned service, void (*on_process)(const TreeProcess *process, void *userdata),
                      void *userdata) {
        TreeProcess processes[] = {
                { .pid = manager->runs[service].pid, .parent = 1, .session = 2, .state = 'S', .command = "leader" },
                { .pid = 77, .parent = 1, .session = 3, .state = 'D', .is_escapee = true, .command = "\xff\x1b[1m" },
        };

        for (size_t i = 0; i < n_elements(processes) && on_process; i++)
                on_process(&processes[i], userdata);
        return n_elements(processes);
}

void manager_watch(Manager *manager, ManagerWatcher *watcher) {
        watchers_add(&manager->watchers, &watcher->watcher);
}

void manager_unwatch(ManagerWatcher *watcher) {
        watchers_remove(&watcher->watcher);
}

int manager_kill(Manager *manager, unsigned service, int signal, bool to_tree) {
        if (manager->runs[service].pid == 0)
                return -ESRCH;
        manager->last_kill = signal;
        manager->last_to_tree = to_tree;
        return to_tree ? 2 : 1;
}

int manager_reload(Manager *manager, bool is_dry, bool restarts, ReloadDone done, void *userdata, const char **ret_why) {
        if (manager->is_busy) {
                manager->is_busy = false;
                *ret_why = "an operation is running; wait for its end";
                return MANAGER_BUSY;
        }
        manager->done = done;
        manager->done_userdata = userdata;
        return 0;
}

void manager_reload_forget(Manager *manager, const void *userdata) {
        if (manager->done_userdata == userdata)
                manager->done = NULL;
}
