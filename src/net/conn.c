#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "listener_private.h"

/*
 * Happy path: conn_begin → on_read → feed → the handler → conn_answer → send → CONN_IDLE, over and over, until the
 * client shuts its side in CONN_IDLE.
 *
 * Failure modes: a faulty or late request gets an error and the connection leaves; a client that goes while its answer
 * is awaited is reported to the handler; one that does not take its answer is cut at the deadline.
 */
static void feed(struct conn *conn, const char *data, size_t length);
static void begin_leaving(struct conn *conn);
static void next_request(struct conn *conn);
static void flush_tls(struct conn *conn);
static int start_reading(struct conn *conn);

/* ---- stages */

static void conn_move(struct conn *conn, enum conn_stage stage)
{
    struct listener *listener = conn->listener;
    list_remove(&conn->link);
    conn->stage = stage;
    uint64_t start = stage == CONN_BODY ? conn->first_byte_ms : uv_now(listener->loop);
    conn->deadline_ms = start + listener->stage_timeouts[stage];
    /* Nearly always the last; only a body's deadline counts from earlier than now. */
    struct list *before = listener->stages[stage].previous;
    while (before != &listener->stages[stage] &&
           LIST_OBJECT(before, struct conn, link)->deadline_ms > conn->deadline_ms) {
        before = before->previous;
    }
    list_append(before->next, &conn->link);
}

static bool takes_input(const struct conn *conn)
{
    return conn->stage == CONN_NEW || conn->stage == CONN_IDLE || conn->stage == CONN_HEAD || conn->stage == CONN_BODY;
}

/* ---- memory */

static void publish_held(struct listener *listener)
{
    atomic_store_explicit(&listener->counters.held, listener->held, memory_order_relaxed);
}

/* Charges the listener for what the connection holds now. If that is too much, make_room() is next, and tells what is
 * left: other threads see no figure that does not last. */
static void recount(struct conn *conn)
{
    struct listener *listener = conn->listener;
    size_t held = conn->behind.capacity + (conn->incoming ? http_request_memory(&conn->incoming->request) : 0);
    listener->held = listener->held - conn->held + held;
    conn->held = held;
    if (listener->held <= listener->options.max_held) {
        publish_held(listener);
    }
}

static void give_back_incoming(struct conn *conn)
{
    if (conn->incoming) {
        listener_give_back(conn->listener, conn->incoming);
        conn->incoming = NULL;
    }
    recount(conn);
}

/* ---- closing */

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    struct listener *listener = conn->listener;
    tls_stream_free(conn->tls);
    listener_forget(listener, conn);
}

void conn_cut(struct conn *conn)
{
    if (conn->stage == CONN_CLOSED) {
        return;
    }
    bool was_waiting = conn->stage == CONN_WAITING;
    conn_move(conn, CONN_CLOSED);
    buffer_wipe(&conn->behind);
    give_back_incoming(conn);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
    if (was_waiting) {
        const struct listener_options *options = &conn->listener->options;
        options->handler->on_gone(options->context, conn, conn->waiting);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct conn *conn = request->handle->data;
    free(request);
    if (status < 0 || conn->ended) {
        conn_cut(conn);
    }
}

/*
 * Closing a socket with unread input makes the kernel send a reset, which can destroy the answer on its way. So our
 * side is shut, and the client's is read to its end, for a moment.
 */
static void begin_leaving(struct conn *conn)
{
    uv_shutdown_t *request = malloc(sizeof(*request));
    conn_move(conn, CONN_LEAVING);
    if (conn->tls) {
        tls_say_goodbye(conn->tls);
        flush_tls(conn);
    }
    if (conn->overrun) {
        (void)start_reading(conn);
    }
    if (!request || uv_shutdown(request, (uv_stream_t *)&conn->tcp, on_shutdown) < 0) {
        free(request);
        conn_cut(conn);
    }
}

/* ---- sending */

struct unsent {
    uv_write_t write;
    char bytes[];
};

static void on_written(uv_write_t *write, int status)
{
    struct conn *conn = write->handle->data;
    struct unsent *unsent = CONTAINER_OF(write, struct unsent, write);
    free(unsent);
    if (conn->stage != CONN_WRITING) {
        return; /* cut meanwhile */
    }
    if (status < 0) {
        conn_cut(conn);
    } else if (conn->close_after) {
        begin_leaving(conn);
    } else {
        next_request(conn);
    }
}

/* Queues what the socket did not take of two pieces, of which `sent` bytes are gone. False: out of memory, or broken.
 */
static bool queue_rest(struct conn *conn, const uv_buf_t pieces[2], size_t sent, uv_write_cb callback)
{
    size_t total = pieces[0].len + pieces[1].len;
    struct unsent *unsent = malloc(sizeof(*unsent) + total - sent);
    if (!unsent) {
        return false;
    }
    size_t filled = 0;
    for (size_t i = 0; i < 2; i++) {
        size_t skip = sent < pieces[i].len ? sent : pieces[i].len;
        if (pieces[i].len > skip) {
            memcpy(unsent->bytes + filled, pieces[i].base + skip, pieces[i].len - skip);
        }
        filled += pieces[i].len - skip;
        sent -= skip;
    }
    uv_buf_t rest = uv_buf_init(unsent->bytes, (unsigned)filled);
    if (uv_write(&unsent->write, (uv_stream_t *)&conn->tcp, &rest, 1, callback) < 0) {
        free(unsent);
        return false;
    }
    return true;
}

enum sent { SENT_ALL, SENT_LATER, SENT_NOT };

/* Sends one piece past libuv, unless something waits there to go first: on a socket its write(2) costs more than
 * send(2). How much was sent, or a UV_E*. */
static int send_piece(struct conn *conn, struct text piece)
{
    uv_os_fd_t descriptor;
    if (uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) > 0 ||
        uv_fileno((uv_handle_t *)&conn->tcp, &descriptor) < 0) {
        return UV_EAGAIN;
    }
    ssize_t sent = send(descriptor, piece.data, piece.length, MSG_NOSIGNAL);
    bool later = sent < 0 && (errno == EINTR || errno == ENOBUFS);
    return sent >= 0 ? (int)sent : later ? UV_EAGAIN : -errno;
}

/* Sends at once what the socket takes; the rest is queued, and `callback` runs when it is gone. */
static enum sent send_raw(struct conn *conn, struct text first, struct text second, uv_write_cb callback)
{
    /* NOLINTBEGIN(performance-no-int-to-ptr): libuv only reads them, but its uv_buf_t cannot say so */
    uv_buf_t pieces[2] = {
        {.base = (char *)(uintptr_t)first.data, .len = first.length},
        {.base = (char *)(uintptr_t)second.data, .len = second.length},
    };
    /* NOLINTEND(performance-no-int-to-ptr) */
    int sent = second.length == 0 ? send_piece(conn, first) : uv_try_write((uv_stream_t *)&conn->tcp, pieces, 2);
    if (sent < 0 && sent != UV_EAGAIN) {
        return SENT_NOT;
    }
    listener_count(&conn->listener->counters.bytes_out, first.length + second.length);
    size_t gone = sent > 0 ? (size_t)sent : 0;
    if (gone == first.length + second.length) {
        return SENT_ALL;
    }
    return queue_rest(conn, pieces, gone, callback) ? SENT_LATER : SENT_NOT;
}

static enum sent send_pieces(struct conn *conn, struct text head, struct text body)
{
    if (!conn->tls) {
        return send_raw(conn, head, body, on_written);
    }
    if (tls_write(conn->tls, head) < 0 || tls_write(conn->tls, body) < 0) {
        return SENT_NOT;
    }
    struct text output = tls_output(conn->tls);
    enum sent sent = send_raw(conn, output, (struct text){0}, on_written);
    tls_sent(conn->tls, output.length);
    return sent;
}

static void on_flushed(uv_write_t *write, int status)
{
    (void)status; /* a broken connection shows itself in reading, too */
    free(CONTAINER_OF(write, struct unsent, write));
}

/* Sends what TLS itself has to say: handshake, alerts, tickets. */
static void flush_tls(struct conn *conn)
{
    struct text output = tls_output(conn->tls);
    if (output.length > 0) {
        (void)send_raw(conn, output, (struct text){0}, on_flushed);
        tls_sent(conn->tls, output.length);
    }
}

/* ---- answering */

void conn_set_waiting(struct conn *conn, void *waiting)
{
    conn->waiting = waiting;
}

const char *conn_request_id(const struct conn *conn)
{
    return conn->id;
}

void conn_peer(const struct conn *conn, char peer[CONN_PEER_SIZE])
{
    struct sockaddr_storage address;
    int length = sizeof(address);
    peer[0] = '\0';
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&address, &length) == 0) {
        (void)uv_ip_name((const struct sockaddr *)&address, peer, CONN_PEER_SIZE);
    }
}

#define SMALL_BODY 512 /* bytes that are rather copied behind the head than sent as a second piece */

/* Writes an answer and goes on to what comes next. */
static void answer(struct conn *conn, const struct http_answer *given)
{
    struct listener *listener = conn->listener;
    struct http_answer whole = *given;
    whole.close = whole.close || conn->close_after || listener->draining || conn->overrun;
    whole.keep_alive = conn->is_1_0;
    conn->close_after = whole.close;
    char head[HTTP_HEAD_MAXIMUM + SMALL_BODY];
    size_t length = http_answer_head(&whole, listener_date(listener), conn->id, head);
    struct text body = conn->is_head ? (struct text){0} : whole.body;
    if (body.length > 0 && body.length <= SMALL_BODY) {
        memcpy(head + length, body.data, body.length);
        length += body.length;
        body.length = 0;
    }
    conn->waiting = NULL;
    switch (send_pieces(conn, (struct text){.data = head, .length = length}, body)) {
    case SENT_ALL:
        if (whole.close) {
            begin_leaving(conn);
        } else {
            next_request(conn);
        }
        break;
    case SENT_LATER:
        conn_move(conn, CONN_WRITING);
        break;
    case SENT_NOT:
    default:
        conn_move(conn, CONN_LEAVING); /* no longer WAITING: there is nobody to be told */
        conn_cut(conn);
        break;
    }
}

void conn_answer(struct conn *conn, const struct http_answer *given)
{
    answer(conn, given);
}

void conn_answer_error(struct conn *conn, const struct http_answer *given, const char *code, const char *message)
{
    struct buffer *body = &conn->listener->scratch;
    struct http_answer whole = *given;
    buffer_clear(body);
    http_error_body(body, code, message);
    whole.body = buffer_text(body);
    answer(conn, &whole);
}

static void refuse(struct conn *conn, const struct http_fault *fault)
{
    const struct listener_options *options = &conn->listener->options;
    struct http_answer refusal = {
        .status = fault->status, .close = true, .retry_after_s = fault->status == 503 ? 1 : 0};
    give_back_incoming(conn);
    conn->is_head = false;
    listener_make_id(conn->listener, conn->id);
    if (options->handler->on_refused) {
        options->handler->on_refused(options->context, conn, fault);
    }
    conn_move(conn, CONN_WRITING);
    conn_answer_error(conn, &refusal, fault->code, fault->message);
}

/* The answer is out: work on what came behind its request, or wait. */
static void next_request(struct conn *conn)
{
    if (conn->stage != CONN_IDLE) {
        conn_move(conn, CONN_IDLE);
    }
    if (conn->feeding) {
        return; /* the loop in feed() goes on by itself */
    }
    struct buffer behind = conn->behind;
    conn->behind = (struct buffer){0};
    recount(conn);
    if (behind.length > 0) {
        feed(conn, behind.data, behind.length);
    }
    buffer_wipe(&behind);
    if (conn->ended && takes_input(conn)) {
        begin_leaving(conn); /* no more will come, not even the rest of a request */
    }
}

/* ---- receiving */

/* A whole request is here. Its memory goes back to the pool before anything else is read. */
static void hand_over(struct conn *conn)
{
    struct listener *listener = conn->listener;
    struct pooled_request *incoming = conn->incoming;
    conn->incoming = NULL;
    recount(conn);
    conn->requests++;
    conn->is_head = incoming->request.is_head;
    conn->is_1_0 = incoming->request.is_1_0;
    conn->close_after = !incoming->request.keep_alive ||
                        (listener->options.max_requests > 0 && conn->requests >= listener->options.max_requests);
    listener_count(&listener->counters.requests, 1);
    listener_make_id(listener, conn->id);
    conn_move(conn, CONN_WAITING);
    listener->options.handler->on_request(listener->options.context, conn, &incoming->request);
    listener_give_back(listener, incoming);
}

static void send_continue(struct conn *conn)
{
    struct text interim = TEXT("HTTP/1.1 100 Continue\r\n\r\n");
    if (!conn->tls) {
        (void)send_raw(conn, interim, (struct text){0}, on_flushed);
    } else if (tls_write(conn->tls, interim) == 0) {
        flush_tls(conn);
    }
}

/* Invites the body that the client holds back. False when nobody wants it: the request has been handed over as it is.
 */
static bool invite_body(struct conn *conn)
{
    const struct listener_options *options = &conn->listener->options;
    bool wanted = options->handler->wants_body(options->context, &conn->incoming->request);
    if (wanted) {
        send_continue(conn);
    } else {
        hand_over(conn); /* incomplete, so its connection is not kept alive */
    }
    return wanted;
}

static bool begin_request(struct conn *conn)
{
    struct listener *listener = conn->listener;
    conn->incoming = listener_take_request(listener);
    if (!conn->incoming) {
        return false;
    }
    http_parser_init(&conn->parser, &conn->incoming->request, &listener->options.limits);
    conn->first_byte_ms = uv_now(listener->loop);
    return true;
}

/*
 * Too much memory is held for requests that are still arriving: those that have been at it the longest are refused,
 * until there is room. A flood of slow bodies thus costs the flood; a request that arrives at once holds nothing.
 */
static void make_room(struct listener *listener)
{
    while (listener->held > listener->options.max_held) {
        struct list *oldest = list_first(&listener->stages[CONN_BODY]);
        oldest = oldest ? oldest : list_first(&listener->stages[CONN_HEAD]);
        if (!oldest) {
            break;
        }
        refuse(LIST_OBJECT(oldest, struct conn, link), &http_fault_overloaded);
    }
    publish_held(listener);
}

/* Keeps what came behind the request at hand, as far as it is allowed to be kept. */
static void keep_behind(struct conn *conn, const char *data, size_t length)
{
    const struct listener *listener = conn->listener;
    if (conn->behind.length + length > listener->options.max_pipelined ||
        listener->held + length > listener->options.max_held) {
        conn->overrun = true;
        (void)uv_read_stop((uv_stream_t *)&conn->tcp);
        return;
    }
    buffer_append(&conn->behind, (struct text){.data = data, .length = length});
    conn->overrun = conn->overrun || buffer_status(&conn->behind) < 0;
    recount(conn);
    make_room(conn->listener);
}

/* Feeds the parser once; returns how many bytes it took. */
static size_t feed_once(struct conn *conn, const char *data, size_t length)
{
    size_t consumed = length;
    if (!conn->incoming && !begin_request(conn)) {
        conn_cut(conn);
        return length;
    }
    struct http_request *request = &conn->incoming->request;
    switch (http_feed(&conn->parser, request, data, length, &consumed)) {
    case HTTP_COMPLETE:
        hand_over(conn);
        break;
    case HTTP_FAULTY:
        refuse(conn, request->fault);
        return length;
    case HTTP_MORE:
    default:
        if (http_wants_continue(request) && !invite_body(conn)) {
            return length;
        }
        if (conn->stage != (request->head_done ? CONN_BODY : CONN_HEAD)) {
            conn_move(conn, request->head_done ? CONN_BODY : CONN_HEAD);
        }
        recount(conn);
        make_room(conn->listener);
        break;
    }
    return consumed;
}

static void feed(struct conn *conn, const char *data, size_t length)
{
    conn->feeding = true;
    while (length > 0 && takes_input(conn)) {
        size_t consumed = feed_once(conn, data, length);
        data += consumed;
        length -= consumed;
    }
    conn->feeding = false;
    if (length > 0 && (conn->stage == CONN_WAITING || conn->stage == CONN_WRITING)) {
        keep_behind(conn, data, length);
    }
}

static void on_end(struct conn *conn, ssize_t status)
{
    conn->ended = true;
    /* A client may shut its side and still wait for the answer to a whole request. */
    bool awaits_answer = conn->stage == CONN_WAITING || conn->stage == CONN_WRITING;
    if (status != UV_EOF || !awaits_answer) {
        conn_cut(conn);
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct conn *conn = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(conn->listener->input, LISTENER_BUFFER_SIZE);
}

static void receive(struct conn *conn, const char *data, size_t length)
{
    if (takes_input(conn)) {
        feed(conn, data, length);
    } else if (conn->stage != CONN_LEAVING && conn->stage != CONN_CLOSED) {
        keep_behind(conn, data, length);
    }
}

/* Bytes that may wait for a client that does not read; an answer is far smaller. */
#define TLS_UNSENT_MAXIMUM 65536

/* Decrypts what came, and works on each piece of plain text. */
static void receive_tls(struct conn *conn, struct text bytes)
{
    struct listener *listener = conn->listener;
    int length = tls_feed(conn->tls, bytes);
    flush_tls(conn);
    if (uv_stream_get_write_queue_size((uv_stream_t *)&conn->tcp) > TLS_UNSENT_MAXIMUM) {
        conn_cut(conn); /* it makes TLS answer (key updates, RFC 8446 section 4.6.3) and does not read */
        return;
    }
    if (length == 0 && conn->stage == CONN_HANDSHAKE && tls_is_established(conn->tls)) {
        conn_move(conn, CONN_NEW);
    }
    while (length == 0 && conn->stage != CONN_CLOSED) {
        length = tls_read(conn->tls, listener->plain, PLAIN_BUFFER_SIZE);
        if (length <= 0) {
            break;
        }
        receive(conn, listener->plain, (size_t)length);
        length = 0;
    }
    if (length == -ECONNRESET) {
        on_end(conn, UV_EOF);
    } else if (length < 0) {
        conn_cut(conn);
    }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct conn *conn = stream->data;
    if (length < 0) {
        on_end(conn, length);
        return;
    }
    listener_count(&conn->listener->counters.bytes_in, (uint64_t)length);
    if (length == 0 || conn->stage == CONN_CLOSED) {
        return;
    }
    if (conn->tls) {
        receive_tls(conn, (struct text){.data = buffer->base, .length = (size_t)length});
    } else {
        receive(conn, buffer->base, (size_t)length);
    }
}

static int start_reading(struct conn *conn)
{
    return uv_read_start((uv_stream_t *)&conn->tcp, on_allocate, on_read);
}

/* ---- for the listener */

void conn_begin(struct conn *conn)
{
    conn->tcp.data = conn;
    (void)uv_tcp_nodelay(&conn->tcp, 1);
    conn_move(conn, CONN_NEW);
    struct tls_context *tls = conn->listener->options.tls;
    if (tls) {
        conn_move(conn, CONN_HANDSHAKE);
        if (tls_stream_create(tls, &conn->tls) < 0) {
            conn_cut(conn);
            return;
        }
    }
    if (start_reading(conn) < 0) {
        conn_cut(conn);
    }
}

void conn_expire(struct conn *conn)
{
    listener_count(&conn->listener->counters.timed_out, 1);
    if (conn->stage == CONN_HEAD || conn->stage == CONN_BODY) {
        refuse(conn, &http_fault_timeout);
    } else {
        conn_cut(conn); /* silent for too long, or not taking its answer, or not leaving */
    }
}

void conn_drain(struct conn *conn)
{
    conn->close_after = true;
    if (conn->stage == CONN_IDLE) {
        begin_leaving(conn);
    } else if (conn->stage == CONN_NEW) {
        /* Its first request may be on the way, and the client would not know whether to send it again. */
        uint64_t deadline_ms = uv_now(conn->listener->loop) + conn->listener->stage_timeouts[CONN_NEW];
        conn->deadline_ms = deadline_ms < conn->deadline_ms ? deadline_ms : conn->deadline_ms;
    }
}
