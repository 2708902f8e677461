#include "verb.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "../protocol/nearest.h"
#include "verbs.h"

#define WAITING  OPTION_NO_WAIT
#define DRAINING (OPTION_NO_WAIT | OPTION_BUDGET | OPTION_REASON | OPTION_NOW | OPTION_KILL)

const Verb verb_table[] = {
        { "status", status_run, 0, VERB_NAMES_ANY, 0, "Look", "[NAME...]", "what runs, and what it waits for",
          "Without names one line for each service; with names all about those.\n"
          "Exit status with names: 0 they run, 3 one does not, 4 there is no such service.\n", NULL },
        { "tree", process_tree, 1, 1, 0, NULL, "NAME", "the processes of a service",
          "Escapees are marked: they left its session, group or parent, and still belong to\n"
          "it.\n",
          "`drainctl tree NAME`" },
        { "plan", plan_run, 0, 0, OPTION_BUDGET, NULL, "", "what a drain would take in the worst case",
          "A chart of the order and the phases of a drain of everything that runs, held\n"
          "against the budget and against what the world outside allows. Changes nothing.\n", NULL },
        { "events", records_events, 0, 1, OPTION_LINES | OPTION_FOLLOW, NULL, "[NAME]", "what happened",
          "The newest events, of one service or of all.\n", NULL },
        { "logs", records_logs, 0, 1, OPTION_LINES | OPTION_FOLLOW, NULL, "[NAME]", "what services wrote",
          "The newest lines of output that draind still has, of one service or of all.\n", NULL },
        { "check", check_run, 0, VERB_NAMES_ANY, 0, NULL, "[FILE|DIR...]", "whether a configuration is valid",
          "Needs no daemon. Every mistake of all files is told at once; without arguments\n"
          "those of the usual places. With --json the configuration is printed as JSON.\n"
          "Exit status: 0 valid, 78 not.\n", NULL },

        { "start", start_run, 1, VERB_NAMES_ANY, WAITING | OPTION_ALL, "Start and stop", "NAME...|--all",
          "start services, and what they require",
          "Waits until they run (notify: until they are ready), or have failed.\n",
          "`drainctl start NAME`, or `drainctl start --all` for everything" },
        { "stop", drain_stop, 1, VERB_NAMES_ANY, DRAINING | OPTION_ALL, NULL, "NAME...|--all",
          "drain services until they have stopped",
          "They stay stopped. What requires them is drained before them. Asking again joins\n"
          "the drain that goes on, and can only make it shorter.\n"
          "With --now or --kill an operation's id may stand for the names.\n"
          "Exit status: 0 stopped, 9 stopped, but something had to be killed.\n",
          "`drainctl stop NAME`, or `drainctl stop --all` for everything" },
        { "restart", drain_restart, 1, VERB_NAMES_ANY, DRAINING | OPTION_ALL, NULL, "NAME...|--all",
          "drain services, then start them again",
          "What requires them is drained before them and started after them.\n",
          "`drainctl restart NAME`, or `drainctl restart --all` for everything" },
        { "drain", drain_run, 0, VERB_NAMES_ANY, DRAINING | OPTION_UNTIL | OPTION_EXIT | OPTION_ALL, NULL, "[NAME...]",
          "drain everything, or some services",
          "Without names: everything. --until quiesced goes up to the first signal and\n"
          "leaves the services up and withdrawn; `drainctl resume` takes that back. A later\n"
          "stop goes on with the same operation and the same deadline.\n"
          "With --now or --kill an operation's id may stand for the names.\n", NULL },
        { "resume", drain_resume, 0, 1, 0, NULL, "[OPERATION|NAME]", "take a drain back",
          "As a whole; by its id, or by a service that belongs to it. Possible until the\n"
          "first signal was sent; after that it is refused (exit status 8).\n", NULL },
        { "wait", wait_run, 0, VERB_NAMES_ANY, OPTION_FOR, NULL, "[OPERATION|NAME...]",
          "wait for an operation, or for services",
          "Without arguments for the operation that goes on. Names are waited for until\n"
          "they are in the state of --for. Leaving ends nothing.\n", NULL },

        { "reload", reload_run, 0, VERB_NAMES_ANY, OPTION_DRY_RUN | OPTION_RESTART | OPTION_NO_WAIT, "Change",
          "[NAME...]", "read the configuration again, or run ExecReload=",
          "Without names the configuration; a mistake in it changes nothing (exit status\n"
          "78). With names their ExecReload= is run.\n", NULL },
        { "kill", process_kill, 1, 1, OPTION_SIGNAL | OPTION_WHOM | OPTION_FORCE, NULL, "NAME",
          "send a signal to a service",
          "Refused for a service that drains, unless --force: its ladder sends the right\n"
          "ones. To end a service use stop.\n", "`drainctl kill NAME --signal HUP`" },

        { "is-running", status_is_running, 0, VERB_NAMES_ANY, 0, "Ask, in scripts", "[NAME...]",
          "0 when all of them run",
          "Without names: every service. Exit status: 0 so, 3 not so, 4 no such service.\n", NULL },
        { "is-ready", status_is_ready, 0, VERB_NAMES_ANY, 0, NULL, "[NAME...]", "0 when all of them are ready",
          "Without names: every service. Exit status: 0 so, 3 not so, 4 no such service.\n", NULL },
        { "is-drained", status_is_drained, 0, VERB_NAMES_ANY, 0, NULL, "[NAME...]", "0 when all of them have stopped",
          "Stopped is empty: no process of them is left.\n"
          "Without names: every service. Exit status: 0 so, 3 not so, 4 no such service.\n", NULL },
        { "is-failed", status_is_failed, 0, VERB_NAMES_ANY, 0, NULL, "[NAME...]", "0 when one of them has failed",
          "Stopped, and not with success.\n"
          "Without names: any service. Exit status: 0 so, 3 not so, 4 no such service.\n", NULL },
        { NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, NULL },
};

const Verb *verb_find(const char *name) {
        for (const Verb *verb = verb_table; verb->name; verb++)
                if (strcmp(verb->name, name) == 0)
                        return verb;
        return NULL;
}

const char *verb_suggest(const char *name) {
        /* Words of other tools, which no distance of letters finds. */
        static const char *const habits[][2] = { { "list", "status" },  { "ls", "status" },   { "show", "status" },
                                                 { "ps", "tree" },      { "verify", "check" }, { "log", "logs" },
                                                 { "up", "start" },     { "down", "stop" },   { "signal", "kill" },
                                                 { "undrain", "resume" }, { "is-active", "is-running" },
                                                 { "is-stopped", "is-drained" }, { "daemon-reload", "reload" } };
        const char *names[n_elements(verb_table)];

        for (size_t i = 0; i < n_elements(habits); i++)
                if (strcmp(habits[i][0], name) == 0)
                        return habits[i][1];
        for (size_t i = 0; i < n_elements(names); i++)
                names[i] = verb_table[i].name;
        return nearest_of(name, names, n_elements(names));
}

static void print_option(size_t i, unsigned wanted) {
        const char *usage, *text;
        OptionId id;

        if (options_describe(i, &id, &usage, &text) && usage && (id & wanted))
                printf("  %-22s %s\n", usage, text);
}

static void print_options(unsigned wanted) {
        const char *usage, *text;
        OptionId id;

        for (size_t i = 0; options_describe(i, &id, &usage, &text); i++)
                print_option(i, wanted);
}

void verb_print_overview(void) {
        printf("Usage: drainctl [OPTION...] VERB [NAME...]\n\n"
               "Controls draind: looks at services, starts them, and stops them well.\n");
        for (const Verb *verb = verb_table; verb->name; verb++) {
                char usage[64];

                if (verb->group)
                        printf("\n%s:\n", verb->group);
                (void) snprintf(usage, sizeof(usage), "%s %s", verb->name, verb->synopsis);
                printf("  %-28s %s\n", usage, verb->summary);
        }
        printf("\nOptions of every verb:\n");
        print_options(OPTIONS_COMMON);
        printf("\n`drainctl VERB --help` tells more of each. Exit status: 0 reached, 1 failed,\n"
               "2 usage, 3 not so, 4 and 5 no such service, 8 refused, 9 something had to be\n"
               "killed, 69 no daemon, 77 not permitted, 78 configuration not valid, 124 waited\n"
               "long enough.\n");
}

void verb_print_help(const Verb *verb) {
        printf("Usage: drainctl %s [OPTION...]%s%s\n\n", verb->name, verb->synopsis[0] ? " " : "", verb->synopsis);
        printf("%c%s.\n%s", toupper((unsigned char) verb->summary[0]), verb->summary + 1, verb->text);
        if (verb->options) {
                printf("\nOptions:\n");
                print_options(verb->options);
        }
        printf("\nOptions of every verb:\n");
        print_options(OPTIONS_COMMON);
}
