#include "unit.h"

#include <errno.h>

#include "net/http.h"

static const struct http_limits limits = {.header_bytes = 1024, .headers = 20, .url = 100, .body = 200};

/* What became of some bytes, fed in pieces of `piece` bytes each, every piece in memory of exactly its size. */
struct outcome {
    enum http_progress progress;
    int status; /* of the fault */
    size_t used;
    bool keep_alive;
    bool wanted_continue;
    char method[16];
    char path[128];
    char query[64];
    char body[256];
    char signature[64];
};

static void keep(char *to, size_t size, struct text from)
{
    ck_assert_uint_lt(from.length, size);
    (void)snprintf(to, size, "%.*s", TEXT_ARGUMENTS(from));
}

static void take_request(const struct http_request *request, struct outcome *outcome)
{
    keep(outcome->method, sizeof(outcome->method), text_of(request->method));
    keep(outcome->path, sizeof(outcome->path), request->path);
    keep(outcome->query, sizeof(outcome->query), request->query);
    keep(outcome->body, sizeof(outcome->body), request->body);
    keep(outcome->signature, sizeof(outcome->signature), http_request_header(request, TEXT("stripe-signature")));
    outcome->keep_alive = request->keep_alive;
}

static struct outcome feed(struct text bytes, size_t piece)
{
    struct outcome outcome = {.progress = HTTP_MORE};
    struct http_request request = {0};
    llhttp_t parser;
    http_request_reset(&request);
    http_parser_init(&parser, &request, &limits);
    while (outcome.progress == HTTP_MORE && outcome.used < bytes.length) {
        size_t length = bytes.length - outcome.used < piece ? bytes.length - outcome.used : piece;
        struct text exact = unit_exact((struct text){.data = bytes.data + outcome.used, .length = length});
        size_t consumed;
        outcome.progress = http_feed(&parser, &request, exact.data, exact.length, &consumed);
        ck_assert_uint_le(consumed, length);
        outcome.used += consumed;
        outcome.wanted_continue =
            outcome.wanted_continue || (outcome.progress == HTTP_MORE && http_wants_continue(&request));
        if (outcome.progress == HTTP_COMPLETE) {
            take_request(&request, &outcome);
        }
        free((char *)(uintptr_t)exact.data);
    }
    outcome.status = outcome.progress == HTTP_FAULTY ? request.fault->status : 0;
    http_request_free(&request);
    return outcome;
}

/* The same verdict must come of every way of cutting the bytes. */
static struct outcome feed_every_way(const char *bytes)
{
    struct outcome whole = feed(text_of(bytes), SIZE_MAX);
    for (size_t piece = 1; piece < 40; piece++) {
        struct outcome cut = feed(text_of(bytes), piece);
        ck_assert_msg(cut.progress == whole.progress && cut.status == whole.status,
                      "in pieces of %zu: %d %d, whole: %d %d\n%s", piece, (int)cut.progress, cut.status,
                      (int)whole.progress, whole.status, bytes);
        ck_assert_str_eq(cut.body, whole.body);
        ck_assert_str_eq(cut.path, whole.path);
        ck_assert_str_eq(cut.signature, whole.signature);
        ck_assert_int_eq(cut.keep_alive, whole.keep_alive);
    }
    return whole;
}

#define POST "POST /webhook HTTP/1.1\r\nHost: a\r\n"

START_TEST(a_request_with_a_length_is_read)
{
    struct outcome outcome = feed_every_way(
        "POST /webhook?a=1 HTTP/1.1\r\nHost: a:80\r\nStripe-SIGNATURE:  t=1 \r\nContent-Length: 5\r\n\r\nhello");
    ck_assert_int_eq(outcome.progress, HTTP_COMPLETE);
    ck_assert_str_eq(outcome.method, "POST");
    ck_assert_str_eq(outcome.path, "/webhook");
    ck_assert_str_eq(outcome.query, "a=1");
    ck_assert_str_eq(outcome.body, "hello");
    ck_assert_str_eq(outcome.signature, "t=1");
    ck_assert(outcome.keep_alive);
}
END_TEST

START_TEST(a_chunked_request_is_read_and_its_trailers_are_ignored)
{
    struct outcome outcome =
        feed_every_way(POST "Transfer-Encoding: Chunked\r\nStripe-Signature: good\r\n\r\n"
                            "3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nStripe-Signature: evil\r\nHost: b\r\n\r\n");
    ck_assert_int_eq(outcome.progress, HTTP_COMPLETE);
    ck_assert_str_eq(outcome.body, "hello");
    ck_assert_str_eq(outcome.signature, "good");
}
END_TEST

START_TEST(what_follows_a_request_is_left_for_the_next)
{
    const char *two = POST "Content-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    struct outcome outcome = feed(text_of(two), SIZE_MAX);
    ck_assert_int_eq(outcome.progress, HTTP_COMPLETE);
    ck_assert_text_eq(((struct text){two + outcome.used, strlen(two) - outcome.used}),
                      "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
}
END_TEST

START_TEST(the_connection_stays_open_as_the_version_says)
{
    ck_assert(feed_every_way("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive);
    ck_assert(!feed_every_way("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").keep_alive);
    ck_assert(!feed_every_way("GET / HTTP/1.0\r\n\r\n").keep_alive);
    ck_assert(feed_every_way("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").keep_alive);
    ck_assert(!feed_every_way("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n").keep_alive);
}
END_TEST

START_TEST(an_expectation_is_met_only_while_the_body_is_awaited)
{
    ck_assert(feed_every_way(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n").wanted_continue);
    ck_assert(!feed(TEXT(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"), SIZE_MAX).wanted_continue);
    ck_assert(!feed_every_way(POST "Content-Length: 2\r\n\r\n").wanted_continue);
}
END_TEST

START_TEST(absolute_targets_and_the_asterisk_are_understood)
{
    ck_assert_str_eq(feed_every_way("GET http://a/webhook?x HTTP/1.1\r\nHost: a\r\n\r\n").path, "/webhook");
    ck_assert_str_eq(feed_every_way("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").path, "/");
    ck_assert_str_eq(feed_every_way("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").path, "*");
}
END_TEST

static const struct {
    int status;
    const char *bytes;
} faulty[] = {
    {400, "hello\r\n\r\n"},
    {400, "\x16\x03\x01\x02"},
    {400, "GET / HTTP/1.1\nHost: a\n\n"},
    {400, "GET / HTTP/1.1\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a:x\r\n\r\n"},
    {400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
    {400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
    {505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
    {400, "GET / HTTP/9.9\r\nHost: a\r\n\r\n"},
    {400, POST " folded: x\r\n\r\n"},
    {400, POST "X: a\r\n b\r\n\r\n"},
    {400, POST "Content-Length:\r\n 5\r\n\r\nhello"},
    {400, "\r\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 5\r\n\r\nhello"},
    {400, "\r\r\n\r\n" POST "X: a\r\n b\r\n\r\n"},
    {400, "\n\r\r\r\n\n" POST " folded: x\r\n\r\n"},
    {400, POST ": nameless\r\n\r\n"},
    {400, POST "Spaced : x\r\n\r\n"},
    {400, POST "X: \rTransfer-Encoding: chunked\r\n\r\n"},
    {400, POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
    {400, POST "Content-Length: 3, 3\r\n\r\nabc"},
    {400, POST "Content-Length: +3\r\n\r\nabc"},
    {400, POST "Content-Length: 18446744073709551616\r\n\r\nabc"},
    {400, POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: identity\r\n\r\n"},
    {400, POST "Transfer-Encoding:\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\nxyz\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\n\r\n3\r\nhelXX"},
    {417, POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n"},
    {413, POST "Content-Length: 201\r\n\r\n"},
    {413, POST "Content-Length: 18446744073709551615\r\n\r\n"},
};

START_TEST(what_two_readers_could_read_differently_is_refused)
{
    struct outcome outcome = feed_every_way(faulty[_i].bytes);
    ck_assert_msg(outcome.progress == HTTP_FAULTY, "taken: %s", faulty[_i].bytes);
    ck_assert_msg(outcome.status == faulty[_i].status, "%d: %s", outcome.status, faulty[_i].bytes);
}
END_TEST

START_TEST(the_http2_preface_is_refused)
{
    ck_assert_int_eq(feed_every_way("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").progress, HTTP_FAULTY);
}
END_TEST

/* ---- limits, at the limit and one beyond */

static struct outcome feed_built(struct buffer *bytes)
{
    struct outcome outcome = feed_every_way(bytes->data);
    buffer_free(bytes);
    return outcome;
}

static void append_times(struct buffer *bytes, size_t count, char byte)
{
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(bytes, byte);
    }
}

static struct outcome with_url(size_t length)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, "GET /");
    append_times(&bytes, length - 1, 'a');
    buffer_append_string(&bytes, " HTTP/1.1\r\nHost: a\r\n\r\n");
    return feed_built(&bytes);
}

static struct outcome with_head(size_t length)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    append_times(&bytes, length - bytes.length - 4, 'x');
    buffer_append_string(&bytes, "\r\n\r\n");
    ck_assert_uint_eq(bytes.length, length);
    return feed_built(&bytes);
}

static struct outcome with_headers(size_t count)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 1; i < count; i++) {
        buffer_append_string(&bytes, "X: y\r\n");
    }
    buffer_append_string(&bytes, "\r\n");
    return feed_built(&bytes);
}

static struct outcome with_chunks(size_t total)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, POST "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t left = total; left > 0;) {
        size_t length = left < 50 ? left : 50;
        buffer_append_format(&bytes, "%zx\r\n", length);
        append_times(&bytes, length, 'b');
        buffer_append_string(&bytes, "\r\n");
        left -= length;
    }
    buffer_append_string(&bytes, "0\r\n\r\n");
    return feed_built(&bytes);
}

START_TEST(each_limit_holds_exactly)
{
    ck_assert_int_eq(with_url(limits.url).progress, HTTP_COMPLETE);
    ck_assert_int_eq(with_url(limits.url + 1).status, 414);
    ck_assert_int_eq(with_head(limits.header_bytes).progress, HTTP_COMPLETE);
    ck_assert_int_eq(with_head(limits.header_bytes + 1).status, 431);
    ck_assert_int_eq(with_headers(limits.headers).progress, HTTP_COMPLETE);
    ck_assert_int_eq(with_headers(limits.headers + 1).status, 431);
    ck_assert_int_eq(with_chunks(limits.body).progress, HTTP_COMPLETE);
    ck_assert_int_eq(with_chunks(limits.body + 1).status, 413);
}
END_TEST

START_TEST(an_endless_chunk_extension_is_refused)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, POST "Transfer-Encoding: chunked\r\n\r\n1;");
    append_times(&bytes, 10 * limits.header_bytes, 'x');
    ck_assert_int_eq(feed_built(&bytes).status, 413);
}
END_TEST

START_TEST(what_chunks_cost_is_judged_alike_however_it_is_cut)
{
    struct buffer bytes = {0};
    buffer_append_string(&bytes, POST "Transfer-Encoding: chunked\r\n\r\n5;");
    append_times(&bytes, limits.header_bytes + limits.body - 40, 'x');
    buffer_append_string(&bytes, "\r\nhello\r\n0\r\n\r\n");
    ck_assert_int_eq(feed_built(&bytes).progress, HTTP_COMPLETE);
}
END_TEST

/* ---- answers */

START_TEST(a_date_is_read_as_it_is_written_and_nothing_else_is)
{
    static const char *const bad[] = {"",
                                      "Sun, 06 Nov 1994 08:49:37",
                                      "Sun, 06 Nov 1994 08:49:37 CET",
                                      "Sun, 06 Nox 1994 08:49:37 GMT",
                                      "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994 24:49:37 GMT",
                                      "Sunday, 06-Nov-94 08:49:37 GMT"};
    char date[HTTP_DATE_SIZE];
    int64_t seconds;
    http_date(784111777, date);
    ck_assert_int_eq(http_date_read(text_of(date), &seconds), 0);
    ck_assert_int_eq(seconds, 784111777);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        ck_assert_msg(http_date_read(text_of(bad[i]), &seconds) == -EINVAL, "%s", bad[i]);
    }
}
END_TEST

START_TEST(an_answer_has_the_headers_that_belong_to_it)
{
    char head[HTTP_HEAD_MAXIMUM];
    char date[HTTP_DATE_SIZE];
    struct http_answer answer = {.status = 503, .body = TEXT("{}"), .retry_after_s = 5, .close = true};
    http_date(784111777, date);
    size_t length = http_answer_head(&answer, date, "id-1", head);
    head[length] = '\0';
    ck_assert_str_eq(head,
                     "HTTP/1.1 503 Service Unavailable\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                     "Content-Type: application/json\r\nContent-Length: 2\r\nX-Request-Id: id-1\r\nRetry-After: 5\r\n"
                     "Connection: close\r\n\r\n");
}
END_TEST

START_TEST(an_http_1_0_client_is_told_that_the_connection_stays)
{
    char head[HTTP_HEAD_MAXIMUM];
    struct http_answer answer = {.status = 200, .keep_alive = true};
    head[http_answer_head(&answer, "", "", head)] = '\0';
    ck_assert_ptr_nonnull(strstr(head, "\r\nConnection: keep-alive\r\n\r\n"));
    answer.close = true;
    head[http_answer_head(&answer, "", "", head)] = '\0';
    ck_assert_ptr_null(strstr(head, "keep-alive"));
}
END_TEST

START_TEST(an_answer_may_have_further_headers)
{
    char head[HTTP_HEAD_MAXIMUM];
    struct http_answer answer = {.status = 303, .headers = TEXT("Location: /there\r\nCache-Control: no-store\r\n")};
    head[http_answer_head(&answer, "", "", head)] = '\0';
    ck_assert_ptr_nonnull(strstr(head, "HTTP/1.1 303 See Other\r\n"));
    ck_assert_ptr_nonnull(strstr(head, "\r\nLocation: /there\r\nCache-Control: no-store\r\n\r\n"));
}
END_TEST

START_TEST(an_answer_that_never_has_a_body_tells_no_length)
{
    char head[HTTP_HEAD_MAXIMUM];
    for (int status = 204; status <= 304; status += 100) {
        struct http_answer answer = {.status = status};
        head[http_answer_head(&answer, "", "", head)] = '\0';
        ck_assert_ptr_null(strstr(head, "Content-"));
    }
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_test(tests, a_request_with_a_length_is_read);
    tcase_add_test(tests, a_chunked_request_is_read_and_its_trailers_are_ignored);
    tcase_add_test(tests, what_follows_a_request_is_left_for_the_next);
    tcase_add_test(tests, the_connection_stays_open_as_the_version_says);
    tcase_add_test(tests, an_expectation_is_met_only_while_the_body_is_awaited);
    tcase_add_test(tests, absolute_targets_and_the_asterisk_are_understood);
    tcase_add_loop_test(tests, what_two_readers_could_read_differently_is_refused, 0, (int)ARRAY_LENGTH(faulty));
    tcase_add_test(tests, the_http2_preface_is_refused);
    tcase_add_test(tests, each_limit_holds_exactly);
    tcase_add_test(tests, an_endless_chunk_extension_is_refused);
    tcase_add_test(tests, what_chunks_cost_is_judged_alike_however_it_is_cut);
    tcase_add_test(tests, a_date_is_read_as_it_is_written_and_nothing_else_is);
    tcase_add_test(tests, an_answer_has_the_headers_that_belong_to_it);
    tcase_add_test(tests, an_http_1_0_client_is_told_that_the_connection_stays);
    tcase_add_test(tests, an_answer_may_have_further_headers);
    tcase_add_test(tests, an_answer_that_never_has_a_body_tells_no_length);
}

int main(void)
{
    return unit_run("http", fill);
}
