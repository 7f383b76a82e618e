#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * TLS without sockets: bytes from the network go in, plain text and bytes for the network come out.
 *
 * TLS 1.2 and 1.3, forward-secret ciphers with authenticated encryption only, no renegotiation. As a server: ALPN
 * http/1.1, session tickets for resumption. As a client: the server's certificate is always checked, and its name.
 */

/* Certificate, key and rules; shared by all loops, and replaced as a whole when the certificate is renewed. */
struct tls_context;

struct tls_options {
    const char *certificate; /* PEM file: the certificate and what leads to its authority */
    const char *key;         /* PEM file */
    const char *client_ca;   /* PEM file, or NULL: clients must show a certificate that it signed */
};

/* 0; -EINVAL: `error` says which file is at fault and why; -ENOMEM. */
MUST_CHECK int tls_context_create(const struct tls_options *options, struct tls_context **context, char error[256]);

struct tls_client_options {
    const char *ca;          /* PEM file of the authorities to trust; NULL: the system's, or SSL_CERT_FILE's */
    const char *certificate; /* PEM file of our own certificate, with its chain, or NULL: we show none */
    const char *key;         /* PEM file, with a certificate */
};

/* For connections that we open. Returns as tls_context_create() does. */
MUST_CHECK int tls_context_create_client(const struct tls_client_options *options, struct tls_context **context,
                                         char error[256]);

/* One more holder of it, and one less: the last one frees it. NULL is fine. */
struct tls_context *tls_context_hold(struct tls_context *context);
void tls_context_release(struct tls_context *context);

/* One connection's TLS. */
struct tls_stream;

/* Holds `context` as long as it lives. 0 or -ENOMEM. */
MUST_CHECK int tls_stream_create(struct tls_context *context, struct tls_stream **stream);
/* One that we open, with a context for clients, to `server_name`: a host's name or an address. What tls_output() has
 * begins the handshake. */
MUST_CHECK int tls_stream_connect(struct tls_context *context, const char *server_name, struct tls_stream **stream);

void tls_stream_free(struct tls_stream *stream);

/*
 * Takes bytes from the network: all of them. Then call tls_read() until it returns 0, and send what tls_output() has.
 * 0, or -EPROTO: this is no TLS, or the handshake failed; what tls_output() has (an alert) is still to be sent, then
 * close.
 */
MUST_CHECK int tls_feed(struct tls_stream *stream, struct text bytes);

/* Plain text that has come: up to `size` bytes. 0: no more now. -ECONNRESET: the client has said goodbye. -EPROTO:
 * broken. */
MUST_CHECK int tls_read(struct tls_stream *stream, char *buffer, size_t size);

/* Why -EPROTO was returned, for the operator; valid as long as the stream. */
const char *tls_trouble(const struct tls_stream *stream);

bool tls_is_established(const struct tls_stream *stream);

/* Encrypts `plain` for sending. 0 or -EPROTO. */
MUST_CHECK int tls_write(struct tls_stream *stream, struct text plain);

/* Says goodbye (close_notify). */
void tls_say_goodbye(struct tls_stream *stream);

/* What is to be sent; valid until the next call. tls_sent() drops its first `length` bytes. */
struct text tls_output(struct tls_stream *stream);
void tls_sent(struct tls_stream *stream, size_t length);
