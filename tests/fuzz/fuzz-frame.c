#include "fuzz.h"

#include <assert.h>
#include <string.h>

#include "../../protocol/buf.h"
#include "../../protocol/frame.h"

#define MESSAGE_MAX 200

int fuzz_accepted;

/* Good: whole messages, none too large, none too deep. However the bytes are cut, the messages are the same. */
static size_t count(const char *bytes, size_t size, size_t piece, int *ret_is_good) {
        Buf buf = buf_make(MESSAGE_MAX + 300);
        size_t n_messages = 0, scanned = 0;
        int is_good = 1;

        for (size_t at = 0; at < size;) {
                size_t n = piece < size - at ? piece : size - at, length = 0;
                FrameOutcome outcome;
                int r;

                r = buf_append(&buf, bytes + at, n);
                assert(r == 0);
                at += n;
                while ((outcome = frame_find(buf_bytes(&buf), buf.length, MESSAGE_MAX, &scanned, &length)) ==
                       FRAME_MESSAGE) {
                        assert(length <= MESSAGE_MAX && strlen(buf_bytes(&buf)) == length);
                        is_good &= frame_is_nested_within(buf_bytes(&buf), length, FRAME_NESTING_MAX);
                        buf_consume(&buf, length + 1);
                        scanned = 0;
                        n_messages++;
                }
                if (outcome == FRAME_TOO_LARGE) {
                        is_good = 0;
                        break;
                }
                assert(buf.length <= MESSAGE_MAX);
        }
        *ret_is_good = is_good && buf.length == 0 && n_messages > 0;
        buf_done(&buf);
        return n_messages;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const size_t pieces[] = { 1, 2, 7, 300 };
        int is_good = 0, first = 0;
        size_t n_first = 0;

        for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
                size_t n = count((const char *) data, size, pieces[i], &is_good);

                assert(i == 0 || (n == n_first && is_good == first));
                n_first = n;
                first = is_good;
        }
        fuzz_accepted = first;
        return 0;
}
