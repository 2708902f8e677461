#include "board.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "../../protocol/fds.h"

#define BOARD_MAGIC   UINT32_C(0x44524244)
#define BOARD_VERSION 1u

typedef struct BoardService {
        char name[SERVICE_NAME_MAX + 1];
        BoardWords words;
        struct {
                uint64_t sequence; /* 0: being written, or never written */
                BoardRun run;
        } slots[2];
} BoardService;

typedef struct BoardOperation {
        struct {
                uint64_t sequence;
                Operation operation;
        } slots[2];
} BoardOperation;

typedef struct BoardPage {
        uint32_t magic, version, n, size_of_service, size_of_operation;
        char instance[BOARD_INSTANCE_MAX];
        BoardOperation operations[MACHINE_OPERATIONS_MAX];
        BoardService services[];
} BoardPage;

struct Board {
        BoardPage *page; /* mapped */
        size_t size_bytes;
        int fd; /* owned */
};

static size_t page_size(unsigned n) {
        return sizeof(BoardPage) + (size_t) n * sizeof(BoardService);
}

static void make_instance(char *ret) {
        unsigned char bytes[8];

        if (getrandom(bytes, sizeof(bytes), GRND_NONBLOCK) != (ssize_t) sizeof(bytes)) {
                usec_t now = clock_now_usec() ^ ((usec_t) getpid() << 40);

                memcpy(bytes, &now, sizeof(bytes));
        }
        for (unsigned i = 0; i < sizeof(bytes); i++)
                (void) snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
}

must_check static int board_map(Board **ret, int fd, size_t size) {
        cleanup(fd_closep) int owned = fd;
        Board *board;
        void *page;

        page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, owned, 0);
        if (page == MAP_FAILED)
                return -errno;
        board = malloc(sizeof(*board));
        if (!board) {
                (void) munmap(page, size);
                return -ENOMEM;
        }
        *board = (Board) { .page = page, .size_bytes = size, .fd = take_fd(owned) };
        *ret = board;
        return 0;
}

int board_new(Board **ret, unsigned n) {
        int fd = memfd_make("draind-blackboard", page_size(n));
        Board *board = NULL;
        int r;

        if (fd < 0)
                return fd;
        r = board_map(&board, fd, page_size(n));
        if (r < 0)
                return r;
        board->page->version = BOARD_VERSION;
        board->page->n = n;
        board->page->size_of_service = sizeof(BoardService);
        board->page->size_of_operation = sizeof(BoardOperation);
        make_instance(board->page->instance);
        board->page->magic = BOARD_MAGIC;
        *ret = board;
        return 0;
}

int board_open(Board **ret, int fd) {
        cleanup(fd_closep) int owned = fd;
        cleanup(board_freep) Board *board = NULL;
        const BoardPage *page;
        struct stat st;
        int r;

        if (fstat(owned, &st) < 0)
                return -errno;
        if ((size_t) st.st_size < sizeof(BoardPage))
                return -EBADMSG;
        r = board_map(&board, take_fd(owned), (size_t) st.st_size);
        if (r < 0)
                return r;
        page = board->page;
        if (page->magic != BOARD_MAGIC || page->version != BOARD_VERSION || page->n > SERVICES_MAX
            || page->size_of_service != sizeof(BoardService) || page->size_of_operation != sizeof(BoardOperation)
            || (size_t) st.st_size < page_size(page->n) || memchr(page->instance, 0, sizeof(page->instance)) == NULL)
                return -EBADMSG;
        *ret = take(board);
        return 0;
}

Board *board_free(Board *board) {
        if (!board)
                return NULL;
        (void) munmap(board->page, board->size_bytes);
        (void) fd_close(board->fd);
        free(board);
        return NULL;
}

int board_fd(const Board *board) {
        return board->fd;
}

unsigned board_n(const Board *board) {
        return board->page->n;
}

const char *board_instance(const Board *board) {
        return board->page->instance;
}

const char *board_name(const Board *board, unsigned place) {
        const char *name = board->page->services[place].name;

        return memchr(name, 0, SERVICE_NAME_MAX + 1) ? name : "";
}

int board_set_name(Board *board, unsigned place, const char *name) {
        size_t length = strlen(name);

        if (length > SERVICE_NAME_MAX)
                return -ENAMETOOLONG;
        memset(&board->page->services[place], 0, sizeof(BoardService));
        memcpy(board->page->services[place].name, name, length + 1);
        return 0;
}

BoardWords *board_words(Board *board, unsigned place) {
        return &board->page->services[place].words;
}

/* The slot that holds the older copy is the one to write; it is marked as torn until it is whole. SIGKILL may come at any
 * instruction, so the order of the stores counts; another CPU reads only when this process is gone. */
#define BOARD_COMMIT(record, member, value)                                                               \
        do {                                                                                              \
                unsigned older_ = (record)->slots[0].sequence <= (record)->slots[1].sequence ? 0 : 1;     \
                uint64_t next_ = (record)->slots[1 - older_].sequence + 1;                                \
                __atomic_store_n(&(record)->slots[older_].sequence, 0, __ATOMIC_SEQ_CST);                 \
                (record)->slots[older_].member = *(value);                                                \
                __atomic_store_n(&(record)->slots[older_].sequence, next_, __ATOMIC_SEQ_CST);             \
        } while (0)

void board_commit(Board *board, unsigned place, const BoardRun *run) {
        BoardService *record = &board->page->services[place];

        BOARD_COMMIT(record, run, run);
}

bool board_read(const Board *board, unsigned place, BoardRun *ret) {
        const BoardService *record = &board->page->services[place];
        unsigned newer = record->slots[0].sequence >= record->slots[1].sequence ? 0 : 1;

        if (record->slots[newer].sequence == 0)
                return false;
        *ret = record->slots[newer].run;
        return true;
}

void board_commit_operation(Board *board, unsigned place, const Operation *operation) {
        BoardOperation *record = &board->page->operations[place];

        BOARD_COMMIT(record, operation, operation);
}

bool board_read_operation(const Board *board, unsigned place, Operation *ret) {
        const BoardOperation *record = &board->page->operations[place];
        unsigned newer = record->slots[0].sequence >= record->slots[1].sequence ? 0 : 1;

        if (record->slots[newer].sequence == 0 || record->slots[newer].operation.state >= OPERATION_STATE_MAX)
                return false;
        *ret = record->slots[newer].operation;
        return true;
}
