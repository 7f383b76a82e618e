#pragma once

#include <stddef.h>

#include <curl/curl.h>
#include <uv.h>

#include "base/attributes.h"

/*
 * libcurl's multi interface on a libuv loop: watches its sockets, runs its timer, and tells which transfers have ended.
 * It knows nothing of HTTP.
 *
 * libcurl is never called from inside libcurl: on_ended only takes note, and on_turn, which runs after each turn of
 * libcurl, may do anything, fetch_multi_close() included.
 */
struct fetch_multi;

struct fetch_multi_owner {
    /* `easy` has ended with `code` and is out of libcurl's hands. Must not call anything of fetch_multi. */
    void (*on_ended)(void *context, CURL *easy, CURLcode code);
    /* What has ended in this turn has been told. */
    void (*on_turn)(void *context);
    void *context;
};

/* 0 or -ENOMEM. At most `kept_connections` idle connections stay open for later transfers. */
MUST_CHECK int fetch_multi_open(uv_loop_t *loop, const struct fetch_multi_owner *owner, size_t kept_connections,
                                struct fetch_multi **multi);

/* The transfer begins, and if need be fails, in a later turn of the loop. 0, or -ENOMEM: it is not taken. */
MUST_CHECK int fetch_multi_add(struct fetch_multi *multi, CURL *easy);

/* Takes a transfer that has not ended out; on_ended will not be called for it. */
void fetch_multi_remove(struct fetch_multi *multi, CURL *easy);

/* on_turn runs soon, from the loop. */
void fetch_multi_wake(struct fetch_multi *multi);

/* Nothing is in it any more. Closes the kept connections; `closed` runs when nothing of it is left on the loop. */
void fetch_multi_close(struct fetch_multi *multi, void (*closed)(void *context), void *context);
