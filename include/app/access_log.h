#pragma once

#include <stdint.h>

#include "app/answer.h"
#include "base/settings.h"
#include "base/text.h"
#include "net/conn.h"

/*
 * One log line per answer of the webhook listener, with the X-Request-Id that the client got: for those who ask what
 * became of a delivery that they see in Stripe's Dashboard.
 *
 * IDENTIHOOK_ACCESS_LOG: "all" writes one for every answer; it costs a system call or two each. "errors", the usual,
 * writes those of 400 and more, at most ten a second of each code, and leaves out what is logged with its cause
 * already: refused signatures and requests that are no event. "off" writes none. The path is not logged: it may be a
 * secret of its own.
 */
struct access {
    struct conn *conn;
    enum answer answer;
    struct text event;    /* {NULL, 0}: not known */
    uint64_t duration_ns; /* from the whole request to its answer; 0: there was no whole request */
};

void access_log(enum access_log_mode mode, const struct access *access);
