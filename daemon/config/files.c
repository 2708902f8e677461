#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int files_read(const char *path, char **ret, size_t *ret_size) {
        cleanup(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        cleanup(freep) char *text = NULL;
        size_t size = 0, room = 4096;

        if (fd < 0)
                return -errno;
        for (;;) {
                char *grown;
                ssize_t n;

                grown = realloc(text, room);
                if (!grown)
                        return -ENOMEM;
                text = grown;
                n = read(fd, text + size, room - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > FILES_SIZE_MAX)
                        return -EFBIG;
                if (size == room)
                        room *= 2;
        }
        *ret = take(text);
        *ret_size = size;
        return 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name); /* not by locale: the order is the same everywhere */
}

static int is_configuration(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* The *.conf of a directory. A directory that is not there has none. */
static int find_in(const char *directory, Report *report, StringList *files) {
        struct dirent **entries;
        int n, r = 0;

        n = scandir(directory, &entries, is_configuration, compare_names);
        if (n < 0 && errno == ENOMEM)
                return -ENOMEM;
        if (n < 0) {
                if (errno != ENOENT && errno != ENOTDIR)
                        report_unreadable(report, directory, strerror(errno));
                return 0;
        }
        for (int i = 0; i < n; i++) {
                char *path = NULL;

                if (r == 0)
                        r = asprintf(&path, "%s/%s", directory, entries[i]->d_name) < 0
                                    ? -ENOMEM
                                    : string_list_append_new(files, path, NULL);
                free(entries[i]);
        }
        free(entries);
        return r;
}

static int find_in_all(const char *directory, bool has_others, Report *report, StringList *files) {
        cleanup(freep) char *main = NULL, *more = NULL;
        int r = 0;

        if (asprintf(&main, "%s/draind.conf", directory) < 0 || asprintf(&more, "%s/conf.d", directory) < 0)
                return -ENOMEM;
        if (access(main, F_OK) == 0)
                r = string_list_append_new(files, strdup(main), NULL);
        if (r == 0 && has_others)
                r = find_in(directory, report, files);
        if (r == 0)
                r = find_in(more, report, files);
        return r;
}

static int find_none(const char *directory, Report *report) {
        if (!report_has_unreadable(report))
                report_unreadable(report, directory, "there is no draind.conf in it, and no conf.d/*.conf");
        return 0;
}

int files_find(const char *path, Report *report, StringList *files) {
        unsigned n_before = files->n;
        struct stat status;
        int r;

        if (stat(path, &status) < 0) {
                report_unreadable(report, path, strerror(errno));
                return 0;
        }
        if (!S_ISDIR(status.st_mode))
                return string_list_append_new(files, strdup(path), NULL);
        r = find_in_all(path, true, report, files);
        if (r < 0)
                return r;
        return files->n > n_before ? 0 : find_none(path, report);
}

int files_find_default(const char *directory, Report *report, StringList *files) {
        int r;

        r = find_in_all(directory, false, report, files);
        if (r < 0)
                return r;
        return files->n > 0 ? 0 : find_none(directory, report);
}
