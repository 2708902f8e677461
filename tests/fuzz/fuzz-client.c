#include "fuzz.h"

#include <assert.h>
#include <locale.h>
#include <string.h>

#include "../../client/board.h"
#include "../../client/plan-chart.h"
#include "../../client/process-tree.h"
#include "../../protocol/message.h"

int fuzz_accepted;

static const Screen terminal = { .is_terminal = true, .has_colours = true, .has_unicode = true,
                                 .columns = 80, .rows = 24 };

/* Our own sequences begin with ESC [ and end with m; nothing else may be there, and no line may be too wide. */
static void check_safe(const Text *text) {
        for (const char *at = text->bytes; at && *at; at++) {
                if (*at == '\033') {
                        size_t length = strspn(at + 2, "0123456789;");

                        assert(at[1] == '[' && at[2 + length] == 'm');
                }
                assert((unsigned char) *at >= ' ' || *at == '\n' || *at == '\033');
                assert(*at != '\x7f');
        }
        assert(text->column <= text->limit || text->limit == 0);
}

static void show_board(const json_t *parameters) {
        Board board;

        board_init(&board);
        (void) board_update(&board, parameters, 1);
        (void) board_update(&board, parameters, 2);
        for (unsigned i = 0; i < board.n; i++) {
                Text text = text_make(&terminal, true);

                view_add_dot(&text, &board.entries[i].view);
                view_add_state(&text, &board.entries[i].view);
                view_add_info(&text, &board.entries[i].view, board_left(board.entries[i].view.left, 1, 2));
                text_newline(&text);
                check_safe(&text);
                text_done(&text);
        }
        board_done(&board);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
        Text text = text_make(&terminal, true);
        cleanup(freep) char *copy = strndup((const char *) data, size);
        MessageReply reply;

        (void) setlocale(LC_CTYPE, "C.UTF-8");
        fuzz_accepted = 0;
        assert(copy);
        text_add_output(&text, copy);
        text_newline(&text);
        text_add_foreign(&text, copy);
        check_safe(&text);
        if (message_parse_reply((const char *) data, size, &reply) == MESSAGE_PARSED) {
                fuzz_accepted = 1;
                show_board(reply.parameters);
                plan_chart_add(&text, reply.parameters);
                process_tree_add(&text, json_object_get(reply.parameters, "processes"), 2);
                check_safe(&text);
                message_reply_done(&reply);
        }
        text_done(&text);
        return 0;
}
