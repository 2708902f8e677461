#include "text.h"

#include <stdio.h>
#include <string.h>

#include "../../protocol/log-text.h"

/* How many bytes at the front may stay as they are; 0: the first one may not. */
static size_t safe_character(const char *text, size_t length) {
        const unsigned char *b = (const unsigned char *) text;
        size_t n = log_text_character(text, length);

        if (n == 1 && ((b[0] < 0x20 && b[0] != '\t') || b[0] == 0x7f))
                return 0;
        if (n == 2 && b[0] == 0xc2 && b[1] < 0xa0)
                return 0; /* U+0080 to U+009F: terminals obey some of them as they obey ESC */
        return n;
}

size_t text_escape(char *ret, size_t size, const char *text, size_t length) {
        static const char digits[] = "0123456789abcdef";
        size_t written = 0;

        for (size_t i = 0; i < length;) {
                unsigned char c = (unsigned char) text[i];
                size_t n = safe_character(text + i, length - i);

                if (size - written <= (n > 0 ? n : TEXT_ESCAPE_GROWTH))
                        break;
                if (n > 0)
                        memcpy(ret + written, text + i, n);
                else
                        memcpy(ret + written, (const char[]) { '\\', 'x', digits[c >> 4], digits[c & 15] }, 4);
                written += n > 0 ? n : TEXT_ESCAPE_GROWTH;
                i += n > 0 ? n : 1;
        }
        ret[written] = '\0';
        return written;
}

bool text_replace(char *text, size_t length) {
        bool has_replaced = false;

        for (size_t i = 0; i < length;) {
                size_t n = safe_character(text + i, length - i);

                if (n == 0) {
                        text[i] = '?';
                        has_replaced = true;
                }
                i += n > 0 ? n : 1;
        }
        return has_replaced;
}

size_t text_cut(const char *text, size_t length, size_t max) {
        return length <= max ? length : log_text_cut(text, max);
}
