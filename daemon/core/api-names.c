#include "api-names.h"

#include <string.h>

#include "api-methods.h"

/* For all services together, in cells of the table below: some milliseconds at most. */
#define NEAREST_WORK_MAX (1u << 20)

/* Insertions, deletions, changes and swaps of neighbours that turn one into the other; more than `most` is `most` + 1. */
static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b, unsigned most, unsigned *work) {
        unsigned rows[3][SERVICE_NAME_MAX + 1];
        unsigned *before = rows[0], *last = rows[1], *row = rows[2];

        for (unsigned j = 0; j <= n_b; j++)
                last[j] = j;
        for (unsigned i = 1; i <= n_a; i++) {
                unsigned *spare = before, least = i;

                row[0] = i;
                for (unsigned j = 1; j <= n_b; j++) {
                        unsigned best = last[j - 1] + (a[i - 1] != b[j - 1]);

                        if (last[j] + 1 < best)
                                best = last[j] + 1;
                        if (row[j - 1] + 1 < best)
                                best = row[j - 1] + 1;
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                                best = before[j - 2] + 1;
                        row[j] = best;
                        if (best < least)
                                least = best;
                }
                *work += (unsigned) n_b + 1;
                if (least > most + 1) /* a swap may still save one */
                        return most + 1;
                before = last;
                last = row;
                row = spare;
        }
        return last[n_b];
}

const char *api_names_nearest(const Model *model, const char *name) {
        size_t length = strnlen(name, SERVICE_NAME_MAX + 1);
        unsigned most = (unsigned) length / 3 + 1, work = 0; /* one slip in three letters is still meant */
        const char *nearest = NULL;

        if (length == 0 || length > SERVICE_NAME_MAX)
                return NULL;
        for (unsigned i = 0; i < model->n_services && most > 0 && work < NEAREST_WORK_MAX; i++) {
                const char *candidate = model->services[i].name;
                size_t n = strnlen(candidate, SERVICE_NAME_MAX);
                unsigned found = n > length + most || length > n + most ? most + 1
                                                                        : distance(name, length, candidate, n, most, &work);

                if (found <= most) {
                        nearest = candidate;
                        most = found > 0 ? found - 1 : 0; /* from here on only what is better */
                }
        }
        return nearest;
}

int api_names_find(Call *call, const Model *model, const char *name, unsigned *ret) {
        int at = model_find(model, name);

        if (at < 0) {
                (void) call_error(call, ERROR_NO_SUCH_SERVICE,
                                  json_pack("{s:s, s:s*}", "service", name, "suggestion", api_names_nearest(model, name)));
                return NAMES_ANSWERED;
        }
        *ret = (unsigned) at;
        return 0;
}

int api_names_find_all(Call *call, const Model *model, const FieldStrings *names, unsigned **ret) {
        cleanup(freep) unsigned *services = calloc((size_t) names->n + 1, sizeof(unsigned));

        if (!services)
                return -ENOMEM;
        for (unsigned i = 0; i < names->n; i++) {
                int r = api_names_find(call, model, field_strings_at(names, i), &services[i]);

                if (r != 0)
                        return r;
        }
        *ret = take(services);
        return 0;
}
