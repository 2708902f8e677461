#pragma once

/* Mistakes and warnings about a configuration, each with its place; all of them are kept and printed at the end in
 * the order of the files. Knows neither keys nor services.
 *
 * Nothing here fails to its caller: memory that ran out is remembered and comes back from report_status(). */

#include <stdbool.h>
#include <stdio.h>

#include "../../protocol/base.h"

#define QUOTED_MAX 280u        /* what quote() may write: 200 bytes of text, some of them escaped */
#define REPORT_ERRORS_MAX 100u /* the rest is counted only */

/* Where something stands. */
typedef struct Place {
        unsigned file; /* from report_file() */
        unsigned line; /* 0: the file as a whole */
} Place;

typedef struct Report Report;

/* *ret is the caller's: report_free(). */
must_check int report_new(Report **ret);
Report *report_free(Report *report);
static inline void report_freep(Report **report) {
        *report = report_free(*report);
}

/* The number of a file for Place; files are printed in the order in which they were added first. */
unsigned report_file(Report *report, const char *path);
const char *report_file_name(const Report *report, unsigned file);
/* "FILE:LINE", or "FILE" for line 0. The caller's: free(). NULL: no memory. */
char *report_place_name(const Report *report, Place place);
unsigned report_n_files(const Report *report);

/* section and key may be NULL. Outside text in the message goes through quoted(). */
void report_error(Report *report, Place place, const char *section, const char *key, const char *format, ...)
        printf_like(5, 6);
void report_warning(Report *report, Place place, const char *section, const char *key, const char *format, ...)
        printf_like(5, 6);

/* For a file that cannot be read: an error as well, and has_unreadable is true from then on. */
void report_unreadable(Report *report, const char *path, const char *why);
bool report_has_unreadable(const Report *report);

unsigned report_n_errors(const Report *report);
/* 0, or -ENOMEM when something could not be recorded. */
must_check int report_status(const Report *report);

void report_print_errors(Report *report, FILE *out);
void report_print_warnings(Report *report, FILE *out);

/* 'text', cut at 200 bytes, everything that is not printable escaped. Returns buf. */
char *quote(char buf[static QUOTED_MAX], const char *text);
#define quoted(text) quote((char[QUOTED_MAX]){ 0 }, (text))

/* " (did you mean 'x'?)", or "" where meant is NULL. Returns buf. */
char *did_you_mean_text(char buf[static QUOTED_MAX], const char *meant);
#define did_you_mean(meant) did_you_mean_text((char[QUOTED_MAX]){ 0 }, (meant))
