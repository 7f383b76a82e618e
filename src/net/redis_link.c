#include "redis_link.h"

#include <errno.h>
#include <stdlib.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

struct redis_link {
    redisAsyncContext *context; /* NULL once hiredis has let go */
    uv_poll_t poll;
    uv_prepare_t flush; /* runs while something waits to be written */
    int events;         /* what the socket is polled for */
    bool flushing;
    int open_handles;
};

static void on_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;
    if (--link->open_handles == 0) {
        free(link);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_for(struct redis_link *link, int events)
{
    if (events == link->events) {
        return;
    }
    link->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&link->poll);
    } else {
        (void)uv_poll_start(&link->poll, events, on_poll);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct redis_link *link = poll->data;
    if (status < 0) {
        /* libuv has stopped polling. Whatever hiredis waited for will now find the error on the socket. */
        events = link->events;
        link->events = 0;
    }
    /* Each call may free the context. */
    if (link->context && (events & UV_READABLE)) {
        redisAsyncHandleRead(link->context);
    }
    if (link->context && (events & UV_WRITABLE)) {
        redisAsyncHandleWrite(link->context);
    }
}

static void on_flush(uv_prepare_t *prepare)
{
    struct redis_link *link = prepare->data;
    (void)uv_prepare_stop(&link->flush);
    link->flushing = true;
    redisAsyncHandleWrite(link->context);
    link->flushing = false;
}

static void add_read(void *data)
{
    struct redis_link *link = data;
    poll_for(link, link->events | UV_READABLE);
}

static void delete_read(void *data)
{
    struct redis_link *link = data;
    poll_for(link, link->events & ~UV_READABLE);
}

static void add_write(void *data)
{
    struct redis_link *link = data;
    bool connected = (link->context->c.flags & REDIS_CONNECTED) != 0;
    if (connected && !link->flushing && !(link->events & UV_WRITABLE)) {
        (void)uv_prepare_start(&link->flush, on_flush);
    } else {
        poll_for(link, link->events | UV_WRITABLE); /* not yet connected, or the socket did not take all of it */
    }
}

static void delete_write(void *data)
{
    struct redis_link *link = data;
    poll_for(link, link->events & ~UV_WRITABLE);
}

static void cleanup(void *data)
{
    struct redis_link *link = data;
    link->context = NULL;
    (void)uv_poll_stop(&link->poll);
    (void)uv_prepare_stop(&link->flush);
    uv_close((uv_handle_t *)&link->poll, on_closed);
    uv_close((uv_handle_t *)&link->flush, on_closed);
}

int redis_link_attach(uv_loop_t *loop, redisAsyncContext *context)
{
    struct redis_link *link = calloc(1, sizeof(*link));
    if (!link) {
        return -ENOMEM;
    }
    int status = uv_poll_init(loop, &link->poll, context->c.fd);
    if (status < 0) {
        free(link);
        return status;
    }
    (void)uv_prepare_init(loop, &link->flush);
    link->context = context;
    link->poll.data = link;
    link->flush.data = link;
    link->open_handles = 2;
    context->ev.data = link;
    context->ev.addRead = add_read;
    context->ev.delRead = delete_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = delete_write;
    context->ev.cleanup = cleanup;
    return 0;
}
