#include "check.h"

#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "../../protocol/nearest.h"
#include "../core/budget.h"
#include "../core/order.h"
#include "keys.h"
#include "value-run.h"
#include "words.h"

#define CYCLES_MAX 20u /* more than these are told in the next run */
#define PATH_TEXT_MAX 700u
#define PATH_SHOWN_MAX 8u

/* The keys that name services. */
static const struct {
        const char *key;
        size_t offset;
} edges_of[] = {
        { "Requires", offsetof(ServiceConfig, requires) },
        { "Wants", offsetof(ServiceConfig, wants) },
        { "After", offsetof(ServiceConfig, after) },
        { "StopAfter", offsetof(ServiceConfig, stop_after) },
};

typedef struct Text {
        char buf[PATH_TEXT_MAX];
        size_t used;
} Text;

static void text_add(Text *text, const char *format, ...) printf_like(2, 3);
static void text_add(Text *text, const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(text->buf + text->used, sizeof(text->buf) - text->used, format, arguments);
        va_end(arguments);
        if (n > 0)
                text->used +=
                        (size_t) n < sizeof(text->buf) - text->used ? (size_t) n : sizeof(text->buf) - text->used - 1;
}

static StringList *names_of(ServiceConfig *config, unsigned edge) {
        return (StringList *) ((char *) config + edges_of[edge].offset);
}

static const char *suggest_service(const Draft *draft, const ServiceConfig *self, const char *name) {
        const Model *model = &draft->model;
        const char **names = calloc(model->n_services + 1, sizeof(*names)), *meant;
        size_t n = 0;

        if (!names)
                return NULL; /* a hint less */
        for (unsigned i = 0; i < model->n_services; i++)
                if (&model->services[i] != self)
                        names[n++] = model->services[i].name;
        meant = nearest_of(name, names, n);
        free(names);
        return meant;
}

/* A header with a mistake has been reported; who names its service makes no second one. */
static bool is_misspelt(const Draft *draft, const char *name) {
        return string_list_has(&draft->misspelt, name) ||
               nearest_of(name, (const char *const *) draft->misspelt.items, draft->misspelt.n);
}

static void check_names(Draft *draft, unsigned service, unsigned edge) {
        ServiceDraft *from = draft->services[service];
        ServiceConfig *config = &draft->model.services[service];
        StringList *names = names_of(config, edge);

        for (unsigned i = 0; i < names->n;) {
                const char *key = edges_of[edge].key, *name = names->items[i];
                Place place = service_draft_place(from, key, name);
                int other = model_find(&draft->model, name);

                if (other >= 0 && (unsigned) other != service) {
                        i++;
                        continue;
                }
                if (other >= 0)
                        report_error(draft->report, place, from->section, key,
                                     "a service cannot name itself; take %s out", quoted(name));
                else if (!is_misspelt(draft, name))
                        report_error(draft->report, place, from->section, key,
                                     "there is no service %s%s; write the NAME "
                                     "of a [Service NAME]",
                                     quoted(name), did_you_mean(suggest_service(draft, config, name)));
                string_list_remove(names, name);
        }
}

static void check_service(Draft *draft, unsigned service) {
        ServiceDraft *from = draft->services[service];
        ServiceConfig *config = &draft->model.services[service];
        Report *report = draft->report;

        if (!config->start.argv)
                report_error(report, from->place, from->section, "ExecStart",
                             "this service has no command; write "
                             "ExecStart=/path/of/a/program");
        if (config->type == SERVICE_ONESHOT && config->restart == RESTART_ALWAYS)
                report_error(report, service_draft_place(from, "Restart", NULL), from->section, "Restart",
                             "'always' would run a Type=oneshot service for ever; write no or on-failure");
        if (config->restart_delay_max < config->restart_delay) {
                bool is_given = from->places[keys_index(keys_find("Service", "RestartMaxSec"))].line > 0;

                if (is_given)
                        report_error(report, service_draft_place(from, "RestartMaxSec", NULL), from->section,
                                     "RestartMaxSec", "this is less than RestartSec=; write at least as much");
                config->restart_delay_max = config->restart_delay;
        }
        if (config->has_bounding && (config->ambient & ~config->bounding) != 0)
                report_error(
                        report, service_draft_place(from, "AmbientCapabilities", NULL), from->section,
                        "AmbientCapabilities", "%s is not in CapabilityBoundingSet=; write it there as well",
                        value_run_capability_name((unsigned) __builtin_ctzll(config->ambient & ~config->bounding)));
        if (config->on_guard_timeout == ON_GUARD_ROLLBACK && config->guards.n == 0)
                report_warning(report, service_draft_place(from, "OnGuardTimeout", NULL), from->section,
                               "OnGuardTimeout", "without a Guard= this has no effect");
        if (config->guards.n > 0 && config->quiesce == 0)
                report_warning(report, service_draft_place(from, "Guard", NULL), from->section, "Guard",
                               "guards are waited for at most QuiesceSec=, which is 0");
}

static void check_probes(Draft *draft) {
        for (unsigned i = 0; i < draft->n_probes; i++) {
                const Reference *probe = &draft->probes[i];

                if (model_find(&draft->model, probe->text) < 0 && !is_misspelt(draft, probe->text))
                        report_error(draft->report, probe->place, "Probe", NULL, "there is no service %s%s",
                                     quoted(probe->text), did_you_mean(suggest_service(draft, NULL, probe->text)));
        }
}

/* Why `from` waits for `to`: the services's draft and key that say so. */
static ServiceDraft *find_edge(Draft *draft, unsigned from, unsigned to, bool is_start, const char **ret_key,
                               const char **ret_name) {
        const ServiceConfig *a = &draft->model.services[from], *b = &draft->model.services[to];
        const ServiceConfig *holder = is_start ? a : b, *named = is_start ? b : a;

        *ret_name = named->name;
        *ret_key = NULL;
        if (string_list_has(&holder->requires, named->name))
                *ret_key = "Requires";
        else if (!is_start && string_list_has(&a->stop_after, b->name))
                *ret_key = "StopAfter", *ret_name = b->name;
        else if (string_list_has(&holder->after, named->name))
                *ret_key = "After";
        if (!*ret_key)
                return NULL;
        return draft->services[strcmp(*ret_key, "StopAfter") == 0 || is_start ? from : to];
}

static void break_edge(Draft *draft, unsigned from, unsigned to, bool is_start) {
        ServiceConfig *a = &draft->model.services[from], *b = &draft->model.services[to];
        ServiceConfig *holder = is_start ? a : b, *named = is_start ? b : a;

        string_list_remove(&holder->requires, named->name);
        string_list_remove(&holder->after, named->name);
        if (!is_start)
                string_list_remove(&a->stop_after, b->name);
}

static void report_cycle(Draft *draft, const OrderProblem *problem) {
        Text path = { .used = 0 }, reasons = { .used = 0 };
        ServiceDraft *first = NULL;
        const char *first_key = NULL;
        Place place = draft->services[problem->path[0]]->place;

        for (unsigned i = 0; i < problem->n_path; i++) {
                unsigned from = problem->path[i], to = problem->path[(i + 1) % problem->n_path];
                const char *key, *name;
                ServiceDraft *holder = find_edge(draft, from, to, problem->is_start, &key, &name);

                text_add(&path, "%s -> ", draft->model.services[from].name);
                if (!holder)
                        continue;
                if (!first) {
                        first = holder;
                        first_key = key;
                        place = service_draft_place(holder, key, name);
                }
                text_add(&reasons, "%s[%s] %s=%s at %s:%u", reasons.used > 0 ? ", " : "", holder->section, key, name,
                         report_file_name(draft->report, service_draft_place(holder, key, name).file),
                         service_draft_place(holder, key, name).line);
        }
        text_add(&path, "%s", draft->model.services[problem->path[0]].name);
        report_error(draft->report, place, first ? first->section : NULL, first_key,
                     "a cycle, each %s after the next: %s (%s); take one of these out",
                     problem->is_start ? "starts" : "stops", path.buf, reasons.buf);
}

/* *ret is NULL when the graph has no order. */
static int check_order(Draft *draft, Order **ret) {
        bool has_cycle = false;
        int r;

        for (unsigned i = 0; i < CYCLES_MAX; i++) {
                cleanup(order_freep) Order *order = NULL;
                OrderProblem problem = { 0 };

                r = order_new(&order, &draft->model, &problem);
                if (r < 0)
                        return r;
                if (r == 0) {
                        *ret = has_cycle ? NULL : take(order);
                        return 0;
                }
                if (r == ORDER_CYCLE) {
                        has_cycle = true;
                        report_cycle(draft, &problem);
                        break_edge(draft, problem.path[0], problem.path[1 % problem.n_path], problem.is_start);
                        free(problem.path);
                }
        }
        *ret = NULL;
        return 0;
}

/* Where a service's part of the longest path ends: `next` begins one of its steps there. */
static usec_t path_boundary(const PlanRow *row, const PlanRow *next) {
        return next->stop_hook == row->end || next->withdraw == row->end ? row->end : row->held;
}

static void describe_path(const Model *model, const PlanRow *rows, const unsigned *path, unsigned n, usec_t total,
                          Text *text) {
        usec_t before = 0;

        for (unsigned i = 0; i < n; i++) {
                usec_t end = i + 1 < n ? path_boundary(&rows[path[i]], &rows[path[i + 1]]) : total;
                char time[DURATION_TEXT_MAX];

                if (i == PATH_SHOWN_MAX && n > PATH_SHOWN_MAX + 1) {
                        text_add(text, " -> … %u more", n - i);
                        break;
                }
                text_add(text, "%s%s %s", i > 0 ? " -> " : "", model->services[path[i]].name,
                         duration_format(time, sizeof(time), end > before ? end - before : 0));
                before = end;
        }
}

static Place manager_place(const Draft *draft, const char *key) {
        return draft->manager_places[keys_index(keys_find("Manager", key))];
}

/* A path that does not fit is no mistake: the budget is cut, and the operator should know beforehand. */
static int check_budget(Draft *draft, const Order *order) {
        const Model *model = &draft->model;
        cleanup(budget_freep) Budget *budget = NULL;
        cleanup(freep) PlanRow *rows = calloc(model->n_services + 1, sizeof(*rows));
        cleanup(freep) unsigned *path = calloc(model->n_services + 1, sizeof(*path));
        cleanup(freep) unsigned char *stages = malloc(model->n_services + 1);
        bool is_outer = model->outer_grace < model->grace;
        char wish[DURATION_TEXT_MAX], limit[DURATION_TEXT_MAX];
        Text text = { .used = 0 };
        unsigned n;
        usec_t total;
        int r;

        if (!rows || !path || !stages)
                return -ENOMEM;
        r = budget_new(&budget, order, model->services);
        if (r < 0)
                return r;
        memset(stages, BUDGET_WHOLE, model->n_services + 1);
        total = budget_longest(budget, stages, path, &n);
        if (total <= usec_min(model->grace, model->outer_grace))
                return 0;
        (void) budget_plan(budget, stages, USEC_INFINITY, rows);
        describe_path(model, rows, path, n, total, &text);
        report_warning(draft->report, manager_place(draft, is_outer ? "OuterGracePeriodSec" : "GracePeriodSec"),
                       "Manager", is_outer ? "OuterGracePeriodSec" : "GracePeriodSec",
                       "the longest path of the drain wishes for %s and gets %s, so its phases will be cut: %s",
                       duration_format(wish, sizeof(wish), total),
                       duration_format(limit, sizeof(limit), usec_min(model->grace, model->outer_grace)), text.buf);
        return 0;
}

static void check_manager(Draft *draft) {
        const Model *model = &draft->model;

        if (model->outer_grace < model->grace)
                report_warning(draft->report, manager_place(draft, "OuterGracePeriodSec"), "Manager",
                               "OuterGracePeriodSec",
                               "this is less than GracePeriodSec=, so it is the budget of a drain");
        if (model->kill_reserve >= model->grace)
                report_warning(draft->report, manager_place(draft, "KillReserveSec"), "Manager", "KillReserveSec",
                               "this leaves nothing of GracePeriodSec= for a stop in good order");
}

int check_rules(Draft *draft) {
        cleanup(order_freep) Order *order = NULL;
        int r;

        check_manager(draft);
        for (unsigned i = 0; i < draft->model.n_services; i++) {
                for (unsigned edge = 0; edge < n_elements(edges_of); edge++)
                        check_names(draft, i, edge);
                if (!draft->services[i]->is_faulty)
                        check_service(draft, i);
        }
        check_probes(draft);
        r = check_order(draft, &order);
        if (r < 0)
                return r;
        if (draft->model.n_services == 0 && report_n_errors(draft->report) == 0)
                report_warning(draft->report, (Place){ 0 }, NULL, NULL, "there is no [Service NAME]: nothing will run");
        return order && report_n_errors(draft->report) == 0 && order->n > 0 ? check_budget(draft, order)
                                                                            : report_status(draft->report);
}

static bool is_program(const char *path) {
        struct stat status;

        return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* The PATH that the service will have, or what execvp(3) falls back to. */
static bool is_in_path(const ServiceConfig *config, const char *name) {
        const char *path = getenv("PATH");

        for (unsigned i = 0; i < config->environment.n; i++)
                if (strncmp(config->environment.items[i], "PATH=", 5) == 0)
                        path = config->environment.items[i] + 5;
        if (!path)
                path = "/bin:/usr/bin";
        while (*path != '\0') {
                size_t n = strcspn(path, ":");
                char file[4096];

                if (n > 0 && (size_t) snprintf(file, sizeof(file), "%.*s/%s", (int) n, path, name) < sizeof(file) &&
                    is_program(file))
                        return true;
                path += n + (path[n] == ':');
        }
        return false;
}

static void check_command(Draft *draft, unsigned service, const char *key, const Command *command) {
        const ServiceDraft *from = draft->services[service];
        const char *path = command->argv ? command->argv[0] : NULL;

        if (!path)
                return;
        if (*path == '/' ? !is_program(path) : !is_in_path(&draft->model.services[service], path))
                report_warning(draft->report, service_draft_place(from, key, NULL), from->section, key,
                               "%s is %s now; its start would fail", quoted(path),
                               *path == '/' ? "no program that can be run" : "not found in PATH");
}

int check_commands(Draft *draft) {
        for (unsigned i = 0; i < draft->model.n_services; i++) {
                const ServiceConfig *config = &draft->model.services[i];
                const struct {
                        const char *key;
                        const CommandList *list;
                } lists[] = {
                        { "ExecStartPre", &config->start_pre },
                        { "ExecReload", &config->reload },
                        { "ExecStop", &config->stop },
                        { "ExecStopPost", &config->stop_post },
                };
                struct stat status;

                check_command(draft, i, "ExecStart", &config->start);
                for (size_t k = 0; k < n_elements(lists); k++)
                        for (unsigned c = 0; c < lists[k].list->n; c++)
                                check_command(draft, i, lists[k].key, &lists[k].list->items[c]);
                if (config->working_directory && !config->working_directory_may_fail &&
                    (stat(config->working_directory, &status) < 0 || !S_ISDIR(status.st_mode)))
                        report_warning(draft->report, service_draft_place(draft->services[i], "WorkingDirectory", NULL),
                                       draft->services[i]->section, "WorkingDirectory",
                                       "%s is no directory now; its start would fail",
                                       quoted(config->working_directory));
        }
        return report_status(draft->report);
}
