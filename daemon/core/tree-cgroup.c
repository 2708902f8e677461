#include "tree-cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum {
        DEPTH_MAX = 8,        /* of cgroups that services make for themselves */
        ENTRIES_BYTES = 2048,
        DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
};

/* Spaces and the like are written as \ooo in mountinfo. */
static void unescape(char *text) {
        char *to = text;

        for (char *from = text; *from; to++)
                if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' &&
                    from[3] >= '0' && from[3] <= '7') {
                        *to = (char) ((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
                        from += 4;
                } else
                        *to = *from++;
        *to = '\0';
}

/* The path of our cgroup as the kernel names it: the line "0::PATH". */
static int read_own_path(char *ret, size_t size) {
        FILE *file = fopen("/proc/self/cgroup", "re");
        char line[PATH_MAX + 8];
        int r = -ENOTSUP;

        if (!file)
                return -errno;
        while (r < 0 && fgets(line, sizeof(line), file)) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::/", 4) != 0 || strlen(line + 3) >= size)
                        continue;
                (void) strcpy(ret, line + 3);
                r = 0;
        }
        (void) fclose(file);
        return r;
}

/* One line of mountinfo: "ID PARENT MAJ:MIN ROOT MOUNTPOINT OPTIONS… - cgroup2 …". Cut up in place. */
static bool parse_mount(char *line, char **ret_root, char **ret_point) {
        char *type = strstr(line, " - "), *save = NULL, *field = NULL;

        if (!type || strncmp(type + 3, "cgroup2 ", 8) != 0)
                return false;
        for (int i = 0; i < 5; i++) {
                field = strtok_r(i == 0 ? line : NULL, " ", &save);
                if (!field)
                        return false;
                if (i == 3)
                        *ret_root = field;
        }
        *ret_point = field;
        unescape(*ret_root);
        unescape(*ret_point);
        return true;
}

/* Where path is seen below a mount whose root is root, or NULL: it lies outside. */
static const char *path_below(const char *path, const char *root) {
        size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

        if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
                return NULL;
        return path + length;
}

static int open_own(const char *own) {
        FILE *file = fopen("/proc/self/mountinfo", "re");
        char line[2 * PATH_MAX], path[2 * PATH_MAX];
        int fd = -ENOTSUP;

        if (!file)
                return -errno;
        while (fd < 0 && fgets(line, sizeof(line), file)) {
                char *root = NULL, *point = NULL;
                const char *below;
                int n;

                if (!parse_mount(line, &root, &point))
                        continue;
                below = path_below(own, root);
                if (!below || strstr(own, "/.."))
                        continue; /* outside of what our cgroup namespace shows */
                n = snprintf(path, sizeof(path), "%s%s", point, below);
                fd = n < 0 || (size_t) n >= sizeof(path) ? -ENAMETOOLONG : open(path, DIRECTORY_FLAGS);
        }
        (void) fclose(file);
        return fd < 0 ? -ENOTSUP : fd;
}

static int write_to(int directory, const char *path, const char *text) {
        cleanup(fd_closep) int fd = openat(directory, path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Permissions, read-only mounts, threaded cgroups, limits of depth: only trying tells. */
static int try_to_move(int own) {
        char name[32];
        cleanup(fd_closep) int trial = -EBADF;
        int r, back;

        (void) snprintf(name, sizeof(name), "try-%d", (int) getpid());
        r = tree_cgroup_make(own, name, &trial);
        if (r < 0)
                return r;
        r = write_to(trial, "cgroup.procs", "0");
        back = write_to(own, "cgroup.procs", "0");
        if (r == 0 && back < 0)
                return back; /* we are in it now, and can only stay */
        (void) unlinkat(own, name, AT_REMOVEDIR); /* empty; if not, it is one empty directory too many */
        return r;
}

/* The hierarchy's real root has no cgroup.type: it is the machine's, and not ours to settle in. */
int tree_cgroup_find(int *ret_fd) {
        cleanup(fd_closep) int fd = -EBADF;
        char own[PATH_MAX];
        int r = read_own_path(own, sizeof(own));

        if (r < 0)
                return r;
        fd = open_own(own);
        if (fd < 0)
                return fd;
        if (faccessat(fd, "cgroup.type", F_OK, 0) < 0 || try_to_move(fd) < 0)
                return -ENOTSUP;
        *ret_fd = take_fd(fd);
        return 0;
}

int tree_cgroup_make(int parent, const char *name, int *ret_fd) {
        int fd;

        if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(parent, name, DIRECTORY_FLAGS);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* Calls back for every cgroup directly below, with its name. */
static void each_below(int cgroup, void (*on_name)(int cgroup, const char *name, void *userdata), void *userdata) {
        _Alignas(struct dirent64) char entries[ENTRIES_BYTES];
        long n;

        if (lseek(cgroup, 0, SEEK_SET) < 0)
                return;
        while ((n = syscall(SYS_getdents64, cgroup, entries, sizeof(entries))) > 0)
                for (long at = 0; at < n;) {
                        const struct dirent64 *entry = (const struct dirent64 *) (entries + at);

                        at += entry->d_reclen;
                        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 &&
                            strcmp(entry->d_name, "..") != 0)
                                on_name(cgroup, entry->d_name, userdata);
                }
}

typedef struct Descent {
        Procfs *procfs;
        int depth;
        ProcfsPid on_pid;
        void *userdata;
} Descent;

static void remove_below(int parent, const char *name, void *userdata) {
        const Descent *above = userdata;
        Descent here = { .procfs = above->procfs, .depth = above->depth + 1 };
        int fd;

        if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || here.depth > DEPTH_MAX)
                return;
        fd = procfs_open(above->procfs, parent, name, DIRECTORY_FLAGS);
        if (fd < 0)
                return;
        each_below(fd, remove_below, &here);
        procfs_close(above->procfs, fd);
        (void) unlinkat(parent, name, AT_REMOVEDIR); /* busy: somebody lives there still */
}

void tree_cgroup_remove(Procfs *procfs, int parent, const char *name) {
        remove_below(parent, name, &(Descent) { .procfs = procfs });
}

bool tree_cgroup_is_populated(Procfs *procfs, int cgroup) {
        int fd = procfs_open(procfs, cgroup, "cgroup.events", O_RDONLY);
        char text[256];
        ssize_t n;

        if (fd < 0)
                return fd != -ENOENT && fd != -ENODEV; /* removed: nobody can be in it */
        n = read(fd, text, sizeof(text) - 1);
        procfs_close(procfs, fd);
        if (n < 0)
                return errno != ENODEV;
        text[n] = '\0';
        return !strstr(text, "populated 0");
}

static int write_control(Procfs *procfs, int cgroup, const char *path, const char *text) {
        int fd = procfs_open(procfs, cgroup, path, O_WRONLY), r = 0;

        if (fd < 0)
                return fd;
        if (write(fd, text, strlen(text)) < 0)
                r = -errno;
        procfs_close(procfs, fd);
        return r;
}

int tree_cgroup_kill(Procfs *procfs, int cgroup) {
        return write_control(procfs, cgroup, "cgroup.kill", "1");
}

void tree_cgroup_thaw(Procfs *procfs, int cgroup) {
        (void) write_control(procfs, cgroup, "cgroup.freeze", "0"); /* not frozen, not there: nothing to thaw */
}

static void list_below(int parent, const char *name, void *userdata) {
        const Descent *above = userdata;
        Descent here = *above;
        int fd = procfs_open(above->procfs, parent, name, DIRECTORY_FLAGS), procs, r;

        if (fd < 0)
                return;
        procs = procfs_open(above->procfs, fd, "cgroup.procs", O_RDONLY);
        if (procs >= 0) {
                r = procfs_read_pids(procs, above->on_pid, above->userdata);
                (void) r; /* a threaded one cannot be read: the processes are in the one above */
                procfs_close(above->procfs, procs);
        }
        here.depth++;
        if (here.depth <= DEPTH_MAX)
                each_below(fd, list_below, &here);
        procfs_close(above->procfs, fd);
}

void tree_cgroup_list(Procfs *procfs, int cgroup, ProcfsPid on_pid, void *userdata) {
        list_below(cgroup, ".", &(Descent) { .procfs = procfs, .on_pid = on_pid, .userdata = userdata });
}
