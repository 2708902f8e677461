#include "fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/config/check.h"
#include "../../daemon/config/draft.h"
#include "../../daemon/config/environment-file.h"
#include "../../daemon/config/model-json.h"

int fuzz_accepted;

static const char printed[] = "fuzz.conf:";

/* Every mistake has its file in front, and no byte that a terminal would obey. */
static void check_report(Report *report, void (*print)(Report *report, FILE *out)) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert(out);
        print(report, out);
        (void) fclose(out);
        for (size_t i = 0; i < size; i++)
                assert((unsigned char) text[i] >= 0x20 || text[i] == '\n');
        assert(size == 0 || strncmp(text, printed, sizeof(printed) - 1) == 0);
        free(text);
}

/* What was accepted comes back from its JSON as it was. */
static void check_round_trip(const Model *model) {
        json_t *json = model_to_json(model), *again;
        Model copy;
        int r;

        assert(json);
        r = model_from_json(&copy, json);
        assert(r == 0);
        again = model_to_json(&copy);
        assert(again && json_equal(json, again));
        json_decref(json);
        json_decref(again);
        model_done(&copy);
}

/* From outside come the bytes alone: what a file could name would be the machine's, and no input's. */
static bool is_of_the_machine(const uint8_t *data, size_t size) {
        static const char *const words[] = { "EnvironmentFile", "User", "Group", "WorkingDirectory" };

        for (size_t i = 0; i < n_elements(words); i++)
                if (memmem(data, size, words[i], strlen(words[i])))
                        return true;
        return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        StringList environment = { 0 };
        Report *report;
        Draft draft;
        int r;

        fuzz_accepted = 0;
        if (is_of_the_machine(data, size))
                return 0;
        r = report_new(&report);
        assert(r == 0);
        r = draft_init(&draft, report);
        assert(r == 0);
        r = draft_read(&draft, "fuzz.conf", (const char *) data, size);
        assert(r == 0);
        r = draft_finish(&draft);
        assert(r == 0);
        r = check_rules(&draft);
        assert(r == 0);
        fuzz_accepted = report_n_errors(report) == 0;
        if (fuzz_accepted)
                check_round_trip(&draft.model);
        check_report(report, report_print_errors);
        check_report(report, report_print_warnings);
        draft_done(&draft);
        report_free(report);

        r = report_new(&report);
        assert(r == 0);
        r = environment_file_parse(report, "fuzz.conf", (const char *) data, size, &environment);
        assert(r == 0);
        check_report(report, report_print_errors);
        check_report(report, report_print_warnings);
        string_list_done(&environment);
        report_free(report);
        return 0;
}
