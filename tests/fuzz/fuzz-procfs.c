#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/core/procfs.h"
#include "../../daemon/core/verdict.h"

int fuzz_accepted;

static void check_status(const char *text) {
        Verdict verdict = { .pid = 1, .thread = 1, .system_call = -1, .state = 'S', .command = "fuzz" };
        char sentence[VERDICT_TEXT_BYTES];

        if (verdict_parse_status(text, &verdict) == 0)
                for (int signal = 0; signal <= 65; signal++)
                        assert(strlen(verdict_format(sentence, sizeof(sentence), &verdict, signal)) < sizeof(sentence));
}

/* Good: a line of /proc/PID/stat. Every text is also taken for a /proc/PID/status. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1);
        ProcStat stat = { .pid = -1 };
        int r;

        assert(text);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';
        r = procfs_parse_stat(text, &stat);
        assert(r == 0 || (r == -EINVAL && stat.pid == -1));
        if (r == 0)
                assert(memchr(stat.command, '\0', sizeof(stat.command)) && stat.state != '\0');
        fuzz_accepted = r == 0;
        check_status(text);
        free(text);
        return 0;
}
