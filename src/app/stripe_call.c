#include "app/stripe_call.h"

#include <stdio.h>

#include "app/stripe_reply.h"
#include "base/random.h"

#define TRIES_MAXIMUM 3
#define DELAY_MS 500              /* before the second try; doubled before the third, and up to half more */
#define ANSWER_MAXIMUM (1u << 20) /* bytes */

static void try_once(struct stripe_call *call);

void stripe_call_init(struct stripe_call *call, uv_loop_t *loop, const struct settings *settings,
                      struct fetcher *fetcher)
{
    *call = (struct stripe_call){.settings = settings, .fetcher = fetcher};
    (void)uv_timer_init(loop, &call->timer);
    call->timer.data = call;
}

static uint64_t time_left(const struct stripe_call *call)
{
    uint64_t now = uv_now(call->timer.loop);
    return call->deadline_ms > now ? call->deadline_ms - now : 0;
}

static void on_timer(uv_timer_t *timer)
{
    try_once(timer->data);
}

/* True: it will be tried again. */
static bool try_again(struct stripe_call *call, const struct api_verdict *verdict)
{
    uint64_t delay = (uint64_t)DELAY_MS << (call->tries - 1);
    delay += random_below(delay / 2);
    delay = verdict->retry_after_ms > delay ? verdict->retry_after_ms : delay;
    if (verdict->outcome != API_TRANSIENT || call->tries >= TRIES_MAXIMUM || delay >= time_left(call)) {
        return false;
    }
    (void)uv_timer_start(&call->timer, on_timer, delay, 0);
    return true;
}

static void on_fetched(void *context, const struct fetch_result *result)
{
    struct stripe_call *call = context;
    call->fetch = NULL;
    struct api_reply reply = stripe_reply_of(result);
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    if (!try_again(call, &verdict)) {
        struct stripe_answer answer = {.verdict = &verdict, .status = result->status, .body = result->body};
        call->callback(call, &answer);
    }
}

static void on_not_started(uv_timer_t *timer)
{
    struct stripe_call *call = timer->data;
    struct api_verdict verdict = {.outcome = API_PERMANENT, .reason = "stripe_misconfigured"};
    (void)snprintf(verdict.error, sizeof(verdict.error), "Stripe cannot be asked: check STRIPE_API_BASE");
    struct stripe_answer answer = {.verdict = &verdict};
    call->callback(call, &answer);
}

static void try_once(struct stripe_call *call)
{
    char version[128];
    uint64_t left = time_left(call);
    bool posts = call->body.length > 0;
    call->tries++;
    (void)snprintf(version, sizeof(version), "Stripe-Version: %s", call->settings->stripe_api_version);
    struct fetch_request request = {
        .url = call->url.data,
        .bearer = secret_reveal(&call->settings->stripe_key).data,
        .body = buffer_text(&call->body),
        .headers = {version, posts ? "Content-Type: application/x-www-form-urlencoded" : NULL,
                    call->key[0] ? call->key : NULL},
        .timeout_ms = left > 0 ? left : 1,
        .max_response = ANSWER_MAXIMUM,
    };
    bool whole = buffer_status(&call->url) == 0 && buffer_status(&call->body) == 0;
    if (!whole || fetch_start(call->fetcher, &request, on_fetched, call, &call->fetch) < 0) {
        (void)uv_timer_start(&call->timer, on_not_started, 0, 0);
    }
}

void stripe_call_start(struct stripe_call *call, const struct stripe_request *request,
                       void (*callback)(struct stripe_call *call, const struct stripe_answer *answer))
{
    struct text base = text_of(call->settings->stripe_api_base);
    while (base.length > 0 && base.data[base.length - 1] == '/') {
        base.length--;
    }
    buffer_clear(&call->url);
    buffer_append(&call->url, base);
    buffer_append_string(&call->url, request->path);
    buffer_wipe(&call->body);
    buffer_append(&call->body, request->body);
    call->key[0] = '\0';
    if (request->idempotency_key) {
        (void)snprintf(call->key, sizeof(call->key), "Idempotency-Key: %s", request->idempotency_key);
    }
    call->deadline_ms = request->deadline_ms;
    call->callback = callback;
    call->tries = 0;
    try_once(call);
}

void stripe_call_cancel(struct stripe_call *call)
{
    if (call->fetch) {
        fetch_cancel(call->fetch);
        call->fetch = NULL;
    }
    (void)uv_timer_stop(&call->timer);
}

static void on_closed(uv_handle_t *handle)
{
    struct stripe_call *call = handle->data;
    call->closed(call);
}

void stripe_call_close(struct stripe_call *call, void (*closed)(struct stripe_call *call))
{
    stripe_call_cancel(call);
    buffer_free(&call->url);
    buffer_wipe(&call->body);
    call->closed = closed;
    uv_close((uv_handle_t *)&call->timer, on_closed);
}
