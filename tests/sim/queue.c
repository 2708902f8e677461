#include "queue.h"

#include <assert.h>

#include "../../protocol/base.h"

bool happening_is_earlier(const Happening *a, const Happening *b) {
        return a->at != b->at ? a->at < b->at : a->sequence < b->sequence;
}

bool happening_is_served_first(const Happening *a, const Happening *b) {
        return a->kind != b->kind ? a->kind < b->kind : happening_is_earlier(a, b);
}

void queue_put(Queue *queue, Happening happening) {
        unsigned i = queue->n;

        if (queue->n == queue->n_allocated) {
                queue->n_allocated = queue->n_allocated > 0 ? 2 * queue->n_allocated : 128;
                queue->items = reallocarray(queue->items, queue->n_allocated, sizeof(*queue->items));
                assert(queue->items);
        }
        for (; i > 0 && queue->before(&happening, &queue->items[(i - 1) / 2]); i = (i - 1) / 2)
                queue->items[i] = queue->items[(i - 1) / 2];
        queue->items[i] = happening;
        queue->n++;
}

Happening queue_take(Queue *queue) {
        Happening first = queue->items[0], last = queue->items[--queue->n];
        unsigned i = 0;

        for (;;) {
                unsigned child = 2 * i + 1;

                if (child >= queue->n)
                        break;
                if (child + 1 < queue->n && queue->before(&queue->items[child + 1], &queue->items[child]))
                        child++;
                if (!queue->before(&queue->items[child], &last))
                        break;
                queue->items[i] = queue->items[child];
                i = child;
        }
        queue->items[i] = last;
        return first;
}

void queue_done(Queue *queue) {
        free(queue->items);
        *queue = (Queue){ .before = queue->before };
}
