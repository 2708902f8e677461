#include "model-json.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Every field of the model stands in a table once; both directions go by it, so neither can forget one. */

typedef enum Kind {
        KIND_STRING, /* char *, or null */
        KIND_NAME,   /* char *, never null */
        KIND_BOOLEAN,
        KIND_DURATION, /* usec_t; "infinity" is a string */
        KIND_UNSIGNED, /* unsigned, 32 bits; enums as well */
        KIND_INT,
        KIND_BITS,     /* uint64_t, below 2^63 */
        KIND_SIGNALS,  /* uint64_t: the list of signals whose bit is set */
        KIND_STATUSES, /* uint64_t[4]: the list of statuses whose bit is set */
        KIND_STRINGS,
        KIND_COMMAND,
        KIND_COMMANDS,
        KIND_OUTPUT,
        KIND_RUNGS,
        KIND_LIMITS,
        KIND_GROUPS,
} Kind;

typedef struct Field {
        const char *name;
        Kind kind;
        size_t offset;
        size_t offset_n; /* of the length, where it is apart */
        int64_t min, max;
} Field;

#define FIELD(type, kind, field)                                                                                       \
        { #field, kind, offsetof(type, field), 0, 0, 0 }
#define RANGE(type, kind, field, min, max)                                                                             \
        { #field, kind, offsetof(type, field), 0, min, max }
#define COUNTED(type, kind, field, n)                                                                                  \
        { #field, kind, offsetof(type, field), offsetof(type, n), 0, 0 }

static const Field manager_fields[] = {
        RANGE(Model, KIND_DURATION, grace, 0, 0),
        RANGE(Model, KIND_DURATION, outer_grace, 0, 1), /* max 1: infinity is possible */
        RANGE(Model, KIND_DURATION, kill_reserve, 0, 0),
        RANGE(Model, KIND_UNSIGNED, warn_stop_after_percent, 1, 100),
        FIELD(Model, KIND_STRING, control_socket),
        FIELD(Model, KIND_BOOLEAN, has_control_group),
        RANGE(Model, KIND_UNSIGNED, control_group, 0, UINT32_MAX),
        FIELD(Model, KIND_STRING, runtime_directory),
        FIELD(Model, KIND_STRING, state_directory),
        RANGE(Model, KIND_UNSIGNED, log_target, 0, CONFIG_LOG_MAX - 1),
        RANGE(Model, KIND_INT, log_level, 0, 7),
        FIELD(Model, KIND_BOOLEAN, use_cgroup),
        FIELD(Model, KIND_STRINGS, listen),
        FIELD(Model, KIND_BOOLEAN, is_command),
};

static const Field service_fields[] = {
        FIELD(ServiceConfig, KIND_NAME, name),
        FIELD(ServiceConfig, KIND_STRING, origin),
        RANGE(ServiceConfig, KIND_UNSIGNED, type, 0, SERVICE_TYPE_MAX - 1),
        FIELD(ServiceConfig, KIND_COMMANDS, start_pre),
        FIELD(ServiceConfig, KIND_COMMANDS, reload),
        FIELD(ServiceConfig, KIND_COMMANDS, stop),
        FIELD(ServiceConfig, KIND_COMMANDS, stop_post),
        FIELD(ServiceConfig, KIND_COMMAND, start),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_user),
        RANGE(ServiceConfig, KIND_UNSIGNED, uid, 0, UINT32_MAX),
        RANGE(ServiceConfig, KIND_UNSIGNED, gid, 0, UINT32_MAX),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_groups),
        COUNTED(ServiceConfig, KIND_GROUPS, groups, n_groups),
        FIELD(ServiceConfig, KIND_STRING, user_name),
        FIELD(ServiceConfig, KIND_STRING, home),
        FIELD(ServiceConfig, KIND_STRING, shell),
        FIELD(ServiceConfig, KIND_STRING, working_directory),
        FIELD(ServiceConfig, KIND_BOOLEAN, working_directory_may_fail),
        FIELD(ServiceConfig, KIND_STRINGS, environment),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_umask),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_nice),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_oom_score_adjust),
        RANGE(ServiceConfig, KIND_UNSIGNED, umask, 0, 0777),
        RANGE(ServiceConfig, KIND_INT, nice, -20, 19),
        RANGE(ServiceConfig, KIND_INT, oom_score_adjust, -1000, 1000),
        COUNTED(ServiceConfig, KIND_LIMITS, limits, n_limits),
        FIELD(ServiceConfig, KIND_BOOLEAN, no_new_privileges),
        FIELD(ServiceConfig, KIND_BOOLEAN, has_bounding),
        FIELD(ServiceConfig, KIND_BITS, bounding),
        FIELD(ServiceConfig, KIND_BITS, ambient),
        RANGE(ServiceConfig, KIND_OUTPUT, output, 0, OUTPUT_KIND_MAX - 1),
        RANGE(ServiceConfig, KIND_OUTPUT, error, 0, OUTPUT_KIND_MAX),
        FIELD(ServiceConfig, KIND_STRINGS, requires),
        FIELD(ServiceConfig, KIND_STRINGS, wants),
        FIELD(ServiceConfig, KIND_STRINGS, after),
        RANGE(ServiceConfig, KIND_UNSIGNED, restart, 0, RESTART_POLICY_MAX - 1),
        RANGE(ServiceConfig, KIND_DURATION, restart_delay, 0, 0),
        RANGE(ServiceConfig, KIND_DURATION, restart_delay_max, 0, 0),
        RANGE(ServiceConfig, KIND_UNSIGNED, start_limit_burst, 0, UINT32_MAX),
        RANGE(ServiceConfig, KIND_DURATION, start_limit_interval, 0, 0),
        FIELD(ServiceConfig, KIND_STATUSES, success_statuses),
        FIELD(ServiceConfig, KIND_SIGNALS, success_signals),
        RANGE(ServiceConfig, KIND_DURATION, start_timeout, 0, 1),
        RANGE(ServiceConfig, KIND_DURATION, watchdog, 0, 0),
        FIELD(ServiceConfig, KIND_BOOLEAN, is_essential),
        RANGE(ServiceConfig, KIND_DURATION, withdraw, 0, 0),
        RANGE(ServiceConfig, KIND_DURATION, quiesce, 0, 0),
        RANGE(ServiceConfig, KIND_UNSIGNED, withdraw_ready, 0, WITHDRAW_READY_MAX - 1),
        FIELD(ServiceConfig, KIND_STRINGS, guards),
        RANGE(ServiceConfig, KIND_UNSIGNED, on_guard_timeout, 0, ON_GUARD_MAX - 1),
        COUNTED(ServiceConfig, KIND_RUNGS, rungs, n_rungs),
        RANGE(ServiceConfig, KIND_DURATION, kill_reserve, 0, 0),
        FIELD(ServiceConfig, KIND_STRINGS, stop_after),
        FIELD(ServiceConfig, KIND_BOOLEAN, is_supporting),
};

/* --- to JSON; each returns a new reference, or NULL --- */

static json_t *array_of(size_t n, json_t *(*make)(const void *items, size_t index), const void *items) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++)
                if (json_array_append_new(array, make(items, i)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

static json_t *from_amount(uint64_t value) {
        return value == UINT64_MAX ? json_string("infinity") : json_integer((json_int_t) value);
}

static json_t *from_string(const void *items, size_t i) {
        return json_string(((char *const *) items)[i]);
}

static json_t *from_group(const void *items, size_t i) {
        return json_integer(((const gid_t *) items)[i]);
}

static json_t *from_rung(const void *items, size_t i) {
        const Rung *rung = (const Rung *) items + i;

        return json_pack("{s:i, s:b, s:o}", "signal", rung->signal, "to_tree", rung->to_tree, "time",
                         from_amount(rung->time));
}

static json_t *from_limit(const void *items, size_t i) {
        const Limit *limit = (const Limit *) items + i;

        return json_pack("{s:i, s:o, s:o}", "resource", limit->resource, "soft", from_amount(limit->soft), "hard",
                         from_amount(limit->hard));
}

static json_t *from_command(const void *items, size_t i) {
        const Command *command = (const Command *) items + i;
        json_t *argv;
        size_t n = 0;

        while (command->argv && command->argv[n])
                n++;
        argv = array_of(n, from_string, command->argv);
        return argv ? json_pack("{s:o, s:b}", "argv", argv, "may_fail", command->may_fail) : NULL;
}

static json_t *from_bits(const uint64_t *words, unsigned n_words, unsigned base) {
        json_t *array = json_array();

        for (unsigned i = 0; array && i < n_words * 64; i++)
                if (words[i / 64] >> i % 64 & 1 && json_array_append_new(array, json_integer(i + base)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

static json_t *from_field(const Field *field, const char *base) {
        const void *at = base + field->offset;
        const unsigned *n = (const void *) (base + field->offset_n);
        const StringList *strings = at;
        const CommandList *commands = at;
        const Output *output = at;

        switch (field->kind) {
        case KIND_STRING:
        case KIND_NAME:
                return *(char *const *) at ? json_string(*(char *const *) at) : json_null();
        case KIND_BOOLEAN:
                return json_boolean(*(const bool *) at);
        case KIND_DURATION:
                return from_amount(*(const usec_t *) at);
        case KIND_UNSIGNED:
                return json_integer(*(const unsigned *) at);
        case KIND_INT:
                return json_integer(*(const int *) at);
        case KIND_BITS:
                return json_integer((json_int_t) * (const uint64_t *) at);
        case KIND_SIGNALS:
                return from_bits(at, 1, 1);
        case KIND_STATUSES:
                return from_bits(at, 4, 0);
        case KIND_STRINGS:
                return array_of(strings->n, from_string, strings->items);
        case KIND_COMMAND:
                return from_command(at, 0);
        case KIND_COMMANDS:
                return array_of(commands->n, from_command, commands->items);
        case KIND_OUTPUT:
                return json_pack("{s:i, s:s?}", "kind", (int) output->kind, "path", output->path);
        case KIND_RUNGS:
                return array_of(*n, from_rung, *(void *const *) at);
        case KIND_LIMITS:
                return array_of(*n, from_limit, *(void *const *) at);
        case KIND_GROUPS:
                return array_of(*n, from_group, *(void *const *) at);
        }
        return NULL;
}

/* Fields that are as in first are left out. */
static json_t *from_fields(const Field *fields, size_t n, const void *base, const json_t *first) {
        json_t *object = json_object();

        for (size_t i = 0; object && i < n; i++) {
                json_t *value = from_field(&fields[i], base);

                if (first && value && json_equal(value, json_object_get(first, fields[i].name))) {
                        json_decref(value);
                } else if (json_object_set_new_nocheck(object, fields[i].name, value) < 0) {
                        json_decref(object);
                        return NULL;
                }
        }
        return object;
}

static json_t *from_services(const Model *model) {
        json_t *array = json_array();

        for (unsigned i = 0; array && i < model->n_services; i++) {
                json_t *service = from_fields(service_fields, n_elements(service_fields), &model->services[i],
                                              json_array_get(array, 0));

                if (json_array_append_new(array, service) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

json_t *model_to_json(const Model *model) {
        json_t *manager = from_fields(manager_fields, n_elements(manager_fields), model, NULL);
        json_t *services = from_services(model);

        if (!manager || !services) {
                json_decref(manager);
                json_decref(services);
                return NULL;
        }
        return json_pack("{s:i, s:o, s:o}", "version", MODEL_JSON_VERSION, "manager", manager, "services", services);
}

/* --- from JSON: 0, -ENOMEM, -EBADMSG. What is half made is in its place already and freed with the model. --- */

static int to_integer(const json_t *json, int64_t min, int64_t max, int64_t *ret) {
        json_int_t value = json_integer_value(json);

        if (!json_is_integer(json) || value < min || value > max)
                return -EBADMSG;
        *ret = value;
        return 0;
}

static int to_boolean(const json_t *json, bool *ret) {
        *ret = json_is_true(json);
        return json_is_boolean(json) ? 0 : -EBADMSG;
}

static int to_amount(const json_t *json, bool may_be_infinite, uint64_t *ret) {
        int64_t value = 0;
        int r;

        if (may_be_infinite && json_is_string(json) && strcmp(json_string_value(json), "infinity") == 0) {
                *ret = UINT64_MAX;
                return 0;
        }
        r = to_integer(json, 0, INT64_MAX, &value);
        *ret = (uint64_t) value;
        return r;
}

static int to_string(const json_t *json, bool may_be_null, char **ret) {
        if (may_be_null && json_is_null(json))
                return 0;
        if (!json_is_string(json) || strlen(json_string_value(json)) != json_string_length(json))
                return -EBADMSG;
        *ret = strdup(json_string_value(json));
        return *ret ? 0 : -ENOMEM;
}

/* Room for exactly the array's elements, zeroed. */
static int to_array(const json_t *json, size_t max, size_t size, void **ret_items, unsigned *ret_n) {
        size_t n = json_array_size(json);

        if (!json_is_array(json) || n > max)
                return -EBADMSG;
        if (n > 0) {
                *ret_items = calloc(n, size);
                if (!*ret_items)
                        return -ENOMEM;
        }
        *ret_n = (unsigned) n;
        return 0;
}

static int to_strings(const json_t *json, StringList *list) {
        unsigned n;
        int r;

        r = to_array(json, UINT32_MAX, sizeof(*list->items), (void **) &list->items, &n);
        while (r == 0 && list->n < n) {
                r = to_string(json_array_get(json, list->n), false, &list->items[list->n]);
                list->n += r == 0;
        }
        return r;
}

/* may_be_empty: the service has no command yet. */
static int to_command(const json_t *json, Command *command, bool may_be_empty) {
        const json_t *argv = json_object_get(json, "argv");
        size_t n = json_array_size(argv);
        int r;

        if (json_object_size(json) != 2 || !json_is_array(argv) || (n == 0 && !may_be_empty))
                return -EBADMSG;
        r = to_boolean(json_object_get(json, "may_fail"), &command->may_fail);
        if (r < 0 || n == 0)
                return r;
        command->argv = calloc(n + 1, sizeof(*command->argv));
        if (!command->argv)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = to_string(json_array_get(argv, i), false, &command->argv[i]);
        return r == 0 && *command->argv[0] == '\0' ? -EBADMSG : r;
}

static int to_commands(const json_t *json, CommandList *list) {
        int r;

        r = to_array(json, UINT32_MAX, sizeof(*list->items), (void **) &list->items, &list->n);
        for (unsigned i = 0; r == 0 && i < list->n; i++)
                r = to_command(json_array_get(json, i), &list->items[i], false);
        return r;
}

static int to_output(const json_t *json, const Field *field, Output *output) {
        int64_t kind;
        int r;

        if (json_object_size(json) != 2)
                return -EBADMSG;
        r = to_integer(json_object_get(json, "kind"), field->min, field->max, &kind);
        if (r == 0)
                r = to_string(json_object_get(json, "path"), true, &output->path);
        if (r < 0)
                return r;
        output->kind = (OutputKind) kind;
        return (output->kind == OUTPUT_FILE || output->kind == OUTPUT_APPEND) == (output->path != NULL) ? 0 : -EBADMSG;
}

static int to_rungs(const json_t *json, Rung **items, unsigned *n) {
        int64_t signal;
        int r;

        r = to_array(json, RUNGS_MAX, sizeof(**items), (void **) items, n);
        if (r == 0 && *n == 0)
                r = -EBADMSG;
        for (unsigned i = 0; r == 0 && i < *n; i++) {
                const json_t *rung = json_array_get(json, i);

                if (json_object_size(rung) != 3)
                        return -EBADMSG;
                r = to_integer(json_object_get(rung, "signal"), 1, SIGRTMAX, &signal);
                if (r == 0)
                        r = to_boolean(json_object_get(rung, "to_tree"), &(*items)[i].to_tree);
                if (r == 0)
                        r = to_amount(json_object_get(rung, "time"), false, &(*items)[i].time);
                if (r == 0)
                        (*items)[i].signal = (int) signal;
        }
        return r;
}

static int to_limits(const json_t *json, Limit **items, unsigned *n) {
        int64_t resource;
        int r;

        r = to_array(json, RLIM_NLIMITS, sizeof(**items), (void **) items, n);
        for (unsigned i = 0; r == 0 && i < *n; i++) {
                const json_t *limit = json_array_get(json, i);

                if (json_object_size(limit) != 3)
                        return -EBADMSG;
                r = to_integer(json_object_get(limit, "resource"), 0, RLIM_NLIMITS - 1, &resource);
                if (r == 0)
                        r = to_amount(json_object_get(limit, "soft"), true, &(*items)[i].soft);
                if (r == 0)
                        r = to_amount(json_object_get(limit, "hard"), true, &(*items)[i].hard);
                if (r == 0)
                        (*items)[i].resource = (int) resource;
        }
        return r;
}

static int to_groups(const json_t *json, gid_t **items, unsigned *n) {
        int64_t group;
        int r;

        r = to_array(json, UINT32_MAX, sizeof(**items), (void **) items, n);
        for (unsigned i = 0; r == 0 && i < *n; i++) {
                r = to_integer(json_array_get(json, i), 0, UINT32_MAX, &group);
                if (r == 0)
                        (*items)[i] = (gid_t) group;
        }
        return r;
}

static int to_bits(const json_t *json, uint64_t *words, unsigned n_words, unsigned base) {
        int64_t bit;

        if (!json_is_array(json))
                return -EBADMSG;
        memset(words, 0, n_words * sizeof(*words));
        for (size_t i = 0; i < json_array_size(json); i++) {
                if (to_integer(json_array_get(json, i), base, n_words * 64 - 1 + base, &bit) < 0)
                        return -EBADMSG;
                bit -= base;
                words[bit / 64] |= UINT64_C(1) << bit % 64;
        }
        return 0;
}

static int to_field(const json_t *json, const Field *field, char *base) {
        unsigned *n = (void *) (base + field->offset_n);
        void *at = base + field->offset;
        int64_t number;
        int r;

        switch (field->kind) {
        case KIND_STRING:
        case KIND_NAME:
                return to_string(json, field->kind == KIND_STRING, at);
        case KIND_BOOLEAN:
                return to_boolean(json, at);
        case KIND_DURATION:
                return to_amount(json, field->max == 1, at);
        case KIND_UNSIGNED:
                r = to_integer(json, field->min, field->max, &number);
                if (r == 0)
                        *(unsigned *) at = (unsigned) number;
                return r;
        case KIND_INT:
                r = to_integer(json, field->min, field->max, &number);
                if (r == 0)
                        *(int *) at = (int) number;
                return r;
        case KIND_BITS:
                return to_amount(json, false, at);
        case KIND_SIGNALS:
                return to_bits(json, at, 1, 1);
        case KIND_STATUSES:
                return to_bits(json, at, 4, 0);
        case KIND_STRINGS:
                return to_strings(json, at);
        case KIND_COMMAND:
                return to_command(json, at, true);
        case KIND_COMMANDS:
                return to_commands(json, at);
        case KIND_OUTPUT:
                return to_output(json, field, at);
        case KIND_RUNGS:
                return to_rungs(json, at, n);
        case KIND_LIMITS:
                return to_limits(json, at, n);
        case KIND_GROUPS:
                return to_groups(json, at, n);
        }
        return -EBADMSG;
}

/* Remembers the first reason only: the innermost one. */
static int bad(char *reason, const char *format, ...) printf_like(2, 3);
static int bad(char *reason, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        if (*reason == '\0')
                (void) vsnprintf(reason, MODEL_JSON_REASON_MAX, format, arguments);
        va_end(arguments);
        return -EBADMSG;
}

/* What is left out is as in first. */
static int to_fields(const json_t *json, const Field *fields, size_t n, const json_t *first, void *base,
                     const char *where, char *reason) {
        size_t n_given = 0;
        const char *name;
        json_t *value;

        if (!json_is_object(json))
                return bad(reason, "%s is no object", where);
        for (size_t i = 0; i < n; i++) {
                const json_t *given = json_object_get(json, fields[i].name);
                int r;

                n_given += given != NULL;
                if (!given)
                        given = json_object_get(first, fields[i].name);
                if (!given)
                        return bad(reason, "%s.%s is missing", where, fields[i].name);
                r = to_field(given, &fields[i], base);
                if (r == -EBADMSG)
                        return bad(reason, "%s.%s is not what it must be", where, fields[i].name);
                if (r < 0)
                        return r;
        }
        if (json_object_size(json) == n_given)
                return 0;
        json_object_foreach((json_t *) json, name, value) {
                size_t i = 0;

                while (i < n && strcmp(fields[i].name, name) != 0)
                        i++;
                if (i == n)
                        return bad(reason, "%s.%.60s is unknown", where, name);
        }
        return bad(reason, "%s has a field twice", where);
}

static int to_services(const json_t *json, Model *model, char *reason) {
        int r;

        r = to_array(json, SERVICES_MAX, sizeof(*model->services), (void **) &model->services, &model->n_services);
        if (r == -EBADMSG)
                return bad(reason, "services is no array of at most %u", SERVICES_MAX);
        for (unsigned i = 0; r == 0 && i < model->n_services; i++) {
                const ServiceConfig *service = &model->services[i];
                char where[32];

                (void) snprintf(where, sizeof(where), "services[%u]", i);
                r = to_fields(json_array_get(json, i), service_fields, n_elements(service_fields),
                              i > 0 ? json_array_get(json, 0) : NULL, &model->services[i], where, reason);
                if (r < 0)
                        return r;
                if (*service->name == '\0' || strlen(service->name) > SERVICE_NAME_MAX)
                        return bad(reason, "%s.name is no name", where);
                if (!service->start.argv)
                        return bad(reason, "%s.start has no command", where);
                if (i > 0 && strcmp(service[-1].name, service->name) >= 0)
                        return bad(reason, "%s is out of order: services are sorted by name, each is there once",
                                   where);
        }
        return r;
}

int model_from_json_explained(Model *ret, const json_t *json, char *reterr_reason) {
        cleanup(model_donep) Model model = { 0 };
        int64_t version;
        int r;

        *reterr_reason = '\0';
        if (!json_is_object(json) || json_object_size(json) != 3)
                return bad(reterr_reason, "the document is no object of version, manager and services");
        if (to_integer(json_object_get(json, "version"), MODEL_JSON_VERSION, MODEL_JSON_VERSION, &version) < 0)
                return bad(reterr_reason, "version is not %d", MODEL_JSON_VERSION);
        r = to_fields(json_object_get(json, "manager"), manager_fields, n_elements(manager_fields), NULL, &model,
                      "manager", reterr_reason);
        if (r == 0)
                r = to_services(json_object_get(json, "services"), &model, reterr_reason);
        if (r < 0)
                return r;
        *ret = model;
        model = (Model){ 0 };
        return 0;
}

int model_from_json(Model *ret, const json_t *json) {
        char reason[MODEL_JSON_REASON_MAX];

        return model_from_json_explained(ret, json, reason);
}
