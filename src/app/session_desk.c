#include "app/session_desk.h"

#include <errno.h>
#include <stdlib.h>

#include "base/version.h"
#include "session_desk_private.h"

bool session_desk_is_wanted(const struct settings *settings)
{
    return settings->sessions.token_secret_count > 0;
}

/* ---- replying */

void session_desk_reply(const struct session_desk *desk, struct conn *conn, const char *origin,
                        const struct reply *reply)
{
    struct buffer headers = {0};
    struct reply whole = *reply;
    visitor_headers(origin, reply->answer, &headers);
    buffer_append(&headers, reply->headers);
    whole.headers = buffer_text(&headers);
    if (conn) {
        reply_give(desk->options.replies, conn, &whole);
    } else {
        reply_note(desk->options.replies, NULL, &whole);
    }
    buffer_wipe(&headers);
}

static void reply_simply(const struct session_desk *desk, struct conn *conn, const char *origin, enum answer answer)
{
    session_desk_reply(desk, conn, origin, &(struct reply){.answer = answer});
}

/* ---- requests */

/* False: the request has had its answer. */
static bool let_in(const struct session_desk *desk, struct conn *conn, const struct http_request *request,
                   const char **origin)
{
    if (!visitor_may_come(&desk->options.settings->sessions, request, origin)) {
        reply_simply(desk, conn, NULL, ANSWER_ORIGIN_NOT_ALLOWED);
        return false;
    }
    if (text_equal(text_of(request->method), TEXT("OPTIONS"))) {
        reply_simply(desk, conn, *origin, ANSWER_PREFLIGHT);
        return false;
    }
    return true;
}

static void take_order(struct session_desk *desk, struct conn *conn, const struct http_request *request,
                       const struct session_request *wish, struct visitor *visitor)
{
    struct visitor_refusal refusal;
    const struct session_settings *settings = &desk->options.settings->sessions;
    struct visitor_rules rules = {.settings = settings, .keys = desk->keys};
    struct visitor_call call = {.conn = conn, .request = request, .form_token = wish->token};
    if (!visitor_read(&rules, &call, visitor, &refusal)) {
        struct reply reply = {.answer = refusal.answer, .message = refusal.message};
        session_desk_reply(desk, conn, visitor->origin, &reply);
        return;
    }
    struct enrolment_order order = {
        .conn = conn,
        .visitor = *visitor,
        .integration = wish->named ? wish->integration : settings->integration,
        .is_form = wish->is_form,
    };
    if (enrolment_start(desk, &order) < 0) {
        reply_simply(desk, conn, visitor->origin, ANSWER_OVERLOADED);
    }
    visitor_clear(&order.visitor);
}

static void take_creation(void *context, struct conn *conn, const struct http_request *request)
{
    static const enum answer answers[] = {
        [SESSION_REQUEST_MEDIA] = ANSWER_UNSUPPORTED_MEDIA_TYPE,
        [SESSION_REQUEST_MALFORMED] = ANSWER_INVALID_BODY,
        [SESSION_REQUEST_FIELD] = ANSWER_UNKNOWN_FIELD,
        [SESSION_REQUEST_INTEGRATION] = ANSWER_UNKNOWN_INTEGRATION,
    };
    struct session_desk *desk = context;
    struct visitor visitor = {0};
    if (!let_in(desk, conn, request, &visitor.origin)) {
        return;
    }
    struct session_request wish;
    int fault = session_request_parse(http_request_header(request, TEXT("content-type")), request->body, &wish);
    if (fault != 0) {
        reply_simply(desk, conn, visitor.origin, fault < 0 ? ANSWER_OVERLOADED : answers[fault]);
        return;
    }
    take_order(desk, conn, request, &wish, &visitor);
    visitor_clear(&visitor);
    session_request_clear(&wish);
}

static void take_inquiry(void *context, struct conn *conn, const struct http_request *request)
{
    struct session_desk *desk = context;
    struct visitor visitor = {0};
    struct visitor_refusal refusal;
    if (!let_in(desk, conn, request, &visitor.origin)) {
        return;
    }
    struct visitor_rules rules = {.settings = &desk->options.settings->sessions, .keys = desk->keys};
    struct visitor_call call = {.conn = conn, .request = request};
    if (!visitor_read(&rules, &call, &visitor, &refusal)) {
        struct reply reply = {.answer = refusal.answer, .message = refusal.message};
        session_desk_reply(desk, conn, visitor.origin, &reply);
    } else if (inquiry_start(desk, conn, &visitor) < 0) {
        reply_simply(desk, conn, visitor.origin, ANSWER_OVERLOADED);
    }
    visitor_clear(&visitor);
}

void session_desk_add_routes(struct session_desk *desk, struct router *router)
{
    struct route routes[] = {
        {.path = "/create-verification-session", .allow = "POST, OPTIONS", .take = take_creation, .context = desk},
        {.path = "/verification-status", .allow = "GET, OPTIONS", .take = take_inquiry, .context = desk},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        router_add(router, &routes[i]);
    }
}

/* ---- the desk */

int session_desk_open(uv_loop_t *loop, const struct session_desk_options *options, struct session_desk **opened)
{
    struct session_desk *desk = calloc(1, sizeof(*desk));
    if (!desk) {
        return -ENOMEM;
    }
    desk->options = *options;
    desk->loop = loop;
    list_init(&desk->enrolments);
    list_init(&desk->inquiries);
    struct fetcher_options fetcher = {.user_agent = version_user_agent(),
                                      .ca_file = options->settings->ca_file,
                                      .max_concurrent = SESSION_DESK_FILES};
    const struct session_settings *sessions = &options->settings->sessions;
    int status = token_keys_create(sessions->token_secrets, sessions->token_secret_count, &desk->keys);
    status = status == 0 ? fetcher_create(loop, &fetcher, &desk->fetcher) : status;
    if (status < 0) {
        token_keys_free(desk->keys);
        free(desk);
        return status;
    }
    desk->fetcher_open = true;
    *opened = desk;
    return 0;
}

void session_desk_set_keys(struct session_desk *desk, struct token_keys *keys)
{
    token_keys_free(desk->keys);
    desk->keys = keys;
}

void session_desk_poke(struct session_desk *desk)
{
    if (!desk->closed || desk->fetcher_open || !list_is_empty(&desk->enrolments) || !list_is_empty(&desk->inquiries)) {
        return;
    }
    void (*closed)(void *) = desk->closed;
    void *context = desk->closed_context;
    token_keys_free(desk->keys);
    free(desk);
    closed(context);
}

static void on_fetcher_closed(void *context)
{
    struct session_desk *desk = context;
    desk->fetcher_open = false;
    session_desk_poke(desk);
}

void session_desk_close(struct session_desk *desk, void (*closed)(void *context), void *context)
{
    desk->closed = closed;
    desk->closed_context = context;
    LIST_EACH(&desk->enrolments, link, following)
    {
        enrolment_abandon(link);
    }
    /* Inquiries end by themselves: they wait for Redis alone, which answers or times out. */
    fetcher_close(desk->fetcher, on_fetcher_closed, desk);
}
