#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "journal-ids.h"
#include "manager-private.h"
#include "verdict.h"

/* Why somebody had to be killed. /proc is asked shortly before KILL is due, never at that time: with hundreds of
 * services due together, each look would hold up the KILL of the next. */

#define VERDICT_LEAD (25 * USEC_PER_MSEC)

typedef struct Taking {
        Manager *manager;
        unsigned service;
        int signal;
} Taking;

static void take_one(const TreeProcess *process, void *userdata) {
        Taking *taking = userdata;
        Manager *manager = taking->manager;
        Verdict verdict;
        VerdictLine *line;

        if (manager->n_verdicts >= VERDICTS_MAX || verdict_take(process->pid, &verdict) < 0)
                return;
        line = &manager->verdicts[manager->n_verdicts++];
        line->service = taking->service;
        (void) verdict_format(line->text, sizeof(line->text), &verdict, taking->signal);
}

static bool is_due(const Manager *manager, unsigned service, usec_t until) {
        const Cell *cell = machine_cell(manager->machine, service);

        return cell->state == SERVICE_TERMINATE && cell->deadline == cell->kill_by && cell->kill_by <= until;
}

void verdicts_fired(Timer *timer, usec_t now) {
        Manager *manager = container_of(timer, Manager, verdict_timer);
        usec_t next = USEC_INFINITY, until = usec_add(now, VERDICT_LEAD + 2 * USEC_PER_MSEC);

        manager->n_verdicts = 0;
        for (unsigned i = 0; i < manager->n_services; i++) {
                const Cell *cell = machine_cell(manager->machine, i);
                Taking taking = { .manager = manager, .service = i };

                if (cell->state != SERVICE_TERMINATE)
                        continue;
                if (!is_due(manager, i, until)) {
                        next = usec_min(next, usec_left(cell->kill_by, VERDICT_LEAD));
                        continue;
                }
                taking.signal = manager->model->services[i].rungs[cell->rung].signal;
                if (manager->n_verdicts < VERDICTS_MAX)
                        drop(tree_list(manager->tree, manager->services[i]->place, take_one, &taking)); /* then KILL comes without a reason */
        }
        if (next != USEC_INFINITY && next > now)
                timer_arm(manager->loop, timer, next);
}

void verdicts_expect(Service *service, usec_t kill_by) {
        Manager *manager = service->manager;
        usec_t when = usec_left(kill_by, VERDICT_LEAD);

        if (kill_by == USEC_INFINITY || (timer_is_armed(&manager->verdict_timer) && manager->verdict_timer.deadline <= when))
                return;
        timer_arm(manager->loop, &manager->verdict_timer, when);
}

void verdicts_say(Service *service) {
        Manager *manager = service->manager;
        const char *name = service_config(service)->name;
        unsigned n = 0;

        for (unsigned i = 0; i < manager->n_verdicts; i++) {
                if (manager->verdicts[i].service != service->index)
                        continue;
                n++;
                log_record(LOG_WARNING,
                           (const LogField[]) { { "MESSAGE_ID", MSG_KILL_SENT }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                           __FILE__, __LINE__, "%s: SIGKILL: %s.", name, manager->verdicts[i].text);
                events_record(manager->events, &(Event) { .time = manager_now(manager), .kind = EVENT_MESSAGE, .service = name,
                                                          .text = manager->verdicts[i].text });
        }
        if (n == 0)
                log_record(LOG_WARNING,
                           (const LogField[]) { { "MESSAGE_ID", MSG_KILL_SENT }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                           __FILE__, __LINE__, "%s: SIGKILL: its time was over before it could be looked at.", name);
}
