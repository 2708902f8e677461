#include "live.h"

#include <stdio.h>
#include <string.h>

#define NAME_COLUMNS_MAX 24u
#define BAR_COLUMNS      20u
#define STATE_COLUMNS    20u
#define FRAME_USEC       (200 * USEC_PER_MSEC)
#define FRAME_MIN_USEC   (40 * USEC_PER_MSEC)

void live_init(Live *live, const Client *client) {
        bool is_silent = options_has(client->options, OPTION_QUIET) || options_has(client->options, OPTION_JSON);

        *live = (Live) { .client = client, .screen = client->screen, .is_silent = is_silent,
                         .is_drawn = client->screen.is_terminal };
}

void live_done(Live *live) {
        free(live->drawn_columns);
        live->drawn_columns = NULL;
}

void live_resized(Live *live) {
        screen_measure(&live->screen, STDOUT_FILENO);
}

void live_forget(Live *live) {
        live->n_drawn = 0;
}

static void remember_line(Live *live, unsigned columns) {
        if (live->n_drawn == live->n_drawn_allocated) {
                unsigned allocated = live->n_drawn_allocated > 0 ? live->n_drawn_allocated * 2 : 32;
                unsigned *grown = reallocarray(live->drawn_columns, allocated, sizeof(*grown));

                if (!grown)
                        die(ENOMEM);
                live->drawn_columns = grown;
                live->n_drawn_allocated = allocated;
        }
        live->drawn_columns[live->n_drawn++] = columns;
}

/* Terminals break lines anew when the window becomes narrower: the block may be higher than it was drawn. */
static unsigned block_height(const Live *live) {
        unsigned height = 0, columns = live->screen.columns;

        for (unsigned i = 0; i < live->n_drawn; i++)
                height += live->drawn_columns[i] > columns ? (live->drawn_columns[i] + columns - 1) / columns : 1;
        return height < live->screen.rows ? height : live->screen.rows - 1;
}

static void end_line(Live *live, Text *text) {
        unsigned column = text->column;

        text_clear_rest(text);
        text_newline(text);
        remember_line(live, column);
}

static void add_bar(Text *text, usec_t used, usec_t whole, unsigned columns, Colour colour) {
        unsigned full = whole == 0 || used >= whole ? columns : (unsigned) ((double) used / (double) whole * columns);

        for (unsigned i = 0; i < columns; i++)
                text_add_glyph(text, i < full ? colour : COLOUR_DIM, i < full ? GLYPH_FULL : GLYPH_EMPTY);
}

static bool operation_is_over(const OperationView *operation) {
        return view_is(operation->state, "stopped") || view_is(operation->state, "resumed");
}

static void draw_operation(Live *live, Text *text, const Board *board, usec_t now) {
        const OperationView *operation = &board->operation_view;
        usec_t left = board_left(operation->left, board->operation_told, now);

        view_add_operation(text, operation);
        if (!operation_is_over(operation) && operation->budget != USEC_INFINITY && left != USEC_INFINITY) {
                usec_t used = operation->budget > left ? operation->budget - left : 0;

                text_add(text, "  ");
                add_bar(text, used, operation->budget, BAR_COLUMNS,
                        left < operation->budget / 5 ? COLOUR_RED : COLOUR_YELLOW);
                text_add(text, "  ");
                text_add_duration(text, left);
                text_add(text, " left of ");
                text_add_duration(text, operation->budget);
        }
        end_line(live, text);
}

static bool is_moving(const ServiceView *service) {
        return view_is(service->state, "draining") || view_is(service->state, "starting");
}

static void draw_service(Live *live, Text *text, const BoardEntry *entry, unsigned name_columns, usec_t now) {
        const ServiceView *service = &entry->view;

        view_add_dot(text, service);
        text_add(text, " ");
        text_add_foreign(text, service->name);
        text_pad(text, name_columns + 3);
        view_add_state(text, service);
        text_pad(text, name_columns + 3 + STATE_COLUMNS);
        view_add_info(text, service, board_left(service->left, entry->told, now));
        end_line(live, text);
}

static unsigned widest_name(const Live *live, const Board *board) {
        unsigned widest = 0;

        for (unsigned i = 0; i < board->n; i++) {
                unsigned width = text_width(&live->screen, board->entries[i].view.name);

                if (width > widest)
                        widest = width;
        }
        return widest < NAME_COLUMNS_MAX ? widest : NAME_COLUMNS_MAX;
}

/* Where the window is too low for all, those that move come first. */
static void draw_services(Live *live, Text *text, const Board *board, unsigned room, usec_t now) {
        unsigned name_columns = widest_name(live, board), shown = 0;
        bool fits = board->n <= room;

        if (!fits && room > 0)
                room--; /* for the line that counts the others */
        for (unsigned pass = 0; pass < (fits ? 1u : 2u); pass++)
                for (unsigned i = 0; i < board->n && shown < room; i++)
                        if (fits || is_moving(&board->entries[i].view) == (pass == 0)) {
                                draw_service(live, text, &board->entries[i], name_columns, now);
                                shown++;
                        }
        if (shown < board->n && live->n_drawn + 1 < live->screen.rows) {
                text_add_coloured(text, COLOUR_DIM, "  and %u more", board->n - shown);
                end_line(live, text);
        }
}

static void draw(Live *live, Board *board, usec_t now) {
        Text text = text_make(&live->screen, true);
        unsigned above = block_height(live), room = live->screen.rows - 1;

        text_go_up(&text, above);
        live->n_drawn = 0;
        if (board->operation && room > 0) {
                draw_operation(live, &text, board, now);
                room--;
        }
        draw_services(live, &text, board, room, now);
        text_clear_below(&text);
        (void) text_write(&text, STDOUT_FILENO); /* a terminal that is gone sends SIGHUP */
        text_done(&text);
}

/* What must change before another line is worth it. */
static char *transition_key(const ServiceView *service) {
        char *key;

        if (asprintf(&key, "%s/%s/%s/%s/%d", service->state, view_or_empty(service->phase),
                     view_is(service->phase, "terminate") ? view_or_empty(service->rung) : "",
                     view_or_empty(service->result), service->ready) < 0)
                die(ENOMEM);
        return key;
}

/* What one reply brings happened in an order: an end is what lets the next one go on. */
static int compare_ends_first(const void *a, const void *b) {
        const BoardEntry *left = *(BoardEntry *const *) a, *right = *(BoardEntry *const *) b;
        bool left_stopped = view_is(left->view.state, "stopped"), right_stopped = view_is(right->view.state, "stopped");

        if (left_stopped != right_stopped)
                return left_stopped ? -1 : 1;
        if (left_stopped && left->view.since != right->view.since)
                return left->view.since < right->view.since ? -1 : 1;
        return left < right ? -1 : left > right; /* as they were told: both are in one array */
}

static bool has_transition(BoardEntry *entry) {
        char *key;

        if (!entry->is_new)
                return false;
        entry->is_new = false;
        key = transition_key(&entry->view);
        if (entry->shown && strcmp(entry->shown, key) == 0) {
                free(key);
                return false;
        }
        free(entry->shown);
        entry->shown = key;
        return true;
}

static void print_transitions(Live *live, Board *board) {
        cleanup(freep) BoardEntry **changed = calloc(board->n + 1, sizeof(*changed));
        Text text = text_make(&live->screen, false);
        unsigned n = 0;

        if (!changed)
                die(ENOMEM);
        for (unsigned i = 0; i < board->n; i++)
                if (has_transition(&board->entries[i]))
                        changed[n++] = &board->entries[i];
        qsort(changed, n, sizeof(*changed), compare_ends_first);
        for (unsigned i = 0; i < n; i++) {
                text_add_foreign(&text, changed[i]->view.name);
                text_add(&text, ": ");
                view_add_line(&text, &changed[i]->view, changed[i]->view.left);
                text_newline(&text);
        }
        (void) text_write(&text, STDOUT_FILENO); /* whoever closed it does not want it */
        text_done(&text);
}

void live_show(Live *live, Board *board, usec_t now, bool is_last) {
        if (live->is_silent)
                return;
        if (!live->is_drawn) {
                print_transitions(live, board);
                return;
        }
        live->is_behind = !is_last && live->drawn > 0 && now < usec_add(live->drawn, FRAME_MIN_USEC);
        if (live->is_behind)
                return;
        draw(live, board, now);
        live->drawn = now;
}

usec_t live_next(const Live *live) {
        if (live->is_silent || !live->is_drawn || live->drawn == 0)
                return USEC_INFINITY;
        return usec_add(live->drawn, live->is_behind ? FRAME_MIN_USEC : FRAME_USEC);
}
