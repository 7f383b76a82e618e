#include "app/session_desk.h"
#include "cli/doctor.h"
#include "core/jwt_library.h"

#define SECRET_LENGTH 32 /* bytes of a key for HS256 (RFC 7518 section 3.2) */

static void check_library(struct examination *examination)
{
    struct buffer fault = {0};
    if (jwt_library_open(&fault) != 0) {
        examination_tell(examination, examination->ingests ? HEALTH_BROKEN : HEALTH_SKIPPED, "libjwt", "", "%s",
                         fault.data ? fault.data : "out of memory");
    }
    buffer_free(&fault);
}

static void check_secrets(struct examination *examination)
{
    const struct session_settings *sessions = &examination->settings->sessions;
    size_t weak = 0;
    for (size_t i = 0; i < sessions->token_secret_count; i++) {
        weak += secret_reveal(&sessions->token_secrets[i]).length < SECRET_LENGTH ? 1 : 0;
    }
    if (weak > 0) {
        examination_tell(examination, HEALTH_WARNING, "token secret",
                         "make one of 32 random bytes: openssl rand -hex 32", "%zu of %zu have less than 32 bytes",
                         weak, sessions->token_secret_count);
    } else {
        examination_tell(examination, HEALTH_OK, "token secret", "", "%zu, of the right length%s",
                         sessions->token_secret_count,
                         sessions->token_secret_count > 1 ? "; remove the old one when the rotation is over" : "");
    }
}

void doctor_check_sessions(struct examination *examination)
{
    const struct session_settings *sessions = &examination->settings->sessions;
    if (!session_desk_is_wanted(examination->settings)) {
        examination_tell(examination, HEALTH_SKIPPED, "sessions", "",
                         "none are handed out: IDENTIHOOK_SESSION_TOKEN_SECRET is not set");
        return;
    }
    check_library(examination);
    check_secrets(examination);
    if (!sessions->publishable_key && !sessions->return_url) {
        examination_tell(examination, HEALTH_WARNING, "sessions",
                         "set IDENTIHOOK_SESSION_RETURN_URL to your page or ours, https://YOUR-HOST/verify/submitted",
                         "people are redirected to Stripe, and nothing leads them back");
    } else {
        examination_tell(examination, HEALTH_OK, "sessions", "", "/verify %s",
                         sessions->publishable_key ? "opens the verification as a modal"
                                                   : "redirects people to Stripe");
    }
}
