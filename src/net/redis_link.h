#pragma once

#include <stdbool.h>

#include <uv.h>

struct redisAsyncContext;

/*
 * hiredis on libuv. The adapter that hiredis ships hides failures (a refused connection and a reset are never reported
 * with 0.14) and writes each command when the socket polls writable; this one reports them, and writes what one turn of
 * the loop has gathered in one go, before the loop polls.
 */
struct redis_link;

/* Attaches `context`. The link frees itself when hiredis frees the context. 0 or a negative code. */
int redis_link_attach(uv_loop_t *loop, struct redisAsyncContext *context);
