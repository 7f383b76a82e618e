#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/attributes.h"
#include "base/text.h"
#include "net/tls.h"

/*
 * A stream of bytes to one server and back: over TCP or a unix socket, plain or in TLS. What one turn of the loop has
 * gathered leaves in one write, before the loop polls.
 *
 * Happy path: connect, with TLS its handshake, `on_open`; then bytes both ways.
 *
 * Failure modes: refused, reset, closed, a certificate that is not trusted: `on_lost` says why, once. A server that
 * says nothing is the owner's to notice.
 */
struct redis_link;

/* All run on the loop, never inside a function of this file; each may call redis_link_close(). */
struct redis_link_handler {
    void (*on_open)(void *context);
    void (*on_bytes)(void *context, struct text bytes); /* lent until it returns */
    void (*on_lost)(void *context, const char *why);    /* the link is still to be closed */
};

struct redis_link_options {
    const char *path;               /* of a unix socket, or NULL: */
    const struct sockaddr *address; /* with its port */
    struct tls_context *tls;        /* a client's, held as long as the link lives; NULL: plain */
    const char *server_name;        /* whom the certificate must name, with TLS */
    const struct redis_link_handler *handler;
    void *context;
};

/* Begins to connect. 0 or a negative code: then nothing will run. */
MUST_CHECK int redis_link_open(uv_loop_t *loop, const struct redis_link_options *options, struct redis_link **link);

/* Sends `bytes`, which are copied, and then `lent`, which must stay as they are until the loop polls; after on_open.
 * 0 or -ENOMEM: then nothing of them is sent. */
MUST_CHECK int redis_link_write(struct redis_link *link, struct text bytes, struct text lent);

/* The connection is made, though the handshake of TLS may not be. NULL is not. */
bool redis_link_is_connected(const struct redis_link *link);

/* Ends it at once; nothing runs any more. NULL is fine. */
void redis_link_close(struct redis_link *link);
