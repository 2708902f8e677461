#include "identity.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "../../protocol/nearest.h"
#include "keys.h"
#include "value.h"

#define CANDIDATES_MAX 1000u

static void fault(Draft *draft, ServiceDraft *service, const char *key, const char *text, const char *message) {
        report_error(draft->report, service_draft_place(service, key, text), service->section, key, "%s", message);
        service->is_faulty = true;
}

static void fault_unknown(Draft *draft, ServiceDraft *service, const char *key, const char *text) {
        bool is_user = strcmp(key, "User") == 0;
        char *names[CANDIDATES_MAX], message[1024];
        unsigned n = 0;

        if (is_user) {
                setpwent();
                for (struct passwd *user; n < CANDIDATES_MAX && (user = getpwent());)
                        if ((names[n] = strdup(user->pw_name)))
                                n++;
                endpwent();
        } else {
                setgrent();
                for (struct group *group; n < CANDIDATES_MAX && (group = getgrent());)
                        if ((names[n] = strdup(group->gr_name)))
                                n++;
                endgrent();
        }
        (void) snprintf(message, sizeof(message), "there is no %s %s%s; write a name or a number of one",
                        is_user ? "user" : "group", quoted(text),
                        did_you_mean(nearest_of(text, (const char *const *) names, n)));
        while (n > 0)
                free(names[--n]);
        fault(draft, service, key, text, message);
}

/* Whether a look-up that found nothing has failed. Other values of errno are a database's way to say "no entry". */
static bool is_trouble(int error) {
        return error == ENOMEM || error == EIO || error == EMFILE || error == ENFILE;
}

/* By name, or where that is NULL by number. *ret is NULL when there is none; valid until the next look-up. */
must_check static int find_user(const char *name, uid_t uid, const struct passwd **ret) {
        errno = 0;
        *ret = name ? getpwnam(name) : getpwuid(uid);
        return !*ret && is_trouble(errno) ? -errno : 0;
}

enum { GROUP_UNKNOWN = 1 };

must_check static int find_group(const char *text, gid_t *ret) {
        const struct group *group;
        uint64_t number;

        errno = 0;
        group = getgrnam(text);
        if (!group && is_trouble(errno))
                return -errno;
        if (!group && !value_parse_number(text, UINT32_MAX - 1, &number))
                return GROUP_UNKNOWN;
        *ret = group ? group->gr_gid : (gid_t) number;
        return 0;
}

/* Who the service is for USER, HOME and the like. */
static int set_names(ServiceConfig *config, const struct passwd *user) {
        config->user_name = strdup(user->pw_name);
        config->home = strdup(user->pw_dir);
        config->shell = strdup(user->pw_shell && *user->pw_shell != '\0' ? user->pw_shell : "/bin/sh");
        return config->user_name && config->home && config->shell ? 0 : -ENOMEM;
}

/* User=. *ret_is_known: it stands in the user database, so that it has a group and a home. */
static int resolve_user(Draft *draft, ServiceDraft *service, bool *ret_is_known) {
        ServiceConfig *config = &service->config;
        const struct passwd *user;
        uint64_t number;
        int r;

        r = find_user(service->user, 0, &user);
        if (r == 0 && !user && value_parse_number(service->user, UINT32_MAX - 1, &number)) {
                config->uid = (uid_t) number;
                config->has_user = true;
                r = find_user(NULL, config->uid, &user);
                if (r == 0 && !user) {
                        if (!service->group)
                                fault(draft, service, "User", service->user,
                                      "this number has no entry among the users, and so no group; write Group= as "
                                      "well");
                        return 0;
                }
        }
        if (r < 0)
                return r;
        if (!user) {
                fault_unknown(draft, service, "User", service->user);
                return 0;
        }
        config->uid = user->pw_uid;
        config->gid = user->pw_gid;
        config->has_user = *ret_is_known = true;
        return set_names(config, user);
}

static int groups_add(ServiceConfig *config, gid_t group) {
        gid_t *grown;

        for (unsigned i = 0; i < config->n_groups; i++)
                if (config->groups[i] == group)
                        return 0;
        grown = reallocarray(config->groups, config->n_groups + 1, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        config->groups = grown;
        grown[config->n_groups++] = group;
        return 0;
}

/* What initgroups(3) would set. */
static int groups_of_user(ServiceConfig *config) {
        int n = 0;

        (void) getgrouplist(config->user_name, config->gid, NULL, &n);
        for (unsigned attempt = 0; attempt < 3; attempt++) { /* the database may grow in between */
                cleanup(freep) gid_t *groups = calloc((size_t) n + 1, sizeof(*groups));

                if (!groups)
                        return -ENOMEM;
                if (getgrouplist(config->user_name, config->gid, groups, &n) < 0)
                        continue;
                for (int i = 0; i < n; i++)
                        if (groups_add(config, groups[i]) < 0)
                                return -ENOMEM;
                break;
        }
        return 0;
}

static int resolve_groups(Draft *draft, ServiceDraft *service, bool is_known) {
        unsigned key = keys_index(keys_find("Service", "SupplementaryGroups"));
        ServiceConfig *config = &service->config;
        int r = 0;

        if (is_known)
                r = groups_of_user(config);
        config->has_groups = service->user != NULL; /* with Group= alone they stay as they are */
        for (unsigned i = 0; i < service->n_references && r == 0; i++) {
                const Reference *reference = &service->references[i];
                gid_t group;

                if (reference->key != key)
                        continue;
                config->has_groups = true;
                r = find_group(reference->text, &group);
                if (r == 0)
                        r = groups_add(config, group);
                else if (r == GROUP_UNKNOWN) {
                        fault_unknown(draft, service, "SupplementaryGroups", reference->text);
                        r = 0;
                }
        }
        return r;
}

/* Who is not root can only be who they are. */
static void check_privilege(Draft *draft, ServiceDraft *service) {
        const ServiceConfig *config = &service->config;

        if (service->user && config->has_user && config->uid != geteuid())
                fault(draft, service, "User", service->user,
                      "another user needs root, and this is not root; leave it out");
        if (service->group && config->has_user && config->gid != getegid())
                fault(draft, service, "Group", service->group,
                      "another group needs root, and this is not root; leave it out");
        for (unsigned i = 0; i < service->n_references; i++)
                if (service->references[i].key == keys_index(keys_find("Service", "SupplementaryGroups"))) {
                        fault(draft, service, "SupplementaryGroups", service->references[i].text,
                              "this needs root, and this is not root; leave it out");
                        break;
                }
}

/* Nothing to change, and setgroups(2) would be refused. */
static void forget_groups(ServiceConfig *config) {
        config->has_groups = false;
        free(take(config->groups));
        config->n_groups = 0;
}

static int resolve_home(Draft *draft, ServiceDraft *service) {
        ServiceConfig *config = &service->config;
        const struct passwd *self = NULL;
        char *copy;
        int r = 0;

        if (!config->working_directory || strcmp(config->working_directory, "~") != 0)
                return 0;
        if (!config->home && !service->user)
                r = find_user(NULL, geteuid(), &self);
        if (r < 0)
                return r;
        if (!config->home && !self) {
                if (!service->is_faulty)
                        fault(draft, service, "WorkingDirectory", NULL, "the user has no home directory; write a path");
                return 0;
        }
        copy = strdup(config->home ? config->home : self->pw_dir);
        if (!copy)
                return -ENOMEM;
        free(config->working_directory);
        config->working_directory = copy;
        return 0;
}

/* Group=. Without User= it is ourselves in another group. */
static int resolve_group(Draft *draft, ServiceDraft *service) {
        ServiceConfig *config = &service->config;
        gid_t group;
        int r;

        r = find_group(service->group, &group);
        if (r < 0)
                return r;
        if (r == GROUP_UNKNOWN) {
                fault_unknown(draft, service, "Group", service->group);
                return 0;
        }
        if (!service->user) {
                const struct passwd *self;

                config->uid = geteuid();
                r = find_user(NULL, config->uid, &self);
                if (r == 0 && self)
                        r = set_names(config, self);
        }
        config->has_user = true;
        config->gid = group;
        return r;
}

int identity_resolve(Draft *draft, ServiceDraft *service) {
        unsigned n_errors = report_n_errors(draft->report);
        bool is_known = false;
        int r = 0;

        if (service->user)
                r = resolve_user(draft, service, &is_known);
        if (r == 0 && service->group)
                r = resolve_group(draft, service);
        if (r == 0 && (service->user || service->group || service->n_references > 0))
                r = resolve_groups(draft, service, is_known);
        if (r < 0)
                return r;
        if (geteuid() != 0 && report_n_errors(draft->report) == n_errors)
                check_privilege(draft, service);
        if (geteuid() != 0)
                forget_groups(&service->config);
        return resolve_home(draft, service);
}
