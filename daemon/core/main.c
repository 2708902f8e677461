#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../protocol/log.h"
#include "manager-core.h"
#include "print-fsm.h"

#define OWN_MAPPING_BYTES (64 * 1024)
#define LOG_PATIENCE_MSEC 500 /* for the last lines, when nothing has to be stopped any more */

int main(int argc, char **argv) {
        Manager *manager = NULL;
        int status = 1, r;

        if (argc == 2 && strcmp(argv[1], "--print-fsm") == 0) {
                print_fsm(stdout);
                return fflush(stdout) == 0 ? 0 : 1;
        }
        /* Tables have room for the worst day. In a mapping of their own, what they never use costs nothing, and it
         * stays so: by itself malloc() would put them into its heap once one of that size has been freed. */
        (void) mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
        (void) umask(0022);
        (void) signal(SIGPIPE, SIG_IGN);
        log_open(LOG_TARGET_AUTO, LOG_INFO, "draind");
        r = manager_new(&manager, argv, &status);
        if (r > 0)
                return status;
        if (r == -ENOLINK) {
                (void) fprintf(stderr, "draind-core is started by draind and does nothing by itself.\n");
                return 2;
        }
        if (r < 0) {
                log_message(LOG_ERR, "Cannot start: %s.", strerror(-r));
                log_finish(LOG_PATIENCE_MSEC);
                return 1;
        }
        r = manager_run(manager);
        if (r < 0)
                log_message(LOG_ERR, "The loop has failed: %s.", strerror(-r));
        log_finish(LOG_PATIENCE_MSEC);
        /* What is left goes with the process; freeing thousands of services one by one would only take time. */
        _exit(r < 0 ? 1 : 0);
}
