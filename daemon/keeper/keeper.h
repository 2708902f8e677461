#pragma once

/* The keeper, `draind`: the parent of everything. It reaps, keeps file descriptors, starts the core
 * (again), passes signals on, and performs the last rites. One thread; nothing is allocated after
 * the start: whatever can grow is a static array. Knows no service, no configuration, no JSON. */

#include <signal.h> /* siginfo_t, by value */
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h> /* sockaddr_un, by value */

#include "../../protocol/base.h"
#include "../../protocol/clock.h" /* usec_t, by value */
#include "../../protocol/log.h"
#include "../../protocol/ring.h"
#include "store.h" /* STORE_MAX */

#define KEEPER_EXIT_GIVEN_UP 70
#define KEEPER_SIGNAL_MAX    64
#define KEEPER_FDS_MAX       (STORE_MAX + 512u) /* for one core */
#define KEEPER_SIGNALS_KEPT  3u /* of one kind while the ring is full: three TERM are three steps */
#define KEEPER_RESTART_USEC  (2 * USEC_PER_SEC)

#define say(level, ...) log_message(level, __VA_ARGS__)

/* What is known of the core's health, and when to look after it next. */
typedef struct KeeperWatch {
        bool is_starting;       /* it has not answered yet */
        bool is_condemned;      /* it was sent KILL and is not dead yet */
        usec_t pinged;          /* when the last ping was sent */
        usec_t pong_deadline;   /* from then on an unanswered ping means a dead core */
        usec_t overdue;         /* 0, or: the drain's deadline is over, and the core has until then to answer */
        usec_t settled;         /* the drain's deadline that the core has answered for already */
        usec_t upstream;        /* the next WATCHDOG=1 for systemd; USEC_INFINITY: it wants none */
        usec_t upstream_period;
} KeeperWatch;

typedef struct Keeper {
        pid_t pid;
        char **argv;        /* borrowed from main() */
        Ring *ring;
        int ring_fd, event_fd, room_fd, signal_fd, notify_fd;
        char notify_address[64]; /* as NOTIFY_SOCKET= has it */
        int upstream_fd;         /* to systemd; -EBADF: nobody listens */
        struct sockaddr_un upstream;
        socklen_t upstream_size;

        pid_t core;            /* 0: none */
        bool has_core_exited;  /* core_exit waits to be handled */
        bool is_core_reaped;   /* it was no zombie any more when its end was seen */
        siginfo_t core_exit;
        usec_t respawn;        /* start a core then; USEC_INFINITY: not wanted */
        usec_t restart;        /* SIGUSR2: kill the core then; USEC_INFINITY: not asked for */
        usec_t deaths[5];      /* when the last cores died, 0: none; a ring of its own */
        unsigned n_deaths;
        KeeperWatch watch;

        struct {
                unsigned n_pending;
                RingRecord record;
        } signals[KEEPER_SIGNAL_MAX + 1]; /* by number: what waits for room in the ring */
        bool has_pending_signal, must_reap;
        pid_t told;              /* a child that SIGCHLD names, 0: none */
        usec_t scan, scan_after; /* a look for anybody: when it is due, and when at the earliest */
        unsigned n_asked; /* how often to end */
        bool is_given_up, is_over;
        int exit_status;
} Keeper;

/* reap.c: what ended, and which signals came. */
/* Records and reaps the dead, a bounded batch; sets must_reap when there is more. The end of the core is
 * noted in has_core_exited instead. */
void reap_children(Keeper *k);
/* Reaps everyone who is dead without telling anybody; false when no child is left at all. */
bool reap_silently(void);
/* Reads the signalfd and tells the core. */
void reap_signals(Keeper *k, usec_t now);
/* Tries again what a full ring held back. */
void reap_retry(Keeper *k);

/* respawn.c: the life of the core. */
/* Takes over the fds that were inherited, remembers argv and builds the environment. 0 or -errno. */
must_check int respawn_init(Keeper *k, char **argv);
/* Starts a core. When that fails it is tried again a moment later. */
void respawn_core(Keeper *k, usec_t now);
/* The core has ended: the end of everything, a new core, or the last rites. */
void respawn_on_exit(Keeper *k, usec_t now);

/* notify.c: both sides of systemd's notify protocol. Of what the core sends to us, fds go to the store, and what is
 * meant for systemd goes up; anything else is ignored. */

#define NOTIFY_MESSAGE_MAX 65536u
#define NOTIFY_ALL         65536u /* far more than a socket's queue holds: an end in any case */

typedef struct NotifyMessage {
        bool is_store, is_remove;
        char name[STORE_NAME_MAX + 2]; /* FDNAME=, cut where it is too long, so that the store refuses it */
        size_t upstream_length;        /* 0: nothing for systemd */
} NotifyMessage;

/* Pure. upstream: room for length + 1 bytes, gets the assignments that are meant for systemd, NUL-ended.
 * false: no message of this protocol, nothing was written. */
bool notify_parse(const char *text, size_t length, NotifyMessage *ret, char *upstream);

/* Opens the keeper's own socket, and one to systemd where NOTIFY_SOCKET= names it. 0 or -errno. */
must_check int notify_open(Keeper *k);
/* Reads what the core has sent, at most n_max datagrams. */
void notify_read(Keeper *k, unsigned n_max);
/* One datagram to systemd; dropped when it would block. */
void notify_upstream(Keeper *k, const char *text);

/* watch.c: whether the core is alive. */
/* Reads WATCHDOG_USEC= and WATCHDOG_PID=. */
void watch_init(Keeper *k);
/* A new core was started. */
void watch_on_spawn(Keeper *k, usec_t now);
/* Sleeps until then, or until something comes, and takes that in. */
void watch_wait(Keeper *k, usec_t until);
/* Whatever is due by now: pings, the end of patience, a core to be started. Returns when it has to be called next. */
usec_t watch_tick(Keeper *k, usec_t now);
/* Tells systemd that we live, when it is time, which is returned. */
usec_t watch_upstream(Keeper *k, usec_t now);

/* last-rites.c: the end of all that is left. */
/* TERM to all, and the time that they have; sets is_over and exit_status. The sweep has to follow. */
void last_rites_perform(Keeper *k);
/* KILL to all that is left, until nobody is or only those remain who cannot be killed. */
void last_rites_sweep(Keeper *k);
