#include "api-names.h"

#include "../../protocol/nearest.h"
#include "api-methods.h"

const char *api_names_nearest(const Model *model, const char *name) {
        Nearest nearest = nearest_begin(name);

        for (unsigned i = 0; i < model->n_services && !nearest.is_over; i++)
                nearest_offer(&nearest, model->services[i].name);
        return nearest.best;
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
