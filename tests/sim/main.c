/* Runs random histories against the pure core: options, worker processes, and the verdict as TAP. */

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "oracles.h"
#include "world.h"

#define JOBS_MAX 64u

static uint64_t arg_seed = 1, arg_drains = 100000;
static unsigned arg_jobs = 1, arg_time_limit;
static bool arg_trace;

typedef struct Tally {
        uint64_t n_histories, n_drains, n_events, n_crashes;
        uint64_t failed_seed;
        unsigned failed_oracle;
        char failure[FAILURE_TEXT_MAX];
} Tally;

static double seconds(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + (double) now.tv_nsec / 1e9;
}

/* Every jobs-th seed from this one on, until it has had its part of the drains. */
static Tally run_part(unsigned job) {
        static World world;
        Tally tally = { 0 };
        uint64_t n_drains = (arg_drains + arg_jobs - 1) / arg_jobs;
        double end = seconds() + arg_time_limit;

        world_init(&world);
        for (uint64_t seed = arg_seed + job; tally.n_drains < n_drains; seed += arg_jobs) {
                bool is_right = world_run(&world, seed, false);

                tally.n_histories++;
                tally.n_drains += world.n_drains;
                tally.n_events += world.n_events;
                tally.n_crashes += world.n_crashes;
                if (!is_right) {
                        tally.failed_seed = seed;
                        tally.failed_oracle = world.failed_oracle;
                        memcpy(tally.failure, world.failure, sizeof(tally.failure));
                        break;
                }
                if (arg_time_limit > 0 && (tally.n_histories & 255) == 0 && seconds() > end)
                        break;
        }
        world_done(&world);
        return tally;
}

static int run_job(unsigned job, int *ret_fd) {
        int fds[2];
        pid_t pid;

        if (pipe(fds) < 0)
                return -errno;
        fflush(stdout);
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                Tally tally = run_part(job);

                _exit(write(fds[1], &tally, sizeof(tally)) == (ssize_t) sizeof(tally) ? 0 : 1);
        }
        close(fds[1]);
        *ret_fd = fds[0];
        return pid;
}

static int run_all(Tally *total) {
        int fds[JOBS_MAX], pids[JOBS_MAX];

        for (unsigned job = 0; job < arg_jobs; job++) {
                pids[job] = run_job(job, &fds[job]);
                if (pids[job] < 0)
                        return pids[job];
        }
        for (unsigned job = 0; job < arg_jobs; job++) {
                Tally tally;
                int status;

                if (read(fds[job], &tally, sizeof(tally)) != (ssize_t) sizeof(tally)) {
                        tally = (Tally){ .failed_oracle = UINT32_MAX };
                        snprintf(tally.failure, sizeof(tally.failure), "job %u of %u ended by an assertion or a signal",
                                 job, arg_jobs);
                }
                close(fds[job]);
                waitpid(pids[job], &status, 0);
                total->n_histories += tally.n_histories;
                total->n_drains += tally.n_drains;
                total->n_events += tally.n_events;
                total->n_crashes += tally.n_crashes;
                if (tally.failed_oracle != 0 && (total->failed_oracle == 0 || tally.failed_seed < total->failed_seed)) {
                        total->failed_oracle = tally.failed_oracle;
                        total->failed_seed = tally.failed_seed;
                        memcpy(total->failure, tally.failure, sizeof(total->failure));
                }
        }
        return 0;
}

static int random_drains(void) {
        Tally total = { 0 };
        double begin = seconds();
        int r = run_all(&total);

        if (r < 0) {
                fprintf(stderr, "Cannot run: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        printf("# %" PRIu64 " drains in %" PRIu64 " histories with %" PRIu64 " events and %" PRIu64
               " crashes of the core, %.1f s\n",
               total.n_drains, total.n_histories, total.n_events, total.n_crashes, seconds() - begin);
        if (total.failed_oracle != 0) {
                printf("# seed %" PRIu64 ": %s\n# replay: sim --seed %" PRIu64
                       " --trace\nnot ok 1 - no oracle is violated\n1..1\n",
                       total.failed_seed, total.failure, total.failed_seed);
                return EXIT_FAILURE;
        }
        printf("ok 1 - no oracle is violated in %" PRIu64 " drains\n1..1\n", total.n_drains);
        return EXIT_SUCCESS;
}

static int trace_one(void) {
        static World world;
        bool is_right;

        world_init(&world);
        is_right = world_run(&world, arg_seed, arg_trace);
        printf("# seed %" PRIu64 ": %u drains, %u events, hash %016" PRIx64 "%s%s\n", arg_seed, world.n_drains,
               world.n_events, world.hash, is_right ? "" : ": ", is_right ? "" : world.failure);
        world_done(&world);
        return is_right ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Seeds that failed once are kept; each must hold now, and give the same trace twice. */
static int replay(const char *path) {
        static World world;
        FILE *file = fopen(path, "re");
        char line[256];
        unsigned n = 0, n_failed = 0;

        if (!file) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return EXIT_FAILURE;
        }
        world_init(&world);
        while (fgets(line, sizeof(line), file)) {
                char *end;
                uint64_t seed = strtoull(line, &end, 10), hash;
                bool is_right;

                if (end == line)
                        continue;
                is_right = world_run(&world, seed, false);
                hash = world.hash;
                is_right = world_run(&world, seed, false) && is_right;
                n++;
                n_failed += !is_right || hash != world.hash;
                printf("%s %u - seed %" PRIu64 ", hash %016" PRIx64 "%s%s\n",
                       is_right && hash == world.hash ? "ok" : "not ok", n, seed, hash,
                       hash != world.hash ? ": another trace the second time" : "", is_right ? "" : world.failure);
        }
        printf("1..%u\n", n);
        fclose(file);
        world_done(&world);
        return n_failed == 0 && n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int usage(void) {
        puts("sim [--seed N] [--drains N] [--jobs N] [--time-limit SECONDS]  random histories from seed N on\n"
             "sim --seed N --trace                                           one history, every fact\n"
             "sim --seed N --hash                                            one history, its hash\n"
             "sim --replay FILE                                              the seeds of a file, each twice\n"
             "sim --list-oracles");
        return EXIT_SUCCESS;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                { "seed", required_argument, NULL, 's' },   { "drains", required_argument, NULL, 'd' },
                { "jobs", required_argument, NULL, 'j' },   { "time-limit", required_argument, NULL, 'l' },
                { "trace", no_argument, NULL, 't' },        { "hash", no_argument, NULL, 'x' },
                { "replay", required_argument, NULL, 'r' }, { "list-oracles", no_argument, NULL, 'o' },
                { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
        };
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (option) {
                case 's':
                        arg_seed = strtoull(optarg, NULL, 10);
                        break;
                case 'd':
                        arg_drains = strtoull(optarg, NULL, 10);
                        break;
                case 'j':
                        arg_jobs = (unsigned) strtoul(optarg, NULL, 10);
                        break;
                case 'l':
                        arg_time_limit = (unsigned) strtoul(optarg, NULL, 10);
                        break;
                case 't':
                        arg_trace = true;
                        return trace_one();
                case 'x':
                        return trace_one();
                case 'r':
                        return replay(optarg);
                case 'o':
                        oracles_list();
                        return EXIT_SUCCESS;
                case 'h':
                        return usage();
                default:
                        return 2;
                }
        if (arg_jobs == 0 || arg_jobs > JOBS_MAX) {
                fprintf(stderr, "--jobs: 1 to %u\n", JOBS_MAX);
                return 2;
        }
        return random_drains();
}
