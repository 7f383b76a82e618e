#include "redis_pipeline.h"

#include <errno.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#define POOL_MAXIMUM 1024          /* requests kept for reuse */
#define POOLED_BYTES_MAXIMUM 16384 /* larger ones are given back */

static void on_oldest(uv_timer_t *timer);

/* ---- requests and their pool */

static struct redis_request *take_pooled(struct redis_pipeline *pipeline)
{
    struct list *pooled = list_pop(&pipeline->pool);
    pipeline->pooled -= pooled ? 1 : 0;
    return pooled ? LIST_OBJECT(pooled, struct redis_request, link) : NULL;
}

static void give_back(struct redis_pipeline *pipeline, struct redis_request *request)
{
    if (pipeline->pooled >= POOL_MAXIMUM || request->bytes.capacity > POOLED_BYTES_MAXIMUM) {
        redis_request_free(request);
        return;
    }
    redis_request_clear(request);
    list_prepend(&pipeline->pool, &request->link); /* the next one finds its memory in the cache */
    pipeline->pooled++;
}

static void free_pool(struct redis_pipeline *pipeline)
{
    struct redis_request *request;
    while ((request = take_pooled(pipeline)) != NULL) {
        redis_request_free(request);
    }
}

struct redis_request *redis_pipeline_request(struct redis_pipeline *pipeline, struct redis_call *call)
{
    struct redis_request *request = take_pooled(pipeline);
    request = request ? request : calloc(1, sizeof(*request));
    if (request) {
        request->call = call;
    }
    return request;
}

/* ---- what is under way */

static void begin_request(struct redis_pipeline *pipeline, struct redis_request *request)
{
    list_append(&pipeline->requests, &request->link); /* its reply comes last */
    pipeline->calls++;
    pipeline->bytes += redis_request_size(request);
}

/* The one that the next reply is for, taken off the list; NULL when nothing is under way. */
static struct redis_request *end_oldest(struct redis_pipeline *pipeline)
{
    struct list *first = list_pop(&pipeline->requests);
    struct redis_request *request = first ? LIST_OBJECT(first, struct redis_request, link) : NULL;
    if (request) {
        pipeline->calls--;
        pipeline->bytes -= redis_request_size(request);
    }
    return request;
}

static int write_request(struct redis_pipeline *pipeline, const struct redis_request *request)
{
    int status = buffer_status(&request->bytes);
    return status == 0 ? redis_link_write(pipeline->link, buffer_text(&request->bytes), request->lent) : status;
}

static void watch_oldest(struct redis_pipeline *pipeline)
{
    if (!uv_is_active((uv_handle_t *)&pipeline->oldest)) {
        (void)uv_timer_start(&pipeline->oldest, on_oldest, pipeline->call_timeout_ms, 0);
    }
}

int redis_pipeline_send(struct redis_pipeline *pipeline, struct redis_request *request)
{
    int status = write_request(pipeline, request);
    if (status < 0) {
        give_back(pipeline, request);
        return status;
    }
    request->deadline_ms = uv_now(pipeline->loop) + pipeline->call_timeout_ms;
    begin_request(pipeline, request);
    watch_oldest(pipeline);
    return 0;
}

int redis_pipeline_command(struct redis_pipeline *pipeline, struct redis_call *call, size_t count,
                           const struct text *arguments)
{
    struct redis_request *request = redis_pipeline_request(pipeline, call);
    if (!request) {
        return -ENOMEM;
    }
    redis_request_command(request, count, arguments);
    return redis_pipeline_send(pipeline, request);
}

static void on_oldest(uv_timer_t *timer)
{
    struct redis_pipeline *pipeline = timer->data;
    struct list *oldest = list_first(&pipeline->requests);
    if (!oldest) {
        return;
    }
    uint64_t deadline = LIST_OBJECT(oldest, struct redis_request, link)->deadline_ms;
    uint64_t now = uv_now(pipeline->loop);
    if (now >= deadline) {
        pipeline->handler->on_lost(pipeline->context, REDIS_AWAY, "it did not answer in time");
    } else {
        (void)uv_timer_start(timer, on_oldest, deadline - now, 0);
    }
}

void redis_pipeline_fail(struct redis_pipeline *pipeline)
{
    struct redis_request *request;
    while ((request = end_oldest(pipeline)) != NULL) {
        struct redis_call *call = request->call;
        give_back(pipeline, request);
        call->callback(call, NULL);
    }
}

/* ---- replies */

static bool is_error(const redisReply *reply, struct text code)
{
    return reply->type == REDIS_REPLY_ERROR && text_starts_with(text_of(reply->str), code);
}

/* Sends it with the script's source, which Redis then remembers. */
static bool send_with_source(struct redis_pipeline *pipeline, struct redis_request *request)
{
    if (redis_request_spell_out(request) < 0 || write_request(pipeline, request) < 0) {
        return false;
    }
    begin_request(pipeline, request);
    return true;
}

static void take_unasked(struct redis_pipeline *pipeline, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) { /* it says why it will close the connection */
        pipeline->handler->on_lost(pipeline->context, redis_trouble_of(text_of(reply->str)), reply->str);
    } else {
        pipeline->handler->on_lost(pipeline->context, REDIS_AWAY, "it sent what nobody asked for");
    }
}

static void take_reply(struct redis_pipeline *pipeline, const redisReply *reply)
{
    struct redis_request *request = end_oldest(pipeline);
    if (!request) {
        take_unasked(pipeline, reply);
        return;
    }
    if (request->script && is_error(reply, TEXT("NOSCRIPT ")) && send_with_source(pipeline, request)) {
        return;
    }
    if (is_error(reply, TEXT("ASK ")) && pipeline->handler->on_ask(pipeline->context, request, reply->str)) {
        return;
    }
    struct redis_call *call = request->call;
    give_back(pipeline, request);
    pipeline->handler->on_reply(pipeline->context, reply);
    call->callback(call, reply);
}

/* ---- the link */

static void on_open(void *context)
{
    struct redis_pipeline *pipeline = context;
    pipeline->handler->on_open(pipeline->context);
}

static void on_unreadable(struct redis_pipeline *pipeline)
{
    pipeline->handler->on_lost(pipeline->context, REDIS_AWAY, pipeline->reader->errstr);
}

static void on_bytes(void *context, struct text bytes)
{
    struct redis_pipeline *pipeline = context;
    const struct redis_link *link = pipeline->link;
    if (redisReaderFeed(pipeline->reader, bytes.data, bytes.length) != REDIS_OK) {
        on_unreadable(pipeline);
        return;
    }
    while (pipeline->link == link) { /* a callback may end it */
        void *reply = NULL;
        if (redisReaderGetReply(pipeline->reader, &reply) != REDIS_OK) {
            on_unreadable(pipeline);
            return;
        }
        if (!reply) {
            return;
        }
        take_reply(pipeline, reply);
        freeReplyObject(reply);
    }
}

static void on_lost(void *context, const char *why)
{
    struct redis_pipeline *pipeline = context;
    bool is_tls = text_starts_with(text_of(why), TEXT("TLS failed"));
    pipeline->handler->on_lost(pipeline->context, is_tls ? REDIS_TLS_FAILS : REDIS_AWAY, why);
}

int redis_pipeline_connect(struct redis_pipeline *pipeline, const char *path, const struct sockaddr *address,
                           struct tls_context *tls, const char *server_name)
{
    static const struct redis_link_handler handler = {.on_open = on_open, .on_bytes = on_bytes, .on_lost = on_lost};
    struct redis_link_options options = {.path = path,
                                         .address = address,
                                         .tls = tls,
                                         .server_name = server_name,
                                         .handler = &handler,
                                         .context = pipeline};
    pipeline->reader = redisReaderCreate();
    int status = pipeline->reader ? redis_link_open(pipeline->loop, &options, &pipeline->link) : -ENOMEM;
    if (status < 0) {
        pipeline->link = NULL;
        redis_pipeline_disconnect(pipeline);
    }
    return status;
}

bool redis_pipeline_is_connected(const struct redis_pipeline *pipeline)
{
    return redis_link_is_connected(pipeline->link);
}

void redis_pipeline_disconnect(struct redis_pipeline *pipeline)
{
    redis_link_close(pipeline->link);
    pipeline->link = NULL;
    if (pipeline->reader) {
        redisReaderFree(pipeline->reader);
        pipeline->reader = NULL;
    }
    (void)uv_timer_stop(&pipeline->oldest);
}

/* ---- its beginning and end */

void redis_pipeline_init(struct redis_pipeline *pipeline, uv_loop_t *loop, uint64_t call_timeout_ms,
                         const struct redis_pipeline_handler *handler, void *context)
{
    *pipeline = (struct redis_pipeline){
        .loop = loop, .call_timeout_ms = call_timeout_ms, .handler = handler, .context = context};
    list_init(&pipeline->requests);
    list_init(&pipeline->pool);
    (void)uv_timer_init(loop, &pipeline->oldest);
    pipeline->oldest.data = pipeline;
}

static void on_oldest_closed(uv_handle_t *handle)
{
    struct redis_pipeline *pipeline = handle->data;
    pipeline->closed(pipeline->context);
}

void redis_pipeline_close(struct redis_pipeline *pipeline, void (*closed)(void *context))
{
    free_pool(pipeline);
    pipeline->closed = closed;
    uv_close((uv_handle_t *)&pipeline->oldest, on_oldest_closed);
}
