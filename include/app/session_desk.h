#pragma once

#include <uv.h>

#include "app/reply.h"
#include "app/router.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "core/token.h"
#include "store/queue.h"

/*
 * Where an application's clients get their verification session, and ask how it stands:
 *
 *   POST /create-verification-session   {"id","client_secret"}, {"id","url"} or {"id","ephemeral_key_secret"}
 *   GET  /verification-status           {"status","session","reason","updated_at","attempts_left"}, from our own
 * records
 *
 * Both want the user's token. One desk per loop, with connections to Stripe of its own; there is none unless
 * IDENTIHOOK_SESSION_TOKEN_SECRET is set.
 *
 * A user with a session that is still open gets that again, with a fresh secret, and never a second one: also when two
 * requests come at once, and when the process that created one died before it could say so. What keeps that is the
 * user's record in Redis (store/user.h) and the idempotency key in it.
 */
struct session_desk;

struct session_desk_options {
    const struct settings *settings; /* this and the others outlive the desk */
    struct queue *queue;
    const struct replies *replies;
};

/* Whether there is to be one. */
bool session_desk_is_wanted(const struct settings *settings);

#define SESSION_DESK_FILES 64 /* file descriptors that one takes at most, for Stripe */

/* libcurl and libjwt are open. The tokens' secrets are the settings', at first. 0 or a negative code. */
MUST_CHECK int session_desk_open(uv_loop_t *loop, const struct session_desk_options *options,
                                 struct session_desk **desk);

/* Its two ways in. */
void session_desk_add_routes(struct session_desk *desk, struct router *router);

/* Takes `keys` in the place of those that it verifies tokens with: the secrets were changed. On the loop's thread. */
void session_desk_set_keys(struct session_desk *desk, struct token_keys *keys);

/* After the listener is closed: ends what is under way without its answer; `closed` runs when nothing is left on the
 * loop. */
void session_desk_close(struct session_desk *desk, void (*closed)(void *context), void *context);
