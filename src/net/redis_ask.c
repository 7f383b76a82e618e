#include "redis_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "redis_private.h"

/* One command that is asked for there. */
struct asked {
    struct list link; /* while it waits for the connection */
    struct redis_ask *ask;
    struct redis_request *request;
    struct redis_call call;
};

static void on_timer(uv_timer_t *timer);

/* ---- sending */

static void finish(struct asked *asked, const redisReply *reply)
{
    struct redis_ask *ask = asked->ask;
    struct redis_call *call = asked->request->call;
    ask->calls--;
    ask->bytes -= redis_request_size(asked->request);
    redis_request_free(asked->request);
    free(asked);
    if (reply) {
        ask->on_reply(ask->context, reply);
    }
    call->callback(call, reply);
}

/* It does not import the slot, is a replica by now, or something else that is for another one. */
static bool is_of_wrong_node(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR &&
           redis_trouble_remedy(redis_trouble_of(text_of(reply->str))) == REDIS_REMEDY_RECONNECT;
}

static void on_reply(struct redis_call *call, const redisReply *reply)
{
    struct asked *asked = CONTAINER_OF(call, struct asked, call);
    if (is_of_wrong_node(reply)) {
        redis_ask_drop(asked->ask);
    }
    finish(asked, reply);
}

static void on_asking(struct redis_call *call, const redisReply *reply)
{
    (void)call;
    (void)reply;
}

static int send_asking(struct redis_ask *ask, struct asked *asked)
{
    int status = redis_command(ask->connection, &ask->asking, 1, &TEXT("ASKING"));
    if (status == 0) {
        status = redis_send_encoded(ask->connection, &asked->call, buffer_text(&asked->request->bytes));
    }
    (void)uv_timer_start(&ask->timer, on_timer, ask->options->call_timeout_ms, 0);
    return status;
}

static struct asked *next_waiting(struct redis_ask *ask)
{
    struct list *first = list_pop(&ask->waiting);
    return first ? LIST_OBJECT(first, struct asked, link) : NULL;
}

static void send_waiting(struct redis_ask *ask)
{
    struct asked *asked;
    while ((asked = next_waiting(ask)) != NULL) {
        if (send_asking(ask, asked) < 0) {
            finish(asked, NULL);
        }
    }
}

static void fail_waiting(struct redis_ask *ask)
{
    struct asked *asked;
    while ((asked = next_waiting(ask)) != NULL) {
        finish(asked, NULL);
    }
}

/* ---- the connection */

static void on_left(void *context);

static void leave(struct redis_ask *ask)
{
    if (ask->connection && !ask->leaving) {
        ask->leaving = true;
        (void)uv_timer_stop(&ask->timer);
        redis_close(ask->connection, on_left, ask);
    }
}

void redis_ask_drop(struct redis_ask *ask)
{
    leave(ask);
    fail_waiting(ask);
}

static void on_state(void *context, bool ready)
{
    struct redis_ask *ask = context;
    (void)uv_timer_start(&ask->timer, on_timer, ask->options->connect_timeout_ms, 0);
    if (ready) {
        send_waiting(ask);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct redis_ask *ask = timer->data;
    if (redis_is_ready(ask->connection) && ask->calls > 0) {
        (void)uv_timer_start(timer, on_timer, ask->options->call_timeout_ms, 0);
    } else {
        redis_ask_drop(ask);
    }
}

static enum redis_trouble admit(void *context, const struct redis_facts *facts, char why[REDIS_WHY_SIZE])
{
    const struct redis_ask *ask = context;
    return ask->options->admit(ask->options->context, facts, why);
}

static int join(struct redis_ask *ask)
{
    ask->url = *ask->options->url;
    ask->url.kind = REDIS_SINGLE;
    ask->url.hosts[0] = (struct redis_host){.name = ask->node.host, .port = ask->node.port};
    ask->url.host_count = 1;
    ask->url.path = NULL;
    struct redis_options options = {
        .url = &ask->url,
        .name = ask->name,
        .connect_timeout_ms = ask->options->connect_timeout_ms,
        .call_timeout_ms = ask->options->call_timeout_ms,
        .check_every_ms = ask->options->check_every_ms,
        .never_asks = true,
        .max_calls = SIZE_MAX, /* bounded by those of the connection that is answered ASK */
        .max_bytes = SIZE_MAX,
        .admit = ask->options->admit ? admit : NULL,
        .on_state = on_state,
        .context = ask,
    };
    int status = redis_open(ask->loop, &options, &ask->connection);
    if (status == 0) {
        ask->holds++;
        (void)uv_timer_start(&ask->timer, on_timer, ask->options->connect_timeout_ms, 0);
    }
    return status;
}

/* Sends it now, or lets it wait. */
static int pass_on(struct redis_ask *ask, struct asked *asked)
{
    if (ask->connection && !ask->leaving && redis_is_ready(ask->connection)) {
        return send_asking(ask, asked);
    }
    int status = ask->connection ? 0 : join(ask);
    if (status == 0) {
        list_append(&ask->waiting, &asked->link);
    }
    return status;
}

int redis_ask_send(struct redis_ask *ask, const struct redis_node *node, struct redis_request *request)
{
    bool is_taken = (ask->connection && !ask->leaving) || !list_is_empty(&ask->waiting);
    if (is_taken && !redis_node_equal(node, &ask->node)) {
        return -EBUSY;
    }
    struct asked *asked = calloc(1, sizeof(*asked));
    if (!asked || redis_request_spell_out(request) < 0) {
        free(asked);
        return -ENOMEM;
    }
    *asked = (struct asked){.ask = ask, .request = request, .call.callback = on_reply};
    ask->node = *node;
    int status = pass_on(ask, asked);
    if (status != 0) {
        free(asked);
        return status;
    }
    ask->calls++;
    ask->bytes += redis_request_size(request);
    return 0;
}

/* ---- its beginning and end */

static void release(struct redis_ask *ask)
{
    if (--ask->holds == 0) {
        ask->closed(ask->context);
    }
}

static void on_left(void *context)
{
    struct redis_ask *ask = context;
    ask->connection = NULL;
    ask->leaving = false;
    if (!list_is_empty(&ask->waiting) && join(ask) < 0) {
        fail_waiting(ask);
    }
    release(ask);
}

static void on_timer_closed(uv_handle_t *timer)
{
    release(timer->data);
}

void redis_ask_init(struct redis_ask *ask, uv_loop_t *loop, const struct redis_options *options,
                    void (*tell)(void *context, const struct redisReply *reply), void *context)
{
    *ask = (struct redis_ask){.loop = loop,
                              .options = options,
                              .on_reply = tell,
                              .context = context,
                              .asking.callback = on_asking,
                              .holds = 1};
    (void)snprintf(ask->name, sizeof(ask->name), "%s-asked", options->name);
    list_init(&ask->waiting);
    (void)uv_timer_init(loop, &ask->timer);
    ask->timer.data = ask;
}

void redis_ask_close(struct redis_ask *ask, void (*closed)(void *context))
{
    ask->closed = closed;
    redis_ask_drop(ask);
    uv_close((uv_handle_t *)&ask->timer, on_timer_closed);
}
