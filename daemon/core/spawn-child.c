#include "spawn-child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <linux/capability.h>

#include "raw-syscall.h"

/* Everything here is raw_code and calls nothing of libc, see the header. A step returns 0 or -errno. */

enum {
        GATE_FD = 3,              /* where the gate goes */
        FIRST_FREE_FD = 4,        /* from here on a descriptor is out of the way of those that are put in place */
        SIGNAL_MAX = 64,
        KERNEL_SIGSET_BYTES = SIGNAL_MAX / 8,
        GROUPS_COMPARED_MAX = 256,
        NICE_ZERO = 20,           /* the raw getpriority answers 20 - nice */
        UNSHARE_AND_CLOSE = 2,    /* CLOSE_RANGE_UNSHARE, which older headers lack */
};

/* struct sigaction as the kernel has it; all zero is the default action on every architecture. */
typedef struct KernelSigaction {
        unsigned long words[8];
} KernelSigaction;

raw_code static size_t text_length(const char *text) {
        size_t length = 0;

        while (text[length])
                length++;
        return length;
}

/* CLONE_CLEAR_SIGHAND leaves ignored signals ignored, and clone() cannot be asked for it. */
raw_code static void reset_signals(void) {
        KernelSigaction default_action = { { 0 } };

        for (int signal = 1; signal <= SIGNAL_MAX; signal++)
                if (signal != SIGKILL && signal != SIGSTOP)
                        (void) raw(SYS_rt_sigaction, signal, &default_action, NULL, KERNEL_SIGSET_BYTES);
}

raw_code static long step_cgroup(const SpawnChild *child) {
        long fd, r;

        if (!child->is_outside_cgroup)
                return 0;
        fd = raw(SYS_openat, child->request->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return fd;
        r = raw(SYS_write, fd, "0", 1);
        (void) raw(SYS_close, fd);
        return r < 0 ? r : 0;
}

/* Without close_range(2): first what /proc tells, and where there is none, every number up to the limit. */
raw_code static void close_one_by_one(int first) {
        struct rlimit64 limit = { .rlim_cur = 1024 };
        unsigned long highest;

        (void) raw(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
        highest = limit.rlim_cur < 65536 ? (unsigned long) limit.rlim_cur : 65536;
        for (unsigned long fd = (unsigned long) first; fd < highest; fd++)
                (void) raw(SYS_close, fd);
}

/* A table of our own: the kernel copies what lies below the first that is not needed, and closes nothing. */
raw_code static long leave_files(const SpawnChild *child) {
        return child->shares_files ? raw(SYS_close_range, child->first_other, ~0U, UNSHARE_AND_CLOSE) : 0;
}

/* First out of the way, then into place: what is wanted as 0 may itself be 2. Nothing of the core is left open
 * after this, whether it is CLOEXEC or not. Comes before the limits, which may allow fewer descriptors. */
raw_code static long step_descriptors(const SpawnChild *child) {
        long moved[3], gate = -EBADF, r;

        r = leave_files(child);
        if (r < 0)
                return r;
        for (int i = 0; i < 3; i++) {
                moved[i] = raw(SYS_fcntl, child->sources[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
                if (moved[i] < 0)
                        return moved[i];
        }
        if (child->gate >= 0) {
                gate = raw(SYS_dup3, child->gate, GATE_FD, O_CLOEXEC);
                if (gate == -EINVAL) /* it is there already */
                        gate = GATE_FD;
                if (gate < 0)
                        return gate;
        }
        for (int i = 0; i < 3; i++) {
                r = raw(SYS_dup3, moved[i], i, 0);
                if (r < 0)
                        return r;
        }
        if (raw(SYS_close_range, gate < 0 ? GATE_FD : FIRST_FREE_FD, ~0U, 0) < 0)
                close_one_by_one(gate < 0 ? GATE_FD : FIRST_FREE_FD);
        return 0;
}

raw_code static long step_session(const SpawnChild *child) {
        long r = raw(SYS_setsid);

        return r < 0 ? r : 0;
}

/* Whoever raised the core's priority did not mean its services; whoever lowered it ("nice draind") did. */
raw_code static long step_nice(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        long wish;

        if (service->has_nice)
                return raw(SYS_setpriority, PRIO_PROCESS, 0, service->nice);
        wish = raw(SYS_getpriority, PRIO_PROCESS, 0);
        if (wish > NICE_ZERO)
                (void) raw(SYS_setpriority, PRIO_PROCESS, 0, 0); /* less is always allowed */
        return 0;
}

/* Without CAP_SYS_RESOURCE nobody may lower the score; the service runs all the same, as under systemd. */
raw_code static long step_oom_score(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        char text[12];
        size_t at = sizeof(text);
        unsigned value;
        long fd, r;

        if (!service->has_oom_score_adjust)
                return 0;
        value = service->oom_score_adjust < 0 ? -(unsigned) service->oom_score_adjust
                                              : (unsigned) service->oom_score_adjust;
        do
                text[--at] = (char) ('0' + value % 10);
        while ((value /= 10) > 0);
        if (service->oom_score_adjust < 0)
                text[--at] = '-';
        fd = raw(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                return fd == -EACCES || fd == -EPERM || fd == -ENOENT ? 0 : fd;
        r = raw(SYS_write, fd, text + at, sizeof(text) - at);
        (void) raw(SYS_close, fd);
        return r < 0 && r != -EACCES && r != -EPERM ? r : 0;
}

raw_code static uint64_t at_most(uint64_t value, uint64_t limit) {
        return value < limit ? value : limit;
}

/* A hard limit above ours needs a privilege that containers rarely have: cut down to it then, as systemd does. */
raw_code static long set_limit(const Limit *limit) {
        struct rlimit64 wanted = { .rlim_cur = limit->soft, .rlim_max = limit->hard }, current;
        long r = raw(SYS_prlimit64, 0, limit->resource, &wanted, NULL);

        if (r != -EPERM)
                return r;
        r = raw(SYS_prlimit64, 0, limit->resource, NULL, &current);
        if (r < 0)
                return r;
        wanted.rlim_cur = at_most(wanted.rlim_cur, current.rlim_max);
        wanted.rlim_max = at_most(wanted.rlim_max, current.rlim_max);
        return raw(SYS_prlimit64, 0, limit->resource, &wanted, NULL);
}

/* The core has raised its own soft limit: programs that use select(2) rely on the low one. */
raw_code static long reset_open_files(uint64_t soft) {
        struct rlimit64 limit;
        long r = raw(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);

        if (r < 0)
                return r;
        limit.rlim_cur = at_most(soft, limit.rlim_max);
        return raw(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL);
}

raw_code static long step_limits(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        bool has_open_files = child->request->default_nofile == 0;
        long r;

        for (unsigned i = 0; i < service->n_limits; i++) {
                r = set_limit(&service->limits[i]);
                if (r < 0)
                        return r;
                if (service->limits[i].resource == RLIMIT_NOFILE)
                        has_open_files = true;
        }
        (void) raw(SYS_umask, service->has_umask ? service->umask : 0022);
        return has_open_files ? 0 : reset_open_files(child->request->default_nofile);
}

raw_code static bool has_group(const gid_t *groups, long n, gid_t group) {
        for (long i = 0; i < n; i++)
                if (groups[i] == group)
                        return true;
        return false;
}

/* Whoever may not set groups (no root, a user namespace that denies it) may still ask for those it has. */
raw_code static bool has_exactly_groups(const ServiceConfig *service) {
        gid_t current[GROUPS_COMPARED_MAX];
        long n = raw(RAW_GETGROUPS, GROUPS_COMPARED_MAX, current);
        gid_t own = (gid_t) raw(RAW_GETEGID);

        if (n < 0)
                return false;
        for (unsigned i = 0; i < service->n_groups; i++)
                if (service->groups[i] != own && !has_group(current, n, service->groups[i]))
                        return false;
        for (long i = 0; i < n; i++)
                if (current[i] != own && !has_group(service->groups, service->n_groups, current[i]))
                        return false;
        return true;
}

raw_code static long step_groups(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        long r;

        if (!service->has_groups)
                return 0;
        r = raw(RAW_SETGROUPS, service->n_groups, service->groups);
        return r == -EPERM && has_exactly_groups(service) ? 0 : r;
}

raw_code static long step_group(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;

        return service->has_user ? raw(RAW_SETRESGID, service->gid, service->gid, service->gid) : 0;
}

raw_code static long step_bounding_set(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        long r;

        if (!service->has_bounding)
                return 0;
        for (int capability = 0; capability < 64; capability++) {
                if (service->bounding & (UINT64_C(1) << capability))
                        continue;
                if (raw(SYS_prctl, PR_CAPBSET_READ, capability) <= 0)
                        continue; /* dropped already, or the kernel does not know it */
                r = raw(SYS_prctl, PR_CAPBSET_DROP, capability);
                if (r < 0)
                        return r;
        }
        return 0;
}

raw_code static long step_user(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        long r;

        if (!service->has_user)
                return 0;
        if (service->ambient != 0) {
                r = raw(SYS_prctl, PR_SET_KEEPCAPS, 1); /* until exec */
                if (r < 0)
                        return r;
        }
        return raw(RAW_SETRESUID, service->uid, service->uid, service->uid);
}

/* Another user keeps what is ambient, and nothing else of what KEEPCAPS has saved. Root keeps what it has. */
raw_code static long step_capabilities(const SpawnChild *child) {
        const ServiceConfig *service = child->request->service;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
        const uint32_t ambient[] = { (uint32_t) service->ambient, (uint32_t) (service->ambient >> 32) };
        bool is_root = raw(RAW_GETEUID) == 0;
        long r;

        if (service->ambient == 0)
                return 0;
        r = raw(SYS_capget, &header, data);
        if (r < 0)
                return r;
        for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
                data[i].inheritable |= ambient[i];
                if (is_root)
                        continue;
                data[i].inheritable = ambient[i];
                data[i].permitted &= ambient[i];
                data[i].effective = data[i].permitted;
        }
        r = raw(SYS_capset, &header, data);
        for (int capability = 0; r >= 0 && capability < 64; capability++)
                if (service->ambient & (UINT64_C(1) << capability))
                        r = raw(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability);
        return r;
}

raw_code static long step_no_new_privileges(const SpawnChild *child) {
        return child->request->service->no_new_privileges ? raw(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1) : 0;
}

/* As the service's user, who may not be allowed to look where root may. */
raw_code static long step_working_directory(const SpawnChild *child) {
        const SpawnRequest *request = child->request;
        const char *wish = request->service->working_directory;
        long r;

        if (!wish)
                return request->keep_directory ? 0 : raw(SYS_chdir, "/");
        r = raw(SYS_chdir, wish[0] == '~' && !wish[1] ? child->home : wish);
        if (r < 0 && request->service->working_directory_may_fail)
                r = request->keep_directory ? 0 : raw(SYS_chdir, "/");
        return r;
}

/* directory[0..length) + "/" + name; an empty directory is the current one. */
raw_code static bool join_path(const SpawnChild *child, const char *directory, size_t length, const char *name) {
        size_t n_name = text_length(name), at = 0;

        if (length + n_name + 2 > child->path_size_bytes)
                return false;
        for (size_t i = 0; i < length; i++)
                child->path[at++] = directory[i];
        if (length > 0)
                child->path[at++] = '/';
        for (size_t i = 0; i <= n_name; i++)
                child->path[at++] = name[i];
        return true;
}

/* A directory that lacks the program is passed over; one that has it, but not for us, is remembered: "permission
 * denied" tells more than the "not found" of the last directory. Everything else is final. */
raw_code static long exec_by_search(const SpawnChild *child, char *const *argv) {
        const char *at = child->search_path;
        long r, result = -ENOENT;

        for (;;) {
                size_t length = 0;

                while (at[length] && at[length] != ':')
                        length++;
                r = -ENAMETOOLONG;
                if (join_path(child, at, length, argv[0]))
                        r = raw(SYS_execve, child->path, argv, child->request->environment);
                if (r == -EACCES)
                        result = r;
                else if (r != -ENOENT && r != -ENOTDIR && r != -ENAMETOOLONG)
                        return r;
                if (!at[length])
                        return result;
                at += length + 1;
        }
}

raw_code static bool has_slash(const char *text) {
        for (; *text; text++)
                if (*text == '/')
                        return true;
        return false;
}

/* A signal that was sent to us until now is pending, and gets its due here: under default actions. */
raw_code static long step_exec(const SpawnChild *child) {
        char *const *argv = child->request->command->argv;
        const uint64_t empty_mask = 0;

        (void) raw(SYS_rt_sigprocmask, SIG_SETMASK, &empty_mask, NULL, KERNEL_SIGSET_BYTES);
        if (!argv[0][0])
                return -ENOENT;
        if (has_slash(argv[0]))
                return raw(SYS_execve, argv[0], argv, child->request->environment);
        return exec_by_search(child, argv);
}

/* The order matters: descriptors before the limits, limits and bounding set while we are root, groups before the
 * user, ambient capabilities after capset, the directory as the user. */
static const struct {
        SpawnStep step;
        long (*run)(const SpawnChild *child);
} steps[] = {
        { SPAWN_STEP_CGROUP,            step_cgroup            },
        { SPAWN_STEP_DESCRIPTORS,       step_descriptors       },
        { SPAWN_STEP_SESSION,           step_session           },
        { SPAWN_STEP_NICE,              step_nice              },
        { SPAWN_STEP_OOM_SCORE,         step_oom_score         },
        { SPAWN_STEP_LIMITS,            step_limits            },
        { SPAWN_STEP_GROUPS,            step_groups            },
        { SPAWN_STEP_GROUP,             step_group             },
        { SPAWN_STEP_BOUNDING_SET,      step_bounding_set      },
        { SPAWN_STEP_USER,              step_user              },
        { SPAWN_STEP_CAPABILITIES,      step_capabilities      },
        { SPAWN_STEP_NO_NEW_PRIVILEGES, step_no_new_privileges },
        { SPAWN_STEP_WORKING_DIRECTORY, step_working_directory },
        { SPAWN_STEP_EXEC,              step_exec              },
};

raw_code int spawn_child_main(void *userdata) {
        const SpawnChild *child = userdata;
        long r = 0;

        reset_signals();
        for (size_t i = 0; r >= 0 && i < n_elements(steps); i++) {
                child->report->reached = steps[i].step;
                r = steps[i].run(child);
        }
        child->report->error = (int) -r;
        for (;;)
                (void) raw(SYS_exit_group, 127);
}
