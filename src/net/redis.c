#include "net/redis.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>
#include <openssl/evp.h>

#include "base/buffer.h"
#include "base/decimal.h"
#include "base/list.h"
#include "base/log.h"
#include "base/random.h"
#include "redis_command.h"
#include "redis_link.h"
#include "redis_route.h"
#include "redis_tls.h"

#define BACKOFF_FIRST_MS 20
#define BACKOFF_LAST_MS 2000
#define STABLE_MS 2000    /* a connection that lived so long was a good one */
#define WAIT_FIRST_MS 100 /* how soon a server that takes no writes is asked again, doubling up to: */
#define WAIT_LAST_MS 2000
#define MOVES_USUAL 4              /* in a row, in a cluster that settles */
#define POOL_MAXIMUM 1024          /* requests kept for reuse */
#define POOLED_BYTES_MAXIMUM 16384 /* larger command buffers are given back */

enum redis_state {
    REDIS_WAITING,    /* for the backoff's timer */
    REDIS_FINDING,    /* for the route: names, sentinels */
    REDIS_CONNECTING, /* for the socket, and TLS */
    REDIS_GREETING,   /* for the replies to the greeting */
    REDIS_READY,
    REDIS_CLOSING /* for the handles */
};

/* A command under way. Kept whole until its reply is here, because a script may have to be sent again with its source.
 */
struct request {
    struct list link; /* in redis->requests, in the order of the replies to come, or in redis->pool */
    struct redis_call *call;
    const struct redis_script *script; /* NULL: a plain command */
    struct buffer bytes;
    struct text lent; /* what follows them: the caller's, until the callback has run */
    size_t tail;      /* script: where "numkeys" and what follows begins */
    size_t argument_count;
    uint64_t deadline_ms;
};

struct redis {
    uv_loop_t *loop;
    struct redis_options options;
    enum redis_state state;
    enum redis_trouble trouble; /* what keeps it from being of use; may be there in REDIS_READY, too */
    struct redis_route *route;
    struct tls_context *tls; /* held; NULL: plain */
    struct redis_link *link; /* NULL while waiting and finding */
    redisReader *reader;     /* as long as the link */
    uv_timer_t timer;        /* the backoff, the connect deadline, or the oldest request's deadline */
    uv_timer_t pulse;        /* for the next check */
    struct redis_call check;
    bool checking;
    bool heard;     /* something came since the last pulse */
    unsigned waits; /* checks in a row that found the trouble still there */
    struct list requests;
    struct list pool;
    size_t pooled;
    size_t calls;
    size_t bytes;
    unsigned failures; /* in a row, for the backoff and for logging a loss once */
    bool loss_told;
    uint64_t ready_at_ms;
    unsigned greetings; /* replies still to come */
    struct redis_call greeting;
    struct redis_call info; /* questions of the greeting, that need not be answered */
    struct redis_call config;
    struct redis_call name;
    struct redis_call slot;
    struct redis_call nodes;
    struct redis_facts facts;
    int open_parts; /* while closing: the handles and the route */
    void (*closed)(void *context);
    void *closed_context;
};

/* How often each trouble was met by all connections of this process. */
static _Atomic uint64_t met[REDIS_TROUBLES];

static void begin(struct redis *redis);
static void lose(struct redis *redis, enum redis_trouble trouble, const char *why);
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

uint64_t redis_troubles_met(enum redis_trouble trouble)
{
    return atomic_load_explicit(&met[trouble], memory_order_relaxed);
}

/* ---- requests and their pool */

static size_t size_of(const struct request *request)
{
    return request->bytes.length + request->lent.length;
}

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
    request->lent = (struct text){0};
    list_prepend(&redis->pool, &request->link); /* the next one finds its memory in the cache */
    redis->pooled++;
}

/* ---- sending */

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

/* A request whose bytes were appended to; it is given back when it cannot be sent. */
static int submit(struct redis *redis, struct request *request)
{
    int status = buffer_status(&request->bytes);
    if (status == 0) {
        status = redis_link_write(redis->link, buffer_text(&request->bytes), request->lent);
    }
    if (status < 0) {
        buffer_clear(&request->bytes);
        give_back(redis, request);
        return status;
    }
    request->deadline_ms = now_ms(redis) + redis->options.call_timeout_ms;
    list_append(&redis->requests, &request->link);
    redis->calls++;
    redis->bytes += size_of(request);
    watch_deadline(redis);
    return 0;
}

/* A request for `call`, or NULL. */
static struct request *new_request(struct redis *redis, struct redis_call *call, const struct redis_script *script)
{
    struct request *request = take_request(redis);
    if (request) {
        request->call = call;
        request->script = script;
    }
    return request;
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
    *request = new_request(redis, call, script);
    return *request ? 0 : -ENOMEM;
}

static int send_plainly(struct redis *redis, struct request *request, size_t count, const struct text *arguments)
{
    redis_command_begin(&request->bytes, count);
    redis_command_append(&request->bytes, count, arguments);
    return submit(redis, request);
}

int redis_command(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments)
{
    struct request *request;
    int status = admit(redis, call, NULL, &request);
    return status < 0 ? status : send_plainly(redis, request, count, arguments);
}

/* One of our own: it is sent in any state that has a link. */
static int send_own(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments)
{
    struct request *request = new_request(redis, call, NULL);
    return request ? send_plainly(redis, request, count, arguments) : -ENOMEM;
}

/* "EVALSHA digest numkeys": the beginning of a call with so many keys and so many words after that. */
static void begin_script(struct request *request, size_t keys, size_t count)
{
    struct buffer *bytes = &request->bytes;
    char number[DECIMAL_SIZE];
    struct text key_count = decimal_write(keys, number);
    request->argument_count = count;
    redis_command_begin(bytes, count + 3);
    redis_command_append(bytes, 2, (struct text[]){TEXT("EVALSHA"), {.data = request->script->digest, .length = 40}});
    request->tail = bytes->length;
    redis_command_append(bytes, 1, &key_count);
}

int redis_script_call(struct redis *redis, struct redis_call *call, const struct redis_script *script, size_t keys,
                      size_t count, const struct text *arguments)
{
    struct request *request;
    int status = admit(redis, call, script, &request);
    if (status < 0) {
        return status;
    }
    begin_script(request, keys, count);
    redis_command_append(&request->bytes, count, arguments);
    return submit(redis, request);
}

int redis_script_call_words(struct redis *redis, struct redis_call *call, const struct redis_script *script,
                            const struct redis_words *keys, const struct redis_words *arguments)
{
    struct request *request;
    int status = admit(redis, call, script, &request);
    if (status < 0) {
        return status;
    }
    begin_script(request, keys->count, keys->count + arguments->count);
    buffer_append(&request->bytes, buffer_text(&keys->bytes));
    request->lent = buffer_text(&arguments->bytes);
    return submit(redis, request);
}

/* The same call, taken off the list, with the script's source in the place of its digest: Redis then remembers it. */
static bool send_with_source(struct redis *redis, struct request *request)
{
    struct buffer whole = {0};
    redis_command_begin(&whole, request->argument_count + 3);
    redis_command_append(&whole, 2, (struct text[]){TEXT("EVAL"), text_of(request->script->source)});
    buffer_append(&whole, (struct text){.data = request->bytes.data + request->tail,
                                        .length = request->bytes.length - request->tail});
    buffer_append(&whole, request->lent); /* copied: this may be long before the loop polls again */
    bool sent = buffer_status(&whole) == 0 && redis_link_write(redis->link, buffer_text(&whole), (struct text){0}) == 0;
    buffer_free(&whole);
    if (sent) {
        request->script = NULL;
        list_append(&redis->requests, &request->link); /* its reply comes last */
    }
    return sent;
}

/* ---- troubles */

static void tell_state(struct redis *redis, bool ready)
{
    if (redis->options.on_state) {
        redis->options.on_state(redis->options.context, ready);
    }
}

static void count_trouble(enum redis_trouble trouble)
{
    if (trouble != REDIS_FINE) {
        atomic_fetch_add_explicit(&met[trouble], 1, memory_order_relaxed);
    }
}

static void note_trouble(struct redis *redis, enum redis_trouble trouble)
{
    redis->trouble = trouble;
    count_trouble(trouble);
}

static void on_pulse(uv_timer_t *timer);

static void wind_pulse(struct redis *redis)
{
    uint64_t wait = redis->options.check_every_ms;
    if (redis->trouble != REDIS_FINE) {
        wait = redis->waits < 5 ? (uint64_t)WAIT_FIRST_MS << redis->waits : WAIT_LAST_MS;
    }
    if (wait > 0) {
        (void)uv_timer_start(&redis->pulse, on_pulse, wait, 0);
    }
}

/* It is there, but takes no writes: kept, not used, and asked now and then. */
static void hold(struct redis *redis, enum redis_trouble trouble, const char *why)
{
    bool was_fine = redis->trouble == REDIS_FINE;
    if (was_fine) {
        static struct log_limit limit;
        uint64_t suppressed;
        redis->waits = 0;
        if (log_limit_pass(&limit, 10000, &suppressed)) {
            log_error("redis refuses to serve us", LOG_STRING("connection", redis->options.name),
                      LOG_STRING("error", why), LOG_STRING("fix", redis_trouble_advice(trouble)),
                      LOG_NUMBER("suppressed", suppressed));
        }
    }
    note_trouble(redis, trouble);
    if (was_fine) {
        wind_pulse(redis);
        tell_state(redis, false);
    }
}

/* The first error that it is or has among its elements: a script may answer several things, each in its own way. */
static const redisReply *error_in(const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        return reply;
    }
    for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_ERROR) {
            return reply->element[i];
        }
    }
    return NULL;
}

/* What an error means for the connection as a whole. */
static void heed(struct redis *redis, const redisReply *error)
{
    if (!error || redis->state != REDIS_READY) {
        return;
    }
    enum redis_trouble trouble = redis_trouble_of(text_of(error->str));
    enum redis_remedy remedy = redis_trouble_remedy(trouble);
    if (remedy == REDIS_REMEDY_RECONNECT) {
        lose(redis, trouble, error->str);
    } else if (remedy == REDIS_REMEDY_WAIT && redis->options.probe) {
        hold(redis, trouble, error->str);
    } else {
        count_trouble(trouble);
    }
}

static void on_check(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, check);
    redis->checking = false;
    if (!reply || redis->state != REDIS_READY) {
        return; /* lost */
    }
    bool refused = reply->type == REDIS_REPLY_ERROR;
    if (redis->trouble != REDIS_FINE && !refused) {
        log_info("redis serves us again", LOG_STRING("connection", redis->options.name),
                 LOG_NUMBER("checks", redis->waits));
        redis->trouble = REDIS_FINE;
        tell_state(redis, true);
    }
    redis->waits += refused ? 1 : 0;
    wind_pulse(redis);
}

/* A write shows what a PING does not: no memory, no disk, no longer the primary. */
static int send_check(struct redis *redis)
{
    redis->check.callback = on_check;
    if (!redis->options.probe || (redis->trouble == REDIS_FINE && !redis->options.probes_idle)) {
        return send_own(redis, &redis->check, 1, &TEXT("PING"));
    }
    struct text words[] = {TEXT("SET"), text_of(redis->options.probe), TEXT("1"), TEXT("PX"), TEXT("60000")};
    return send_own(redis, &redis->check, ARRAY_LENGTH(words), words);
}

static void on_pulse(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    bool needed = redis->trouble != REDIS_FINE || !redis->heard;
    redis->heard = false;
    if (redis->state != REDIS_READY) {
        return; /* becoming ready winds it up again */
    }
    if (needed && !redis->checking) {
        redis->checking = send_check(redis) == 0;
    }
    if (!redis->checking) {
        wind_pulse(redis);
    }
}

/* ---- replies */

static void take_reply(struct redis *redis, const redisReply *reply)
{
    struct list *first = list_pop(&redis->requests);
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    if (!first) { /* unasked: it says why it will close the connection */
        lose(redis, is_error ? redis_trouble_of(text_of(reply->str)) : REDIS_AWAY,
             is_error ? reply->str : "it sent what nobody asked for");
        return;
    }
    struct request *request = LIST_OBJECT(first, struct request, link);
    redis->heard = true;
    if (request->script && is_error && text_starts_with(text_of(reply->str), TEXT("NOSCRIPT")) &&
        send_with_source(redis, request)) {
        return;
    }
    redis->calls--;
    redis->bytes -= size_of(request);
    struct redis_call *call = request->call;
    give_back(redis, request);
    heed(redis, error_in(reply));
    call->callback(call, reply);
}

static void on_bytes(void *context, struct text bytes)
{
    struct redis *redis = context;
    const struct redis_link *link = redis->link;
    if (redisReaderFeed(redis->reader, bytes.data, bytes.length) != REDIS_OK) {
        lose(redis, REDIS_AWAY, redis->reader->errstr);
        return;
    }
    while (redis->link == link) { /* a callback may close it, or find that it is of no use */
        void *reply = NULL;
        if (redisReaderGetReply(redis->reader, &reply) != REDIS_OK) {
            lose(redis, REDIS_AWAY, redis->reader->errstr);
            return;
        }
        if (!reply) {
            return;
        }
        take_reply(redis, reply);
        freeReplyObject(reply);
    }
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

/* Once when it goes, and then seldom: a long outage must not fill the disk. That a cluster sends us on is no loss. */
static void report_loss(struct redis *redis, enum redis_trouble trouble, const char *why)
{
    if (trouble == REDIS_MOVED && redis->failures < MOVES_USUAL) {
        log_debug("the cluster sends us to another node", LOG_STRING("connection", redis->options.name),
                  LOG_STRING("why", why));
    } else if (redis->failures == 0 || redis->failures % 32 == 0) {
        redis->loss_told = true;
        log_warn("redis connection lost", LOG_STRING("connection", redis->options.name), LOG_STRING("why", why),
                 LOG_STRING("fix", redis_trouble_advice(trouble)), LOG_NUMBER("failures", redis->failures + 1));
    }
}

static void drop_link(struct redis *redis)
{
    redis_link_close(redis->link);
    redis->link = NULL;
    if (redis->reader) {
        redisReaderFree(redis->reader);
        redis->reader = NULL;
    }
    (void)uv_timer_stop(&redis->pulse);
}

/* All that is under way is told that nobody knows. Whoever hears it may close the connection. */
static void fail_requests(struct redis *redis)
{
    struct list *first;
    while ((first = list_pop(&redis->requests)) != NULL) {
        struct request *request = LIST_OBJECT(first, struct request, link);
        struct redis_call *call = request->call;
        redis->calls--;
        redis->bytes -= size_of(request);
        give_back(redis, request);
        call->callback(call, NULL);
    }
}

static void lose(struct redis *redis, enum redis_trouble trouble, const char *why)
{
    char reason[REDIS_WHY_SIZE]; /* `why` may belong to what goes now */
    bool was_ready = redis->state == REDIS_READY && redis->trouble == REDIS_FINE;
    (void)snprintf(reason, sizeof(reason), "%s", why);
    if (redis->state == REDIS_READY && now_ms(redis) >= redis->ready_at_ms + STABLE_MS) {
        redis->failures = 0;
    }
    if (trouble == REDIS_MOVED) {
        redis_route_follow(redis->route, text_of(reason));
    }
    redis_route_cancel(redis->route);
    drop_link(redis);
    report_loss(redis, trouble, reason);
    note_trouble(redis, trouble);
    wait_and_begin(redis);
    fail_requests(redis);
    if (was_ready && redis->state != REDIS_CLOSING) {
        tell_state(redis, false);
    }
}

void redis_reconnect(struct redis *redis, const char *why)
{
    if (redis->state == REDIS_READY) {
        lose(redis, REDIS_AWAY, why);
    }
}

static void on_lost(void *context, const char *why)
{
    lose(context, text_starts_with(text_of(why), TEXT("TLS failed")) ? REDIS_TLS_FAILS : REDIS_AWAY, why);
}

/* ---- greeting */

static void on_greeting(struct redis_call *call, const redisReply *reply);
static void on_info(struct redis_call *call, const redisReply *reply);
static void on_config(struct redis_call *call, const redisReply *reply);
static void on_name(struct redis_call *call, const redisReply *reply);
static void on_slot(struct redis_call *call, const redisReply *reply);
static void on_nodes(struct redis_call *call, const redisReply *reply);

static int ask(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments)
{
    redis->greetings++;
    return send_own(redis, call, count, arguments);
}

static int greet_with(struct redis *redis, size_t count, const struct text *arguments)
{
    return ask(redis, &redis->greeting, count, arguments);
}

/* Whether it is a primary, and what else whoever admits it wants to know. */
static int greet_facts(struct redis *redis)
{
    struct text info[] = {TEXT("INFO"), TEXT("replication")};
    struct text config[] = {TEXT("CONFIG"), TEXT("GET"), TEXT("appendfsync")};
    redis->facts = (struct redis_facts){0};
    redis->info.callback = on_info;
    redis->config.callback = on_config;
    int status = ask(redis, &redis->info, redis->options.admit ? 1 : 2, info);
    return status == 0 && redis->options.admit ? ask(redis, &redis->config, 3, config) : status;
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

/* A node of a cluster that does not serve our keys says here who does. */
static int greet_cluster(struct redis *redis)
{
    redis->slot.callback = on_slot;
    redis->nodes.callback = on_nodes;
    int status = redis->options.key
                     ? ask(redis, &redis->slot, 2, (struct text[]){TEXT("EXISTS"), text_of(redis->options.key)})
                     : 0;
    if (status == 0 && redis->options.url->kind == REDIS_CLUSTER) {
        status = ask(redis, &redis->nodes, 2, (struct text[]){TEXT("CLUSTER"), TEXT("SLOTS")});
    }
    return status;
}

static int greet(struct redis *redis)
{
    redis->state = REDIS_GREETING;
    redis->greetings = 0;
    redis->greeting.callback = on_greeting;
    redis->name.callback = on_name;
    int status = greet_login(redis);
    status = status == 0 ? greet_facts(redis) : status;
    status = status == 0 ? greet_cluster(redis) : status;
    for (size_t i = 0; status == 0 && redis->options.scripts && redis->options.scripts[i]; i++) {
        status = greet_with(redis, 3,
                            (struct text[]){TEXT("SCRIPT"), TEXT("LOAD"), text_of(redis->options.scripts[i]->source)});
    }
    if (status == 0) {
        status =
            ask(redis, &redis->name, 3, (struct text[]){TEXT("CLIENT"), TEXT("SETNAME"), text_of(redis->options.name)});
    }
    return status;
}

static void become_ready(struct redis *redis)
{
    if (redis->loss_told) {
        redis->loss_told = false;
        log_info("redis connection is back", LOG_STRING("connection", redis->options.name),
                 LOG_NUMBER("failures", redis->failures));
    }
    redis->trouble = REDIS_FINE;
    redis->state = REDIS_READY;
    redis->ready_at_ms = now_ms(redis);
    redis->heard = true;
    redis->checking = false;
    (void)uv_timer_stop(&redis->timer);
    wind_pulse(redis);
    tell_state(redis, true);
}

static void refuse_greeting(struct redis *redis, const char *error)
{
    static struct log_limit limit;
    uint64_t suppressed;
    enum redis_trouble trouble = redis_trouble_of(text_of(error));
    trouble = trouble == REDIS_FINE ? REDIS_UNSUITABLE : trouble;
    if (trouble != REDIS_MOVED && log_limit_pass(&limit, 10000, &suppressed)) {
        log_error("redis refused the greeting", LOG_STRING("connection", redis->options.name),
                  LOG_STRING("error", error), LOG_STRING("fix", redis_trouble_advice(trouble)),
                  LOG_NUMBER("suppressed", suppressed));
    }
    lose(redis, trouble, error);
}

/* All has been answered: is it the server that is wanted? */
static void judge(struct redis *redis)
{
    char why[REDIS_WHY_SIZE] = "";
    if (redis->facts.replica == REDIS_YES) { /* the sentinels, or the name, have not followed yet */
        lose(redis, REDIS_READONLY, "it is a replica");
        return;
    }
    enum redis_trouble trouble =
        redis->options.admit ? redis->options.admit(redis->options.context, &redis->facts, why) : REDIS_FINE;
    if (trouble == REDIS_FINE) {
        become_ready(redis);
    } else {
        lose(redis, trouble, why);
    }
}

/* One reply of the greeting. True when it is no error; one that does not matter, because the user lacks a permission or
 * the command is not known, is passed over. */
static bool take_greeting(struct redis *redis, const redisReply *reply, bool matters)
{
    if (!reply || redis->state != REDIS_GREETING) {
        return false; /* lost: lose() goes on */
    }
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    enum redis_trouble trouble = is_error ? redis_trouble_of(text_of(reply->str)) : REDIS_FINE;
    if (is_error && (matters || (trouble != REDIS_FINE && trouble != REDIS_NOPERM))) {
        refuse_greeting(redis, reply->str);
        return false;
    }
    redis->greetings--;
    return !is_error;
}

static void end_greeting(struct redis *redis)
{
    if (redis->state == REDIS_GREETING && redis->greetings == 0) {
        judge(redis);
    }
}

static void on_greeting(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, greeting);
    (void)take_greeting(redis, reply, true);
    end_greeting(redis);
}

static void on_name(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, name);
    (void)take_greeting(redis, reply, false);
    end_greeting(redis);
}

static void on_info(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, info);
    if (take_greeting(redis, reply, false) && reply->type == REDIS_REPLY_STRING) {
        redis_facts_read_info(&redis->facts, (struct text){.data = reply->str, .length = (size_t)reply->len});
    }
    end_greeting(redis);
}

static void on_config(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, config);
    if (take_greeting(redis, reply, false) && reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
        redis_facts_read_config(&redis->facts, text_of(reply->element[0]->str), text_of(reply->element[1]->str));
    }
    end_greeting(redis);
}

static void on_slot(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, slot);
    (void)take_greeting(redis, reply, false);
    end_greeting(redis);
}

/* { { first, last, { host, port, … } … } … }: only the servers matter. */
static void on_nodes(struct redis_call *call, const redisReply *reply)
{
    struct redis *redis = CONTAINER_OF(call, struct redis, nodes);
    bool answered = take_greeting(redis, reply, false) && reply->type == REDIS_REPLY_ARRAY;
    for (size_t i = 0; answered && i < reply->elements; i++) {
        const redisReply *range = reply->element[i];
        for (size_t j = 2; j < range->elements; j++) {
            const redisReply *node = range->element[j];
            if (node->elements >= 2 && node->element[0]->str) {
                redis_route_learn(redis->route, text_of(node->element[0]->str), (uint16_t)node->element[1]->integer);
            }
        }
    }
    end_greeting(redis);
}

/* ---- connecting */

static void on_open(void *context)
{
    struct redis *redis = context;
    if (greet(redis) < 0) {
        lose(redis, REDIS_AWAY, "the greeting could not be sent");
    }
}

static const struct redis_link_handler link_handler = {.on_open = on_open, .on_bytes = on_bytes, .on_lost = on_lost};

static void on_found(void *context, const struct redis_place *place, const char *why)
{
    struct redis *redis = context;
    if (!place) {
        lose(redis, REDIS_AWAY, why);
        return;
    }
    struct redis_link_options options = {
        .path = place->path,
        .address = (const struct sockaddr *)&place->address,
        .tls = redis->tls,
        .server_name = redis->options.url->server_name ? redis->options.url->server_name : place->host,
        .handler = &link_handler,
        .context = redis,
    };
    redis->state = REDIS_CONNECTING;
    redis->reader = redisReaderCreate();
    int status = redis->reader ? redis_link_open(redis->loop, &options, &redis->link) : -ENOMEM;
    if (status < 0) {
        redis->link = NULL;
        lose(redis, REDIS_AWAY, uv_strerror(status));
    }
}

/* Files that have become faulty since the start leave the context as it was. */
static void renew_tls(struct redis *redis)
{
    struct tls_context *fresh;
    char error[256];
    if (!redis->options.url->tls) {
        return;
    }
    if (redis_tls_acquire(redis->options.url, &fresh, error) == 0) {
        tls_context_release(redis->tls);
        redis->tls = fresh;
        return;
    }
    static struct log_limit limit;
    uint64_t suppressed;
    if (log_limit_pass(&limit, 60000, &suppressed)) {
        log_error("the certificates for redis stay as they were", LOG_STRING("error", error),
                  LOG_NUMBER("suppressed", suppressed));
    }
}

static void begin(struct redis *redis)
{
    redis->state = REDIS_FINDING;
    (void)uv_timer_start(&redis->timer, on_timer, redis->options.connect_timeout_ms, 0);
    renew_tls(redis);
    redis_route_find(redis->route, redis->tls);
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
        lose(redis, REDIS_AWAY, "it did not answer in time");
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
    case REDIS_CONNECTING:
        if (redis->tls && redis_link_is_connected(redis->link)) {
            lose(redis, REDIS_TLS_FAILS, "TLS failed: no answer to the handshake; does this port speak TLS?");
            break;
        }
        /* fall through */
    case REDIS_FINDING:
    case REDIS_GREETING:
        lose(redis, REDIS_AWAY, "it did not answer in time");
        break;
    case REDIS_CLOSING:
    default:
        break;
    }
}

/* ---- opening and closing */

static int open_tls(struct redis *redis)
{
    char error[256];
    int status = redis->options.url->tls ? redis_tls_acquire(redis->options.url, &redis->tls, error) : 0;
    if (status < 0) {
        log_error("TLS to redis cannot be set up: check IDENTIHOOK_REDIS_CA, IDENTIHOOK_REDIS_CERT and "
                  "IDENTIHOOK_REDIS_KEY",
                  LOG_STRING("error", error));
    }
    return status == -EINVAL ? -ENOTSUP : status;
}

int redis_open(uv_loop_t *loop, const struct redis_options *options, struct redis **opened)
{
    struct redis *redis = calloc(1, sizeof(*redis));
    if (!redis) {
        return -ENOMEM;
    }
    redis->loop = loop;
    redis->options = *options;
    redis->trouble = REDIS_AWAY;
    list_init(&redis->requests);
    list_init(&redis->pool);
    int status = open_tls(redis);
    status = status == 0 ? redis_route_create(loop, options->url, on_found, redis, &redis->route) : status;
    if (status < 0) {
        tls_context_release(redis->tls);
        free(redis);
        return status;
    }
    (void)uv_timer_init(loop, &redis->timer);
    (void)uv_timer_init(loop, &redis->pulse);
    redis->timer.data = redis;
    redis->pulse.data = redis;
    redis->state = REDIS_WAITING;
    (void)uv_timer_start(&redis->timer, on_timer, 0, 0);
    *opened = redis;
    return 0;
}

static void part_closed(void *context)
{
    struct redis *redis = context;
    if (--redis->open_parts == 0) {
        tls_context_release(redis->tls);
        redis->closed(redis->closed_context);
        free(redis);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void redis_close(struct redis *redis, void (*closed)(void *context), void *context)
{
    redis->closed = closed;
    redis->closed_context = context;
    redis->state = REDIS_CLOSING;
    redis->open_parts = 3;
    drop_link(redis);
    fail_requests(redis);
    LIST_EACH(&redis->pool, pooled, following)
    {
        free_request(LIST_OBJECT(pooled, struct request, link));
    }
    list_init(&redis->pool);
    uv_close((uv_handle_t *)&redis->timer, on_handle_closed);
    uv_close((uv_handle_t *)&redis->pulse, on_handle_closed);
    redis_route_close(redis->route, part_closed);
}

bool redis_is_ready(const struct redis *redis)
{
    return redis->state == REDIS_READY && redis->trouble == REDIS_FINE;
}

enum redis_trouble redis_trouble(const struct redis *redis)
{
    return redis->trouble;
}

size_t redis_calls(const struct redis *redis)
{
    return redis->calls;
}

size_t redis_bytes(const struct redis *redis)
{
    return redis->bytes;
}
