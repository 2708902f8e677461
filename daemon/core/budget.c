#include "budget.h"

#include <string.h>

/* The graph has two nodes a service, its first and its second step:
 *
 *      first(i) -> second(i)            a service gets no signal before it has quiesced
 *      first(i) -> first(j)             j withdraws when those before it have quiesced
 *      second(i) -> second(j)           j gets its signal when those before it have stopped
 *      second(i) -> first(late)         late ones are told when all others have stopped
 *
 * tail[node] is the longest way from the beginning of the node to the end of everything. */

#define NODE_NONE UINT32_MAX
/* More than a hundred years: sums of as many services as there can be do not overflow. */
#define WISH_MAX (UINT64_C(1) << 52)
#define CUTS_MAX 64

typedef struct Scale {
        uint32_t withdraw, quiesce, ladder, kill; /* of BUDGET_SCALE_ONE */
} Scale;

typedef struct Sums {
        usec_t withdraw, quiesce, ladder, kill;
} Sums;

struct Budget {
        const Order *order; /* borrowed */
        Wish *wishes;
        unsigned *place;    /* in order->stop_order */
        usec_t *tail[2];    /* [step][service] at the scale of the last look */
        uint32_t *next[2];  /* node that the longest way goes on with */
        usec_t *known[2];   /* tails at full wishes, from the last time they were made for all */
        uint32_t *reached;  /* stamp of the last look that reached the service */
        unsigned *cone;     /* services reached, in stop order */
        unsigned n_cone;
        uint32_t stamp;
        bool is_known;
};

static const Scale scale_one = { BUDGET_SCALE_ONE, BUDGET_SCALE_ONE, BUDGET_SCALE_ONE, BUDGET_SCALE_ONE };

static usec_t scaled(usec_t duration, uint32_t scale) {
        return scale == BUDGET_SCALE_ONE ? duration : (usec_t) (((unsigned __int128) duration * scale) / BUDGET_SCALE_ONE);
}

static uint32_t ratio(usec_t part, usec_t whole) {
        if (whole == 0 || part >= whole)
                return BUDGET_SCALE_ONE;
        return (uint32_t) (((unsigned __int128) part * BUDGET_SCALE_ONE) / whole);
}

Wish budget_wish(const ServiceConfig *service) {
        Wish wish = {
                .withdraw = usec_min(service->withdraw, WISH_MAX),
                .quiesce = usec_min(service->quiesce, WISH_MAX),
                .kill = usec_min(service->kill_reserve, WISH_MAX),
        };

        for (unsigned i = 0; i < service->n_rungs; i++)
                wish.ladder = usec_min(usec_add(wish.ladder, service->rungs[i].time), WISH_MAX);
        if (service->stop.n > 0)
                wish.stop_hook = wish.ladder; /* its commands have together as long as the ladder */
        return wish;
}

usec_t budget_wish_total(const ServiceConfig *service) {
        Wish wish = budget_wish(service);

        return wish.withdraw + wish.quiesce + wish.stop_hook + wish.ladder + wish.kill;
}

static usec_t step_length(const Wish *wish, unsigned step, const Scale *scale) {
        if (step == 0)
                return scaled(wish->withdraw, scale->withdraw) + scaled(wish->quiesce, scale->quiesce);
        return scaled(wish->stop_hook, scale->ladder) + scaled(wish->ladder, scale->ladder) + scaled(wish->kill, scale->kill);
}

int budget_new(Budget **ret, const Order *order, const ServiceConfig *services) {
        cleanup(budget_freep) Budget *budget = calloc(1, sizeof(*budget));
        size_t n = (size_t) order->n + 1;

        if (!budget)
                return -ENOMEM;
        budget->order = order;
        budget->wishes = calloc(n, sizeof(*budget->wishes));
        budget->place = calloc(n, sizeof(*budget->place));
        budget->reached = calloc(n, sizeof(*budget->reached));
        budget->cone = calloc(n, sizeof(*budget->cone));
        for (unsigned step = 0; step < 2; step++) {
                budget->tail[step] = calloc(n, sizeof(usec_t));
                budget->known[step] = calloc(n, sizeof(usec_t));
                budget->next[step] = calloc(n, sizeof(uint32_t));
                if (!budget->tail[step] || !budget->known[step] || !budget->next[step])
                        return -ENOMEM;
        }
        if (!budget->wishes || !budget->place || !budget->reached || !budget->cone)
                return -ENOMEM;
        for (unsigned i = 0; i < order->n; i++) {
                budget->wishes[i] = budget_wish(&services[i]);
                budget->place[order->stop_order[i]] = i;
        }
        *ret = take(budget);
        return 0;
}

Budget *budget_free(Budget *budget) {
        if (!budget)
                return NULL;
        for (unsigned step = 0; step < 2; step++) {
                free(budget->tail[step]);
                free(budget->known[step]);
                free(budget->next[step]);
        }
        free(budget->wishes);
        free(budget->place);
        free(budget->reached);
        free(budget->cone);
        free(budget);
        return NULL;
}

void budget_forget(Budget *budget) {
        budget->is_known = false;
}

static bool is_to_come(const unsigned char *stages, unsigned service) {
        return stages[service] >= BUDGET_TO_SIGNAL;
}

/* Gathers the service and all that come after it, in stop order. service == order->n: everything. */
static void gather_cone(Budget *budget, unsigned service, const unsigned char *stages) {
        const Order *order = budget->order;
        bool takes_all = service == order->n, has_early = false;

        budget->stamp++;
        budget->n_cone = 0;
        if (!takes_all)
                budget->reached[service] = budget->stamp;
        for (unsigned at = takes_all ? 0 : budget->place[service]; at < order->n; at++) {
                unsigned i = order->stop_order[at];
                bool is_reached = takes_all || budget->reached[i] == budget->stamp || (order->is_late[i] && has_early);

                if (!is_reached || !is_to_come(stages, i))
                        continue;
                budget->reached[i] = budget->stamp;
                budget->cone[budget->n_cone++] = i;
                has_early |= !order->is_late[i];
                edges_foreach(held, &order->stop_holds, i)
                        budget->reached[held] = budget->stamp;
        }
}

static void take_longer(usec_t length, uint32_t node, usec_t *longest, uint32_t *next) {
        if (*next == NODE_NONE || length > *longest) {
                *longest = length;
                *next = node;
        }
}

/* Fills tail and next for everything in the cone. */
static void measure(Budget *budget, const unsigned char *stages, const Scale *scale) {
        const Order *order = budget->order;
        usec_t late_longest = 0;
        uint32_t late_next = NODE_NONE;

        for (unsigned at = budget->n_cone; at-- > 0;) {
                unsigned i = budget->cone[at];
                usec_t longest[2] = { 0, 0 };
                uint32_t next[2] = { NODE_NONE, NODE_NONE };

                edges_foreach(held, &order->stop_holds, i) {
                        if (!is_to_come(stages, held))
                                continue;
                        take_longer(budget->tail[1][held], held * 2 + 1, &longest[1], &next[1]);
                        if (stages[held] == BUDGET_WHOLE)
                                take_longer(budget->tail[0][held], held * 2, &longest[0], &next[0]);
                }
                if (!order->is_late[i] && late_next != NODE_NONE)
                        take_longer(late_longest, late_next, &longest[1], &next[1]);
                budget->tail[1][i] = longest[1] + step_length(&budget->wishes[i], 1, scale);
                budget->next[1][i] = next[1];
                take_longer(budget->tail[1][i], i * 2 + 1, &longest[0], &next[0]);
                budget->tail[0][i] = longest[0] + step_length(&budget->wishes[i], 0, scale);
                budget->next[0][i] = next[0];
                if (order->is_late[i]) {
                        unsigned step = stages[i] == BUDGET_WHOLE ? 0 : 1;

                        take_longer(budget->tail[step][i], i * 2 + step, &late_longest, &late_next);
                }
        }
}

static Sums sum_path(const Budget *budget, uint32_t node) {
        Sums sums = { 0 };

        for (; node != NODE_NONE; node = budget->next[node % 2][node / 2]) {
                const Wish *wish = &budget->wishes[node / 2];

                if (node % 2 == 0) {
                        sums.withdraw += wish->withdraw;
                        sums.quiesce += wish->quiesce;
                } else {
                        sums.ladder += wish->stop_hook + wish->ladder;
                        sums.kill += wish->kill;
                }
        }
        return sums;
}

/* The cut that makes one path fit. Cuts come in one order, so of two cuts one is the deeper in everything. */
static Scale cut_path(const Sums *sums, usec_t available) {
        usec_t total = sums->withdraw + sums->quiesce + sums->ladder + sums->kill;
        usec_t quarter = sums->ladder / 4;
        usec_t excess = total > available ? total - available : 0;
        Scale scale = scale_one;

        if (excess == 0)
                return scale;
        if (excess <= sums->withdraw) {
                scale.withdraw = ratio(sums->withdraw - excess, sums->withdraw);
                return scale;
        }
        scale.withdraw = 0;
        excess -= sums->withdraw;
        if (excess <= sums->quiesce) {
                scale.quiesce = ratio(sums->quiesce - excess, sums->quiesce);
                return scale;
        }
        scale.quiesce = 0;
        excess -= sums->quiesce;
        if (excess <= sums->ladder - quarter) {
                scale.ladder = ratio(sums->ladder - excess, sums->ladder);
                return scale;
        }
        scale.kill = ratio(available, quarter + sums->kill);
        scale.ladder = scale.kill / 4;
        return scale;
}

/* Cuts until the longest path from the node fits; the cone is gathered. Each round cuts deeper than the one before. */
static Scale fit(Budget *budget, uint32_t node, const unsigned char *stages, usec_t available) {
        Scale scale = scale_one;

        for (unsigned i = 0; i < CUTS_MAX; i++) {
                Sums sums;

                measure(budget, stages, &scale);
                if (budget->tail[node % 2][node / 2] <= available)
                        break;
                sums = sum_path(budget, node);
                scale = cut_path(&sums, available);
        }
        return scale;
}

static void learn_all(Budget *budget, const unsigned char *stages) {
        gather_cone(budget, budget->order->n, stages);
        measure(budget, stages, &scale_one);
        for (unsigned i = 0; i < budget->order->n; i++) /* of those that are gone nothing is known, should they come again */
                budget->known[0][i] = budget->known[1][i] = USEC_INFINITY;
        for (unsigned at = 0; at < budget->n_cone; at++) {
                unsigned i = budget->cone[at];

                budget->known[0][i] = budget->tail[0][i];
                budget->known[1][i] = budget->tail[1][i];
        }
        budget->is_known = true;
}

static Grant make_grant(const Budget *budget, unsigned service, const Scale *scale, usec_t tail_of_second) {
        const Wish *wish = &budget->wishes[service];

        return (Grant) {
                .withdraw = scaled(wish->withdraw, scale->withdraw),
                .quiesce = scaled(wish->quiesce, scale->quiesce),
                .stop_hook = scaled(wish->stop_hook, scale->ladder),
                .ladder = scaled(wish->ladder, scale->ladder),
                .kill = scaled(wish->kill, scale->kill),
                .ladder_scale = scale->ladder,
                .rest = tail_of_second - step_length(wish, 1, scale),
                .is_cut = memcmp(scale, &scale_one, sizeof(*scale)) != 0,
        };
}

static Grant grant_step(Budget *budget, unsigned service, unsigned step, const unsigned char *stages, usec_t available) {
        Scale scale;

        if (!budget->is_known)
                learn_all(budget, stages);
        if (budget->known[step][service] <= available)
                return make_grant(budget, service, &scale_one, budget->known[1][service]);
        gather_cone(budget, service, stages);
        scale = fit(budget, service * 2 + step, stages, available);
        return make_grant(budget, service, &scale, budget->tail[1][service]);
}

Grant budget_grant(Budget *budget, unsigned service, const unsigned char *stages, usec_t available) {
        return grant_step(budget, service, stages[service] == BUDGET_WHOLE ? 0 : 1, stages, available);
}

static usec_t worst_begin(const Budget *budget, unsigned service, const PlanRow *rows, bool is_second, usec_t early_end) {
        const Order *order = budget->order;
        usec_t begin = order->is_late[service] ? early_end : 0;

        edges_foreach(before, &order->stop_waits, service)
                if (rows[before].is_planned) {
                        usec_t end = is_second ? rows[before].end : rows[before].held;

                        begin = end > begin ? end : begin;
                }
        return begin;
}

usec_t budget_plan(Budget *budget, const unsigned char *stages, usec_t available, PlanRow *rows) {
        const Order *order = budget->order;
        usec_t last = 0, early_end = 0;

        memset(rows, 0, order->n * sizeof(*rows));
        budget_forget(budget);
        for (unsigned at = 0; at < order->n; at++) {
                unsigned i = order->stop_order[at];
                PlanRow *row = &rows[i];
                Grant first = { 0 }, second;

                if (!is_to_come(stages, i))
                        continue;
                row->is_planned = true;
                row->withdraw = worst_begin(budget, i, rows, false, early_end);
                if (stages[i] == BUDGET_WHOLE)
                        first = grant_step(budget, i, 0, stages, usec_left(available, row->withdraw));
                row->quiesce = row->withdraw + first.withdraw;
                row->held = row->quiesce + first.quiesce;
                row->stop_hook = worst_begin(budget, i, rows, true, early_end);
                if (row->stop_hook < row->held)
                        row->stop_hook = row->held;
                second = grant_step(budget, i, 1, stages, usec_left(available, row->stop_hook));
                row->terminate = row->stop_hook + second.stop_hook;
                row->kill = row->terminate + second.ladder;
                row->end = row->kill + second.kill;
                row->grant = second;
                row->grant.withdraw = first.withdraw;
                row->grant.quiesce = first.quiesce;
                row->grant.is_cut |= first.is_cut;
                last = row->end > last ? row->end : last;
                if (!order->is_late[i] && row->end > early_end)
                        early_end = row->end;
        }
        return last;
}

usec_t budget_longest(Budget *budget, const unsigned char *stages, unsigned *path, unsigned *ret_n) {
        usec_t longest = 0;
        uint32_t node = NODE_NONE;
        unsigned n = 0, last = UINT32_MAX;

        learn_all(budget, stages);
        for (unsigned at = 0; at < budget->n_cone; at++) {
                unsigned i = budget->cone[at], step = stages[i] == BUDGET_WHOLE ? 0 : 1;

                take_longer(budget->tail[step][i], i * 2 + step, &longest, &node);
        }
        for (; node != NODE_NONE; node = budget->next[node % 2][node / 2]) {
                if (path && node / 2 != last)
                        path[n] = node / 2;
                n += node / 2 != last;
                last = node / 2;
        }
        if (ret_n)
                *ret_n = n;
        return longest;
}
