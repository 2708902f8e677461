#include "spawn-clone.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <linux/sched.h>

#include "raw-syscall.h"

/* CLONE_PARENT wants no exit signal: the kernel takes that of the core, which is SIGCHLD since the keeper forked it. */
enum { SIBLING_FLAGS = CLONE_PARENT | CLONE_PIDFD };

/* libc has no clone3(2): the child starts on another stack, where no C function can return to. It goes to main
 * directly, and to exit if main should return. Registers other than the result survive the call in both. */
#if defined(__x86_64__) && defined(__LP64__)
static long clone3_call(struct clone_args *args, int (*entry)(void *), void *userdata) {
        register int (*r8)(void *) __asm__("r8") = entry;
        register void *r9 __asm__("r9") = userdata;
        long result;

        __asm__ volatile("syscall\n\t"
                         "testq %%rax, %%rax\n\t"
                         "jnz 1f\n\t"
                         "xorl %%ebp, %%ebp\n\t" /* the end of the chain of frames, for debuggers */
                         "movq %%r9, %%rdi\n\t"
                         "call *%%r8\n\t"
                         "movl %%eax, %%edi\n\t"
                         "movl %[exit], %%eax\n\t"
                         "syscall\n\t"
                         "hlt\n"
                         "1:"
                         : "=a"(result)
                         : "0"((long) SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(r8), "r"(r9),
                           [exit] "i"(SYS_exit_group)
                         : "rcx", "r11", "memory", "cc");
        return result;
}
#elif defined(__aarch64__)
static long clone3_call(struct clone_args *args, int (*entry)(void *), void *userdata) {
        register long x8 __asm__("x8") = SYS_clone3;
        register long x0 __asm__("x0") = (long) args;
        register long x1 __asm__("x1") = (long) sizeof(*args);
        register int (*x10)(void *) __asm__("x10") = entry;
        register void *x11 __asm__("x11") = userdata;

        __asm__ volatile("svc #0\n\t"
                         "cbnz x0, 1f\n\t"
                         "mov x29, xzr\n\t" /* the end of the chain of frames, for debuggers */
                         "mov x0, x11\n\t"
                         "blr x10\n\t"
                         "mov x8, %[exit]\n\t"
                         "svc #0\n\t"
                         "brk #1\n"
                         "1:"
                         : "+r"(x0)
                         : "r"(x8), "r"(x1), "r"(x10), "r"(x11), [exit] "i"(SYS_exit_group)
                         : "memory", "cc");
        return x0;
}
#else
static long clone3_call(struct clone_args *args, int (*entry)(void *), void *userdata) {
        return -ENOSYS; /* nobody has written the ten lines for this architecture */
}
#endif

pid_t clone_sibling(CloneMethod method, const CloneRequest *request, int *ret_pidfd) {
        struct clone_args args = {
                .flags = SIBLING_FLAGS | CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | CLONE_CLEAR_SIGHAND,
                .parent_tid = (uintptr_t) request->pid_word,
                .stack = (uintptr_t) request->stack,
                .stack_size = request->stack_size_bytes,
        };
        int pidfd = -EBADF;
        pid_t pid;

        args.pidfd = (uintptr_t) &pidfd;
        if (request->cgroup >= 0) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) request->cgroup;
        }
        if (request->shares_files)
                args.flags |= CLONE_FILES;
        if (method == CLONE_METHOD_CLONE3)
                pid = (pid_t) clone3_call(&args, request->main, request->userdata);
        else {
                int flags = SIBLING_FLAGS | CLONE_CHILD_SETTID;

                if (method == CLONE_METHOD_VFORK)
                        flags |= CLONE_VM | CLONE_VFORK;
                pid = clone(request->main, (char *) request->stack + request->stack_size_bytes, flags,
                            request->userdata, &pidfd, NULL, request->pid_word);
                if (pid < 0)
                        pid = -errno;
        }
        if (pid > 0)
                *ret_pidfd = pidfd;
        return pid;
}
