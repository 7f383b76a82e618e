#pragma once

#include <stdbool.h>

#include <uv.h>

#include "app/reactor.h"
#include "base/attributes.h"
#include "base/settings.h"
#include "net/conn.h"

/*
 * The operator console, GET / of the admin listener in every role: one read-only page of what goes on in this process
 * and, by Redis, in the fleet.
 *
 * Its connection to Redis is opened when somebody looks for the first time. Lookers who come at once share one page,
 * and a page is kept for a second. When Redis does not answer within CONSOLE_PATIENCE_MS the page says so.
 */
#define CONSOLE_PATIENCE_MS 2000

struct console;

struct console_options {
    const struct settings *settings; /* this and the reactors outlive the console */
    struct reactor *const *reactors;
    size_t reactor_count;
    const bool *draining;
    const char *role;
};

/* 0 or -ENOMEM. */
MUST_CHECK int console_open(uv_loop_t *loop, const struct console_options *options, struct console **console);

/* Answers a GET, now or soon. */
void console_answer(struct console *console, struct conn *conn);

/* The client of `waiting` (see conn_set_waiting()) has gone. */
void console_forget(void *waiting);

/* Lookers who still wait are answered now. `closed` runs, and the console is gone, when nothing of it is left on the
 * loop. */
void console_close(struct console *console, void (*closed)(void *context), void *context);
