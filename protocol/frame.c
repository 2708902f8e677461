#include "frame.h"

#include <string.h>

FrameOutcome frame_find(const char *bytes, size_t length, size_t max, size_t *scanned, size_t *ret_length) {
        size_t from = *scanned < length ? *scanned : length;
        const char *end = length > from ? memchr(bytes + from, '\0', length - from) : NULL;
        size_t seen = end ? (size_t) (end - bytes) : length;

        *scanned = seen;
        if (seen > max)
                return FRAME_TOO_LARGE;
        if (!end)
                return FRAME_MORE;
        *ret_length = seen;
        return FRAME_MESSAGE;
}

bool frame_is_nested_within(const char *text, size_t length, unsigned max) {
        unsigned depth = 0;
        bool in_string = false;

        for (size_t i = 0; i < length; i++) {
                char c = text[i];

                if (in_string) {
                        if (c == '\\')
                                i++; /* whatever is escaped, it does not end the string */
                        else if (c == '"')
                                in_string = false;
                } else if (c == '"') {
                        in_string = true;
                } else if (c == '[' || c == '{') {
                        if (++depth > max)
                                return false;
                } else if ((c == ']' || c == '}') && depth > 0) {
                        depth--; /* one too many is for the parser to refuse */
                }
        }
        return true;
}
