#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/budget.h"

#define SERVICES_OF_TEST_MAX 6
#define MS USEC_PER_MSEC

/* A service by its wishes; requires: an index + 1, or 0. */
typedef struct Row {
        usec_t withdraw, quiesce, rungs[2], kill;
        bool has_stop_hook;
        unsigned requires;
} Row;

typedef struct Fixture {
        ServiceConfig services[SERVICES_OF_TEST_MAX];
        Rung rungs[SERVICES_OF_TEST_MAX][2];
        char names[SERVICES_OF_TEST_MAX][2];
        char *needs[SERVICES_OF_TEST_MAX][1];
        char *words[2];
        Command command;
        Model model;
        Order *order;
        Budget *budget;
        unsigned char stages[SERVICES_OF_TEST_MAX];
} Fixture;

static void fixture_done(Fixture *fixture) {
        fixture->budget = budget_free(fixture->budget);
        fixture->order = order_free(fixture->order);
}

static void fixture_make(Fixture *fixture, const Row *rows, unsigned n) {
        static char hook[] = "hook";
        OrderProblem problem = { 0 };

        memset(fixture, 0, sizeof(*fixture));
        model_defaults(&fixture->model);
        fixture->words[0] = hook;
        fixture->command.argv = fixture->words;
        for (unsigned i = 0; i < n; i++) {
                ServiceConfig *service = &fixture->services[i];

                service_config_defaults(service);
                fixture->names[i][0] = (char) ('a' + i);
                service->name = fixture->names[i];
                service->withdraw = rows[i].withdraw;
                service->quiesce = rows[i].quiesce;
                service->rungs = fixture->rungs[i];
                service->n_rungs = rows[i].rungs[1] > 0 ? 2 : 1;
                for (unsigned rung = 0; rung < 2; rung++)
                        fixture->rungs[i][rung] = (Rung) { .signal = 15, .time = rows[i].rungs[rung] };
                service->kill_reserve = rows[i].kill;
                if (rows[i].has_stop_hook)
                        service->stop = (CommandList) { .items = &fixture->command, .n = 1 };
                if (rows[i].requires > 0) {
                        fixture->needs[i][0] = fixture->names[rows[i].requires - 1];
                        service->requires = (StringList) { .items = fixture->needs[i], .n = 1 };
                }
                fixture->stages[i] = BUDGET_WHOLE;
        }
        fixture->model.services = fixture->services;
        fixture->model.n_services = n;
        assert_int_equal(order_new(&fixture->order, &fixture->model, &problem), 0);
        assert_int_equal(budget_new(&fixture->budget, fixture->order, fixture->services), 0);
}

static const Row single[] = { { .withdraw = 100 * MS, .quiesce = 200 * MS, .rungs = { 300 * MS, 100 * MS }, .kill = 50 * MS } };

static void test_a_wish_is_what_the_configuration_says(void **state) {
        Row row = single[0];
        cleanup(fixture_done) Fixture f;
        Wish wish;

        row.has_stop_hook = true;
        fixture_make(&f, &row, 1);
        wish = budget_wish(&f.services[0]);
        assert_int_equal(wish.withdraw, 100 * MS);
        assert_int_equal(wish.quiesce, 200 * MS);
        assert_int_equal(wish.ladder, 400 * MS);
        assert_int_equal(wish.stop_hook, 400 * MS);
        assert_int_equal(wish.kill, 50 * MS);
        assert_int_equal(budget_wish_total(&f.services[0]), 1150 * MS);
}

/* What one service gets of so much time. The cut comes in a fixed order, and to the microsecond. */
static void test_one_service_is_cut_in_order(void **state) {
        static const struct {
                usec_t available, withdraw, quiesce, ladder, kill;
        } cases[] = {
                { 750 * MS, 100 * MS, 200 * MS, 400 * MS, 50 * MS }, /* fits exactly */
                { USEC_INFINITY, 100 * MS, 200 * MS, 400 * MS, 50 * MS },
                { 700 * MS, 50 * MS, 200 * MS, 400 * MS, 50 * MS },
                { 650 * MS, 0, 200 * MS, 400 * MS, 50 * MS },
                { 550 * MS, 0, 100 * MS, 400 * MS, 50 * MS },
                { 450 * MS, 0, 0, 400 * MS, 50 * MS },
                { 250 * MS, 0, 0, 200 * MS, 50 * MS },
                { 150 * MS, 0, 0, 100 * MS, 50 * MS },               /* the quarter */
                { 75 * MS, 0, 0, 50 * MS, 25 * MS },                 /* both shrink */
                { 0, 0, 0, 0, 0 },
        };

        for (size_t i = 0; i < n_elements(cases); i++) {
                cleanup(fixture_done) Fixture f;
                Grant grant;

                fixture_make(&f, single, 1);
                grant = budget_grant(f.budget, 0, f.stages, cases[i].available);
                assert_in_range(cases[i].withdraw - grant.withdraw, 0, 1);
                assert_in_range(cases[i].quiesce - grant.quiesce, 0, 1);
                assert_in_range(cases[i].ladder - grant.ladder, 0, 1);
                assert_in_range(cases[i].kill - grant.kill, 0, 1);
                assert_true(grant.withdraw + grant.quiesce + grant.ladder + grant.kill <= cases[i].available);
                assert_int_equal(grant.is_cut, i > 1);
        }
}

static void test_a_wish_that_fits_is_granted_to_the_microsecond(void **state) {
        static const Row rows[] = {
                { .withdraw = 1, .quiesce = 12345677, .rungs = { 9999999, 3 }, .kill = 2000001, .requires = 2 },
                { .withdraw = 7, .quiesce = 5, .rungs = { 1000003, 0 }, .kill = 2000001 },
        };
        const usec_t chain = 1 + 12345677 + 9999999 + 3 + 2000001 + 1000003 + 2000001;
        cleanup(fixture_done) Fixture f;
        Grant grant;
        unsigned path[SERVICES_OF_TEST_MAX], n = 0;

        fixture_make(&f, rows, 2);
        assert_int_equal(budget_longest(f.budget, f.stages, path, &n), chain);
        assert_int_equal(n, 2);
        assert_int_equal(path[0], 0);
        assert_int_equal(path[1], 1);
        grant = budget_grant(f.budget, 0, f.stages, chain);
        assert_false(grant.is_cut);
        assert_int_equal(grant.quiesce, 12345677);
        assert_int_equal(grant.ladder, 10000002);
        assert_int_equal(grant.kill, 2000001);
        assert_int_equal(grant.rest, 3000004);
        grant = budget_grant(f.budget, 0, f.stages, chain - 1);
        assert_true(grant.is_cut);
        assert_int_equal(grant.withdraw, 0);
        assert_int_equal(grant.quiesce, 12345677);
}

static void test_a_chain_is_cut_in_proportion(void **state) {
        static const Row rows[] = {
                { .rungs = { 4000 * MS, 0 }, .kill = 500 * MS, .requires = 2 },
                { .rungs = { 2000 * MS, 0 }, .kill = 500 * MS },
        };
        cleanup(fixture_done) Fixture f;
        Grant grant;

        fixture_make(&f, rows, 2);
        grant = budget_grant(f.budget, 0, f.stages, 4000 * MS);
        assert_in_range(grant.ladder, 2000 * MS - 2, 2000 * MS);
        assert_int_equal(grant.kill, 500 * MS);
        assert_in_range(grant.rest, 1500 * MS - 4, 1500 * MS);
        /* It took all of its time: the second still has its share. */
        f.stages[0] = BUDGET_GONE;
        f.stages[1] = BUDGET_TO_SIGNAL;
        grant = budget_grant(f.budget, 1, f.stages, 4000 * MS - grant.ladder - grant.kill);
        assert_in_range(grant.ladder, 1000 * MS - 2, 1000 * MS + 4);
        assert_int_equal(grant.kill, 500 * MS);
        /* It took nothing: what it left flows on. */
        grant = budget_grant(f.budget, 1, f.stages, 4000 * MS);
        assert_int_equal(grant.ladder, 2000 * MS);
        assert_false(grant.is_cut);
}

static void test_the_reserve_is_not_cut_before_ladders_are_at_a_quarter(void **state) {
        static const Row rows[] = {
                { .rungs = { 8000 * MS, 0 }, .kill = 1000 * MS, .requires = 2 },
                { .rungs = { 8000 * MS, 0 }, .kill = 1000 * MS },
        };

        for (usec_t available = 50 * MS; available <= 18000 * MS; available += 50 * MS) {
                cleanup(fixture_done) Fixture f;
                Grant grant;

                fixture_make(&f, rows, 2);
                grant = budget_grant(f.budget, 0, f.stages, available);
                assert_true(grant.ladder > 0 && grant.kill > 0);
                assert_true(grant.ladder + grant.kill + grant.rest <= available);
                assert_true(grant.kill == 1000 * MS || grant.ladder <= 2000 * MS);
        }
}

static void test_a_branch_that_fits_is_not_cut_for_another(void **state) {
        static const Row rows[] = {
                { .quiesce = 5000 * MS, .rungs = { 5000 * MS, 0 }, .kill = 1000 * MS },
                { .quiesce = 500 * MS, .rungs = { 500 * MS, 0 }, .kill = 1000 * MS },
        };
        cleanup(fixture_done) Fixture f;

        fixture_make(&f, rows, 2);
        assert_true(budget_grant(f.budget, 0, f.stages, 3000 * MS).is_cut);
        assert_false(budget_grant(f.budget, 1, f.stages, 3000 * MS).is_cut);
}

static void test_a_plan_ends_in_time(void **state) {
        static const Row rows[] = {
                { .withdraw = 500 * MS, .quiesce = 900 * MS, .rungs = { 3000 * MS, 700 * MS }, .kill = 300 * MS, .requires = 3 },
                { .rungs = { 2000 * MS, 0 }, .kill = 300 * MS, .has_stop_hook = true, .requires = 3 },
                { .quiesce = 100 * MS, .rungs = { 1000 * MS, 0 }, .kill = 300 * MS, .requires = 4 },
                { .rungs = { 1500 * MS, 0 }, .kill = 300 * MS },
        };
        PlanRow plan[4];

        for (usec_t available = 100 * MS; available <= 12000 * MS; available += 100 * MS) {
                cleanup(fixture_done) Fixture f;
                usec_t longest, end;

                fixture_make(&f, rows, 4);
                longest = budget_longest(f.budget, f.stages, NULL, NULL);
                end = budget_plan(f.budget, f.stages, available, plan);
                assert_true(end <= available);
                assert_true(available < longest || end == longest);
                for (unsigned i = 0; i < 4; i++) {
                        assert_true(plan[i].is_planned);
                        assert_true(plan[i].withdraw <= plan[i].quiesce && plan[i].quiesce <= plan[i].held);
                        assert_true(plan[i].held <= plan[i].stop_hook && plan[i].stop_hook <= plan[i].terminate);
                        assert_true(plan[i].terminate < plan[i].kill && plan[i].kill < plan[i].end);
                }
                assert_true(plan[2].stop_hook >= plan[0].end && plan[2].stop_hook >= plan[1].end);
                assert_true(plan[3].stop_hook >= plan[2].end && plan[3].withdraw >= plan[2].held);
        }
}

static void test_who_is_gone_takes_no_time(void **state) {
        static const Row rows[] = {
                { .rungs = { 3000 * MS, 0 }, .kill = 300 * MS, .requires = 2 }, { .rungs = { 2000 * MS, 0 }, .kill = 300 * MS },
        };
        cleanup(fixture_done) Fixture f;
        PlanRow plan[2];

        fixture_make(&f, rows, 2);
        f.stages[0] = BUDGET_GONE;
        assert_int_equal(budget_longest(f.budget, f.stages, NULL, NULL), 2300 * MS);
        assert_int_equal(budget_plan(f.budget, f.stages, 2300 * MS, plan), 2300 * MS);
        assert_false(plan[0].is_planned);
        assert_int_equal(plan[1].kill, 2000 * MS);
        f.stages[1] = BUDGET_SIGNALLED;
        assert_int_equal(budget_longest(f.budget, f.stages, NULL, NULL), 0);
}

static void test_what_others_took_is_learnt_again_when_asked(void **state) {
        static const Row rows[] = {
                { .rungs = { 3000 * MS, 0 }, .kill = 300 * MS, .requires = 2 }, { .rungs = { 2000 * MS, 0 }, .kill = 300 * MS },
        };
        cleanup(fixture_done) Fixture f;

        fixture_make(&f, rows, 2);
        f.stages[1] = BUDGET_GONE;
        assert_false(budget_grant(f.budget, 0, f.stages, 3300 * MS).is_cut);
        f.stages[1] = BUDGET_WHOLE;
        budget_forget(f.budget);
        assert_true(budget_grant(f.budget, 0, f.stages, 3300 * MS).is_cut);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_a_wish_is_what_the_configuration_says),
                cmocka_unit_test(test_one_service_is_cut_in_order),
                cmocka_unit_test(test_a_wish_that_fits_is_granted_to_the_microsecond),
                cmocka_unit_test(test_a_chain_is_cut_in_proportion),
                cmocka_unit_test(test_the_reserve_is_not_cut_before_ladders_are_at_a_quarter),
                cmocka_unit_test(test_a_branch_that_fits_is_not_cut_for_another),
                cmocka_unit_test(test_a_plan_ends_in_time),
                cmocka_unit_test(test_who_is_gone_takes_no_time),
                cmocka_unit_test(test_what_others_took_is_learnt_again_when_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
