#include "shares.h"

#include <string.h>

typedef struct Parts {
        double withdraw, quiesce, ladder, kill;
} Parts;

typedef struct Search {
        const Graph *graph;
        const ShareStage *stages;
        Parts scale;
        double tail[2][GRAPH_SERVICES_MAX];
        bool is_known[2][GRAPH_SERVICES_MAX];
} Search;

/* 0: nothing is cut; to 1 withdraw, to 2 quiesce, to 3 ladders down to a quarter, to 4 ladders and kill reserve. */
static Parts cut_to(double depth) {
        Parts parts = { 1, 1, 1, 1 };

        if (depth < 1) {
                parts.withdraw = 1 - depth;
                return parts;
        }
        parts.withdraw = 0;
        if (depth < 2) {
                parts.quiesce = 2 - depth;
                return parts;
        }
        parts.quiesce = 0;
        if (depth < 3) {
                parts.ladder = 1 - 0.75 * (depth - 2);
                return parts;
        }
        parts.kill = 4 - depth;
        parts.ladder = 0.25 * parts.kill;
        return parts;
}

static double ladder_wish(const ServiceConfig *service) {
        usec_t sum = 0;

        for (unsigned i = 0; i < service->n_rungs; i++)
                sum += service->rungs[i].time;
        return (double) sum;
}

static double own_length(const Search *search, unsigned service, unsigned step) {
        const ServiceConfig *config = &search->graph->services[service];
        const Parts *scale = &search->scale;
        double ladder = ladder_wish(config);

        if (step == 0)
                return (double) config->withdraw * scale->withdraw + (double) config->quiesce * scale->quiesce;
        return ladder * (config->stop.n > 0 ? 2 : 1) * scale->ladder + (double) config->kill_reserve * scale->kill;
}

/* NOLINTNEXTLINE(misc-no-recursion): the plainest way is the point. */
static double tail(Search *search, unsigned service, unsigned step) {
        const Graph *graph = search->graph;
        double longest = 0;

        if (search->is_known[step][service])
                return search->tail[step][service];
        if (step == 0)
                longest = tail(search, service, 1);
        for (unsigned other = 0; other < graph->n; other++) {
                bool is_barrier = !graph->is_late[service] && graph->is_late[other];
                unsigned to;
                double length;

                if (search->stages[other] == SHARE_GONE || !graph->goes_before[service][other])
                        continue;
                if (is_barrier && step == 0)
                        continue;
                to = is_barrier ? (search->stages[other] == SHARE_BOTH ? 0 : 1) : step;
                if (to == 0 && search->stages[other] != SHARE_BOTH)
                        continue;
                length = tail(search, other, to);
                longest = length > longest ? length : longest;
        }
        search->is_known[step][service] = true;
        return search->tail[step][service] = longest + own_length(search, service, step);
}

static double tail_at(Search *search, unsigned service, unsigned step, double depth) {
        search->scale = cut_to(depth);
        memset(search->is_known, 0, sizeof(search->is_known));
        return tail(search, service, step);
}

Share share_of(const Graph *graph, const ShareStage *stages, unsigned service, usec_t available, bool is_exact) {
        const ServiceConfig *config = &graph->services[service];
        Search search = { .graph = graph, .stages = stages };
        unsigned step = stages[service] == SHARE_BOTH ? 0 : 1;
        double longest = tail_at(&search, service, step, 0), low = 0, high = 4, ladder = ladder_wish(config);
        bool is_cut = longest > (double) available;
        Parts parts;
        double rest;

        for (unsigned i = 0; is_cut && is_exact && i < 44; i++) {
                double middle = (low + high) / 2;

                if (tail_at(&search, service, step, middle) > (double) available)
                        low = middle;
                else
                        high = middle;
        }
        parts = cut_to(is_cut ? high : 0);
        rest = tail_at(&search, service, 1, is_cut ? high : 0) - own_length(&search, service, 1);
        return (Share){
                .withdraw = (usec_t) ((double) config->withdraw * parts.withdraw),
                .quiesce = (usec_t) ((double) config->quiesce * parts.quiesce),
                .stop_hook = config->stop.n > 0 ? (usec_t) (ladder * parts.ladder) : 0,
                .ladder = (usec_t) (ladder * parts.ladder),
                .kill = (usec_t) ((double) config->kill_reserve * parts.kill),
                .ladder_scale = parts.ladder,
                .is_cut = is_cut,
                .rest = (usec_t) rest,
                .longest = (usec_t) longest,
        };
}
