#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "api-json.h"
#include "api-methods.h"

/* What a drain would take in the worst case, and what is to be said about it. */

#define ENDLESS   (UINT64_C(36525) * 24 * 3600 * USEC_PER_SEC) /* more than any wish */
#define NAMES_MAX 8u

typedef struct Plan {
        Manager *manager;
        PlanRow *rows; /* owned */
        usec_t budget, outer, end, wish;
} Plan;

must_check static int warn(json_t *warnings, const char *format, ...) printf_like(2, 3);

static int warn(json_t *warnings, const char *format, ...) {
        char text[1024];
        va_list list;

        va_start(list, format);
        (void) vsnprintf(text, sizeof(text), format, list);
        va_end(list);
        return json_array_append_new(warnings, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* "app, db and 3 more". Returns how many there are. */
static unsigned format_cut(char *buf, size_t size, const Plan *plan) {
        const Model *model = manager_model(plan->manager);
        unsigned n = 0;

        buf[0] = '\0';
        for (unsigned i = 0; i < model->n_services; i++) {
                size_t length = strlen(buf);

                if (!plan->rows[i].is_planned || !plan->rows[i].grant.is_cut || n++ >= NAMES_MAX)
                        continue;
                (void) snprintf(buf + length, size - length, "%s%s", n > 1 ? ", " : "", model->services[i].name);
        }
        if (n > NAMES_MAX)
                (void) snprintf(buf + strlen(buf), size - strlen(buf), " and %u more", n - NAMES_MAX);
        return n;
}

must_check static int plan_warnings(const Plan *plan, json_t *warnings) {
        char wish[DURATION_TEXT_MAX], budget[DURATION_TEXT_MAX], outer[DURATION_TEXT_MAX], end[DURATION_TEXT_MAX];
        char names[NAMES_MAX * (SERVICE_NAME_MAX + 2) + 32];
        unsigned n_cut = format_cut(names, sizeof(names), plan);
        int r = 0;

        (void) duration_format(wish, sizeof(wish), duration_round(plan->wish));
        (void) duration_format(budget, sizeof(budget), duration_round(plan->budget));
        (void) duration_format(outer, sizeof(outer), duration_round(plan->outer));
        (void) duration_format(end, sizeof(end), duration_round(plan->end));
        if (n_cut > 0)
                r = warn(warnings, "The longest chain wishes for %s and the budget is %s, so %u service%s not get all %s for: %s.",
                         wish, budget, n_cut, n_cut == 1 ? " does" : "s do",
                         n_cut == 1 ? "it wishes" : "they wish", names);
        if (r == 0 && plan->end > plan->outer)
                r = warn(warnings, "The worst case ends after %s, but from outside only %s are allowed.", end, outer);
        else if (r == 0 && plan->budget > plan->outer)
                r = warn(warnings, "The budget of %s is above the %s that are allowed from outside.", budget, outer);
        if (r == 0 && plan->end > plan->budget)
                r = warn(warnings, "The worst case ends after %s, later than the budget of %s.", end, budget);
        return r;
}

must_check static int plan_services(const Plan *plan, json_t *services) {
        int r = 0;

        for (unsigned i = 0; r == 0 && i < manager_model(plan->manager)->n_services; i++) {
                json_t *item = NULL;

                if (!plan->rows[i].is_planned)
                        continue;
                r = api_json_plan_service(plan->manager, i, plan->rows, &item);
                r = api_json_append(services, r, item);
        }
        return r;
}

int api_plan(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { usec_t budget; } Arguments;
        static const Field fields[] = {
                { "budgetUsec", field_usec, offsetof(Arguments, budget), 0 },
                { NULL, NULL, 0, 0 },
        };
        Manager *manager = ((ApiContext *) userdata)->manager;
        const Model *model = manager_model(manager);
        Arguments arguments = { .budget = usec_min(model->grace, model->outer_grace) };
        cleanup(freep) PlanRow *rows = calloc((size_t) model->n_services + 1, sizeof(PlanRow));
        Plan plan = { .manager = manager, .rows = rows, .outer = model->outer_grace };
        json_t *services, *warnings;
        int r;

        if (!rows)
                return -ENOMEM;
        if (api_methods_decode(call, parameters, fields, &arguments) != 0)
                return 0;
        plan.budget = usec_min(arguments.budget, ENDLESS);
        plan.wish = machine_plan(manager_machine(manager), ENDLESS, rows);
        memset(rows, 0, model->n_services * sizeof(PlanRow));
        plan.end = machine_plan(manager_machine(manager), plan.budget, rows);
        services = json_array();
        warnings = json_array();
        r = services && warnings ? plan_services(&plan, services) : -ENOMEM;
        if (r == 0)
                r = plan_warnings(&plan, warnings);
        if (r < 0) {
                json_decref(services);
                json_decref(warnings);
                return r;
        }
        return call_reply_pack(call, false, "{s:I, s:o*, s:I, s:I, s:o, s:o}", "budgetUsec", (json_int_t) plan.budget,
                               "outerUsec", plan.outer == USEC_INFINITY ? NULL : json_integer((json_int_t) plan.outer),
                               "endUsec", (json_int_t) plan.end, "wishUsec", (json_int_t) plan.wish, "services", services,
                               "warnings", warnings);
}
