#pragma once

#include "redis_link.h"

#include "base/redis_url.h"

/*
 * One question to one sentinel: where is the primary? Connect, log in when the URL says so, ask, hang up. A sentinel
 * that says nothing is the asker's to notice.
 */
struct redis_sentinel;

struct redis_sentinel_options {
    const struct redis_url *url;
    const struct sockaddr *address; /* of the sentinel */
    struct tls_context *tls;        /* NULL: plain */
    const char *server_name;
    /* `host` is NULL when there is no answer: `why` then says so. Lent until it returns. Runs on the loop, once, never
     * inside redis_sentinel_ask(); the question is to be ended then, too. */
    void (*answered)(void *context, const char *host, uint16_t port, const char *why);
    void *context;
};

/* 0 or a negative code: then nothing will run. */
MUST_CHECK int redis_sentinel_ask(uv_loop_t *loop, const struct redis_sentinel_options *options,
                                  struct redis_sentinel **question);

/* Ends the question; nothing runs any more. NULL is fine. */
void redis_sentinel_end(struct redis_sentinel *question);
