#pragma once

#include "app/router.h"
#include "app/session_desk.h"
#include "app/stripe_call.h"
#include "app/visitor.h"
#include "base/list.h"
#include "core/session_request.h"
#include "stripe/ticket.h"

struct session_desk {
    struct session_desk_options options;
    uv_loop_t *loop;
    struct fetcher *fetcher;
    struct token_keys *keys;
    struct list enrolments;
    struct list inquiries;
    bool fetcher_open;
    void (*closed)(void *context); /* NULL: it is open */
    void *closed_context;
};

/* Called when one of its requests has ended. */
void session_desk_poke(struct session_desk *desk);

/* Replies to a visitor, with the headers that go with it. `conn` may be NULL: the client has gone. */
void session_desk_reply(const struct session_desk *desk, struct conn *conn, const char *origin,
                        const struct reply *reply);

/* One request for a session, from its admission to its answer; it frees itself. */
struct enrolment_order {
    struct conn *conn;
    struct visitor visitor; /* taken */
    enum integration integration;
    bool is_form; /* a page's form, which wants to be sent on */
};

/* 0 or -ENOMEM: then nothing was begun. */
MUST_CHECK int enrolment_start(struct session_desk *desk, const struct enrolment_order *order);

/* The desk is closing: ends without an answer as soon as nothing is under way. `link` is one of desk->enrolments. */
void enrolment_abandon(struct list *link);

/* One request for a status; likewise. */
MUST_CHECK int inquiry_start(struct session_desk *desk, struct conn *conn, const struct visitor *visitor);
