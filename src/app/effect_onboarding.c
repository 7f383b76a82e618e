#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/onboarding.h"
#include "core/standard_webhook.h"
#include "effect_private.h"
#include "stripe/api.h"

#define PAUSE_DOUBLINGS 16 /* the breaker's longest pause is so many times the first one */

/* ---- the breaker: a service that is down, or refuses all of us, is not asked for a while */

static uint64_t now_ms(void)
{
    return clock_monotonic_ms();
}

static void tell(const struct effect_tools *tools, enum breaker_news news)
{
    const struct settings *settings = tools->settings;
    struct breaker_limits limits = {
        .faults = (unsigned)settings->breaker_faults,
        .pause_ms = settings->breaker_pause_ms,
        .pause_most_ms = settings->breaker_pause_ms * PAUSE_DOUBLINGS,
    };
    if (!breaker_tell(tools->onboarding_breaker, &limits, now_ms(), news)) {
        return;
    }
    bool open = breaker_is_open(tools->onboarding_breaker);
    telemetry_set(&tools->telemetry->breakers_open[BREAKER_OF_ONBOARDING], open ? 1 : 0);
    telemetry_add(&tools->telemetry->breakers_opened[BREAKER_OF_ONBOARDING], open ? 1 : 0);
    if (open) {
        log_error("the onboarding service is not asked for a while: too many updates in a row have failed",
                  LOG_NUMBER("failed", limits.faults));
    } else {
        log_info("the onboarding service answers again", LOG_STRING("namespace", settings->namespace));
    }
}

static bool may_pass(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static bool is_success(int status)
{
    return status >= 200 && status <= 299;
}

static bool is_redirect(int status)
{
    return status >= 300 && status <= 399;
}

static enum breaker_news news_of(int status)
{
    if (status == 429) {
        return BREAKER_UNKNOWN;
    }
    bool refuses_all = status == 401 || status == 403 || status == 407 || is_redirect(status);
    return status == 0 || may_pass(status) || refuses_all ? BREAKER_FAULT : BREAKER_SUCCESS;
}

/* ---- the answer */

static void judge_silence(const struct fetch_result *answer, struct effect_result *result)
{
    static const char *const reasons[] = {[FETCH_TIMEOUT] = "onboarding_timeout",
                                          [FETCH_UNREACHABLE] = "onboarding_unreachable",
                                          [FETCH_FORBIDDEN] = "onboarding_address_refused",
                                          [FETCH_BROKEN] = "onboarding_unreachable",
                                          [FETCH_TOO_LARGE] = "onboarding_unreachable"};
    result->outcome = EFFECT_TRANSIENT;
    if (answer->fault == FETCH_FORBIDDEN) {
        job_fault_set(&result->fault, reasons[answer->fault],
                      "the host in IDENTIHOOK_ONBOARDING_URL has a private or reserved address, and nothing is sent "
                      "there: if it shall be, set IDENTIHOOK_ONBOARDING_ALLOW_PRIVATE=yes");
    } else {
        job_fault_set(&result->fault, reasons[answer->fault],
                      "the onboarding service did not answer: check IDENTIHOOK_ONBOARDING_URL (%s)",
                      answer->fault_text);
    }
}

static void judge_answer(const struct fetch_result *answer, struct effect_result *result)
{
    int status = answer->status;
    if (is_success(status)) {
        return;
    }
    if (may_pass(status)) {
        result->outcome = EFFECT_TRANSIENT;
        result->retry_after_ms = api_retry_after_ms(answer->retry_after);
        job_fault_set(&result->fault, "onboarding_unavailable", "the onboarding service answered %d", status);
        return;
    }
    result->outcome = EFFECT_PERMANENT;
    if (is_redirect(status)) {
        job_fault_set(&result->fault, "onboarding_redirected",
                      "the onboarding service answered %d, a redirect, and an update is taken nowhere else: give "
                      "IDENTIHOOK_ONBOARDING_URL the final address, then replay",
                      status);
    } else {
        job_fault_set(&result->fault, "onboarding_refused",
                      "the onboarding service answered %d, which means that it will not take this update: see its log, "
                      "then replay",
                      status);
    }
}

/* An answer that is too long has a status all the same, and nothing else is needed. */
static void on_answer(void *context, const struct fetch_result *answer)
{
    struct effect_run *run = context;
    struct effect_result result = {.outcome = EFFECT_DONE};
    run->fetch = NULL;
    tell(run->tools, news_of(answer->status));
    if (answer->status == 0) {
        judge_silence(answer, &result);
    } else {
        judge_answer(answer, &result);
    }
    run->ended(run, &result);
}

void effect_onboarding_abandon(struct effect_run *run)
{
    fetch_cancel(run->fetch);
    run->fetch = NULL;
    tell(run->tools, BREAKER_UNKNOWN);
}

/* ---- the request */

struct headers {
    char key[320];
    char id[320];
    char timestamp[64];
    struct buffer signature;
};

static int write_headers(const struct effect_run *run, struct text body, struct headers *headers,
                         struct fetch_request *request)
{
    const struct settings *settings = run->tools->settings;
    struct text event = run->entry->event;
    int64_t now = clock_wall_seconds();
    size_t count = 0;
    (void)snprintf(headers->key, sizeof(headers->key), "Idempotency-Key: %.*s", TEXT_ARGUMENTS(event));
    request->headers[count++] = "Content-Type: application/json";
    request->headers[count++] = headers->key;
    (void)snprintf(headers->id, sizeof(headers->id), "webhook-id: %.*s", TEXT_ARGUMENTS(event));
    (void)snprintf(headers->timestamp, sizeof(headers->timestamp), "webhook-timestamp: %" PRId64, now);
    request->headers[count++] = headers->id;
    request->headers[count++] = headers->timestamp;
    if (!secret_is_set(&settings->onboarding_secret)) {
        return 0;
    }
    buffer_append_string(&headers->signature, "webhook-signature: ");
    int status =
        standard_webhook_sign(secret_reveal(&settings->onboarding_secret), event, now, body, &headers->signature);
    request->headers[count++] = headers->signature.data;
    return status;
}

static int post(struct effect_run *run, struct text body)
{
    const struct settings *settings = run->tools->settings;
    struct headers headers = {.signature = {0}};
    struct fetch_request request = {
        .url = settings->onboarding_url,
        .body = body,
        .bearer = secret_is_set(&settings->onboarding_token) ? secret_reveal(&settings->onboarding_token).data : NULL,
        .timeout_ms = settings->onboarding_timeout_ms,
        .max_response = (size_t)settings->onboarding_max_response,
        .reach = settings->onboarding_reach,
        .ca_file = settings->onboarding_ca,
        .certificate = settings->onboarding_certificate,
        .key = settings->onboarding_key,
    };
    int status = write_headers(run, body, &headers, &request);
    if (status == 0) {
        status = fetch_start(run->tools->onboarding, &request, on_answer, run, &run->fetch);
    }
    buffer_free(&headers.signature);
    return status;
}

static int write_and_post(struct effect_run *run)
{
    struct onboarding_update update = {
        .event = run->entry->event,
        .type = event_kind_name(run->entry->kind),
        .created = run->entry->created,
        .livemode = run->entry->livemode,
        .session = run->session,
    };
    struct buffer body = {0};
    int status = onboarding_write(&update, &body);
    if (status == 0) {
        status = post(run, buffer_text(&body));
    }
    buffer_wipe(&body);
    return status;
}

int effect_onboarding_start(struct effect_run *run, struct effect_result *result)
{
    enum missing_policy missing = run->tools->settings->missing_user;
    uint64_t wait_ms;
    if (!run->session->user && missing != MISSING_SEND) {
        return effect_fail(result, missing == MISSING_SKIP ? EFFECT_SKIPPED : EFFECT_PERMANENT, "no_user",
                           "the session has no user: give client_reference_id or metadata[user_id] when sessions are "
                           "created, or set IDENTIHOOK_MISSING_USER to send or skip");
    }
    if (!breaker_ask(run->tools->onboarding_breaker, now_ms(), &wait_ms)) {
        int ended = effect_fail(result, EFFECT_TRANSIENT, "onboarding_held_back",
                                "the onboarding service has failed too often in a row, and is spared for a while");
        result->retry_after_ms = wait_ms;
        return ended;
    }
    int status = write_and_post(run);
    if (status == 0) {
        return 0;
    }
    tell(run->tools, BREAKER_UNKNOWN);
    if (status == -EINVAL) {
        return effect_fail(result, EFFECT_TRANSIENT, "onboarding_misconfigured",
                           "IDENTIHOOK_ONBOARDING_URL, _TOKEN or _SECRET cannot be used: correct it and restart");
    }
    return effect_fail(result, EFFECT_TRANSIENT, "out_of_memory", "out of memory");
}
