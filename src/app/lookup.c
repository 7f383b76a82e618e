#include "app/lookup.h"

#include <errno.h>
#include <stdlib.h>

#include "app/stripe_reply.h"
#include "base/clock.h"
#include "base/holds.h"
#include "base/log.h"
#include "core/breaker.h"
#include "core/decision.h"
#include "core/recall.h"
#include "stripe/api.h"

#define SESSION_MAXIMUM (1u << 20) /* bytes of a session's JSON */
#define PAUSE_DOUBLINGS 16         /* the breaker's longest pause is so many times the first one */
#define SLOW_PAUSE_MS 1000         /* for the fleet, after a 429 without Retry-After */
#define SLOW_PAUSE_MOST_MS 60000

struct lookups {
    struct lookups_options options;
    uv_loop_t *loop;
    uv_timer_t timer; /* rings when the first that waits is to be woken */
    struct list waiting;
    struct breaker breaker;
    struct recall recall;
    struct redis_call slow_call;
    bool slowing;       /* Redis has still to answer it */
    struct holds holds; /* the timer, and that call */
};

/* The steps, in their order. */
static void serve(struct lookup *lookup);
static int begin(struct lookup *lookup);
static void on_rate(struct rate_call *call, int64_t wait_ms);
static void fetch_session(struct lookup *lookup);
static void on_fetched(void *context, const struct fetch_result *fetched);

static void end(struct lookup *lookup, const struct lookup_result *result)
{
    lookup->state = LOOKUP_IDLE;
    lookup->ended(lookup, result);
}

/* ---- waiting */

static void on_timer(uv_timer_t *timer);

static void wind(struct lookups *lookups)
{
    uint64_t now = uv_now(lookups->loop);
    uint64_t soonest = UINT64_MAX;
    LIST_EACH(&lookups->waiting, member, following)
    {
        uint64_t at = LIST_OBJECT(member, struct lookup, link)->wake_at_ms;
        soonest = at < soonest ? at : soonest;
    }
    if (soonest == UINT64_MAX || lookups->holds.closed) {
        (void)uv_timer_stop(&lookups->timer);
    } else {
        (void)uv_timer_start(&lookups->timer, on_timer, soonest > now ? soonest - now : 0, 0);
    }
}

static void wait_for(struct lookup *lookup, enum lookup_state state, uint64_t wait_ms)
{
    lookup->state = state;
    lookup->wake_at_ms = uv_now(lookup->owner->loop) + wait_ms;
    list_append(&lookup->owner->waiting, &lookup->link);
    wind(lookup->owner);
}

static void wake(struct lookup *lookup)
{
    list_remove(&lookup->link);
    bool passes = lookup->probes || !breaker_is_open(&lookup->owner->breaker); /* it may have opened meanwhile */
    if (lookup->state == LOOKUP_SERVED) {
        serve(lookup);
    } else if (lookup->state == LOOKUP_PACED && passes) {
        fetch_session(lookup);
    } else if (begin(lookup) < 0) {
        end(lookup, &(struct lookup_result){.outcome = LOOKUP_UNASKED});
    }
}

/* Of those whose time has come the one with the oldest event: what Stripe shows for 48 hours only ends first there. */
static struct lookup *first_due(const struct lookups *lookups)
{
    struct lookup *first = NULL;
    LIST_EACH(&lookups->waiting, member, following)
    {
        struct lookup *lookup = LIST_OBJECT(member, struct lookup, link);
        bool due = lookup->wake_at_ms <= uv_now(lookups->loop);
        if (due && (!first || lookup->entry->created < first->entry->created)) {
            first = lookup;
        }
    }
    return first;
}

static void on_timer(uv_timer_t *timer)
{
    struct lookups *lookups = timer->data;
    struct lookup *lookup = first_due(lookups);
    if (lookup) {
        wake(lookup);
    }
    wind(lookups); /* for the next one, at once where it is due, too */
}

/* ---- the breaker */

static void wake_held(struct lookups *lookups)
{
    LIST_EACH(&lookups->waiting, member, following)
    {
        struct lookup *lookup = LIST_OBJECT(member, struct lookup, link);
        lookup->wake_at_ms = lookup->state == LOOKUP_HELD ? uv_now(lookups->loop) : lookup->wake_at_ms;
    }
    wind(lookups);
}

/* For a lookup that was given up. */
static const struct api_verdict nothing = {.reason = ""};

static void tell_change(struct lookups *lookups, const struct api_verdict *verdict)
{
    bool open = breaker_is_open(&lookups->breaker);
    struct telemetry *telemetry = lookups->options.telemetry;
    telemetry_set(&telemetry->breakers_open[BREAKER_OF_STRIPE], open ? 1 : 0);
    telemetry_add(&telemetry->breakers_opened[BREAKER_OF_STRIPE], open ? 1 : 0);
    if (open) {
        log_error("Stripe is not asked for a while, and events wait: too many reads in a row have failed",
                  LOG_NUMBER("failed", lookups->options.settings->breaker_faults),
                  LOG_STRING("reason", verdict->reason), LOG_STRING("error", verdict->error));
    } else {
        log_info("Stripe answers again, and events go on", LOG_STRING("reason", verdict->reason));
    }
}

static void tell(struct lookup *lookup, enum breaker_news news, const struct api_verdict *verdict)
{
    struct lookups *lookups = lookup->owner;
    const struct settings *settings = lookups->options.settings;
    struct breaker_limits limits = {
        .faults = (unsigned)settings->breaker_faults,
        .pause_ms = settings->breaker_pause_ms,
        .pause_most_ms = settings->breaker_pause_ms * PAUSE_DOUBLINGS,
    };
    bool was_open = breaker_is_open(&lookups->breaker);
    if (was_open && !lookup->probes && news != BREAKER_SUCCESS) {
        return; /* it began before: only the probe is heard */
    }
    lookup->probes = false;
    if (breaker_tell(&lookups->breaker, &limits, uv_now(lookups->loop), news)) {
        tell_change(lookups, verdict);
    }
    if (was_open) {
        wake_held(lookups); /* to ask again */
    }
}

static enum breaker_news news_of(const struct api_verdict *verdict)
{
    if (verdict->outcome == API_OK) {
        return BREAKER_SUCCESS;
    }
    if (verdict->scope == API_SCOPE_SERVICE || verdict->scope == API_SCOPE_KEY) {
        return BREAKER_FAULT;
    }
    /* A session that Stripe does not know shows that it knows the key, and answers. */
    return verdict->outcome == API_PERMANENT && verdict->scope == API_SCOPE_REQUEST ? BREAKER_SUCCESS : BREAKER_UNKNOWN;
}

/* ---- an answer that is there already */

/* When the event came into the stream, by Redis's clock: its id is "MS-N". */
static int64_t came_in_ms(const struct entry *entry)
{
    uint64_t ms;
    struct text rest = entry->id;
    return text_to_unsigned(text_cut(&rest, '-'), INT64_MAX, &ms) == 0 ? (int64_t)ms : INT64_MAX;
}

/* The session by that answer; NULL when none can serve. */
static struct session *recalled(const struct lookup *lookup)
{
    struct lookups *lookups = lookup->owner;
    struct recall_name name = {.account = lookup->entry->account, .session = lookup->entry->session};
    struct recall_times times = {.redis_ms = came_in_ms(lookup->entry), .now_ms = uv_now(lookups->loop)};
    struct text body = lookup->first_try ? recall_find(&lookups->recall, &name, times) : (struct text){0};
    struct session *session = NULL;
    if (body.length == 0 || session_parse(body, lookups->options.settings->verified_outputs, &session) != 0) {
        return NULL;
    }
    if (decision_make(lookup->entry->kind, session) == DECISION_ACT) {
        return session;
    }
    session_free(session);
    return NULL;
}

static void serve(struct lookup *lookup)
{
    struct session *session = recalled(lookup);
    if (session) {
        telemetry_add(&lookup->owner->options.telemetry->fetches_spared, 1);
        end(lookup, &(struct lookup_result){.outcome = LOOKUP_FOUND, .session = session});
    } else if (begin(lookup) < 0) {
        end(lookup, &(struct lookup_result){.outcome = LOOKUP_UNASKED});
    }
}

static void keep(const struct lookup *lookup, struct text body)
{
    struct recall_name name = {.account = lookup->entry->account, .session = lookup->entry->session};
    struct recall_times times = {.redis_ms = lookup->rate_call.now_ms, .now_ms = uv_now(lookup->owner->loop)};
    recall_keep(&lookup->owner->recall, &name, times, body);
}

/* ---- a moment */

static int begin(struct lookup *lookup)
{
    struct lookups *lookups = lookup->owner;
    uint64_t wait_ms;
    if (!breaker_ask(&lookups->breaker, uv_now(lookups->loop), &wait_ms)) {
        wait_for(lookup, LOOKUP_HELD, wait_ms);
        return 0;
    }
    lookup->probes = breaker_is_open(&lookups->breaker);
    lookup->state = LOOKUP_ASKING;
    lookup->rate_call.callback = on_rate;
    int status = rate_take(lookups->options.queue, &lookup->rate_call, lookup->entry->livemode,
                           lookups->options.settings->stripe_rate);
    if (status < 0) {
        lookup->state = LOOKUP_IDLE;
        tell(lookup, BREAKER_UNKNOWN, &nothing);
    }
    return status;
}

static void on_rate(struct rate_call *call, int64_t wait_ms)
{
    struct lookup *lookup = CONTAINER_OF(call, struct lookup, rate_call);
    if (wait_ms < 0) {
        tell(lookup, BREAKER_UNKNOWN, &nothing);
        end(lookup, &(struct lookup_result){.outcome = LOOKUP_UNASKED});
    } else if (wait_ms == 0) {
        fetch_session(lookup);
    } else {
        wait_for(lookup, LOOKUP_PACED, (uint64_t)wait_ms);
    }
}

/* ---- the fetch */

static void put_away(void *object)
{
    struct lookups *lookups = object;
    recall_clear(&lookups->recall);
    free(lookups);
}

/* Redis's word is not waited for: without it the next 429 tells it again. */
static void on_slowed(struct redis_call *call, const struct redisReply *reply)
{
    struct lookups *lookups = CONTAINER_OF(call, struct lookups, slow_call);
    (void)reply;
    lookups->slowing = false;
    holds_release(&lookups->holds, put_away, lookups);
}

static void slow_down(struct lookup *lookup, const struct api_verdict *verdict)
{
    static struct log_limit limit;
    struct lookups *lookups = lookup->owner;
    uint64_t pause_ms = verdict->retry_after_ms > 0 ? verdict->retry_after_ms : SLOW_PAUSE_MS;
    pause_ms = pause_ms < SLOW_PAUSE_MOST_MS ? pause_ms : SLOW_PAUSE_MOST_MS;
    uint64_t left_out;
    if (log_limit_pass(&limit, SLOW_PAUSE_MOST_MS, &left_out)) {
        log_warn("Stripe is asked more slowly for a while", LOG_STRING("reason", verdict->reason),
                 LOG_STRING("error", verdict->error), LOG_NUMBER("pause_ms", pause_ms),
                 LOG_NUMBER("left_out", left_out));
    }
    if (!lookups->slowing) {
        lookups->slow_call.callback = on_slowed;
        lookups->slowing =
            rate_slow(lookups->options.queue, &lookups->slow_call, lookup->entry->livemode, pause_ms) == 0;
        lookups->holds.count += lookups->slowing ? 1 : 0;
    }
}

static void count(const struct lookup *lookup, enum api_outcome outcome)
{
    static const enum telemetry_result results[] = {
        [API_OK] = RESULT_DONE, [API_TRANSIENT] = RESULT_TRANSIENT, [API_PERMANENT] = RESULT_PERMANENT};
    struct telemetry *telemetry = lookup->owner->options.telemetry;
    telemetry_add(&telemetry->fetches[results[outcome]], 1);
    telemetry_observe(&telemetry->fetch_time, clock_monotonic_ns() - lookup->started_ns);
}

static bool is_late(const struct lookup *lookup)
{
    int64_t age_s = clock_wall_seconds() - lookup->entry->created;
    return session_has_sensitive(lookup->owner->options.settings->verified_outputs) &&
           age_s > (int64_t)API_SENSITIVE_HOURS * 3600;
}

static void judge(const struct lookup *lookup, const struct fetch_result *fetched, struct api_verdict *verdict)
{
    struct api_reply reply = stripe_reply_of(fetched);
    reply.subject = API_SESSION;
    reply.key_is_live = api_key_is_live(secret_reveal(&lookup->owner->options.settings->stripe_key));
    reply.event_is_live = lookup->entry->livemode;
    reply.of_account = lookup->entry->account.length > 0;
    reply.is_late = is_late(lookup);
    api_judge(&reply, verdict);
}

static void read_session(const struct lookup *lookup, struct text body, struct api_verdict *verdict,
                         struct session **session)
{
    if (session_parse(body, lookup->owner->options.settings->verified_outputs, session) != 0) {
        *verdict = (struct api_verdict){
            .outcome = API_TRANSIENT,
            .scope = API_SCOPE_SERVICE,
            .reason = "stripe_unreadable",
            .error = "Stripe's API answered 200, but not with a session: check STRIPE_API_BASE",
        };
    }
}

static void end_judged(struct lookup *lookup, const struct api_verdict *verdict, struct session *session)
{
    static const enum lookup_outcome outcomes[] = {
        [API_OK] = LOOKUP_FOUND, [API_TRANSIENT] = LOOKUP_TRANSIENT, [API_PERMANENT] = LOOKUP_PERMANENT};
    struct lookup_result result = {
        .outcome = outcomes[verdict->outcome], .session = session, .retry_after_ms = verdict->retry_after_ms};
    job_fault_set(&result.fault, verdict->reason, "%s", verdict->error);
    end(lookup, &result);
}

static void on_fetched(void *context, const struct fetch_result *fetched)
{
    struct lookup *lookup = context;
    struct api_verdict verdict;
    struct session *session = NULL;
    lookup->fetch = NULL;
    judge(lookup, fetched, &verdict);
    count(lookup, verdict.outcome);
    if (verdict.outcome == API_OK) {
        read_session(lookup, fetched->body, &verdict, &session);
        keep(lookup, fetched->body);
    } else if (verdict.scope == API_SCOPE_RATE) {
        slow_down(lookup, &verdict);
    }
    tell(lookup, news_of(&verdict), &verdict);
    end_judged(lookup, &verdict, session);
}

static void fetch_session(struct lookup *lookup)
{
    const struct settings *settings = lookup->owner->options.settings;
    const struct entry *entry = lookup->entry;
    struct buffer url = {0};
    struct buffer version = {0};
    struct buffer account = {0};
    buffer_append_format(&version, "Stripe-Version: %s", settings->stripe_api_version);
    buffer_append_format(&account, "Stripe-Account: %.*s", TEXT_ARGUMENTS(entry->account));
    int status = api_session_url(text_of(settings->stripe_api_base), entry->session, settings->verified_outputs, &url);
    struct fetch_request request = {
        .url = url.data,
        .bearer = secret_reveal(&settings->stripe_key).data,
        .headers = {version.data, entry->account.length > 0 ? account.data : NULL},
        .timeout_ms = settings->stripe_timeout_ms,
        .max_response = SESSION_MAXIMUM,
    };
    lookup->state = LOOKUP_FETCHING;
    lookup->started_ns = clock_monotonic_ns();
    if (status == 0) {
        status = fetch_start(lookup->owner->options.fetcher, &request, on_fetched, lookup, &lookup->fetch);
    }
    buffer_free(&url);
    buffer_free(&version);
    buffer_free(&account);
    if (status < 0) {
        struct api_verdict verdict = {.outcome = API_TRANSIENT,
                                      .reason = "stripe_misconfigured",
                                      .error = "the session cannot be asked for: check STRIPE_API_BASE"};
        tell(lookup, BREAKER_UNKNOWN, &verdict);
        end_judged(lookup, &verdict, NULL);
    }
}

/* ---- for the caller */

int lookup_start(struct lookups *lookups, struct lookup *lookup)
{
    lookup->owner = lookups;
    lookup->fetch = NULL;
    struct session *session = recalled(lookup);
    if (session) {
        session_free(session);
        wait_for(lookup, LOOKUP_SERVED, 0); /* never inside of this call */
        return 0;
    }
    return begin(lookup);
}

bool lookup_cancel(struct lookup *lookup)
{
    if (lookup->state == LOOKUP_ASKING) {
        return false;
    }
    lookup->state = LOOKUP_IDLE;
    list_remove(&lookup->link);
    if (lookup->fetch) {
        fetch_cancel(lookup->fetch);
        lookup->fetch = NULL;
    }
    if (lookup->probes) {
        tell(lookup, BREAKER_UNKNOWN, &nothing);
    }
    return true;
}

int lookups_open(uv_loop_t *loop, const struct lookups_options *options, struct lookups **opened)
{
    struct lookups *lookups = calloc(1, sizeof(*lookups));
    if (!lookups) {
        return -ENOMEM;
    }
    lookups->options = *options;
    lookups->loop = loop;
    list_init(&lookups->waiting);
    (void)uv_timer_init(loop, &lookups->timer);
    lookups->timer.data = lookups;
    lookups->holds.count = 1;
    *opened = lookups;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct lookups *lookups = handle->data;
    holds_release(&lookups->holds, put_away, lookups);
}

void lookups_close(struct lookups *lookups, void (*closed)(void *context), void *context)
{
    holds_close(&lookups->holds, closed, context);
    uv_close((uv_handle_t *)&lookups->timer, on_timer_closed);
}
