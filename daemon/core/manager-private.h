#pragma once

/* What the parts of the manager share. Nobody outside daemon/core/manager*.c, service*.c, exits.c, restore.c and reload.c
 * includes it. */

#include "../../protocol/poller.h"
#include "board.h"
#include "drain-file.h"
#include "link.h"
#include "manager.h"
#include "notify.h"
#include "pid-table.h"
#include "procfs.h"
#include "service.h"
#include "spawn.h"

#define NOTED_OPERATIONS_MAX 16u
#define VERDICTS_MAX 64u
#define VERDICT_LINE_MAX 400u

/* Why somebody is still there, looked up shortly before KILL is due. */
typedef struct VerdictLine {
        uint32_t service;
        char text[VERDICT_LINE_MAX];
} VerdictLine;

typedef struct OperationTimer {
        Manager *manager;
        unsigned place;
        Timer timer;
} OperationTimer;

struct Manager {
        Loop *loop;
        Link *link;
        Board *board;
        Model *model;
        Order *order;
        Machine *machine;
        Tree *tree;
        Spawner *spawner;
        Events *events;
        Outputs *outputs;
        NotifySet *notifies; /* NULL: no runtime directory */
        Poller *exits;
        Procfs procfs;
        PidTable pids;     /* leaders and hooks: service index * 2 + is_hook */
        Service **services; /* by index */
        unsigned n_services, next_chore; /* the place to go on from */
        OperationTimer operation_timers[MACHINE_OPERATIONS_MAX];
        Timer look_timer, verdict_timer, slow_timer, status_timer, later_timer;
        LoopSource *ring_source;
        LoopWork *finish_work, *start_work;
        struct Record *records; /* owned; what is not written down yet */
        Operation noted_operations[NOTED_OPERATIONS_MAX];
        unsigned n_records, n_records_max, n_noted_operations;
        Service *ends;      /* exits that wait for a look */
        unsigned n_unsettled; /* records of the ring that were looked at and are still in it */
        unsigned n_awaiting; /* services with awaits_empty */
        usec_t told_status; /* STATUS=, upward */
        usec_t looked_at;   /* when the last look at the tree began */
        usec_t look_after;  /* the next look at the tree is not before this, unless somebody waits */
        VerdictLine *verdicts; /* owned */
        unsigned n_verdicts;
        Watchers watchers;
        char **arguments;       /* borrowed from main */
        char **base_environment; /* owned array of borrowed strings */
        unsigned n_base;
        char **scratch;         /* an environment while it is put together; room for the largest */
        char *runtime_directory; /* owned; NULL: there is none */
        int drain_directory;    /* fd, or -EBADF */
        DrainShare drain_share;
        int own_signals;        /* signalfd */
        uint64_t old_nofile;
        pid_t keeper;
        bool is_starting_up, is_ready, is_finishing, is_keeper_gone, has_chores, has_changes, has_sweep, has_news;
        struct Api *api;
        struct Reload *reload;
};

static inline const ServiceConfig *service_config(const Service *service) {
        return &service->manager->model->services[service->index];
}

static inline const Cell *service_cell(const Service *service) {
        return machine_cell(service->manager->machine, service->index);
}

/* --- exits.c --- */
must_check int exits_init(Manager *manager);
must_check int exits_watch(Service *service, bool is_hook);
void exits_take_all(Manager *manager);
/* Whether nothing but the end of its last process is left to wait for: told after a change that no end has led to. */
void exits_note_awaiting(Service *service);
/* Its time is over: takes in all that has ended until now. */
void exits_settle(Service *service, usec_t now);
void exits_look_soon(Manager *manager);
void exits_sweep_soon(Service *service);
void exits_sweep(Manager *manager);

/* --- manager-effects.c --- */
extern const MachineEffects manager_effects;
void manager_service_fired(Timer *timer, usec_t now);
void manager_operation_fired(Timer *timer, usec_t now);
void manager_publish(Manager *manager, unsigned service);

/* --- manager-records.c: what happened is written down when all signals that were due have gone --- */
must_check int records_reserve(Manager *manager);
void records_change(Service *service, ServiceState from, ServiceEvent on, usec_t now);
void records_signal(Service *service, int number, bool to_tree, unsigned n_signalled);
void records_kill(Service *service, usec_t now);
void records_operation(Manager *manager, const Operation *operation, usec_t now);
void records_flush(Manager *manager);

/* --- manager-signals.c; the keeper is gone: everything ends --- */
void manager_on_signal(Manager *manager, const RingRecord *record, uint64_t position);
void manager_on_keeper_gone(Manager *manager, int signal);

/* --- manager-notify.c --- */
void manager_on_notify(unsigned service, const NotifyMessage *message, const NotifySender *sender, void *userdata);
void manager_tell_status(Manager *manager);
/* In a millisecond, when those who were sent a signal have had a CPU to themselves: files, records, status. */
void manager_later(Manager *manager);
void manager_later_fired(Timer *timer, usec_t now);
void manager_status_fired(Timer *timer, usec_t now);

/* --- manager-finish.c --- */
/* Ends draind if that is what was asked for and everything has stopped. */
void manager_finish_if_done(Manager *manager);
void manager_slow_fired(Timer *timer, usec_t now);
must_check int finish_init(Manager *manager);

/* --- manager.c: a tree that knows the names of all services, by place, and no process --- */
must_check int manager_make_tree(const Manager *manager, const Model *model, Service *const *services, Tree **ret);

/* --- manager-verdict.c --- */
void verdicts_fired(Timer *timer, usec_t now);
/* KILL is due at that time: look shortly before. */
void verdicts_expect(Service *service, usec_t kill_by);
void verdicts_say(Service *service);

/* --- restore.c --- */
must_check int restore_all(Manager *manager);

/* --- reload.c --- */
struct Reload *reload_free(struct Reload *reload);
must_check int reload_new(struct Reload **ret, Manager *manager);
/* An operation or a start is over: what waited for it goes on. */
void reload_continue(Manager *manager);
void reload_signalled(Manager *manager); /* HUP: now, or once more after the one that is going on */
