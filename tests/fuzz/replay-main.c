/* Runs a fuzz target over the files of its corpus: y_* must be accepted, n_* must be refused, and whatever else there
 * is must do no harm. Arguments: files and folders. */

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static bool replay_file(const char *path) {
        const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
        FILE *file = fopen(path, "rbe");
        uint8_t *data = NULL;
        size_t size = 0;
        struct stat st;

        if (!file || fstat(fileno(file), &st) < 0) {
                perror(path);
                return false;
        }
        data = malloc(st.st_size > 0 ? (size_t) st.st_size : 1); /* exact: one byte further is a sanitizer's finding */
        if (data)
                size = fread(data, 1, (size_t) st.st_size, file);
        (void) fclose(file);
        fuzz_accepted = -1;
        (void) LLVMFuzzerTestOneInput(data, size);
        free(data);
        if ((strncmp(name, "y_", 2) == 0 && fuzz_accepted != 1) ||
            (strncmp(name, "n_", 2) == 0 && fuzz_accepted != 0)) {
                fprintf(stderr, "%s: was %s\n", path, fuzz_accepted == 1 ? "accepted" : "refused");
                return false;
        }
        return true;
}

static unsigned replay(const char *path, bool *is_good) {
        struct dirent **entries = NULL;
        unsigned n_files = 0;
        int n;

        n = scandir(path, &entries, NULL, alphasort);
        if (n < 0) {
                *is_good &= replay_file(path);
                return 1;
        }
        for (int i = 0; i < n; i++) {
                char child[4096];

                (void) snprintf(child, sizeof(child), "%s/%s", path, entries[i]->d_name);
                if (entries[i]->d_name[0] != '.')
                        n_files += replay(child, is_good);
                free(entries[i]);
        }
        free(entries);
        return n_files;
}

int main(int argc, char **argv) {
        unsigned n_files = 0;
        bool is_good = true;

        for (int i = 1; i < argc; i++)
                n_files += replay(argv[i], &is_good);
        printf("%u files\n", n_files);
        return is_good && n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
