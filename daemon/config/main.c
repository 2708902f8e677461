/* draind-config: reads the configuration and ends. The model goes to stdout as one JSON document, or every mistake to
 * stderr. It may take its time, which the core may not: files and user databases can be slow. */

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "check.h"
#include "command-line.h"
#include "config.h"
#include "files.h"
#include "keys.h"
#include "model-json.h"
#include "words.h"

#define EXIT_USAGE 2

typedef struct Arguments {
        StringList paths; /* -c, in their order */
        CommandLine command;
        bool is_check;
} Arguments;

static void arguments_done(Arguments *arguments) {
        string_list_done(&arguments->paths);
}

static int machine_trouble(int error) {
        (void) fprintf(stderr, "draind-config: %s\n", strerror(-error));
        return EX_OSERR;
}

static int usage_fault(const char *text, const char *fault) {
        (void) fprintf(stderr, "draind-config: %s %s\nTry 'draind-config --help'.\n", text, fault);
        return EXIT_USAGE;
}

static int print_help(void) {
        (void) printf("Usage: draind-config [--check] [-c FILE|DIR]...\n"
                      "       draind-config [--check] [OPTION]... -- COMMAND [ARGUMENT]...\n"
                      "\n"
                      "Reads draind's configuration, and writes it to standard output as JSON, or every\n"
                      "mistake to standard error. draind runs it by itself.\n"
                      "\n"
                      "  -c, --config FILE|DIR   read this instead of " DRAIND_SYSCONFDIR "\n"
                      "      --check             print a summary and warnings instead of JSON\n"
                      "      --list-keys         print every section, key and default\n"
                      "      --grace TIME        COMMAND: how long its drain may take (30s)\n"
                      "      --withdraw TIME     COMMAND: how long to wait before its first signal (0)\n"
                      "      --stop-signals LIST COMMAND: the signals, as TERM:8s,INT:2s\n"
                      "      --name NAME         COMMAND: what to call it\n"
                      "      --help, --version\n"
                      "\n"
                      "Exit status: 0 valid, 2 wrong usage, 66 a file cannot be read, 71 system trouble,\n"
                      "78 not valid. See draind.conf(5).\n");
        return EXIT_SUCCESS;
}

static int list_keys(void) {
        const ConfigKey *keys;
        size_t n;

        keys = keys_table(&n);
        for (size_t i = 0; i < n; i++)
                (void) printf("%s %s%s%s\n", keys[i].section, keys[i].name, *keys[i].default_text ? " " : "",
                              keys[i].default_text);
        return EXIT_SUCCESS;
}

/* Everything went to stdout through stdio; whether it got there is known only now. */
static int finish_output(int status) {
        if (fflush(stdout) != 0 || ferror(stdout)) {
                (void) fprintf(stderr, "draind-config: standard output: %s\n", strerror(errno));
                return EX_OSERR;
        }
        return status;
}

enum {
        OPTION_CHECK = 256,
        OPTION_GRACE,
        OPTION_STOP_SIGNALS,
        OPTION_WITHDRAW,
        OPTION_NAME,
        OPTION_LIST,
        OPTION_VERSION
};
static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { "check", no_argument, NULL, OPTION_CHECK },
        { "grace", required_argument, NULL, OPTION_GRACE },
        { "stop-signals", required_argument, NULL, OPTION_STOP_SIGNALS },
        { "withdraw", required_argument, NULL, OPTION_WITHDRAW },
        { "name", required_argument, NULL, OPTION_NAME },
        { "list-keys", no_argument, NULL, OPTION_LIST },
        { "version", no_argument, NULL, OPTION_VERSION },
        { NULL, 0, NULL, 0 },
};

/* -1: go on. Otherwise the exit status. */
static int parse_arguments(int argc, char **argv, Arguments *arguments) {
        CommandLine *command = &arguments->command;

        for (int option; (option = getopt_long(argc, argv, "+c:h", options, NULL)) != -1;) {
                switch (option) {
                case 'c':
                        if (string_list_append(&arguments->paths, strdup(optarg)) < 0)
                                return machine_trouble(-ENOMEM);
                        break;
                case 'h':
                        return print_help();
                case OPTION_CHECK:
                        arguments->is_check = true;
                        break;
                case OPTION_GRACE:
                        command->grace = optarg;
                        break;
                case OPTION_STOP_SIGNALS:
                        command->stop_signals = optarg;
                        break;
                case OPTION_WITHDRAW:
                        command->withdraw = optarg;
                        break;
                case OPTION_NAME:
                        command->name = optarg;
                        break;
                case OPTION_LIST:
                        return list_keys();
                case OPTION_VERSION:
                        (void) printf("draind-config %s\n", DRAIND_VERSION);
                        return EXIT_SUCCESS;
                default:
                        return EXIT_USAGE; /* getopt has said why */
                }
        }
        if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
                return usage_fault(quoted(argv[optind]), "is no option; write -- in front of a command");
        if (optind == argc && optind > 1 && strcmp(argv[optind - 1], "--") == 0)
                return usage_fault("--", "has no command behind it");
        command->argv = optind < argc ? argv + optind : NULL;
        if (command->argv && arguments->paths.n > 0)
                return usage_fault("-c", "and a command exclude each other");
        if (!command->argv && (command->grace || command->stop_signals || command->withdraw || command->name))
                return usage_fault("--grace, --stop-signals, --withdraw and --name",
                                   "are for a command; write it behind --");
        return -1;
}

static int read_files(Draft *draft, Report *report, const StringList *paths) {
        cleanup(string_list_done) StringList files = { 0 };
        int r = 0;

        if (paths->n == 0)
                r = files_find_default(DRAIND_SYSCONFDIR, report, &files);
        for (unsigned i = 0; i < paths->n && r == 0; i++)
                r = files_find(paths->items[i], report, &files);
        for (unsigned i = 0; i < files.n && r == 0; i++) {
                cleanup(freep) char *text = NULL;
                size_t size;

                r = files_read(files.items[i], &text, &size);
                if (r == -ENOMEM)
                        return r;
                if (r < 0) {
                        report_unreadable(report, files.items[i], strerror(-r));
                        r = 0;
                        continue;
                }
                r = draft_read(draft, files.items[i], text, size);
        }
        return r;
}

static void print_summary(const Draft *draft, Report *report, unsigned n_files) {
        const Model *model = &draft->model;

        (void) printf("%s", report_file_name(report, 0));
        if (n_files > 1)
                (void) printf(" and %u more", n_files - 1);
        (void) printf(": %u service%s, valid.\n", model->n_services, model->n_services == 1 ? "" : "s");
        report_print_warnings(report, stdout);
}

static int print_model(const Model *model) {
        json_t *json = model_to_json(model);
        int r;

        if (!json) {
                (void) fprintf(stderr,
                               "draind-config: the configuration cannot be written as JSON: no memory, or a path "
                               "that is not UTF-8\n");
                return EX_OSERR;
        }
        r = json_dumpf(json, stdout, JSON_COMPACT);
        json_decref(json);
        if (r < 0 || putchar('\n') == EOF) {
                (void) fprintf(stderr, "draind-config: standard output: %s\n", strerror(errno));
                return EX_OSERR;
        }
        return EXIT_SUCCESS;
}

static int fill_draft(Draft *draft, Report *report, const Arguments *arguments) {
        int r;

        if (arguments->command.argv) {
                (void) report_file(report, "command line");
                r = command_line_draft(draft, &arguments->command);
        } else {
                r = read_files(draft, report, &arguments->paths);
        }
        return r;
}

static int run(const Arguments *arguments) {
        cleanup(draft_done) Draft draft = { 0 };
        cleanup(report_freep) Report *report = NULL;
        unsigned n_files;
        int r;

        r = report_new(&report);
        if (r == 0)
                r = draft_init(&draft, report);
        if (r == 0)
                r = fill_draft(&draft, report, arguments);
        if (r == COMMAND_LINE_WRONG) {
                report_print_errors(report, stderr);
                return EXIT_USAGE;
        }
        n_files = report ? report_n_files(report) : 0;
        if (r == 0)
                r = draft_finish(&draft);
        /* What is not read may have what the rest refers to. */
        if (r == 0 && !report_has_unreadable(report))
                r = check_rules(&draft);
        if (r == 0 && arguments->is_check)
                r = check_commands(&draft);
        if (r == 0)
                r = report_status(report);
        if (r < 0)
                return machine_trouble(r);
        if (report_n_errors(report) > 0) {
                report_print_errors(report, stderr);
                return report_has_unreadable(report) ? EX_NOINPUT : EX_CONFIG;
        }
        if (arguments->is_check) {
                print_summary(&draft, report, n_files);
                return EXIT_SUCCESS;
        }
        report_print_warnings(report, stderr);
        return print_model(&draft.model);
}

int main(int argc, char **argv) {
        cleanup(arguments_done) Arguments arguments = { 0 };
        int status;

        status = parse_arguments(argc, argv, &arguments);
        return finish_output(status >= 0 ? status : run(&arguments));
}
