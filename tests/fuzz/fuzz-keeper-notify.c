/* The keeper's notify parser: any bytes that a datagram can hold. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../daemon/keeper/notify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text, *upstream;
        NotifyMessage message;

        if (size > NOTIFY_MESSAGE_MAX)
                return 0;
        /* Exactly as large as promised, so that the sanitizer sees one byte too many. */
        text = malloc(size + (size == 0));
        upstream = malloc(size + (size == 0));
        if (!text || !upstream)
                abort();
        if (size > 0)
                memcpy(text, data, size);
        if (notify_parse(text, size, &message, upstream)) {
                if (message.upstream_length > size || strlen(message.name) > STORE_NAME_MAX + 1)
                        abort();
                if (memchr(upstream, '\0', message.upstream_length))
                        abort();
        }
        free(text);
        free(upstream);
        return 0;
}
