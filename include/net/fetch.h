#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/text.h"

/*
 * Outgoing HTTP requests on a libuv loop, over libcurl's multi interface. One fetcher per loop; connections are kept
 * and used again.
 *
 * HTTP/1.1, certificates always checked (SSL_CERT_FILE names another bundle of authorities, as for OpenSSL), no
 * redirects, no proxy from the environment, answers up to a limit. A request that found its kept connection dead may be
 * sent once more by libcurl: what is posted must bear being received twice.
 */
struct fetcher;
struct fetch;

struct fetcher_options {
    const char *user_agent; /* outlives the fetcher */
    const char *ca_file;    /* authorities (PEM) to trust instead of the system\'s, or NULL; outlives the fetcher */
    size_t max_concurrent;  /* more wait their turn; their time runs from when they start */
};

MUST_CHECK int fetcher_create(uv_loop_t *loop, const struct fetcher_options *options, struct fetcher **fetcher);

/* Cancels what is left; `closed` runs when nothing is left on the loop. */
void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context);

#define FETCH_HEADERS_MAXIMUM 12

struct fetch_request {
    const char *url;                            /* http:// or https:// */
    const char *bearer;                         /* NULL, or a token for Authorization: Bearer; overwritten after use */
    struct text body;                           /* empty: GET; else POST; copied */
    const char *headers[FETCH_HEADERS_MAXIMUM]; /* "Name: value"; copied; ends with NULL */
    uint64_t timeout_ms;                        /* for all of it */
    size_t max_response;                        /* bytes of the answer's body */
};

enum fetch_fault {
    FETCH_FINE,
    FETCH_TIMEOUT,
    FETCH_UNREACHABLE, /* no connection: refused, no such host, TLS not trusted */
    FETCH_BROKEN,      /* the connection broke, or what came was no HTTP */
    FETCH_TOO_LARGE,
};

struct fetch_result {
    enum fetch_fault fault;
    const char *fault_text; /* libcurl's words, without addresses of people; "" when FINE */
    int status;             /* of a whole answer; 0 unless FINE */
    struct text body;
    /* Answer headers that callers ask for; empty when absent. */
    struct text retry_after;
    struct text should_retry;
    struct text request_id;
    struct text rate_limit_reason;
};

/* `result` is lent until it returns. */
typedef void fetch_callback(void *context, const struct fetch_result *result);

/*
 * Starts a request. 0: the callback will run exactly once, never inside this call, unless fetch_cancel() comes first;
 * *fetch is valid until then. -ENOMEM; -EINVAL: libcurl refuses the URL.
 */
MUST_CHECK int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_callback *callback,
                           void *context, struct fetch **fetch);

/* The callback will not run any more. */
void fetch_cancel(struct fetch *fetch);
