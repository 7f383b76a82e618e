#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/list.h"
#include "base/text.h"
#include "net/redis_call.h"
#include "net/redis_script.h"
#include "net/redis_words.h"

/*
 * A command, as it goes over the wire, and whose it is. Kept whole until its reply is here, because the call of a
 * script may have to be sent again with its source. Pure.
 *
 * {0} is an empty one, to be filled in by one of the first three functions; what fails shows in the status of `bytes`.
 */
struct redis_request {
    struct list link; /* its owner's */
    struct redis_call *call;
    struct buffer bytes;
    struct text lent;                  /* what follows them: the caller's, until the callback has run */
    const struct redis_script *script; /* that is called by its digest, or NULL: */
    size_t tail;                       /* where "numkeys" and what follows begins */
    size_t argument_count;             /* of what follows "numkeys" */
    uint64_t deadline_ms;              /* its owner's */
};

/* As of redis_command(), redis_script_call() and redis_script_call_words(). */
void redis_request_command(struct redis_request *request, size_t count, const struct text *arguments);
void redis_request_script(struct redis_request *request, const struct redis_script *script, size_t keys, size_t count,
                          const struct text *arguments);
void redis_request_script_words(struct redis_request *request, const struct redis_script *script,
                                const struct redis_words *keys, const struct redis_words *arguments);

/* How many bytes it has, those that are lent among them. */
size_t redis_request_size(const struct redis_request *request);

/* Makes it a command that any server understands at any time: with the script's source in the place of its digest, and
 * nothing lent. 0 or -ENOMEM: then it is as it was. */
MUST_CHECK int redis_request_spell_out(struct redis_request *request);

/* Empties it and keeps the memory for the next use. */
void redis_request_clear(struct redis_request *request);

/* Frees it, from the heap. NULL is fine. */
void redis_request_free(struct redis_request *request);
