#include "fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/keeper/keeper.h"

int fuzz_accepted;

/* Any bytes that a datagram can hold. Good: text. What goes up to systemd is never more than came, and holds no NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text, *upstream;
        NotifyMessage message;

        fuzz_accepted = 0;
        if (size > NOTIFY_MESSAGE_MAX)
                return 0;
        /* Exactly as large as promised, so that the sanitizer sees one byte too many. */
        text = malloc(size + (size == 0));
        upstream = malloc(size + 1);
        assert(text && upstream);
        if (size > 0)
                memcpy(text, data, size);
        if (notify_parse(text, size, &message, upstream)) {
                assert(message.upstream_length <= size && strlen(message.name) <= STORE_NAME_MAX + 1);
                assert(!memchr(upstream, '\0', message.upstream_length));
                fuzz_accepted = 1;
        }
        free(text);
        free(upstream);
        return 0;
}
