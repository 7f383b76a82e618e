#include "app/reply.h"

#include <errno.h>
#include <stdlib.h>

#define RETRY_AFTER_S 5

struct replies {
    const struct settings *settings;
    struct telemetry *telemetry;
    struct buffer bodies[ANSWERS]; /* of the errors that always say the same, rendered once */
};

/* Renders the bodies of all errors with a message of their own. 0 or -ENOMEM. */
static int render_bodies(struct replies *replies)
{
    int status = 0;
    for (enum answer kind = 0; kind < ANSWERS && status == 0; kind++) {
        if (answer_kinds[kind].message) {
            http_error_body(&replies->bodies[kind], answer_kinds[kind].code, answer_kinds[kind].message);
            status = buffer_status(&replies->bodies[kind]);
        }
    }
    return status;
}

int replies_create(const struct settings *settings, struct telemetry *telemetry, struct replies **created)
{
    struct replies *replies = calloc(1, sizeof(*replies));
    if (!replies) {
        return -ENOMEM;
    }
    replies->settings = settings;
    replies->telemetry = telemetry;
    if (render_bodies(replies) < 0) {
        replies_free(replies);
        return -ENOMEM;
    }
    *created = replies;
    return 0;
}

void replies_free(struct replies *replies)
{
    if (!replies) {
        return;
    }
    for (enum answer kind = 0; kind < ANSWERS; kind++) {
        buffer_free(&replies->bodies[kind]);
    }
    free(replies);
}

void reply_note(const struct replies *replies, struct conn *conn, const struct reply *reply)
{
    telemetry_add(&replies->telemetry->answers[reply->answer], 1);
    if (reply->duration_ns != 0) {
        telemetry_observe(&replies->telemetry->answer_time, reply->duration_ns);
    }
    if (conn) {
        struct access access = {
            .conn = conn, .answer = reply->answer, .event = reply->event, .duration_ns = reply->duration_ns};
        access_log(replies->settings->access_log, &access);
    }
}

void reply_give(const struct replies *replies, struct conn *conn, const struct reply *reply)
{
    const struct answer_kind *kind = &answer_kinds[reply->answer];
    struct http_answer answer = {
        .status = kind->status,
        .body = reply->body,
        .content_type = reply->content_type,
        .allow = reply->allow,
        .headers = reply->headers,
        .retry_after_s = reply->retry_after_s > 0 || kind->status != 503 ? reply->retry_after_s : RETRY_AFTER_S,
    };
    reply_note(replies, conn, reply); /* first: the connection may be gone afterwards */
    if (reply->message) {
        conn_answer_error(conn, &answer, kind->code, reply->message);
        return;
    }
    if (kind->message) {
        answer.body = buffer_text(&replies->bodies[reply->answer]);
    }
    conn_answer(conn, &answer);
}
