#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include <curl/curl.h>
#include <uv.h>

#include "base/clock.h"
#include "http_script.h"
#include "net/curl_library.h"
#include "net/fetch.h"
#include "tls_identity.h"

/* ---- a fetcher on a loop, and what its fetches came to */

struct outcome {
    int calls;
    enum fetch_fault fault;
    char fault_text[256];
    int status;
    char body[512];
    char retry_after[64], should_retry[64], request_id[64], rate_limit_reason[64];
    uint64_t at_ms;
};

struct world {
    uv_loop_t loop;
    struct fetcher *fetcher;
    struct script_server *server;
    char url[128];
    int ended;
    bool closed;
    uv_timer_t ticker;
    int ticks;
};

static struct world world;

static void keep(char *to, size_t size, struct text text)
{
    (void)snprintf(to, size, "%.*s", TEXT_ARGUMENTS(text));
}

static void on_outcome(void *context, const struct fetch_result *result)
{
    struct outcome *outcome = context;
    outcome->calls++;
    outcome->fault = result->fault;
    outcome->status = result->status;
    keep(outcome->fault_text, sizeof(outcome->fault_text), text_of(result->fault_text));
    keep(outcome->body, sizeof(outcome->body), result->body);
    keep(outcome->retry_after, sizeof(outcome->retry_after), result->retry_after);
    keep(outcome->should_retry, sizeof(outcome->should_retry), result->should_retry);
    keep(outcome->request_id, sizeof(outcome->request_id), result->request_id);
    keep(outcome->rate_limit_reason, sizeof(outcome->rate_limit_reason), result->rate_limit_reason);
    outcome->at_ms = clock_monotonic_ms();
    world.ended++;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    world.ticks++;
}

static void on_closed(void *context)
{
    (void)context;
    world.closed = true;
}

static void open_fetcher(size_t max_concurrent, const char *ca_file)
{
    struct fetcher_options options = {
        .user_agent = "identihook/test", .ca_file = ca_file, .max_concurrent = max_concurrent};
    ck_assert_int_eq(uv_loop_init(&world.loop), 0);
    uv_timer_init(&world.loop, &world.ticker);
    uv_timer_start(&world.ticker, on_tick, 10, 10);
    uv_unref((uv_handle_t *)&world.ticker);
    ck_assert_int_eq(fetcher_create(&world.loop, &options, &world.fetcher), 0);
}

static void serve_tls(script_function *script, SSL_CTX *identity)
{
    world.server = script_server_start(script, NULL, identity, identity != NULL);
    (void)snprintf(world.url, sizeof(world.url), "%s://127.0.0.1:%d/path", identity ? "https" : "http",
                   script_server_port(world.server));
}

static void serve(script_function *script)
{
    serve_tls(script, NULL);
    open_fetcher(4, NULL);
}

/* Everything goes, and nothing is left on the loop. */
static void close_world(void)
{
    if (!world.closed) {
        fetcher_close(world.fetcher, on_closed, NULL);
    }
    uv_close((uv_handle_t *)&world.ticker, NULL);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    ck_assert(world.closed);
    ck_assert_int_eq(uv_loop_close(&world.loop), 0);
    if (world.server) {
        script_server_stop(world.server);
    }
}

static struct fetch *start(struct outcome *outcome, uint64_t timeout_ms)
{
    struct fetch *fetch = NULL;
    struct fetch_request request = {.url = world.url, .timeout_ms = timeout_ms, .max_response = 100};
    int before = world.ended;
    ck_assert_int_eq(fetch_start(world.fetcher, &request, on_outcome, outcome, &fetch), 0);
    ck_assert_int_eq(world.ended, before); /* never inside the call */
    return fetch;
}

static void run_until(int ended)
{
    while (world.ended < ended && uv_run(&world.loop, UV_RUN_ONCE)) {
    }
    ck_assert_int_eq(world.ended, ended);
}

static struct outcome fetch(uint64_t timeout_ms)
{
    struct outcome outcome = {0};
    (void)start(&outcome, timeout_ms);
    run_until(world.ended + 1);
    ck_assert_int_eq(outcome.calls, 1);
    return outcome;
}

static void on_pause_over(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Turns the loop for a while. */
static void run_for(uint64_t milliseconds)
{
    uv_timer_t timer;
    bool over = false;
    uv_timer_init(&world.loop, &timer);
    timer.data = &over;
    uv_update_time(&world.loop);
    uv_timer_start(&timer, on_pause_over, milliseconds, 0);
    while (!over) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&world.loop, UV_RUN_NOWAIT);
}

/* ---- answers */

static void answer_with(struct script_peer *peer, const char *answer)
{
    struct http_script_request request;
    while (http_script_read(peer, &request)) {
        script_say(peer, answer);
    }
}

static void say_fine(struct script_peer *peer, void *context)
{
    (void)context;
    answer_with(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
}

static void say_busy(struct script_peer *peer, void *context)
{
    (void)context;
    answer_with(peer, "HTTP/1.1 429 Too Many\r\nRETRY-AFTER:  7 \r\nStripe-Should-Retry: true\r\nrequest-id:req_1\r\n"
                      "Stripe-Rate-Limited-Reason: endpoint-rate\r\nContent-Length: 4\r\n\r\nbusy");
}

START_TEST(an_answer_comes_with_its_body_and_headers)
{
    serve(say_busy);
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.fault, FETCH_FINE);
    ck_assert_str_eq(outcome.fault_text, "");
    ck_assert_int_eq(outcome.status, 429);
    ck_assert_str_eq(outcome.body, "busy");
    ck_assert_str_eq(outcome.retry_after, "7");
    ck_assert_str_eq(outcome.should_retry, "true");
    ck_assert_str_eq(outcome.request_id, "req_1");
    ck_assert_str_eq(outcome.rate_limit_reason, "endpoint-rate");
    close_world();
}
END_TEST

START_TEST(absent_headers_are_empty)
{
    serve(say_fine);
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.status, 200);
    ck_assert_str_eq(outcome.body, "fine");
    ck_assert_str_eq(outcome.retry_after, "");
    ck_assert_str_eq(outcome.request_id, "");
    close_world();
}
END_TEST

static void say_later_by_date(struct script_peer *peer, void *context)
{
    (void)context;
    time_t later = time(NULL) + 600;
    struct tm date;
    char text[64], answer[160];
    ck_assert_uint_gt(strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &date)), 0);
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n", text);
    answer_with(peer, answer);
}

START_TEST(a_date_to_try_again_at_comes_as_seconds)
{
    serve(say_later_by_date);
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.status, 503);
    long seconds = strtol(outcome.retry_after, NULL, 10);
    ck_assert_int_le(seconds, 600);
    ck_assert_int_gt(seconds, 590);
    close_world();
}
END_TEST

static void say_interim_and_trailer(struct script_peer *peer, void *context)
{
    (void)context;
    answer_with(peer, "HTTP/1.1 103 Early Hints\r\nRetry-After: 1\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nRequest-Id: req_2\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "2\r\nab\r\n0\r\nRequest-Id: evil\r\nStripe-Should-Retry: false\r\n\r\n");
}

START_TEST(headers_of_interim_answers_and_trailers_do_not_count)
{
    serve(say_interim_and_trailer);
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.status, 200);
    ck_assert_str_eq(outcome.body, "ab");
    ck_assert_str_eq(outcome.retry_after, "");
    ck_assert_str_eq(outcome.request_id, "req_2");
    ck_assert_str_eq(outcome.should_retry, "");
    close_world();
}
END_TEST

static void redirect(struct script_peer *peer, void *context)
{
    (void)context;
    answer_with(peer, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
}

START_TEST(a_redirect_is_an_answer_and_is_not_followed)
{
    serve(redirect);
    ck_assert_int_eq(fetch(2000).status, 302);
    close_world();
}
END_TEST

/* ---- requests */

static struct http_script_request seen;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void record(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    (void)context;
    while (http_script_read(peer, &request)) {
        pthread_mutex_lock(&seen_lock);
        seen = request;
        pthread_mutex_unlock(&seen_lock);
        script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
}

static void check_seen(const char *name, const char *expected)
{
    char value[256];
    http_script_header(&seen, name, value, sizeof(value));
    ck_assert_str_eq(value, expected);
}

START_TEST(a_post_carries_its_body_headers_and_token)
{
    serve(record);
    char body[2000];
    memset(body, 'x', sizeof(body));
    struct outcome outcome = {0};
    struct fetch *fetch;
    struct fetch_request request = {.url = world.url,
                                    .bearer = "sk_test_secret",
                                    .body = {.data = body, .length = sizeof(body)},
                                    .headers = {"Content-Type: application/json", "Idempotency-Key: evt_1"},
                                    .timeout_ms = 2000,
                                    .max_response = 100};
    ck_assert_int_eq(fetch_start(world.fetcher, &request, on_outcome, &outcome, &fetch), 0);
    memset(body, 'y', sizeof(body)); /* it was copied */
    run_until(1);
    ck_assert_int_eq(outcome.status, 200);
    ck_assert_str_eq(seen.line, "POST /path HTTP/1.1");
    check_seen("Content-Type", "application/json");
    check_seen("Idempotency-Key", "evt_1");
    check_seen("Authorization", "Bearer sk_test_secret");
    check_seen("User-Agent", "identihook/test");
    check_seen("Content-Length", "2000");
    ck_assert_uint_eq(strspn(seen.body, "x"), sizeof(body));
    close_world();
}
END_TEST

START_TEST(a_request_after_another_has_nothing_of_it)
{
    serve(record);
    struct outcome outcome = {0};
    struct fetch *ignored;
    struct fetch_request request = {.url = world.url,
                                    .bearer = "sk_test_secret",
                                    .body = TEXT("body"),
                                    .headers = {"Idempotency-Key: evt_1"},
                                    .timeout_ms = 2000,
                                    .max_response = 100};
    ck_assert_int_eq(fetch_start(world.fetcher, &request, on_outcome, &outcome, &ignored), 0);
    run_until(1);
    ck_assert_int_eq(fetch(2000).status, 200);
    ck_assert_str_eq(seen.line, "GET /path HTTP/1.1");
    check_seen("Authorization", "");
    check_seen("Idempotency-Key", "");
    check_seen("Content-Length", "");
    ck_assert_str_eq(seen.body, "");
    close_world();
}
END_TEST

static int try_to_start(const char *url, const char *bearer, const char *header)
{
    struct fetch *fetch;
    struct outcome outcome = {0};
    struct fetch_request request = {.url = url, .bearer = bearer, .headers = {header}, .timeout_ms = 1000};
    int status = fetch_start(world.fetcher, &request, on_outcome, &outcome, &fetch);
    if (status == 0) {
        fetch_cancel(fetch);
    }
    return status;
}

START_TEST(what_cannot_be_requested_is_refused_at_once)
{
    serve(say_fine);
    ck_assert_int_eq(try_to_start(world.url, "token", "A: b"), 0);
    ck_assert_int_eq(try_to_start("ftp://127.0.0.1/", NULL, NULL), -EINVAL);
    ck_assert_int_eq(try_to_start("file:///etc/passwd", NULL, NULL), -EINVAL);
    ck_assert_int_eq(try_to_start("127.0.0.1", NULL, NULL), -EINVAL);
    ck_assert_int_eq(try_to_start("http://", NULL, NULL), -EINVAL);
    ck_assert_int_eq(try_to_start("http://127.0.0.1/a\r\nB: c", NULL, NULL), -EINVAL);
    ck_assert_int_eq(try_to_start(world.url, NULL, "A: b\r\nC: d"), -EINVAL);
    ck_assert_int_eq(try_to_start(world.url, "token\nC: d", NULL), -EINVAL);
    close_world();
}
END_TEST

START_TEST(the_environment_names_no_proxy)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    serve(say_fine);
    ck_assert_int_eq(fetch(2000).status, 200);
    close_world();
}
END_TEST

/* ---- connections */

START_TEST(a_connection_is_used_again)
{
    serve(say_fine);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(fetch(2000).status, 200);
    }
    ck_assert_int_eq(script_server_connections(world.server), 1);
    close_world();
}
END_TEST

static void answer_once(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    (void)context;
    if (http_script_read(peer, &request)) {
        script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

START_TEST(a_kept_connection_that_died_is_replaced)
{
    serve(answer_once);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(fetch(2000).status, 200);
    }
    ck_assert_int_eq(script_server_connections(world.server), 3);
    close_world();
}
END_TEST

static void answer_then_hang_up_on_the_next(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    answer_once(peer, context);
    (void)http_script_read(peer, &request);
    script_reset(peer);
}

START_TEST(a_kept_connection_that_dies_under_a_request_is_replaced)
{
    serve(answer_then_hang_up_on_the_next);
    ck_assert_int_eq(fetch(2000).status, 200);
    ck_assert_int_eq(fetch(2000).status, 200);
    ck_assert_int_eq(script_server_connections(world.server), 2);
    close_world();
}
END_TEST

START_TEST(a_refused_connection_is_unreachable)
{
    serve(say_fine);
    script_server_stop(world.server);
    world.server = NULL;
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.fault, FETCH_UNREACHABLE);
    ck_assert_int_eq(outcome.status, 0);
    ck_assert_str_ne(outcome.fault_text, "");
    close_world();
}
END_TEST

START_TEST(a_name_that_does_not_resolve_holds_up_nobody)
{
    open_fetcher(4, NULL);
    strcpy(world.url, "http://no-such-host.invalid/");
    uint64_t started = clock_monotonic_ms();
    struct outcome outcome = fetch(500);
    ck_assert(outcome.fault == FETCH_UNREACHABLE || outcome.fault == FETCH_TIMEOUT);
    ck_assert_uint_lt(outcome.at_ms - started, 1500);
    close_world();
    ck_assert_uint_lt(clock_monotonic_ms() - started, 2000);
}
END_TEST

/* ---- too slow */

static void say_nothing(struct script_peer *peer, void *context)
{
    (void)context;
    script_wait_for_end(peer);
}

static void say_part(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    (void)context;
    (void)http_script_read(peer, &request);
    script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfine");
    script_wait_for_end(peer);
}

static script_function *const slow_ones[] = {say_nothing, say_part};

START_TEST(the_last_transfer_that_times_out_is_told_too)
{
    serve(slow_ones[_i]);
    uint64_t started = clock_monotonic_ms();
    struct outcome outcome = fetch(300);
    ck_assert_int_eq(outcome.fault, FETCH_TIMEOUT);
    ck_assert_int_eq(outcome.status, 0);
    ck_assert_str_eq(outcome.body, "");
    ck_assert_uint_ge(outcome.at_ms - started, 290);
    ck_assert_uint_lt(outcome.at_ms - started, 900); /* sooner than the safety timer would have found it */
    ck_assert_int_ge(world.ticks, 20);               /* the loop turned meanwhile */
    close_world();
}
END_TEST

START_TEST(time_runs_from_the_start_and_not_from_the_last_turn_of_the_loop)
{
    serve(say_nothing);
    uv_update_time(&world.loop);
    script_pause(250); /* the loop's clock is now behind by as much */
    uint64_t started = clock_monotonic_ms();
    struct outcome outcome = fetch(300);
    ck_assert_int_eq(outcome.fault, FETCH_TIMEOUT);
    ck_assert_uint_ge(outcome.at_ms - started, 290);
    ck_assert_uint_lt(outcome.at_ms - started, 600);
    close_world();
}
END_TEST

/* ---- broken */

static void hang_up(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    (void)context;
    (void)http_script_read(peer, &request);
}

static void hang_up_in_headers(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nContent-Le");
}

static void hang_up_in_body(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfine");
}

static void hang_up_in_chunk(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfi");
}

static void reset(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_reset(peer);
}

static void reset_in_body(struct script_peer *peer, void *context)
{
    hang_up_in_body(peer, context);
    script_reset(peer);
}

static void talk_smtp(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "220 mail.example ESMTP\r\n");
}

static void say_garbage(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    script_wait_for_end(peer);
}

static void say_two_lengths(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nfine");
}

static script_function *const broken_ones[] = {hang_up,        hang_up_in_headers, hang_up_in_body, hang_up_in_chunk,
                                               reset,          reset_in_body,      talk_smtp,       say_garbage,
                                               say_two_lengths};

START_TEST(what_is_no_whole_answer_is_broken)
{
    serve(broken_ones[_i]);
    struct outcome outcome = fetch(2000);
    ck_assert_msg(outcome.fault == FETCH_BROKEN, "script %d: %d %s", _i, outcome.fault, outcome.fault_text);
    ck_assert_int_eq(outcome.status, 0);
    ck_assert_str_eq(outcome.body, "");
    ck_assert_str_ne(outcome.fault_text, "");
    close_world();
}
END_TEST

static void answer_then_reset(struct script_peer *peer, void *context)
{
    answer_once(peer, context);
    script_reset(peer);
}

START_TEST(a_whole_answer_counts_although_a_reset_came_behind_it)
{
    serve(answer_then_reset);
    struct outcome outcome = {0};
    (void)start(&outcome, 2000);
    run_for(20);       /* the request is out */
    script_pause(200); /* answer and reset come while we look away: they are met together */
    run_until(1);
    ck_assert_int_eq(outcome.fault, FETCH_FINE);
    ck_assert_int_eq(outcome.status, 200);
    ck_assert_str_eq(outcome.body, "fine");
    close_world();
}
END_TEST

/* ---- too large: 100 bytes are allowed */

static void say_hundred(struct script_peer *peer, void *context)
{
    char answer[256];
    (void)context;
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%0100d", 0);
    answer_with(peer, answer);
}

static void say_hundred_and_one(struct script_peer *peer, void *context)
{
    char answer[256];
    (void)context;
    (void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n%0101d", 0);
    answer_with(peer, answer);
}

static void say_chunks_for_ever(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000; i++) {
        script_say(peer, "4\r\nmore\r\n");
    }
}

static void say_headers_for_ever(struct script_peer *peer, void *context)
{
    hang_up(peer, context);
    script_say(peer, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 20000; i++) {
        script_say(peer, "X-More: and more\r\n");
    }
}

START_TEST(an_answer_as_long_as_allowed_is_fine)
{
    serve(say_hundred);
    struct outcome outcome = fetch(2000);
    ck_assert_int_eq(outcome.fault, FETCH_FINE);
    ck_assert_uint_eq(strlen(outcome.body), 100);
    close_world();
}
END_TEST

static struct outcome fetch_within(enum address_reach reach)
{
    struct outcome outcome = {0};
    struct fetch *fetch;
    struct fetch_request request = {.url = world.url, .timeout_ms = 2000, .max_response = 100, .reach = reach};
    ck_assert_int_eq(fetch_start(world.fetcher, &request, on_outcome, &outcome, &fetch), 0);
    run_until(world.ended + 1);
    return outcome;
}

START_TEST(an_address_out_of_reach_is_not_connected_to)
{
    serve(say_fine);
    struct outcome outcome = fetch_within(REACH_PUBLIC);
    ck_assert_int_eq(outcome.fault, FETCH_FORBIDDEN);
    ck_assert_str_eq(outcome.fault_text, "the host's address is private or reserved");
    (void)snprintf(world.url, sizeof(world.url), "http://localhost:%d/", script_server_port(world.server));
    ck_assert_int_eq(fetch_within(REACH_PUBLIC).fault, FETCH_FORBIDDEN); /* by a name, too */
    ck_assert_int_eq(script_server_connections(world.server), 0);
    ck_assert_int_eq(fetch_within(REACH_PRIVATE).status, 200);
    close_world();
}
END_TEST

static script_function *const large_ones[] = {say_hundred_and_one, say_chunks_for_ever, say_headers_for_ever};

START_TEST(a_longer_answer_is_too_large)
{
    serve(large_ones[_i]);
    struct outcome outcome = fetch(5000);
    ck_assert_int_eq(outcome.fault, FETCH_TOO_LARGE);
    ck_assert_int_eq(outcome.status, large_ones[_i] == say_headers_for_ever ? 0 : 200);
    ck_assert_str_eq(outcome.body, "");
    ck_assert_ptr_nonnull(strstr(outcome.fault_text, "longer than"));
    close_world();
}
END_TEST

/* ---- many */

static void answer_slowly(struct script_peer *peer, void *context)
{
    struct http_script_request request;
    (void)context;
    while (http_script_read(peer, &request)) {
        script_pause(50);
        script_say(peer, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

START_TEST(more_than_may_run_wait_without_their_time_running)
{
    enum { MANY = 40 };
    static struct outcome outcomes[MANY];
    serve(answer_slowly);
    for (int i = 0; i < MANY; i++) {
        (void)start(&outcomes[i], 300); /* the last one starts after half a second */
    }
    run_until(MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(outcomes[i].calls, 1);
        ck_assert_int_eq(outcomes[i].status, 200);
    }
    ck_assert_int_eq(script_server_most_at_once(world.server), 4);
    ck_assert_int_eq(script_server_connections(world.server), 4);
    close_world();
}
END_TEST

START_TEST(those_that_wait_start_when_others_fail)
{
    enum { MANY = 12 };
    static struct outcome outcomes[MANY];
    serve(say_nothing);
    for (int i = 0; i < MANY; i++) {
        (void)start(&outcomes[i], 100);
    }
    run_until(MANY);
    for (int i = 0; i < MANY; i++) {
        ck_assert_int_eq(outcomes[i].calls, 1);
        ck_assert_int_eq(outcomes[i].fault, FETCH_TIMEOUT);
    }
    close_world();
}
END_TEST

static void fetch_again(void *context, const struct fetch_result *result)
{
    static struct outcome last;
    on_outcome(context, result);
    (void)start(&last, 2000);
}

START_TEST(a_callback_may_start_the_next)
{
    serve(say_fine);
    struct outcome outcome = {0};
    struct fetch *fetch;
    struct fetch_request request = {.url = world.url, .timeout_ms = 2000, .max_response = 100};
    ck_assert_int_eq(fetch_start(world.fetcher, &request, fetch_again, &outcome, &fetch), 0);
    run_until(2);
    ck_assert_int_eq(script_server_connections(world.server), 1);
    close_world();
}
END_TEST

/* ---- cancelling */

START_TEST(a_cancelled_fetch_is_silent_at_every_stage)
{
    serve(say_part);
    struct outcome outcomes[6] = {{0}};
    struct fetch *fetches[6];
    for (int i = 0; i < 6; i++) {
        fetches[i] = start(&outcomes[i], 300);
    }
    run_for((uint64_t)_i * 3); /* 0: not even looked at; later: connecting, sent, answer begun */
    fetch_cancel(fetches[5]);  /* waits for its turn */
    fetch_cancel(fetches[0]);  /* runs */
    run_until(4);
    ck_assert_int_eq(outcomes[0].calls, 0);
    ck_assert_int_eq(outcomes[5].calls, 0);
    for (int i = 1; i < 5; i++) {
        ck_assert_int_eq(outcomes[i].fault, FETCH_TIMEOUT); /* the one that waited got the room */
    }
    run_for(100);
    ck_assert_int_eq(world.ended, 4);
    ck_assert_int_eq(script_server_open_connections(world.server), 0); /* the cancelled one's is closed too */
    close_world();
}
END_TEST

static struct pair {
    struct outcome outcome;
    struct fetch *fetch; /* NULL: it has ended */
    struct pair *other;
} pair[2] = {{.other = &pair[1]}, {.other = &pair[0]}};

static void cancel_the_other(void *context, const struct fetch_result *result)
{
    struct pair *self = context;
    self->fetch = NULL;
    on_outcome(&self->outcome, result);
    if (self->other->fetch) {
        fetch_cancel(self->other->fetch);
        self->other->fetch = NULL;
    }
}

START_TEST(a_callback_may_cancel_another_that_has_ended_too)
{
    serve(say_part);
    struct fetch_request request = {.url = world.url, .timeout_ms = 200, .max_response = 100};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(fetch_start(world.fetcher, &request, cancel_the_other, &pair[i], &pair[i].fetch), 0);
    }
    run_for(50);
    script_pause(300); /* both have run out of time meanwhile: they end in one turn */
    run_until(1);
    run_for(100);
    ck_assert_int_eq(pair[0].outcome.calls + pair[1].outcome.calls, 1);
    close_world();
}
END_TEST

/* ---- closing */

START_TEST(closing_silences_what_waits_and_what_runs)
{
    enum { MANY = 10 };
    static struct outcome outcomes[MANY];
    serve(say_part);
    for (int i = 0; i < MANY; i++) {
        (void)start(&outcomes[i], 300);
    }
    run_for((uint64_t)_i * 5);
    close_world();
    ck_assert_int_eq(world.ended, 0);
}
END_TEST

static void close_fetcher(void *context, const struct fetch_result *result)
{
    struct fetch *fetch;
    struct fetch_request request = {.url = world.url, .timeout_ms = 2000, .max_response = 100};
    on_outcome(context, result);
    fetcher_close(world.fetcher, on_closed, NULL);
    ck_assert_int_eq(fetch_start(world.fetcher, &request, on_outcome, context, &fetch), -ECANCELED);
    ck_assert(!world.closed);
}

START_TEST(a_callback_may_close_the_fetcher)
{
    serve(say_fine);
    struct outcome outcome = {0};
    static struct outcome others[6];
    struct fetch *fetch;
    struct fetch_request request = {.url = world.url, .timeout_ms = 2000, .max_response = 100};
    ck_assert_int_eq(fetch_start(world.fetcher, &request, close_fetcher, &outcome, &fetch), 0);
    for (int i = 0; i < 6; i++) {
        (void)start(&others[i], 2000);
    }
    while (!world.closed) {
        uv_run(&world.loop, UV_RUN_ONCE);
    }
    ck_assert_int_eq(outcome.calls, 1);
    close_world();
}
END_TEST

/* ---- TLS */

static void check_tls(const char *url_host, const char *name, bool trust, enum fetch_fault expected)
{
    struct tls_identity identity;
    tls_identity_create(&identity, name);
    serve_tls(say_fine, identity.server);
    open_fetcher(4, trust ? identity.file : NULL);
    (void)snprintf(world.url, sizeof(world.url), "https://%s:%d/", url_host, script_server_port(world.server));
    struct outcome outcome = fetch(5000);
    ck_assert_msg(outcome.fault == expected, "%d %s", outcome.fault, outcome.fault_text);
    ck_assert_int_eq(outcome.status, expected == FETCH_FINE ? 200 : 0);
    close_world();
    tls_identity_free(&identity);
}

START_TEST(a_trusted_certificate_is_accepted)
{
    check_tls("127.0.0.1", "IP:127.0.0.1", true, FETCH_FINE);
}
END_TEST

START_TEST(an_unknown_authority_is_refused)
{
    check_tls("127.0.0.1", "IP:127.0.0.1", false, FETCH_UNREACHABLE);
}
END_TEST

START_TEST(a_certificate_for_another_name_is_refused)
{
    check_tls("127.0.0.1", "DNS:example.com", true, FETCH_UNREACHABLE);
}
END_TEST

START_TEST(an_authorities_file_that_is_missing_is_a_fault)
{
    struct tls_identity identity;
    tls_identity_create(&identity, "IP:127.0.0.1");
    serve_tls(say_fine, identity.server);
    open_fetcher(4, "/nonexistent/ca.pem");
    ck_assert_int_eq(fetch(2000).fault, FETCH_UNREACHABLE);
    close_world();
    tls_identity_free(&identity);
}
END_TEST

/* ---- memory: every allocation of libcurl fails once, from a fetch's start until it is in libcurl's hands. Not beyond:
 * libcurl 7.88 itself divides by zero when it is out of memory while it connects. */

static long allocations_left = -1;

static bool fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

static void *failing_malloc(size_t size)
{
    return fails() ? NULL : malloc(size);
}

static void *failing_realloc(void *memory, size_t size)
{
    return fails() ? NULL : realloc(memory, size);
}

static char *failing_strdup(const char *string)
{
    return fails() ? NULL : strdup(string);
}

static void *failing_calloc(size_t count, size_t size)
{
    return fails() ? NULL : calloc(count, size);
}

/* Returns whether the allocation to fail was reached. */
static bool fetch_without_memory(long failing)
{
    struct fetch *fetch;
    struct outcome outcome = {0};
    struct fetch_request request = {.url = world.url,
                                    .bearer = "sk_test_1",
                                    .body = TEXT("body"),
                                    .headers = {"A: b"},
                                    .timeout_ms = 3000,
                                    .max_response = 100};
    allocations_left = failing;
    int status = fetch_start(world.fetcher, &request, on_outcome, &outcome, &fetch);
    bool reached = allocations_left < 0;
    allocations_left = -1;
    if (status == 0) {
        run_until(world.ended + 1);
        ck_assert_int_eq(outcome.calls, 1);
        ck_assert(outcome.fault == FETCH_FINE || reached);
        ck_assert_int_ne(outcome.fault, FETCH_TIMEOUT);
    } else {
        ck_assert_msg(status == -ENOMEM, "allocation %ld: %d", failing, status);
    }
    return reached;
}

START_TEST(a_fetch_that_cannot_start_for_want_of_memory_says_so)
{
    curl_library_close();
    ck_assert_int_eq(curl_global_init_mem(CURL_GLOBAL_DEFAULT, failing_malloc, free, failing_realloc, failing_strdup,
                                          failing_calloc),
                     0);
    serve_tls(say_fine, NULL);
    struct script_server *server = world.server;
    world.server = NULL; /* one for all */
    long failing = 0;
    bool reached = true;
    while (reached) {
        open_fetcher(4, NULL);
        reached = fetch_without_memory(failing++);
        close_world();
        world.closed = false;
    }
    ck_assert_int_gt(failing, 10);
    script_server_stop(server);
    curl_global_cleanup();
}
END_TEST

static void open_curl(void)
{
    struct buffer fault = {0};
    ck_assert_msg(curl_library_open(&fault) == 0, "%s", fault.data);
}

static void fill(TCase *tests)
{
    (void)signal(SIGPIPE, SIG_IGN);
    tcase_add_unchecked_fixture(tests, open_curl, curl_library_close);
    tcase_add_test(tests, an_answer_comes_with_its_body_and_headers);
    tcase_add_test(tests, absent_headers_are_empty);
    tcase_add_test(tests, a_date_to_try_again_at_comes_as_seconds);
    tcase_add_test(tests, headers_of_interim_answers_and_trailers_do_not_count);
    tcase_add_test(tests, a_redirect_is_an_answer_and_is_not_followed);
    tcase_add_test(tests, a_post_carries_its_body_headers_and_token);
    tcase_add_test(tests, a_request_after_another_has_nothing_of_it);
    tcase_add_test(tests, what_cannot_be_requested_is_refused_at_once);
    tcase_add_test(tests, the_environment_names_no_proxy);
    tcase_add_test(tests, a_connection_is_used_again);
    tcase_add_test(tests, a_kept_connection_that_died_is_replaced);
    tcase_add_test(tests, a_kept_connection_that_dies_under_a_request_is_replaced);
    tcase_add_test(tests, a_refused_connection_is_unreachable);
    tcase_add_test(tests, a_name_that_does_not_resolve_holds_up_nobody);
    tcase_add_loop_test(tests, the_last_transfer_that_times_out_is_told_too, 0, ARRAY_LENGTH(slow_ones));
    tcase_add_test(tests, time_runs_from_the_start_and_not_from_the_last_turn_of_the_loop);
    tcase_add_loop_test(tests, what_is_no_whole_answer_is_broken, 0, ARRAY_LENGTH(broken_ones));
    tcase_add_test(tests, a_whole_answer_counts_although_a_reset_came_behind_it);
    tcase_add_test(tests, an_answer_as_long_as_allowed_is_fine);
    tcase_add_test(tests, an_address_out_of_reach_is_not_connected_to);
    tcase_add_loop_test(tests, a_longer_answer_is_too_large, 0, ARRAY_LENGTH(large_ones));
    tcase_add_test(tests, more_than_may_run_wait_without_their_time_running);
    tcase_add_test(tests, those_that_wait_start_when_others_fail);
    tcase_add_test(tests, a_callback_may_start_the_next);
    tcase_add_loop_test(tests, a_cancelled_fetch_is_silent_at_every_stage, 0, 10);
    tcase_add_test(tests, a_callback_may_cancel_another_that_has_ended_too);
    tcase_add_loop_test(tests, closing_silences_what_waits_and_what_runs, 0, 6);
    tcase_add_test(tests, a_callback_may_close_the_fetcher);
    tcase_add_test(tests, a_trusted_certificate_is_accepted);
    tcase_add_test(tests, an_unknown_authority_is_refused);
    tcase_add_test(tests, a_certificate_for_another_name_is_refused);
    tcase_add_test(tests, an_authorities_file_that_is_missing_is_a_fault);
    tcase_add_test(tests, a_fetch_that_cannot_start_for_want_of_memory_says_so);
}

int main(void)
{
    return unit_run("fetch", fill);
}
