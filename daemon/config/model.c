#include "model.h"

#include <stdio.h>
#include <string.h>
#include <syslog.h>

void model_defaults(Model *model) {
        *model = (Model){
                .grace = 30 * USEC_PER_SEC,
                .outer_grace = USEC_INFINITY,
                .kill_reserve = 2 * USEC_PER_SEC,
                .warn_stop_after_percent = 70,
                .log_target = CONFIG_LOG_AUTO,
                .log_level = LOG_INFO,
                .use_cgroup = true,
        };
}

void service_config_defaults(ServiceConfig *config) {
        *config = (ServiceConfig){
                .type = SERVICE_SIMPLE,
                .output = { .kind = OUTPUT_LOG },
                .error = { .kind = OUTPUT_KIND_MAX },
                .restart = RESTART_NO,
                .restart_delay = USEC_PER_SEC,
                .restart_delay_max = 30 * USEC_PER_SEC,
                .start_limit_burst = 5,
                .start_limit_interval = 10 * USEC_PER_SEC,
                .success_statuses = { 1 },
                .start_timeout = 90 * USEC_PER_SEC,
                .withdraw_ready = WITHDRAW_READY_QUIESCE,
                .on_guard_timeout = ON_GUARD_CONTINUE,
                .kill_reserve = 2 * USEC_PER_SEC,
        };
}

void command_done(Command *command) {
        for (char **argument = command->argv; argument && *argument; argument++)
                free(*argument);
        free(command->argv);
        *command = (Command){ 0 };
}

void command_list_done(CommandList *list) {
        for (unsigned i = 0; i < list->n; i++)
                command_done(&list->items[i]);
        free(list->items);
        *list = (CommandList){ 0 };
}

void service_config_done(ServiceConfig *config) {
        if (!config)
                return;
        free(config->name);
        free(config->origin);
        command_list_done(&config->start_pre);
        command_list_done(&config->reload);
        command_list_done(&config->stop);
        command_list_done(&config->stop_post);
        command_done(&config->start);
        free(config->groups);
        free(config->user_name);
        free(config->home);
        free(config->shell);
        free(config->working_directory);
        string_list_done(&config->environment);
        free(config->limits);
        free(config->output.path);
        free(config->error.path);
        string_list_done(&config->requires);
        string_list_done(&config->wants);
        string_list_done(&config->after);
        string_list_done(&config->guards);
        free(config->rungs);
        string_list_done(&config->stop_after);
        *config = (ServiceConfig){ 0 };
}

void model_done(Model *model) {
        if (!model)
                return;
        free(model->control_socket);
        free(model->runtime_directory);
        free(model->state_directory);
        string_list_done(&model->listen);
        for (unsigned i = 0; i < model->n_services; i++)
                service_config_done(&model->services[i]);
        free(model->services);
        *model = (Model){ 0 };
}

Model *model_free(Model *model) {
        model_done(model);
        free(model);
        return NULL;
}

int model_find(const Model *model, const char *name) {
        unsigned low = 0, high = model->n_services;

        while (low < high) {
                unsigned middle = low + (high - low) / 2;
                int order = strcmp(name, model->services[middle].name);

                if (order == 0)
                        return (int) middle;
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -1;
}

const char *service_type_name(ServiceType type) {
        static const char *const names[] = { "simple", "exec", "notify", "oneshot" };

        return (unsigned) type < n_elements(names) ? names[type] : "?";
}

const char *restart_policy_name(RestartPolicy policy) {
        static const char *const names[] = { "no", "on-failure", "always" };

        return (unsigned) policy < n_elements(names) ? names[policy] : "?";
}

/* The ladder separates its rungs by spaces, so a time must not have any. */
static void remove_spaces(char *text) {
        char *to = text;

        for (; *text != '\0'; text++)
                if (*text != ' ')
                        *to++ = *text;
        *to = '\0';
}

char *rungs_format(char *buf, size_t size, const Rung *rungs, unsigned n_rungs) {
        size_t used = 0;

        if (size > 0)
                buf[0] = '\0';
        for (unsigned i = 0; i < n_rungs && used < size; i++) {
                char name[16], time[DURATION_TEXT_MAX];
                int n;

                remove_spaces(duration_format(time, sizeof(time), rungs[i].time));
                n = snprintf(buf + used, size - used, "%s%s%s:%s", i > 0 ? " " : "",
                             signal_format(name, sizeof(name), rungs[i].signal), rungs[i].to_tree ? "@tree" : "", time);
                if (n < 0)
                        break;
                used += (size_t) n;
        }
        return buf;
}
