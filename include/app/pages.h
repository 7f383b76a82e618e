#pragma once

#include "app/reply.h"
#include "app/router.h"
#include "base/attributes.h"
#include "base/settings.h"

/*
 * The pages on which people verify themselves: /verify, with the button, and /verify/submitted, which follows what
 * comes of it; and what belongs to them. They are built in (src/app/pages), hold nothing of anybody, and get what they
 * show of a user by asking the session desk with the user's token, which the application gives them in the URL's
 * fragment: /verify#token=…
 *
 * Their Content-Security-Policy lets in what is ours, and Stripe.js.
 */
struct pages;

/* Renders them with the settings' brand. The settings and replies outlive them. 0 or -ENOMEM. */
MUST_CHECK int pages_create(const struct settings *settings, const struct replies *replies, struct pages **pages);

/* NULL is fine. */
void pages_free(struct pages *pages);

void pages_add_routes(struct pages *pages, struct router *router);
