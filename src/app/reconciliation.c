#include "app/reconciliation.h"

#include <errno.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "app/stripe_reply.h"
#include "base/clock.h"
#include "base/holds.h"
#include "base/random.h"
#include "core/retry.h"
#include "store/rate.h"
#include "stripe/api.h"
#include "stripe/event_list.h"

#define TRIES 4 /* of one page */
#define RETRY_BASE_MS 500
#define RETRY_CAP_MS 5000
#define PAGE_MAXIMUM ((size_t)40 << 20) /* a hundred events with all the metadata that Stripe allows, all escaped */

struct reconciliation {
    struct reconciliation_options options;
    struct reconciliation_report report;
    int64_t grace_from; /* younger events may still be on their way; seconds since 1970 */
    bool livemode;      /* the key's */
    uv_timer_t timer;
    void (*then)(struct reconciliation *run); /* when the timer rings */
    struct rate_call rate_call;
    struct queue_put put;
    struct redis_call ask; /* one of these three at a time */
    struct fetch *fetch;
    unsigned failures; /* of this page */
    struct buffer page;
    struct event_list list;
    size_t left;        /* the first so many items are still to be looked at */
    struct event event; /* the one at hand; borrows from the page */
    char after[EVENT_ID_MAXIMUM + 1];
    struct holds holds; /* the timer, and what Redis has still to say */
};

/* The steps, in their order. */
static void take_moment(struct reconciliation *run);
static void read_page(struct reconciliation *run);
static void next_event(struct reconciliation *run);
static void next_page(struct reconciliation *run);

/* ---- the end */

static void end(struct reconciliation *run, enum reconciliation_end how)
{
    run->report.end = how;
    run->options.on_ended(run->options.context, &run->report);
}

static void fail(struct reconciliation *run, enum reconciliation_end how, const char *reason, const char *error)
{
    job_fault_set(&run->report.fault, reason, "%s", error);
    end(run, how);
}

static void lose_redis(struct reconciliation *run)
{
    fail(run, RECONCILIATION_REDIS, "redis_unavailable", "Redis did not answer: check that it runs, and REDIS_URL");
}

/* ---- waiting */

static void on_timer(uv_timer_t *timer)
{
    struct reconciliation *run = timer->data;
    run->then(run);
}

static void wait_for(struct reconciliation *run, uint64_t wait_ms, void (*then)(struct reconciliation *run))
{
    run->then = then;
    (void)uv_timer_start(&run->timer, on_timer, wait_ms, 0);
}

static void put_away(void *object)
{
    struct reconciliation *run = object;
    buffer_wipe(&run->page);
    free(run);
}

/* Redis has answered. True: the run is being closed, and may be gone. */
static bool is_over(struct reconciliation *run)
{
    bool closing = run->holds.closed != NULL;
    holds_release(&run->holds, put_away, run);
    return closing;
}

static void asked(struct reconciliation *run, int status)
{
    if (status < 0) {
        lose_redis(run);
    } else {
        run->holds.count++;
    }
}

/* ---- a page */

static void on_rate(struct rate_call *call, int64_t wait_ms)
{
    struct reconciliation *run = CONTAINER_OF(call, struct reconciliation, rate_call);
    if (is_over(run)) {
        return;
    }
    if (wait_ms < 0) {
        lose_redis(run);
    } else {
        wait_for(run, (uint64_t)wait_ms, read_page);
    }
}

static void take_moment(struct reconciliation *run)
{
    if (run->options.on_page) {
        run->options.on_page(run->options.context);
    }
    if (run->holds.closed) {
        return; /* by on_page */
    }
    run->rate_call.callback = on_rate;
    asked(run, rate_take(run->options.queue, &run->rate_call, run->livemode, run->options.settings->stripe_rate));
}

static void judge_failure(struct reconciliation *run, const struct api_verdict *verdict)
{
    uint64_t random;
    if (verdict->outcome == API_TRANSIENT && ++run->failures < TRIES && verdict->retry_after_ms <= RETRY_CAP_MS) {
        random_bytes(&random, sizeof(random));
        wait_for(run, retry_delay_ms(run->failures, RETRY_BASE_MS, RETRY_CAP_MS, verdict->retry_after_ms, random),
                 take_moment);
        return;
    }
    run->report.retry_after_ms = verdict->retry_after_ms;
    fail(run, verdict->outcome == API_TRANSIENT ? RECONCILIATION_STRIPE_TRANSIENT : RECONCILIATION_STRIPE_PERMANENT,
         verdict->reason, verdict->error);
}

static void take_page(struct reconciliation *run, struct text body)
{
    buffer_clear(&run->page);
    buffer_append(&run->page, body);
    if (buffer_status(&run->page) < 0) {
        fail(run, RECONCILIATION_STRIPE_TRANSIENT, "out_of_memory", "out of memory");
    } else if (event_list_parse(buffer_text(&run->page), &run->list) != 0) {
        fail(run, RECONCILIATION_STRIPE_TRANSIENT, "stripe_unreadable",
             "Stripe's API answered 200, but not with a list of events: check STRIPE_API_BASE");
    } else {
        run->failures = 0;
        run->left = run->list.count;
        next_event(run);
    }
}

static void on_page(void *context, const struct fetch_result *result)
{
    struct reconciliation *run = context;
    run->fetch = NULL;
    struct api_reply reply = stripe_reply_of(result);
    reply.subject = API_EVENTS;
    struct api_verdict verdict;
    api_judge(&reply, &verdict);
    if (verdict.outcome == API_OK) {
        take_page(run, result->body);
    } else {
        judge_failure(run, &verdict);
    }
}

static void read_page(struct reconciliation *run)
{
    const struct settings *settings = run->options.settings;
    struct api_events_query query = {
        .kinds = settings->events,
        .created_from = run->options.from,
        .undelivered = run->options.undelivered,
        .after = text_of(run->after),
    };
    struct buffer url = {0};
    struct buffer version = {0};
    struct buffer account = {0};
    api_events_url(text_of(settings->stripe_api_base), &query, &url);
    buffer_append_format(&version, "Stripe-Version: %s", settings->stripe_api_version);
    buffer_append_format(&account, "Stripe-Account: %.*s", TEXT_ARGUMENTS(run->options.account));
    struct fetch_request request = {
        .url = url.data,
        .bearer = secret_reveal(&settings->stripe_key).data,
        .headers = {version.data, run->options.account.length > 0 ? account.data : NULL},
        .timeout_ms = settings->stripe_timeout_ms,
        .max_response = PAGE_MAXIMUM,
    };
    int status = buffer_status(&url);
    if (status == 0) {
        status = fetch_start(run->options.fetcher, &request, on_page, run, &run->fetch);
    }
    buffer_free(&url);
    buffer_free(&version);
    buffer_free(&account);
    if (status < 0) {
        fail(run, RECONCILIATION_STRIPE_TRANSIENT, "stripe_misconfigured",
             "the list of events cannot be asked for: check STRIPE_API_BASE");
    }
}

/* ---- an event */

static void note(struct reconciliation *run, enum telemetry_listed found)
{
    run->report.listed[found]++;
    if (run->options.on_event) {
        run->options.on_event(run->options.context, &run->event, found);
    }
}

static void note_answer(struct reconciliation *run, bool was_there)
{
    bool early = run->event.created > run->grace_from;
    note(run, was_there ? LISTED_RECEIVED : early ? LISTED_EARLY : LISTED_MISSED);
}

static void on_put(struct queue_put *put, enum queue_put_outcome outcome)
{
    struct reconciliation *run = CONTAINER_OF(put, struct reconciliation, put);
    if (is_over(run)) {
        return;
    }
    if (outcome == QUEUE_PUT_UNKNOWN) {
        lose_redis(run);
        return;
    }
    note_answer(run, outcome == QUEUE_PUT_DUPLICATE);
    next_event(run);
}

static void on_told(struct redis_call *call, const redisReply *reply)
{
    struct reconciliation *run = CONTAINER_OF(call, struct reconciliation, ask);
    if (is_over(run)) {
        return;
    }
    if (!reply || reply->type != REDIS_REPLY_INTEGER) {
        lose_redis(run);
        return;
    }
    note_answer(run, reply->integer == 1);
    next_event(run);
}

static bool is_wanted(const struct reconciliation *run)
{
    const struct settings *settings = run->options.settings;
    return run->event.kind != EVENT_OTHER && (settings->events & (1u << run->event.kind)) &&
           settings_want_mode(settings, run->event.livemode);
}

/* From the last item of the page, which is the oldest, to the first. */
static void next_event(struct reconciliation *run)
{
    while (run->left > 0) {
        const char *why;
        struct text item = run->list.items[--run->left];
        if (event_parse(item, &run->event, &why) != 0) {
            run->report.listed[LISTED_UNREADABLE]++;
            continue;
        }
        if (!is_wanted(run)) {
            note(run, LISTED_UNWANTED);
            continue;
        }
        if (run->event.account.length == 0) {
            run->event.account = run->options.account; /* its own list does not name it */
        }
        if (run->options.dry_run) {
            run->ask.callback = on_told;
            asked(run, queue_ask(run->options.queue, &run->ask, run->event.id));
        } else {
            run->put.callback = on_put;
            asked(run, queue_put(run->options.queue, &run->put, &run->event, clock_wall_ms(), item));
        }
        return;
    }
    next_page(run);
}

/* The id of the page's last event that has one: the next page begins behind it. */
static struct text last_id(const struct reconciliation *run)
{
    struct event event;
    const char *why;
    for (size_t i = run->list.count; i > 0; i--) {
        if (event_parse(run->list.items[i - 1], &event, &why) == 0) {
            return event.id;
        }
    }
    return (struct text){0};
}

static void next_page(struct reconciliation *run)
{
    if (!run->list.has_more) {
        end(run, RECONCILIATION_COMPLETE);
        return;
    }
    struct text last = last_id(run);
    if (last.length == 0 || text_equal(last, text_of(run->after))) {
        fail(run, RECONCILIATION_STRIPE_TRANSIENT, "stripe_unreadable",
             "Stripe's list of events does not go on where it said that it would: check STRIPE_API_BASE");
        return;
    }
    memcpy(run->after, last.data, last.length);
    run->after[last.length] = '\0';
    take_moment(run);
}

/* ---- all of it */

int reconciliation_start(uv_loop_t *loop, const struct reconciliation_options *options, struct reconciliation **started)
{
    struct reconciliation *run = calloc(1, sizeof(*run));
    if (!run) {
        return -ENOMEM;
    }
    int64_t now = clock_wall_seconds();
    run->options = *options;
    run->grace_from = now - (int64_t)(options->settings->reconcile_grace_ms / 1000);
    run->report.from = options->from;
    run->report.through = run->grace_from;
    run->livemode = api_key_is_live(secret_reveal(&options->settings->stripe_key));
    (void)uv_timer_init(loop, &run->timer);
    run->timer.data = run;
    run->holds.count = 1;
    wait_for(run, 0, take_moment);
    *started = run;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct reconciliation *run = handle->data;
    holds_release(&run->holds, put_away, run);
}

void reconciliation_close(struct reconciliation *run, void (*closed)(void *context), void *context)
{
    holds_close(&run->holds, closed, context);
    if (run->fetch) {
        fetch_cancel(run->fetch);
        run->fetch = NULL;
    }
    uv_close((uv_handle_t *)&run->timer, on_timer_closed);
}
