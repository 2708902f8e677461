#include "board.h"

void board_init(Board *board) {
        *board = (Board) { .index = json_object() };
        if (!board->index)
                die(ENOMEM);
}

void board_done(Board *board) {
        for (unsigned i = 0; i < board->n; i++) {
                json_decref(board->entries[i].value);
                free(board->entries[i].shown);
        }
        free(board->entries);
        json_decref(board->index);
        json_decref(board->operation);
        *board = (Board) { 0 };
}

static BoardEntry *entry_for(Board *board, const char *name) {
        const json_t *place = json_object_get(board->index, name);

        if (place)
                return &board->entries[json_integer_value(place)];
        if (board->n == board->allocated) {
                unsigned allocated = board->allocated > 0 ? board->allocated * 2 : 16;
                BoardEntry *entries = reallocarray(board->entries, allocated, sizeof(*entries));

                if (!entries)
                        die(ENOMEM);
                board->entries = entries;
                board->allocated = allocated;
        }
        if (json_object_set_new(board->index, name, json_integer(board->n)) < 0)
                die(ENOMEM);
        board->entries[board->n] = (BoardEntry) { 0 };
        return &board->entries[board->n++];
}

static void take_service(Board *board, json_t *value, usec_t now) {
        const char *name = json_string_value(json_object_get(value, "name"));
        BoardEntry *entry;

        if (!name)
                return;
        entry = entry_for(board, name);
        json_decref(entry->value);
        entry->value = json_incref(value);
        entry->view = view_service(value);
        entry->told = now;
        entry->is_new = true;
}

bool board_update(Board *board, const json_t *parameters, usec_t now) {
        json_t *operation = json_object_get(parameters, "operation"), *service;
        const json_t *services = json_object_get(parameters, "services");
        size_t i;

        json_array_foreach(services, i, service)
                take_service(board, service, now);
        if (json_is_object(operation)) {
                json_decref(board->operation);
                board->operation = json_incref(operation);
                board->operation_view = view_operation(operation);
                board->operation_told = now;
        }
        return json_array_size(services) > 0 || json_is_object(operation);
}

const BoardEntry *board_find(const Board *board, const char *name) {
        const json_t *place = json_object_get(board->index, name);

        return place ? &board->entries[json_integer_value(place)] : NULL;
}

usec_t board_left(usec_t left, usec_t told, usec_t now) {
        return left == USEC_INFINITY ? USEC_INFINITY : usec_left(usec_add(told, left), now);
}
