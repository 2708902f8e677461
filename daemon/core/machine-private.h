#pragma once

/* What machine.c (one service) and machine-drain.c (operations) share. Nobody else includes it. */

#include "machine-ask.h"

/* An event that waits for its turn. */
typedef struct Posted {
        uint32_t service;
        uint32_t event; /* ServiceEvent */
} Posted;

struct Machine {
        const Model *model; /* borrowed, as the next two */
        const Order *order;
        const MachineEffects *effects;
        void *userdata;
        Budget *budget; /* owned, as everything below */
        unsigned n;
        Cell *cells;
        usec_t *armed;          /* the deadline that arm() was told last */
        unsigned char *stages;  /* BudgetStage of each service */
        bool *has_gate;         /* EV_GATE is posted already */
        Posted *queue;
        size_t head, n_queued, n_queue;
        unsigned *marked;       /* scratch for walks over the graph */
        Operation operations[MACHINE_OPERATIONS_MAX];
        unsigned n_left[MACHINE_OPERATIONS_MAX]; /* members that have not stopped */
        uint8_t active; /* bit set of places */
        bool is_busy;   /* the queue is being worked off */
        usec_t now;
        uint64_t last_id, n_unexpected;
        char why[256];
};

static inline const ServiceConfig *machine_config(const Machine *machine, unsigned service) {
        return &machine->model->services[service];
}

static inline bool cell_has(const Cell *cell, CellFlag flag) {
        return (cell->flags & flag) != 0;
}

static inline void cell_set(Cell *cell, CellFlag flag, bool value) {
        cell->flags = (uint16_t) (value ? cell->flags | flag : cell->flags & ~flag);
}

/* Time never goes back. */
static inline void machine_at(Machine *machine, usec_t now) {
        if (now > machine->now)
                machine->now = now;
}

/* --- machine.c --- */
void machine_post(Machine *machine, unsigned service, ServiceEvent event);
void machine_post_gate(Machine *machine, unsigned service);
/* Has the cell recorded after a change that is no step. */
void machine_touch(Machine *machine, unsigned service);
/* Works off the queue, unless that is going on already. */
void machine_run(Machine *machine, usec_t now);
/* The first that has to withdraw, or to stop, before this one may; or MACHINE_NO_SERVICE. */
unsigned machine_blocker(const Machine *machine, unsigned service, bool to_stop);

/* --- machine-time.c: deadlines --- */
/* Sets the deadline of the state that was just entered (or stayed in), and what belongs to it. */
void machine_time_state(Machine *machine, unsigned service, ServiceState from, ServiceEvent on);
/* The scope has become shorter: nothing of the service may end later than that leaves room for. */
void machine_time_shorten(Machine *machine, unsigned service);
/* How its first step would be granted now. */
Grant machine_grant_now(Machine *machine, unsigned service, BudgetStage stage);
usec_t machine_kill_floor(const Machine *machine, unsigned service);

/* --- machine-drain.c: operations --- */
/* What follows for operations and neighbours from a change of state. */
void machine_drain_after(Machine *machine, unsigned service, ServiceState from);
void machine_operation_step(Machine *machine, unsigned place, OperationEvent event);
/* Some operation that the service belongs to goes on past quiesce. */
bool machine_proceeds(const Machine *machine, unsigned service);
bool machine_skips(const Machine *machine, unsigned service);
static inline uint8_t machine_active_of(const Machine *machine, unsigned service) {
        return machine->cells[service].operations & machine->active;
}
/* The earliest deadline of the operations that it belongs to; USEC_INFINITY without any. */
usec_t machine_scope_of(const Machine *machine, unsigned service);
BudgetStage machine_stage_of(const Machine *machine, unsigned service);
static inline bool machine_is_quiesced(ServiceState state) {
        return state == SERVICE_STOPPED || state >= SERVICE_HELD;
}
bool machine_members_quiesced(const Machine *machine, unsigned place);
/* A member has stopped: counts it with those that were killed, where it was. */
void machine_count_end(Machine *machine, unsigned service, unsigned place);
void machine_arm_operation(Machine *machine, unsigned place);
/* Starts it again because a drain has ended or was taken back. */
void machine_start_again(Machine *machine, unsigned service);
/* The service has ended for good, and not because of a drain. */
void machine_ended(Machine *machine, unsigned service);
