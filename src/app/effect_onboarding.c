#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "core/onboarding.h"
#include "core/standard_webhook.h"
#include "effect_private.h"
#include "stripe/api.h"

#define ANSWER_MAXIMUM 65536 /* nothing in it is needed */

static bool may_pass(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static void on_answer(void *context, const struct fetch_result *answer)
{
    struct effect_run *run = context;
    struct effect_result result = {.outcome = EFFECT_DONE};
    run->fetch = NULL;
    if (answer->fault != FETCH_FINE) {
        result.outcome = EFFECT_TRANSIENT;
        job_fault_set(&result.fault, answer->fault == FETCH_TIMEOUT ? "onboarding_timeout" : "onboarding_unreachable",
                      "the onboarding service did not answer: check IDENTIHOOK_ONBOARDING_URL (%s)",
                      answer->fault_text);
    } else if (may_pass(answer->status)) {
        result.outcome = EFFECT_TRANSIENT;
        result.retry_after_ms = api_retry_after_ms(answer->retry_after);
        job_fault_set(&result.fault, "onboarding_unavailable", "the onboarding service answered %d", answer->status);
    } else if (answer->status < 200 || answer->status > 299) {
        result.outcome = EFFECT_PERMANENT;
        job_fault_set(&result.fault, "onboarding_refused",
                      "the onboarding service answered %d, which means that it will not take this update: see its log, "
                      "then replay",
                      answer->status);
    }
    run->ended(run, &result);
}

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
        .timeout_ms = settings->onboarding_timeout_ms,
        .max_response = ANSWER_MAXIMUM,
    };
    int status = write_headers(run, body, &headers, &request);
    if (status == 0) {
        status = fetch_start(run->tools->fetcher, &request, on_answer, run, &run->fetch);
    }
    buffer_free(&headers.signature);
    return status;
}

int effect_onboarding_start(struct effect_run *run, struct effect_result *result)
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
    if (status == 0) {
        return 0;
    }
    if (status == -EINVAL) {
        return effect_fail(
            result, EFFECT_TRANSIENT, "onboarding_misconfigured",
            "IDENTIHOOK_ONBOARDING_URL or IDENTIHOOK_ONBOARDING_SECRET cannot be used: correct it and restart");
    }
    return effect_fail(result, EFFECT_TRANSIENT, "out_of_memory", "out of memory");
}
