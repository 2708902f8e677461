#include "../lib/test.h"

#include "../../daemon/core/drain-fsm.h"

static const OperationRow *find(OperationState from, OperationEvent on, bool until_quiesced) {
        OperationFacts facts = { .until_quiesced = until_quiesced };

        return drain_fsm_find(from, on, &facts);
}

static OperationState after(OperationState from, OperationEvent on, bool until_quiesced) {
        const OperationRow *row = find(from, on, until_quiesced);

        assert_non_null(row);
        return row->to;
}

static void test_the_way_of_a_drain(void **state) {
        OperationState at = OPERATION_QUIESCING;

        at = after(at, OP_SIGNALLED, false);
        assert_int_equal(at, OPERATION_STOPPING);
        at = after(at, OP_DEADLINE, false);
        assert_int_equal(at, OPERATION_KILLING);
        at = after(at, OP_STOPPED, false);
        assert_int_equal(at, OPERATION_STOPPED);
}

static void test_the_way_of_a_drain_until_quiesced(void **state) {
        OperationState at = OPERATION_QUIESCING;

        assert_int_equal(find(at, OP_QUIESCED, true)->action, OP_ACT_HOLD);
        at = after(at, OP_QUIESCED, true);
        assert_int_equal(at, OPERATION_HOLDING);
        assert_int_equal(find(at, OP_CONTINUE, false)->action, OP_ACT_PROCEED);
        at = after(at, OP_CONTINUE, false);
        assert_int_equal(at, OPERATION_QUIESCING);
        assert_null(find(at, OP_QUIESCED, false));
}

static void test_nothing_is_taken_back_after_the_first_signal(void **state) {
        static const struct {
                OperationState from;
                bool may_resume;
        } cases[] = {
                { OPERATION_FREE, false },     { OPERATION_QUIESCING, true }, { OPERATION_HOLDING, true },
                { OPERATION_STOPPING, false }, { OPERATION_KILLING, false },  { OPERATION_STOPPED, false },
                { OPERATION_RESUMED, false },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                for (int until_quiesced = 0; until_quiesced <= 1; until_quiesced++)
                        assert_int_equal(find(cases[i].from, OP_RESUME, until_quiesced != 0) != NULL, cases[i].may_resume);
}

static void test_what_has_ended_stays_ended(void **state) {
        for (OperationState from = 0; from < OPERATION_STATE_MAX; from++)
                for (OperationEvent on = 0; on < OPERATION_EVENT_MAX; on++)
                        if (!operation_state_is_active(from)) {
                                assert_null(find(from, on, false));
                                assert_null(find(from, on, true));
                        }
}

static void test_every_active_state_ends_with_its_members(void **state) {
        for (OperationState from = 0; from < OPERATION_STATE_MAX; from++)
                if (operation_state_is_active(from))
                        assert_int_equal(after(from, OP_STOPPED, true), OPERATION_STOPPED);
}

static void test_the_deadline_kills_in_every_state_that_goes_on(void **state) {
        static const OperationState going_on[] = { OPERATION_QUIESCING, OPERATION_STOPPING };

        for (size_t i = 0; i < sizeof(going_on) / sizeof(going_on[0]); i++) {
                assert_int_equal(find(going_on[i], OP_DEADLINE, false)->action, OP_ACT_KILL);
                assert_int_equal(find(going_on[i], OP_KILL, false)->action, OP_ACT_KILL);
        }
        assert_int_equal(find(OPERATION_QUIESCING, OP_DEADLINE, true)->action, OP_ACT_HOLD);
        assert_int_equal(find(OPERATION_HOLDING, OP_DEADLINE, true)->action, OP_ACT_NONE);
        /* Another operation has signalled some of its members; the others were only to be quiesced. */
        assert_int_equal(find(OPERATION_STOPPING, OP_DEADLINE, true)->action, OP_ACT_NONE);
}

static void test_no_row_is_behind_one_that_always_fits(void **state) {
        size_t n;
        const OperationRow *rows = drain_fsm_rows(&n);

        for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < i; j++)
                        assert_false(rows[j].from == rows[i].from && rows[j].on == rows[i].on && !rows[j].guard);
}

static void test_everything_has_a_name(void **state) {
        for (OperationState i = 0; i < OPERATION_STATE_MAX; i++)
                assert_non_null(operation_state_name(i));
        for (OperationEvent i = 0; i < OPERATION_EVENT_MAX; i++)
                assert_non_null(operation_event_name(i));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_way_of_a_drain),
                cmocka_unit_test(test_the_way_of_a_drain_until_quiesced),
                cmocka_unit_test(test_nothing_is_taken_back_after_the_first_signal),
                cmocka_unit_test(test_what_has_ended_stays_ended),
                cmocka_unit_test(test_every_active_state_ends_with_its_members),
                cmocka_unit_test(test_the_deadline_kills_in_every_state_that_goes_on),
                cmocka_unit_test(test_no_row_is_behind_one_that_always_fits),
                cmocka_unit_test(test_everything_has_a_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
