#include "varlink-text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 64

typedef struct Walk {
        const VarlinkText *it;
        char fault[256]; /* the first thing that does not fit; "" none */
} Walk;

static const char *skip_space(const char *at) {
        for (;;) {
                at += strspn(at, " \t\n");
                if (*at != '#')
                        return at;
                at += strcspn(at, "\n");
        }
}

static const char *word(const char *at, char name[static NAME_MAX_BYTES]) {
        size_t n = 0;

        at = skip_space(at);
        while (isalnum((unsigned char) at[n]) || at[n] == '_' || at[n] == '.')
                n++;
        assert_true(n > 0 && n < NAME_MAX_BYTES);
        memcpy(name, at, n);
        name[n] = '\0';
        return skip_space(at + n);
}

static const char *expect_token(const char *at, const char *token) {
        at = skip_space(at);
        if (strncmp(at, token, strlen(token)) != 0)
                fail_msg("expected '%s' before: %.40s", token, at);
        return skip_space(at + strlen(token));
}

/* Behind "KEYWORD NAME", or NULL. */
static const char *find_declaration(const VarlinkText *it, const char *keyword, const char *name) {
        char line[NAME_MAX_BYTES * 2];
        size_t n = (size_t) snprintf(line, sizeof(line), "\n%s %s", keyword, name);

        for (const char *at = strstr(it->text, line); at; at = strstr(at + 1, line))
                if (!isalnum((unsigned char) at[n]))
                        return skip_space(at + n);
        return NULL;
}

static void fault(Walk *walk, const char *path, const char *what) {
        if (walk->fault[0] == '\0')
                (void) snprintf(walk->fault, sizeof(walk->fault), "%.180s %.60s", path, what);
}

static const char *walk_type(Walk *walk, const char *at, const json_t *value, const char *path);

/* value: NULL: the text alone is read. */
static const char *walk_fields(Walk *walk, const char *at, const json_t *value, const char *path) {
        char name[NAME_MAX_BYTES], deeper[256];
        size_t n_known = 0;

        if (value && !json_is_object(value))
                fault(walk, path, "is no object");
        at = expect_token(at, "(");
        while (*at != ')') {
                const json_t *member;

                at = expect_token(word(at, name), ":");
                (void) snprintf(deeper, sizeof(deeper), "%.180s.%s", path, name);
                member = json_object_get(value, name);
                n_known += member != NULL;
                if (json_is_object(value) && !member && *at != '?')
                        fault(walk, deeper, "is missing");
                at = walk_type(walk, at, member, deeper);
                if (*at != ')')
                        at = expect_token(at, ",");
        }
        if (json_is_object(value) && json_object_size(value) != n_known)
                fault(walk, path, "has members that are not declared");
        return expect_token(at, ")");
}

static const char *walk_array(Walk *walk, const char *at, const json_t *value, const char *path) {
        const char *end = walk_type(walk, at, NULL, path);
        const json_t *item;
        size_t i;

        if (value && !json_is_array(value))
                fault(walk, path, "is no array");
        json_array_foreach(value, i, item)
                (void) walk_type(walk, at, item, path);
        return end;
}

static const char *walk_named(Walk *walk, const char *at, const json_t *value, const char *path) {
        char name[NAME_MAX_BYTES];
        const char *end = word(at, name), *declared;
        bool fits = true;

        if (strcmp(name, "bool") == 0)
                fits = json_is_boolean(value);
        else if (strcmp(name, "int") == 0)
                fits = json_is_integer(value);
        else if (strcmp(name, "string") == 0)
                fits = json_is_string(value);
        else if (strcmp(name, "object") == 0)
                fits = json_is_object(value);
        else {
                declared = find_declaration(walk->it, "type", name);
                if (!declared)
                        fail_msg("the type '%s' is not declared", name);
                (void) walk_fields(walk, declared, value, path);
        }
        if (value && !fits)
                fault(walk, path, "has another type");
        return end;
}

static const char *walk_type(Walk *walk, const char *at, const json_t *value, const char *path) {
        at = skip_space(at);
        if (*at == '?')
                return walk_type(walk, at + 1, json_is_null(value) ? NULL : value, path);
        if (strncmp(at, "[]", 2) == 0)
                return walk_array(walk, at + 2, value, path);
        if (*at == '(')
                return walk_fields(walk, at, value, path);
        return walk_named(walk, at, value, path);
}

VarlinkText varlink_text(const char *text) {
        VarlinkText it = { .text = text };
        Walk walk = { .it = &it };
        char keyword[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
        const char *at = expect_token(text, "interface");

        it.name = at;
        at = word(at, name);
        while (*at != '\0') {
                at = word(word(at, keyword), name);
                at = walk_fields(&walk, at, NULL, name);
                if (strcmp(keyword, "method") == 0)
                        at = walk_fields(&walk, expect_token(at, "->"), NULL, name);
                else
                        assert_true(strcmp(keyword, "type") == 0 || strcmp(keyword, "error") == 0);
                it.n_methods += keyword[0] == 'm';
                it.n_errors += keyword[0] == 'e';
                it.n_types += keyword[0] == 't';
        }
        return it;
}

static void finish_walk(const Walk *walk, const json_t *parameters) {
        char *text;

        if (walk->fault[0] == '\0')
                return;
        text = json_dumps(parameters, JSON_COMPACT);
        fail_msg("%s: %s", walk->fault, text ? text : "");
}

void varlink_check_reply(const VarlinkText *it, const char *method, const json_t *parameters) {
        const char *at = find_declaration(it, "method", method);
        Walk walk = { .it = it };

        assert_non_null(at);
        assert_non_null(parameters);
        at = walk_fields(&walk, at, NULL, method);
        (void) walk_fields(&walk, expect_token(at, "->"), parameters, method);
        finish_walk(&walk, parameters);
}

void varlink_check_error(const VarlinkText *it, const char *error, const json_t *parameters) {
        const char *at = find_declaration(it, "error", error);
        Walk walk = { .it = it };

        if (!at)
                fail_msg("the error '%s' is not declared", error);
        (void) walk_fields(&walk, at, parameters, error);
        finish_walk(&walk, parameters);
}

bool varlink_fits(const VarlinkText *it, const char *type, const json_t *value) {
        Walk walk = { .it = it };

        (void) walk_type(&walk, type, value, "value");
        return walk.fault[0] == '\0';
}
