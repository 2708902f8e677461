/* Prints what this process was born with, as KEY=VALUE lines: for tests that hold it against what was asked for. */

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static void show_status(void) {
        static const char *const keys[] = { "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff",
                                            "CapBnd", "CapAmb", "NoNewPrivs", "Uid", "Gid", "Groups" };
        FILE *file = fopen("/proc/self/status", "re");
        char line[4096];

        while (file && fgets(line, sizeof(line), file)) {
                char *colon = strchr(line, ':'), *at;

                if (!colon)
                        continue;
                *colon = '\0';
                for (at = colon + 1; *at; at++)
                        if (*at == '\t')
                                *at = ' ';
                at = colon + 1;
                at += strspn(at, " ");
                at[strcspn(at, "\n")] = '\0';
                while (*at && at[strlen(at) - 1] == ' ')
                        at[strlen(at) - 1] = '\0';
                for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
                        if (strcmp(line, keys[i]) == 0)
                                printf("%s=%s\n", line, at);
        }
        if (file)
                (void) fclose(file);
}

static void show_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                char path[300], target[300];
                ssize_t n;

                if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir))
                        continue;
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
                n = readlink(path, target, sizeof(target) - 1);
                target[n < 0 ? 0 : n] = '\0';
                printf("fd%s=%s\n", entry->d_name, target);
        }
        if (dir)
                (void) closedir(dir);
}

static void show_file(const char *key, const char *path) {
        FILE *file = fopen(path, "re");
        char line[4096];

        while (file && fgets(line, sizeof(line), file))
                printf("%s=%s%s", key, line, strchr(line, '\n') ? "" : "\n");
        if (file)
                (void) fclose(file);
}

static void show_limits(void) {
        static const struct {
                const char *name;
                int resource;
        } limits[] = { { "nofile", RLIMIT_NOFILE }, { "core", RLIMIT_CORE }, { "fsize", RLIMIT_FSIZE } };

        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
                struct rlimit limit;

                if (getrlimit(limits[i].resource, &limit) == 0)
                        printf("limit-%s=%lld:%lld\n", limits[i].name, (long long) limit.rlim_cur,
                               (long long) limit.rlim_max);
        }
}

int main(int argc, char *argv[]) {
        char directory[4096];

        show_fds();
        show_status();
        show_limits();
        show_file("oom", "/proc/self/oom_score_adj");
        show_file("cgroup", "/proc/self/cgroup");
        printf("umask=%03o\n", (unsigned) umask(0));
        printf("nice=%d\n", getpriority(PRIO_PROCESS, 0));
        printf("pid=%d\n", (int) getpid());
        printf("ppid=%d\n", (int) getppid());
        printf("sid=%d\n", (int) getsid(0));
        printf("pgid=%d\n", (int) getpgrp());
        printf("cwd=%s\n", getcwd(directory, sizeof(directory)) ? directory : "?");
        for (int i = 0; i < argc; i++)
                printf("argv%d=%s\n", i, argv[i]);
        for (char **at = environ; *at; at++)
                printf("env=%s\n", *at);
        return fflush(stdout) == 0 ? 0 : 1;
}
