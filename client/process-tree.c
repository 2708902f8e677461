#include "process-tree.h"

#include "view.h"

#define DEPTH_MAX 24u /* deeper ones stand in the same column: a hostile tree may be as deep as there are pids */

typedef struct Forest {
        ProcessView *items; /* owned */
        unsigned n;
        bool *is_shown, *is_root; /* owned */
        bool has_next[DEPTH_MAX];
        unsigned indent;
} Forest;

static bool has_parent_here(const Forest *forest, unsigned i) {
        for (unsigned k = 0; k < forest->n; k++)
                if (k != i && forest->items[k].pid == forest->items[i].parent)
                        return true;
        return false;
}

static bool belongs_under(const Forest *forest, unsigned i, int64_t parent, bool is_root) {
        if (forest->is_shown[i])
                return false;
        return is_root ? forest->is_root[i] : !forest->is_root[i] && forest->items[i].parent == parent;
}

static void add_process(Text *text, const Forest *forest, const ProcessView *process, unsigned depth, bool is_last) {
        text_add(text, "%*s", (int) forest->indent, "");
        for (unsigned i = 1; i < depth && i < DEPTH_MAX; i++)
                text_add(text, "%s", forest->has_next[i] ? screen_glyph(text->screen, GLYPH_TRUNK) : "   ");
        if (depth > 0)
                text_add(text, "%s", screen_glyph(text->screen, is_last ? GLYPH_LAST_BRANCH : GLYPH_BRANCH));
        text_add_coloured(text, process->leader ? COLOUR_BOLD : COLOUR_NONE, "%lld", (long long) process->pid);
        text_add(text, " ");
        text_add_foreign(text, view_or_empty(process->command));
        if (process->leader)
                text_add_coloured(text, COLOUR_DIM, "  (leader)");
        if (process->escapee)
                text_add_coloured(text, COLOUR_YELLOW, "  (escapee, session %lld)", (long long) process->session);
        if (view_is(process->state, "D"))
                text_add_coloured(text, COLOUR_RED, "  (hangs in the kernel)");
        else if (view_is(process->state, "Z"))
                text_add_coloured(text, COLOUR_DIM, "  (zombie)");
        else if (view_is(process->state, "T"))
                text_add_coloured(text, COLOUR_YELLOW, "  (stopped)");
        text_newline(text);
}

static void add_children(Text *text, Forest *forest, int64_t parent, unsigned depth) {
        unsigned at = depth < DEPTH_MAX ? depth : DEPTH_MAX - 1;

        for (unsigned i = 0; i < forest->n; i++) {
                bool has_next = false;

                if (!belongs_under(forest, i, parent, depth == 0))
                        continue;
                for (unsigned k = i + 1; k < forest->n; k++)
                        has_next = has_next || belongs_under(forest, k, parent, depth == 0);
                forest->is_shown[i] = true;
                forest->has_next[at] = has_next;
                add_process(text, forest, &forest->items[i], at, !has_next);
                add_children(text, forest, forest->items[i].pid, depth + 1);
        }
}

void process_tree_add(Text *text, const json_t *processes, unsigned indent) {
        Forest forest = { .n = (unsigned) json_array_size(processes), .indent = indent };
        const json_t *process;
        size_t i;

        if (forest.n == 0)
                return;
        forest.items = calloc(forest.n, sizeof(*forest.items));
        forest.is_shown = calloc(forest.n, sizeof(*forest.is_shown));
        forest.is_root = calloc(forest.n, sizeof(*forest.is_root));
        if (!forest.items || !forest.is_shown || !forest.is_root)
                die(ENOMEM);
        json_array_foreach(processes, i, process)
                forest.items[i] = view_process(process);
        for (unsigned k = 0; k < forest.n; k++)
                forest.is_root[k] = !has_parent_here(&forest, k);
        add_children(text, &forest, -1, 0);
        for (unsigned k = 0; k < forest.n; k++) /* parents in a circle: pids were used again while they were read */
                if (!forest.is_shown[k])
                        add_process(text, &forest, &forest.items[k], 0, true);
        free(forest.items);
        free(forest.is_shown);
        free(forest.is_root);
}
