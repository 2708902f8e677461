#include "report.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define TEXT_MAX 2048u /* bytes of one message */
#define QUOTED_TEXT_MAX 200u

typedef struct Entry {
        Place place;
        unsigned sequence;
        char *text;
} Entry;

typedef struct Entries {
        Entry *items;
        unsigned n;
        unsigned n_dropped;
} Entries;

struct Report {
        char **files;
        unsigned n_files;
        Entries errors, warnings;
        bool has_unreadable;
        int status;
};

int report_new(Report **ret) {
        Report *report = calloc(1, sizeof(*report));

        if (!report)
                return -ENOMEM;
        *ret = report;
        return 0;
}

static void entries_done(Entries *entries) {
        for (unsigned i = 0; i < entries->n; i++)
                free(entries->items[i].text);
        free(entries->items);
}

Report *report_free(Report *report) {
        if (!report)
                return NULL;
        for (unsigned i = 0; i < report->n_files; i++)
                free(report->files[i]);
        free(report->files);
        entries_done(&report->errors);
        entries_done(&report->warnings);
        free(report);
        return NULL;
}

unsigned report_file(Report *report, const char *path) {
        char **files, *copy;

        for (unsigned i = 0; i < report->n_files; i++)
                if (strcmp(report->files[i], path) == 0)
                        return i;
        copy = strdup(path);
        files = reallocarray(report->files, report->n_files + 1, sizeof(*files));
        if (files)
                report->files = files;
        if (!files || !copy) {
                free(copy);
                report->status = -ENOMEM;
                return 0;
        }
        files[report->n_files] = copy;
        return report->n_files++;
}

const char *report_file_name(const Report *report, unsigned file) {
        return file < report->n_files ? report->files[file] : "?";
}

char *report_place_name(const Report *report, Place place) {
        char *name;
        int n;

        n = place.line > 0 ? asprintf(&name, "%s:%u", report_file_name(report, place.file), place.line)
                           : asprintf(&name, "%s", report_file_name(report, place.file));
        return n < 0 ? NULL : name;
}

unsigned report_n_files(const Report *report) {
        return report->n_files;
}

/* How many bytes the UTF-8 sequence at text has; 0 if it is none or not to be shown. */
static size_t printable_length(const unsigned char *text) {
        size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;

        if (text[0] < 0x80)
                return text[0] >= 0x20 && text[0] != 0x7f ? 1 : 0;
        if (text[0] < 0xc2 || text[0] > 0xf4 || (text[0] == 0xc2 && text[1] < 0xa0))
                return 0; /* a stray byte, or a C1 control, which a terminal would obey */
        for (size_t i = 1; i < length; i++)
                if ((text[i] & 0xc0) != 0x80)
                        return 0;
        return length;
}

/* Appends the text to buf with everything escaped that a terminal or a line would not bear. */
static void escape(char *buf, size_t size, size_t used, const char *text, size_t max) {
        const unsigned char *p = (const unsigned char *) text;

        while (*p != '\0') {
                size_t length = printable_length(p);
                char piece[5];

                if (length > 0)
                        (void) snprintf(piece, sizeof(piece), "%.*s", (int) length, (const char *) p);
                else
                        (void) snprintf(piece, sizeof(piece), "\\x%02x", *p);
                if (used + strlen(piece) > max) {
                        (void) snprintf(buf + used, size - used, "…");
                        return;
                }
                used += (size_t) snprintf(buf + used, size - used, "%s", piece);
                p += length > 0 ? length : 1;
        }
}

char *quote(char buf[static QUOTED_MAX], const char *text) {
        buf[0] = '\'';
        buf[1] = '\0';
        escape(buf, QUOTED_MAX, 1, text, QUOTED_TEXT_MAX);
        strcat(buf, "'"); /* escape() ends below QUOTED_TEXT_MAX + sizeof("…"), well before QUOTED_MAX */
        return buf;
}

char *did_you_mean_text(char buf[static QUOTED_MAX], const char *meant) {
        buf[0] = '\0';
        if (meant)
                (void) snprintf(buf, QUOTED_MAX, " (did you mean '%.200s'?)", meant);
        return buf;
}

static void printf_like(6, 0) entries_add(Report *report, Entries *entries, Place place, const char *section,
                                          const char *key, const char *format, va_list arguments) {
        char text[TEXT_MAX], path[1024] = "", head[QUOTED_MAX] = "", line[16] = "";
        size_t used;
        Entry *items;

        if (entries->n >= REPORT_ERRORS_MAX) {
                entries->n_dropped++;
                return;
        }
        escape(path, sizeof(path), 0, report_file_name(report, place.file), sizeof(path) - 8);
        if (section)
                escape(head, sizeof(head), 0, section, QUOTED_TEXT_MAX);
        if (place.line > 0)
                (void) snprintf(line, sizeof(line), ":%u", place.line);
        used = (size_t) snprintf(text, sizeof(text), "%s%s: %s%s%s%s%s%s", path, line,
                                 entries == &report->warnings ? "warning: " : "", section ? "[" : "", head,
                                 section ? "] " : "", key ? key : "", key ? ": " : "");
        if (used < sizeof(text))
                (void) vsnprintf(text + used, sizeof(text) - used, format, arguments);
        items = reallocarray(entries->items, entries->n + 1, sizeof(*items));
        if (!items) {
                report->status = -ENOMEM;
                return;
        }
        entries->items = items;
        items[entries->n] = (Entry){ .place = place, .sequence = entries->n, .text = strdup(text) };
        if (!items[entries->n].text)
                report->status = -ENOMEM;
        else
                entries->n++;
}

void report_error(Report *report, Place place, const char *section, const char *key, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        entries_add(report, &report->errors, place, section, key, format, arguments);
        va_end(arguments);
}

void report_warning(Report *report, Place place, const char *section, const char *key, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        entries_add(report, &report->warnings, place, section, key, format, arguments);
        va_end(arguments);
}

void report_unreadable(Report *report, const char *path, const char *why) {
        Place place = { .file = report_file(report, path) };

        report->has_unreadable = true;
        report_error(report, place, NULL, NULL, "cannot be read: %s", why);
}

bool report_has_unreadable(const Report *report) {
        return report->has_unreadable;
}

unsigned report_n_errors(const Report *report) {
        return report->errors.n + report->errors.n_dropped;
}

int report_status(const Report *report) {
        return report->status;
}

static int entry_compare(const void *a, const void *b) {
        const Entry *x = a, *y = b;

        if (x->place.file != y->place.file)
                return x->place.file < y->place.file ? -1 : 1;
        if (x->place.line != y->place.line)
                return x->place.line < y->place.line ? -1 : 1;
        return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

static void entries_print(Entries *entries, FILE *out, const char *what) {
        if (entries->n > 0)
                qsort(entries->items, entries->n, sizeof(*entries->items), entry_compare);
        for (unsigned i = 0; i < entries->n; i++)
                (void) fprintf(out, "%s\n", entries->items[i].text);
        if (entries->n_dropped > 0)
                (void) fprintf(out, "and %u more %s.\n", entries->n_dropped, what);
}

void report_print_errors(Report *report, FILE *out) {
        entries_print(&report->errors, out, "errors");
}

void report_print_warnings(Report *report, FILE *out) {
        entries_print(&report->warnings, out, "warnings");
}
