#include "net/fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "base/buffer.h"
#include "base/list.h"

#define SAFETY_MS 1000 /* libcurl has lost timers before: look at least this often */
#define CONNECT_TIMEOUT_MS 10000
#define KEPT_CONNECTION_S 50 /* Stripe's balancers close idle connections after a minute */
#define HEADER_MAXIMUM 256

enum header { RETRY_AFTER, SHOULD_RETRY, REQUEST_ID, RATE_LIMIT_REASON, HEADERS };

static const char *const header_names[HEADERS] = {
    [RETRY_AFTER] = "retry-after",
    [SHOULD_RETRY] = "stripe-should-retry",
    [REQUEST_ID] = "request-id",
    [RATE_LIMIT_REASON] = "stripe-rate-limited-reason",
};

struct fetcher {
    uv_loop_t *loop;
    struct fetcher_options options;
    CURLM *multi;
    uv_timer_t timer;    /* libcurl's */
    uv_timer_t safety;   /* runs while transfers run */
    struct list waiting; /* of struct fetch: not started */
    struct list running;
    struct list ended; /* done, to be reported */
    size_t running_count;
    bool reporting;
    bool closing;
    int open_handles;
    void (*closed)(void *context);
    void *closed_context;
};

struct fetch {
    struct fetcher *fetcher;
    struct list link;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer request_body;
    struct buffer body;
    struct buffer values[HEADERS];
    size_t max_response;
    bool too_large;
    bool started;
    CURLcode code;
    char error[CURL_ERROR_SIZE];
    fetch_callback *callback;
    void *context;
};

/* A socket that libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    struct fetcher *fetcher;
    curl_socket_t socket;
    int events;
};

static void collect(struct fetcher *fetcher);
static void poke(struct fetcher *fetcher);

/* ---- libcurl's sockets and timer on the loop */

static void drive(struct fetcher *fetcher, curl_socket_t socket, int action)
{
    int running;
    (void)curl_multi_socket_action(fetcher->multi, socket, action, &running);
    collect(fetcher);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    int action = 0;
    if (status < 0) {
        watch->events = 0; /* libuv has stopped polling; libcurl finds the error on the socket */
        action = CURL_CSELECT_ERR;
    }
    action |= (events & UV_READABLE) ? CURL_CSELECT_IN : 0;
    action |= (events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0;
    drive(watch->fetcher, watch->socket, action);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static int watch_socket(struct fetcher *fetcher, struct watch *watch, curl_socket_t socket, int events)
{
    if (!watch) {
        watch = calloc(1, sizeof(*watch));
        if (!watch || uv_poll_init_socket(fetcher->loop, &watch->poll, socket) < 0) {
            free(watch);
            return -1;
        }
        watch->poll.data = watch;
        watch->fetcher = fetcher;
        watch->socket = socket;
        (void)curl_multi_assign(fetcher->multi, socket, watch);
    }
    if (events != watch->events) {
        watch->events = events;
        (void)uv_poll_start(&watch->poll, events, on_poll);
    }
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    struct fetcher *fetcher = context;
    struct watch *watch = socket_context;
    (void)easy;
    if (what != CURL_POLL_REMOVE) {
        int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
        return watch_socket(fetcher, watch, socket, events);
    }
    if (watch) {
        (void)curl_multi_assign(fetcher->multi, socket, NULL);
        (void)uv_poll_stop(&watch->poll); /* at once: libcurl is about to close the socket */
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
    }
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout_changed(CURLM *multi, long timeout_ms, void *context)
{
    struct fetcher *fetcher = context;
    (void)multi;
    if (fetcher->closing) {
        return 0;
    }
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&fetcher->timer);
    } else {
        (void)uv_timer_start(&fetcher->timer, on_timer, (uint64_t)timeout_ms,
                             0); /* never from in here, not even for 0 */
    }
    return 0;
}

/* ---- one transfer */

static void free_fetch(struct fetch *fetch)
{
    if (fetch->easy) {
        curl_easy_cleanup(fetch->easy);
    }
    for (struct curl_slist *header = fetch->headers; header; header = header->next) {
        OPENSSL_cleanse(header->data, strlen(header->data)); /* one of them may be the authorization */
    }
    curl_slist_free_all(fetch->headers);
    for (size_t i = 0; i < HEADERS; i++) {
        buffer_free(&fetch->values[i]);
    }
    buffer_wipe(&fetch->request_body);
    buffer_wipe(&fetch->body);
    free(fetch);
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    size_t length = size * count;
    if (fetch->body.length + length > fetch->max_response) {
        fetch->too_large = true;
        return 0; /* ends the transfer */
    }
    buffer_append(&fetch->body, (struct text){.data = data, .length = length});
    return buffer_status(&fetch->body) < 0 ? 0 : length;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    struct text value = {.data = data, .length = size * count};
    while (value.length > 0 && (value.data[value.length - 1] == '\n' || value.data[value.length - 1] == '\r')) {
        value.length--;
    }
    struct text name = text_cut(&value, ':');
    for (size_t i = 0; i < HEADERS && value.data && value.length <= HEADER_MAXIMUM; i++) {
        if (text_equal_ignoring_case(name, text_of(header_names[i]))) {
            buffer_clear(&fetch->values[i]);
            buffer_append(&fetch->values[i], text_trim(value));
        }
    }
    return size * count;
}

static int add_header(struct fetch *fetch, const char *line)
{
    struct curl_slist *headers = curl_slist_append(fetch->headers, line);
    if (!headers) {
        return -ENOMEM;
    }
    fetch->headers = headers;
    return 0;
}

static int set_headers(struct fetch *fetch, const struct fetch_request *request)
{
    int status = 0;
    for (size_t i = 0; i < FETCH_HEADERS_MAXIMUM && request->headers[i] && status == 0; i++) {
        status = add_header(fetch, request->headers[i]);
    }
    if (status == 0 && request->bearer) {
        struct buffer line = {0};
        buffer_append_format(&line, "Authorization: Bearer %s", request->bearer);
        status = buffer_status(&line) < 0 ? -ENOMEM : add_header(fetch, line.data);
        buffer_wipe(&line);
    }
    /* Without this, libcurl waits a second for "100 Continue" before it sends a larger body. */
    return status == 0 && request->body.length > 0 ? add_header(fetch, "Expect:") : status;
}

static int set_options(struct fetch *fetch, const struct fetch_request *request)
{
    CURL *easy = fetch->easy;
    long connect_ms = request->timeout_ms < CONNECT_TIMEOUT_MS ? (long)request->timeout_ms : CONNECT_TIMEOUT_MS;
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a slow resolver must not hold up the loop */
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms);
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, fetch->fetcher->options.user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    if (fetch->fetcher->options.ca_file) {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->fetcher->options.ca_file);
    }
    if (request->body.length > 0) {
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)fetch->request_body.length);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->request_body.data);
    }
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK ? 0 : -EINVAL;
}

int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_callback *callback, void *context,
                struct fetch **started)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch) {
        return -ENOMEM;
    }
    fetch->fetcher = fetcher;
    fetch->callback = callback;
    fetch->context = context;
    fetch->max_response = request->max_response;
    fetch->easy = curl_easy_init();
    buffer_append(&fetch->request_body, request->body);
    int status = fetch->easy ? buffer_status(&fetch->request_body) : -ENOMEM;
    status = status == 0 ? set_headers(fetch, request) : status;
    status = status == 0 ? set_options(fetch, request) : status;
    if (status < 0) {
        free_fetch(fetch);
        return status;
    }
    list_append(&fetcher->waiting, &fetch->link);
    poke(fetcher);
    *started = fetch;
    return 0;
}

void fetch_cancel(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    list_remove(&fetch->link);
    if (fetch->started) {
        (void)curl_multi_remove_handle(fetcher->multi, fetch->easy);
        fetcher->running_count--;
    }
    free_fetch(fetch);
    if (!fetcher->closing) {
        poke(fetcher);
    }
}

/* ---- starting and ending transfers */

static void on_safety(uv_timer_t *timer)
{
    drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_over(struct fetcher *fetcher)
{
    bool needed = fetcher->running_count > 0;
    if (needed && !uv_is_active((uv_handle_t *)&fetcher->safety)) {
        (void)uv_timer_start(&fetcher->safety, on_safety, SAFETY_MS, SAFETY_MS);
    } else if (!needed) {
        (void)uv_timer_stop(&fetcher->safety);
    }
}

/* Starts what waits, as far as there is room. Called whenever that may have changed. */
static void poke(struct fetcher *fetcher)
{
    struct list *first;
    while (fetcher->running_count < fetcher->options.max_concurrent &&
           (first = list_first(&fetcher->waiting)) != NULL) {
        struct fetch *fetch = LIST_OBJECT(first, struct fetch, link);
        list_remove(first);
        fetch->started = true;
        fetcher->running_count++;
        list_append(&fetcher->running, first);
        /* Sets libcurl's timer to 0: the transfer begins, and if need be fails, in the loop. */
        (void)curl_multi_add_handle(fetcher->multi, fetch->easy);
    }
    watch_over(fetcher);
}

static enum fetch_fault fault_of(const struct fetch *fetch)
{
    if (fetch->too_large) {
        return FETCH_TOO_LARGE;
    }
    switch (fetch->code) {
    case CURLE_OK:
        return FETCH_FINE;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return FETCH_UNREACHABLE;
    default:
        return FETCH_BROKEN;
    }
}

static void report(struct fetch *fetch)
{
    long status = 0;
    (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    struct fetch_result result = {
        .fault = fault_of(fetch),
        .fault_text = curl_easy_strerror(fetch->code),
        .body = buffer_text(&fetch->body),
        .retry_after = buffer_text(&fetch->values[RETRY_AFTER]),
        .should_retry = buffer_text(&fetch->values[SHOULD_RETRY]),
        .request_id = buffer_text(&fetch->values[REQUEST_ID]),
        .rate_limit_reason = buffer_text(&fetch->values[RATE_LIMIT_REASON]),
    };
    result.status = result.fault == FETCH_FINE ? (int)status : 0;
    fetch->callback(fetch->context, &result);
    free_fetch(fetch);
}

/* Takes every transfer that has ended from libcurl, and only then reports them: callbacks may start, cancel and close.
 */
static void collect(struct fetcher *fetcher)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(fetcher->multi, &left)) != NULL) {
        struct fetch *fetch = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        (void)curl_multi_remove_handle(fetcher->multi, fetch->easy);
        fetch->code = code;
        fetch->started = false;
        fetcher->running_count--;
        list_remove(&fetch->link);
        list_append(&fetcher->ended, &fetch->link);
    }
    if (fetcher->reporting) {
        return;
    }
    fetcher->reporting = true;
    struct list *first;
    while ((first = list_first(&fetcher->ended)) != NULL) {
        list_remove(first);
        report(LIST_OBJECT(first, struct fetch, link));
    }
    fetcher->reporting = false;
    if (!fetcher->closing) {
        poke(fetcher);
    }
}

/* ---- the fetcher */

int fetcher_create(uv_loop_t *loop, const struct fetcher_options *options, struct fetcher **created)
{
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (!fetcher) {
        return -ENOMEM;
    }
    fetcher->multi = curl_multi_init();
    if (!fetcher->multi) {
        free(fetcher);
        return -ENOMEM;
    }
    fetcher->loop = loop;
    fetcher->options = *options;
    list_init(&fetcher->waiting);
    list_init(&fetcher->running);
    list_init(&fetcher->ended);
    (void)uv_timer_init(loop, &fetcher->timer);
    (void)uv_timer_init(loop, &fetcher->safety);
    fetcher->timer.data = fetcher;
    fetcher->safety.data = fetcher;
    fetcher->open_handles = 2;
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, on_timeout_changed);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    (void)curl_multi_setopt(fetcher->multi, CURLMOPT_MAXCONNECTS, (long)options->max_concurrent);
    *created = fetcher;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct fetcher *fetcher = handle->data;
    if (--fetcher->open_handles == 0) {
        void (*closed)(void *) = fetcher->closed;
        void *context = fetcher->closed_context;
        free(fetcher);
        closed(context);
    }
}

static void cancel_all(struct list *list)
{
    LIST_EACH(list, link, following)
    {
        fetch_cancel(LIST_OBJECT(link, struct fetch, link));
    }
}

void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context)
{
    fetcher->closing = true;
    fetcher->closed = closed;
    fetcher->closed_context = context;
    cancel_all(&fetcher->waiting);
    cancel_all(&fetcher->running);
    cancel_all(&fetcher->ended);
    (void)curl_multi_cleanup(fetcher->multi); /* lets go of the sockets, through on_socket() */
    uv_close((uv_handle_t *)&fetcher->timer, on_handle_closed);
    uv_close((uv_handle_t *)&fetcher->safety, on_handle_closed);
}
