#include "../lib/test.h"

#include <string.h>

#include "../../daemon/core/service-fsm.h"

#define SAMPLES 200000u
#define N_FACTS (sizeof(ServiceFacts) / sizeof(bool))

_Static_assert(sizeof(ServiceFacts) % sizeof(bool) == 0, "the samples below take the facts for bools and nothing else");

static uint64_t sample_state = 1;

static uint64_t next_bits(void) {
        uint64_t z = sample_state += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        return z ^ (z >> 27);
}

static ServiceFacts any_facts(void) {
        uint64_t bits = next_bits();
        bool values[N_FACTS];
        ServiceFacts facts;

        for (size_t i = 0; i < N_FACTS; i++)
                values[i] = (bits >> i & 1) != 0;
        memcpy(&facts, values, sizeof(facts));
        return facts;
}

/* Whatever takes the longest way. */
static ServiceFacts longest_facts(bool may_stop, bool has_leader) {
        return (ServiceFacts) {
                .is_draining = true, .may_withdraw = true, .may_stop = may_stop, .has_leader = has_leader,
                .has_stop_hook = true, .has_stop_post = true, .has_another_command = true, .has_another_rung = true,
                .has_withdraw = true, .has_quiesce = true, .was_ready = true, .was_told = true,
        };
}

static bool is_draining(ServiceState state) {
        return service_state_public(state) == PUBLIC_DRAINING;
}

static bool is_signalled(ServiceState state) {
        return state == SERVICE_STOP_HOOK || state == SERVICE_TERMINATE || state == SERVICE_KILL || state == SERVICE_POST;
}

static bool has_row(ServiceState from, ServiceEvent on) {
        size_t n;
        const ServiceRow *rows = service_fsm_rows(&n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].from == from && rows[i].on == on)
                        return true;
        return false;
}

static void test_every_state_and_event_has_a_row_or_is_expected(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++)
                for (ServiceEvent on = 0; on < SERVICE_EVENT_MAX; on++)
                        if (!has_row(from, on) && !service_fsm_ignores(from, on))
                                fail_msg("%s has no row for %s", service_state_name(from), service_event_name(on));
}

static void test_every_row_is_reached_by_some_facts(void **state) {
        size_t n;
        const ServiceRow *rows = service_fsm_rows(&n);
        bool reached[512] = { false };

        assert_true(n < 512);
        for (size_t i = 0; i < n; i++)
                for (unsigned sample = 0; !reached[i] && sample < SAMPLES; sample++) {
                        ServiceFacts facts = any_facts();

                        reached[i] = service_fsm_find(rows[i].from, rows[i].on, &facts) == &rows[i];
                }
        for (size_t i = 0; i < n; i++)
                if (!reached[i])
                        fail_msg("row %zu, %s on %s if %s, is behind rows that always fit", i, service_state_name(rows[i].from),
                                 service_event_name(rows[i].on), rows[i].guard_name);
}

static void test_rows_are_grouped_by_state(void **state) {
        size_t n;
        const ServiceRow *rows = service_fsm_rows(&n);

        for (size_t i = 1; i < n; i++)
                assert_true(rows[i - 1].from <= rows[i].from);
}

static void test_every_draining_state_always_has_a_deadline(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++)
                for (unsigned sample = 0; is_draining(from) && sample < 10000; sample++) {
                        ServiceFacts facts = any_facts();

                        assert_non_null(service_fsm_find(from, EV_DEADLINE, &facts));
                }
}

static void deadlines_alone(ServiceState at, bool may_stop, bool has_leader) {
        ServiceFacts facts = longest_facts(may_stop, has_leader);
        unsigned rungs = 32;

        for (unsigned steps = 0; is_draining(at); steps++) {
                const ServiceRow *row;

                facts.has_another_rung = rungs > 0;
                row = service_fsm_find(at, EV_DEADLINE, &facts);
                assert_non_null(row);
                assert_true(steps < SERVICE_STATE_MAX + 32);
                rungs -= at == SERVICE_TERMINATE && rungs > 0;
                at = row->to;
        }
        assert_int_equal(at, SERVICE_STOPPED);
}

static void test_deadlines_alone_end_a_drain(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++)
                for (unsigned way = 0; way < 4; way++)
                        deadlines_alone(is_draining(from) ? from : SERVICE_PENDING, (way & 1) != 0, (way & 2) != 0);
}

static void test_gates_alone_come_to_rest(void **state) {
        for (unsigned sample = 0; sample < SAMPLES; sample++) {
                ServiceFacts facts = any_facts();
                ServiceState at = (ServiceState) (sample % SERVICE_STATE_MAX);
                const ServiceRow *row;
                unsigned steps = 0;

                while ((row = service_fsm_find(at, EV_GATE, &facts))) {
                        assert_true(row->to != at);
                        assert_true(steps++ < SERVICE_STATE_MAX);
                        at = row->to;
                }
        }
}

static void test_only_a_start_leaves_stopped(void **state) {
        size_t n;
        const ServiceRow *rows = service_fsm_rows(&n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].from == SERVICE_STOPPED)
                        assert_int_equal(rows[i].on, EV_START);
}

static void test_a_drain_is_right_in_every_state(void **state) {
        for (ServiceState from = SERVICE_QUEUED; from < SERVICE_STATE_MAX; from++)
                for (unsigned sample = 0; sample < 1000; sample++) {
                        ServiceFacts facts = any_facts();
                        const ServiceRow *row = service_fsm_find(from, EV_DRAIN, &facts);

                        if (row)
                                assert_true(is_draining(row->to) || row->to == SERVICE_STOPPED);
                        else
                                assert_true(is_draining(from));
                }
}

static void test_nothing_is_taken_back_after_the_first_signal(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++) {
                size_t n;
                const ServiceRow *rows = service_fsm_rows(&n);

                assert_true(!is_signalled(from) || !has_row(from, EV_RESUME));
                for (size_t i = 0; i < n; i++)
                        if (is_signalled(rows[i].from))
                                assert_true(is_signalled(rows[i].to) || rows[i].to == SERVICE_STOPPED || rows[i].to == SERVICE_BACKOFF);
        }
}

static void test_everything_held_back_can_be_taken_back(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++)
                if (is_draining(from) && !is_signalled(from))
                        for (unsigned sample = 0; sample < 1000; sample++) {
                                ServiceFacts facts = any_facts();

                                assert_non_null(service_fsm_find(from, EV_RESUME, &facts));
                        }
}

/* Stopped means empty: a run with processes left ends in no other way than as unkillable. */
static void test_a_tree_that_is_not_empty_never_counts_as_stopped(void **state) {
        for (unsigned sample = 0; sample < SAMPLES; sample++) {
                ServiceFacts facts = any_facts();
                ServiceState from = (ServiceState) (sample % SERVICE_STATE_MAX);
                const ServiceRow *row = service_fsm_find(from, (ServiceEvent) (next_bits() % SERVICE_EVENT_MAX), &facts);

                if (!row || facts.is_empty || from == SERVICE_STOPPED || from == SERVICE_QUEUED || from == SERVICE_BACKOFF)
                        continue;
                if (row->to == SERVICE_STOPPED || row->to == SERVICE_BACKOFF)
                        assert_true(row->action == ACT_ABANDON);
                assert_true(row->to != SERVICE_POST || from == SERVICE_POST);
        }
}

static void test_kill_comes_first_only_by_order_or_deadline(void **state) {
        size_t n;
        const ServiceRow *rows = service_fsm_rows(&n);

        for (size_t i = 0; i < n; i++)
                if (rows[i].action == ACT_KILL && rows[i].from != SERVICE_POST && rows[i].from != SERVICE_KILL)
                        assert_true(rows[i].on == EV_KILL || rows[i].on == EV_DEADLINE);
}

static void test_an_order_to_kill_reaches_every_draining_state(void **state) {
        for (ServiceState from = 0; from < SERVICE_STATE_MAX; from++)
                if (is_draining(from) && from != SERVICE_KILL)
                        for (unsigned sample = 0; sample < 1000; sample++) {
                                ServiceFacts facts = any_facts();
                                const ServiceRow *row = service_fsm_find(from, EV_KILL, &facts);

                                assert_non_null(row);
                                if (from == SERVICE_POST && facts.is_empty)
                                        continue; /* its hook has ended, or could not be run: that is on its way */
                                assert_int_equal(row->to, SERVICE_KILL);
                                assert_int_equal(row->action, ACT_KILL);
                        }
}

static void test_a_new_core_goes_on_in_every_state(void **state) {
        for (ServiceState from = SERVICE_QUEUED; from < SERVICE_STATE_MAX; from++)
                for (unsigned sample = 0; sample < 1000; sample++) {
                        ServiceFacts facts = any_facts();
                        const ServiceRow *row = service_fsm_find(from, EV_RESTORED, &facts);

                        assert_non_null(row);
                        assert_int_equal(row->to, from);
                        if (facts.was_told && from != SERVICE_KILL && from != SERVICE_QUIESCE)
                                assert_int_equal(row->action, ACT_NONE);
                }
}

static void assert_distinct(const char *const *names, size_t n) {
        for (size_t i = 0; i < n; i++) {
                assert_non_null(names[i]);
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(names[i], names[j]);
        }
}

static void test_everything_has_a_name_of_its_own(void **state) {
        const char *names[64];

        for (ServiceState i = 0; i < SERVICE_STATE_MAX; i++)
                names[i] = service_state_name(i);
        assert_distinct(names, SERVICE_STATE_MAX);
        for (ServiceEvent i = 0; i < SERVICE_EVENT_MAX; i++)
                names[i] = service_event_name(i);
        assert_distinct(names, SERVICE_EVENT_MAX);
        for (ServiceAction i = 0; i < SERVICE_ACTION_MAX; i++)
                names[i] = service_action_name(i);
        assert_distinct(names, SERVICE_ACTION_MAX);
        for (PublicState i = 0; i < PUBLIC_STATE_MAX; i++)
                names[i] = public_state_name(i);
        assert_distinct(names, PUBLIC_STATE_MAX);
        for (Phase i = 0; i < PHASE_MAX; i++)
                names[i] = phase_name(i);
        assert_distinct(names, PHASE_MAX);
}

static void test_phases_belong_to_draining_alone(void **state) {
        for (ServiceState i = 0; i < SERVICE_STATE_MAX; i++)
                assert_int_equal(service_state_phase(i) != PHASE_NONE, is_draining(i));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_state_and_event_has_a_row_or_is_expected),
                cmocka_unit_test(test_every_row_is_reached_by_some_facts),
                cmocka_unit_test(test_rows_are_grouped_by_state),
                cmocka_unit_test(test_every_draining_state_always_has_a_deadline),
                cmocka_unit_test(test_deadlines_alone_end_a_drain),
                cmocka_unit_test(test_gates_alone_come_to_rest),
                cmocka_unit_test(test_only_a_start_leaves_stopped),
                cmocka_unit_test(test_a_drain_is_right_in_every_state),
                cmocka_unit_test(test_nothing_is_taken_back_after_the_first_signal),
                cmocka_unit_test(test_everything_held_back_can_be_taken_back),
                cmocka_unit_test(test_a_tree_that_is_not_empty_never_counts_as_stopped),
                cmocka_unit_test(test_kill_comes_first_only_by_order_or_deadline),
                cmocka_unit_test(test_an_order_to_kill_reaches_every_draining_state),
                cmocka_unit_test(test_a_new_core_goes_on_in_every_state),
                cmocka_unit_test(test_everything_has_a_name_of_its_own),
                cmocka_unit_test(test_phases_belong_to_draining_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
