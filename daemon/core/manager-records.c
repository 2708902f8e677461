#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../../protocol/log.h"
#include "journal-ids.h"
#include "manager-private.h"

/* What happened to services, for the log and for those who follow. A line in the log takes longer than a signal, so
 * while signals are due only notes are taken; they are written out, in order, a moment later. */

#define RECORDS_SPARE 256u

typedef enum RecordKind { RECORD_CHANGE, RECORD_SIGNAL, RECORD_KILL, RECORD_OPERATION } RecordKind;

typedef struct Record {
        RecordKind kind;
        unsigned service;
        usec_t when;
        uint64_t operation;
        uint8_t from, to, on, result;
        bool to_tree;
        int exit_status, number;
        unsigned n_signalled;
        StartFailure failure;
        unsigned at; /* RECORD_OPERATION: in Manager.noted_operations */
} Record;

static void describe_end(const Record *record, char *buf, size_t size) {
        char signal[16];

        switch ((ServiceResult) record->result) {
        case RESULT_EXIT_CODE:
                (void) snprintf(buf, size, ": exit status %d", record->exit_status);
                break;
        case RESULT_SIGNAL:
                (void) snprintf(buf, size, ": died of SIG%s", signal_format(signal, sizeof(signal), record->exit_status));
                break;
        case RESULT_START_FAILED:
                (void) snprintf(buf, size, ": start failed at %s: %s", spawn_step_name(record->failure.step),
                                strerror(record->failure.error));
                break;
        case RESULT_SUCCESS:
                buf[0] = '\0';
                break;
        case RESULT_TIMEOUT:
        case RESULT_KILLED:
        case RESULT_UNKILLABLE:
        case RESULT_DEPENDENCY:
        case RESULT_MAX:
        default:
                (void) snprintf(buf, size, ": %s", service_result_name(record->result));
                break;
        }
}

static int level_of(const Record *record) {
        if (record->to == SERVICE_KILL)
                return LOG_WARNING;
        if (record->to != SERVICE_STOPPED && record->to != SERVICE_BACKOFF)
                return LOG_INFO;
        if (record->result == RESULT_SUCCESS)
                return LOG_INFO;
        return record->to == SERVICE_STOPPED && record->result != RESULT_KILLED ? LOG_ERR : LOG_WARNING;
}

/* "draining (terminate)": the word for people, with the phase. */
static const char *describe_state(ServiceState state, char *buf, size_t size) {
        Phase phase = service_state_phase(state);

        if (phase != PHASE_NONE)
                (void) snprintf(buf, size, "draining (%s)", phase_name(phase));
        else
                (void) snprintf(buf, size, "%s", state == SERVICE_BACKOFF ? "waiting to be started again"
                                                                       : public_state_name(service_state_public(state)));
        return buf;
}

static void write_change(Manager *manager, const Record *record) {
        const char *name = manager->model->services[record->service].name;
        char before[48], after[48], end[96] = "", text[192];

        (void) describe_state(record->from, before, sizeof(before));
        (void) describe_state(record->to, after, sizeof(after));
        if (record->to == SERVICE_STOPPED || record->to == SERVICE_BACKOFF)
                describe_end(record, end, sizeof(end));
        (void) snprintf(text, sizeof(text), "%s%s", after, end);
        if (log_wants(level_of(record)))
                log_record(level_of(record),
                           (const LogField[]) { { "MESSAGE_ID", MSG_SERVICE_STATE }, { "DRAIND_SERVICE", name },
                                                { "DRAIND_STATE", service_state_name(record->to) },
                                                { "DRAIND_EVENT", service_event_name(record->on) },
                                                { "DRAIND_RESULT", end[0] ? service_result_name(record->result) : NULL },
                                                { NULL, NULL } },
                           __FILE__, __LINE__, "%s: %s.", name, text);
        events_record(manager->events, &(Event) { .time = record->when, .kind = EVENT_SERVICE, .operation = record->operation,
                                                  .service = name, .from = before, .to = after,
                                                  .detail = service_state_name(record->to), .text = text });
}

static void write_signal(Manager *manager, const Record *record) {
        const char *name = manager->model->services[record->service].name;
        char signal[16], target[48];

        if (!log_wants(LOG_INFO))
                return;
        if (record->to_tree)
                (void) snprintf(target, sizeof(target), "%u process%s", record->n_signalled, record->n_signalled == 1 ? "" : "es");
        else
                (void) snprintf(target, sizeof(target), "the leader");
        log_record(LOG_INFO, (const LogField[]) { { "MESSAGE_ID", MSG_SIGNAL_SENT }, { "DRAIND_SERVICE", name }, { NULL, NULL } },
                   __FILE__, __LINE__, "%s: SIG%s to %s.", name, signal_format(signal, sizeof(signal), record->number), target);
}

static void say_operation(Manager *manager, const Operation *operation, usec_t now) {
        char cause[256], had[DURATION_TEXT_MAX], used[DURATION_TEXT_MAX], text[512], id[24];
        const char *message_id = MSG_DRAIN_ENDED, *what = (operation->flags & OPERATION_ALL) != 0 ? "everything" : "services";
        int level = LOG_NOTICE;

        (void) snprintf(id, sizeof(id), "%" PRIu64, operation->id);
        (void) duration_format(had, sizeof(had), operation->deadline > operation->requested
                                                        ? operation->deadline - operation->requested : 0);
        (void) duration_format(used, sizeof(used), (now - operation->requested) / 1000 * 1000);
        if (operation->n_members == 0)
                return; /* what it was to stop had ended before */
        switch ((OperationState) operation->state) {
        case OPERATION_QUIESCING:
                if (operation->n_asked > 1) { /* it was holding */
                        (void) snprintf(text, sizeof(text), "Drain %s: goes on after %s of %s", id, used, had);
                        break;
                }
                message_id = MSG_DRAIN_BEGAN;
                (void) snprintf(text, sizeof(text), "Drain %s: of %s (%u), %s, because of %s", id, what, operation->n_members, had,
                                cause_format(cause, sizeof(cause), &operation->cause));
                break;
        case OPERATION_HOLDING:
                (void) snprintf(text, sizeof(text), "Drain %s: quiesced after %s; holding", id, used);
                break;
        case OPERATION_KILLING:
                level = LOG_WARNING;
                (void) snprintf(text, sizeof(text), "Drain %s: its time is over, KILL goes to all that is left", id);
                break;
        case OPERATION_STOPPED:
                (void) snprintf(text, sizeof(text), "Drain %s: ended after %s of %s; %u of %u had to be killed", id, used, had,
                                operation->n_killed + operation->n_unkillable, operation->n_members);
                break;
        case OPERATION_RESUMED:
                message_id = MSG_DRAIN_TAKEN_BACK;
                (void) snprintf(text, sizeof(text), "Drain %s: taken back after %s%s", id, used,
                                (operation->flags & OPERATION_ROLLED_BACK) != 0 ? ", because a guard did not hold in time" : "");
                break;
        case OPERATION_STOPPING:
        case OPERATION_FREE:
        case OPERATION_STATE_MAX:
        default:
                return;
        }
        log_record(level, (const LogField[]) { { "MESSAGE_ID", message_id }, { "DRAIND_OPERATION", id }, { NULL, NULL } },
                   __FILE__, __LINE__, "%s.", text);
        events_record(manager->events, &(Event) { .time = now, .kind = EVENT_OPERATION, .operation = operation->id,
                                                  .to = operation_state_name(operation->state), .text = text });
}

void records_flush(Manager *manager) {
        unsigned n = manager->n_records;

        manager->n_records = 0;
        manager->n_noted_operations = 0;
        for (unsigned i = 0; i < n; i++) {
                const Record *record = &manager->records[i];

                switch (record->kind) {
                case RECORD_SIGNAL:
                        write_signal(manager, record);
                        break;
                case RECORD_KILL:
                        verdicts_say(manager->services[record->service]);
                        break;
                case RECORD_OPERATION:
                        say_operation(manager, &manager->noted_operations[record->at], record->when);
                        break;
                case RECORD_CHANGE:
                default:
                        write_change(manager, record);
                        break;
                }
        }
}

static Record *take_note(Service *service, RecordKind kind) {
        Manager *manager = service->manager;
        Record *record;

        if (manager->n_records == manager->n_records_max)
                records_flush(manager);
        record = &manager->records[manager->n_records++];
        *record = (Record) { .kind = kind, .service = service->index };
        manager_later(manager);
        return record;
}

void records_change(Service *service, ServiceState from, ServiceEvent on, usec_t now) {
        const Cell *cell = service_cell(service);
        const Operation *operation = machine_operation_of(service->manager->machine, service->index);
        Record *record = take_note(service, RECORD_CHANGE);

        record->when = now;
        record->from = (uint8_t) from;
        record->to = cell->state;
        record->on = (uint8_t) on;
        record->result = cell->result;
        record->exit_status = cell->exit_status;
        record->failure = cell->failure;
        record->operation = operation ? operation->id : 0;
}

void records_signal(Service *service, int number, bool to_tree, unsigned n_signalled) {
        Record *record = take_note(service, RECORD_SIGNAL);

        record->number = number;
        record->to_tree = to_tree;
        record->n_signalled = n_signalled;
}

void records_kill(Service *service, usec_t now) {
        take_note(service, RECORD_KILL)->when = now;
}

void records_operation(Manager *manager, const Operation *operation, usec_t now) {
        Record *record;

        if (manager->n_records == manager->n_records_max || manager->n_noted_operations == NOTED_OPERATIONS_MAX)
                records_flush(manager);
        manager->noted_operations[manager->n_noted_operations] = *operation;
        record = &manager->records[manager->n_records++];
        *record = (Record) { .kind = RECORD_OPERATION, .when = now, .at = manager->n_noted_operations++ };
        manager_later(manager);
}

int records_reserve(Manager *manager) {
        unsigned n_max = manager->n_services + RECORDS_SPARE;
        Record *records;

        records_flush(manager);
        records = reallocarray(manager->records, n_max, sizeof(*records));
        if (!records)
                return -ENOMEM;
        manager->records = records;
        manager->n_records_max = n_max;
        return 0;
}
