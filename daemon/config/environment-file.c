#include "environment-file.h"

#include <glob.h>
#include <string.h>

#include "files.h"
#include "keys.h"
#include "value-run.h"
#include "words.h"

/* Each byte is looked at in one of these. A quoted part may be followed by more of the value. */
typedef enum State {
        BEFORE_KEY,
        KEY,
        BEFORE_VALUE,
        VALUE,
        VALUE_ESCAPE,
        SINGLE_QUOTES,
        DOUBLE_QUOTES,
        DOUBLE_QUOTES_ESCAPE,
        COMMENT,
        COMMENT_ESCAPE
} State;

typedef struct Parser {
        State state;
        Report *report;
        unsigned file, line, key_line;
        StringList *environment;
        char *key, *value; /* owned; as large as the text */
        size_t n_key, n_value;
        size_t n_value_kept; /* without the space at its end that was not quoted */
        int status;
} Parser;

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void parser_put(Parser *parser, char c, bool is_kept) {
        parser->value[parser->n_value++] = c;
        if (is_kept)
                parser->n_value_kept = parser->n_value;
}

static void parser_push(Parser *parser) {
        Place place = { parser->file, parser->key_line };
        char *assignment;

        while (parser->n_key > 0 && is_space(parser->key[parser->n_key - 1]))
                parser->n_key--;
        parser->key[parser->n_key] = '\0';
        parser->value[parser->n_value_kept] = '\0';
        if (!value_run_is_environment_name(parser->key, parser->n_key)) {
                report_warning(parser->report, place, NULL, NULL,
                               "%s is no name of an environment variable; it is ignored", quoted(parser->key));
        } else if (asprintf(&assignment, "%s=%s", parser->key, parser->value) < 0) {
                parser->status = -ENOMEM;
        } else {
                int r = value_run_environment_put(parser->environment, assignment);

                if (r < 0)
                        parser->status = r;
        }
        parser->n_key = parser->n_value = parser->n_value_kept = 0;
        parser->state = BEFORE_KEY;
}

static void parser_on_key(Parser *parser, char c) {
        if (c == '\n') {
                parser->state = BEFORE_KEY; /* a line without '=' says nothing */
                parser->n_key = 0;
        } else if (c == '=') {
                parser->state = BEFORE_VALUE;
        } else {
                parser->key[parser->n_key++] = c;
        }
}

static void parser_on_value(Parser *parser, char c) {
        if (c == '\n') {
                parser_push(parser);
        } else if (c == '\\') {
                parser->state = VALUE_ESCAPE;
        } else if (parser->state == BEFORE_VALUE && (c == '\'' || c == '"')) {
                parser->state = c == '"' ? DOUBLE_QUOTES : SINGLE_QUOTES;
        } else if (parser->state == VALUE || !is_space(c)) {
                parser->state = VALUE;
                parser_put(parser, c, !is_space(c));
        }
}

static void parser_on_quoted(Parser *parser, char c) {
        if (parser->state == DOUBLE_QUOTES_ESCAPE) {
                parser->state = DOUBLE_QUOTES;
                if (!strchr("\"\\`$\n", c))
                        parser_put(parser, '\\', true);
                if (c != '\n')
                        parser_put(parser, c, true);
        } else if (c == (parser->state == SINGLE_QUOTES ? '\'' : '"')) {
                parser->state = BEFORE_VALUE;
        } else if (c == '\\' && parser->state == DOUBLE_QUOTES) {
                parser->state = DOUBLE_QUOTES_ESCAPE;
        } else {
                parser_put(parser, c, true);
        }
}

static void parser_feed(Parser *parser, char c) {
        switch (parser->state) {
        case BEFORE_KEY:
                if (c == '#' || c == ';') {
                        parser->state = COMMENT;
                } else if (!is_space(c)) {
                        parser->state = KEY;
                        parser->key_line = parser->line;
                        parser_on_key(parser, c);
                }
                break;
        case KEY:
                parser_on_key(parser, c);
                break;
        case BEFORE_VALUE:
        case VALUE:
                parser_on_value(parser, c);
                break;
        case VALUE_ESCAPE:
                parser->state = VALUE;
                if (c != '\n')
                        parser_put(parser, c, true);
                break;
        case SINGLE_QUOTES:
        case DOUBLE_QUOTES:
        case DOUBLE_QUOTES_ESCAPE:
                parser_on_quoted(parser, c);
                break;
        case COMMENT:
                parser->state = c == '\\' ? COMMENT_ESCAPE : c == '\n' ? BEFORE_KEY : COMMENT;
                break;
        case COMMENT_ESCAPE:
                parser->state = COMMENT; /* as in systemd, a comment goes on behind a backslash */
                break;
        }
        if (c == '\n')
                parser->line++;
}

int environment_file_parse(Report *report, const char *path, const char *text, size_t size, StringList *environment) {
        cleanup(freep) char *key = malloc(size + 1), *value = malloc(2 * size + 1);
        Parser parser = { .report = report,
                          .file = report_file(report, path),
                          .line = 1,
                          .environment = environment,
                          .key = key,
                          .value = value };

        if (!key || !value)
                return -ENOMEM;
        if (memchr(text, '\0', size) || !words_are_utf8(text, size)) {
                report_error(report, (Place){ parser.file, 0 }, NULL, NULL,
                             "this is no UTF-8 text; a file of environment variables has lines NAME=VALUE");
                return 0;
        }
        for (size_t i = 0; i < size && parser.status == 0; i++)
                parser_feed(&parser, text[i]);
        if (parser.status == 0 && parser.state != BEFORE_KEY && parser.state != KEY && parser.state != COMMENT &&
            parser.state != COMMENT_ESCAPE)
                parser_push(&parser);
        return parser.status;
}

static int load_one(Draft *draft, ServiceDraft *service, const char *path, bool may_be_missing, Place place) {
        cleanup(freep) char *text = NULL;
        size_t size;
        int r;

        r = files_read(path, &text, &size);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOENT && may_be_missing)
                return 0;
        if (r < 0) {
                report_error(draft->report, place, service->section, "EnvironmentFile",
                             "%s cannot be read: %s; write '-' in front of a path that may be missing", quoted(path),
                             strerror(-r));
                service->is_faulty = true;
                return 0;
        }
        return environment_file_parse(draft->report, path, text, size, &service->config.environment);
}

int environment_file_load(Draft *draft, ServiceDraft *service) {
        unsigned key = keys_index(keys_find("Service", "EnvironmentFile"));
        int r = 0;

        for (unsigned i = 0; i < service->n_references && r == 0; i++) {
                const Reference *reference = &service->references[i];
                bool may_be_missing = *reference->text == '-';
                const char *path = reference->text + may_be_missing;
                glob_t found;

                if (reference->key != key)
                        continue;
                if (!strpbrk(path, "*?[") || glob(path, 0, NULL, &found) != 0) {
                        r = load_one(draft, service, path, may_be_missing, reference->place);
                        continue;
                }
                for (size_t k = 0; k < found.gl_pathc && r == 0; k++)
                        r = load_one(draft, service, found.gl_pathv[k], may_be_missing, reference->place);
                globfree(&found);
        }
        return r;
}
