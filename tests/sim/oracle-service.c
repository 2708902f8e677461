#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>

#include "books.h"
#include "processes.h"

/* One service: its states, signals, hooks, starts and results. */

static const ServiceConfig *config_of(const World *world, unsigned service) {
        return &world->graph.services[service];
}

static bool is_draining(ServiceState state) {
        return service_state_public(state) == PUBLIC_DRAINING;
}

static bool is_signalled(ServiceState state) {
        return state == SERVICE_STOP_HOOK || state == SERVICE_TERMINATE || state == SERVICE_KILL;
}

/* --- starting --- */

static void expect_backoff(World *world, unsigned service) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];
        usec_t most =
                config->restart_delay_max > config->restart_delay ? config->restart_delay_max : config->restart_delay;

        book->backoff = book->backoff == 0 ? config->restart_delay : usec_min(2 * book->backoff, most);
        if (book->backoff != machine_cell(world->machine, service)->backoff)
                books_fail(world, ORACLE_BACKOFF_DOUBLES, "s%02u waits for %" PRIu64 ", and %" PRIu64 " is right",
                           service, machine_cell(world->machine, service)->backoff, book->backoff);
}

static void note_start(World *world, unsigned service) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];

        books_check(world, !books_is_active(world, service) && !books_everything_drains(world), NO_START_IN_DRAIN,
                    "s%02u starts", service);
        books_check(world, books_may_start(world, service), START_ORDER, "s%02u starts before what it needs is there",
                    service);
        if (book->n_starts == 0 || world->now > usec_add(book->window, config->start_limit_interval)) {
                book->window = world->now;
                book->n_starts = 0;
        }
        book->n_starts++;
        books_check(world,
                    book->was_retry || config->start_limit_burst == 0 || book->n_starts <= config->start_limit_burst,
                    START_LIMIT, "start %u of s%02u", book->n_starts, service);
        world->books->failed_now &= ~bit(service); /* somebody has started it anew in the same step */
        book->was_retry = false;
        book->was_ready = book->has_exited = book->timed_out = book->spawn_failed = book->hook_failed = false;
        book->was_signalled = book->was_killed = book->was_told = book->post_seen = book->crossed = false;
        book->rung = -1;
        for (HookKind kind = 0; kind < HOOK_KIND_MAX; kind++)
                book->n_commands[kind] = 0;
}

void oracles_on_spawn(World *world, unsigned service) {
        Book *book = &world->books->services[service];

        books_check(world, world->actors[service].leader.pid == 0, NO_DOUBLE_START, "s%02u has a leader already",
                    service);
        books_check(world, !books_is_active(world, service), NO_START_IN_DRAIN, "the leader of s%02u is started",
                    service);
        books_check(world, book->n_commands[HOOK_START_PRE] == config_of(world, service)->start_pre.n, HOOK_ONCE,
                    "s%02u starts after %u of %u commands", service, book->n_commands[HOOK_START_PRE],
                    config_of(world, service)->start_pre.n);
        world->books->n_deeds_done++;
}

void oracles_on_spawned(World *world, unsigned service) {
        Book *book = &world->books->services[service];

        book->has_leader = true;
        book->is_empty = book->spawn_failed = false;
        if (config_of(world, service)->type == SERVICE_SIMPLE || config_of(world, service)->type == SERVICE_EXEC)
                book->was_ready = true;
}

void oracles_on_spawn_failed(World *world, unsigned service, bool is_retryable) {
        Book *book = &world->books->services[service];

        book->spawn_failed = true;
        book->was_retry = is_retryable;
}

/* --- results --- */

static ServiceResult expected_of_exit(const World *world, unsigned service) {
        const ServiceConfig *config = config_of(world, service);
        const Book *book = &world->books->services[service];
        int status = book->exit_status;

        if (!book->has_exited)
                return RESULT_SUCCESS;
        if (book->exit_code == CLD_EXITED)
                return status == 0 || (config->success_statuses[status / 64] & UINT64_C(1) << status % 64) != 0
                               ? RESULT_SUCCESS
                               : RESULT_EXIT_CODE;
        if (status == SIGTERM || status == SIGINT || status == SIGHUP || status == SIGPIPE ||
            (config->success_signals & UINT64_C(1) << (status - 1)) != 0)
                return RESULT_SUCCESS;
        for (unsigned rung = 0; book->exited_in_drain && rung < config->n_rungs; rung++)
                if (config->rungs[rung].signal == status)
                        return RESULT_SUCCESS;
        return RESULT_SIGNAL;
}

static void check_result(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        const Book *book = &world->books->services[service];
        ServiceResult result = machine_cell(world->machine, service)->result, expected;

        if (on == EV_DRAIN)
                return; /* it did not run */
        if (from == SERVICE_QUEUED || from == SERVICE_BACKOFF) {
                books_check(world, on != EV_GATE || books_is_active(world, service) || result == RESULT_DEPENDENCY,
                            RESULT, "s%02u could not start and is %s", service, service_result_name(result));
                return;
        }
        if (!processes_are_gone(world, service))
                expected = RESULT_UNKILLABLE;
        else if (book->was_killed)
                expected = RESULT_KILLED;
        else if (book->timed_out)
                expected = RESULT_TIMEOUT;
        else if (book->spawn_failed)
                expected = RESULT_START_FAILED;
        else if (book->hook_failed) {
                books_check(world, result != RESULT_SUCCESS, RESULT,
                            "ExecStartPre= of s%02u failed, and that is a success", service);
                return;
        } else
                expected = expected_of_exit(world, service);
        books_check(world, result == expected, RESULT, "s%02u ends as %s, and %s is right", service,
                    service_result_name(result), service_result_name(expected));
}

static void check_end(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        Book *book = &world->books->services[service];
        bool is_gone = processes_are_gone(world, service);
        bool was_abandoned = from == SERVICE_KILL && on == EV_DEADLINE;

        books_check(world, is_gone || was_abandoned, STOPPED_IS_EMPTY, "s%02u has processes left", service);
        books_check(world, !was_abandoned || book->was_killed, UNKILLABLE_NEEDS_KILL, "s%02u was not sent KILL",
                    service);
        books_check(world, !was_abandoned || (!book->is_empty && world->now >= books_due(world, service)),
                    UNKILLABLE_NEEDS_KILL, "s%02u is given up too early", service);
        if (!was_abandoned || !is_gone)
                check_result(world, service, from, on);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                Deed *deed = &world->books->deeds[place];

                if ((deed->members & bit(service)) == 0 || !operation_state_is_active(deed->state))
                        continue;
                books_check(world, book->state == SERVICE_STOPPED, RETRY_AFTER_FAILURE,
                            "s%02u is to be started again in a drain", service);
                deed->n_killed += machine_cell(world->machine, service)->result == RESULT_KILLED;
                deed->n_unkillable += was_abandoned;
        }
        if (book->state == SERVICE_STOPPED && from != SERVICE_QUEUED && from != SERVICE_BACKOFF &&
            !books_is_active(world, service) && (machine_cell(world->machine, service)->flags & CELL_WANTED) != 0 &&
            machine_cell(world->machine, service)->result != RESULT_SUCCESS)
                world->books->failed_now |= bit(service);
        book->has_leader = book->has_hook = book->was_told = false;
        book->is_empty = true;
}

/* --- states --- */

static void check_order(World *world, unsigned service, ServiceState from, ServiceState to, ServiceEvent on) {
        unsigned blocker;

        if (!books_is_active(world, service) || !is_draining(to) || on == EV_RESUME || on == EV_RESTORED)
                return;
        if (from == SERVICE_PENDING && to != SERVICE_PENDING && on == EV_GATE) {
                blocker = books_blocker(world, service, false);
                if (blocker != MACHINE_NO_SERVICE)
                        books_fail(world,
                                   world->graph.is_late[service] && !world->graph.is_late[blocker]
                                           ? ORACLE_LATE_LAST
                                           : ORACLE_QUIESCE_ORDER,
                                   "s%02u goes on to %s, and s%02u is %s", service, service_state_name(to), blocker,
                                   service_state_name(world->books->services[blocker].state));
        }
        if ((to == SERVICE_STOP_HOOK || to == SERVICE_TERMINATE) && from < SERVICE_STOP_HOOK && on != EV_EXITED &&
            on != EV_HOOK_FAILED && on != EV_WATCHDOG && !(on == EV_DEADLINE && from < SERVICE_PENDING)) {
                blocker = books_blocker(world, service, true);
                if (blocker != MACHINE_NO_SERVICE)
                        books_fail(world,
                                   world->graph.is_late[service] && !world->graph.is_late[blocker]
                                           ? ORACLE_LATE_LAST
                                           : ORACLE_SIGNAL_ORDER,
                                   "s%02u goes on to %s, and s%02u is %s", service, service_state_name(to), blocker,
                                   service_state_name(world->books->services[blocker].state));
                books_check(world, books_proceeds(world, service), SIGNAL_ORDER,
                            "s%02u gets its signal in a drain until quiesced", service);
        }
}

static void note_signalled(World *world, unsigned service, ServiceState from, ServiceState to) {
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                Deed *deed = &world->books->deeds[place];

                if ((deed->members & bit(service)) == 0 || !operation_state_is_active(deed->state))
                        continue;
                if (is_signalled(to) && from != to)
                        *(from < SERVICE_STOP_HOOK ? &deed->is_signalled : &deed->is_half_signalled) = true;
        }
}

static void check_timer_event(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        Book *book = &world->books->services[service];
        usec_t due;

        if (on != EV_DEADLINE)
                return;
        due = books_due(world, service);
        books_check(world, due != USEC_INFINITY && usec_add(world->now, book->tolerance) >= due, RUNG_TIME,
                    "%s of s%02u is over before %" PRIu64, service_state_name(from), service, due);
        if (from == SERVICE_STARTING || from == SERVICE_START_PRE)
                book->timed_out = true;
}

static void enter(World *world, unsigned service, ServiceState from, ServiceEvent on) {
        Book *book = &world->books->services[service];

        if (from == SERVICE_QUEUED && (book->state == SERVICE_START_PRE || book->state == SERVICE_STARTING))
                note_start(world, service);
        if (on == EV_WATCHDOG)
                book->timed_out = true;
        if (on == EV_START) {
                book->n_starts = 0;
                book->backoff = machine_cell(world->machine, service)->backoff;
        }
        if (on == EV_HOOK_FAILED && from == SERVICE_START_PRE)
                book->hook_failed = true;
        if (book->state == SERVICE_RELOADING && from != SERVICE_RELOADING)
                book->n_commands[HOOK_RELOAD] = 0;
        if (book->state == SERVICE_POST && from != SERVICE_POST)
                books_check(world, processes_are_gone(world, service), POST_AFTER_EMPTY, "s%02u", service);
        if ((book->state == SERVICE_STOPPED || book->state == SERVICE_BACKOFF) && from != book->state)
                check_end(world, service, from, on);
        if (service_state_public(from) == PUBLIC_RUNNING && service_state_public(book->state) != PUBLIC_RUNNING &&
            world->now - book->public_since >= config_of(world, service)->restart_delay_max)
                book->backoff = 0; /* it ran long enough to be taken for well */
        if (book->state == SERVICE_BACKOFF && from != SERVICE_BACKOFF)
                expect_backoff(world, service);
        if (book->state == SERVICE_RUNNING && from == SERVICE_STARTING)
                books_check(world, book->was_ready, START_ORDER, "s%02u counts as running before it is ready", service);
        if (service_state_public(from) != service_state_public(book->state))
                book->public_since = world->now;
}

void oracles_on_changed(World *world, unsigned service, ServiceState from, ServiceEvent on, usec_t now) {
        Book *book = &world->books->services[service];
        ServiceState to = (ServiceState) machine_cell(world->machine, service)->state;

        books_check(world, now == world->now, CONTINUITY, "the machine's time is %" PRIu64, now);
        books_check(world, book->state == from, CONTINUITY, "s%02u was %s, not %s", service,
                    service_state_name(book->state), service_state_name(from));
        books_check(world, from != SERVICE_STOPPED || to == SERVICE_STOPPED || on == EV_START, STOPPED_STAYS,
                    "s%02u leaves stopped on %s", service, service_event_name(on));
        books_check(world, on != EV_RESTORED || from == to, CONTINUITY, "s%02u goes from %s to %s because of a crash",
                    service, service_state_name(from), service_state_name(to));
        check_timer_event(world, service, from, on);
        check_order(world, service, from, to, on);
        book->state = to;
        if (on != EV_RESTORED) {
                note_signalled(world, service, from, to);
                enter(world, service, from, on);
        }
        books_time_state(world, service, from, on);
}

/* --- what is ordered --- */

static bool may_be_killed_now(const World *world, unsigned service) {
        const Book *book = &world->books->services[service];

        if (book->post_seen || book->was_killed)
                return true; /* ExecStopPost= left something, or it is a repetition after a crash */
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Deed *deed = &world->books->deeds[place];

                if (deed->id != 0 && (deed->members & bit(service)) != 0 && operation_state_is_active(deed->state) &&
                    (deed->kill_ordered || world->now >= deed->deadline))
                        return true;
        }
        return usec_add(world->now, book->kill_tolerance) >= book->kill_by && book->kill_by != USEC_INFINITY;
}

/* It waits for one of another drain, and that one has more time. */
static bool waits_for_another_drain(const World *world, unsigned service) {
        for (unsigned i = 0; i < world->graph.n; i++)
                if (world->graph.goes_before[i][service] && books_is_active(world, i) &&
                    world->books->services[i].state != SERVICE_STOPPED &&
                    world->books->services[i].scope > world->books->services[service].scope)
                        return true;
        return false;
}

static void on_kill(World *world, unsigned service) {
        Book *book = &world->books->services[service];
        bool was_ordered = waits_for_another_drain(world, service);

        books_check(world, may_be_killed_now(world, service), KILL_NOT_EARLY,
                    "s%02u is killed, and %" PRIu64 " is the time for it", service, book->kill_by);
        for (unsigned place = 0; place < MACHINE_OPERATIONS_MAX; place++) {
                const Deed *deed = &world->books->deeds[place];

                if ((deed->members & bit(service)) != 0 && operation_state_is_active(deed->state))
                        was_ordered |= deed->kill_ordered || !deed->is_clean;
        }
        books_check(world, book->was_signalled || was_ordered || book->post_seen || !world->books->is_clean,
                    KILL_NOT_FIRST, "s%02u", service);
        book->was_killed = true;
        book->killed_at = world->now;
        world->books->n_deeds_done++;
}

void oracles_on_action(World *world, unsigned service, ServiceAction action, usec_t now) {
        Book *book = &world->books->services[service];

        books_check(world, now == world->now, CONTINUITY, "the machine's time is %" PRIu64, now);
        if (action == ACT_SIGNAL)
                books_check(world, book->has_leader, RUNG_TARGET, "the leader of s%02u is gone", service);
        else if (action == ACT_SIGNAL_TREE)
                books_check(world, !book->has_leader, RUNG_TARGET,
                            "the leader of s%02u lives, and the tree is sent its signal", service);
        else if (action == ACT_KILL)
                on_kill(world, service);
        else if (action == ACT_WITHDRAW || action == ACT_QUIESCE)
                book->was_told = true;
        else if (action == ACT_UNDO)
                book->was_told = false;
        if (action == ACT_SIGNAL || action == ACT_SIGNAL_TREE || action == ACT_KILL)
                books_check(world, !book->is_empty, NO_DEAD_TARGET, "s%02u is empty, and is sent a signal", service);
}

void oracles_on_signal(World *world, unsigned service, unsigned rung, bool to_tree) {
        const ServiceConfig *config = config_of(world, service);
        Book *book = &world->books->services[service];
        bool is_next = (int) rung == book->rung + 1 || (book->crossed && (int) rung > book->rung);
        bool is_for_tree = (int) rung == book->rung && to_tree && !book->rung_to_tree && !book->has_leader;

        books_check(world, rung < config->n_rungs, RUNG_ORDER, "s%02u has %u rungs, and this is %u", service,
                    config->n_rungs, rung);
        books_check(world, is_next || is_for_tree, RUNG_ORDER, "s%02u was sent rung %d, and now rung %u", service,
                    book->rung, rung);
        books_check(world, to_tree || book->has_leader, RUNG_TARGET, "the leader of s%02u is gone", service);
        book->was_signalled = true;
        book->rung = (int) rung;
        book->rung_to_tree = to_tree;
        world->books->n_deeds_done++;
}

void oracles_on_hook(World *world, unsigned service, HookKind kind, unsigned command) {
        const ServiceConfig *config = config_of(world, service);
        const CommandList *lists[HOOK_KIND_MAX] = { &config->start_pre, &config->reload, &config->stop,
                                                    &config->stop_post };
        Book *book = &world->books->services[service];

        books_check(world, command < lists[kind]->n && command == book->n_commands[kind], HOOK_ONCE,
                    "command %u of hook %u of s%02u comes after %u", command, kind, service, book->n_commands[kind]);
        books_check(world, kind != HOOK_STOP || command > 0 || book->has_leader, NO_DEAD_TARGET,
                    "ExecStop= of s%02u runs without leader", service);
        books_check(world, kind != HOOK_STOP_POST || command > 0 || processes_are_gone(world, service),
                    POST_AFTER_EMPTY, "s%02u", service);
        if (kind == HOOK_STOP)
                book->was_signalled = true;
        if (kind == HOOK_STOP_POST)
                book->post_seen = true;
        world->books->n_deeds_done++;
}

void oracles_on_hook_started(World *world, unsigned service, HookKind kind) {
        Book *book = &world->books->services[service];

        book->n_commands[kind]++;
        book->has_hook = true;
        book->is_empty = false;
}

/* --- what it is told --- */

void oracles_on_exit(World *world, unsigned service, int code, int status, bool is_empty) {
        Book *book = &world->books->services[service];

        if (!book->has_leader)
                return; /* told before the crash, and again after it */
        book->exited_in_drain = is_draining(book->state);
        book->has_exited = true;
        book->exit_code = code;
        book->exit_status = status;
        if (config_of(world, service)->type == SERVICE_ONESHOT && book->state == SERVICE_STARTING)
                book->was_ready |= expected_of_exit(world, service) == RESULT_SUCCESS;
        book->has_leader = false;
        book->is_empty = is_empty;
}

void oracles_after_exit(World *world, unsigned service) {
        const Cell *cell = machine_cell(world->machine, service);
        const Book *book = &world->books->services[service];

        books_check(world, cell->exit_code == book->exit_code && cell->exit_status == book->exit_status, EXIT_RECORDED,
                    "s%02u ended with %d/%d, and %d/%d is recorded", service, book->exit_code, book->exit_status,
                    cell->exit_code, cell->exit_status);
}

void oracles_on_hook_exit(World *world, unsigned service, bool is_empty) {
        Book *book = &world->books->services[service];

        book->has_hook = false;
        if (!book->has_leader)
                book->is_empty = is_empty;
}

void oracles_on_empty(World *world, unsigned service) {
        Book *book = &world->books->services[service];

        if (!book->has_leader && !book->has_hook)
                book->is_empty = true;
}

void oracles_on_ready(World *world, unsigned service) {
        Book *book = &world->books->services[service];

        if (book->state == SERVICE_STARTING || book->state == SERVICE_HELD)
                book->was_ready |= config_of(world, service)->type == SERVICE_NOTIFY;
}

void oracles_after_guards(World *world, unsigned service) {
        books_check(world, world->books->services[service].state != SERVICE_QUIESCE, NO_WAITING,
                    "the guards of s%02u hold, and it still quiesces", service);
}

void oracles_on_ping(World *world, unsigned service) {
        Book *book = &world->books->services[service];

        if (book->state == SERVICE_RUNNING)
                book->due = world->now + config_of(world, service)->watchdog;
}

/* A lease: it may move the time by what was asked for, within the limit. Told before the request, undone when refused.
 */
void oracles_on_extend(World *world, unsigned service, usec_t by) {
        Book *book = &world->books->services[service];
        usec_t wanted = world->now + by, moved;

        world->books->kept = *book;
        if (book->state == SERVICE_STARTING || book->state == SERVICE_START_PRE) {
                book->start_by = book->due = wanted > book->due ? wanted : book->due;
        } else if (book->state == SERVICE_STOP_HOOK || book->state == SERVICE_TERMINATE) {
                wanted = usec_min(wanted, book->is_bent ? book->scope : book->limit + book->tolerance);
                if (wanted < world->now)
                        wanted = world->now;
                moved = wanted > book->due ? wanted - book->due : 0;
                book->due += moved;
                book->kill_by =
                        usec_min(book->kill_by + moved, book->is_bent ? book->scope : book->limit + book->tolerance);
        }
}

void oracles_after_extend(World *world, unsigned service, bool is_granted) {
        bool is_recorded = world->board.cells[service].deadline > world->books->kept.reported_deadline;

        if (world->is_dead ? !is_recorded : !is_granted)
                world->books->services[service] = world->books->kept;
}
