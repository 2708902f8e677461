#include "follow.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#define REJOIN_USEC    (10 * USEC_PER_SEC) /* a new core takes well below a second */
#define REJOIN_MSEC    100
#define LOST_MAX       5u

/* Outcomes of one connection, beside STATUS_…. */
enum { FOLLOW_DONE = 2000, FOLLOW_LOST };

/* Signals that somebody has us ignore (nohup, a background job) stay ignored: blocked they would reach the fd. */
static void signals_of_interest(sigset_t *ret) {
        static const int watched[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGCONT };
        struct sigaction action;

        (void) sigemptyset(ret);
        for (size_t i = 0; i < n_elements(watched); i++)
                if (sigaction(watched[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
                        (void) sigaddset(ret, watched[i]);
}

static int watch_signals(void) {
        sigset_t set;
        int fd;

        signals_of_interest(&set);
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                die(errno);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        return fd;
}

void follow_init(Follow *follow, Client *client, const char *method, json_t *parameters, const char *what) {
        *follow = (Follow) { .client = client, .method = method, .parameters = parameters, .what = what,
                             .signal_fd = watch_signals(), .began = clock_now_usec() };
        board_init(&follow->board);
        live_init(&follow->live, client);
}

void follow_done(Follow *follow) {
        sigset_t set;

        json_decref(follow->parameters);
        board_done(&follow->board);
        live_done(&follow->live);
        signals_of_interest(&set);
        (void) sigprocmask(SIG_UNBLOCK, &set, NULL);
        follow->signal_fd = fd_close(follow->signal_fd);
}

/* "operation 3", or what else it is that goes on. */
static const char *goes_on(const Follow *follow, char *buf, size_t size) {
        if (!follow->board.operation)
                return follow->what;
        (void) snprintf(buf, size, "operation %lld", (long long) follow->board.operation_view.id);
        return buf;
}

static const char *how_to_join(const Follow *follow, char *buf, size_t size) {
        buf[0] = '\0';
        if (follow->board.operation)
                (void) snprintf(buf, size, " `drainctl wait %lld` joins it again.",
                                (long long) follow->board.operation_view.id);
        return buf;
}

static int leave_on_signal(const Follow *follow, int signal) {
        char what[64], join[64];

        if (signal != SIGHUP) {
                if (signal == SIGINT && isatty(STDERR_FILENO))
                        (void) !write(STDERR_FILENO, "\n", 1); /* behind the ^C of the terminal */
                (void) client_fail(0, "Left %s; it goes on.%s", goes_on(follow, what, sizeof(what)),
                                   how_to_join(follow, join, sizeof(join)));
        }
        return STATUS_SIGNALLED + signal;
}

static int leave_on_timeout(const Follow *follow) {
        char what[64], join[64], waited[DURATION_TEXT_MAX], left_text[DURATION_TEXT_MAX + 16] = "";
        usec_t now = clock_now_usec();
        usec_t left = board_left(follow->board.operation_view.left, follow->board.operation_told, now);

        if (follow->board.operation && left != USEC_INFINITY) {
                char number[DURATION_TEXT_MAX];

                (void) snprintf(left_text, sizeof(left_text), ", with %s left",
                                duration_format(number, sizeof(number), duration_round(left)));
        }
        return client_fail(STATUS_TIMED_OUT, "Waited for %s; %s goes on%s.%s",
                           duration_format(waited, sizeof(waited), follow->client->options->timeout),
                           goes_on(follow, what, sizeof(what)), left_text,
                           how_to_join(follow, join, sizeof(join)));
}

static int leave_in_silence(const Follow *follow) {
        char what[64], waited[DURATION_TEXT_MAX];

        return client_fail(STATUS_NOT_REACHED, "draind has said nothing for %s. As far as it goes, %s goes on.",
                           duration_format(waited, sizeof(waited), follow->client->silence),
                           goes_on(follow, what, sizeof(what)));
}

/* 0, or the exit status with which to leave. */
static int on_signal(Follow *follow) {
        struct signalfd_siginfo info;

        while (read(follow->signal_fd, &info, sizeof(info)) == (ssize_t) sizeof(info)) {
                int signal = (int) info.ssi_signo;

                if (signal == SIGWINCH)
                        live_resized(&follow->live);
                else if (signal == SIGCONT)
                        live_forget(&follow->live); /* the shell has written since */
                else
                        return leave_on_signal(follow, signal);
        }
        return 0;
}

/* Returns whether it says that all is done. */
static bool on_reply(Follow *follow, const MessageReply *reply, usec_t now) {
        bool is_done = json_is_true(json_object_get(reply->parameters, "done"));
        bool has_news = board_update(&follow->board, reply->parameters, now);

        if (reply->continues) /* a call that ends too early counts as lost */
                follow->n_lost = 0;
        if (has_news || is_done) /* the rest are heartbeats */
                (void) client_print_json(follow->client, reply->parameters);
        if (follow->n_replies++ == 0 && follow->on_begin)
                follow->on_begin(follow->client, &follow->board);
        return is_done;
}

/* Reads until the end of the call: FOLLOW_DONE, FOLLOW_LOST or an exit status. */
static int follow_replies(Follow *follow) {
        Client *client = follow->client;
        usec_t now = clock_now_usec(), silent_at = usec_add(now, client->silence);

        for (;;) {
                usec_t until = usec_min(usec_min(client->deadline, silent_at), live_next(&follow->live));
                MessageReply reply;
                int r = conn_receive(client->conn, follow->signal_fd, until, &reply), status;

                now = clock_now_usec();
                if (r == CONN_DONE) {
                        bool is_done, continues = reply.continues;

                        silent_at = usec_add(now, client->silence);
                        if (reply.error) {
                                status = client_explain(client, &reply);
                                message_reply_done(&reply);
                                return status;
                        }
                        is_done = on_reply(follow, &reply, now);
                        message_reply_done(&reply);
                        live_show(&follow->live, &follow->board, now, is_done);
                        if (is_done && continues)
                                client->conn = conn_free(client->conn); /* what still comes is not for the next call */
                        if (is_done)
                                return FOLLOW_DONE;
                        if (!continues)
                                return FOLLOW_LOST;
                } else if (r == CONN_WOKEN) {
                        status = on_signal(follow);
                        if (status != 0)
                                return status;
                } else if (r != CONN_TIMED_OUT) {
                        return r == CONN_CLOSED ? FOLLOW_LOST : client_explain_lost(client, r);
                } else if (usec_left(client->deadline, now) == 0) {
                        return leave_on_timeout(follow);
                } else if (usec_left(silent_at, now) == 0) {
                        return leave_in_silence(follow);
                }
                if (r != CONN_DONE && follow->n_replies > 0)
                        live_show(&follow->live, &follow->board, now, false);
        }
}

/* Connects again: the door is kept open while a new core starts. 0, FOLLOW_DONE or an exit status. */
static int rejoin(Follow *follow) {
        Client *client = follow->client;
        usec_t give_up = usec_add(clock_now_usec(), REJOIN_USEC);
        bool has_tried = follow->n_lost > 0; /* the first time at once, then with pauses */

        client->conn = conn_free(client->conn);
        if (++follow->n_lost > LOST_MAX)
                return client_explain_lost(client, CONN_CLOSED);
        if (follow->board.operation) {
                json_decref(follow->parameters);
                follow->method = CONTROL_INTERFACE "Wait";
                follow->parameters = client_pack("{s:I}", "operation", (json_int_t) follow->board.operation_view.id);
        }
        for (;;) {
                struct pollfd wake = { .fd = follow->signal_fd, .events = POLLIN };
                int r, status;

                if (has_tried && poll(&wake, 1, REJOIN_MSEC) > 0) {
                        status = on_signal(follow);
                        if (status != 0)
                                return status;
                }
                r = conn_new(&client->conn, client->path, usec_min(give_up, client->deadline));
                if (r == CONN_DONE)
                        return 0;
                if (follow->board.operation_view.exits && (r == -ECONNREFUSED || r == -ENOENT)) {
                        follow->daemon_has_ended = true;
                        return FOLLOW_DONE;
                }
                if (usec_left(client->deadline, clock_now_usec()) == 0)
                        return leave_on_timeout(follow);
                if (usec_left(give_up, clock_now_usec()) == 0 || (r != -ECONNREFUSED && r != -ENOENT))
                        return client_fail(STATUS_NOT_REACHED, "The connection to draind was lost, and %s cannot be "
                                           "reached again.", client->path);
                has_tried = true;
        }
}

int follow_run(Follow *follow) {
        int status = client_connect(follow->client);

        while (status == STATUS_REACHED) {
                int r = client_call_more(follow->client, follow->method, follow->parameters);

                if (r == CONN_DONE || r == CONN_CLOSED)
                        status = follow_replies(follow);
                else
                        status = client_explain_lost(follow->client, r);
                if (status == FOLLOW_LOST)
                        status = rejoin(follow);
        }
        return status == FOLLOW_DONE ? STATUS_REACHED : status;
}
