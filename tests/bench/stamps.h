#pragma once

/* The page of times that services, loop and driver share: one file, mapped by all of them. Times are nanoseconds on
 * CLOCK_MONOTONIC. `run` reads it by these offsets. */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAMPS_SLOTS_OFFSET 4096u

typedef enum StampsFlag {
        STAMPS_IGNORE_TERM = 1 << 0, /* services note SIGTERM and go on */
        STAMPS_EXIT_NOW = 1 << 1,    /* services end as soon as they have begun */
} StampsFlag;

typedef struct Stamp {
        uint64_t began, termed, ended, died; /* the last one is written by the watch */
        uint32_t pid, n_starts;
        char pad[24];
} Stamp;

typedef struct Stamps {
        _Atomic uint64_t n_began;
        char pad_began[56]; /* a cache line each: all services count here at once */
        _Atomic uint64_t n_termed;
        char pad_termed[56];
        _Atomic uint64_t n_ended;
        char pad_ended[56];
        uint64_t n, flags; /* at 192 and 200 */
        uint64_t from, to; /* at 208 and 216: of a helper that measures by itself */
} Stamps;

static inline uint64_t stamps_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

/* NULL: it could not be mapped. */
static inline Stamps *stamps_map(const char *path) {
        struct stat status;
        void *map = MAP_FAILED;
        int fd = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0)
                return NULL;
        if (fstat(fd, &status) == 0)
                map = mmap(NULL, (size_t) status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void) close(fd);
        return map == MAP_FAILED ? NULL : map;
}

static inline Stamp *stamps_slot(Stamps *stamps, unsigned long i) {
        return (Stamp *) ((char *) stamps + STAMPS_SLOTS_OFFSET) + i;
}
