#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/endpoint.h"
#include "net/address_table.h"
#include "net/conn.h"
#include "net/tls.h"

/*
 * A listening socket on one loop, with SO_REUSEPORT so that each loop has its own and the kernel spreads the clients,
 * and the connections that come in through it.
 *
 * Or it shares one socket that was inherited from a service manager with the other loops. Then each waiting client
 * wakes every idle loop, and one of them gets it: dearer than sockets of their own, but no client is lost when this
 * process ends, since the socket stays open in the service manager.
 *
 * Every stage of a connection has a deadline, kept in a list per stage that one coarse timer looks through. At the
 * largest number of connections nothing more is accepted: clients wait in the kernel's queue. Out of file descriptors
 * is treated alike.
 */
struct listener;

/* Written by the loop, readable from any thread. */
struct listener_counters {
    _Atomic uint64_t accepted;
    _Atomic uint64_t open;
    _Atomic uint64_t requests;
    _Atomic uint64_t held;            /* bytes on the heap, of requests that are still arriving; now */
    _Atomic uint64_t timed_out;       /* closed at a deadline */
    _Atomic uint64_t turned_away;     /* closed at once: too many from one address */
    _Atomic uint64_t accept_failures; /* mostly for want of file descriptors */
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t bytes_out;
};

struct listener_options {
    struct http_limits limits;
    uint64_t header_timeout_ms;  /* first byte of a request to the end of its headers; also for a connection's first
                                    byte, and for a TLS handshake */
    uint64_t request_timeout_ms; /* first byte to the end of its body, so that it also bounds the headers; also for the
                                    client to take an answer */
    uint64_t idle_timeout_ms;    /* between requests, and before the first */
    uint64_t linger_timeout_ms;  /* from our end of a connection to the client's; also for a first request in a drain */
    size_t max_connections;
    struct address_table *addresses; /* NULL: no limit by address; outlives the listener */
    uint64_t max_requests;           /* of one connection; 0: no limit */
    size_t max_pipelined;            /* bytes kept behind a request that is not answered yet */
    size_t max_held;                 /* bytes of requests that are still arriving, of all connections together */
    bool joins_port; /* another listener of this process has the port already; otherwise a port in use is refused */
    int inherited;   /* a socket that listens already, to be duplicated; the caller's. -1: one is made at `endpoint` */
    bool waits;      /* takes no connections before listener_begin(); for an inherited socket, whose clients can wait */
    struct tls_context *tls; /* NULL: plain HTTP; held as long as it is used */
    const struct conn_handler *handler;
    void *context; /* the handler's */
};

/* Binds and listens at `endpoint`, or takes the inherited socket. Connections are taken from the first turn of the loop
 * on. 0 or a negative code. */
MUST_CHECK int listener_open(uv_loop_t *loop, const struct endpoint *endpoint, const struct listener_options *options,
                             struct listener **listener);

/* Takes connections from now on, if it was opened to wait. Twice is fine. */
void listener_begin(struct listener *listener);

/* Where it listens, with the port that the system chose if port 0 was asked for, or as inherited. */
struct endpoint listener_endpoint(const struct listener *listener);

const struct listener_counters *listener_counters(const struct listener *listener);

/* New connections use `tls` from now on; those that are open keep what they have. Only for a listener that has TLS. */
void listener_set_tls(struct listener *listener, struct tls_context *tls);

/*
 * Begins to end: takes no more connections, closes the idle ones, answers what is under way with Connection: close. A
 * connection that has not been used yet gets the linger timeout for its first request.
 * `drained` runs, later, when the last connection has gone; after `timeout_ms` those that are left are cut.
 */
void listener_drain(struct listener *listener, uint64_t timeout_ms, void (*drained)(void *context), void *context);

/* After `drained`, or instead of draining: cuts every connection; `closed` runs when nothing is left on the loop. */
void listener_close(struct listener *listener, void (*closed)(void *context), void *context);
