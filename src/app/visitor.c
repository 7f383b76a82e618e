#include "app/visitor.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#define INVALID_INTERVAL_MS 1000

/* ---- the page that asks */

static bool is_ours(struct text origin, const struct http_request *request)
{
    struct text authority = origin;
    struct text host = http_request_header(request, TEXT("host"));
    if (!text_take_prefix(&authority, TEXT("https://")) && !text_take_prefix(&authority, TEXT("http://"))) {
        return false;
    }
    return text_equal_ignoring_case(authority, host);
}

bool visitor_may_come(const struct session_settings *settings, const struct http_request *request, const char **origin)
{
    struct text given = http_request_header(request, TEXT("origin"));
    *origin = NULL;
    if (!given.data) {
        return true; /* no browser, or one that sees no need to tell */
    }
    for (size_t i = 0; i < settings->origin_count; i++) {
        if (text_equal(given, text_of(settings->origins[i]))) {
            *origin = settings->origins[i];
            return true;
        }
    }
    return is_ours(given, request);
}

void visitor_headers(const char *origin, enum answer answer, struct buffer *headers)
{
    buffer_append_string(headers, "Cache-Control: no-store\r\nVary: Origin\r\n");
    if (origin) {
        buffer_append_format(headers,
                             "Access-Control-Allow-Origin: %s\r\n"
                             "Access-Control-Expose-Headers: Retry-After, X-Request-Id\r\n",
                             origin);
    }
    if (origin && answer == ANSWER_PREFLIGHT) {
        buffer_append_string(headers, "Access-Control-Allow-Methods: GET, POST\r\n"
                                      "Access-Control-Allow-Headers: Authorization, Content-Type\r\n"
                                      "Access-Control-Max-Age: 600\r\n");
    }
    if (answer == ANSWER_TOKEN_MISSING) {
        buffer_append_string(headers, "WWW-Authenticate: Bearer\r\n");
    } else if (answer == ANSWER_TOKEN_INVALID || answer == ANSWER_TOKEN_EXPIRED) {
        buffer_append_string(headers, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    }
}

/* ---- where it comes from */

/* The last part of the header: the one that the nearest proxy wrote. */
static struct text last_part(struct text list)
{
    struct text part = {0};
    while (list.data) {
        part = text_trim(text_cut(&list, ','));
    }
    return part;
}

/* An IPv6 network of 64 bits belongs to one customer, who may use any address in it. */
static void hash_address(struct text text, char hash[USER_HASH_SIZE])
{
    char address[CONN_PEER_SIZE];
    unsigned char bytes[16];
    (void)snprintf(address, sizeof(address), "%.*s", TEXT_ARGUMENTS(text));
    bool is_network = inet_pton(AF_INET6, address, bytes) == 1;
    user_hash(is_network ? (struct text){.data = (const char *)bytes, .length = 8} : text_of(address), hash);
}

static void read_address(const struct session_settings *settings, const struct visitor_call *call,
                         struct visitor *visitor)
{
    char peer[CONN_PEER_SIZE];
    struct text address = {0};
    if (settings->address_header) {
        address = last_part(http_request_header(call->request, text_of(settings->address_header)));
    }
    if (address.length == 0) {
        conn_peer(call->conn, peer);
        address = text_of(peer);
    }
    hash_address(address, visitor->address);
}

/* ---- the token */

static struct text bearer_of(const struct http_request *request)
{
    struct text value = text_trim(http_request_header(request, TEXT("authorization")));
    struct text scheme = text_cut(&value, ' ');
    return text_equal_ignoring_case(scheme, TEXT("bearer")) ? text_trim(value) : (struct text){0};
}

static bool refuse(struct visitor_refusal *refusal, enum answer answer, const char *message)
{
    *refusal = (struct visitor_refusal){.answer = answer, .message = message};
    return false;
}

static void log_verdict(const struct conn *conn, enum token_verdict verdict)
{
    static struct log_limit limits[TOKEN_VERDICTS];
    uint64_t suppressed;
    if (log_limit_pass(&limits[verdict], INVALID_INTERVAL_MS, &suppressed)) {
        log_warn("token refused", LOG_STRING("why", token_verdict_message(verdict)),
                 LOG_STRING("request_id", conn_request_id(conn)), LOG_NUMBER("suppressed", suppressed));
    }
}

bool visitor_read(const struct visitor_rules *rules, const struct visitor_call *call, struct visitor *visitor,
                  struct visitor_refusal *refusal)
{
    const struct session_settings *settings = rules->settings;
    struct token_rules token_rules = {
        .keys = rules->keys,
        .audience = settings->token_audience,
        .issuer = settings->token_issuer,
        .leeway_s = (int64_t)(settings->token_leeway_ms / 1000),
    };
    bool has_header = http_request_header(call->request, TEXT("authorization")).data != NULL;
    struct text token = has_header ? bearer_of(call->request) : text_of(call->form_token);
    if (token.length == 0) {
        return refuse(refusal, ANSWER_TOKEN_MISSING, NULL);
    }
    int verdict = token_verify(&token_rules, token, clock_wall_seconds(), &visitor->token);
    if (verdict < 0) {
        return refuse(refusal, ANSWER_OVERLOADED, NULL);
    }
    if (verdict == TOKEN_EXPIRED) {
        return refuse(refusal, ANSWER_TOKEN_EXPIRED, NULL);
    }
    if (verdict != TOKEN_VALID) {
        log_verdict(call->conn, (enum token_verdict)verdict);
        return refuse(refusal, ANSWER_TOKEN_INVALID, token_verdict_message((enum token_verdict)verdict));
    }
    user_hash(text_of(visitor->token.user), visitor->hash);
    read_address(settings, call, visitor);
    return true;
}

void visitor_clear(struct visitor *visitor)
{
    token_clear(&visitor->token);
}
