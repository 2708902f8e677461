#include "order.h"

#include <stdint.h>
#include <string.h>

/* Edges are gathered as pairs in one growing list, then sorted into rows by counting. */

typedef struct Pair {
        unsigned from, to;
} Pair;

typedef struct Pairs {
        Pair *items; /* owned */
        size_t n, allocated;
} Pairs;

static void pairs_done(Pairs *pairs) {
        free(pairs->items);
}

must_check static int pairs_add(Pairs *pairs, unsigned from, unsigned to) {
        if (pairs->n == pairs->allocated) {
                size_t allocated = pairs->allocated ? pairs->allocated * 2 : 64;
                Pair *items = reallocarray(pairs->items, allocated, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                pairs->items = items;
                pairs->allocated = allocated;
        }
        pairs->items[pairs->n++] = (Pair) { from, to };
        return 0;
}

static int pair_compare(const void *a, const void *b) {
        const Pair *x = a, *y = b;

        if (x->from != y->from)
                return x->from < y->from ? -1 : 1;
        if (x->to != y->to)
                return x->to < y->to ? -1 : 1;
        return 0;
}

static void pairs_sort_unique(Pairs *pairs) {
        size_t kept = 0;

        if (pairs->n == 0)
                return;
        qsort(pairs->items, pairs->n, sizeof(*pairs->items), pair_compare);
        for (size_t i = 1; i < pairs->n; i++)
                if (pair_compare(&pairs->items[kept], &pairs->items[i]) != 0)
                        pairs->items[++kept] = pairs->items[i];
        pairs->n = kept + 1;
}

static bool pairs_have(const Pairs *sorted, unsigned from, unsigned to) {
        Pair key = { from, to };

        return sorted->n > 0 && bsearch(&key, sorted->items, sorted->n, sizeof(key), pair_compare);
}

static void edges_done(Edges *edges) {
        free(edges->first);
        free(edges->at);
}

/* is_inverse: rows by `to`, neighbours are `from`. */
must_check static int edges_fill(Edges *edges, const Pairs *pairs, unsigned n, bool is_inverse) {
        edges->first = calloc((size_t) n + 2, sizeof(*edges->first));
        edges->at = calloc(pairs->n + 1, sizeof(*edges->at));
        if (!edges->first || !edges->at)
                return -ENOMEM;
        for (size_t i = 0; i < pairs->n; i++)
                edges->first[(is_inverse ? pairs->items[i].to : pairs->items[i].from) + 2]++;
        for (unsigned i = 1; i <= n; i++)
                edges->first[i + 1] += edges->first[i];
        /* first[row + 1] is where the row's next neighbour goes; when all are placed it is where the row ends. */
        for (size_t i = 0; i < pairs->n; i++) {
                const Pair *pair = &pairs->items[i];

                edges->at[edges->first[(is_inverse ? pair->to : pair->from) + 1]++] = is_inverse ? pair->from : pair->to;
        }
        return 0;
}

must_check static int add_names(Pairs *pairs, const Model *model, unsigned service, const StringList *names,
                                OrderProblem *reterr) {
        for (unsigned i = 0; i < names->n; i++) {
                int other = model_find(model, names->items[i]);
                int r;

                if (other < 0) {
                        *reterr = (OrderProblem) { .service = service, .name = names->items[i] };
                        return ORDER_UNKNOWN;
                }
                r = pairs_add(pairs, service, (unsigned) other);
                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct Gathered {
        Pairs requires, wants, after, stop_after, start, pulls, stop;
} Gathered;

static void gathered_done(Gathered *gathered) {
        pairs_done(&gathered->requires);
        pairs_done(&gathered->wants);
        pairs_done(&gathered->after);
        pairs_done(&gathered->stop_after);
        pairs_done(&gathered->start);
        pairs_done(&gathered->pulls);
        pairs_done(&gathered->stop);
}

must_check static int gather_names(Gathered *gathered, const Model *model, OrderProblem *reterr) {
        for (unsigned i = 0; i < model->n_services; i++) {
                const ServiceConfig *service = &model->services[i];
                int r;

                r = add_names(&gathered->requires, model, i, &service->requires, reterr);
                if (r == 0)
                        r = add_names(&gathered->wants, model, i, &service->wants, reterr);
                if (r == 0)
                        r = add_names(&gathered->after, model, i, &service->after, reterr);
                if (r == 0)
                        r = add_names(&gathered->stop_after, model, i, &service->stop_after, reterr);
                if (r != 0)
                        return r;
        }
        pairs_sort_unique(&gathered->requires);
        pairs_sort_unique(&gathered->after);
        pairs_sort_unique(&gathered->stop_after);
        return 0;
}

must_check static int pairs_append(Pairs *to, const Pairs *from) {
        for (size_t i = 0; i < from->n; i++) {
                int r = pairs_add(to, from->items[i].from, from->items[i].to);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* `stop` holds (who waits, whom for): the inverse of requires and after, and stop_after as it is. */
must_check static int derive(Gathered *gathered) {
        int r;

        r = pairs_append(&gathered->start, &gathered->requires);
        if (r == 0)
                r = pairs_append(&gathered->start, &gathered->after);
        if (r == 0)
                r = pairs_append(&gathered->pulls, &gathered->requires);
        if (r == 0)
                r = pairs_append(&gathered->pulls, &gathered->wants);
        if (r == 0)
                r = pairs_append(&gathered->stop, &gathered->stop_after);
        for (size_t i = 0; r == 0 && i < gathered->requires.n; i++)
                r = pairs_add(&gathered->stop, gathered->requires.items[i].to, gathered->requires.items[i].from);
        for (size_t i = 0; r == 0 && i < gathered->after.n; i++) {
                const Pair *pair = &gathered->after.items[i];

                if (!pairs_have(&gathered->stop_after, pair->from, pair->to))
                        r = pairs_add(&gathered->stop, pair->to, pair->from);
        }
        if (r < 0)
                return r;
        pairs_sort_unique(&gathered->start);
        pairs_sort_unique(&gathered->pulls);
        pairs_sort_unique(&gathered->stop);
        return 0;
}

/* Late is what is supporting, and all that something late needs in order to run. */
must_check static int mark_late(Order *order, const Model *model) {
        cleanup(freep) unsigned *queue = calloc((size_t) order->n + 1, sizeof(*queue));
        unsigned n_queued = 0;

        order->is_late = calloc((size_t) order->n + 1, sizeof(*order->is_late));
        if (!queue || !order->is_late)
                return -ENOMEM;
        for (unsigned i = 0; i < order->n; i++)
                if (model->services[i].is_supporting) {
                        order->is_late[i] = true;
                        queue[n_queued++] = i;
                }
        for (unsigned i = 0; i < n_queued; i++)
                edges_foreach(needed, &order->start_needs, queue[i])
                        if (!order->is_late[needed]) {
                                order->is_late[needed] = true;
                                queue[n_queued++] = needed;
                        }
        order->n_late = n_queued;
        return 0;
}

/* A late service that stop order puts before one that is not late would wait for itself: StopAfter= of a service that is
 * not supporting, naming one that is. The barrier gives way there, so that the order stays free of cycles. */
static void drop_barrier_conflicts(Order *order) {
        for (bool is_changed = true; is_changed;) {
                is_changed = false;
                for (unsigned i = 0; i < order->n; i++)
                        if (!order->is_late[i])
                                edges_foreach(before, &order->stop_waits, i)
                                        if (order->is_late[before]) {
                                                order->is_late[before] = false;
                                                order->n_late--;
                                                is_changed = true;
                                        }
        }
}

/* From a service on a cycle, or leading to one, walk on until a service comes twice. */
must_check static int find_cycle(const Edges *waits, const unsigned *n_open, unsigned n, bool is_start,
                                 OrderProblem *reterr) {
        cleanup(freep) unsigned *seen_at = calloc((size_t) n + 1, sizeof(*seen_at));
        cleanup(freep) unsigned *walk = calloc((size_t) n + 1, sizeof(*walk));
        unsigned at = 0, n_walk = 0;

        if (!seen_at || !walk)
                return -ENOMEM;
        while (at < n && n_open[at] == 0)
                at++;
        while (seen_at[at] == 0) {
                unsigned next = at;

                walk[n_walk++] = at;
                seen_at[at] = n_walk;
                edges_foreach(other, waits, at)
                        if (n_open[other] > 0)
                                next = other;
                at = next;
        }
        n_walk -= seen_at[at] - 1;
        memmove(walk, walk + seen_at[at] - 1, n_walk * sizeof(*walk));
        *reterr = (OrderProblem) { .path = take(walk), .n_path = n_walk, .is_start = is_start };
        return ORDER_CYCLE;
}

/* ret_sorted: those that wait for nobody first, late ones after all others; NULL: only look for cycles. */
must_check static int sort(const Edges *waits, const Edges *holds, unsigned n, const bool *is_late, bool is_start,
                           unsigned *ret_sorted, OrderProblem *reterr) {
        cleanup(freep) unsigned *n_open = calloc((size_t) n + 1, sizeof(*n_open));
        cleanup(freep) unsigned *queue = calloc((size_t) n + 1, sizeof(*queue));
        unsigned n_queued = 0, n_kept = 0;

        if (!n_open || !queue)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) {
                n_open[i] = waits->first[i + 1] - waits->first[i];
                if (n_open[i] == 0)
                        queue[n_queued++] = i;
        }
        for (unsigned i = 0; i < n_queued; i++)
                edges_foreach(held, holds, queue[i])
                        if (--n_open[held] == 0)
                                queue[n_queued++] = held;
        if (n_queued < n)
                return find_cycle(waits, n_open, n, is_start, reterr);
        for (int late = 0; ret_sorted && late <= 1; late++)
                for (unsigned i = 0; i < n; i++)
                        if (is_late[queue[i]] == (late == 1))
                                ret_sorted[n_kept++] = queue[i];
        return 0;
}

must_check static int fill_all(Order *order, const Gathered *gathered) {
        const struct {
                Edges *edges;
                const Pairs *pairs;
                bool is_inverse;
        } all[] = {
                { &order->start_needs, &gathered->start, false },   { &order->start_holds, &gathered->start, true },
                { &order->requires, &gathered->requires, false },   { &order->required_by, &gathered->requires, true },
                { &order->pulls, &gathered->pulls, false },         { &order->stop_waits, &gathered->stop, false },
                { &order->stop_holds, &gathered->stop, true },
        };

        for (size_t i = 0; i < n_elements(all); i++) {
                int r = edges_fill(all[i].edges, all[i].pairs, order->n, all[i].is_inverse);

                if (r < 0)
                        return r;
        }
        return 0;
}

int order_new(Order **ret, const Model *model, OrderProblem *reterr) {
        cleanup(gathered_done) Gathered gathered = { 0 };
        cleanup(order_freep) Order *order = malloc(sizeof(*order));
        int r;

        if (!order)
                return -ENOMEM;
        *order = (Order) { .n = model->n_services };
        r = gather_names(&gathered, model, reterr);
        if (r != 0)
                return r;
        r = derive(&gathered);
        if (r < 0)
                return r;
        r = fill_all(order, &gathered);
        if (r < 0)
                return r;
        r = mark_late(order, model);
        if (r < 0)
                return r;
        drop_barrier_conflicts(order);
        order->stop_order = calloc((size_t) order->n + 1, sizeof(*order->stop_order));
        if (!order->stop_order)
                return -ENOMEM;
        r = sort(&order->start_needs, &order->start_holds, order->n, order->is_late, true, NULL, reterr);
        if (r != 0)
                return r;
        r = sort(&order->stop_waits, &order->stop_holds, order->n, order->is_late, false, order->stop_order, reterr);
        if (r != 0)
                return r;
        *ret = take(order);
        return 0;
}

Order *order_free(Order *order) {
        if (!order)
                return NULL;
        edges_done(&order->start_needs);
        edges_done(&order->start_holds);
        edges_done(&order->requires);
        edges_done(&order->required_by);
        edges_done(&order->pulls);
        edges_done(&order->stop_waits);
        edges_done(&order->stop_holds);
        free(order->is_late);
        free(order->stop_order);
        free(order);
        return NULL;
}
