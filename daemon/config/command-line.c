#include "command-line.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "keys.h"
#include "value.h"
#include "words.h"

/* What a short grace period leaves for KILL. */
#define KILL_RESERVE_PART 4u

static int wrong(Draft *draft, const char *option, const char *text, const char *fault) {
        report_error(draft->report, (Place){ 0 }, NULL, option, "%s %s", quoted(text), fault);
        return COMMAND_LINE_WRONG;
}

static int parse_time(Draft *draft, const char *option, const char *text, usec_t *ret) {
        usec_t duration;

        if (!text)
                return 0;
        if (duration_parse(text, &duration) < 0 || duration > VALUE_DURATION_MAX)
                return wrong(draft, option, text, "is not a time span, as 30s or 1min 30s");
        *ret = duration;
        return 0;
}

/* The base name, with what may not be in a name replaced. */
static void make_name(const char *path, char name[static SERVICE_NAME_MAX + 1]) {
        const char *slash = strrchr(path, '/');

        (void) snprintf(name, SERVICE_NAME_MAX + 1, "%s", slash ? slash + 1 : path);
        for (char *c = name; *c != '\0'; c++)
                if (!isascii(*c) || (!isalnum((unsigned char) *c) && !strchr("-_.@", *c)))
                        *c = '_';
        if (*name == '-' || *name == '.')
                *name = '_';
}

/* One rung: the whole time. Otherwise a last rung without a time gets what the others leave. */
static int set_ladder(Draft *draft, const char *text, usec_t available, ServiceConfig *config) {
        KeyContext context = { .report = draft->report, .key = keys_find("Service", "StopSignals") };
        Rung *rungs;
        usec_t sum = 0;
        unsigned n;
        int r;

        config->rungs[0].time = available;
        if (!text)
                return 0;
        r = value_parse_ladder(&context, text, USEC_INFINITY, &rungs, &n);
        if (r != 0)
                return r < 0 ? r : COMMAND_LINE_WRONG;
        for (unsigned i = 0; i < n; i++)
                sum = rungs[i].time == USEC_INFINITY ? sum : usec_add(sum, rungs[i].time);
        if (rungs[n - 1].time == USEC_INFINITY)
                rungs[n - 1].time = sum < available ? available - sum : 0;
        free(config->rungs);
        config->rungs = rungs;
        config->n_rungs = n;
        return 0;
}

/* The command as it would be found from here: the core may run elsewhere. */
static int set_command(const CommandLine *line, ServiceConfig *config) {
        cleanup(string_list_done) StringList argv = { 0 };
        cleanup(freep) char *here = getcwd(NULL, 0);
        int r = 0;

        if (!here)
                return -errno;
        for (char *const *argument = line->argv; *argument && r == 0; argument++) {
                char *copy;

                if (argument == line->argv && **argument != '/' && strchr(*argument, '/'))
                        r = asprintf(&copy, "%s/%s", here, *argument + (strncmp(*argument, "./", 2) == 0 ? 2 : 0)) < 0
                                    ? -ENOMEM
                                    : 0;
                else
                        copy = strdup(*argument);
                if (r == 0)
                        r = string_list_append(&argv, copy);
        }
        if (r < 0)
                return r;
        config->start.argv = calloc(argv.n + 1, sizeof(char *));
        if (!config->start.argv)
                return -ENOMEM;
        for (unsigned i = 0; i < argv.n; i++)
                config->start.argv[i] = take(argv.items[i]);
        config->working_directory = take(here);
        return 0;
}

int command_line_draft(Draft *draft, const CommandLine *line) {
        char name[SERVICE_NAME_MAX + 1];
        Model *model = &draft->model;
        ServiceDraft *service;
        usec_t withdraw = 0, taken;
        int r;

        for (char *const *argument = line->argv; *argument; argument++)
                if (!words_are_utf8(*argument, strlen(*argument)))
                        return wrong(draft, "COMMAND", *argument, "is not UTF-8");
        if (**line->argv == '\0')
                return wrong(draft, "COMMAND", "", "is no command; write a program and its arguments");
        make_name(*line->argv, name);
        if (line->name && service_name_fault(line->name))
                return wrong(draft, "--name", line->name,
                             "is no name for a service: letters, digits and - _ . @, at most 63 bytes");
        if (*name == '\0' && !line->name)
                return wrong(draft, "COMMAND", *line->argv, "is a directory; write the path of a program");
        r = parse_time(draft, "--grace", line->grace, &model->grace);
        if (r == 0)
                r = parse_time(draft, "--withdraw", line->withdraw, &withdraw);
        if (r == 0)
                r = draft_add_service(draft, line->name ? line->name : name, (Place){ 0 }, &service);
        if (r != 0)
                return r;
        model->is_command = true;
        model->kill_reserve = usec_min(model->kill_reserve, model->grace / KILL_RESERVE_PART);
        service->config.is_essential = true;
        service->config.output.kind = OUTPUT_INHERIT;
        service->config.withdraw = withdraw;
        taken = usec_add(withdraw, model->kill_reserve);
        r = set_ladder(draft, line->stop_signals, taken < model->grace ? model->grace - taken : 0, &service->config);
        return r != 0 ? r : set_command(line, &service->config);
}
