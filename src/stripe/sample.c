#include "stripe/sample.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static const char *const kind_words[EVENT_OTHER] = {
    [EVENT_CREATED] = "Created",   [EVENT_PROCESSING] = "Processing",
    [EVENT_VERIFIED] = "Verified", [EVENT_REQUIRES_INPUT] = "RequiresInput",
    [EVENT_CANCELED] = "Canceled", [EVENT_REDACTED] = "Redacted",
};

/* The status in which a session is when such an event is sent. */
static const char *const statuses[EVENT_OTHER] = {
    [EVENT_CREATED] = "requires_input",        [EVENT_PROCESSING] = "processing", [EVENT_VERIFIED] = "verified",
    [EVENT_REQUIRES_INPUT] = "requires_input", [EVENT_CANCELED] = "canceled",     [EVENT_REDACTED] = "verified",
};

static void append_last_error(const struct sample_options *options, struct buffer *body)
{
    if (options->kind != EVENT_REQUIRES_INPUT) {
        buffer_append_string(body, "null");
        return;
    }
    buffer_append_format(body,
                         "{\n        \"code\": \"%s\",\n        \"reason\": \"A sample of a failed check.\"\n      }",
                         options->error_code ? options->error_code : "document_expired");
}

static void append_report(const struct sample_options *options, struct buffer *body)
{
    bool checked =
        options->kind == EVENT_VERIFIED || options->kind == EVENT_REQUIRES_INPUT || options->kind == EVENT_REDACTED;
    if (checked) {
        buffer_append_format(body, "\"vr_1Sample%s\"", options->nonce);
    } else {
        buffer_append_string(body, "null");
    }
}

static void append_session(const struct sample_options *options, const char *session, struct buffer *body)
{
    buffer_append_format(body,
                         "      \"id\": \"%s\",\n"
                         "      \"object\": \"identity.verification_session\",\n"
                         "      \"client_reference_id\": \"user_%s\",\n"
                         "      \"client_secret\": null,\n"
                         "      \"created\": %" PRId64 ",\n"
                         "      \"last_error\": ",
                         session, options->nonce, options->now - 120);
    append_last_error(options, body);
    buffer_append_string(body, ",\n      \"last_verification_report\": ");
    append_report(options, body);
    buffer_append_format(body,
                         ",\n      \"livemode\": %s,\n"
                         "      \"metadata\": {\n        \"user_id\": \"user_%s\"\n      },\n"
                         "      \"options\": {\n        \"document\": {\n          \"require_matching_selfie\": true\n"
                         "        }\n      },\n"
                         "      \"redaction\": %s,\n"
                         "      \"related_customer\": null,\n"
                         "      \"related_customer_account\": null,\n"
                         "      \"status\": \"%s\",\n"
                         "      \"type\": \"document\",\n"
                         "      \"url\": null\n",
                         options->livemode ? "true" : "false", options->nonce,
                         options->kind == EVENT_REDACTED ? "{\n        \"status\": \"redacted\"\n      }" : "null",
                         statuses[options->kind]);
}

int sample_event(const struct sample_options *options, struct buffer *body, char event_id[64])
{
    char session[80];
    if (options->session && !event_is_session_id(text_of(options->session))) {
        return -EINVAL;
    }
    (void)snprintf(session, sizeof(session), "vs_1Sample%s%.32s", kind_words[options->kind], options->nonce);
    (void)snprintf(event_id, 64, "evt_1Sample%.32s", options->nonce);
    buffer_append_format(body,
                         "{\n  \"id\": \"%s\",\n  \"object\": \"event\",\n  \"api_version\": \"2026-10-28.endive\",\n"
                         "  \"created\": %" PRId64 ",\n  \"data\": {\n    \"object\": {\n",
                         event_id, options->now);
    append_session(options, options->session ? options->session : session, body);
    buffer_append_format(body,
                         "    }\n  },\n  \"livemode\": %s,\n  \"pending_webhooks\": 1,\n"
                         "  \"request\": {\n    \"id\": null,\n    \"idempotency_key\": null\n  },\n"
                         "  \"type\": \"" EVENT_TYPE_PREFIX "%s\"\n}\n",
                         options->livemode ? "true" : "false", event_kind_name(options->kind));
    return buffer_status(body);
}
