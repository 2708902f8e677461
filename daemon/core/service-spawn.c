#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../../protocol/log.h"
#include "drain-file.h"
#include "journal-ids.h"
#include "manager-private.h"

/* Starting leaders and hooks: environment, output, process. */

#define OWN_VARIABLES_MAX 24u
#define VALUE_MAX         512u

extern char **environ;

/* What is ours, or was meant for us, is not passed on. */
static const char *const kept_back[] = {
        "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "WATCHDOG_USEC", "WATCHDOG_PID",
        "FDSTORE", "INVOCATION_ID", "JOURNAL_STREAM", "MAINPID", "MANAGERPID", "SYSTEMD_EXEC_PID", "MEMORY_PRESSURE_WATCH",
        "MEMORY_PRESSURE_WRITE", "DRAIND_SERVICE", "DRAIND_MARK", "DRAIND_DRAIN_FILE", "DRAIND_LIBEXECDIR",
};

static bool has_name(const char *variable, const char *name, size_t length) {
        return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

int environment_init(Manager *manager) {
        unsigned n = 0, kept = 0;

        while (environ[n])
                n++;
        manager->base_environment = calloc((size_t) n + 1, sizeof(char *));
        if (!manager->base_environment)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                bool is_kept = true;

                for (size_t k = 0; k < n_elements(kept_back) && is_kept; k++)
                        is_kept = !has_name(environ[i], kept_back[k], strlen(kept_back[k]));
                if (is_kept)
                        manager->base_environment[kept++] = environ[i];
        }
        manager->n_base = kept;
        return 0;
}

int environment_reserve(Manager *manager) {
        unsigned most = 0;
        char **scratch;

        for (unsigned i = 0; i < manager->model->n_services; i++)
                if (manager->model->services[i].environment.n > most)
                        most = manager->model->services[i].environment.n;
        scratch = realloc(manager->scratch, (manager->n_base + most + OWN_VARIABLES_MAX + 1) * sizeof(char *));
        if (!scratch)
                return -ENOMEM;
        manager->scratch = scratch;
        return 0;
}

/* Variables of ours, in one buffer. */
typedef struct OwnVariables {
        char *list[OWN_VARIABLES_MAX];
        unsigned n;
        char values[12][VALUE_MAX];
        unsigned n_values;
        char drain[DRAIN_ENVIRONMENT_MAX];
} OwnVariables;

printf_like(2, 3) static void own_add(OwnVariables *own, const char *format, ...) {
        va_list arguments;

        if (own->n >= OWN_VARIABLES_MAX || own->n_values >= n_elements(own->values))
                return;
        va_start(arguments, format);
        (void) vsnprintf(own->values[own->n_values], VALUE_MAX, format, arguments);
        va_end(arguments);
        own->list[own->n++] = own->values[own->n_values++];
}

/* Environment= wins over ours, ours over what was inherited; the last of two of the same name wins in each. */
static char **environment_compose(const Service *service, const OwnVariables *own) {
        Manager *manager = service->manager;
        const StringList *given = &service_config(service)->environment;
        char **list = manager->scratch;
        unsigned n = 0;

        for (unsigned pass = 0; pass < 3; pass++) {
                char *const *items = pass == 0 ? given->items : pass == 1 ? own->list : manager->base_environment;
                unsigned n_items = pass == 0 ? given->n : pass == 1 ? own->n : manager->n_base;

                for (unsigned i = n_items; i-- > 0;) {
                        size_t length = strcspn(items[i], "=");
                        bool is_taken = false;

                        for (unsigned k = 0; k < n && !is_taken; k++)
                                is_taken = has_name(list[k], items[i], length);
                        if (!is_taken)
                                list[n++] = items[i];
                }
        }
        list[n] = NULL;
        return list;
}

static void own_common(OwnVariables *own, const Service *service) {
        const ServiceConfig *config = service_config(service);
        Manager *manager = service->manager;
        char mark[TREE_MARK_BYTES];

        if (!getenv("PATH"))
                own_add(own, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        if (config->has_user) {
                own_add(own, "USER=%s", config->user_name ? config->user_name : "");
                own_add(own, "LOGNAME=%s", config->user_name ? config->user_name : "");
                own_add(own, "HOME=%s", config->home ? config->home : "/");
                own_add(own, "SHELL=%s", config->shell ? config->shell : "/bin/sh");
        }
        own_add(own, "DRAIND_SERVICE=%s", config->name);
        own_add(own, "%s", tree_mark_format(mark, sizeof(mark), board_instance(manager->board), config->name));
        if (manager->runtime_directory)
                own_add(own, "DRAIND_DRAIN_FILE=%s/drain/%s", manager->runtime_directory, config->name);
        if (service->notify)
                own_add(own, "NOTIFY_SOCKET=%s", notify_socket_path(service->notify));
}

/* What a hook is told besides: the leader's pid, how it ended, and the drain. */
static void own_hook(OwnVariables *own, Service *service, usec_t now) {
        const Cell *cell = service_cell(service);
        const Operation *operation = machine_operation_of(service->manager->machine, service->index);
        Phase phase = service_state_phase(cell->state);
        char text[DRAIN_FILE_CAUSE_MAX];
        Cause cause = manager_cause(service->manager, service->index);

        if (service->leader > 0)
                own_add(own, "MAINPID=%d", service->main > 0 ? service->main : service->leader);
        if (cell->state == SERVICE_POST) {
                bool is_exit = cell->exit_code == CLD_EXITED, was_killed = (cell->flags & CELL_WAS_KILLED) != 0;

                own_add(own, "SERVICE_RESULT=%s", service_result_name(was_killed ? RESULT_KILLED : cell->result));
                own_add(own, "EXIT_CODE=%s", is_exit ? "exited" : cell->exit_code == CLD_DUMPED ? "dumped" : "killed");
                own_add(own, "EXIT_STATUS=%d", cell->exit_status);
        }
        if (phase == PHASE_NONE)
                return;
        drain_environment(&(DrainNotice) { .deadline = cell->deadline, .now = now, .phase = phase_name(phase),
                                           .operation = operation ? operation->id : 0,
                                           .cause = cause_format(text, sizeof(text), &cause) },
                          own->drain, &own->list[own->n]);
        own->n += DRAIN_ENVIRONMENT_N;
}

/* --- output --- */

/* Returns an fd that is the caller's, or -errno. A FIFO without a reader must not make us wait. */
must_check static int open_output(Service *service, const Output *output) {
        int fd;

        switch (output->kind) {
        case OUTPUT_LOG:
                return service->output ? output_writer(service->output) : open("/dev/null", O_WRONLY | O_CLOEXEC);
        case OUTPUT_INHERIT:
                fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
                return fd < 0 ? -errno : fd;
        case OUTPUT_FILE:
        case OUTPUT_APPEND:
                fd = open(output->path,
                          O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (output->kind == OUTPUT_APPEND ? O_APPEND : 0),
                          0644);
                if (fd < 0)
                        return -errno;
                drop(fcntl(fd, F_SETFL, output->kind == OUTPUT_APPEND ? O_APPEND : 0)); /* blocking for the service */
                return fd;
        case OUTPUT_NULL:
        case OUTPUT_KIND_MAX:
        default:
                fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
                return fd < 0 ? -errno : fd;
        }
}

typedef struct Stdio {
        int input, output, error; /* owned */
} Stdio;

static void stdio_done(Stdio *stdio) {
        (void) fd_close(stdio->input);
        (void) fd_close(stdio->output);
        (void) fd_close(stdio->error);
}

must_check static int stdio_open(Service *service, Stdio *stdio) {
        const ServiceConfig *config = service_config(service);

        if (service->manager->model->is_command) { /* a command in a container may talk to whoever started us */
                stdio->input = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
                stdio->error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
                stdio->output = open_output(service, &config->output);
                return stdio->output < 0 ? stdio->output : 0;
        }
        stdio->output = open_output(service, &config->output);
        if (stdio->output < 0)
                return stdio->output;
        if (config->error.kind == OUTPUT_INHERIT) {
                stdio->error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
                return stdio->error < 0 ? -errno : 0;
        }
        if (config->error.kind == OUTPUT_KIND_MAX && config->output.kind == OUTPUT_INHERIT)
                stdio->error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        else if (config->error.kind == OUTPUT_KIND_MAX)
                stdio->error = fcntl(stdio->output, F_DUPFD_CLOEXEC, 3);
        else
                stdio->error = open_output(service, &config->error);
        return stdio->error < 0 ? stdio->error : 0;
}

/* --- the process --- */

static bool is_retryable(const SpawnFailure *failure) {
        return failure->step == SPAWN_STEP_CLONE || failure->error == EMFILE || failure->error == ENFILE
                || failure->error == ENOMEM || failure->error == EAGAIN;
}

/* 0, or SPAWN_FAILED with *reterr. The pid is where the next core looks for it before the process runs. */
must_check static int service_spawn(Service *service, const Command *command, const OwnVariables *own, bool is_hook,
                                    SpawnFailure *reterr) {
        Manager *manager = service->manager;
        BoardWords *words = board_words(manager->board, service->place);
        cleanup(stdio_done) Stdio stdio = { -EBADF, -EBADF, -EBADF };
        SpawnRequest request = {
                .command = command,
                .service = service_config(service),
                .cgroup = -EBADF,
                .pid_word = is_hook ? &words->hook : &words->leader,
                .default_nofile = manager->old_nofile,
                .keep_directory = manager->model->is_command,
        };
        pid_t pid;
        int pidfd, r;

        r = stdio_open(service, &stdio);
        if (r < 0) {
                *reterr = (SpawnFailure) { SPAWN_STEP_OUTPUT, -r };
                return SPAWN_FAILED;
        }
        r = tree_prepare(manager->tree, service->place, &request.cgroup);
        if (r < 0) {
                *reterr = (SpawnFailure) { SPAWN_STEP_CGROUP, -r };
                return SPAWN_FAILED;
        }
        request.input = stdio.input;
        request.output = stdio.output;
        request.error = stdio.error;
        request.environment = environment_compose(service, own);
        r = spawn_process(manager->spawner, &request, &pid, &pidfd, reterr);
        if (r < 0)
                *reterr = (SpawnFailure) { SPAWN_STEP_CLONE, -r };
        if (r != 0)
                return SPAWN_FAILED;
        if (is_hook) {
                (void) fd_close(service->hook_fd); /* of one that was told to end and has not yet */
                service->hook = pid;
                service->hook_fd = pidfd;
        } else {
                service->leader = pid;
                service->leader_fd = pidfd;
        }
        r = exits_watch(service, is_hook);
        if (r < 0)
                log_message(LOG_WARNING, "%s: cannot follow pid %d at once: %s.", service_config(service)->name, pid,
                            strerror(-r));
        return 0;
}

static void say_start_failed(const Service *service, const Command *command, const SpawnFailure *failure) {
        const char *name = service_config(service)->name;

        records_flush(service->manager); /* in order */
        log_record(LOG_ERR,
                   (const LogField[]) { { "MESSAGE_ID", MSG_START_FAILED }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                   __FILE__, __LINE__, "%s: cannot start %.200s: %s: %s.", name, command->argv[0],
                   spawn_step_name(failure->step), strerror(failure->error));
}

void service_start_leader(Service *service, usec_t now) {
        const ServiceConfig *config = service_config(service);
        OwnVariables own = { .n = 0 };
        SpawnFailure failure;

        own_common(&own, service);
        if (config->watchdog > 0)
                own_add(&own, "WATCHDOG_USEC=%" PRIu64, config->watchdog);
        service->main = 0;
        service->needs_restart = false;
        if (service_spawn(service, &config->start, &own, false, &failure) == 0) {
                machine_spawned(service->manager->machine, service->index);
                return;
        }
        say_start_failed(service, &config->start, &failure);
        machine_spawn_failed(service->manager->machine, service->index,
                             (StartFailure) { .step = failure.step, .error = failure.error }, is_retryable(&failure));
}

void service_run_hook(Service *service, const CommandList *list, usec_t now) {
        const Cell *cell = service_cell(service);
        OwnVariables own = { .n = 0 };
        const Command *command;
        SpawnFailure failure;

        if (cell->hook_index >= list->n) { /* a reload has shortened the list */
                machine_hook_ended(service->manager->machine, service->index, true);
                return;
        }
        command = &list->items[cell->hook_index];
        own_common(&own, service);
        own_hook(&own, service, now);
        if (service_spawn(service, command, &own, true, &failure) == 0) {
                machine_spawned(service->manager->machine, service->index);
                return;
        }
        say_start_failed(service, command, &failure);
        machine_hook_ended(service->manager->machine, service->index, command->may_fail);
}
