#include "cause.h"

#include <stdio.h>

#include "../config/model.h" /* signal_format() */

static const char *const kind_names[CAUSE_KIND_MAX] = {
        [CAUSE_NONE] = "none",
        [CAUSE_SIGNAL] = "signal",
        [CAUSE_CLIENT] = "client",
        [CAUSE_PROBE] = "probe",
        [CAUSE_DEPENDENCY] = "dependency",
        [CAUSE_EXIT] = "exit",
        [CAUSE_LIMIT] = "limit",
        [CAUSE_TIMEOUT] = "timeout",
        [CAUSE_RELOAD] = "reload",
        [CAUSE_KEEPER] = "keeper",
};

const char *cause_kind_name(CauseKind kind) {
        return kind < CAUSE_KIND_MAX ? kind_names[kind] : "unknown";
}

static void format_asker(char *buf, size_t size, const Cause *cause) {
        if (cause->pid <= 0)
                buf[0] = '\0';
        else if (cause->command[0] != '\0')
                (void) snprintf(buf, size, " from %.16s (pid %d, uid %u)", cause->command, cause->pid, cause->uid);
        else
                (void) snprintf(buf, size, " from pid %d, uid %u", cause->pid, cause->uid);
}

char *cause_format(char *buf, size_t size, const Cause *cause) {
        char asker[80], signal[16], what[CAUSE_TEXT_MAX + 64];

        format_asker(asker, sizeof(asker), cause);
        switch ((CauseKind) cause->kind) {
        case CAUSE_SIGNAL:
                (void) snprintf(what, sizeof(what), "SIG%s", signal_format(signal, sizeof(signal), cause->signal));
                break;
        case CAUSE_CLIENT:
                (void) snprintf(what, sizeof(what), "request");
                break;
        case CAUSE_PROBE:
                (void) snprintf(what, sizeof(what), "live probe of %s failed", cause->service);
                break;
        case CAUSE_DEPENDENCY:
                (void) snprintf(what, sizeof(what), "%s, which it requires, has failed", cause->service);
                break;
        case CAUSE_EXIT:
                (void) snprintf(what, sizeof(what), "%s ended", cause->service[0] ? cause->service : "it");
                break;
        case CAUSE_LIMIT:
                (void) snprintf(what, sizeof(what), "%s was started too often", cause->service);
                break;
        case CAUSE_TIMEOUT:
                (void) snprintf(what, sizeof(what), "%s gave no sign in time", cause->service[0] ? cause->service : "it");
                break;
        case CAUSE_RELOAD:
                (void) snprintf(what, sizeof(what), "changed configuration");
                break;
        case CAUSE_KEEPER:
                (void) snprintf(what, sizeof(what), "the keeper is gone");
                break;
        case CAUSE_NONE:
        case CAUSE_KIND_MAX:
        default:
                (void) snprintf(what, sizeof(what), "no cause");
                break;
        }
        if (cause->reason[0] != '\0')
                (void) snprintf(buf, size, "%s%s: \"%.*s\"", what, asker, CAUSE_TEXT_MAX, cause->reason);
        else
                (void) snprintf(buf, size, "%s%s", what, asker);
        return buf;
}
