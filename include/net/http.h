#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <llhttp.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * HTTP/1.1 requests out of bytes, and answers into bytes. No sockets and no clock here.
 *
 * llhttp parses; what it leaves open is closed here, so that no two readers can understand one request differently
 * (RFC 9112 section 11.2): folded headers, empty header names, a missing, second or malformed Host, versions other
 * than 1.0 and 1.1, transfer codings other than "chunked", targets that are no path; and everything that has no limit
 * inside llhttp has one here. Trailers are read and ignored. Nothing is read on after a faulty request.
 */
struct http_limits {
    size_t header_bytes; /* request line and headers: 431 */
    size_t headers;      /* their number: 431 */
    size_t url;          /* 414 */
    size_t body;         /* 413 */
};

/* Why a request is refused before anybody looked at what it wants. */
struct http_fault {
    int status;
    const char *code;    /* for the answer's error.code */
    const char *message; /* tells the client what to do */
};

/* Faults that are (also) found outside of the parser. */
extern const struct http_fault http_fault_timeout;    /* 408 */
extern const struct http_fault http_fault_overloaded; /* 503 */

struct http_header {
    uint32_t name;
    uint32_t name_length;
    uint32_t value;
    uint32_t value_length;
};

/*
 * A request while it arrives, and when it is complete. To be kept and used again: http_request_reset() keeps its
 * memory. {0} is an empty one. The texts are valid until the next reset or until the bytes that were fed last are gone.
 */
struct http_request {
    const char *method; /* "POST" */
    struct text path;   /* "/webhook"; "*" for OPTIONS * */
    struct text query;  /* behind the '?', without it */
    struct text body;
    bool keep_alive; /* the client is willing to send another one */
    bool is_head;    /* answer without a body */
    bool is_1_0;     /* HTTP/1.0: keep_alive is to be confirmed in the answer (RFC 9112 appendix C.2.2) */

    /* The rest is the parser's. */
    const struct http_limits *limits;
    const struct http_fault *fault;
    struct buffer head; /* the raw bytes of the request line and headers so far; what follows are places in it */
    const char *fed;    /* the bytes that are fed now, */
    size_t fed_place;   /* and where they are in it */
    size_t target;
    size_t target_length;
    struct http_header *headers;
    size_t header_count;
    size_t header_capacity;
    size_t head_bytes;     /* raw bytes of the request line and headers so far */
    size_t overhead_bytes; /* raw bytes behind them that are not body: chunk sizes, extensions, trailers */
    size_t body_bytes;
    struct text borrowed;    /* body bytes that are still in the caller's buffer */
    struct buffer collected; /* body bytes that had to be kept */
    enum { HTTP_LINE_MIDDLE, HTTP_LINE_START, HTTP_LINE_CR } line;
    bool has_line;   /* the request line has begun */
    bool head_ended; /* the empty line behind the headers has been seen in the raw bytes */
    bool head_done;
    bool complete;
    bool expects_continue;
};

/* The value of the header `name` (any case), the first when there are several; {NULL, 0} when there is none. */
struct text http_request_header(const struct http_request *request, struct text name);

void http_request_reset(struct http_request *request);
void http_request_free(struct http_request *request);

enum http_progress {
    HTTP_MORE,     /* feed more bytes */
    HTTP_COMPLETE, /* the request is whole; bytes behind it belong to the next one */
    HTTP_FAULTY,   /* request->fault says why; answer it and close */
};

/*
 * Feeds `length` bytes (at least 1) of one request. Before its first byte, `parser` is set up with http_parser_init()
 * and the request is reset; both are then passed unchanged until it is complete. *consumed tells how many bytes were
 * used.
 */
enum http_progress http_feed(llhttp_t *parser, struct http_request *request, const char *data, size_t length,
                             size_t *consumed);

void http_parser_init(llhttp_t *parser, struct http_request *request, const struct http_limits *limits);

/* True once: the client waits for "100 Continue" before it sends the body, and is to get it. */
bool http_wants_continue(struct http_request *request);

struct http_answer {
    int status;
    struct text body;         /* lent until the answer is written */
    const char *content_type; /* NULL: application/json; 204 and 304 have none, and no length */
    const char *allow;        /* NULL, or the value of Allow for a 405 */
    unsigned retry_after_s;   /* 0: no Retry-After */
    struct text headers;      /* further ones, each "Name: value\r\n", up to HTTP_EXTRA_MAXIMUM bytes; lent likewise */
    bool close;               /* say Connection: close, and do so */
    bool keep_alive;          /* unless closed: say Connection: keep-alive, for an HTTP/1.0 client that asked for it */
};

#define HTTP_EXTRA_MAXIMUM 1536
#define HTTP_HEAD_MAXIMUM (512 + HTTP_EXTRA_MAXIMUM) /* bytes of an answer's head */

/* Writes the status line and headers, up to and with the empty line, into `head`; returns their length. `date` is an
 * IMF-fixdate. */
size_t http_answer_head(const struct http_answer *answer, const char *date, const char *request_id,
                        char head[HTTP_HEAD_MAXIMUM]);

/* "Tue, 24 Nov 2026 10:00:00 GMT" (RFC 9110 section 5.6.7). */
#define HTTP_DATE_SIZE 32
void http_date(int64_t seconds, char date[HTTP_DATE_SIZE]);

/* Reads such a date. 0 or -EINVAL. */
MUST_CHECK int http_date_read(struct text date, int64_t *seconds);

/* Bytes on the heap that `request` holds. */
size_t http_request_memory(const struct http_request *request);

/* Appends {"error":{"code":"…","message":"…"}}. */
void http_error_body(struct buffer *body, const char *code, const char *message);
