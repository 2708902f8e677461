#include "ini.h"

#include <assert.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "words.h"

/* inih as distributions build it reads lines of at most 198 bytes, cuts a value at " ;", takes ':' for '=', joins
 * indented lines, forgets section names after 49 bytes and knows no line numbers. None of that is what these files
 * mean. So this reader makes logical lines, and feeds them to inih in a form in which it can only do the right thing:
 *
 *   - every byte that inih might find special is hidden as a control character (which the text itself may not have);
 *   - a long value goes in pieces, "Key=piece" and then "=piece", which the handler joins again;
 *   - section headers are read here, and never shown to inih.
 *
 * Lines are counted here as well: inih's own count would be that of the pieces. */

static const char hidden[] = " \t;#:[="; /* place in this list + 1 is what stands for it */

typedef struct Reader {
        const char *at, *end; /* what is not read yet; borrowed */
        unsigned line;        /* number of the physical line that was read last */
        const IniHandler *handler;
        void *userdata;
        int status; /* of the handler; negative ends the reading */
        bool in_section, is_skipping, has_complained;

        char *logical; /* owned: the line being read, continuations joined */
        size_t n_logical;
        unsigned logical_line; /* where it begins */

        const char *rest; /* of the value that inih is being fed; in logical; NULL: none */
        char key[INI_KEY_MAX + 1];
        char *value; /* owned: what inih has handed back so far */
        size_t n_value;
} Reader;

static bool is_space(char c) {
        return c == ' ' || c == '\t';
}

/* What is wrong with the bytes of a line, or NULL. */
static const char *line_fault(const char *text, size_t n) {
        if (memchr(text, '\0', n))
                return "the line has a NUL byte; this must be a text file";
        for (size_t i = 0; i < n; i++)
                if (((unsigned char) text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
                        return "the line has a control character; only tabs may be in it";
        if (!words_are_utf8(text, n))
                return "the line is not UTF-8";
        return NULL;
}

static void reader_complain(Reader *reader, unsigned line, const char *message) {
        reader->handler->error(reader->userdata, line, message);
}

/* The next physical line, without its end. False at the end of the text. */
static bool reader_physical(Reader *reader, const char **ret, size_t *ret_n) {
        size_t left = (size_t) (reader->end - reader->at), n;
        const char *newline;

        if (left == 0)
                return false;
        newline = memchr(reader->at, '\n', left);
        n = newline ? (size_t) (newline - reader->at) : left;
        *ret = reader->at;
        *ret_n = n > 0 && reader->at[n - 1] == '\r' ? n - 1 : n;
        reader->at += newline ? n + 1 : n;
        reader->line++;
        return true;
}

/* Joins physical lines into reader->logical, NUL at its end, space at both ends removed.
 * False at the end of the text, or when memory ran out. A faulty line is reported and comes back empty. */
static bool reader_logical(Reader *reader) {
        const char *fault = NULL, *text;
        bool goes_on = false;
        size_t n;

        reader->n_logical = 0;
        reader->logical_line = reader->line + 1;
        while (reader_physical(reader, &text, &n)) {
                char *grown;

                while (n > 0 && is_space(*text))
                        text++, n--;
                if (n > 0 && (*text == '#' || *text == ';')) {
                        if (goes_on)
                                continue;
                        reader->logical_line = reader->line + 1;
                        continue;
                }
                if (!fault) {
                        fault = line_fault(text, n);
                        if (!fault && n + reader->n_logical > INI_KEY_MAX + INI_VALUE_MAX)
                                fault = "the line is longer than 65536 bytes";
                        if (fault)
                                reader_complain(reader, reader->line, fault);
                }
                /* As in systemd an even number of backslashes stands for itself. */
                goes_on = false;
                for (size_t i = n; i > 0 && text[i - 1] == '\\'; i--)
                        goes_on = !goes_on;
                if (!fault) {
                        grown = realloc(reader->logical, reader->n_logical + n + 1);
                        if (!grown) {
                                reader->status = -ENOMEM;
                                return false;
                        }
                        reader->logical = grown;
                        memcpy(grown + reader->n_logical, text, n);
                        reader->n_logical += n;
                        if (goes_on)
                                grown[reader->n_logical - 1] = ' ';
                }
                if (goes_on)
                        continue;
                break;
        }
        if (reader->line < reader->logical_line)
                return false;
        if (fault || !reader->logical)
                reader->n_logical = 0;
        while (reader->n_logical > 0 && is_space(reader->logical[reader->n_logical - 1]))
                reader->n_logical--;
        if (reader->logical)
                reader->logical[reader->n_logical] = '\0';
        return true;
}

static void reader_on_header(Reader *reader) {
        char *name = reader->logical + 1;
        const char *fault = NULL;
        size_t n = strlen(name);

        if (n == 0 || name[n - 1] != ']')
                fault = "the section header does not end with ']'; it must be alone on its line, as [Service NAME]";
        else if (n > 200)
                fault = "the section header is too long; a name has at most 63 bytes";
        else
                name[n - 1] = '\0';
        if (!fault && strpbrk(name, "[]"))
                fault = "the section header has a bracket within; it must be [Manager], [Service NAME] or "
                        "[Probe SERVICE.NAME]";
        if (fault)
                reader_complain(reader, reader->logical_line, fault);
        reader->in_section = true;
        reader->is_skipping = fault != NULL;
        reader->status = reader->handler->section(reader->userdata, reader->logical_line, fault ? NULL : name);
}

/* Checks a line that is no header and makes key and rest of it. False: it was reported, or is to be skipped. */
static bool reader_on_line(Reader *reader) {
        char *text = reader->logical, *equals = strchr(text, '='), *end = equals;
        char message[QUOTED_MAX + 128];

        if (reader->is_skipping)
                return false;
        if (!reader->in_section) {
                if (!reader->has_complained)
                        reader_complain(reader, reader->logical_line,
                                        "this stands before the first section; write [Manager] or [Service NAME] "
                                        "above it");
                reader->has_complained = true;
                return false;
        }
        if (!equals) {
                (void) snprintf(message, sizeof(message),
                                "there is no '=' in %s; a line is KEY=VALUE, a [SECTION] or a # comment", quoted(text));
                reader_complain(reader, reader->logical_line, message);
                return false;
        }
        while (end > text && is_space(end[-1]))
                end--;
        if (end == text || (size_t) (end - text) > INI_KEY_MAX) {
                reader_complain(reader, reader->logical_line,
                                end == text ? "there is no key before the '='; a line is KEY=VALUE"
                                            : "the key before the '=' is longer than 100 bytes");
                return false;
        }
        memcpy(reader->key, text, (size_t) (end - text));
        reader->key[end - text] = '\0';
        for (equals++; is_space(*equals);)
                equals++;
        reader->rest = equals;
        return true;
}

/* Hands the pair out once inih has given back all of it. */
static void reader_flush(Reader *reader) {
        if (!reader->rest)
                return;
        reader->rest = NULL;
        if (reader->status >= 0)
                reader->status = reader->handler->pair(reader->userdata, reader->logical_line, reader->key,
                                                       reader->value ? reader->value : "");
        reader->n_value = 0;
        if (reader->value)
                reader->value[0] = '\0';
}

static size_t hide(char *to, const char *text, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const char *found = strchr(hidden, text[i]);

                to[i] = found ? (char) (found - hidden + 1) : text[i];
        }
        return n;
}

/* inih asks for a line here. */
static char *reader_feed(char *buf, int size, void *userdata) {
        Reader *reader = userdata;
        size_t n = 0, room, piece;

        if (!reader->rest || *reader->rest == '\0') {
                reader_flush(reader);
                do {
                        if (reader->status < 0 || !reader_logical(reader))
                                return NULL;
                        if (reader->n_logical > 0 && reader->logical[0] == '[')
                                reader_on_header(reader);
                        else if (reader->n_logical > 0)
                                (void) reader_on_line(reader); /* false leaves rest NULL: the next line, then */
                } while (!reader->rest);
                n = hide(buf, reader->key, strlen(reader->key));
        }
        assert(size > (int) INI_KEY_MAX + 16);
        buf[n++] = '=';
        room = (size_t) size - n - 3;
        piece = strnlen(reader->rest, room);
        n += hide(buf + n, reader->rest, piece);
        reader->rest += piece;
        buf[n++] = '\n';
        buf[n] = '\0';
        return buf;
}

/* inih has split a piece: the key is ours already, the value is joined and shown again. */
static int reader_on_piece(void *userdata, const char *section, const char *name, const char *value) {
        Reader *reader = userdata;
        size_t n = strlen(value);
        char *grown;

        if (reader->status < 0)
                return 1;
        grown = realloc(reader->value, reader->n_value + n + 1);
        if (!grown) {
                reader->status = -ENOMEM;
                return 1;
        }
        for (size_t i = 0; i < n; i++)
                grown[reader->n_value + i] =
                        (unsigned char) value[i] < sizeof(hidden) ? hidden[value[i] - 1] : value[i];
        grown[reader->n_value + n] = '\0';
        reader->value = grown;
        reader->n_value += n;
        return 1;
}

int ini_read(const char *text, size_t size, const IniHandler *handler, void *userdata) {
        Reader reader = { .at = text, .end = text + size, .handler = handler, .userdata = userdata };

        if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
                reader.at += 3;
        /* Its result tells of lines that inih could not read, and we feed none: what is wrong was reported. */
        (void) ini_parse_stream(reader_feed, &reader, reader_on_piece, &reader);
        free(reader.logical);
        free(reader.value);
        return reader.status < 0 ? reader.status : 0;
}
