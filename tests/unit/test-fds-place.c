#include "../lib/test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../../protocol/fds.h"

/* Each fd is a memfd that holds its own index, so that a mixed-up one is seen. */
static void make_at(int number, unsigned index) {
        int fd = memfd_make("place", sizeof(index));

        if (fd < 0 || pwrite(fd, &index, sizeof(index), 0) != sizeof(index))
                _exit(2);
        if (fd != number && (dup3(fd, number, O_CLOEXEC) != number || close(fd) < 0))
                _exit(2);
}

static bool is_placed(unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                int fd = FDS_FIRST + (int) i;
                unsigned found;

                if (pread(fd, &found, sizeof(found), 0) != sizeof(found) || found != i || fcntl(fd, F_GETFD) != 0)
                        return false;
        }
        return true;
}

/* In a child of its own, which has no other fds to lose: 0 when all lie where they should. */
static int place_in_child(const int *wanted, unsigned n) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                uint16_t holders[512];
                int sources[512];

                memcpy(sources, wanted, sizeof(int) * n);
                for (int fd = FDS_FIRST; fd < 1024; fd++)
                        (void) close(fd);
                /* Highest first: memfd_make() takes the lowest number, which must not be one that is wanted already. */
                for (int number = 1023; number >= FDS_FIRST; number--)
                        for (unsigned i = 0; i < n; i++)
                                if (wanted[i] == number)
                                        make_at(number, i);
                if (fds_place(sources, n, holders) < 0)
                        _exit(3);
                _exit(is_placed(n) ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_every_shape_of_overlap(void **state) {
        static const struct {
                unsigned n;
                int sources[8];
        } cases[] = {
                { 0, { 0 } },
                { 1, { 3 } },
                { 1, { 9 } },
                { 3, { 3, 4, 5 } },          /* all right already */
                { 3, { 4, 5, 6 } },          /* a chain downward */
                { 3, { 10, 3, 4 } },         /* a chain upward */
                { 2, { 4, 3 } },             /* a ring */
                { 4, { 4, 5, 6, 3 } },       /* a longer one */
                { 6, { 4, 3, 6, 5, 8, 7 } }, /* three of them */
                { 5, { 4, 3, 5, 20, 6 } },   /* a ring, one in place, a chain */
                { 4, { 30, 20, 10, 8 } },    /* nothing in the way */
        };

        for (size_t i = 0; i < n_elements(cases); i++)
                assert_int_equal(place_in_child(cases[i].sources, cases[i].n), 0);
}

static void test_random_permutations(void **state) {
        unsigned seed = 99;

        for (unsigned round = 0; round < 40; round++) {
                unsigned n = 1 + (unsigned) rand_r(&seed) % 200, range = n + (unsigned) rand_r(&seed) % 100;
                int numbers[512];

                for (unsigned i = 0; i < range; i++)
                        numbers[i] = FDS_FIRST + (int) i;
                for (unsigned i = 0; i < n; i++) {
                        unsigned other = i + (unsigned) rand_r(&seed) % (range - i);
                        int number = numbers[i];

                        numbers[i] = numbers[other];
                        numbers[other] = number;
                }
                assert_int_equal(place_in_child(numbers, n), 0);
        }
}

static void test_too_many_are_refused(void **state) {
        static int sources[UINT16_MAX];
        uint16_t holders[1];

        assert_int_equal(fds_place(sources, UINT16_MAX, holders), -E2BIG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_every_shape_of_overlap),
                cmocka_unit_test(test_random_permutations),
                cmocka_unit_test(test_too_many_are_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
