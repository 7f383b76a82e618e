#pragma once

struct redisReply; /* hiredis */

/*
 * A command whose reply is awaited; embedded by the caller in whatever it is for. It must stay where it is until its
 * callback has run, which happens exactly once each time that it was sent, and never inside the function that sent it.
 */
struct redis_call {
    /* `reply` is lent until the callback returns. NULL: the connection was lost, so the command may or may not have
     * run. */
    void (*callback)(struct redis_call *call, const struct redisReply *reply);
};
