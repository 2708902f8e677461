/* drainctl: the command line of draind. Needs nothing but the control socket. */

#include <stdio.h>
#include <string.h>

#include "client.h"
#include "config.h"
#include "verb.h"

static int unknown_verb(const char *name) {
        const char *meant = verb_suggest(name);

        if (meant)
                return client_fail(STATUS_USAGE, "There is no verb '%s'. Did you mean `drainctl %s`?", name, meant);
        return client_fail(STATUS_USAGE, "There is no verb '%s'; `drainctl help` lists them.", name);
}

static int check_names(const Options *options, const Verb *verb) {
        bool is_all = options_has(options, OPTION_ALL);

        if (is_all && options->n_names > 0)
                return client_fail(STATUS_USAGE, "--all and names exclude each other.");
        if (options->n_names < verb->names_min && !is_all)
                return client_fail(STATUS_USAGE, "%s what? Write %s.", verb->name, verb->usage_hint);
        if (options->n_names <= verb->names_max)
                return STATUS_REACHED;
        if (verb->names_max == 0)
                return client_fail(STATUS_USAGE, "%s takes no names.", verb->name);
        return client_fail(STATUS_USAGE, "%s takes one name only.", verb->name);
}

static int check_usage(const Options *options, const Verb *verb) {
        const char *misplaced = options_misplaced(options, verb->options | OPTIONS_COMMON);

        if (misplaced)
                return client_fail(STATUS_USAGE, "%s does not take --%s; `drainctl %s --help` says what it takes.",
                                   verb->name, misplaced, verb->name);
        if (options_has(options, OPTION_NOW) && options_has(options, OPTION_KILL))
                return client_fail(STATUS_USAGE, "--now and --kill exclude each other.");
        return check_names(options, verb);
}

static int run(const Options *options, const Verb *verb) {
        Client client;
        int status = check_usage(options, verb), r;

        if (status != STATUS_REACHED)
                return status;
        r = client_init(&client, options);
        if (r < 0)
                die(r);
        status = verb->run(&client);
        client_done(&client);
        return status;
}

static int help(const char *name) {
        const Verb *verb = name ? verb_find(name) : NULL;

        if (name && !verb)
                return unknown_verb(name);
        if (verb)
                verb_print_help(verb);
        else
                verb_print_overview();
        return STATUS_REACHED;
}

static int dispatch(const Options *options) {
        const char *name = options->verb;
        const Verb *verb;

        if (options_has(options, OPTION_VERSION) || (name && strcmp(name, "version") == 0)) {
                printf("drainctl %s\n", DRAIND_VERSION);
                return STATUS_REACHED;
        }
        if (name && strcmp(name, "help") == 0)
                return help(options->names[0]);
        if (options_has(options, OPTION_HELP))
                return help(name);
        if (!name)
                return client_fail(STATUS_USAGE, "What is to be done? `drainctl help` lists the verbs.");
        verb = verb_find(name);
        return verb ? run(options, verb) : unknown_verb(name);
}

int main(int argc, char **argv) {
        Options options;
        int status = STATUS_USAGE;

        if (options_parse(argc, argv, &options) == OPTIONS_PARSED)
                status = dispatch(&options);
        options_done(&options);
        if (fflush(stdout) != 0 && status == STATUS_REACHED)
                status = STATUS_FAILED;
        return status;
}
