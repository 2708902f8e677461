#include "plan-chart.h"

#include <string.h>

#include "view.h"

#define NAME_COLUMNS_MAX 20u
#define TIME_COLUMNS     9u  /* "1min 30s " */
#define CHART_MIN        20u
#define TICKS_MAX        6u
#define SHOWN_MAX        (UINT64_C(366) * 86400 * USEC_PER_SEC) /* times as many columns as there may be, it fits */

typedef struct Chart {
        PlanView *rows; /* owned */
        size_t n;
        usec_t end;     /* of the last */
        usec_t limit;   /* from outside; USEC_INFINITY: none */
        usec_t shown;   /* what the axis spans: the budget where that is not too far off */
        unsigned name_columns, columns;
} Chart;

/* A phase is what is drawn from its beginning to that of the next. */
static Glyph phase_at(const PlanView *row, usec_t at) {
        if (at >= row->end || at < row->withdraw)
                return GLYPH_MAX;
        if (at >= row->kill)
                return GLYPH_KILL;
        if (at >= row->terminate)
                return GLYPH_TERMINATE;
        if (at >= row->stop_hook)
                return GLYPH_HOOK;
        if (at >= row->held)
                return GLYPH_HELD;
        return at >= row->quiesce ? GLYPH_QUIESCE : GLYPH_WITHDRAW;
}

static const struct {
        Glyph glyph;
        Colour colour;
        const char *name;
} legend[] = {
        { GLYPH_WITHDRAW, COLOUR_CYAN, "withdraw" }, { GLYPH_QUIESCE, COLOUR_BLUE, "quiesce" },
        { GLYPH_HELD, COLOUR_DIM, "waits" },         { GLYPH_HOOK, COLOUR_GREEN, "ExecStop" },
        { GLYPH_TERMINATE, COLOUR_YELLOW, "terminate" }, { GLYPH_KILL, COLOUR_RED, "kill" },
};

static Colour phase_colour(Glyph glyph) {
        for (size_t i = 0; i < n_elements(legend); i++)
                if (legend[i].glyph == glyph)
                        return legend[i].colour;
        return COLOUR_NONE;
}

/* What a column stands for: the phase that takes most of it would do; a short one must not vanish, so the last that
 * begins within it wins, and kill above all. */
static Glyph column_phase(const Chart *chart, const PlanView *row, unsigned column) {
        usec_t from = chart->shown * column / chart->columns, to = chart->shown * (column + 1) / chart->columns;
        usec_t middle = from + (to - from) / 2;

        if (row->end > row->kill && row->kill >= from && row->kill < to && row->end >= to)
                return row->kill - from < (to - from) / 2 ? GLYPH_KILL : phase_at(row, from);
        if (row->end > from && row->end <= to && row->end > row->withdraw)
                return phase_at(row, row->end - 1);
        return phase_at(row, middle);
}

static bool is_limit(const Chart *chart, unsigned column) {
        return chart->limit < chart->shown && chart->limit * chart->columns / chart->shown == column;
}

/* What it does not get, and whom it comes after. */
static void add_note(Text *text, const PlanView *row) {
        if (row->cut) {
                text_add(text, "  ");
                text_add_coloured(text, COLOUR_RED, "gets ");
                text_add_duration(text, row->granted);
                text_add(text, " of ");
                text_add_duration(text, row->wish);
        }
        if (row->after.n > 0)
                text_add_coloured(text, COLOUR_DIM, "  after ");
        for (unsigned i = 0; i < row->after.n; i++) {
                text_add(text, "%s", i > 0 ? ", " : "");
                text_add_foreign(text, field_strings_at(&row->after, i));
        }
}

static void add_row(Text *text, const Chart *chart, const PlanView *row) {
        text_add_foreign(text, row->name);
        text_pad(text, chart->name_columns + 1);
        for (unsigned column = 0; column < chart->columns; column++) {
                Glyph glyph = column_phase(chart, row, column);

                if (is_limit(chart, column))
                        text_add_glyph(text, COLOUR_RED, GLYPH_RULE);
                else if (glyph == GLYPH_MAX)
                        text_add(text, " ");
                else
                        text_add_glyph(text, phase_colour(glyph), glyph);
        }
        text_add(text, " ");
        text_add_duration(text, row->end);
        add_note(text, row);
        text_newline(text);
}

static usec_t tick_of(usec_t shown) {
        static const usec_t steps_msec[] = { 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000,
                                             120000, 300000, 600000, 1800000, 3600000, 7200000, 21600000, 86400000 };

        for (size_t i = 0; i < n_elements(steps_msec); i++)
                if (shown / (steps_msec[i] * USEC_PER_MSEC) <= TICKS_MAX)
                        return steps_msec[i] * USEC_PER_MSEC;
        return shown;
}

static void add_axis(Text *text, const Chart *chart) {
        usec_t tick = tick_of(chart->shown);

        text_pad(text, chart->name_columns + 1);
        for (usec_t at = 0; at <= chart->shown; at += tick) {
                double share = (double) at / (double) chart->shown;
                unsigned column = chart->name_columns + 1 + (unsigned) (share * chart->columns);

                if (column > text->column)
                        text_pad(text, column);
                else if (at > 0)
                        continue; /* there is no room for this one */
                text_add_duration(text, at);
                if (tick == 0)
                        break;
        }
        text_newline(text);
}

static void add_legend(Text *text, const Chart *chart) {
        text_pad(text, chart->name_columns + 1);
        for (size_t i = 0; i < n_elements(legend); i++) {
                bool is_used = false;

                for (size_t k = 0; k < chart->n; k++)
                        for (unsigned column = 0; column < chart->columns; column++)
                                is_used = is_used || column_phase(chart, &chart->rows[k], column) == legend[i].glyph;
                if (!is_used)
                        continue;
                text_add_glyph(text, legend[i].colour, legend[i].glyph);
                text_add(text, " %s  ", legend[i].name);
        }
        if (chart->limit < chart->shown) {
                text_add_glyph(text, COLOUR_RED, GLYPH_RULE);
                text_add(text, " limit");
        }
        text_end_line(text);
}

static void add_headline(Text *text, const json_t *plan, const Chart *chart, usec_t budget) {
        usec_t wish = (usec_t) json_integer_value(json_object_get(plan, "wishUsec"));

        text_add(text, "A drain of all that runs (%zu service%s) takes ", chart->n, chart->n == 1 ? "" : "s");
        text_add_duration(text, chart->end);
        text_add(text, " at most; its budget is ");
        text_add_duration(text, budget);
        text_add(text, ".\n");
        if (wish > budget) {
                text_add_coloured(text, COLOUR_RED, "Together they wish for ");
                text_add_duration(text, wish);
                text_add(text, ": not every wish is granted.\n");
        }
        if (chart->limit < budget) {
                text_add_coloured(text, COLOUR_RED, "From outside there are only ");
                text_add_duration(text, chart->limit);
                text_add(text, " until everything is killed.\n");
        } else if (chart->limit != USEC_INFINITY) {
                text_add(text, "From outside there are ");
                text_add_duration(text, chart->limit);
                text_add(text, ".\n");
        }
}

/* Of the longest note; it may take a third of the line, and is cut there on a terminal. */
static unsigned note_columns(const Chart *chart, const Screen *screen) {
        unsigned widest = 0;

        for (size_t i = 0; i < chart->n; i++) {
                Text note = text_make(screen, false);

                add_note(&note, &chart->rows[i]);
                if (note.column > widest)
                        widest = note.column;
                text_done(&note);
        }
        return widest < screen->columns / 3 ? widest : screen->columns / 3;
}

static void measure(Chart *chart, const Screen *screen, usec_t budget) {
        unsigned taken;

        for (size_t i = 0; i < chart->n; i++) {
                unsigned width = text_width(screen, chart->rows[i].name);

                if (width > chart->name_columns)
                        chart->name_columns = width;
                if (chart->rows[i].end > chart->end)
                        chart->end = chart->rows[i].end;
        }
        if (chart->name_columns > NAME_COLUMNS_MAX)
                chart->name_columns = NAME_COLUMNS_MAX;
        taken = chart->name_columns + 1 + TIME_COLUMNS + note_columns(chart, screen);
        chart->columns = screen->columns > taken + CHART_MIN ? screen->columns - taken : CHART_MIN;
        chart->shown = chart->end > 0 ? chart->end : 1;
        if (budget > chart->end && budget / 3 * 2 < chart->end)
                chart->shown = budget;
        chart->shown = usec_min(chart->shown, SHOWN_MAX);
}

static int compare_rows(const void *a, const void *b) {
        const PlanView *left = a, *right = b;

        if (left->end != right->end)
                return left->end < right->end ? -1 : 1;
        return strcmp(left->name, right->name);
}

void plan_chart_add(Text *text, const json_t *plan) {
        const json_t *services = json_object_get(plan, "services"), *value;
        usec_t budget = (usec_t) json_integer_value(json_object_get(plan, "budgetUsec"));
        const json_t *outer = json_object_get(plan, "outerUsec");
        Chart chart = { .n = json_array_size(services), .limit = USEC_INFINITY };
        size_t i;

        if (chart.n == 0) {
                text_add(text, "Nothing runs: a drain would take no time.\n");
                return;
        }
        chart.rows = calloc(chart.n, sizeof(*chart.rows));
        if (!chart.rows)
                die(ENOMEM);
        json_array_foreach(services, i, value)
                chart.rows[i] = view_plan(value);
        if (json_is_integer(outer) && json_integer_value(outer) >= 0)
                chart.limit = (usec_t) json_integer_value(outer);
        qsort(chart.rows, chart.n, sizeof(*chart.rows), compare_rows);
        measure(&chart, text->screen, budget);
        add_headline(text, plan, &chart, budget);
        text_newline(text);
        add_axis(text, &chart);
        for (i = 0; i < chart.n; i++)
                add_row(text, &chart, &chart.rows[i]);
        add_legend(text, &chart);
        free(chart.rows);
}
