#include "app/intake.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "stripe/event.h"
#include "stripe/signature_help.h"

#define HELP_INTERVAL_MS 1000 /* explaining a bad signature costs several: not for each */
#define RETRY_AFTER_S 5
#define POOL_MAXIMUM 1024

struct intake {
    const struct settings *settings;
    struct queue *queue;
    struct signature_keys *keys;
    struct telemetry *telemetry;
    struct list pool; /* of struct pending */
    size_t pooled;
    size_t waiting;
};

/* A request whose event is on its way to Redis. */
struct pending {
    struct list link;
    struct queue_put put;
    struct intake *intake;
    struct conn *conn; /* NULL: the client has gone; the event is queued all the same */
    uint64_t started_ns;
    uint64_t handed_ns; /* to Redis */
};

/* ---- answers */

static void count_answer(struct intake *intake, enum telemetry_answer answer, uint64_t started_ns)
{
    telemetry_add(&intake->telemetry->answers[answer], 1);
    if (started_ns != 0) {
        telemetry_observe(&intake->telemetry->answer_time, clock_monotonic_ns() - started_ns);
    }
}

static void answer_received(struct conn *conn, bool duplicate)
{
    struct http_answer answer = {
        .status = 200,
        .body = duplicate ? TEXT("{\"received\":true,\"duplicate\":true}")
                          : TEXT("{\"received\":true,\"duplicate\":false}"),
    };
    conn_answer(conn, &answer);
}

static void answer_unavailable(struct conn *conn, bool overloaded)
{
    struct http_answer answer = {.status = 503, .retry_after_s = RETRY_AFTER_S};
    if (overloaded) {
        conn_answer_error(conn, &answer, "overloaded", "too many events wait to be stored; send it again later");
    } else {
        conn_answer_error(conn, &answer, "queue_unavailable", "the event could not be stored; send it again later");
    }
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

static void set_waiting(struct intake *intake, size_t waiting)
{
    intake->waiting = waiting;
    telemetry_set(&intake->telemetry->waiting_for_redis, waiting);
}

static void on_put(struct queue_put *put, enum queue_put_outcome outcome)
{
    static const enum telemetry_answer answers[] = {[QUEUE_PUT_QUEUED] = ANSWER_QUEUED,
                                                    [QUEUE_PUT_DUPLICATE] = ANSWER_DUPLICATE,
                                                    [QUEUE_PUT_UNKNOWN] = ANSWER_QUEUE_UNAVAILABLE};
    struct pending *pending = CONTAINER_OF(put, struct pending, put);
    struct intake *intake = pending->intake;
    struct conn *conn = pending->conn;
    uint64_t now_ns = clock_monotonic_ns();
    telemetry_add(&intake->telemetry->answers[answers[outcome]], 1);
    telemetry_observe(&intake->telemetry->answer_time, now_ns - pending->started_ns);
    if (outcome != QUEUE_PUT_UNKNOWN) {
        telemetry_observe(&intake->telemetry->confirm_time, now_ns - pending->handed_ns);
    }
    set_waiting(intake, intake->waiting - 1);
    give_back(intake, pending);
    if (!conn) {
        return;
    }
    if (outcome == QUEUE_PUT_UNKNOWN) {
        answer_unavailable(conn, false);
    } else {
        answer_received(conn, outcome == QUEUE_PUT_DUPLICATE);
    }
}

static void put_event(struct intake *intake, struct conn *conn, const struct event *event, struct text body,
                      uint64_t started_ns)
{
    struct pending *pending = take_pending(intake);
    int status = pending ? 0 : -ENOMEM;
    if (pending) {
        pending->intake = intake;
        pending->conn = conn;
        pending->started_ns = started_ns;
        pending->handed_ns = clock_monotonic_ns();
        pending->put.callback = on_put;
        status = queue_put(intake->queue, &pending->put, event, clock_wall_ms(), body);
    }
    if (status == 0) {
        set_waiting(intake, intake->waiting + 1);
        conn_set_waiting(conn, pending);
        return;
    }
    if (pending) {
        give_back(intake, pending);
    }
    bool overloaded = status != -ENOTCONN;
    count_answer(intake, overloaded ? ANSWER_OVERLOADED : ANSWER_QUEUE_UNAVAILABLE, started_ns);
    answer_unavailable(conn, overloaded);
}

static void on_gone(void *context, struct conn *conn, void *waiting)
{
    struct pending *pending = waiting;
    (void)context;
    (void)conn;
    if (pending) {
        pending->conn = NULL;
    }
}

/* ---- refusing */

/* The operator is told the likely cause; the client, which may be anyone, only what is wrong. */
static void log_bad_signature(struct intake *intake, struct conn *conn, struct text header, struct text body,
                              const struct signature_result *result, int64_t tolerance)
{
    static struct log_limit limits[SIGNATURE_VERDICTS];
    uint64_t suppressed;
    if (!log_is_on(LOG_WARN) || !log_limit_pass(&limits[result->verdict], HELP_INTERVAL_MS, &suppressed)) {
        return;
    }
    struct signature_help help;
    char peer[CONN_PEER_SIZE];
    conn_peer(conn, peer);
    signature_explain(intake->keys, header, body, result, tolerance, &help);
    log_warn("signature refused", LOG_STRING("code", signature_verdict_code(result->verdict)),
             LOG_STRING("cause", signature_cause_name(help.cause)), LOG_STRING("help", help.message),
             LOG_STRING("peer", peer), LOG_STRING("request_id", conn_request_id(conn)),
             LOG_NUMBER("suppressed", suppressed));
}

static void refuse_signature(struct intake *intake, struct conn *conn, struct text header, struct text body,
                             const struct signature_result *result, int64_t tolerance)
{
    static const char *const messages[SIGNATURE_VERDICTS] = {
        [SIGNATURE_MISSING] = "the Stripe-Signature header is missing",
        [SIGNATURE_MALFORMED] = "the Stripe-Signature header is not t=…,v1=…",
        [SIGNATURE_MISMATCH] = "no signature in the Stripe-Signature header is one of this endpoint's for this body",
        [SIGNATURE_STALE] = "the signature's time is too far from now",
    };
    log_bad_signature(intake, conn, header, body, result, tolerance);
    struct http_answer answer = {.status = 400};
    conn_answer_error(conn, &answer, signature_verdict_code(result->verdict), messages[result->verdict]);
}

static void refuse_event(struct conn *conn, const char *why)
{
    static struct log_limit limit;
    uint64_t suppressed;
    if (log_limit_pass(&limit, HELP_INTERVAL_MS, &suppressed)) {
        log_warn("signed request is not an event", LOG_STRING("why", why),
                 LOG_STRING("request_id", conn_request_id(conn)), LOG_NUMBER("suppressed", suppressed));
    }
    struct http_answer answer = {.status = 400};
    conn_answer_error(conn, &answer, "invalid_event", why);
}

static bool is_wanted_mode(const struct intake *intake, bool livemode)
{
    return intake->settings->livemode == LIVEMODE_ANY || (intake->settings->livemode == LIVEMODE_LIVE) == livemode;
}

/* ---- the way of a request */

static void take_event(struct intake *intake, struct conn *conn, struct text body, uint64_t started_ns)
{
    struct event event;
    const char *why;
    if (event_parse(body, &event, &why) != 0) {
        count_answer(intake, ANSWER_INVALID_EVENT, started_ns);
        refuse_event(conn, why);
    } else if (event.kind == EVENT_OTHER || !(intake->settings->events & (1u << event.kind))) {
        count_answer(intake, ANSWER_NOT_SELECTED, started_ns);
        answer_received(conn, false);
    } else if (!is_wanted_mode(intake, event.livemode)) {
        count_answer(intake, ANSWER_OTHER_MODE, started_ns);
        answer_received(conn, false);
    } else {
        put_event(intake, conn, &event, body, started_ns);
    }
}

static void take_request(struct intake *intake, struct conn *conn, const struct http_request *request)
{
    static const enum telemetry_answer answers[SIGNATURE_VERDICTS] = {
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
    count_answer(intake, answers[result.verdict], started_ns);
    refuse_signature(intake, conn, header, request->body, &result, tolerance);
}

static void on_request(void *context, struct conn *conn, const struct http_request *request)
{
    struct intake *intake = context;
    if (!text_equal(request->path, text_of(intake->settings->webhook_path))) {
        struct http_answer answer = {.status = 404};
        count_answer(intake, ANSWER_NOT_FOUND, 0);
        conn_answer_error(conn, &answer, "not_found", "there is nothing at this path; post events to the webhook path");
    } else if (!text_equal(text_of(request->method), TEXT("POST"))) {
        struct http_answer answer = {.status = 405, .allow = "POST"};
        count_answer(intake, ANSWER_METHOD_NOT_ALLOWED, 0);
        conn_answer_error(conn, &answer, "method_not_allowed", "use POST");
    } else {
        take_request(intake, conn, request);
    }
}

static enum telemetry_answer answer_of(const struct http_fault *fault)
{
    switch (fault->status) {
    case 408:
        return ANSWER_REQUEST_TIMEOUT;
    case 413:
        return ANSWER_BODY_TOO_LARGE;
    case 414:
        return ANSWER_URL_TOO_LONG;
    case 417:
        return ANSWER_EXPECTATION_FAILED;
    case 431:
        return ANSWER_HEADERS_TOO_LARGE;
    default:
        return ANSWER_BAD_REQUEST;
    }
}

static void on_refused(void *context, struct conn *conn, const struct http_fault *fault)
{
    struct intake *intake = context;
    count_answer(intake, answer_of(fault), 0);
    log_debug("request refused", LOG_NUMBER("status", fault->status), LOG_STRING("code", fault->code),
              LOG_STRING("request_id", conn_request_id(conn)));
}

const struct conn_handler intake_handler = {.on_request = on_request, .on_gone = on_gone, .on_refused = on_refused};

/* ---- the intake */

int intake_create(const struct settings *settings, struct queue *queue, struct signature_keys *keys,
                  struct telemetry *telemetry, struct intake **created)
{
    struct intake *intake = calloc(1, sizeof(*intake));
    if (!intake) {
        signature_keys_free(keys);
        return -ENOMEM;
    }
    intake->settings = settings;
    intake->queue = queue;
    intake->keys = keys;
    intake->telemetry = telemetry;
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
