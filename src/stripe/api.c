#include "stripe/api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "stripe/event.h"
#include "stripe/event_list.h"
#include "stripe/session.h"

#define DAY_SECONDS 86400

static void append_base(struct text base, struct buffer *url)
{
    while (base.length > 0 && base.data[base.length - 1] == '/') {
        base.length--;
    }
    buffer_append(url, base);
}

int api_session_url(struct text base, struct text session, unsigned outputs, struct buffer *url)
{
    if (!event_is_session_id(session)) {
        return -EINVAL;
    }
    append_base(base, url);
    buffer_append_string(url, "/v1/identity/verification_sessions/");
    buffer_append(url, session);
    buffer_append_string(url, "?expand[]=provided_details");
    if (outputs != 0) {
        buffer_append_string(url, "&expand[]=verified_outputs");
    }
    for (enum verified_output output = 0; output < OUTPUTS; output++) {
        if ((outputs & (1u << output)) && verified_output_is_sensitive(output)) {
            buffer_append_format(url, "&expand[]=verified_outputs.%s", verified_output_name(output));
        }
    }
    return 0;
}

bool api_key_is_live(struct text key)
{
    return text_starts_with(key, TEXT("sk_live_")) || text_starts_with(key, TEXT("rk_live_"));
}

void api_events_url(struct text base, const struct api_events_query *query, struct buffer *url)
{
    append_base(base, url);
    buffer_append_format(url, "/v1/events?limit=%d&created[gte]=%" PRId64, EVENT_LIST_MAXIMUM, query->created_from);
    for (enum event_kind kind = 0; kind < EVENT_OTHER; kind++) {
        if (query->kinds & (1u << kind)) {
            buffer_append_format(url, "&types[]=" EVENT_TYPE_PREFIX "%s", event_kind_name(kind));
        }
    }
    if (query->undelivered) {
        buffer_append_string(url, "&delivery_success=false");
    }
    if (query->after.length > 0) {
        buffer_append_string(url, "&starting_after=");
        buffer_append(url, query->after); /* an event's id, which event_parse() has held to plain letters */
    }
}

uint64_t api_retry_after_ms(struct text header)
{
    uint64_t seconds = 0;
    int status = text_to_unsigned(text_trim(header), DAY_SECONDS, &seconds);
    return status == -ERANGE ? DAY_SECONDS * UINT64_C(1000) : status == 0 ? seconds * 1000 : 0;
}

/* ---- describing an answer without repeating its message, in which data of a person may stand */

static bool is_code(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return length > 0 && length < 64 && text[length] == '\0';
}

static void read_error_code(struct text body, char *code, size_t size)
{
    json_error_t error;
    json_t *json = json_loadb(body.data ? body.data : "", body.length, 0, &error);
    const json_t *object = json_object_get(json, "error");
    const char *text = json_string_value(json_object_get(object, "code"));
    if (!text) {
        text = json_string_value(json_object_get(object, "type"));
    }
    (void)snprintf(code, size, "%s", text && is_code(text) ? text : "no error code");
    json_decref(json);
}

static bool is_request_id(struct text id)
{
    for (size_t i = 0; i < id.length; i++) {
        char byte = id.data[i];
        bool fine =
            (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
        if (!fine) {
            return false;
        }
    }
    return id.length > 0 && id.length < 64;
}

static void judge(struct api_verdict *verdict, enum api_outcome outcome, const char *reason, const char *advice)
{
    verdict->outcome = outcome;
    verdict->reason = reason;
    (void)snprintf(verdict->error, sizeof(verdict->error), "%s", advice);
}

static void describe_answer(const struct api_reply *reply, struct api_verdict *verdict)
{
    char code[64];
    read_error_code(reply->body, code, sizeof(code));
    struct text id = is_request_id(reply->request_id) ? reply->request_id : TEXT("without an id");
    size_t used = strlen(verdict->error);
    (void)snprintf(verdict->error + used, sizeof(verdict->error) - used, " (HTTP %d, %s, request %.*s)", reply->status,
                   code, TEXT_ARGUMENTS(id));
}

/* What is said of the list of events in other words than of a session. */
static bool judge_list(int status, struct api_verdict *verdict)
{
    if (status == 403) {
        judge(verdict, API_PERMANENT, "stripe_key_lacks_permission",
              "the API key may not list events: give it Read on Events, or turn IDENTIHOOK_RECONCILE_EVERY off");
    } else if (status == 404) {
        judge(verdict, API_PERMANENT, "events_not_found", "there is no list of events: check STRIPE_API_BASE");
    } else if (status == 401) {
        judge(verdict, API_PERMANENT, "stripe_key_rejected",
              "Stripe does not accept the API key: put a valid one into STRIPE_SECRET_KEY and restart");
    }
    return status == 401 || status == 403 || status == 404;
}

/* 403: the key may do something, but not this. */
static void judge_permission(const struct api_reply *reply, struct api_verdict *verdict)
{
    if (reply->is_late) {
        judge(verdict, API_PERMANENT, "sensitive_results_expired",
              "a restricted key may read dob, id_number and sex for 48 hours after the check, and they are over: hold "
              "the key "
              "to your IP addresses in the Dashboard, or take these fields out of IDENTIHOOK_VERIFIED_OUTPUTS; then "
              "replay this event");
    } else if (reply->of_account) {
        judge(
            verdict, API_PERMANENT, "stripe_key_lacks_permission",
            "the API key may not read this session of a connected account: is the account still connected, and has the "
            "key Read on Verification Sessions and Reports of connected accounts? Then replay this event");
    } else {
        judge(verdict, API_PERMANENT, "stripe_key_lacks_permission",
              "the API key may not read this session: give it Read on Verification Sessions and Reports and, for dob, "
              "id_number or sex, which no secret key (sk_…) may read, on recent sensitive verification results; then "
              "replay this event");
        verdict->scope = API_SCOPE_KEY;
    }
}

/* 404: Stripe tells a similar object of the other mode only in words; the modes of key and event tell it, too. */
static void judge_absence(const struct api_reply *reply, struct api_verdict *verdict)
{
    if (reply->event_is_live != reply->key_is_live) {
        judge(verdict, API_PERMANENT, "session_not_found",
              reply->key_is_live ? "the event is of test mode, and STRIPE_SECRET_KEY of live mode: give it the other "
                                   "mode's key and replay this event, or set IDENTIHOOK_LIVEMODE=live"
                                 : "the event is of live mode, and STRIPE_SECRET_KEY of test mode: give it the other "
                                   "mode's key and replay this event, or set IDENTIHOOK_LIVEMODE=test");
    } else if (reply->of_account) {
        judge(verdict, API_PERMANENT, "session_not_found",
              "Stripe does not know this session in the connected account that the event names: is the account still "
              "connected to the API key's, in this mode (live or test)? Then replay this event");
    } else {
        judge(
            verdict, API_PERMANENT, "session_not_found",
            "Stripe does not know this session under this API key, though both are of the same mode (live or test): "
            "check that STRIPE_SECRET_KEY and the webhook endpoint belong to the same account or sandbox, then replay "
            "this event");
    }
}

/* 429: https://docs.stripe.com/rate-limits names the reasons; without one it is a lock, or a proxy's limit. */
static void judge_rate(const struct api_reply *reply, struct api_verdict *verdict)
{
    char code[64];
    read_error_code(reply->body, code, sizeof(code));
    struct text reason = reply->rate_limit_reason;
    if (text_equal(reason, TEXT("resource-specific")) || (reason.length == 0 && strcmp(code, "lock_timeout") == 0)) {
        judge(verdict, API_TRANSIENT, "stripe_busy", "something else is at work on this session at Stripe");
        return;
    }
    judge(verdict, API_TRANSIENT, "stripe_rate_limited",
          text_ends_with(reason, TEXT("-concurrency"))
              ? "Stripe limits how many requests are under way at once: lower IDENTIHOOK_CONCURRENCY if this goes on"
              : "Stripe limits the rate of requests: lower IDENTIHOOK_STRIPE_RATE if this goes on");
    verdict->scope = API_SCOPE_RATE;
}

static void judge_status(const struct api_reply *reply, struct api_verdict *verdict)
{
    int status = reply->status;
    if (status == 401) {
        judge(verdict, API_PERMANENT, "stripe_key_rejected",
              "Stripe does not accept the API key: put a valid one into STRIPE_SECRET_KEY, restart, and replay this "
              "event");
        verdict->scope = API_SCOPE_KEY;
    } else if (status == 403) {
        judge_permission(reply, verdict);
    } else if (status == 404) {
        judge_absence(reply, verdict);
    } else if (status == 429) {
        judge_rate(reply, verdict);
    } else if (status == 408 || status == 409 || status == 425) {
        judge(verdict, API_TRANSIENT, "stripe_busy", "Stripe could not answer just now");
    } else if (status >= 500) {
        judge(verdict, API_TRANSIENT, "stripe_unavailable", "Stripe's API has a fault of its own");
        verdict->scope = API_SCOPE_SERVICE;
    } else {
        judge(verdict, API_PERMANENT, "stripe_refused",
              "Stripe refuses this request: check STRIPE_API_BASE and STRIPE_API_VERSION");
        verdict->scope = API_SCOPE_KEY;
    }
}

void api_judge(const struct api_reply *reply, struct api_verdict *verdict)
{
    *verdict = (struct api_verdict){.outcome = API_OK, .reason = ""};
    if (reply->status >= 200 && reply->status <= 299) {
        return;
    }
    if (reply->status == 0) {
        judge(verdict, API_TRANSIENT, reply->timed_out ? "stripe_timeout" : "stripe_unreachable",
              reply->timed_out ? "Stripe's API did not answer in time"
                               : "the connection to Stripe's API failed or broke");
        verdict->scope = API_SCOPE_SERVICE;
        return;
    }
    if (reply->subject != API_EVENTS || !judge_list(reply->status, verdict)) {
        judge_status(reply, verdict);
    }
    if (text_equal(reply->should_retry, TEXT("true"))) {
        verdict->outcome = API_TRANSIENT;
    } else if (text_equal(reply->should_retry, TEXT("false")) && reply->status != 429) {
        verdict->outcome = API_PERMANENT;
    }
    if (verdict->outcome == API_TRANSIENT) {
        verdict->retry_after_ms = api_retry_after_ms(reply->retry_after);
    }
    describe_answer(reply, verdict);
}
