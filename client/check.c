#include "verbs.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "config.h"

#define PROGRAM "draind-config"

extern char **environ;

/* The folder of this program, without the slash at its end. "" when it cannot be told. */
static void own_folder(char *buf, size_t size) {
        ssize_t n = readlink("/proc/self/exe", buf, size - 1);
        char *slash;

        buf[n > 0 ? n : 0] = '\0';
        slash = strrchr(buf, '/');
        if (slash)
                *slash = '\0';
}

/* Beside this program, where a build tree has it, or where it is installed. *ret: free(). */
static bool find_program(char **ret) {
        char folder[PATH_MAX];
        const char *const places[][2] = { { folder, "" }, { folder, "/../daemon" }, { DRAIND_LIBEXECDIR, "" } };

        own_folder(folder, sizeof(folder));
        for (size_t i = 0; i < n_elements(places); i++) {
                cleanup(freep) char *path = NULL;

                if (!places[i][0][0])
                        continue;
                if (asprintf(&path, "%s%s/" PROGRAM, places[i][0], places[i][1]) < 0)
                        die(ENOMEM);
                if (access(path, X_OK) == 0) {
                        *ret = take(path);
                        return true;
                }
        }
        return false;
}

/* With --json the configuration itself is wanted. *ret: an array, free(); its strings are borrowed. */
static char **make_arguments(const Options *options) {
        char **arguments = calloc(options->n_names * 2 + 3, sizeof(*arguments));
        size_t n = 0;

        if (!arguments)
                die(ENOMEM);
        arguments[n++] = (char *) PROGRAM; /* execve() does not write to them */
        if (!options_has(options, OPTION_JSON))
                arguments[n++] = (char *) "--check";
        for (unsigned i = 0; i < options->n_names; i++) {
                arguments[n++] = (char *) "-c";
                arguments[n++] = (char *) options->names[i];
        }
        return arguments;
}

static int status_of(int wait_status) {
        int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;

        if (status == STATUS_REACHED || status == STATUS_USAGE || status == STATUS_BAD_CONFIGURATION)
                return status;
        if (status < 0)
                return client_fail(STATUS_FAILED, PROGRAM " was ended by SIG%s.", sigabbrev_np(WTERMSIG(wait_status)));
        return STATUS_FAILED; /* it has said why */
}

int check_run(Client *client) {
        bool is_quiet = options_has(client->options, OPTION_QUIET);
        cleanup(freep) char *path = NULL;
        cleanup(freep) char **arguments = NULL;
        posix_spawn_file_actions_t actions;
        int error, wait_status;
        pid_t pid;

        if (!find_program(&path))
                return client_fail(STATUS_FAILED, PROGRAM " is not installed: it is expected in %s.",
                                   DRAIND_LIBEXECDIR);
        arguments = make_arguments(client->options);
        if (posix_spawn_file_actions_init(&actions) != 0)
                die(ENOMEM);
        error = is_quiet ? posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) : 0;
        if (error == 0)
                error = posix_spawn(&pid, path, &actions, NULL, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (error != 0)
                return client_fail(STATUS_FAILED, "%s cannot be run: %s.", path, strerror(error));
        while (waitpid(pid, &wait_status, 0) < 0)
                if (errno != EINTR)
                        die(errno);
        return status_of(wait_status);
}
