#include "redis_link.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "redis_output.h"

#define KEEPALIVE_S 15
#define INPUT_SIZE 65536
#define PLAIN_SIZE 16384 /* what one record of TLS holds */

struct redis_link {
    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uv_connect_t connecting;
    uv_prepare_t flush; /* runs while something waits to be written */
    struct tls_stream *tls;
    bool greeted;               /* on_open has run */
    struct redis_output output; /* to be written with the next flush */
    struct buffer left;         /* what the socket did not take, while `rest` writes it */
    uv_write_t rest;
    bool writing;
    const struct redis_link_handler *handler;
    void *context;
    bool closed;
    bool lost;
    int open_handles;
};

static void on_flush(uv_prepare_t *prepare);

/* ---- ends */

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    if (--link->open_handles == 0) {
        tls_stream_free(link->tls);
        redis_output_wipe(&link->output); /* there are passwords and personal data in it */
        buffer_wipe(&link->left);
        free(link);
    }
}

static void lose(struct redis_link *link, const char *why)
{
    if (!link->closed && !link->lost) {
        link->lost = true;
        link->handler->on_lost(link->context, why);
    }
}

void redis_link_close(struct redis_link *link)
{
    if (!link || link->closed) {
        return;
    }
    link->closed = true;
    uv_close((uv_handle_t *)&link->socket, on_handle_closed);
    uv_close((uv_handle_t *)&link->flush, on_handle_closed);
}

/* ---- writing */

static void request_flush(struct redis_link *link)
{
    if (!link->closed && !link->writing) {
        (void)uv_prepare_start(&link->flush, on_flush);
    }
}

static bool has_output(struct redis_link *link)
{
    return !redis_output_is_empty(&link->output) || (link->tls && tls_output(link->tls).length > 0);
}

static void on_rest_written(uv_write_t *request, int status)
{
    struct redis_link *link = request->handle->data;
    link->writing = false;
    buffer_clear(&link->left);
    if (status < 0) {
        if (status != UV_ECANCELED) {
            lose(link, uv_strerror(status));
        }
    } else if (has_output(link)) {
        request_flush(link);
    }
}

/* Writes what the socket did not take at once, all but the first `done` bytes, when it does. */
static int write_rest(struct redis_link *link, const uv_buf_t *parts, size_t count, size_t done)
{
    for (size_t i = 0; i < count; i++) {
        size_t skipped = done < parts[i].len ? done : parts[i].len;
        done -= skipped;
        buffer_append(&link->left, (struct text){.data = parts[i].base + skipped, .length = parts[i].len - skipped});
    }
    if (buffer_status(&link->left) < 0) {
        return -ENOMEM;
    }
    uv_buf_t buffer = uv_buf_init(link->left.data, (unsigned)link->left.length);
    int status = uv_write(&link->rest, &link->socket.stream, &buffer, 1, on_rest_written);
    link->writing = status == 0;
    return status;
}

static int write_parts(struct redis_link *link, const uv_buf_t *parts, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += parts[i].len;
    }
    int written = total > 0 ? uv_try_write(&link->socket.stream, parts, (unsigned)count) : 0;
    if (written < 0 && written != UV_EAGAIN) {
        return written;
    }
    size_t done = written < 0 ? 0 : (size_t)written;
    return done == total ? 0 : write_rest(link, parts, count, done);
}

static int write_in_tls(struct redis_link *link, const uv_buf_t *parts, size_t count)
{
    int status = 0;
    for (size_t i = 0; status == 0 && i < count; i++) {
        status = tls_write(link->tls, (struct text){.data = parts[i].base, .length = parts[i].len});
    }
    struct text output = tls_output(link->tls);
    if (status == 0 && output.length > 0) {
        /* NOLINTNEXTLINE(performance-no-int-to-ptr): libuv only reads them, but its uv_buf_t cannot say so */
        uv_buf_t part = uv_buf_init((char *)(uintptr_t)output.data, (unsigned)output.length);
        status = write_parts(link, &part, 1);
        tls_sent(link->tls, output.length);
    }
    return status;
}

static void on_flush(uv_prepare_t *prepare)
{
    struct redis_link *link = prepare->data;
    uv_buf_t parts[REDIS_OUTPUT_PARTS];
    size_t count = redis_output_parts(&link->output, parts); /* none while TLS shakes hands */
    (void)uv_prepare_stop(&link->flush);
    int status = link->tls ? write_in_tls(link, parts, count) : write_parts(link, parts, count);
    redis_output_clear(&link->output);
    if (status < 0) {
        lose(link, uv_strerror(status));
    }
}

int redis_link_write(struct redis_link *link, struct text bytes, struct text lent)
{
    bool may_lend = !link->writing; /* else the loop may poll more than once before this leaves */
    int status = redis_output_add(&link->output, bytes, lent, may_lend);
    if (status == 0) {
        request_flush(link);
    }
    return status;
}

/* ---- reading */

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static _Thread_local char input[INPUT_SIZE]; /* what is read is used up before the next read */
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(input, sizeof(input));
}

static void greet(struct redis_link *link)
{
    if (!link->greeted) {
        link->greeted = true;
        link->handler->on_open(link->context);
    }
}

static void receive_in_tls(struct redis_link *link, struct text bytes)
{
    char plain[PLAIN_SIZE];
    int length = tls_feed(link->tls, bytes);
    if (length == 0 && tls_is_established(link->tls)) {
        greet(link);
        while (!link->closed && (length = tls_read(link->tls, plain, sizeof(plain))) > 0) {
            link->handler->on_bytes(link->context, (struct text){.data = plain, .length = (size_t)length});
        }
    }
    if (link->closed) {
        return;
    }
    if (length < 0) {
        lose(link, length == -ECONNRESET ? "it was closed" : tls_trouble(link->tls));
    } else if (has_output(link)) {
        request_flush(link);
    }
}

static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer)
{
    struct redis_link *link = stream->data;
    if (length < 0) {
        lose(link, length == UV_EOF ? "it was closed" : uv_strerror((int)length));
    } else if (length > 0 && link->tls) {
        receive_in_tls(link, (struct text){.data = buffer->base, .length = (size_t)length});
    } else if (length > 0) {
        link->handler->on_bytes(link->context, (struct text){.data = buffer->base, .length = (size_t)length});
    }
}

/* ---- connecting */

static void on_connected(uv_connect_t *request, int status)
{
    struct redis_link *link = request->handle->data;
    if (link->closed) {
        return;
    }
    if (status == 0) {
        status = uv_read_start(&link->socket.stream, on_allocate, on_read);
    }
    if (status < 0) {
        lose(link, uv_strerror(status));
    } else if (link->tls) {
        request_flush(link); /* the client begins the handshake */
    } else {
        greet(link);
    }
}

bool redis_link_is_connected(const struct redis_link *link)
{
    return link && uv_is_readable(&link->socket.stream);
}

static int start_connecting(uv_loop_t *loop, struct redis_link *link, const struct redis_link_options *options)
{
    int status = options->path ? uv_pipe_init(loop, &link->socket.pipe, 0) : uv_tcp_init(loop, &link->socket.tcp);
    link->socket.stream.data = link;
    if (status < 0) {
        return status;
    }
    (void)uv_prepare_init(loop, &link->flush);
    link->flush.data = link;
    link->open_handles = 2;
    if (options->path) {
        uv_pipe_connect(&link->connecting, &link->socket.pipe, options->path, on_connected);
        return 0;
    }
    status = uv_tcp_connect(&link->connecting, &link->socket.tcp, options->address, on_connected);
    (void)uv_tcp_nodelay(&link->socket.tcp, 1);
    (void)uv_tcp_keepalive(&link->socket.tcp, 1, KEEPALIVE_S);
    return status;
}

int redis_link_open(uv_loop_t *loop, const struct redis_link_options *options, struct redis_link **opened)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (!link) {
        return -ENOMEM;
    }
    link->handler = options->handler;
    link->context = options->context;
    int status = options->tls ? tls_stream_connect(options->tls, options->server_name, &link->tls) : 0;
    status = status == 0 ? start_connecting(loop, link, options) : status;
    if (status < 0 && link->open_handles > 0) {
        redis_link_close(link);
    } else if (status < 0) {
        tls_stream_free(link->tls);
        free(link);
    } else {
        *opened = link;
    }
    return status;
}
