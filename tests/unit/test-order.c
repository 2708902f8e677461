#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/order.h"

#define NAMES_MAX 4

/* One service and the names in its lists, for tests that read like a configuration. */
typedef struct Row {
        const char *name;
        const char *requires[NAMES_MAX], *wants[NAMES_MAX], *after[NAMES_MAX], *stop_after[NAMES_MAX];
        bool is_supporting;
} Row;

static StringList list_of(const char *const *names) {
        StringList list = { .items = (char **) names };

        while (list.n < NAMES_MAX && names[list.n])
                list.n++;
        return list;
}

static int make(Order **ret, const Row *rows, unsigned n, OrderProblem *reterr) {
        ServiceConfig services[16];
        Model model;

        assert_true(n <= n_elements(services));
        model_defaults(&model);
        model.services = services;
        model.n_services = n;
        for (unsigned i = 0; i < n; i++) {
                service_config_defaults(&services[i]);
                services[i].name = (char *) rows[i].name;
                services[i].requires = list_of(rows[i].requires);
                services[i].wants = list_of(rows[i].wants);
                services[i].after = list_of(rows[i].after);
                services[i].stop_after = list_of(rows[i].stop_after);
                services[i].is_supporting = rows[i].is_supporting;
        }
        return order_new(ret, &model, reterr);
}

static Order *must_make(const Row *rows, unsigned n) {
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, n, &problem), 0);
        return order;
}

static bool has_edge(const Edges *edges, unsigned from, unsigned to) {
        edges_foreach(other, edges, from)
                if (other == to)
                        return true;
        return false;
}

static unsigned place_of(const Order *order, unsigned service) {
        for (unsigned at = 0; at < order->n; at++)
                if (order->stop_order[at] == service)
                        return at;
        fail_msg("service %u is not in the stop order", service);
        return 0;
}

static void test_a_dependent_starts_after_and_stops_before(void **state) {
        static const Row rows[] = { { .name = "app", .requires = { "db" } }, { .name = "db" } };
        cleanup(order_freep) Order *order = must_make(rows, 2);

        assert_true(has_edge(&order->start_needs, 0, 1));
        assert_true(has_edge(&order->start_holds, 1, 0));
        assert_true(has_edge(&order->requires, 0, 1));
        assert_true(has_edge(&order->required_by, 1, 0));
        assert_true(has_edge(&order->pulls, 0, 1));
        assert_true(has_edge(&order->stop_waits, 1, 0));
        assert_true(has_edge(&order->stop_holds, 0, 1));
        assert_true(place_of(order, 0) < place_of(order, 1));
}

static void test_after_orders_and_wants_only_pulls(void **state) {
        static const Row rows[] = { { .name = "app", .after = { "db" }, .wants = { "log" } }, { .name = "db" }, { .name = "log" } };
        cleanup(order_freep) Order *order = must_make(rows, 3);

        assert_true(has_edge(&order->start_needs, 0, 1));
        assert_true(has_edge(&order->stop_waits, 1, 0));
        assert_false(has_edge(&order->pulls, 0, 1));
        assert_true(has_edge(&order->pulls, 0, 2));
        assert_false(has_edge(&order->start_needs, 0, 2));
        assert_false(has_edge(&order->stop_waits, 2, 0));
}

static void test_stop_after_overrides_after(void **state) {
        static const Row rows[] = { { .name = "app", .after = { "db" }, .stop_after = { "db" } }, { .name = "db" } };
        cleanup(order_freep) Order *order = must_make(rows, 2);

        assert_true(has_edge(&order->start_needs, 0, 1));
        assert_true(has_edge(&order->stop_waits, 0, 1));
        assert_false(has_edge(&order->stop_waits, 1, 0));
        assert_true(place_of(order, 1) < place_of(order, 0));
}

static void test_stop_after_never_overrides_requires(void **state) {
        static const Row rows[] = { { .name = "app", .requires = { "db" }, .stop_after = { "db" } }, { .name = "db" } };
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, 2, &problem), ORDER_CYCLE);
        assert_null(order);
        assert_false(problem.is_start);
        assert_int_equal(problem.n_path, 2);
        free(problem.path);
}

static void test_the_same_pair_twice_is_one_edge(void **state) {
        static const Row rows[] = { { .name = "app", .requires = { "db" }, .after = { "db", "db" } }, { .name = "db", .stop_after = { "app" } } };
        cleanup(order_freep) Order *order = must_make(rows, 2);

        assert_int_equal(order->start_needs.first[1] - order->start_needs.first[0], 1);
        assert_int_equal(order->stop_waits.first[2] - order->stop_waits.first[1], 1);
}

static void assert_is_cycle(const OrderProblem *problem, const Row *rows, unsigned n, bool is_start) {
        bool seen[16] = { false };

        assert_int_equal(problem->is_start, is_start);
        assert_true(problem->n_path > 0 && problem->n_path <= n);
        for (unsigned i = 0; i < problem->n_path; i++) {
                const char *next = rows[problem->path[(i + 1) % problem->n_path]].name;
                const Row *row = &rows[problem->path[i]];
                bool waits = false;

                assert_false(seen[problem->path[i]]);
                seen[problem->path[i]] = true;
                for (unsigned k = 0; k < NAMES_MAX; k++)
                        waits |= (row->requires[k] && strcmp(row->requires[k], next) == 0) || (row->after[k] && strcmp(row->after[k], next) == 0)
                                 || (row->stop_after[k] && strcmp(row->stop_after[k], next) == 0);
                assert_true(waits);
        }
}

static void test_a_cycle_is_told_as_a_path(void **state) {
        static const Row rows[] = {
                { .name = "a", .requires = { "b" } }, { .name = "b", .after = { "c" } }, { .name = "c", .requires = { "d" } },
                { .name = "d", .after = { "b" } },    { .name = "e", .requires = { "a" } },
        };
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, 5, &problem), ORDER_CYCLE);
        assert_is_cycle(&problem, rows, 5, true);
        assert_int_equal(problem.n_path, 3);
        free(problem.path);
}

static void test_a_service_that_needs_itself_is_a_cycle(void **state) {
        static const Row rows[] = { { .name = "a" }, { .name = "b", .after = { "b" } } };
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, 2, &problem), ORDER_CYCLE);
        assert_int_equal(problem.n_path, 1);
        assert_int_equal(problem.path[0], 1);
        free(problem.path);
}

static void test_a_cycle_in_the_stop_graph_alone(void **state) {
        static const Row rows[] = {
                { .name = "a", .stop_after = { "b" } }, { .name = "b", .stop_after = { "c" } }, { .name = "c", .stop_after = { "a" } },
        };
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, 3, &problem), ORDER_CYCLE);
        assert_is_cycle(&problem, rows, 3, false);
        free(problem.path);
}

static void test_an_unknown_name_is_told(void **state) {
        static const Row rows[] = { { .name = "a" }, { .name = "b", .wants = { "a", "x" } } };
        OrderProblem problem = { 0 };
        Order *order = NULL;

        assert_int_equal(make(&order, rows, 2, &problem), ORDER_UNKNOWN);
        assert_int_equal(problem.service, 1);
        assert_string_equal(problem.name, "x");
}

static void test_supporting_ones_and_what_they_need_are_late(void **state) {
        static const Row rows[] = {
                { .name = "app", .after = { "log" } }, { .name = "disk" }, { .name = "log", .requires = { "disk" }, .is_supporting = true },
                { .name = "other" },
        };
        cleanup(order_freep) Order *order = must_make(rows, 4);

        assert_int_equal(order->n_late, 2);
        assert_false(order->is_late[0]);
        assert_true(order->is_late[1]);
        assert_true(order->is_late[2]);
        assert_false(order->is_late[3]);
        assert_true(place_of(order, 3) < place_of(order, 2));
        assert_true(place_of(order, 0) < place_of(order, 2));
        assert_true(place_of(order, 2) < place_of(order, 1));
}

static void test_a_supporting_service_that_must_go_first_is_not_late(void **state) {
        static const Row rows[] = {
                { .name = "app", .stop_after = { "proxy" } }, { .name = "other" }, { .name = "proxy", .is_supporting = true },
        };
        cleanup(order_freep) Order *order = must_make(rows, 3);

        assert_false(order->is_late[2]);
        assert_int_equal(order->n_late, 0);
        assert_true(place_of(order, 2) < place_of(order, 0));
}

static void test_the_stop_order_keeps_every_edge(void **state) {
        static const Row rows[] = {
                { .name = "a", .requires = { "c", "d" } }, { .name = "b", .requires = { "c" }, .after = { "e" } },
                { .name = "c", .after = { "f" } },         { .name = "d", .stop_after = { "b" } },
                { .name = "e", .is_supporting = true },    { .name = "f" },
        };
        cleanup(order_freep) Order *order = must_make(rows, 6);

        for (unsigned i = 0; i < order->n; i++)
                edges_foreach(before, &order->stop_waits, i)
                        assert_true(place_of(order, before) < place_of(order, i));
        assert_int_equal(order->stop_order[5], 4);
}

static void test_no_services_are_fine(void **state) {
        cleanup(order_freep) Order *order = must_make(NULL, 0);

        assert_int_equal(order->n, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_dependent_starts_after_and_stops_before),
                cmocka_unit_test(test_after_orders_and_wants_only_pulls),
                cmocka_unit_test(test_stop_after_overrides_after),
                cmocka_unit_test(test_stop_after_never_overrides_requires),
                cmocka_unit_test(test_the_same_pair_twice_is_one_edge),
                cmocka_unit_test(test_a_cycle_is_told_as_a_path),
                cmocka_unit_test(test_a_service_that_needs_itself_is_a_cycle),
                cmocka_unit_test(test_a_cycle_in_the_stop_graph_alone),
                cmocka_unit_test(test_an_unknown_name_is_told),
                cmocka_unit_test(test_supporting_ones_and_what_they_need_are_late),
                cmocka_unit_test(test_a_supporting_service_that_must_go_first_is_not_late),
                cmocka_unit_test(test_the_stop_order_keeps_every_edge),
                cmocka_unit_test(test_no_services_are_fine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
