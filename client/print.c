#include "print.h"

#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#define COLUMNS_DEFAULT 80u
#define ROWS_DEFAULT    24u

static const char *const colour_codes[COLOUR_MAX] = {
        [COLOUR_NONE] = "",          [COLOUR_BOLD] = "\033[1m",    [COLOUR_DIM] = "\033[2m",
        [COLOUR_GREEN] = "\033[32m", [COLOUR_YELLOW] = "\033[33m", [COLOUR_RED] = "\033[31m",
        [COLOUR_BLUE] = "\033[34m",  [COLOUR_CYAN] = "\033[36m",
};

/* Each takes one column, in both. */
static const struct {
        const char *unicode, *ascii;
} glyphs[GLYPH_MAX] = {
        [GLYPH_DOT] = { "●", "*" },         [GLYPH_RING] = { "○", "o" },        [GLYPH_CROSS] = { "×", "x" },
        [GLYPH_WITHDRAW] = { "░", "." },    [GLYPH_QUIESCE] = { "▒", "-" },     [GLYPH_HELD] = { "·", " " },
        [GLYPH_HOOK] = { "▚", "h" },        [GLYPH_TERMINATE] = { "▓", "=" },   [GLYPH_KILL] = { "█", "#" },
        [GLYPH_FULL] = { "━", "=" },        [GLYPH_EMPTY] = { "─", "." },       [GLYPH_ELLIPSIS] = { "…", "~" },
        [GLYPH_BRANCH] = { "├─ ", "|- " },  [GLYPH_LAST_BRANCH] = { "└─ ", "`- " }, [GLYPH_TRUNK] = { "│  ", "|  " },
        [GLYPH_RULE] = { "│", "|" },
};

void die(int error) {
        fprintf(stderr, "drainctl: %s.\n", strerror(error < 0 ? -error : error));
        exit(1);
}

void screen_measure(Screen *screen, int fd) {
        struct winsize size;

        screen->columns = COLUMNS_DEFAULT;
        screen->rows = ROWS_DEFAULT;
        if (!screen->is_terminal || ioctl(fd, TIOCGWINSZ, &size) < 0)
                return;
        if (size.ws_col > 0)
                screen->columns = size.ws_col;
        if (size.ws_row > 0)
                screen->rows = size.ws_row;
}

Screen screen_of(int fd) {
        const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
        Screen screen = { 0 };

        (void) setlocale(LC_CTYPE, ""); /* without one it is ASCII, which is fine */
        screen.is_terminal = isatty(fd) && (!terminal || strcmp(terminal, "dumb") != 0);
        screen.has_colours = screen.is_terminal && (!no_colour || !no_colour[0]);
        screen.has_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        screen_measure(&screen, fd);
        return screen;
}

const char *screen_glyph(const Screen *screen, Glyph glyph) {
        return screen->has_unicode ? glyphs[glyph].unicode : glyphs[glyph].ascii;
}

Text text_make(const Screen *screen, bool is_cut_at_width) {
        return (Text) { .screen = screen,
                        .limit = is_cut_at_width && screen->is_terminal ? screen->columns : 0 };
}

void text_done(Text *text) {
        free(text->bytes);
        text->bytes = NULL;
        text->length = text->allocated = 0;
}

static void text_append(Text *text, const char *bytes, size_t length) {
        if (text->length + length + 1 > text->allocated) {
                size_t allocated = (text->length + length + 1) * 2;
                char *grown = realloc(text->bytes, allocated);

                if (!grown)
                        die(ENOMEM);
                text->bytes = grown;
                text->allocated = allocated;
        }
        memcpy(text->bytes + text->length, bytes, length);
        text->length += length;
        text->bytes[text->length] = '\0';
}

/* One character of `width` columns, or the sign that the line was cut. The last column is kept for that sign. */
static void text_append_character(Text *text, const char *bytes, size_t length, unsigned width) {
        const char *ellipsis = screen_glyph(text->screen, GLYPH_ELLIPSIS);

        if (text->is_cut)
                return;
        if (text->limit > 0 && text->column + width >= text->limit) {
                text->is_cut = true;
                text_append(text, ellipsis, strlen(ellipsis));
                return;
        }
        text_append(text, bytes, length);
        text->column += width;
}

/* Signs that have no width and turn the order of what follows: "txt.exe" could be shown for something else. */
static bool is_deceptive(wchar_t c) {
        return (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
               c == 0xfeff;
}

/* The next character of foreign text: what to show of it, how many bytes it has there, and how wide it is. */
static size_t character_next(const Screen *screen, const char *at, size_t left, const char **ret_shown,
                             size_t *ret_shown_length, unsigned *ret_width) {
        mbstate_t state = { 0 };
        wchar_t wide;
        size_t used = mbrtowc(&wide, at, left, &state);
        int width;

        *ret_shown = "?";
        *ret_shown_length = 1;
        *ret_width = 1;
        if (used == (size_t) -1 || used == (size_t) -2 || used == 0)
                return 1;
        width = *at == '\t' ? 1 : wcwidth(wide);
        if (width < 0 || is_deceptive(wide))
                return used;
        *ret_shown = *at == '\t' ? " " : at;
        *ret_shown_length = used;
        *ret_width = (unsigned) width;
        return used;
}

static void text_add_characters(Text *text, const char *bytes, bool is_foreign) {
        size_t left = strlen(bytes);

        while (left > 0) {
                const char *shown;
                size_t shown_length, used;
                unsigned width;

                if (*bytes == '\n' && !is_foreign) {
                        text_newline(text);
                        bytes++;
                        left--;
                        continue;
                }
                used = character_next(text->screen, bytes, left, &shown, &shown_length, &width);
                text_append_character(text, shown, shown_length, width);
                bytes += used;
                left -= used;
        }
}

void text_newline(Text *text) {
        text_append(text, "\n", 1);
        text->column = 0;
        text->is_cut = false;
}

void text_end_line(Text *text) {
        while (text->length > 0 && text->bytes[text->length - 1] == ' ')
                text->length--;
        text_newline(text);
}

static void text_append_sequence(Text *text, const char *sequence) {
        text_append(text, sequence, strlen(sequence));
}

void text_go_up(Text *text, unsigned lines) {
        char sequence[32];

        (void) snprintf(sequence, sizeof(sequence), lines > 0 ? "\r\033[%uA" : "\r", lines);
        text_append_sequence(text, sequence);
        text->column = 0;
}

void text_clear_rest(Text *text) {
        text_append_sequence(text, "\033[K");
}

void text_clear_below(Text *text) {
        text_append_sequence(text, "\033[J");
}

static void printf_like(2, 0) text_add_list(Text *text, const char *format, va_list list) {
        cleanup(freep) char *made = NULL;

        if (vasprintf(&made, format, list) < 0)
                die(ENOMEM);
        text_add_characters(text, made, false);
}

void text_add(Text *text, const char *format, ...) {
        va_list list;

        va_start(list, format);
        text_add_list(text, format, list);
        va_end(list);
}

void text_add_foreign(Text *text, const char *foreign) {
        if (foreign)
                text_add_characters(text, foreign, true);
}

static void text_set_colour(Text *text, Colour colour) {
        if (text->screen->has_colours && colour != COLOUR_NONE)
                text_append_sequence(text, colour_codes[colour]);
}

static void text_end_colour(Text *text, Colour colour) {
        if (text->screen->has_colours && colour != COLOUR_NONE)
                text_append_sequence(text, "\033[0m");
}

void text_add_coloured(Text *text, Colour colour, const char *format, ...) {
        va_list list;

        text_set_colour(text, colour);
        va_start(list, format);
        text_add_list(text, format, list);
        va_end(list);
        text_end_colour(text, colour);
}

void text_add_glyph(Text *text, Colour colour, Glyph glyph) {
        const char *bytes = screen_glyph(text->screen, glyph);

        text_set_colour(text, colour);
        text_add_characters(text, bytes, false);
        text_end_colour(text, colour);
}

void text_add_duration(Text *text, usec_t duration) {
        char buf[DURATION_TEXT_MAX];

        text_add(text, "%s", duration_format(buf, sizeof(buf), duration_round(duration)));
}

void text_pad(Text *text, unsigned column) {
        do
                text_append_character(text, " ", 1, 1);
        while (text->column < column && !text->is_cut);
}

/* The length of a sequence that sets colours ("ESC [ 1 ; 31 m") at this place, or 0. */
static size_t colour_sequence_length(const char *at) {
        size_t length;

        if (at[0] != '\033' || at[1] != '[')
                return 0;
        length = strspn(at + 2, "0123456789;");
        return at[2 + length] == 'm' ? length + 3 : 0;
}

void text_add_output(Text *text, const char *foreign) {
        bool has_colours = false;

        if (!text->screen->is_terminal) { /* a file or a pipe gets what the program wrote */
                text_append(text, foreign, strlen(foreign));
                return;
        }
        while (*foreign) {
                const char *end = strchrnul(foreign + 1, '\033');
                size_t length = colour_sequence_length(foreign);
                cleanup(freep) char *plain = strndup(foreign + length, (size_t) (end - foreign) - length);

                if (!plain)
                        die(ENOMEM);
                if (length > 0 && text->screen->has_colours) {
                        text_append(text, foreign, length);
                        has_colours = true;
                }
                text_add_characters(text, plain, true);
                foreign = end;
        }
        if (has_colours)
                text_append_sequence(text, "\033[0m");
}

unsigned text_width(const Screen *screen, const char *foreign) {
        size_t left = strlen(foreign);
        unsigned sum = 0;

        while (left > 0) {
                const char *shown;
                size_t shown_length, used;
                unsigned width;

                used = character_next(screen, foreign, left, &shown, &shown_length, &width);
                sum += width;
                foreign += used;
                left -= used;
        }
        return sum;
}

bool text_write(Text *text, int fd) {
        size_t written = 0;

        while (written < text->length) {
                ssize_t n = write(fd, text->bytes + written, text->length - written);

                if (n < 0 && errno == EAGAIN) { /* somebody else made it non-blocking */
                        (void) poll(&(struct pollfd) { .fd = fd, .events = POLLOUT }, 1, -1);
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        break;
                written += (size_t) n;
        }
        if (written < text->length)
                return false;
        text->length = 0;
        text->column = 0;
        return true;
}
