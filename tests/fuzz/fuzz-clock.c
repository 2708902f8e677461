#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../protocol/clock.h"

int fuzz_accepted;

/* Good: a time span; it is then written and read again without loss. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1), written[DURATION_TEXT_MAX];
        usec_t value = 1, again;
        int r;

        assert(text);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';
        r = duration_parse(text, &value);
        assert(r <= 0 && (r == 0 || value == 1));
        if (r == 0) {
                int again_r = duration_parse(duration_format(written, sizeof(written), value), &again);

                assert(again_r == 0 && again == value);
        }
        fuzz_accepted = r == 0;
        free(text);
        return 0;
}
