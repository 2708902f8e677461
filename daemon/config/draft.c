#include "draft.h"

#include <ctype.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include "../../protocol/nearest.h"
#include "environment-file.h"
#include "identity.h"
#include "ini.h"
#include "keys.h"
#include "words.h"

/* What the pairs that come now belong to. */
typedef struct Reading {
        Draft *draft;
        unsigned file;
        const char *kind; /* "Manager", "Service", "Probe"; NULL: pairs are left out */
        ServiceDraft *service;
        ProbeDraft probe;
        char section[256];
        bool has_manager; /* this file had one */
        unsigned manager_line;
} Reading;

int draft_init(Draft *draft, Report *report) {
        size_t n;

        (void) keys_table(&n);
        *draft = (Draft){ .report = report, .manager_places = calloc(n, sizeof(Place)) };
        model_defaults(&draft->model);
        return draft->manager_places ? 0 : -ENOMEM;
}

static ServiceDraft *service_draft_free(ServiceDraft *service) {
        if (!service)
                return NULL;
        service_config_done(&service->config);
        free(service->section);
        free(service->user);
        free(service->group);
        free(service->places);
        for (unsigned i = 0; i < service->n_references; i++)
                free(service->references[i].text);
        free(service->references);
        free(service);
        return NULL;
}

/* What tdestroy() does with a service: it has another owner. */
static void service_draft_keep(void *service) {
}

static void service_draft_freep(ServiceDraft **service) {
        *service = service_draft_free(*service);
}

static void forget_names(Draft *draft) {
        tdestroy(draft->by_name, service_draft_keep);
        draft->by_name = NULL;
}

void draft_done(Draft *draft) {
        forget_names(draft);
        for (unsigned i = 0; i < draft->n_services; i++)
                service_draft_free(draft->services[i]);
        free(draft->services);
        for (unsigned i = 0; i < draft->n_probes; i++)
                free(draft->probes[i].text);
        free(draft->probes);
        string_list_done(&draft->misspelt);
        free(draft->manager_places);
        model_done(&draft->model);
        *draft = (Draft){ 0 };
}

const char *service_name_fault(const char *name) {
        if (strlen(name) > SERVICE_NAME_MAX)
                return "it has more than 63 bytes";
        if (*name == '\0' || *name == '-' || *name == '.')
                return "it must not be empty, or begin with - or .";
        for (; *name != '\0'; name++)
                if (!isascii(*name) || (!isalnum((unsigned char) *name) && !strchr("-_.@", *name)))
                        return "only letters, digits and - _ . @ may be in it";
        return NULL;
}

static int service_draft_compare(const void *a, const void *b) {
        const ServiceDraft *left = a, *right = b;

        return strcmp(left->config.name, right->config.name);
}

ServiceDraft *draft_find(const Draft *draft, const char *name) {
        const ServiceDraft key = { .config = { .name = (char *) name } };
        void *const *found = tfind(&key, &draft->by_name, service_draft_compare);

        return found ? *found : NULL;
}

/* One more, in its place by name too. Consumes nothing on failure. */
must_check static int draft_append(Draft *draft, ServiceDraft *service) {
        unsigned n = draft->n_services;

        if ((n & (n - 1)) == 0) { /* full: there is room for powers of two */
                ServiceDraft **services = reallocarray(draft->services, n > 0 ? 2 * (size_t) n : 1, sizeof(*services));

                if (!services)
                        return -ENOMEM;
                draft->services = services;
        }
        if (!tsearch(service, &draft->by_name, service_draft_compare))
                return -ENOMEM;
        draft->services[draft->n_services++] = service;
        return 0;
}

Place service_draft_place(const ServiceDraft *service, const char *key, const char *text) {
        const ConfigKey *found = keys_find("Service", key);
        unsigned index = found ? keys_index(found) : 0;

        for (unsigned i = 0; i < service->n_references; i++)
                if (text && service->references[i].key == index && strcmp(service->references[i].text, text) == 0)
                        return service->references[i].place;
        return found && service->places[index].line > 0 ? service->places[index] : service->place;
}

static int references_add(Reference **references, unsigned *n, Reference reference) {
        Reference *grown = reference.text ? reallocarray(*references, *n + 1, sizeof(*grown)) : NULL;

        if (!grown) {
                free(reference.text);
                return -ENOMEM;
        }
        *references = grown;
        grown[(*n)++] = reference;
        return 0;
}

int service_draft_refer(ServiceDraft *service, unsigned key, const char *text, Place place) {
        return references_add(&service->references, &service->n_references,
                              (Reference){ .key = key, .text = strdup(text), .place = place });
}

void service_draft_forget(ServiceDraft *service, unsigned key) {
        unsigned kept = 0;

        for (unsigned i = 0; i < service->n_references; i++)
                if (service->references[i].key == key)
                        free(service->references[i].text);
                else
                        service->references[kept++] = service->references[i];
        service->n_references = kept;
}

int draft_add_service(Draft *draft, const char *name, Place place, ServiceDraft **ret) {
        cleanup(service_draft_freep) ServiceDraft *service = calloc(1, sizeof(*service));
        size_t n;
        int r;

        if (!service)
                return -ENOMEM;
        (void) keys_table(&n);
        service_config_defaults(&service->config);
        service->place = place;
        service->last_file = place.file;
        service->config.name = strdup(name);
        service->places = calloc(n, sizeof(*service->places));
        service->config.rungs = malloc(sizeof(Rung));
        if (asprintf(&service->section, "Service %s", name) < 0)
                service->section = NULL;
        if (!service->config.name || !service->places || !service->config.rungs || !service->section)
                return -ENOMEM;
        service->config.rungs[0] = (Rung){ .signal = SIGTERM, .time = 10 * USEC_PER_SEC };
        service->config.n_rungs = 1;
        r = draft_append(draft, service);
        if (r < 0)
                return r;
        *ret = take(service);
        return 0;
}

static void reading_fault(Reading *reading, unsigned line, const char *format, ...) printf_like(3, 4);
static void reading_fault(Reading *reading, unsigned line, const char *format, ...) {
        char message[1024];
        va_list arguments;

        va_start(arguments, format);
        (void) vsnprintf(message, sizeof(message), format, arguments);
        va_end(arguments);
        report_error(reading->draft->report, (Place){ reading->file, line }, reading->section, NULL, "%s", message);
}

static void reading_on_manager(Reading *reading, unsigned line) {
        if (reading->has_manager) {
                reading_fault(reading, line, "this section is in the file already, at line %u; write its keys there",
                              reading->manager_line);
                return;
        }
        reading->has_manager = true;
        reading->manager_line = line;
        reading->kind = "Manager";
}

static int reading_on_service(Reading *reading, unsigned line, const char *name) {
        Place place = { reading->file, line };
        Draft *draft = reading->draft;
        ServiceDraft *service;
        const char *fault;
        int r;

        fault = service_name_fault(name);
        if (fault) {
                reading_fault(reading, line,
                              *name == '\0' ? "the service has no name; write [Service NAME]"
                                            : "%s is no name for a service: %s",
                              quoted(name), fault);
                return string_list_append_new(&draft->misspelt, strdup(name), NULL);
        }
        service = draft_find(draft, name);
        if (service && service->last_file == reading->file) {
                char path[QUOTED_MAX];

                service->is_faulty = true; /* what this section should have added is missing now */
                reading_fault(reading, line,
                              "this service is in the file already: %s:%u; write its keys there, or in a "
                              "file of conf.d",
                              quote(path, report_file_name(draft->report, reading->file)),
                              service->place.file == reading->file ? service->place.line : 0);
                return 0;
        }
        if (!service) {
                if (draft->n_services >= SERVICES_MAX) {
                        reading_fault(reading, line, "there are more than %u services", SERVICES_MAX);
                        return string_list_append_new(&draft->misspelt, strdup(name), NULL);
                }
                r = draft_add_service(draft, name, place, &service);
                if (r < 0)
                        return r;
        }
        service->last_file = reading->file;
        reading->service = service;
        reading->kind = "Service";
        return 0;
}

static int reading_on_probe(Reading *reading, unsigned line, const char *name) {
        const char *dot = strrchr(name, '.');
        char *service = dot ? strndup(name, (size_t) (dot - name)) : NULL;
        Place place = { reading->file, line };

        if (dot && !service)
                return -ENOMEM;
        if (!dot || service_name_fault(service) || service_name_fault(dot + 1)) {
                free(service);
                reading_fault(reading, line, "%s is no name for a probe; write [Probe SERVICE.NAME]", quoted(name));
                return 0;
        }
        reading->kind = "Probe";
        reading->probe = (ProbeDraft){ 0 };
        report_warning(reading->draft->report, place, reading->section, NULL,
                       "probes are not supported by this version; it is ignored");
        return references_add(&reading->draft->probes, &reading->draft->n_probes,
                              (Reference){ .text = service, .place = place });
}

static int reading_on_section(void *userdata, unsigned line, const char *name) {
        static const char *const kinds[] = { "Manager", "Service", "Probe" };
        Reading *reading = userdata;
        char kind[32] = "";
        size_t n;

        reading->kind = NULL;
        reading->service = NULL;
        if (!name)
                return 0;
        name += strspn(name, " \t");
        (void) snprintf(reading->section, sizeof(reading->section), "%s", name);
        n = strlen(reading->section);
        while (n > 0 && strchr(" \t", reading->section[n - 1]))
                reading->section[--n] = '\0';
        name = reading->section;
        n = strcspn(name, " \t");
        if (n < sizeof(kind))
                memcpy(kind, name, n);
        name += n + strspn(name + n, " \t");
        if (strcmp(kind, "Manager") == 0 && *name == '\0')
                return reading_on_manager(reading, line), 0;
        if (strcmp(kind, "Service") == 0)
                return reading_on_service(reading, line, name);
        if (strcmp(kind, "Probe") == 0)
                return reading_on_probe(reading, line, name);
        if (strcmp(kind, "Manager") == 0)
                reading_fault(reading, line, "the section of draind itself has no name; write [Manager]");
        else if (strcmp(kind, "Unit") == 0 || strcmp(kind, "Install") == 0)
                reading_fault(reading, line,
                              "there is no such section; its keys, as Requires= and After=, belong in "
                              "[Service NAME]");
        else
                reading_fault(reading, line,
                              "there is no such section%s; write [Manager], [Service NAME] or "
                              "[Probe SERVICE.NAME]",
                              did_you_mean(nearest_of(kind, kinds, n_elements(kinds))));
        return *name != '\0' ? string_list_append_new(&reading->draft->misspelt, strdup(name), NULL) : 0;
}

static int reading_on_pair(void *userdata, unsigned line, const char *name, const char *value) {
        Reading *reading = userdata;
        Draft *draft = reading->draft;
        ServiceDraft *service = reading->service;
        KeyContext context = { .report = draft->report,
                               .place = { reading->file, line },
                               .section = reading->section,
                               .service = service };
        const ConfigKey *key;
        void *base = &draft->model;
        Place *places = draft->manager_places;
        int r;

        if (!reading->kind)
                return 0;
        if (strcmp(reading->kind, "Probe") == 0)
                base = &reading->probe;
        else if (service)
                base = service, places = service->places;
        r = keys_set(&context, reading->kind, name, value, base);
        if (r == KEY_REPORTED && service)
                service->is_faulty = true;
        if (r < 0)
                return r;
        key = keys_find(reading->kind, name);
        if (key)
                places[keys_index(key)] = context.place;
        return 0;
}

static void reading_on_error(void *userdata, unsigned line, const char *message) {
        Reading *reading = userdata;

        if (reading->service)
                reading->service->is_faulty = true;
        report_error(reading->draft->report, (Place){ reading->file, line }, NULL, NULL, "%s", message);
}

int draft_read(Draft *draft, const char *path, const char *text, size_t size) {
        static const IniHandler handler = { reading_on_section, reading_on_pair, reading_on_error };
        Reading reading = { .draft = draft, .file = report_file(draft->report, path) };
        int r;

        r = report_status(draft->report);
        if (r < 0)
                return r;
        return ini_read(text, size, &handler, &reading);
}

static int service_draft_order(const void *a, const void *b) {
        return service_draft_compare(*(ServiceDraft *const *) a, *(ServiceDraft *const *) b);
}

static int service_draft_finish(Draft *draft, ServiceDraft *service) {
        ServiceConfig *config = &service->config;
        int r;

        config->kill_reserve = draft->model.kill_reserve;
        if (config->start_limit_interval == 0)
                config->start_limit_burst = 0; /* as in systemd: no limit */
        config->origin = report_place_name(draft->report, service->place);
        if (!config->origin)
                return -ENOMEM;
        r = identity_resolve(draft, service);
        if (r == 0)
                r = environment_file_load(draft, service);
        return r;
}

int draft_finish(Draft *draft) {
        int r;

        for (unsigned i = 0; i < draft->n_services; i++) {
                r = service_draft_finish(draft, draft->services[i]);
                if (r < 0)
                        return r;
        }
        if (draft->n_services == 0)
                return report_status(draft->report);
        forget_names(draft); /* the names go to the model */
        qsort(draft->services, draft->n_services, sizeof(*draft->services), service_draft_order);
        draft->model.services = calloc(draft->n_services, sizeof(*draft->model.services));
        if (!draft->model.services)
                return -ENOMEM;
        draft->model.n_services = draft->n_services;
        for (unsigned i = 0; i < draft->n_services; i++) {
                draft->model.services[i] = draft->services[i]->config;
                draft->services[i]->config = (ServiceConfig){ 0 };
        }
        return report_status(draft->report);
}
