#include "value.h"

#include <ctype.h>
#include <signal.h>
#include <string.h>

#include "../../protocol/nearest.h"

/* The ladder: StopSignals=TERM:10s INT@tree:2s. */

static const char *const usual_signals[] = { "TERM", "INT",   "QUIT", "HUP",  "USR1",
                                             "USR2", "WINCH", "ABRT", "ALRM", "PWR" };

static int rung_signal(const KeyContext *context, const char *name, int *ret) {
        int signal;

        if (*name == '\0')
                return value_fault(context, "there is a rung without a signal; write SIGNAL:TIME, as TERM:10s");
        if (signal_parse(name, &signal) < 0) {
                if (isdigit((unsigned char) *name))
                        return value_fault(context,
                                           "%s is no signal; a time is written without a space, as "
                                           "TERM:1min30s",
                                           quoted(name));
                return value_fault(context, "%s is no signal%s; write a name as TERM, INT or RTMIN+3", quoted(name),
                                   did_you_mean(nearest_of(strncmp(name, "SIG", 3) == 0 ? name + 3 : name, usual_signals,
                                                        n_elements(usual_signals))));
        }
        if (signal == SIGKILL)
                return value_fault(context, "KILL always follows the ladder by itself; leave it out");
        if (signal == SIGSTOP || signal == SIGCONT)
                return value_fault(context, "%s stops no service for good; write a signal that asks it to end, as TERM",
                                   quoted(name));
        *ret = signal;
        return 0;
}

static int rung_time(const KeyContext *context, const char *word, const char *time, usec_t *ret) {
        usec_t duration;
        int r;

        r = duration_parse(time, &duration);
        if (r != 0 && r != -EINVAL && r != -ERANGE)
                return r;
        if (r == 0 && duration == USEC_INFINITY)
                return value_fault(context, "%s never ends; a rung has a time, as TERM:10s", quoted(word));
        if (r == -EINVAL)
                return value_fault(context, "%s: %s is no time span; write SIGNAL:TIME, as TERM:10s", quoted(word),
                                   quoted(time));
        if (r == -ERANGE || duration > VALUE_DURATION_MAX)
                return value_fault(context, "%s: %s is too long; at most 100 years are possible", quoted(word),
                                   quoted(time));
        if (duration == 0)
                return value_fault(context, "%s leaves no time to stop; write more than 0, as TERM:10s", quoted(word));
        *ret = duration;
        return 0;
}

/* word is taken apart in place. is_last: its time may be left out. */
static int rung_parse(const KeyContext *context, char *word, bool is_last, usec_t rest, Rung *ret) {
        cleanup(freep) char *whole = strdup(word);
        char *colon = strchr(word, ':'), *at;
        Rung rung = { .time = rest };
        int r;

        if (!whole)
                return -ENOMEM;
        if (colon)
                *colon = '\0';
        at = strchr(word, '@');
        if (at) {
                *at++ = '\0';
                if (strcmp(at, "tree") != 0 && strcmp(at, "main") != 0)
                        return value_fault(context, "%s: %s is no target; write @main or @tree", quoted(whole),
                                           quoted(at));
                rung.to_tree = strcmp(at, "tree") == 0;
        }
        r = rung_signal(context, word, &rung.signal);
        if (r != 0)
                return r;
        if (colon)
                r = rung_time(context, whole, colon + 1, &rung.time);
        else if (!is_last)
                r = value_fault(context, "%s has no time; only the last rung may leave it out, write %.20s:10s",
                                quoted(whole), whole);
        if (r != 0)
                return r;
        *ret = rung;
        return 0;
}

int value_parse_ladder(const KeyContext *context, const char *text, usec_t rest, Rung **ret, unsigned *ret_n) {
        cleanup(freep) char *copy = strdup(text);
        cleanup(freep) Rung *rungs = NULL;
        unsigned n = 0;
        char *state;
        int r;

        if (!copy)
                return -ENOMEM;
        for (char *word = strtok_r(copy, " \t,", &state), *next; word; word = next) {
                Rung *grown = reallocarray(rungs, n + 1, sizeof(*rungs));

                next = strtok_r(NULL, " \t,", &state);
                if (!grown)
                        return -ENOMEM;
                rungs = grown;
                if (n == RUNGS_MAX)
                        return value_fault(context, "the ladder has more than %u rungs", RUNGS_MAX);
                r = rung_parse(context, word, !next, rest, &rungs[n++]);
                if (r != 0)
                        return r;
        }
        if (n == 0)
                return value_fault(context, "the ladder has no rung; write SIGNAL:TIME, as TERM:10s");
        *ret = take(rungs);
        *ret_n = n;
        return 0;
}

int value_ladder(const KeyContext *context, const char *value, void *target) {
        ServiceConfig *config = target;
        Rung *rungs;
        unsigned n;
        int r;

        r = value_parse_ladder(context, value, 10 * USEC_PER_SEC, &rungs, &n);
        if (r != 0)
                return r;
        free(config->rungs);
        config->rungs = rungs;
        config->n_rungs = n;
        return 0;
}
