#include "drain-file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "text.h"

#define DRAIN_FILE_SUFFIX   ".new" /* while it is written */
#define PHASE_TEXT_MAX      32

/* The values as both forms write them. */
typedef struct DrainTexts {
        char deadline[24], remaining[24], operation[24];
        char cause[DRAIN_FILE_CAUSE_MAX];
        char phase[PHASE_TEXT_MAX];
} DrainTexts;

static void usec_format(char *buf, size_t size, usec_t usec) {
        if (usec == USEC_INFINITY)
                (void) snprintf(buf, size, "infinity");
        else
                (void) snprintf(buf, size, "%" PRIu64, usec);
}

static void drain_texts_make(DrainTexts *texts, const DrainNotice *notice) {
        const char *cause = notice->cause ? notice->cause : "", *phase = notice->phase ? notice->phase : "";

        usec_format(texts->deadline, sizeof(texts->deadline), notice->deadline);
        usec_format(texts->remaining, sizeof(texts->remaining), usec_left(notice->deadline, notice->now));
        (void) snprintf(texts->operation, sizeof(texts->operation), "%" PRIu64, notice->operation);
        (void) text_escape(texts->cause, sizeof(texts->cause), cause, strlen(cause));
        (void) text_escape(texts->phase, sizeof(texts->phase), phase, strlen(phase));
}

static size_t drain_file_format(char buf[static DRAIN_FILE_TEXT_MAX], const DrainNotice *notice) {
        DrainTexts texts;

        drain_texts_make(&texts, notice);
        return (size_t) snprintf(buf, DRAIN_FILE_TEXT_MAX,
                                 "deadline_boottime_usec=%s\nremaining_usec=%s\ncause=%s\nphase=%s\noperation=%s\n",
                                 texts.deadline, texts.remaining, texts.cause, texts.phase, texts.operation);
}

static int drain_file_fill(int dirfd, const char *name, const char *text, size_t length) {
        cleanup(fd_closep) int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, text, length);
        if (n < 0)
                return -errno;
        return (size_t) n == length ? 0 : -ENOSPC;
}

/* source: a file with just this text, or NULL. */
must_check static int drain_file_place(int dirfd, const char *name, const char *text, size_t length, const char *source) {
        char fresh[NAME_MAX + 1];
        int r;

        if (*name == '\0' || strchr(name, '/'))
                return -EINVAL;
        if (snprintf(fresh, sizeof(fresh), "%s" DRAIN_FILE_SUFFIX, name) >= (int) sizeof(fresh))
                return -ENAMETOOLONG;
        if (source && linkat(dirfd, source, dirfd, name, 0) == 0)
                return 0;
        r = source && errno == EEXIST && linkat(dirfd, source, dirfd, fresh, 0) == 0
                ? 0 : drain_file_fill(dirfd, fresh, text, length);
        if (r == 0 && renameat(dirfd, fresh, dirfd, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dirfd, fresh, 0); /* the failure that counts is known */
        return r;
}

int drain_file_write(int dirfd, const char *name, const DrainNotice *notice) {
        char text[DRAIN_FILE_TEXT_MAX];

        return drain_file_place(dirfd, name, text, drain_file_format(text, notice), NULL);
}

int drain_file_share(int dirfd, const char *name, const DrainNotice *notice, DrainShare *share) {
        char text[DRAIN_FILE_TEXT_MAX];
        size_t length = drain_file_format(text, notice);
        bool is_same = length == share->length && memcmp(text, share->text, length) == 0 && strcmp(name, share->name) != 0;
        int r;

        r = drain_file_place(dirfd, name, text, length, is_same ? share->name : NULL);
        if (is_same && r == 0)
                return 0;
        share->length = 0;
        if (r < 0 || strlen(name) >= sizeof(share->name))
                return r;
        (void) snprintf(share->name, sizeof(share->name), "%s", name);
        memcpy(share->text, text, length);
        share->length = length;
        return 0;
}

int drain_file_remove(int dirfd, const char *name) {
        if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}

void drain_environment(const DrainNotice *notice, char buf[static DRAIN_ENVIRONMENT_MAX],
                       char *ret_strings[static DRAIN_ENVIRONMENT_N]) {
        DrainTexts texts;
        const char *const pairs[DRAIN_ENVIRONMENT_N][2] = {
                { "DRAIND_DEADLINE_BOOTTIME_USEC", texts.deadline },
                { "DRAIND_REMAINING_USEC", texts.remaining },
                { "DRAIND_CAUSE", texts.cause },
                { "DRAIND_PHASE", texts.phase },
                { "DRAIND_OPERATION", texts.operation },
        };
        size_t used = 0;

        drain_texts_make(&texts, notice);
        for (unsigned i = 0; i < DRAIN_ENVIRONMENT_N; i++) {
                size_t room = DRAIN_ENVIRONMENT_MAX - used;

                ret_strings[i] = buf + used;
                used += (size_t) snprintf(buf + used, room, "%s=%s", pairs[i][0], pairs[i][1]) + 1;
        }
}
