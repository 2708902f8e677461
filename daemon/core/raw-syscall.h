#pragma once

/* System calls without libc: for the side of a spawn that shares the core's memory, where libc's errno, its
 * locks and its wrappers that act on all threads (setresuid and its like) would be the core's own. */

#include <errno.h>
#include <unistd.h>
#include <sys/syscall.h>

/* On what shares the core's stack area and never returns: the sanitizers' shadow would keep the marks of frames
 * that execve has swallowed, and find them at the next spawn. */
#define raw_code __attribute__((__no_sanitize_address__, __no_sanitize__("undefined")))

/* raw(SYS_x, arguments…): the result, or -errno. */
#define raw(...) raw_pad(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define raw_pad(number, a, b, c, d, e, ...) \
        raw_syscall((long) (number), (long) (a), (long) (b), (long) (c), (long) (d), (long) (e))

raw_code static inline long raw_syscall(long number, long a, long b, long c, long d, long e) {
#if defined(__x86_64__) && defined(__LP64__)
        register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
        long result;

        __asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                         : "rcx", "r11", "memory", "cc");
        return result;
#elif defined(__aarch64__)
        register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b;
        register long x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = e;

        __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
        return x0;
#else
        /* errno is shared, but the core sleeps in its own call meanwhile and reads none afterwards. */
        long result = syscall(number, a, b, c, d, e);

        return result < 0 ? -errno : result;
#endif
}

/* The calls with 32-bit ids, on every architecture. */
#ifdef SYS_setresuid32
enum { RAW_SETGROUPS = SYS_setgroups32, RAW_GETGROUPS = SYS_getgroups32, RAW_GETEGID = SYS_getegid32,
       RAW_GETEUID = SYS_geteuid32, RAW_SETRESGID = SYS_setresgid32, RAW_SETRESUID = SYS_setresuid32 };
#else
enum { RAW_SETGROUPS = SYS_setgroups, RAW_GETGROUPS = SYS_getgroups, RAW_GETEGID = SYS_getegid,
       RAW_GETEUID = SYS_geteuid, RAW_SETRESGID = SYS_setresgid, RAW_SETRESUID = SYS_setresuid };
#endif
