/* One datagram of sd_notify(3), as a service may send it. Accepted: it was understood to the last assignment. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../../daemon/core/notify-message.h"
#include "../../protocol/log-text.h"

int fuzz_accepted;

static void check_text(const char *text, const char *datagram, size_t size) {
        size_t length, n;

        if (!text)
                return;
        length = strlen(text);
        if (text < datagram || text + length > datagram + size || length > NOTIFY_STATUS_MAX)
                abort();
        for (size_t i = 0; i < length; i += n) {
                n = log_text_character(text + i, length - i);
                if (n == 0 || ((unsigned char) text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char *text = malloc(size + 1); /* exactly as large as asked for, so that the sanitizer sees one byte too many */
        NotifyMessage message = { 0 };
        NotifyOutcome outcome;

        if (!text)
                abort();
        if (size > 0)
                memcpy(text, data, size);
        text[size] = 'Z';
        outcome = notify_message_parse(text, size, &message);
        if (outcome == NOTIFY_PARSED) {
                check_text(message.status, text, size);
                check_text(message.bus_error, text, size);
                if (message.main_pid < 0 || message.main_pid == 1 || message.error_number < 0)
                        abort();
                if (message.monotonic_usec == USEC_INFINITY || message.n_unknown + message.n_malformed > size)
                        abort();
        } else if (size > 0 && size <= NOTIFY_MESSAGE_MAX && !memchr(data, '\0', size)) {
                abort();
        }
        fuzz_accepted = outcome == NOTIFY_PARSED && message.n_unknown + message.n_malformed == 0;
        free(text);
        return 0;
}
