#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/log.h"
#include "session_desk_private.h"
#include "store/rate.h"

/*
 * One request for a session.
 *
 * Happy path: pace → admit → create → enrol → hand out; or, for a user who has a session, pace → admit → look → note →
 * hand out. A native client's ephemeral key is fetched before that.
 *
 * Failure modes: somebody else creates the user's session: wait for that. The session is gone (canceled, redacted, made
 * with another key): note that, and begin again. Stripe or Redis does not answer: an error, and the claim on creating
 * the session ends; its idempotency key stays where it is not known what came of it. The client goes away: all the same
 * to its end, for what was created must be known.
 */
#define BUSY_INTERVAL_MS 100
#define ROUNDS_MAXIMUM 3     /* beginnings: more than one session in a row that is gone is strange */
#define CLAIM_MARGIN_MS 5000 /* a claim outlives the time that its owner has, by Redis's answers */
#define VALUE_MAXIMUM 1024   /* bytes of a secret or a URL: it goes into a header */
#define SESSIONS_PATH "/v1/identity/verification_sessions"

struct enrolment {
    struct list link;
    struct waiter waiter;
    struct session_desk *desk;
    struct conn *conn; /* NULL: the client has gone */
    struct visitor visitor;
    enum integration integration;
    bool is_form;
    bool abandoned;
    bool created;   /* the session is new */
    bool uncertain; /* what came back may be an answer of some time ago: look at the session before it is handed out */
    bool asking;    /* Redis */
    unsigned rounds;
    uint64_t deadline_ms;
    enum answer refusal; /* what to answer when the claim has been released */
    struct pace_call pace;
    struct rate_call rate;
    struct user_call user;
    uv_timer_t timer;
    struct stripe_call stripe;
    struct ticket ticket;
    char *key_secret;
};

static void take_pace(struct enrolment *enrolment);
static void admit(struct enrolment *enrolment);
static void create(struct enrolment *enrolment);
static void enrol(struct enrolment *enrolment);
static void look(struct enrolment *enrolment, const char *session);
static void note(struct enrolment *enrolment, const char *status);
static void judge(struct enrolment *enrolment);
static void fetch_key(struct enrolment *enrolment);
static void hand_out(struct enrolment *enrolment);
static void refuse(struct enrolment *enrolment, enum answer answer, unsigned retry_after_s);
static void end(struct enrolment *enrolment);

static struct queue *queue_of(const struct enrolment *enrolment)
{
    return enrolment->desk->options.queue;
}

static const struct session_settings *settings_of(const struct enrolment *enrolment)
{
    return &enrolment->desk->options.settings->sessions;
}

static struct user_limits limits_of(const struct enrolment *enrolment)
{
    const struct session_settings *settings = settings_of(enrolment);
    return (struct user_limits){
        .attempts = settings->attempts,
        .window_ms = settings->attempts_window_ms,
        .claim_ms = settings->timeout_ms + CLAIM_MARGIN_MS,
        .record_ms = settings->record_ms,
    };
}

/* ---- asking Redis */

/* After asking: when that was not possible, there is nothing to wait for. */
static void asked(struct enrolment *enrolment, int status)
{
    enrolment->asking = status == 0;
    if (status < 0) {
        refuse(enrolment, ANSWER_RECORDS_UNAVAILABLE, 0);
    }
}

/* The enrolment whose user call was answered; NULL: it has ended. */
static struct enrolment *answered(struct user_call *call, bool with_something)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, user);
    enrolment->asking = false;
    if (enrolment->abandoned) {
        end(enrolment);
        return NULL;
    }
    if (!with_something) {
        refuse(enrolment, ANSWER_RECORDS_UNAVAILABLE, 0);
        return NULL;
    }
    return enrolment;
}

/* ---- admission */

static void on_paced(struct pace_call *call, int64_t wait_ms)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, pace);
    enrolment->asking = false;
    if (enrolment->abandoned) {
        end(enrolment);
    } else if (wait_ms < 0) {
        refuse(enrolment, ANSWER_RECORDS_UNAVAILABLE, 0);
    } else if (wait_ms > 0) {
        refuse(enrolment, ANSWER_RATE_LIMITED, (unsigned)(wait_ms / 1000) + 1);
    } else {
        admit(enrolment);
    }
}

static void take_pace(struct enrolment *enrolment)
{
    const struct session_settings *settings = settings_of(enrolment);
    struct pace_limit limits[PACE_LIMITS] = {
        {.kind = "user", .name = text_of(enrolment->visitor.hash), .per_minute = settings->user_rate},
        {.kind = "address", .name = text_of(enrolment->visitor.address), .per_minute = settings->address_rate},
    };
    enrolment->pace.callback = on_paced;
    asked(enrolment, pace_take(queue_of(enrolment), &enrolment->pace, limits));
}

static void on_timer(uv_timer_t *timer)
{
    admit(timer->data);
}

static void wait_for_other(struct enrolment *enrolment)
{
    if (uv_now(enrolment->desk->loop) + BUSY_INTERVAL_MS >= enrolment->deadline_ms) {
        refuse(enrolment, ANSWER_SESSION_BUSY, 1);
        return;
    }
    (void)uv_timer_start(&enrolment->timer, on_timer, BUSY_INTERVAL_MS, 0);
}

static void on_admitted(struct user_call *call, bool with_something)
{
    struct enrolment *enrolment = answered(call, with_something);
    if (!enrolment) {
        return;
    }
    switch (call->admission) {
    case USER_OPEN:
        look(enrolment, call->session);
        break;
    case USER_CREATES:
        create(enrolment);
        break;
    case USER_BUSY:
        wait_for_other(enrolment);
        break;
    case USER_VERIFIED:
        refuse(enrolment, ANSWER_ALREADY_VERIFIED, 0);
        break;
    case USER_EXHAUSTED:
        refuse(enrolment, ANSWER_ATTEMPTS_EXHAUSTED, (unsigned)(call->wait_ms / 1000) + 1);
        break;
    case USER_UNKNOWN:
    default:
        refuse(enrolment, ANSWER_RECORDS_UNAVAILABLE, 0);
        break;
    }
}

static void admit(struct enrolment *enrolment)
{
    struct user_limits limits = limits_of(enrolment);
    enrolment->user.callback = on_admitted;
    asked(enrolment, user_admit(queue_of(enrolment), &enrolment->user, enrolment->visitor.hash, &limits));
}

/* The session that the user had is gone. */
static void begin_again(struct enrolment *enrolment)
{
    if (++enrolment->rounds >= ROUNDS_MAXIMUM) {
        refuse(enrolment, ANSWER_STRIPE_REFUSED, 0);
        return;
    }
    enrolment->created = false;
    enrolment->uncertain = false;
    ticket_clear(&enrolment->ticket);
    admit(enrolment);
}

/* ---- asking Stripe */

static enum answer answer_of(const struct api_verdict *verdict)
{
    return verdict->outcome == API_PERMANENT                ? ANSWER_STRIPE_REFUSED
           : strcmp(verdict->reason, "stripe_timeout") == 0 ? ANSWER_STRIPE_TIMEOUT
                                                            : ANSWER_STRIPE_UNAVAILABLE;
}

static void log_failure(const struct enrolment *enrolment, const char *what, const struct api_verdict *verdict)
{
    log_warn("Stripe gave no session", LOG_STRING("what", what), LOG_STRING("reason", verdict->reason),
             LOG_STRING("error", verdict->error),
             LOG_STRING("request_id", enrolment->conn ? conn_request_id(enrolment->conn) : ""));
}

static void on_released(struct user_call *call, bool with_something)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, user);
    (void)with_something; /* otherwise the claim runs out */
    enrolment->asking = false;
    if (enrolment->abandoned) {
        end(enrolment);
    } else if (enrolment->refusal == ANSWERS) {
        begin_again(enrolment);
    } else {
        refuse(enrolment, enrolment->refusal, 0);
    }
}

/* Ends the claim on creating a session, and then answers `refusal`; ANSWERS: begins again. */
static void release(struct enrolment *enrolment, bool keep_key, enum answer refusal)
{
    enrolment->refusal = refusal;
    enrolment->user.callback = on_released;
    asked(enrolment, user_release(queue_of(enrolment), &enrolment->user, enrolment->visitor.hash, keep_key));
}

/* Another request was made with this key once: its user's e-mail address or our settings were others. */
static bool is_stale_key(const struct enrolment *enrolment, const struct stripe_answer *answer)
{
    return enrolment->user.reused_key && answer->status == 400;
}

static void on_created(struct stripe_call *call, const struct stripe_answer *answer)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, stripe);
    if (answer->verdict->outcome != API_OK) {
        log_failure(enrolment, "create", answer->verdict);
        release(enrolment, answer->status == 0, is_stale_key(enrolment, answer) ? ANSWERS : answer_of(answer->verdict));
    } else if (ticket_parse(answer->body, &enrolment->ticket) != 0) {
        release(enrolment, true, ANSWER_STRIPE_REFUSED);
    } else {
        enrol(enrolment);
    }
}

static void create(struct enrolment *enrolment)
{
    struct buffer form = {0};
    struct ticket_holder holder = {.user = enrolment->visitor.token.user, .email = enrolment->visitor.token.email};
    ticket_form(settings_of(enrolment), &holder, &form);
    struct stripe_request request = {
        .path = SESSIONS_PATH,
        .body = buffer_text(&form),
        .idempotency_key = enrolment->user.key,
        .deadline_ms = enrolment->deadline_ms,
    };
    enrolment->created = true;
    enrolment->uncertain = enrolment->user.reused_key;
    stripe_call_start(&enrolment->stripe, &request, on_created);
    buffer_wipe(&form);
}

static void on_enrolled(struct user_call *call, bool with_something)
{
    struct enrolment *enrolment = answered(call, with_something);
    if (!enrolment) {
        return;
    }
    log_info("session created", LOG_STRING("session", enrolment->ticket.id),
             LOG_STRING("integration", integration_names[enrolment->integration]),
             LOG_STRING("request_id", enrolment->conn ? conn_request_id(enrolment->conn) : ""));
    if (enrolment->uncertain) {
        look(enrolment, enrolment->ticket.id);
    } else {
        judge(enrolment);
    }
}

static void enrol(struct enrolment *enrolment)
{
    struct user_limits limits = limits_of(enrolment);
    enrolment->user.callback = on_enrolled;
    asked(enrolment,
          user_enrol(queue_of(enrolment), &enrolment->user, enrolment->visitor.hash, enrolment->ticket.id, &limits));
}

static void on_looked(struct stripe_call *call, const struct stripe_answer *answer)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, stripe);
    if (answer->status == 404) {
        note(enrolment, "canceled"); /* whatever became of it, it cannot be gone on with */
    } else if (answer->verdict->outcome != API_OK) {
        log_failure(enrolment, "retrieve", answer->verdict);
        refuse(enrolment, answer_of(answer->verdict), 0);
    } else if (ticket_parse(answer->body, &enrolment->ticket) != 0) {
        refuse(enrolment, ANSWER_STRIPE_REFUSED, 0);
    } else {
        judge(enrolment);
    }
}

/* Whether it is given or not: somebody waits, so those who do not are to wait a moment longer. */
static void on_moment(struct rate_call *call, int64_t wait_ms)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, rate);
    char path[sizeof(SESSIONS_PATH) + TICKET_ID_SIZE];
    (void)wait_ms;
    enrolment->asking = false;
    if (enrolment->abandoned) {
        end(enrolment);
        return;
    }
    (void)snprintf(path, sizeof(path), "%s/%s", SESSIONS_PATH, enrolment->ticket.id);
    struct stripe_request request = {.path = path, .deadline_ms = enrolment->deadline_ms};
    stripe_call_start(&enrolment->stripe, &request, on_looked);
}

/* A session that is looked at has a fresh client secret and URL. The read is taken from what the fleet may have. */
static void look(struct enrolment *enrolment, const char *session)
{
    const struct settings *settings = enrolment->desk->options.settings;
    struct text key = secret_reveal(&settings->stripe_key);
    bool live = text_starts_with(key, TEXT("sk_live_")) || text_starts_with(key, TEXT("rk_live_"));
    struct ticket fresh = {0};
    (void)snprintf(fresh.id, sizeof(fresh.id), "%s", session);
    ticket_clear(&enrolment->ticket);
    enrolment->ticket = fresh;
    enrolment->rate.callback = on_moment;
    asked(enrolment, rate_take(queue_of(enrolment), &enrolment->rate, live, settings->stripe_rate));
}

/* ---- what the session is good for */

static void on_noted(struct user_call *call, bool with_something)
{
    struct enrolment *enrolment = answered(call, with_something);
    if (!enrolment) {
        return;
    }
    switch (enrolment->ticket.status) {
    case SESSION_REQUIRES_INPUT:
        (enrolment->integration == INTEGRATION_NATIVE ? fetch_key : hand_out)(enrolment);
        break;
    case SESSION_VERIFIED:
        refuse(enrolment, ANSWER_ALREADY_VERIFIED, 0);
        break;
    case SESSION_PROCESSING:
        refuse(enrolment, ANSWER_VERIFICATION_PROCESSING, 0);
        break;
    case SESSION_CANCELED:
    case SESSION_UNKNOWN:
    default:
        begin_again(enrolment);
        break;
    }
}

/* Notes how the session stands. One that may go on has no failure any more: a new try begins. */
static void note(struct enrolment *enrolment, const char *status)
{
    struct user_state state = {
        .session = text_of(enrolment->ticket.id), .status = status, .reason = "", .at_ms = clock_wall_ms()};
    if (strcmp(status, "canceled") == 0) {
        enrolment->ticket.status = SESSION_CANCELED;
    }
    enrolment->user.callback = on_noted;
    asked(enrolment, user_note(queue_of(enrolment), &enrolment->user, enrolment->visitor.hash, &state,
                               settings_of(enrolment)->record_ms));
}

static void judge(struct enrolment *enrolment)
{
    static const char *const statuses[] = {
        [SESSION_REQUIRES_INPUT] = "requires_input",
        [SESSION_PROCESSING] = "processing",
        [SESSION_VERIFIED] = "verified",
        [SESSION_CANCELED] = "canceled",
        [SESSION_UNKNOWN] = "processing", /* a word that is new: nothing is to be handed out, and nothing created */
    };
    const struct ticket *ticket = &enrolment->ticket;
    bool gone = ticket->redacted && ticket->status != SESSION_VERIFIED;
    if (ticket->status == SESSION_UNKNOWN) {
        enrolment->ticket.status = SESSION_PROCESSING;
    }
    note(enrolment, gone ? "canceled" : statuses[ticket->status]);
}

static void on_key(struct stripe_call *call, const struct stripe_answer *answer)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, stripe);
    if (answer->verdict->outcome != API_OK) {
        log_failure(enrolment, "create an ephemeral key", answer->verdict);
        refuse(enrolment, answer_of(answer->verdict), 0);
    } else if (ticket_parse_key(answer->body, &enrolment->key_secret) != 0) {
        refuse(enrolment, ANSWER_STRIPE_REFUSED, 0);
    } else {
        hand_out(enrolment);
    }
}

static void fetch_key(struct enrolment *enrolment)
{
    char body[TICKET_ID_SIZE + 32];
    int length = snprintf(body, sizeof(body), "verification_session=%s", enrolment->ticket.id);
    struct stripe_request request = {
        .path = "/v1/ephemeral_keys",
        .body = {.data = body, .length = (size_t)length},
        .deadline_ms = enrolment->deadline_ms,
    };
    stripe_call_start(&enrolment->stripe, &request, on_key);
}

/* ---- answering */

/* May stand in a header. */
static bool is_handy(const char *value)
{
    size_t length = 0;
    while (value[length] > ' ' && value[length] < 0x7f) {
        length++;
    }
    return value[length] == '\0' && length <= VALUE_MAXIMUM;
}

static void hand_out(struct enrolment *enrolment)
{
    static const char *const names[INTEGRATIONS] = {[INTEGRATION_MODAL] = "client_secret",
                                                    [INTEGRATION_REDIRECT] = "url",
                                                    [INTEGRATION_NATIVE] = "ephemeral_key_secret"};
    const char *const values[INTEGRATIONS] = {[INTEGRATION_MODAL] = enrolment->ticket.client_secret,
                                              [INTEGRATION_REDIRECT] = enrolment->ticket.url,
                                              [INTEGRATION_NATIVE] = enrolment->key_secret};
    const char *value = values[enrolment->integration];
    if (!value || !is_handy(value)) {
        struct api_verdict verdict = {.reason = "stripe_unreadable",
                                      .error = "the session has no secret or URL that could be passed on"};
        log_failure(enrolment, "hand out", &verdict);
        refuse(enrolment, ANSWER_STRIPE_REFUSED, 0);
        return;
    }
    struct buffer text = {0};
    struct reply reply = {.answer = enrolment->created ? ANSWER_SESSION_CREATED : ANSWER_SESSION_REUSED};
    if (enrolment->is_form && enrolment->integration == INTEGRATION_REDIRECT) {
        buffer_append_format(&text, "Location: %s\r\n", value);
        reply.answer = ANSWER_SESSION_REDIRECT;
        reply.headers = buffer_text(&text);
    } else {
        buffer_append_format(&text, "{\"id\":\"%s\",\"%s\":\"", enrolment->ticket.id, names[enrolment->integration]);
        buffer_append_json(&text, text_of(value));
        buffer_append_string(&text, "\"}");
        reply.body = buffer_text(&text);
    }
    if (buffer_status(&text) < 0) {
        reply = (struct reply){.answer = ANSWER_OVERLOADED};
    }
    session_desk_reply(enrolment->desk, enrolment->conn, enrolment->visitor.origin, &reply);
    buffer_wipe(&text);
    enrolment->conn = NULL;
    end(enrolment);
}

static void refuse(struct enrolment *enrolment, enum answer answer, unsigned retry_after_s)
{
    struct reply reply = {.answer = answer, .retry_after_s = retry_after_s};
    session_desk_reply(enrolment->desk, enrolment->conn, enrolment->visitor.origin, &reply);
    enrolment->conn = NULL;
    end(enrolment);
}

/* ---- its beginning and its end */

static void on_gone(struct waiter *waiter)
{
    CONTAINER_OF(waiter, struct enrolment, waiter)->conn = NULL;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct enrolment *enrolment = handle->data;
    struct session_desk *desk = enrolment->desk;
    list_remove(&enrolment->link);
    free(enrolment);
    session_desk_poke(desk);
}

static void on_stripe_closed(struct stripe_call *call)
{
    struct enrolment *enrolment = CONTAINER_OF(call, struct enrolment, stripe);
    uv_close((uv_handle_t *)&enrolment->timer, on_timer_closed);
}

static void end(struct enrolment *enrolment)
{
    ticket_clear(&enrolment->ticket);
    visitor_clear(&enrolment->visitor);
    if (enrolment->key_secret) {
        OPENSSL_cleanse(enrolment->key_secret, strlen(enrolment->key_secret));
        free(enrolment->key_secret);
        enrolment->key_secret = NULL;
    }
    enrolment->abandoned = true;
    stripe_call_close(&enrolment->stripe, on_stripe_closed);
}

void enrolment_abandon(struct list *link)
{
    struct enrolment *enrolment = LIST_OBJECT(link, struct enrolment, link);
    if (enrolment->abandoned) {
        return; /* it is ending */
    }
    enrolment->abandoned = true;
    stripe_call_cancel(&enrolment->stripe);
    (void)uv_timer_stop(&enrolment->timer);
    if (!enrolment->asking) {
        end(enrolment);
    }
}

int enrolment_start(struct session_desk *desk, const struct enrolment_order *order)
{
    struct enrolment *enrolment = calloc(1, sizeof(*enrolment));
    if (!enrolment) {
        return -ENOMEM;
    }
    enrolment->desk = desk;
    enrolment->conn = order->conn;
    enrolment->visitor = order->visitor;
    enrolment->integration = order->integration;
    enrolment->is_form = order->is_form;
    enrolment->waiter.gone = on_gone;
    enrolment->deadline_ms = uv_now(desk->loop) + settings_of(enrolment)->timeout_ms;
    (void)uv_timer_init(desk->loop, &enrolment->timer);
    enrolment->timer.data = enrolment;
    stripe_call_init(&enrolment->stripe, desk->loop, desk->options.settings, desk->fetcher);
    list_append(&desk->enrolments, &enrolment->link);
    conn_set_waiting(order->conn, &enrolment->waiter);
    take_pace(enrolment);
    return 0;
}
