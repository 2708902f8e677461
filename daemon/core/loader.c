#include "loader.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"
#include "../config/model-json.h"
#include "config.h"

#define CONFIG_PROGRAM   "draind-config"
#define ARGUMENTS_MAX    256u
#define ERRORS_MAX_BYTES 65536u

extern char **environ;

struct Loader {
        Loop *loop;
        LoopSource *source;
        pid_t pid;
        int pidfd, document, errors; /* owned */
        LoaderDone done;
        void *userdata;
};

/* Beside our own executable, else where it was installed. */
static void find_program(char *buf, size_t size) {
        ssize_t n = readlink("/proc/self/exe", buf, size - 1);
        char *slash;

        buf[n > 0 ? n : 0] = '\0';
        slash = strrchr(buf, '/');
        if (slash && (size_t) (slash + 1 - buf) + sizeof(CONFIG_PROGRAM) <= size) {
                memcpy(slash + 1, CONFIG_PROGRAM, sizeof(CONFIG_PROGRAM));
                if (access(buf, X_OK) == 0)
                        return;
        }
        (void) snprintf(buf, size, "%s/%s", DRAIND_LIBEXECDIR, CONFIG_PROGRAM);
}

/* errors: -EBADF: our stderr. */
must_check static int spawn_config(char *const *arguments, int document, int errors, pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char path[4096], *argv[ARGUMENTS_MAX];
        sigset_t none, all;
        unsigned n = 0;
        int r;

        find_program(path, sizeof(path));
        argv[n++] = (char *) CONFIG_PROGRAM;
        for (unsigned i = 1; arguments[0] && arguments[i] && n < ARGUMENTS_MAX - 1; i++)
                argv[n++] = arguments[i];
        argv[n] = NULL;
        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r == 0)
                r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (r == 0)
                r = posix_spawnattr_setsigmask(&attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(&attributes, &all);
        if (r == 0)
                r = posix_spawn_file_actions_adddup2(&actions, document, STDOUT_FILENO);
        if (r == 0 && errors >= 0)
                r = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
        if (r == 0)
                r = posix_spawn(ret_pid, path, &actions, &attributes, argv, environ);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Grows as it is written, unlike what memfd_make() seals. */
must_check static int open_file(const char *name) {
        int fd = memfd_create(name, MFD_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int exit_status(const siginfo_t *info) {
        return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

int loader_run(char *const *arguments, int *ret_fd, int *ret_status) {
        cleanup(fd_closep) int document = open_file("draind-model");
        siginfo_t info = { 0 };
        pid_t pid;
        int r;

        if (document < 0)
                return document;
        r = spawn_config(arguments, document, -EBADF, &pid);
        if (r < 0)
                return r;
        do
                r = waitid(P_PID, (id_t) pid, &info, WEXITED);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        *ret_status = exit_status(&info);
        if (*ret_status != 0)
                return LOADER_REFUSED;
        *ret_fd = take_fd(document);
        return 0;
}

/* --- beside everything else --- */

static void read_errors(int fd, StringList *ret) {
        char *text = malloc(ERRORS_MAX_BYTES + 1), *rest;
        ssize_t n = text ? pread(fd, text, ERRORS_MAX_BYTES, 0) : -1;
        unsigned n_lines = 1;

        if (n <= 0) {
                free(text);
                return;
        }
        text[n] = '\0';
        for (ssize_t i = 0; i < n; i++)
                n_lines += text[i] == '\n';
        ret->items = calloc(n_lines, sizeof(char *));
        for (char *line = ret->items ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
                ret->items[ret->n] = strdup(line);
                if (!ret->items[ret->n])
                        break;
                ret->n++;
        }
        free(text);
}

static void errors_done(StringList *errors) {
        for (unsigned i = 0; i < errors->n; i++)
                free(errors->items[i]);
        free(errors->items);
}

static int on_exit_of_config(int fd, uint32_t events, void *userdata) {
        Loader *loader = userdata;
        cleanup(errors_done) StringList errors = { 0 };
        siginfo_t info = { 0 };

        if (waitid(P_PIDFD, (id_t) loader->pidfd, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
                return 0;
        loader->pid = 0;
        loader->source = loop_remove(loader->source);
        if (exit_status(&info) != 0)
                read_errors(loader->errors, &errors);
        loader->done(loader->document, exit_status(&info), &errors, loader->userdata);
        return 0;
}

int loader_new(Loader **ret, Loop *loop, char *const *arguments, LoaderDone done, void *userdata) {
        Loader *loader = malloc(sizeof(*loader));
        int r;

        if (!loader)
                return -ENOMEM;
        *loader = (Loader) { .loop = loop, .done = done, .userdata = userdata, .pidfd = -EBADF };
        loader->document = open_file("draind-model");
        loader->errors = open_file("draind-config-errors");
        r = loader->document < 0 ? loader->document : loader->errors < 0 ? loader->errors : 0;
        if (r == 0)
                r = spawn_config(arguments, loader->document, loader->errors, &loader->pid);
        if (r == 0) {
                loader->pidfd = (int) syscall(SYS_pidfd_open, loader->pid, 0);
                r = loader->pidfd < 0 ? -errno : 0;
        }
        if (r == 0)
                r = loop_add_fd(loop, loader->pidfd, EPOLLIN, LOOP_PRIORITY_CONTROL, "draind-config", on_exit_of_config, loader,
                                &loader->source);
        if (r < 0) {
                loader_free(loader);
                return r;
        }
        *ret = loader;
        return 0;
}

Loader *loader_free(Loader *loader) {
        if (!loader)
                return NULL;
        loader->source = loop_remove(loader->source);
        if (loader->pid > 0) {
                (void) kill(loader->pid, SIGKILL); /* a child of ours that has not been reaped */
                (void) waitpid(loader->pid, NULL, 0);
        }
        (void) fd_close(loader->pidfd);
        (void) fd_close(loader->document);
        (void) fd_close(loader->errors);
        free(loader);
        return NULL;
}

/* --- the document --- */

/* The document as jansson's values takes many times what the model takes, and lives for a moment. From the heap it
 * would leave a hole there that the tables of thousands of services are then cut from, and cleared: memory for the
 * worst day, paid for on every day. So it gets a mapping of its own. jansson's functions have no userdata. */
static struct {
        char *start;
        size_t size_bytes, used_bytes;
} arena;

#define ARENA_FACTOR 32u /* of the text; what does not fit goes to the heap after all */
#define ARENA_ALIGN  16u

static void *arena_allocate(size_t size) {
        size_t rounded = (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;

        if (rounded < size || rounded > arena.size_bytes - arena.used_bytes)
                return malloc(size);
        arena.used_bytes += rounded;
        return arena.start + arena.used_bytes - rounded;
}

static void arena_release(void *memory) {
        uintptr_t at = (uintptr_t) memory, start = (uintptr_t) arena.start;

        if (at < start || at - start >= arena.size_bytes)
                free(memory);
}

static void arena_enter(size_t text_bytes) {
        size_t size = text_bytes < SIZE_MAX / ARENA_FACTOR ? text_bytes * ARENA_FACTOR : 0;
        void *start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

        if (start == MAP_FAILED)
                return;
        arena.start = start;
        arena.size_bytes = size;
        json_set_alloc_funcs(arena_allocate, arena_release);
}

static void arena_leave(void) {
        if (!arena.start)
                return;
        json_set_alloc_funcs(malloc, free);
        (void) munmap(arena.start, arena.size_bytes);
        memset(&arena, 0, sizeof(arena));
}

must_check static int parse_text(const char *text, size_t size, Model *ret, char *reason) {
        json_error_t error;
        json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
        int r;

        if (!json) {
                (void) snprintf(reason, MODEL_JSON_REASON_MAX, "%s", error.text);
                return -EBADMSG;
        }
        r = model_from_json_explained(ret, json, reason);
        json_decref(json);
        return r;
}

int loader_parse(int document, Model *ret, char *reason) {
        struct stat st;
        void *text;
        int r;

        if (fstat(document, &st) < 0)
                return -errno;
        if (st.st_size == 0) {
                (void) snprintf(reason, MODEL_JSON_REASON_MAX, "it is empty");
                return -EBADMSG;
        }
        text = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, document, 0);
        if (text == MAP_FAILED)
                return -errno;
        arena_enter((size_t) st.st_size);
        r = parse_text(text, (size_t) st.st_size, ret, reason);
        arena_leave();
        (void) munmap(text, (size_t) st.st_size);
        return r;
}
