#include "net/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <openssl/evp.h>

#include "base/buffer.h"
#include "base/decimal.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "redis_link.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_LAST_MS 2000
#define POOL_MAXIMUM 1024          /* requests kept for reuse */
#define POOLED_BYTES_MAXIMUM 16384 /* larger command buffers are given back */
#define GREETINGS_MAXIMUM 32
#define NOSCRIPT_ERROR "NOSCRIPT"

enum redis_state {
    REDIS_WAITING,    /* for the backoff's timer */
    REDIS_RESOLVING,  /* for the resolver */
    REDIS_CONNECTING, /* for the socket */
    REDIS_GREETING,   /* for the replies to the greeting */
    REDIS_READY,
    REDIS_CLOSING /* for the handles */
};

/* A command under way. Kept whole until its reply is here, because a script may have to be sent again with its source.
 */
struct request {
    struct list link; /* in redis->requests, oldest first, or in redis->pool */
    struct redis *redis;
    struct redis_call *call;
    const struct redis_script *script; /* NULL: a plain command */
    struct buffer bytes;
    size_t tail; /* script: where "numkeys" and what follows begins */
    size_t argument_count;
    uint64_t deadline_ms;
};

struct redis {
    uv_loop_t *loop;
    struct redis_options options;
    enum redis_state state;
    redisAsyncContext *context; /* NULL while waiting and resolving */
    uv_timer_t timer;           /* the backoff, the connect deadline, or the oldest request's deadline */
    uv_timer_t sweeper;         /* replaces a connection outside of hiredis's callbacks */
    uv_getaddrinfo_t resolver;
    bool resolving;
    struct list requests;
    struct list pool;
    size_t pooled;
    size_t calls;
    size_t bytes;
    unsigned failures;  /* in a row, for the backoff and for logging a loss once */
    unsigned greetings; /* replies still to come */
    struct redis_call greeting;
    int open_handles;
    void (*closed)(void *context);
    void *closed_context;
};

static void begin(struct redis *redis);
static void lose(struct redis *redis, const char *why);
static void on_timer(uv_timer_t *timer);

void redis_script_prepare(struct redis_script *script)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    (void)EVP_Digest(script->source, strlen(script->source), digest, &length, EVP_sha1(), NULL);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(script->digest + 2 * (size_t)i, 3, "%02x", digest[i]);
    }
}

/* ---- requests and their pool */

static struct request *take_request(struct redis *redis)
{
    struct list *pooled = list_first(&redis->pool);
    if (!pooled) {
        return calloc(1, sizeof(struct request));
    }
    list_remove(pooled);
    redis->pooled--;
    return LIST_OBJECT(pooled, struct request, link);
}

static void free_request(struct request *request)
{
    buffer_free(&request->bytes);
    free(request);
}

static void give_back(struct redis *redis, struct request *request)
{
    bool keep = redis->state != REDIS_CLOSING && redis->pooled < POOL_MAXIMUM;
    if (!keep || request->bytes.capacity > POOLED_BYTES_MAXIMUM) {
        free_request(request);
        return;
    }
    buffer_clear(&request->bytes);
    list_append(&redis->pool, &request->link);
    redis->pooled++;
}

#define BULK_OVERHEAD 25 /* '$', a length of up to 20 digits, two line ends */

static char *put_bytes(char *at, struct text bytes)
{
    if (bytes.length > 0) {
        memcpy(at, bytes.data, bytes.length);
    }
    return at + bytes.length;
}

/* "$LENGTH\r\nBYTES\r\n": a RESP bulk string. Returns where it ends. */
static char *put_bulk(char *at, struct text text)
{
    char digits[DECIMAL_SIZE];
    *at++ = '$';
    at = put_bytes(at, decimal_write(text.length, digits));
    at = put_bytes(at, TEXT("\r\n"));
    at = put_bytes(at, text);
    return put_bytes(at, TEXT("\r\n"));
}

/* Appends each of `texts` as a bulk string. Room is made once: this is done for every event. */
static void append_bulks(struct buffer *out, size_t count, const struct text *texts)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        total += texts[i].length + BULK_OVERHEAD;
    }
    if (buffer_reserve(out, total) < 0) {
        return;
    }
    char *at = out->data + out->length;
    for (size_t i = 0; i < count; i++) {
        at = put_bulk(at, texts[i]);
    }
    *at = '\0';
    out->length = (size_t)(at - out->data);
}

static void append_count(struct buffer *out, size_t count)
{
    buffer_append_byte(out, '*');
    buffer_append_number(out, count);
    buffer_append(out, TEXT("\r\n"));
}

/* ---- sending */

static void on_reply(redisAsyncContext *context, void *data, void *privdata);

static uint64_t now_ms(const struct redis *redis)
{
    return uv_now(redis->loop);
}

static void watch_deadline(struct redis *redis)
{
    if (redis->state == REDIS_READY && !uv_is_active((uv_handle_t *)&redis->timer)) {
        (void)uv_timer_start(&redis->timer, on_timer, redis->options.call_timeout_ms, 0);
    }
}

static int submit(struct redis *redis, struct request *request)
{
    int status = buffer_status(&request->bytes);
    if (status == 0 && redisAsyncFormattedCommand(redis->context, on_reply, request, request->bytes.data,
                                                  request->bytes.length) != REDIS_OK) {
        status = -ENOTCONN;
    }
    if (status < 0) {
        buffer_clear(&request->bytes);
        give_back(redis, request);
        return status;
    }
    request->deadline_ms = now_ms(redis) + redis->options.call_timeout_ms;
    list_append(&redis->requests, &request->link);
    redis->calls++;
    redis->bytes += request->bytes.length;
    watch_deadline(redis);
    return 0;
}

static int admit(struct redis *redis, struct redis_call *call, const struct redis_script *script,
                 struct request **request)
{
    if (redis->state != REDIS_READY) {
        return -ENOTCONN;
    }
    if (redis->calls >= redis->options.max_calls || redis->bytes >= redis->options.max_bytes) {
        return -ENOBUFS;
    }
    *request = take_request(redis);
    if (!*request) {
        return -ENOMEM;
    }
    (*request)->redis = redis;
    (*request)->call = call;
    (*request)->script = script;
    return 0;
}

int redis_command(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments)
{
    struct request *request;
    int status = admit(redis, call, NULL, &request);
    if (status < 0) {
        return status;
    }
    append_count(&request->bytes, count);
    append_bulks(&request->bytes, count, arguments);
    return submit(redis, request);
}

int redis_script_call(struct redis *redis, struct redis_call *call, const struct redis_script *script, size_t keys,
                      size_t count, const struct text *arguments)
{
    struct request *request;
    int status = admit(redis, call, script, &request);
    if (status < 0) {
        return status;
    }
    struct buffer *bytes = &request->bytes;
    char number = (char)('0' + keys);
    request->argument_count = count;
    append_count(bytes, count + 3);
    append_bulks(bytes, 2, (struct text[]){TEXT("EVALSHA"), {.data = script->digest, .length = 40}});
    request->tail = bytes->length;
    append_bulks(bytes, 1, &(struct text){.data = &number, .length = 1});
    append_bulks(bytes, count, arguments);
    return submit(redis, request);
}

/* The same call, with the script's source in the place of its digest: Redis then remembers it. */
static bool send_with_source(struct redis *redis, struct request *request)
{
    struct buffer whole = {0};
    append_count(&whole, request->argument_count + 3);
    append_bulks(&whole, 2, (struct text[]){TEXT("EVAL"), text_of(request->script->source)});
    buffer_append(&whole, (struct text){.data = request->bytes.data + request->tail,
                                        .length = request->bytes.length - request->tail});
    bool sent = buffer_status(&whole) == 0 &&
                redisAsyncFormattedCommand(redis->context, on_reply, request, whole.data, whole.length) == REDIS_OK;
    buffer_free(&whole);
    request->script = NULL;
    return sent;
}

/* ---- replies */

static bool is_error(const redisReply *reply, const char *code)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, code, strlen(code)) == 0;
}

/* Errors that say: this server cannot serve you (any more). Another connection may reach one that can. */
static bool is_wrong_server(const redisReply *reply)
{
    static const char *const codes[] = {"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOAUTH"};
    for (size_t i = 0; i < ARRAY_LENGTH(codes); i++) {
        if (is_error(reply, codes[i])) {
            return true;
        }
    }
    return false;
}

static void on_sweep(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    if (redis->state == REDIS_READY || redis->state == REDIS_GREETING) {
        lose(redis, "it cannot serve requests now");
    }
}

static void on_reply(redisAsyncContext *context, void *data, void *privdata)
{
    const redisReply *reply = data;
    struct request *request = privdata;
    struct redis *redis = request->redis;
    if (request->script && is_error(reply, NOSCRIPT_ERROR) && send_with_source(redis, request)) {
        return;
    }
    (void)context;
    list_remove(&request->link);
    redis->calls--;
    redis->bytes -= request->bytes.length;
    struct redis_call *call = request->call;
    give_back(redis, request);
    if (is_wrong_server(reply)) {
        (void)uv_timer_start(&redis->sweeper, on_sweep, 0, 0);
    }
    call->callback(call, reply);
}

/* ---- losing a connection */

static void wait_and_begin(struct redis *redis)
{
    uint64_t ceiling = BACKOFF_FIRST_MS;
    for (unsigned i = 0; i < redis->failures && ceiling < BACKOFF_LAST_MS; i++) {
        ceiling *= 2;
    }
    ceiling = ceiling < BACKOFF_LAST_MS ? ceiling : BACKOFF_LAST_MS;
    redis->failures++;
    redis->state = REDIS_WAITING;
    (void)uv_timer_start(&redis->timer, on_timer, ceiling / 2 + random_below(ceiling / 2 + 1), 0);
}

static void report_loss(struct redis *redis, const char *why)
{
    /* Once when it goes, and then seldom: a long outage must not fill the disk. */
    if (redis->failures == 0 || redis->failures % 32 == 0) {
        log_warn("redis connection lost", LOG_STRING("connection", redis->options.name), LOG_STRING("why", why),
                 LOG_NUMBER("failures", redis->failures + 1));
    }
}

/* Not inside a hiredis callback, except for its connect and disconnect callbacks, in which the context is gone already.
 */
static void lose(struct redis *redis, const char *why)
{
    redisAsyncContext *context = redis->context;
    bool was_ready = redis->state == REDIS_READY;
    (void)uv_timer_stop(&redis->sweeper);
    report_loss(redis, why);
    redis->context = NULL;
    redis->state = REDIS_WAITING;
    if (context) {
        redisAsyncFree(context); /* runs the callbacks of all requests with NULL */
    }
    wait_and_begin(redis);
    if (was_ready && redis->options.on_state) {
        redis->options.on_state(redis->options.context, false);
    }
}

static void on_disconnect(const redisAsyncContext *context, int status)
{
    struct redis *redis = context->data;
    if (redis->context == context) {
        redis->context = NULL; /* hiredis frees it when this returns */
        lose(redis, status == REDIS_OK ? "it was closed" : context->errstr);
    }
}

/* ---- greeting */

static void on_greeting(struct redis_call *call, const redisReply *reply);

static int greet_with(struct redis *redis, size_t count, const struct text *arguments)
{
    struct request *request = take_request(redis);
    if (!request) {
        return -ENOMEM;
    }
    request->redis = redis;
    request->call = &redis->greeting;
    request->script = NULL;
    append_count(&request->bytes, count);
    append_bulks(&request->bytes, count, arguments);
    redis->greetings++;
    return submit(redis, request);
}

static int greet_login(struct redis *redis)
{
    const struct redis_url *url = redis->options.url;
    int status = 0;
    if (secret_is_set(&url->password)) {
        struct text arguments[3] = {TEXT("AUTH"), text_of(url->username), secret_reveal(&url->password)};
        if (!url->username) {
            arguments[1] = arguments[2];
        }
        status = greet_with(redis, url->username ? 3 : 2, arguments);
    }
    if (status == 0 && url->database != 0) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%u", url->database);
        status = greet_with(redis, 2, (struct text[]){TEXT("SELECT"), text_of(number)});
    }
    return status;
}

static int greet(struct redis *redis)
{
    redis->state = REDIS_GREETING;
    redis->greetings = 0;
    redis->greeting.callback = on_greeting;
    int status = greet_login(redis);
    for (size_t i = 0; status == 0 && redis->options.scripts && redis->options.scripts[i]; i++) {
        status = greet_with(redis, 3,
                            (struct text[]){TEXT("SCRIPT"), TEXT("LOAD"), text_of(redis->options.scripts[i]->source)});
    }
    if (status == 0) {
        status = greet_with(redis, 3, (struct text[]){TEXT("CLIENT"), TEXT("SETNAME"), text_of(redis->options.name)});
    }
    return status;
}

static void become_ready(struct redis *redis)
{
    if (redis->failures > 0) {
        log_info("redis connection is back", LOG_STRING("connection", redis->options.name),
                 LOG_NUMBER("failures", redis->failures));
    }
    redis->failures = 0;
    redis->state = REDIS_READY;
    (void)uv_timer_stop(&redis->timer);
    if (redis->options.on_state) {
        redis->options.on_state(redis->options.context, true);
    }
}

static void on_greeting(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = LIST_OBJECT(call, struct redis, greeting);
    if (!reply || redis->state != REDIS_GREETING) {
        return; /* lost: lose() goes on */
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        static struct log_limit limit;
        uint64_t suppressed;
        if (log_limit_pass(&limit, 10000, &suppressed)) {
            log_error("redis refused the greeting: check REDIS_URL and the user's permissions",
                      LOG_STRING("connection", redis->options.name), LOG_STRING("error", reply->str),
                      LOG_NUMBER("suppressed", suppressed));
        }
        (void)uv_timer_start(&redis->sweeper, on_sweep, 0, 0);
        return;
    }
    if (--redis->greetings == 0 && !uv_is_active((uv_handle_t *)&redis->sweeper)) {
        become_ready(redis);
    }
}

/* ---- connecting */

static void on_connect(const redisAsyncContext *context, int status)
{
    struct redis *redis = context->data;
    if (redis->context != context) {
        return; /* given up meanwhile */
    }
    if (status != REDIS_OK) {
        redis->context = NULL; /* hiredis frees it when this returns */
        lose(redis, context->errstr);
        return;
    }
    if (redis->options.url->host) { /* on a unix socket it would fail, and mark the context as broken */
        (void)redisEnableKeepAlive(&redis->context->c);
    }
}

/* `host` is NULL for a unix socket, else a numeric address. */
static void connect_to(struct redis *redis, const char *host)
{
    const struct redis_url *url = redis->options.url;
    redisAsyncContext *context = host ? redisAsyncConnect(host, url->port) : redisAsyncConnectUnix(url->path);
    redis->state = REDIS_CONNECTING;
    if (!context) {
        lose(redis, "out of memory");
        return;
    }
    if (context->err) {
        char why[128];
        (void)snprintf(why, sizeof(why), "%s", context->errstr);
        redisAsyncFree(context);
        lose(redis, why);
        return;
    }
    context->data = redis;
    redis->context = context;
    if (redis_link_attach(redis->loop, context) < 0) {
        lose(redis, "its socket cannot be polled");
        return;
    }
    (void)redisAsyncSetConnectCallback(context, on_connect);
    (void)redisAsyncSetDisconnectCallback(context, on_disconnect);
    if (greet(redis) < 0) {
        lose(redis, "the greeting could not be sent");
    }
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *addresses)
{
    struct redis *redis = resolver->data;
    redis->resolving = false;
    if (redis->state == REDIS_CLOSING) {
        uv_freeaddrinfo(addresses);
        if (--redis->open_handles == 0) {
            redis->closed(redis->closed_context);
            free(redis);
        }
        return;
    }
    char host[INET6_ADDRSTRLEN] = "";
    if (status == 0 && addresses) {
        (void)getnameinfo(addresses->ai_addr, addresses->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST);
    }
    uv_freeaddrinfo(addresses);
    if (redis->state != REDIS_RESOLVING) {
        return; /* its time ran out; the next try is under way */
    }
    if (host[0] == '\0') {
        lose(redis, "its name cannot be resolved");
    } else {
        connect_to(redis, host);
    }
}

static void begin(struct redis *redis)
{
    const struct redis_url *url = redis->options.url;
    unsigned char address[sizeof(struct in6_addr)];
    (void)uv_timer_start(&redis->timer, on_timer, redis->options.connect_timeout_ms, 0);
    if (!url->host || inet_pton(AF_INET, url->host, address) == 1 || inet_pton(AF_INET6, url->host, address) == 1) {
        connect_to(redis, url->host);
        return;
    }
    redis->state = REDIS_RESOLVING;
    if (redis->resolving) {
        return; /* an earlier question is still open; its answer will do */
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    redis->resolver.data = redis;
    redis->resolving = uv_getaddrinfo(redis->loop, &redis->resolver, on_resolved, url->host, NULL, &hints) == 0;
    if (!redis->resolving) {
        lose(redis, "its name cannot be resolved");
    }
}

static void check_deadline(struct redis *redis)
{
    struct list *oldest = list_first(&redis->requests);
    if (!oldest) {
        return;
    }
    uint64_t deadline = LIST_OBJECT(oldest, struct request, link)->deadline_ms;
    uint64_t now = now_ms(redis);
    if (now >= deadline) {
        lose(redis, "it did not answer in time");
    } else {
        (void)uv_timer_start(&redis->timer, on_timer, deadline - now, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    switch (redis->state) {
    case REDIS_WAITING:
        begin(redis);
        break;
    case REDIS_READY:
        check_deadline(redis);
        break;
    case REDIS_RESOLVING:
    case REDIS_CONNECTING:
    case REDIS_GREETING:
        lose(redis, "it did not answer in time");
        break;
    case REDIS_CLOSING:
    default:
        break;
    }
}

/* ---- opening and closing */

int redis_open(uv_loop_t *loop, const struct redis_options *options, struct redis **opened)
{
    if (options->url->tls) {
        log_error(
            "rediss:// needs a hiredis with TLS, which this build does not have: use a private network or a TLS tunnel "
            "in front of Redis",
            LOG_STRING("setting", "REDIS_URL"));
        return -ENOTSUP;
    }
    struct redis *redis = calloc(1, sizeof(*redis));
    if (!redis) {
        return -ENOMEM;
    }
    redis->loop = loop;
    redis->options = *options;
    list_init(&redis->requests);
    list_init(&redis->pool);
    (void)uv_timer_init(loop, &redis->timer);
    (void)uv_timer_init(loop, &redis->sweeper);
    redis->timer.data = redis;
    redis->sweeper.data = redis;
    redis->open_handles = 2;
    redis->state = REDIS_WAITING;
    (void)uv_timer_start(&redis->timer, on_timer, 0, 0);
    *opened = redis;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis *redis = handle->data;
    if (--redis->open_handles == 0) {
        redis->closed(redis->closed_context);
        free(redis);
    }
}

void redis_close(struct redis *redis, void (*closed)(void *context), void *context)
{
    redis->closed = closed;
    redis->closed_context = context;
    redisAsyncContext *connection = redis->context;
    redis->state = REDIS_CLOSING;
    redis->context = NULL;
    if (connection) {
        redisAsyncFree(connection);
    }
    LIST_EACH(&redis->pool, pooled, following)
    {
        free_request(LIST_OBJECT(pooled, struct request, link));
    }
    if (redis->resolving) {
        redis->open_handles++; /* on_resolved() always runs */
        (void)uv_cancel((uv_req_t *)&redis->resolver);
    }
    uv_close((uv_handle_t *)&redis->timer, on_handle_closed);
    uv_close((uv_handle_t *)&redis->sweeper, on_handle_closed);
}

bool redis_is_ready(const struct redis *redis)
{
    return redis->state == REDIS_READY;
}

size_t redis_calls(const struct redis *redis)
{
    return redis->calls;
}

size_t redis_bytes(const struct redis *redis)
{
    return redis->bytes;
}
