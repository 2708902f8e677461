#pragma once

/* A configuration from a text: what draind-config would make of a file "test.conf". */

#include <stdio.h>
#include <string.h>

#include "../../daemon/config/check.h"
#include "../../daemon/config/draft.h"
#include "test.h"

typedef struct DraftText {
        Draft draft;
        Report *report;
        char *errors, *warnings; /* as they are printed */
} DraftText;

static inline char *draft_text_printed(Report *report, void (*print)(Report *report, FILE *out)) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        print(report, out);
        assert_int_equal(fclose(out), 0);
        return text;
}

static inline void draft_text_begin(DraftText *it) {
        *it = (DraftText){ 0 };
        assert_int_equal(report_new(&it->report), 0);
        assert_int_equal(draft_init(&it->draft, it->report), 0);
}

static inline void draft_text_end(DraftText *it) {
        assert_int_equal(draft_finish(&it->draft), 0);
        assert_int_equal(check_rules(&it->draft), 0);
        it->errors = draft_text_printed(it->report, report_print_errors);
        it->warnings = draft_text_printed(it->report, report_print_warnings);
}

static inline void draft_text_read(DraftText *it, const char *text) {
        draft_text_begin(it);
        assert_int_equal(draft_read(&it->draft, "test.conf", text, strlen(text)), 0);
        draft_text_end(it);
}

static inline void draft_text_done(DraftText *it) {
        free(it->errors);
        free(it->warnings);
        draft_done(&it->draft);
        report_free(it->report);
}

static inline unsigned draft_text_lines(const char *text) {
        unsigned n = 0;

        for (; *text != '\0'; text++)
                n += *text == '\n';
        return n;
}

/* The text has exactly these lines' parts, one a line, in this order; wanted: separated by newlines. */
static inline void draft_text_expect(const char *given, const char *text, const char *wanted) {
        char *copy = strdup(wanted), *state = NULL;
        const char *at = text;
        unsigned n = 0;

        assert_non_null(copy);
        for (char *part = strtok_r(copy, "\n", &state); part; part = strtok_r(NULL, "\n", &state), n++) {
                const char *end = strchr(at, '\n'), *found = strstr(at, part);

                if (!end || !found || found > end)
                        fail_msg("from:\n%s\nwanted: %s\nin line %u of:\n%s", given, part, n + 1, text);
                at = end + 1;
        }
        if (draft_text_lines(text) != n)
                fail_msg("from:\n%s\nwanted:\n%s\nfound:\n%s", given, wanted, text);
        free(copy);
}
