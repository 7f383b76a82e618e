#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "session_desk_private.h"
#include "stripe/error_code.h"

/* One request for a status: pace → read → answer. Redis is all that it waits for. */
struct inquiry {
    struct list link;
    struct waiter waiter;
    struct session_desk *desk;
    struct conn *conn; /* NULL: the client has gone */
    const char *origin;
    char hash[USER_HASH_SIZE];
    struct pace_call pace;
    struct user_call user;
};

/* ---- answering; each is the last that is done with it */

static void reply_with(struct inquiry *inquiry, const struct reply *reply)
{
    struct session_desk *desk = inquiry->desk;
    session_desk_reply(desk, inquiry->conn, inquiry->origin, reply);
    list_remove(&inquiry->link);
    free(inquiry);
    session_desk_poke(desk);
}

static void refuse(struct inquiry *inquiry, enum answer answer, unsigned retry_after_s)
{
    reply_with(inquiry, &(struct reply){.answer = answer, .retry_after_s = retry_after_s});
}

static void append_reason(struct buffer *body, const char *reason)
{
    if (reason[0] == '\0') {
        buffer_append_string(body, "null");
        return;
    }
    const struct error_code *code = error_code_find(reason);
    buffer_append_format(body, "{\"code\":\"%s\",\"retryable\":%s,\"message\":\"", code->code,
                         code->retryable ? "true" : "false");
    buffer_append_json(body, text_of(code->message));
    buffer_append_string(body, "\"}");
}

static uint64_t attempts_left(const struct session_settings *settings, const struct user_record *record)
{
    bool is_over = clock_wall_ms() >= record->since_ms + (int64_t)settings->attempts_window_ms;
    uint64_t had = is_over ? 0 : record->attempts;
    return had < settings->attempts ? settings->attempts - had : 0;
}

static void append_record(struct buffer *body, const struct session_settings *settings,
                          const struct user_record *record)
{
    if (record->session[0] == '\0') {
        buffer_append_format(body,
                             "{\"status\":\"none\",\"session\":null,\"reason\":null,\"updated_at\":null,"
                             "\"attempts_left\":%" PRIu64 "}",
                             settings->attempts);
        return;
    }
    buffer_append_string(body, "{\"status\":\"");
    buffer_append_json(body, text_of(record->status));
    buffer_append_string(body, "\",\"session\":\"");
    buffer_append_json(body, text_of(record->session));
    buffer_append_string(body, "\",\"reason\":");
    append_reason(body, record->reason);
    buffer_append_format(body, ",\"updated_at\":%" PRId64 ",\"attempts_left\":%" PRIu64 "}", record->at_ms / 1000,
                         attempts_left(settings, record));
}

/* ---- its way */

static void on_read(struct user_call *call, bool answered)
{
    struct inquiry *inquiry = CONTAINER_OF(call, struct inquiry, user);
    struct buffer body = {0};
    if (!answered) {
        refuse(inquiry, ANSWER_RECORDS_UNAVAILABLE, 0);
        return;
    }
    append_record(&body, &inquiry->desk->options.settings->sessions, &call->record);
    if (buffer_status(&body) < 0) {
        refuse(inquiry, ANSWER_OVERLOADED, 0);
    } else {
        reply_with(inquiry, &(struct reply){.answer = ANSWER_STATUS, .body = buffer_text(&body)});
    }
    buffer_free(&body);
}

static void on_paced(struct pace_call *call, int64_t wait_ms)
{
    struct inquiry *inquiry = CONTAINER_OF(call, struct inquiry, pace);
    if (wait_ms > 0) {
        refuse(inquiry, ANSWER_RATE_LIMITED, (unsigned)(wait_ms / 1000) + 1);
        return;
    }
    inquiry->user.callback = on_read;
    if (wait_ms < 0 || user_read(inquiry->desk->options.queue, &inquiry->user, inquiry->hash) < 0) {
        refuse(inquiry, ANSWER_RECORDS_UNAVAILABLE, 0);
    }
}

static void on_gone(struct waiter *waiter)
{
    CONTAINER_OF(waiter, struct inquiry, waiter)->conn = NULL;
}

int inquiry_start(struct session_desk *desk, struct conn *conn, const struct visitor *visitor)
{
    const struct session_settings *settings = &desk->options.settings->sessions;
    struct inquiry *inquiry = calloc(1, sizeof(*inquiry));
    if (!inquiry) {
        return -ENOMEM;
    }
    inquiry->desk = desk;
    inquiry->conn = conn;
    inquiry->origin = visitor->origin;
    inquiry->waiter.gone = on_gone;
    memcpy(inquiry->hash, visitor->hash, sizeof(inquiry->hash));
    list_append(&desk->inquiries, &inquiry->link);
    conn_set_waiting(conn, &inquiry->waiter);
    struct pace_limit limits[PACE_LIMITS] = {
        {.kind = "status", .name = text_of(inquiry->hash), .per_minute = settings->status_rate},
        {.kind = "address", .name = text_of(visitor->address), .per_minute = settings->address_rate},
    };
    inquiry->pace.callback = on_paced;
    if (pace_take(desk->options.queue, &inquiry->pace, limits) < 0) {
        refuse(inquiry, ANSWER_RECORDS_UNAVAILABLE, 0);
    }
    return 0;
}
