#include "print-fsm.h"

#include "drain-fsm.h"
#include "service-fsm.h"

static const char *const operation_actions[OPERATION_ACTION_MAX] = {
        [OP_ACT_NONE] = "-",
        [OP_ACT_HOLD] = "tell those who wait for quiesced",
        [OP_ACT_PROCEED] = "let members go on",
        [OP_ACT_RESUME] = "take members back",
        [OP_ACT_KILL] = "send KILL to what is left",
        [OP_ACT_END] = "tell those who wait",
};

void print_fsm(FILE *file) {
        size_t n, n_operations;
        const ServiceRow *services = service_fsm_rows(&n);
        const OperationRow *operations = drain_fsm_rows(&n_operations);

        (void) fprintf(file, "service: from, on, guard, to, action\n");
        for (size_t i = 0; i < n; i++)
                (void) fprintf(file, "%-10s %-12s %-20s %-10s %s\n", service_state_name(services[i].from),
                               service_event_name(services[i].on), services[i].guard ? services[i].guard_name : "-",
                               service_state_name(services[i].to), service_action_name(services[i].action));
        (void) fprintf(file, "\noperation: from, on, guard, to, action\n");
        for (size_t i = 0; i < n_operations; i++)
                (void) fprintf(file, "%-10s %-12s %-20s %-10s %s\n", operation_state_name(operations[i].from),
                               operation_event_name(operations[i].on), operations[i].guard ? operations[i].guard_name : "-",
                               operation_state_name(operations[i].to), operation_actions[operations[i].action]);
}
