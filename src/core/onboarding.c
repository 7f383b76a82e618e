#include "core/onboarding.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "stripe/error_code.h"

static json_t *reason_of(const struct session *session)
{
    if (!session->has_error) {
        return json_null();
    }
    const struct error_code *code = error_code_find(session->error_code);
    return json_pack("{s:s, s:b, s:s}", "code", session->error_code ? session->error_code : code->code, "retryable",
                     (int)code->retryable, "message", code->message);
}

int onboarding_write(const struct onboarding_update *update, struct buffer *out)
{
    const struct session *session = update->session;
    char type[64];
    (void)snprintf(type, sizeof(type), "identity.%s", update->type);
    json_t *json =
        json_pack("{s:s, s:s%, s:s, s:s?, s:s?, s:b, s:s, s:b, s:I, s:o, s:O?}", "type", type, "event",
                  update->event.data, update->event.length, "session", session->id, "user", session->user,
                  "user_source", session->user_source, "user_trusted", (int)session_user_is_trusted(session), "status",
                  session->status_text, "livemode", (int)update->livemode, "created", (json_int_t)update->created,
                  "reason", reason_of(session), "verified_outputs", session->outputs);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text) {
        return -ENOMEM;
    }
    buffer_append_string(out, text);
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return buffer_status(out);
}
