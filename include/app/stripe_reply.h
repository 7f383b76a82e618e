#pragma once

#include "net/fetch.h"
#include "stripe/api.h"

/* What was fetched of Stripe's API, for api_judge(), with `fetched` borrowed; whoever asked adds what the question was.
 */
struct api_reply stripe_reply_of(const struct fetch_result *fetched);
