#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/telemetry.h"
#include "base/attributes.h"
#include "base/endpoint.h"
#include "base/settings.h"
#include "core/token.h"
#include "net/listener.h"
#include "net/mail.h"
#include "stripe/signature.h"

/*
 * One thread with one loop, and on it a share of everything: a listener with its intake, a worker, a connection to
 * Redis. Reactors share nothing but settings and the mailer.
 *
 * The clients of an inherited socket, who may wait there since before the start, wait until Redis is there, but at most
 * IDENTIHOOK_ENQUEUE_TIMEOUT.
 *
 * It is opened on the starting thread, which may so hear of every failure, and then runs on its own.
 */
struct reactor;

struct reactor_options {
    const struct settings *settings; /* outlives the reactor */
    struct mailer *mailer;           /* NULL without SMTP_URL; outlives the reactor */
    struct mail_writer *writer;      /* the same */
    unsigned number;
    bool ingests;
    bool works;
    const struct endpoint *endpoint; /* where to listen, when it ingests */
    int inherited;                   /* the socket to listen with instead, when it ingests; -1: none */
    struct signature_keys *keys;     /* taken; when it ingests */
    struct tls_context *tls;         /* NULL: plain HTTP; held as long as it is used */
    struct address_table *addresses; /* NULL: no limit by address; outlives the reactor */
    size_t concurrency;              /* when it works; 0: it does not work after all */
};

/* Opens all of it. 0 or a negative code, logged. */
MUST_CHECK int reactor_open(const struct reactor_options *options, struct reactor **reactor);

/* Where its listener listens, with the real port. */
struct endpoint reactor_endpoint(const struct reactor *reactor);

/* Starts the thread. */
MUST_CHECK int reactor_start(struct reactor *reactor);

/* From any thread: stop taking requests and events, end what is under way, hand back the rest, then end the thread. */
void reactor_stop(struct reactor *reactor);

/* From any thread: takes `keys` in the place of those it verifies with. */
void reactor_set_keys(struct reactor *reactor, struct signature_keys *keys);

/* From any thread: takes `keys` in the place of those it verifies its visitors' tokens with. */
void reactor_set_token_keys(struct reactor *reactor, struct token_keys *keys);

/* From any thread: new connections use `tls`, which it takes a hold of. */
void reactor_set_tls(struct reactor *reactor, struct tls_context *tls);

/* Waits for the thread, which reactor_stop() ends. */
void reactor_wait(struct reactor *reactor);

/* Frees one whose thread was waited for, or was never started: such a one is stopped here. NULL is fine. */
void reactor_free(struct reactor *reactor);

/* Readable from any thread. The counters are NULL when it does not ingest. */
const struct telemetry *reactor_telemetry(const struct reactor *reactor);
const struct listener_counters *reactor_counters(const struct reactor *reactor);
