#include "words.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

bool words_are_utf8(const char *text, size_t n) {
        const unsigned char *p = (const unsigned char *) text;

        for (size_t i = 0; i < n;) {
                size_t length = p[i] < 0x80   ? 1
                                : p[i] < 0xc2 ? 0
                                : p[i] < 0xe0 ? 2
                                : p[i] < 0xf0 ? 3
                                : p[i] < 0xf5 ? 4
                                              : 0;

                if (length == 0 || length > n - i)
                        return false;
                for (size_t k = 1; k < length; k++)
                        if ((p[i + k] & 0xc0) != 0x80)
                                return false;
                if ((p[i] == 0xe0 && p[i + 1] < 0xa0) || (p[i] == 0xed && p[i + 1] > 0x9f) ||
                    (p[i] == 0xf0 && p[i + 1] < 0x90) || (p[i] == 0xf4 && p[i + 1] > 0x8f))
                        return false; /* overlong, surrogate, beyond Unicode */
                i += length;
        }
        return true;
}

const char *words_fault(int outcome) {
        return outcome == WORDS_UNCLOSED ? "has a quote that is not closed"
                                         : "has an unknown escape after a backslash (write \\\\ for a backslash)";
}

static int digits(const char **text, unsigned n, unsigned base, uint32_t *ret) {
        uint32_t value = 0;

        for (unsigned i = 0; i < n; i++, (*text)++) {
                int c = tolower((unsigned char) **text);
                unsigned digit = isdigit(c)             ? (unsigned) (c - '0')
                                 : c >= 'a' && c <= 'f' ? (unsigned) (c - 'a') + 10
                                                        : 99;

                if (digit >= base)
                        return WORDS_BAD_ESCAPE;
                value = value * base + digit;
        }
        *ret = value;
        return 0;
}

static char *put_utf8(char *to, uint32_t c) {
        if (c < 0x80) {
                *to++ = (char) c;
        } else if (c < 0x800) {
                *to++ = (char) (0xc0 | c >> 6);
                *to++ = (char) (0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
                *to++ = (char) (0xe0 | c >> 12);
                *to++ = (char) (0x80 | (c >> 6 & 0x3f));
                *to++ = (char) (0x80 | (c & 0x3f));
        } else {
                *to++ = (char) (0xf0 | c >> 18);
                *to++ = (char) (0x80 | (c >> 12 & 0x3f));
                *to++ = (char) (0x80 | (c >> 6 & 0x3f));
                *to++ = (char) (0x80 | (c & 0x3f));
        }
        return to;
}

/* *text stands behind the backslash. No escape is shorter than what it stands for. Bytes above 0x7f can be had as
 * \u only: the configuration travels as UTF-8. */
static int unescape(const char **text, char **to) {
        static const char letters[] = "abfnrtv\\\"'s", meant[] = "\a\b\f\n\r\t\v\\\"' ";
        char c = *(*text)++;
        const char *simple = c != '\0' ? strchr(letters, c) : NULL;
        uint32_t value;
        int r;

        if (simple) {
                *(*to)++ = meant[simple - letters];
                return 0;
        }
        if (c == 'x')
                r = digits(text, 2, 16, &value);
        else if (c == 'u')
                r = digits(text, 4, 16, &value);
        else if (c == 'U')
                r = digits(text, 8, 16, &value);
        else if (c >= '0' && c <= '7')
                (*text)--, r = digits(text, 3, 8, &value);
        else
                return WORDS_BAD_ESCAPE;
        if (r != 0 || value == 0 || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff) ||
            (value > 0x7f && c != 'u' && c != 'U'))
                return WORDS_BAD_ESCAPE;
        *to = put_utf8(*to, value);
        return 0;
}

int words_next(const char **text, char **ret) {
        cleanup(freep) char *word = NULL;
        const char *p = *text;
        char quote_char = '\0', *to;
        int r;

        p += strspn(p, " \t");
        *text = p;
        if (*p == '\0')
                return WORDS_END;
        word = to = malloc(strlen(p) + 1);
        if (!word)
                return -ENOMEM;
        for (; *p != '\0';) {
                char c = *p++;

                if (c == '\\') {
                        r = unescape(&p, &to);
                        if (r != 0)
                                return r;
                } else if (quote_char != '\0' && c == quote_char) {
                        quote_char = '\0';
                } else if (quote_char == '\0' && (c == '"' || c == '\'')) {
                        quote_char = c;
                } else if (quote_char == '\0' && (c == ' ' || c == '\t')) {
                        break;
                } else {
                        *to++ = c;
                }
        }
        if (quote_char != '\0')
                return WORDS_UNCLOSED;
        *to = '\0';
        *text = p;
        *ret = take(word);
        return 0;
}

int words_append(const char *text, StringList *list) {
        int r;

        for (;;) {
                char *word;

                r = words_next(&text, &word);
                if (r == WORDS_END)
                        return 0;
                if (r != 0)
                        return r;
                r = string_list_append(list, word);
                if (r < 0)
                        return r;
        }
}
