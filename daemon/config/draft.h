#pragma once

/* A configuration while it is read: the values so far, and where each came from. Files, as they come, add to it and
 * override it; draft_finish() makes the model of it. Knows neither which files there are nor the rules across keys. */

#include "model.h"
#include "report.h"

/* A name that stands for something elsewhere: a service, a user, a file. */
typedef struct Reference {
        unsigned key; /* keys_index() */
        char *text;   /* owned */
        Place place;
} Reference;

/* One [Service NAME], in as many files as speak of it. */
typedef struct ServiceDraft {
        ServiceConfig config;
        char *section; /* "Service NAME", for messages; owned */
        Place place;   /* of the first header */
        unsigned last_file;
        char *user, *group;    /* as written; owned, NULL where not given */
        Place *places;         /* one a key, by keys_index(): where it was given last; line 0: nowhere; owned */
        Reference *references; /* owned, as long as the lists that they come from */
        unsigned n_references;
        bool is_faulty; /* has been reported: rules across keys would only repeat it */
} ServiceDraft;

/* [Probe SERVICE.NAME]: read so that its spelling is checked, and then forgotten. */
typedef struct ProbeDraft {
        unsigned role, kind;
        usec_t initial_delay, period, timeout;
        unsigned success_threshold, failure_threshold;
} ProbeDraft;

typedef struct Draft {
        Report *report;          /* borrowed */
        Model model;             /* [Manager]; the services are moved in by draft_finish() */
        ServiceDraft **services; /* owned; sorted by name after draft_finish(), as model.services then is */
        unsigned n_services;
        void *by_name; /* tsearch(3) over services, until draft_finish(); owned */
        Place *manager_places; /* as ServiceDraft.places; owned */
        StringList misspelt;   /* names in headers that were refused: naming them is no second mistake */
        Reference *probes;     /* the services that probes are for; key is not used; owned */
        unsigned n_probes;
} Draft;

/* report is borrowed for as long. */
must_check int draft_init(Draft *draft, Report *report);
void draft_done(Draft *draft);

/* Reads one file's text. Mistakes go to the report; negative only when the machine fails. */
must_check int draft_read(Draft *draft, const char *path, const char *text, size_t size);
/* A service without a file. *ret is borrowed from the draft. */
must_check int draft_add_service(Draft *draft, const char *name, Place place, ServiceDraft **ret);
/* Resolves users, groups and environment files, sorts the services and moves them to model.services, where the
 * drafts' own config is empty from then on. To be called once, with or without mistakes before. */
must_check int draft_finish(Draft *draft);

/* What is wrong with a service's name, or NULL. */
const char *service_name_fault(const char *name);
/* Of the draft's services the one with this name, or NULL. Before draft_finish(). */
ServiceDraft *draft_find(const Draft *draft, const char *name);
/* Where the service names this text under the key; its own place where it does not. */
Place service_draft_place(const ServiceDraft *service, const char *key, const char *text);
must_check int service_draft_refer(ServiceDraft *service, unsigned key, const char *text, Place place);
/* Forgets what it referred to under this key. */
void service_draft_forget(ServiceDraft *service, unsigned key);
