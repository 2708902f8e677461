#pragma once

/* Text for people: a growable text with columns and colours, and what the terminal can show. Text from outside is made
 * safe on its way in: no byte of it can steer the terminal. Knows nothing of services. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../protocol/base.h"
#include "../protocol/clock.h"

typedef enum Colour {
        COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_BLUE, COLOUR_CYAN,
        COLOUR_MAX
} Colour;

typedef enum Glyph {
        GLYPH_DOT, GLYPH_RING, GLYPH_CROSS, GLYPH_WITHDRAW, GLYPH_QUIESCE, GLYPH_HELD, GLYPH_HOOK, GLYPH_TERMINATE,
        GLYPH_KILL, GLYPH_FULL, GLYPH_EMPTY, GLYPH_ELLIPSIS, GLYPH_BRANCH, GLYPH_LAST_BRANCH, GLYPH_TRUNK, GLYPH_RULE,
        GLYPH_MAX
} Glyph;

/* What one stream can show. */
typedef struct Screen {
        bool is_terminal; /* lines are cut at its width, and may be drawn again */
        bool has_colours;
        bool has_unicode;
        unsigned columns; /* 80 where it is no terminal: there nothing depends on a window */
        unsigned rows;
} Screen;

/* Sets the locale's character set, too: once, at the start. */
Screen screen_of(int fd);
/* After SIGWINCH. */
void screen_measure(Screen *screen, int fd);
const char *screen_glyph(const Screen *screen, Glyph glyph);

/* A text that grows. Out of memory ends the program: the client has nothing to save. */
typedef struct Text {
        char *bytes; /* owned, ends with NUL; NULL: empty */
        size_t length, allocated;
        unsigned column; /* columns since the last newline */
        unsigned limit;  /* columns of a line; what goes past them is left out. 0: no limit */
        bool is_cut;     /* something was left out of this line */
        const Screen *screen; /* borrowed */
} Text;

/* is_cut_at_width: lines end at the width of a terminal. */
Text text_make(const Screen *screen, bool is_cut_at_width);
void text_done(Text *text);
/* Text of our own: printf. It holds no control characters but newlines. */
void text_add(Text *text, const char *format, ...) printf_like(2, 3);
/* Text from outside: control characters and broken UTF-8 come out as '?'. NULL is nothing. */
void text_add_foreign(Text *text, const char *foreign);
void text_add_coloured(Text *text, Colour colour, const char *format, ...) printf_like(3, 4);
void text_add_glyph(Text *text, Colour colour, Glyph glyph);
void text_add_duration(Text *text, usec_t duration);
/* Blanks up to this column; at least one where the line has something in it already. */
void text_pad(Text *text, unsigned column);
void text_newline(Text *text);
/* The same, without the blanks at the end of this line. */
void text_end_line(Text *text);
/* For a terminal: to the first column, so many lines up; forget what stands behind here, or from here on. */
void text_go_up(Text *text, unsigned lines);
void text_clear_rest(Text *text);
void text_clear_below(Text *text);
/* A line of a program's output: its colours stay where there are any. */
void text_add_output(Text *text, const char *foreign);
/* Writes all of it and empties it. Returns false when the reader is gone. */
bool text_write(Text *text, int fd);

/* Columns that a foreign text takes when it is shown. */
unsigned text_width(const Screen *screen, const char *foreign);

/* An allocation that failed, or another trouble of the machine: says so and ends the program. */
_Noreturn void die(int error);
