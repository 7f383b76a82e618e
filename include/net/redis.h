#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "base/attributes.h"
#include "base/text.h"
#include "net/redis_call.h"
#include "net/redis_options.h"
#include "net/redis_script.h"
#include "net/redis_trouble.h"
#include "net/redis_words.h"

/*
 * One connection to Redis on a libuv loop, which comes back by itself, for ever, when it is lost.
 *
 * Happy path: find the server, connect, greet (AUTH, SELECT, INFO, SCRIPT LOAD, CLIENT SETNAME), ready. Calls made in
 * one turn of the loop leave in one write; replies come in the order of the calls.
 *
 * Failure modes: refused, reset, closed, a wrong password, a server that loads, is a replica or not admitted: all calls
 * under way get the reply NULL, and a new connection is tried, from finding the server on, after a backoff of 20 ms
 * doubling to 2 s, with jitter. A server that says nothing while a call is older than call_timeout_ms is treated the
 * same way, and one that nobody asks anything is asked from time to time. While not ready, calls are refused at once.
 *
 * A server that is there but takes no writes (no memory, no disk, no replicas, busy with a script) keeps its
 * connection, which is not ready until a write succeeds again: that is tried after 100 ms, doubling to 2 s. Calls are
 * still sent, if the caller does not mind: some may be what mends it.
 *
 * In a cluster: MOVED is a loss after which the node that it names is tried first. ASK is none: that command is sent
 * once more, to the node that it names, behind ASKING, over a connection beside this one. What that answers is its
 * reply, unseen by the caller, and may come later than replies to calls that were made after it.
 *
 * Each loss and each return is logged once, with what to do about it, without passwords.
 */
struct redis;

/* Begins to connect. 0; -ENOTSUP: the files for TLS cannot be used, which was logged; or another negative code. */
MUST_CHECK int redis_open(uv_loop_t *loop, const struct redis_options *options, struct redis **redis);

/* Ends it: calls under way get NULL now, then `closed` runs when nothing of it is left on the loop. */
void redis_close(struct redis *redis, void (*closed)(void *context), void *context);

/* Connected, and of use: see redis_trouble(). */
bool redis_is_ready(const struct redis *redis);

/* What keeps it from being ready; REDIS_FINE when it is. */
enum redis_trouble redis_trouble(const struct redis *redis);

/* Drops a connection that seems to be of no use, and connects anew. Nothing happens while it is not connected. */
void redis_reconnect(struct redis *redis, const char *why);

/* How often this trouble was met, by all connections of this process. From any thread. */
uint64_t redis_troubles_met(enum redis_trouble trouble);

/* Calls under way, and the bytes of their commands. */
size_t redis_calls(const struct redis *redis);
size_t redis_bytes(const struct redis *redis);

/*
 * Sends a command. The arguments are copied. 0; -ENOTCONN: not connected; -ENOBUFS: max_calls or max_bytes are under
 * way; -ENOMEM.
 */
MUST_CHECK int redis_command(struct redis *redis, struct redis_call *call, size_t count, const struct text *arguments);

/*
 * Calls a script with `keys` keys and `count - keys` further arguments, all in `arguments`. A server that
 * has forgotten the script gets its source, unseen by the caller. Returns as redis_command() does.
 */
MUST_CHECK int redis_script_call(struct redis *redis, struct redis_call *call, const struct redis_script *script,
                                 size_t keys, size_t count, const struct text *arguments);

/*
 * As redis_script_call(), with words in the place of texts. `keys` are copied; `arguments` are lent, unless it is
 * refused: they stay as they are until the callback has run. To be called right before the loop polls, from an idle
 * handle: then they leave from where they are.
 */
MUST_CHECK int redis_script_call_words(struct redis *redis, struct redis_call *call, const struct redis_script *script,
                                       const struct redis_words *keys, const struct redis_words *arguments);
