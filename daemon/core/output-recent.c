#include "output-recent.h"

#include <assert.h>
#include <string.h>

/* Records stand one after another, none across the end: a filler takes what is left there. Positions only ever grow and
 * are taken modulo the size, so full and empty cannot be confused. */

#define RECORD_ALIGN 8u

typedef struct LineRecord {
        uint32_t size; /* the record with its texts and padding */
        uint16_t text_length;
        uint8_t name_length;
        uint8_t flags;
        uint64_t sequence;
        usec_t time;
        char texts[]; /* name and text, each with its NUL */
} LineRecord;

enum { LINE_FILLER = 1 << 0, LINE_CONTINUED = 1 << 1 };

/* What a filler of the smallest size has room for. */
static_assert(offsetof(LineRecord, sequence) == RECORD_ALIGN, "a filler fits everywhere");
static_assert(OUTPUT_LINE_MAX * 4 <= UINT16_MAX, "an escaped line's length fits");
static_assert(OUTPUT_NAME_MAX <= UINT8_MAX, "a name's length fits");
static_assert(OUTPUT_RECENT_MAX % RECORD_ALIGN == 0, "records end where the memory ends");

struct OutputRecent {
        uint64_t first, end; /* positions: of the oldest record, and behind the newest */
        _Alignas(RECORD_ALIGN) char bytes[OUTPUT_RECENT_MAX];
};

OutputRecent *output_recent_new(void) {
        OutputRecent *recent = malloc(sizeof(*recent));

        if (recent)
                recent->first = recent->end = 0;
        return recent;
}

OutputRecent *output_recent_free(OutputRecent *recent) {
        free(recent);
        return NULL;
}

static const LineRecord *record_at(const OutputRecent *recent, uint64_t position) {
        return (const LineRecord *) (const void *) (recent->bytes + position % OUTPUT_RECENT_MAX);
}

/* Room for size bytes at the end; the oldest records go. */
static LineRecord *record_append(OutputRecent *recent, uint32_t size) {
        LineRecord *record;

        while (recent->end + size - recent->first > OUTPUT_RECENT_MAX)
                recent->first += record_at(recent, recent->first)->size;
        record = (LineRecord *) (void *) (recent->bytes + recent->end % OUTPUT_RECENT_MAX);
        record->size = size;
        recent->end += size;
        return record;
}

void output_recent_add(OutputRecent *recent, const OutputLine *line) {
        size_t name_length = strlen(line->service), size = sizeof(LineRecord) + name_length + line->length + 2;
        size_t left = OUTPUT_RECENT_MAX - recent->end % OUTPUT_RECENT_MAX;
        LineRecord *record;

        size = (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
        if (size > left)
                record_append(recent, (uint32_t) left)->flags = LINE_FILLER;
        record = record_append(recent, (uint32_t) size);
        record->text_length = (uint16_t) line->length;
        record->name_length = (uint8_t) name_length;
        record->flags = line->is_continued ? LINE_CONTINUED : 0;
        record->sequence = line->sequence;
        record->time = line->time;
        memcpy(record->texts, line->service, name_length + 1);
        memcpy(record->texts + name_length + 1, line->text, line->length + 1);
}

static bool record_matches(const LineRecord *record, const char *service) {
        return !(record->flags & LINE_FILLER) && (!service || strcmp(record->texts, service) == 0);
}

unsigned output_recent_list(const OutputRecent *recent, const char *service, unsigned n, OutputOnLine on_line,
                            void *userdata) {
        unsigned found = 0, skip;

        for (uint64_t at = recent->first; at < recent->end; at += record_at(recent, at)->size)
                found += record_matches(record_at(recent, at), service);
        skip = found > n ? found - n : 0;
        for (uint64_t at = recent->first; at < recent->end; at += record_at(recent, at)->size) {
                const LineRecord *record = record_at(recent, at);

                if (!record_matches(record, service) || (skip > 0 && skip-- > 0))
                        continue;
                on_line(&(OutputLine) {
                                .sequence = record->sequence,
                                .time = record->time,
                                .service = record->texts,
                                .text = record->texts + record->name_length + 1,
                                .length = record->text_length,
                                .is_continued = record->flags & LINE_CONTINUED,
                        }, userdata);
        }
        return found < n ? found : n;
}
