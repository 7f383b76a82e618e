#include "app/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "stripe/event.h"
#include "stripe/signature_help.h"

#define HELP_INTERVAL_MS 1000 /* explaining a bad signature costs several: not for each */
#define POOL_MAXIMUM 1024

struct intake {
    const struct settings *settings;
    struct queue *queue;
    struct signature_keys *keys;
    struct telemetry *telemetry;
    const struct replies *replies;
    struct list pool; /* of struct pending */
    size_t pooled;
    size_t waiting;
};

/* A request whose event is on its way to Redis. */
struct pending {
    struct list link;
    struct waiter waiter;
    struct queue_put put;
    struct intake *intake;
    struct conn *conn; /* NULL: the client has gone; the event is queued all the same */
    uint64_t started_ns;
    uint64_t handed_ns; /* to Redis */
    size_t event_length;
    char event[EVENT_ID_MAXIMUM];
};

/* ---- answers */

/* Answers a request that came at `started_ns`; 0: not timed. `message` is NULL where the kind has its own. */
static void finish(struct intake *intake, struct conn *conn, enum answer kind, struct text event, uint64_t started_ns,
                   const char *message)
{
    uint64_t duration_ns = started_ns != 0 ? clock_monotonic_ns() - started_ns : 0;
    reply_give(intake->replies, conn,
               &(struct reply){.answer = kind,
                               .event = event,
                               .duration_ns = duration_ns,
                               .message = message,
                               .body = kind == ANSWER_DUPLICATE ? TEXT("{\"received\":true,\"duplicate\":true}")
                                                                : TEXT("{\"received\":true,\"duplicate\":false}")});
}

/* ---- requests that wait for Redis */

static struct pending *take_pending(struct intake *intake)
{
    struct list *first = list_first(&intake->pool);
    if (!first) {
        return calloc(1, sizeof(struct pending));
    }
    list_remove(first);
    intake->pooled--;
    return LIST_OBJECT(first, struct pending, link);
}

static void give_back(struct intake *intake, struct pending *pending)
{
    if (intake->pooled >= POOL_MAXIMUM) {
        free(pending);
        return;
    }
    list_append(&intake->pool, &pending->link);
    intake->pooled++;
}

static void on_gone(struct waiter *waiter)
{
    CONTAINER_OF(waiter, struct pending, waiter)->conn = NULL;
}

static void set_waiting(struct intake *intake, size_t waiting)
{
    intake->waiting = waiting;
    telemetry_set(&intake->telemetry->waiting_for_redis, waiting);
}

static void on_put(struct queue_put *put, enum queue_put_outcome outcome)
{
    static const enum answer answers[] = {[QUEUE_PUT_QUEUED] = ANSWER_QUEUED,
                                          [QUEUE_PUT_DUPLICATE] = ANSWER_DUPLICATE,
                                          [QUEUE_PUT_UNKNOWN] = ANSWER_QUEUE_UNAVAILABLE};
    struct pending *pending = CONTAINER_OF(put, struct pending, put);
    struct intake *intake = pending->intake;
    struct conn *conn = pending->conn;
    uint64_t now_ns = clock_monotonic_ns();
    if (outcome != QUEUE_PUT_UNKNOWN) {
        telemetry_observe(&intake->telemetry->confirm_time, now_ns - pending->handed_ns);
    }
    set_waiting(intake, intake->waiting - 1);
    struct text event = {.data = pending->event, .length = pending->event_length};
    if (conn) {
        finish(intake, conn, answers[outcome], event, pending->started_ns, NULL);
    } else {
        struct reply reply = {.answer = answers[outcome], .duration_ns = now_ns - pending->started_ns};
        reply_note(intake->replies, NULL, &reply);
    }
    give_back(intake, pending);
}

/* Hands the event to Redis. 0 or a negative code: then on_put() will not run. */
static int put_event(struct intake *intake, struct conn *conn, const struct event *event, struct text body,
                     uint64_t started_ns)
{
    struct pending *pending = take_pending(intake);
    if (!pending) {
        return -ENOMEM;
    }
    pending->waiter.gone = on_gone;
    pending->intake = intake;
    pending->conn = conn;
    pending->started_ns = started_ns;
    pending->handed_ns = clock_monotonic_ns();
    pending->event_length = event->id.length;
    memcpy(pending->event, event->id.data, event->id.length);
    pending->put.callback = on_put;
    int status = queue_put(intake->queue, &pending->put, event, clock_wall_ms(), body);
    if (status < 0) {
        give_back(intake, pending);
        return status;
    }
    set_waiting(intake, intake->waiting + 1);
    conn_set_waiting(conn, &pending->waiter);
    return 0;
}

/* ---- refusing */

/* The operator is told the likely cause; the client, which may be anyone, only what is wrong. */
static void explain_signature(struct intake *intake, struct conn *conn, struct text header, struct text body,
                              const struct signature_result *result, int64_t tolerance)
{
    static struct log_limit limits[SIGNATURE_VERDICTS];
    uint64_t suppressed;
    if (!log_limit_pass(&limits[result->verdict], HELP_INTERVAL_MS, &suppressed)) {
        return;
    }
    struct signature_help help;
    char peer[CONN_PEER_SIZE];
    conn_peer(conn, peer);
    signature_explain(intake->keys, header, body, result, tolerance, &help);
    telemetry_add(&intake->telemetry->signature_causes[help.cause], 1);
    log_warn("signature refused", LOG_STRING("code", signature_verdict_code(result->verdict)),
             LOG_STRING("cause", signature_cause_name(help.cause)), LOG_STRING("help", help.message),
             LOG_STRING("peer", peer), LOG_STRING("request_id", conn_request_id(conn)),
             LOG_NUMBER("suppressed", suppressed));
}

static void log_bad_event(const struct conn *conn, const char *why)
{
    static struct log_limit limit;
    uint64_t suppressed;
    if (log_limit_pass(&limit, HELP_INTERVAL_MS, &suppressed)) {
        log_warn("signed request is not an event", LOG_STRING("why", why),
                 LOG_STRING("request_id", conn_request_id(conn)), LOG_NUMBER("suppressed", suppressed));
    }
}

/* ---- the way of a request */

static void take_event(struct intake *intake, struct conn *conn, struct text body, uint64_t started_ns)
{
    struct event event;
    const char *why;
    if (event_parse(body, &event, &why) != 0) {
        log_bad_event(conn, why);
        finish(intake, conn, ANSWER_INVALID_EVENT, (struct text){0}, started_ns, why);
        return;
    }
    if (event.kind == EVENT_OTHER || !(intake->settings->events & (1u << event.kind))) {
        finish(intake, conn, ANSWER_NOT_SELECTED, event.id, started_ns, NULL);
        return;
    }
    if (!settings_want_mode(intake->settings, event.livemode)) {
        finish(intake, conn, ANSWER_OTHER_MODE, event.id, started_ns, NULL);
        return;
    }
    int status = put_event(intake, conn, &event, body, started_ns);
    if (status < 0) {
        enum answer kind = status == -ENOTCONN ? ANSWER_QUEUE_UNAVAILABLE : ANSWER_OVERLOADED;
        finish(intake, conn, kind, event.id, started_ns, NULL);
    }
}

static void take_request(void *context, struct conn *conn, const struct http_request *request)
{
    struct intake *intake = context;
    static const enum answer answers[SIGNATURE_VERDICTS] = {
        [SIGNATURE_MISSING] = ANSWER_SIGNATURE_MISSING,
        [SIGNATURE_MALFORMED] = ANSWER_SIGNATURE_MALFORMED,
        [SIGNATURE_MISMATCH] = ANSWER_SIGNATURE_MISMATCH,
        [SIGNATURE_STALE] = ANSWER_SIGNATURE_STALE,
    };
    uint64_t started_ns = clock_monotonic_ns();
    int64_t tolerance = (int64_t)(intake->settings->signature_tolerance_ms / 1000);
    struct text header = http_request_header(request, TEXT("stripe-signature"));
    struct signature_result result;
    if (signature_verify(intake->keys, header, request->body, clock_wall_seconds(), tolerance, &result) ==
        SIGNATURE_VALID) {
        take_event(intake, conn, request->body, started_ns);
        return;
    }
    explain_signature(intake, conn, header, request->body, &result, tolerance);
    finish(intake, conn, answers[result.verdict], (struct text){0}, started_ns, NULL);
}

/* ---- the intake */

int intake_create(const struct intake_options *options, struct intake **created)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (!intake) {
        signature_keys_free(options->keys);
        return -ENOMEM;
    }
    intake->settings = options->settings;
    intake->queue = options->queue;
    intake->keys = options->keys;
    intake->telemetry = options->telemetry;
    intake->replies = options->replies;
    list_init(&intake->pool);
    *created = intake;
    return 0;
}

void intake_free(struct intake *intake)
{
    if (!intake) {
        return;
    }
    LIST_EACH(&intake->pool, link, following)
    {
        free(LIST_OBJECT(link, struct pending, link));
    }
    signature_keys_free(intake->keys);
    free(intake);
}

void intake_set_keys(struct intake *intake, struct signature_keys *keys)
{
    signature_keys_free(intake->keys);
    intake->keys = keys;
}

struct route intake_route(struct intake *intake)
{
    return (struct route){
        .path = intake->settings->webhook_path, .allow = "POST", .take = take_request, .context = intake};
}
