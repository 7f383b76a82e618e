#include "net/http.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/decimal.h"

#define FAULT(name, status, code, message) static const struct http_fault name = {status, code, message}

FAULT(fault_syntax, 400, "bad_request", "this is not an HTTP/1.1 request");
FAULT(fault_http2, 400, "bad_request", "HTTP/2 is not spoken here; use HTTP/1.1");
FAULT(fault_fold, 400, "bad_request", "a header line is folded; write each header on one line");
FAULT(fault_name, 400, "bad_request", "a header has no name");
FAULT(fault_host, 400, "bad_request", "send exactly one Host header with a host name and an optional port");
FAULT(fault_version, 505, "version_not_supported", "use HTTP/1.1 or HTTP/1.0");
FAULT(fault_coding, 400, "bad_request", "the only transfer coding that is understood is chunked, in HTTP/1.1");
FAULT(fault_target, 400, "bad_request", "the request target is not a path");
FAULT(fault_expect, 417, "expectation_failed", "the only expectation that can be met is 100-continue");
FAULT(fault_head, 431, "headers_too_large", "the headers are too large, or too many");
FAULT(fault_url, 414, "url_too_long", "the request target is too long");
FAULT(fault_body, 413, "body_too_large", "the body is larger than this endpoint takes");
const struct http_fault http_fault_timeout = {408, "request_timeout",
                                              "the request did not arrive in time; send it again"};
const struct http_fault http_fault_overloaded = {503, "overloaded",
                                                 "there is no room for this request; send it again later"};

/* ---- the request object */

static struct text slice(const struct http_request *request, size_t at, size_t length)
{
    return (struct text){.data = request->head.data + at, .length = length};
}

struct text http_request_header(const struct http_request *request, struct text name)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        if (header->name_length == name.length &&
            text_equal_ignoring_case(slice(request, header->name, header->name_length), name)) {
            return text_trim(slice(request, header->value, header->value_length));
        }
    }
    return (struct text){0};
}

void http_request_reset(struct http_request *request)
{
    struct buffer head = request->head;
    struct buffer collected = request->collected;
    struct http_header *headers = request->headers;
    size_t capacity = request->header_capacity;
    buffer_clear(&head);
    buffer_clear(&collected);
    *request = (struct http_request){
        .head = head, .collected = collected, .headers = headers, .header_capacity = capacity, .line = HTTP_LINE_START};
}

size_t http_request_memory(const struct http_request *request)
{
    return request->head.capacity + request->collected.capacity + request->header_capacity * sizeof(struct http_header);
}

void http_request_free(struct http_request *request)
{
    buffer_free(&request->head);
    buffer_wipe(&request->collected);
    free(request->headers);
    *request = (struct http_request){0};
}

/* ---- llhttp's callbacks: they collect; judging comes when the headers are complete */

static struct http_request *of(llhttp_t *parser)
{
    return parser->data;
}

static int refuse(struct http_request *request, const struct http_fault *fault)
{
    request->fault = fault;
    return HPE_USER;
}

/* Where a piece of the head is kept. False: llhttp takes for the head what the scan of its lines did not. */
static bool find_place(struct http_request *request, const char *at, size_t length, size_t *place)
{
    *place = request->fed_place + (size_t)(at - request->fed);
    if (*place + length > request->head.length) {
        request->fault = &fault_syntax;
        return false;
    }
    return true;
}

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    struct http_request *request = of(parser);
    size_t place;
    if (!find_place(request, at, length, &place)) {
        return HPE_USER;
    }
    request->target = request->target_length == 0 ? place : request->target;
    request->target_length += length;
    return request->target_length > request->limits->url ? refuse(request, &fault_url) : 0;
}

static int add_header(struct http_request *request, size_t name)
{
    if (request->header_count == request->limits->headers) {
        return refuse(request, &fault_head);
    }
    if (request->header_count == request->header_capacity) {
        size_t capacity = request->header_capacity ? request->header_capacity * 2 : 16;
        struct http_header *headers = realloc(request->headers, capacity * sizeof(*headers));
        if (!headers) {
            return refuse(request, &http_fault_overloaded);
        }
        request->headers = headers;
        request->header_capacity = capacity;
    }
    assert(request->headers); /* there is room now */
    request->headers[request->header_count++] = (struct http_header){.name = (uint32_t)name};
    return 0;
}

/* A header is begun by the first piece of its name, and its value by the end of the name; both may come in pieces. */
static int on_header_field(llhttp_t *parser, const char *at, size_t length)
{
    struct http_request *request = of(parser);
    size_t place;
    if (request->head_done) {
        return 0; /* a trailer */
    }
    if (!find_place(request, at, length, &place)) {
        return HPE_USER;
    }
    bool begins = request->header_count == 0 || request->headers[request->header_count - 1].value != 0;
    int status = begins ? add_header(request, place) : 0;
    if (status == 0) {
        request->headers[request->header_count - 1].name_length += (uint32_t)length;
    }
    return status;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_request *request = of(parser);
    if (request->head_done) {
        return 0;
    }
    struct http_header *last = request->header_count ? &request->headers[request->header_count - 1] : NULL;
    if (!last || last->value != 0 || last->name_length == 0) {
        return refuse(request, &fault_name);
    }
    last->value = last->name + last->name_length; /* never 0; an empty value may stay there */
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t length)
{
    struct http_request *request = of(parser);
    size_t place;
    if (request->head_done) {
        return 0;
    }
    if (!find_place(request, at, length, &place)) {
        return HPE_USER;
    }
    struct http_header *last = &request->headers[request->header_count - 1];
    last->value = last->value_length == 0 ? (uint32_t)place : last->value;
    last->value_length += (uint32_t)length;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t length)
{
    struct http_request *request = of(parser);
    request->body_bytes += length;
    if (request->body_bytes > request->limits->body) {
        return refuse(request, &fault_body);
    }
    if (request->borrowed.length == 0 && request->collected.length == 0) {
        request->borrowed = (struct text){.data = at, .length = length};
        return 0;
    }
    buffer_append(&request->collected, request->borrowed);
    request->borrowed = (struct text){0};
    buffer_append(&request->collected, (struct text){.data = at, .length = length});
    return buffer_status(&request->collected) < 0 ? refuse(request, &http_fault_overloaded) : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    of(parser)->complete = true;
    return HPE_PAUSED; /* one request at a time: what follows is for the next one */
}

/* ---- judging the head */

static size_t count_header(const struct http_request *request, struct text name)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];
        count += text_equal_ignoring_case(slice(request, header->name, header->name_length), name);
    }
    return count;
}

/* uri-host [ ":" port ] (RFC 9112 section 3.2). */
static bool is_host(struct text host)
{
    struct text port = {0};
    if (host.length > 0 && host.data[0] == '[') {
        struct text rest = host;
        (void)text_cut(&rest, ']');
        if (!rest.data || (rest.length > 0 && rest.data[0] != ':')) {
            return false;
        }
        port = rest;
    } else {
        struct text rest = host;
        host = text_cut(&rest, ':');
        port = rest;
        if (host.length == 0) {
            return false;
        }
    }
    for (size_t i = 0; i < host.length; i++) {
        unsigned char byte = (unsigned char)host.data[i];
        if (byte <= ' ' || byte >= 0x7f || strchr("/?#@\\\"<>,", byte)) {
            return false;
        }
    }
    if (port.length > 0 && port.data[0] == ':') {
        port.data++;
        port.length--;
    }
    uint64_t number;
    return port.length == 0 || text_to_unsigned(port, 65535, &number) == 0;
}

static bool has_good_host(const struct http_request *request, int minor)
{
    size_t count = count_header(request, TEXT("host"));
    if (count == 0) {
        return minor == 0;
    }
    return count == 1 && is_host(http_request_header(request, TEXT("host")));
}

/* Splits the target: origin-form, absolute-form, or "*" for OPTIONS (RFC 9112 section 3.2). */
static bool read_target(struct http_request *request)
{
    struct text target = slice(request, request->target, request->target_length);
    if (strcmp(request->method, "CONNECT") == 0) {
        request->path = target;
        return true; /* answered like any other method that is not wanted */
    }
    struct text plain = TEXT("http://");
    struct text secure = TEXT("https://");
    if (text_starts_with(target, plain) || text_starts_with(target, secure)) {
        size_t scheme = text_starts_with(target, plain) ? plain.length : secure.length;
        struct text rest = {.data = target.data + scheme, .length = target.length - scheme};
        const char *slash = rest.length > 0 ? memchr(rest.data, '/', rest.length) : NULL;
        target = slash ? (struct text){.data = slash, .length = (size_t)(rest.data + rest.length - slash)} : TEXT("/");
    }
    bool asterisk = text_equal(target, TEXT("*")) && strcmp(request->method, "OPTIONS") == 0;
    if (!asterisk && (target.length == 0 || target.data[0] != '/')) {
        return false;
    }
    request->query = target;
    request->path = text_cut(&request->query, '?');
    return true;
}

static bool has_good_coding(const struct http_request *request, int minor)
{
    size_t count = count_header(request, TEXT("transfer-encoding"));
    return count == 0 ||
           (count == 1 && minor == 1 &&
            text_equal_ignoring_case(http_request_header(request, TEXT("transfer-encoding")), TEXT("chunked")));
}

static const struct http_fault *judge_head(struct http_request *request, const llhttp_t *parser)
{
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return &fault_version;
    }
    if (!has_good_host(request, parser->http_minor)) {
        return &fault_host;
    }
    if (!has_good_coding(request, parser->http_minor)) {
        return &fault_coding;
    }
    if (!read_target(request)) {
        return &fault_target;
    }
    if (parser->content_length > request->limits->body) {
        return &fault_body;
    }
    struct text expect = http_request_header(request, TEXT("expect"));
    if (expect.data && parser->http_minor == 1) {
        if (!text_equal_ignoring_case(expect, TEXT("100-continue"))) {
            return &fault_expect;
        }
        request->expects_continue = true;
    }
    return NULL;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_request *request = of(parser);
    request->head_done = true;
    request->method = llhttp_method_name((llhttp_method_t)parser->method);
    request->is_head = parser->method == HTTP_HEAD;
    const struct http_fault *fault = judge_head(request, parser);
    return fault ? refuse(request, fault) : 0;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- feeding */

void http_parser_init(llhttp_t *parser, struct http_request *request, const struct http_limits *limits)
{
    llhttp_init(parser, HTTP_REQUEST, &settings);
    parser->data = request;
    request->limits = limits;
}

/*
 * Looks at the raw lines of the head for what llhttp lets pass or does not count: a line that begins with a blank
 * continues the one before (obs-fold, RFC 9112 section 5.2). Stops behind the empty line that ends the head.
 */
static const struct http_fault *scan_head(struct http_request *request, const char *data, size_t length,
                                          size_t *scanned)
{
    size_t at = 0;
    while (at < length && !request->head_ended) {
        if (request->line == HTTP_LINE_MIDDLE) {
            const char *newline = memchr(data + at, '\n', length - at);
            at = newline ? (size_t)(newline - data) + 1 : length;
            request->line = newline ? HTTP_LINE_START : HTTP_LINE_MIDDLE;
            continue;
        }
        char byte = data[at++];
        if (!request->has_line && (byte == '\r' || byte == '\n')) {
            continue; /* in front of the request line llhttp passes over any number of these, in any order */
        }
        if (byte == '\n') {
            request->head_ended = true;
        } else if (byte == '\r' && request->line == HTTP_LINE_START) {
            request->line = HTTP_LINE_CR;
        } else if (byte == ' ' || byte == '\t') {
            return &fault_fold;
        } else {
            request->line = HTTP_LINE_MIDDLE;
            request->has_line = true;
        }
    }
    request->head_bytes += at;
    *scanned = at;
    return request->head_bytes > request->limits->header_bytes ? &fault_head : NULL;
}

/* In one piece: what llhttp finds in it are places, wherever the bytes were cut. */
static const struct http_fault *keep_head(struct http_request *request, const char *data, size_t length)
{
    request->fed = data;
    request->fed_place = request->head.length;
    buffer_append(&request->head, (struct text){.data = data, .length = length});
    return buffer_status(&request->head) < 0 ? &http_fault_overloaded : NULL;
}

/* Bytes of the body that stay behind when the caller's buffer goes are copied now. */
static const struct http_fault *end_feed(struct http_request *request)
{
    if (request->complete) {
        request->body = request->collected.length > 0 ? buffer_text(&request->collected) : request->borrowed;
        return NULL;
    }
    buffer_append(&request->collected, request->borrowed);
    request->borrowed = (struct text){0};
    return buffer_status(&request->collected) < 0 ? &http_fault_overloaded : NULL;
}

static const struct http_fault *fault_of(const struct http_request *request, enum llhttp_errno error)
{
    if (request->fault) {
        return request->fault;
    }
    return error == HPE_PAUSED_H2_UPGRADE ? &fault_http2 : &fault_syntax;
}

static enum http_progress faulty(struct http_request *request, const struct http_fault *fault)
{
    request->fault = fault;
    return HTTP_FAULTY;
}

enum http_progress http_feed(llhttp_t *parser, struct http_request *request, const char *data, size_t length,
                             size_t *consumed)
{
    size_t head = 0;
    *consumed = length;
    if (!request->head_done) {
        const struct http_fault *fault = scan_head(request, data, length, &head);
        fault = fault ? fault : keep_head(request, data, head);
        if (fault) {
            return faulty(request, fault);
        }
    }
    size_t body_before = request->body_bytes;
    enum llhttp_errno error = llhttp_execute(parser, data, length);
    if (error != HPE_OK) {
        *consumed = (size_t)(llhttp_get_error_pos(parser) - data);
    }
    request->overhead_bytes += *consumed > head ? *consumed - head - (request->body_bytes - body_before) : 0;
    if (request->fault || (error != HPE_OK && !request->complete)) {
        return faulty(request, fault_of(request, error));
    }
    if (request->head_ended != request->head_done) {
        return faulty(request, &fault_syntax); /* the scan and llhttp do not see the same head: trust neither */
    }
    if (request->overhead_bytes > request->limits->header_bytes + request->limits->body) {
        return faulty(request, &fault_body);
    }
    const struct http_fault *fault = end_feed(request);
    if (fault) {
        return faulty(request, fault);
    }
    request->is_1_0 = parser->http_minor == 0;
    request->keep_alive =
        request->complete && error == HPE_PAUSED && !parser->upgrade && llhttp_should_keep_alive(parser);
    return request->complete ? HTTP_COMPLETE : HTTP_MORE;
}

bool http_wants_continue(struct http_request *request)
{
    bool wanted = request->expects_continue && request->head_done && request->body_bytes == 0 && !request->complete;
    request->expects_continue = request->expects_continue && !wanted;
    return wanted;
}

/* ---- answers */

static const char *reason_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {204, "No Content"},
        {303, "See Other"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Unknown";
}

/* Appends `text` at *at; the parts of a head together stay below HTTP_HEAD_MAXIMUM. */
static void put_text(char **at, struct text text)
{
    memcpy(*at, text.data, text.length);
    *at += text.length;
}

static void put(char **at, const char *string)
{
    put_text(at, text_of(string));
}

static void put_number(char **at, size_t number)
{
    char digits[DECIMAL_SIZE];
    put_text(at, decimal_write(number, digits));
}

size_t http_answer_head(const struct http_answer *answer, const char *date, const char *request_id,
                        char head[HTTP_HEAD_MAXIMUM])
{
    char *at = head;
    put(&at, "HTTP/1.1 ");
    put_number(&at, (size_t)answer->status);
    put(&at, " ");
    put(&at, reason_phrase(answer->status));
    put(&at, "\r\nDate: ");
    put(&at, date);
    if (answer->status != 204 && answer->status != 304) { /* RFC 9110 section 8.6 */
        put(&at, "\r\nContent-Type: ");
        put(&at, answer->content_type ? answer->content_type : "application/json");
        put(&at, "\r\nContent-Length: ");
        put_number(&at, answer->body.length);
    }
    put(&at, "\r\nX-Request-Id: ");
    put(&at, request_id);
    if (answer->allow) {
        put(&at, "\r\nAllow: ");
        put(&at, answer->allow);
    }
    if (answer->retry_after_s > 0) {
        put(&at, "\r\nRetry-After: ");
        put_number(&at, answer->retry_after_s);
    }
    if (answer->close) {
        put(&at, "\r\nConnection: close");
    } else if (answer->keep_alive) {
        put(&at, "\r\nConnection: keep-alive");
    }
    put(&at, "\r\n");
    if (answer->headers.length > 0) {
        assert(answer->headers.length <= HTTP_EXTRA_MAXIMUM); /* ours, and bounded where they are made */
        put_text(&at, answer->headers);
    }
    put(&at, "\r\n");
    return (size_t)(at - head);
}

void http_date(int64_t seconds, char date[HTTP_DATE_SIZE])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t time = (time_t)seconds;
    struct tm parts;
    (void)gmtime_r(&time, &parts);
    (void)snprintf(date, HTTP_DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[parts.tm_wday], parts.tm_mday,
                   months[parts.tm_mon], (parts.tm_year + 1900) % 10000, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

/* The number up to `separator`, which is cut off with it; -1: it is none. */
static int take_number(struct text *rest, char separator, uint64_t most)
{
    uint64_t number;
    return text_to_unsigned(text_cut(rest, separator), most, &number) == 0 ? (int)number : -1;
}

/* 0 to 11; -1: it is no month. */
static int month_of(struct text name)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (text_equal(name, (struct text){.data = months + (ptrdiff_t)3 * i, .length = 3})) {
            return i;
        }
    }
    return -1;
}

int http_date_read(struct text date, int64_t *seconds)
{
    struct tm parts = {0};
    (void)text_cut(&date, ' '); /* the day of the week */
    parts.tm_mday = take_number(&date, ' ', 31);
    parts.tm_mon = month_of(text_cut(&date, ' '));
    int year = take_number(&date, ' ', 9999);
    parts.tm_hour = take_number(&date, ':', 23);
    parts.tm_min = take_number(&date, ':', 59);
    parts.tm_sec = take_number(&date, ' ', 60);
    if (parts.tm_mday < 1 || parts.tm_mon < 0 || year < 1970 || parts.tm_hour < 0 || parts.tm_min < 0 ||
        parts.tm_sec < 0 || !text_equal(date, TEXT("GMT"))) {
        return -EINVAL;
    }
    parts.tm_year = year - 1900;
    *seconds = (int64_t)timegm(&parts);
    return 0;
}

void http_error_body(struct buffer *body, const char *code, const char *message)
{
    buffer_append_string(body, "{\"error\":{\"code\":\"");
    buffer_append_json(body, text_of(code));
    buffer_append_string(body, "\",\"message\":\"");
    buffer_append_json(body, text_of(message));
    buffer_append_string(body, "\"}}");
}
