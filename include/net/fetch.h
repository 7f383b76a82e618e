#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/address.h"
#include "base/attributes.h"
#include "base/text.h"

/*
 * Outgoing HTTP requests on a libuv loop, over libcurl's multi interface. One fetcher per loop; connections are kept
 * and used again. curl_library_open() has run before there are threads.
 *
 * HTTP/1.1; https:// always with the certificate checked; no redirects; no proxy, netrc or authorities' bundle from the
 * environment; answers up to a limit.
 *
 * A kept connection may turn out to be dead when a request is sent on it. libcurl then sends the request once more, on
 * a new connection, if no byte of an answer had come: what is posted must bear being received twice (Idempotency-Key).
 */
struct fetcher;
struct fetch;

struct fetcher_options {
    const char *user_agent; /* outlives the fetcher */
    const char *ca_file;    /* authorities (PEM) to trust instead of the system's, or NULL; outlives the fetcher */
    size_t max_concurrent;  /* at least 1; more wait their turn, and their time runs from when they start */
};

/* 0 or -ENOMEM. */
MUST_CHECK int fetcher_create(uv_loop_t *loop, const struct fetcher_options *options, struct fetcher **fetcher);

/* Cancels what is left, and from now on starts nothing; `closed` runs when nothing is left on the loop. May be called
 * from a fetch's callback. */
void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context);

#define FETCH_HEADERS_MAXIMUM 12

struct fetch_request {
    const char *url;                            /* http:// or https:// */
    const char *bearer;                         /* NULL, or a token for Authorization: Bearer; overwritten after use */
    struct text body;                           /* empty: GET; else POST; copied */
    const char *headers[FETCH_HEADERS_MAXIMUM]; /* "Name: value"; copied; ends with NULL unless full */
    uint64_t timeout_ms;                        /* for all of it, at least 1; connecting gets 10 s of it at most */
    size_t max_response;                        /* bytes of the answer's body */
    enum address_reach reach;                   /* connect to such addresses only; the same for all of a fetcher's
                                                 * requests to a host, whose kept connections are not looked at again */
    const char *ca_file;                        /* authorities (PEM) to trust instead of the fetcher's; or NULL */
    const char *certificate;                    /* to show who we are: a chain (PEM file), or NULL, */
    const char *key;                            /*                     and its private key */
    bool only_connects; /* sends nothing: FINE, with the status 0, when a connection could be made, TLS included */
};

enum fetch_fault {
    FETCH_FINE,
    FETCH_TIMEOUT,
    FETCH_UNREACHABLE, /* no connection: refused, no such host, TLS not trusted */
    FETCH_FORBIDDEN,   /* no connection: the host's addresses are out of reach */
    FETCH_BROKEN,      /* the connection broke, or what came was no HTTP */
    FETCH_TOO_LARGE,
};

struct fetch_result {
    enum fetch_fault fault;
    const char *fault_text; /* for the operator: libcurl's words, which may name the host; "" when FINE */
    int status;             /* of a whole answer, or of one whose body is TOO_LARGE; else 0 */
    struct text body;       /* empty unless FINE */
    /* Answer headers that callers ask for; empty when absent or longer than 256 bytes. */
    struct text retry_after; /* seconds, also where it was a date */
    struct text should_retry;
    struct text request_id;
    struct text rate_limit_reason;
    struct text date;
};

/* `result` is lent until it returns. */
typedef void fetch_callback(void *context, const struct fetch_result *result);

/*
 * Starts a request. 0: the callback will run exactly once, never inside this call, unless fetch_cancel() or
 * fetcher_close() comes first; *fetch is valid until one of the three.
 *
 * -EINVAL: no URL of http or https, or a header or token with a control character in it; -ENOMEM; -ECANCELED: the
 * fetcher is closing. Then there is no fetch and no callback.
 */
MUST_CHECK int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_callback *callback,
                           void *context, struct fetch **fetch);

/* The callback will not run any more. Not for a fetch whose callback has begun. */
void fetch_cancel(struct fetch *fetch);
