#include "app/stripe_reply.h"

struct api_reply stripe_reply_of(const struct fetch_result *fetched)
{
    return (struct api_reply){
        .status = fetched->status,
        .timed_out = fetched->fault == FETCH_TIMEOUT,
        .retry_after = fetched->retry_after,
        .should_retry = fetched->should_retry,
        .request_id = fetched->request_id,
        .rate_limit_reason = fetched->rate_limit_reason,
        .body = fetched->body,
    };
}
