#include "manager-core.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "../../protocol/fds.h"
#include "../../protocol/log.h"
#include "api.h"
#include "config.h"
#include "journal-ids.h"
#include "loader.h"
#include "manager-private.h"

#define MODEL_FDNAME   "model"
#define CONTROL_FDNAME "control"
#define EXIT_BROKEN    70   /* as the keeper says when the core cannot be kept running */
#define PRIORITY       (-15) /* of the core: a supervisor goes before what it supervises; children get 0 */

/* --- the configuration --- */

static LogTarget log_target_of(const Model *model) {
        switch (model->log_target) {
        case CONFIG_LOG_JOURNAL:
                return LOG_TARGET_JOURNAL;
        case CONFIG_LOG_CONSOLE:
                return LOG_TARGET_CONSOLE;
        case CONFIG_LOG_JSON:
                return LOG_TARGET_JSON;
        case CONFIG_LOG_AUTO:
        case CONFIG_LOG_MAX:
        default:
                return LOG_TARGET_AUTO;
        }
}

/* A core that takes over runs by the document of the one before it, whatever the files say by now. */
must_check static int load_model(Manager *manager, int *ret_status) {
        cleanup(fd_closep) int document = link_take_fd(manager->link, MODEL_FDNAME);
        bool is_new = document < 0;
        char reason[256] = "";
        int r;

        if (is_new) {
                r = loader_run(manager->arguments, &document, ret_status);
                if (r == LOADER_REFUSED && *ret_status > 128) {
                        log_message(LOG_ERR, "draind-config was killed by signal %d.", *ret_status - 128);
                        *ret_status = EXIT_BROKEN;
                }
                if (r != 0)
                        return r;
        }
        manager->model = calloc(1, sizeof(*manager->model));
        if (!manager->model)
                return -ENOMEM;
        r = loader_parse(document, manager->model, reason);
        if (r < 0) {
                log_message(LOG_ERR, "Cannot use the document of draind-config: %s.", reason[0] ? reason : strerror(-r));
                return r;
        }
        log_open(log_target_of(manager->model), manager->model->log_level, "draind");
        return is_new ? link_store(manager->link, MODEL_FDNAME, document) : 0;
}

/* --- places in the file system --- */

must_check static int find_runtime_directory(Manager *manager, char *buf, size_t size) {
        const char *xdg = getenv("XDG_RUNTIME_DIR");

        if (manager->model->runtime_directory)
                (void) snprintf(buf, size, "%s", manager->model->runtime_directory);
        else if (geteuid() == 0)
                (void) snprintf(buf, size, "%s", DRAIND_RUN_DIR);
        else if (xdg && xdg[0] == '/')
                (void) snprintf(buf, size, "%s/draind", xdg);
        else
                return -ENOENT;
        return 0;
}

must_check static int make_directories(const char *path) {
        char part[4096];

        for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
                (void) snprintf(part, sizeof(part), "%.*s", slash ? (int) (slash - path) : (int) strlen(path), path);
                if (mkdir(part, 0755) < 0 && errno != EEXIST)
                        return -errno;
                if (!slash)
                        return access(path, W_OK) < 0 ? -errno : 0;
        }
}

/* Without a place to write draind works all the same: no control socket, no drain files, no notify sockets. */
static void open_runtime_directory(Manager *manager) {
        char path[4096], drain[4200];
        int r;

        manager->drain_directory = -EBADF;
        r = find_runtime_directory(manager, path, sizeof(path));
        if (r == 0)
                r = make_directories(path);
        if (r == 0) {
                (void) snprintf(drain, sizeof(drain), "%s/drain", path);
                r = make_directories(drain);
        }
        if (r < 0) {
                log_message(manager->model->is_command ? LOG_INFO : LOG_WARNING,
                            "No runtime directory: %s; going on without control socket and drain files.", strerror(-r));
                return;
        }
        manager->runtime_directory = strdup(path);
        manager->drain_directory = open(drain, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = manager->runtime_directory
                ? notify_set_new(&manager->notifies, manager->loop, path, manager_on_notify, manager) : -ENOMEM;
        if (r < 0)
                log_message(LOG_WARNING, "No notify sockets: %s.", strerror(-r));
}

must_check static int open_api(Manager *manager) {
        int inherited = link_take_fd(manager->link, CONTROL_FDNAME), r;
        char path[4200] = "";
        bool is_new = inherited < 0;

        if (manager->model->control_socket)
                (void) snprintf(path, sizeof(path), "%s", manager->model->control_socket);
        else if (manager->runtime_directory)
                (void) snprintf(path, sizeof(path), "%s/control", manager->runtime_directory);
        if (path[0] == '\0' && is_new)
                return 0;
        r = api_new(&manager->api, manager, path[0] ? path : NULL, inherited);
        if (r == -EADDRINUSE && manager->model->is_command) {
                log_message(LOG_INFO, "Another draind has %s; going on without a control socket.", path);
                return 0;
        }
        if (r == -EADDRINUSE)
                log_message(LOG_ERR, "Another draind runs here: it answers on %s.", path);
        else if (r < 0 && is_new) {
                log_message(LOG_WARNING, "No control socket at %s: %s.", path, strerror(-r));
                return 0;
        }
        if (r < 0 || !is_new)
                return r;
        r = link_store(manager->link, CONTROL_FDNAME, api_listening_fd(manager->api));
        if (r < 0)
                log_message(LOG_WARNING, "The control socket will not outlive this core: %s.", strerror(-r));
        return 0;
}

/* --- making --- */

must_check static int make_services(Manager *manager, bool is_restored) {
        unsigned free_place = 0;

        manager->n_services = manager->model->n_services;
        manager->services = calloc((size_t) manager->n_services + 1, sizeof(Service *));
        if (!manager->services)
                return -ENOMEM;
        for (unsigned i = 0; i < manager->n_services; i++) {
                const char *name = manager->model->services[i].name;
                unsigned place = is_restored ? 0 : i;
                int r;

                while (is_restored && place < board_n(manager->board) && strcmp(board_name(manager->board, place), name) != 0)
                        place++;
                if (place >= board_n(manager->board)) {
                        while (board_name(manager->board, free_place)[0] != '\0')
                                if (++free_place >= board_n(manager->board))
                                        return -ENOSPC;
                        place = free_place;
                }
                if (board_name(manager->board, place)[0] == '\0') {
                        r = board_set_name(manager->board, place, name);
                        if (r < 0)
                                return r;
                }
                r = service_new(&manager->services[i], manager, i, place);
                if (r < 0)
                        return r;
        }
        return 0;
}

int manager_make_tree(const Manager *manager, const Model *model, Service *const *services, Tree **ret) {
        cleanup(tree_freep) Tree *tree = NULL;
        unsigned n_places = 1;
        int r;

        for (unsigned i = 0; i < model->n_services; i++)
                if (services[i]->place >= n_places)
                        n_places = services[i]->place + 1;
        r = tree_new(&tree, manager->keeper, board_instance(manager->board), n_places, model->use_cgroup);
        if (r < 0)
                return r;
        for (unsigned i = 0; i < model->n_services; i++)
                tree_name(tree, services[i]->place, model->services[i].name);
        *ret = take(tree);
        return 0;
}

must_check static int open_board(Manager *manager, bool *ret_is_restored) {
        int fd = link_take_fd(manager->link, BOARD_FDNAME), r;

        *ret_is_restored = fd >= 0;
        if (fd >= 0) {
                r = board_open(&manager->board, fd);
                if (r < 0)
                        log_message(LOG_ERR, "Cannot read what the core before this one has left: %s.", strerror(-r));
                return r;
        }
        r = board_new(&manager->board, SERVICES_MAX);
        return r < 0 ? r : link_store(manager->link, BOARD_FDNAME, board_fd(manager->board));
}

must_check static int make_parts(Manager *manager) {
        int r;

        r = loop_new(&manager->loop, SERVICES_MAX / 8);
        if (r == 0)
                r = events_new(&manager->events);
        if (r == 0)
                r = outputs_new(&manager->outputs, manager->loop);
        if (r == 0)
                r = spawner_new(&manager->spawner);
        if (r == 0)
                r = environment_init(manager);
        if (r < 0)
                return r;
        manager->verdicts = calloc(VERDICTS_MAX, sizeof(*manager->verdicts));
        return manager->verdicts ? 0 : -ENOMEM;
}

static void make_timers(Manager *manager) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++)
                manager->operation_timers[place] = (OperationTimer) {
                        .manager = manager, .place = place, .timer = { .fired = manager_operation_fired },
                };
        manager->verdict_timer.fired = verdicts_fired;
        manager->slow_timer.fired = manager_slow_fired;
        manager->status_timer.fired = manager_status_fired;
        manager->later_timer.fired = manager_later_fired;
}

must_check static int make_machine(Manager *manager) {
        OrderProblem problem = { 0 };
        int r;

        r = order_new(&manager->order, manager->model, &problem);
        free(problem.path);
        if (r != 0)
                return r < 0 ? r : -EBADMSG; /* draind-config lets no such model through */
        r = machine_new(&manager->machine, manager->model, manager->order, &manager_effects, manager);
        return r < 0 ? r : loop_reserve_timers(manager->loop, manager->n_services + 64);
}

must_check static int make_rest(Manager *manager, bool is_restored) {
        int r;

        r = make_services(manager, is_restored);
        if (r == 0)
                r = make_machine(manager);
        if (r == 0)
                r = manager_make_tree(manager, manager->model, manager->services, &manager->tree);
        if (r == 0)
                r = environment_reserve(manager);
        if (r == 0)
                r = records_reserve(manager);
        if (r == 0)
                r = finish_init(manager);
        if (r == 0)
                r = exits_init(manager);
        for (unsigned i = 0; r == 0 && i < manager->n_services; i++)
                r = service_prepare(manager->services[i]);
        if (r == 0)
                r = reload_new(&manager->reload, manager);
        return r;
}

/* TERM to the core itself comes from its own death signal: the keeper is gone. */
static int on_own_signal(int fd, uint32_t events, void *userdata) {
        struct signalfd_siginfo info;

        if (read(fd, &info, sizeof(info)) == sizeof(info))
                manager_on_keeper_gone(userdata, (int) info.ssi_signo);
        return 0;
}

must_check static int watch_own_signals(Manager *manager) {
        LoopSource *source;
        sigset_t mask;

        (void) sigemptyset(&mask);
        (void) sigaddset(&mask, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        manager->own_signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (manager->own_signals < 0)
                return -errno;
        return loop_add_fd(manager->loop, manager->own_signals, EPOLLIN, LOOP_PRIORITY_STOP, "own signals", on_own_signal,
                           manager, &source);
}

static void say_budget(Manager *manager) {
        usec_t outer = manager->model->outer_grace;
        char have[DURATION_TEXT_MAX], inner[DURATION_TEXT_MAX];

        if (outer < manager->model->grace)
                log_id(LOG_WARNING, MSG_BUDGET_TOO_SMALL, "The outer grace period (%s) is shorter than GracePeriodSec= (%s): it counts.",
                       duration_format(have, sizeof(have), outer), duration_format(inner, sizeof(inner), manager->model->grace));
}

must_check static int begin(Manager *manager, bool is_restored) {
        link_drop_rest(manager->link);
        link_set_grace(manager->link, usec_min(manager->model->grace, manager->model->outer_grace));
        if (is_restored)
                return restore_all(manager);
        log_id(LOG_INFO, MSG_CONFIGURATION_LOADED, "Starting %u service%s.", manager->n_services,
               manager->n_services == 1 ? "" : "s");
        say_budget(manager);
        manager->is_starting_up = true;
        machine_want_all(manager->machine, manager_now(manager));
        loop_post(manager->start_work);
        loop_post(manager->finish_work);
        return 0;
}

int manager_new(Manager **ret, char **arguments, int *ret_status) {
        cleanup(manager_freep) Manager *manager = calloc(1, sizeof(*manager));
        bool is_restored;
        int r;

        if (!manager)
                return -ENOMEM;
        manager->arguments = arguments;
        manager->keeper = getppid();
        manager->own_signals = manager->drain_directory = -EBADF;
        for (int i = 0; i < PROCFS_RESERVE; i++)
                manager->procfs.reserve[i] = -EBADF;
        manager->procfs.root = -EBADF;
        make_timers(manager);
        r = fd_raise_limit(&manager->old_nofile);
        if (r < 0)
                return r;
        (void) setpriority(PRIO_PROCESS, 0, PRIORITY); /* where it is not permitted, without it */
        r = link_new(&manager->link);
        if (r < 0)
                return r;
        r = load_model(manager, ret_status);
        if (r == LOADER_REFUSED)
                link_finish(manager->link, *ret_status);
        if (r != 0)
                return r;
        r = make_parts(manager);
        if (r < 0)
                return r;
        open_runtime_directory(manager);
        r = open_board(manager, &is_restored);
        if (r == 0)
                r = make_rest(manager, is_restored);
        if (r == 0)
                r = watch_own_signals(manager);
        if (r == 0)
                r = open_api(manager);
        if (r == -EADDRINUSE) {
                *ret_status = 1;
                link_finish(manager->link, 1);
        }
        if (r == 0)
                r = begin(manager, is_restored);
        if (r < 0)
                return r;
        *ret = take(manager);
        return 0;
}

int manager_run(Manager *manager) {
        return loop_run(manager->loop);
}

Manager *manager_free(Manager *manager) {
        if (!manager)
                return NULL;
        api_free(manager->api);
        reload_free(manager->reload);
        for (unsigned i = 0; manager->services && i < manager->n_services; i++)
                service_free(manager->services[i]);
        free(manager->services);
        loop_remove(manager->ring_source);
        loop_remove_work(manager->finish_work);
        loop_remove_work(manager->start_work);
        machine_free(manager->machine);
        tree_free(manager->tree);
        order_free(manager->order);
        model_free(manager->model);
        notify_set_free(manager->notifies);
        outputs_free(manager->outputs);
        events_free(manager->events);
        spawner_free(manager->spawner);
        board_free(manager->board);
        poller_free(manager->exits);
        pid_table_done(&manager->pids);
        procfs_done(&manager->procfs);
        loop_free(manager->loop);
        link_free(manager->link);
        free(manager->records);
        free(manager->verdicts);
        free(manager->base_environment);
        free(manager->scratch);
        free(manager->runtime_directory);
        (void) fd_close(manager->drain_directory);
        (void) fd_close(manager->own_signals);
        free(manager);
        return NULL;
}
