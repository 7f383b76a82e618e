#include "net/fetch.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/buffer.h"
#include "base/list.h"
#include "curl_functions.h"
#include "fetch_multi.h"

/*
 * Happy path: a fetch waits (fetch_start), runs as soon as there is room (poke), ends inside libcurl (on_ended), and is
 * reported once libcurl has returned (on_turn).
 *
 * Failure modes: all of them end the fetch like success does, with a fault. What cannot even be given to libcurl ends
 * in the next turn of the loop.
 */

#define CONNECT_TIMEOUT_MS 10000
#define KEPT_CONNECTION_S 50                 /* Stripe's balancers close idle connections after a minute */
#define HEADER_MAXIMUM 256                   /* of a header that callers ask for */
#define HEADER_BLOCK_MAXIMUM ((size_t)65536) /* newer libcurls have a limit of their own, at about 5,000 headers */

enum header { RETRY_AFTER, SHOULD_RETRY, REQUEST_ID, RATE_LIMIT_REASON, DATE, HEADERS };

static const char *const header_names[HEADERS] = {
    [RETRY_AFTER] = "retry-after",
    [SHOULD_RETRY] = "stripe-should-retry",
    [REQUEST_ID] = "request-id",
    [RATE_LIMIT_REASON] = "stripe-rate-limited-reason",
    [DATE] = "date",
};

struct fetcher {
    struct fetcher_options options;
    struct fetch_multi *multi;
    struct list waiting; /* of struct fetch: not started */
    struct list running; /* in libcurl's hands */
    struct list ended;   /* to be reported */
    size_t running_count;
    CURL **spare; /* easy handles for the next fetches: room for max_concurrent */
    size_t spare_count;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

struct fetch {
    struct fetcher *fetcher;
    struct list link;
    bool running;
    CURL *easy;
    struct curl_slist *headers;
    struct buffer request_body;
    struct buffer body;
    struct buffer values[HEADERS];
    size_t header_bytes;
    bool only_connects;
    bool past_headers; /* what looks like a header now is a trailer */
    bool too_large;
    bool forbidden; /* an address was out of reach */
    size_t max_response;
    enum address_reach reach;
    CURLcode code;
    char fault_text[CURL_ERROR_SIZE];
    fetch_callback *callback;
    void *context;
};

static void poke(struct fetcher *fetcher);

/* ---- the answer, as it comes */

static size_t refuse(struct fetch *fetch)
{
    fetch->too_large = true;
    return 0; /* ends the transfer */
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    size_t length = size * count;
    if (length > fetch->max_response - fetch->body.length) {
        return refuse(fetch);
    }
    buffer_append(&fetch->body, (struct text){.data = data, .length = length});
    return buffer_status(&fetch->body) < 0 ? 0 : length;
}

/* A status line: the headers before it were those of an interim answer. */
static void begin_headers(struct fetch *fetch)
{
    fetch->past_headers = false;
    for (size_t i = 0; i < HEADERS; i++) {
        buffer_clear(&fetch->values[i]);
    }
}

static void keep_header(struct fetch *fetch, struct text line)
{
    struct text value = line;
    struct text name = text_cut(&value, ':');
    value = text_trim(value);
    for (size_t i = 0; i < HEADERS && value.length <= HEADER_MAXIMUM; i++) {
        if (text_equal_ignoring_case(name, text_of(header_names[i]))) {
            buffer_clear(&fetch->values[i]);
            buffer_append(&fetch->values[i], value);
        }
    }
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct fetch *fetch = context;
    struct text line = {.data = data, .length = size * count};
    fetch->header_bytes += line.length;
    if (fetch->header_bytes > HEADER_BLOCK_MAXIMUM) {
        return refuse(fetch);
    }
    while (line.length > 0 && (line.data[line.length - 1] == '\n' || line.data[line.length - 1] == '\r')) {
        line.length--;
    }
    if (text_starts_with(line, TEXT("HTTP/"))) {
        begin_headers(fetch);
    } else if (line.length == 0) {
        fetch->past_headers = true;
    } else if (!fetch->past_headers) {
        keep_header(fetch, line);
    }
    return size * count;
}

/* ---- the connection */

/* Asked for each address that the host's name has, until one connects. */
static curl_socket_t on_open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *fetch = context;
    (void)purpose;
    if (!address_is_within(address_kind_of(&address->addr), fetch->reach)) {
        fetch->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- one fetch */

static CURL *take_easy(struct fetcher *fetcher)
{
    return fetcher->spare_count > 0 ? fetcher->spare[--fetcher->spare_count] : curl_easy_init();
}

static void give_easy(struct fetcher *fetcher, CURL *easy)
{
    if (easy && !fetcher->closing && fetcher->spare_count < fetcher->options.max_concurrent) {
        curl_easy_reset(easy); /* forgets all that points into the fetch; the connection belongs to the multi */
        fetcher->spare[fetcher->spare_count++] = easy;
    } else {
        curl_easy_cleanup(easy);
    }
}

static void free_fetch(struct fetch *fetch)
{
    give_easy(fetch->fetcher, fetch->easy);
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

/* A line break in a header would be the next header; no other control character belongs there either. */
static bool is_clean(const char *line)
{
    for (; *line; line++) {
        if (((unsigned char)*line < 0x20 && *line != '\t') || *line == 0x7f) {
            return false;
        }
    }
    return true;
}

static int add_header(struct fetch *fetch, const char *line)
{
    if (!is_clean(line)) {
        return -EINVAL;
    }
    struct curl_slist *headers = curl_slist_append(fetch->headers, line);
    if (!headers) {
        return -ENOMEM;
    }
    fetch->headers = headers;
    return 0;
}

static int add_bearer(struct fetch *fetch, const char *token)
{
    struct buffer line = {0};
    buffer_append_string(&line, "Authorization: Bearer ");
    /* In one piece: growing would leave part of the secret behind in freed memory. */
    int status = buffer_reserve(&line, strlen(token));
    if (status == 0) {
        buffer_append_string(&line, token);
        status = add_header(fetch, line.data);
    }
    buffer_wipe(&line);
    return status;
}

static int set_headers(struct fetch *fetch, const struct fetch_request *request)
{
    int status = 0;
    for (size_t i = 0; i < FETCH_HEADERS_MAXIMUM && request->headers[i] && status == 0; i++) {
        status = add_header(fetch, request->headers[i]);
    }
    if (status == 0 && request->bearer) {
        status = add_bearer(fetch, request->bearer);
    }
    return status;
}

/* libcurl would find out only when the transfer runs. */
static int check_url(const char *url)
{
    CURLU *parts = curl_url();
    if (!parts) {
        return -ENOMEM;
    }
    char *scheme = NULL;
    CURLUcode code = curl_url_set(parts, CURLUPART_URL, url, 0);
    code = code ? code : curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
    bool fine = code == CURLUE_OK && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0);
    curl_free(scheme);
    curl_url_cleanup(parts);
    if (code == CURLUE_OUT_OF_MEMORY) {
        return -ENOMEM;
    }
    return fine ? 0 : -EINVAL;
}

static void set_limits(CURL *easy, uint64_t timeout_ms)
{
    long all = timeout_ms < INT_MAX ? (long)timeout_ms : INT_MAX;
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, all);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, all < CONNECT_TIMEOUT_MS ? all : CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, (long)KEPT_CONNECTION_S);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a slow resolver must not hold up the loop */
}

static void set_receivers(CURL *easy, struct fetch *fetch)
{
    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->fault_text);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
}

static CURLcode set_tls(CURL *easy, const struct fetch_request *request, const char *ca_file)
{
    CURLcode code = CURLE_OK;
    ca_file = request->ca_file ? request->ca_file : ca_file;
    if (ca_file) {
        code = curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (request->certificate) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_SSLCERT, request->certificate);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_SSLKEY, request->key);
    }
    return code;
}

static int set_options(struct fetch *fetch, const struct fetch_request *request)
{
    const struct fetcher_options *options = &fetch->fetcher->options;
    CURL *easy = fetch->easy;
    set_limits(easy, request->timeout_ms);
    set_receivers(easy, fetch);
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, request->url);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    code = code ? code : curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* else the environment names one */
    code = code ? code : curl_easy_setopt(easy, CURLOPT_USERAGENT, options->user_agent);
    code = code ? code : curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    if (request->only_connects) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
    }
    code = code ? code : set_tls(easy, request, options->ca_file);
    if (request->reach != REACH_ANY) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    }
    if (request->body.length > 0) {
        code = code ? code : curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)fetch->request_body.length);
        code = code ? code : curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->request_body.data);
    }
    return code == CURLE_OK ? 0 : -ENOMEM;
}

static int prepare(struct fetch *fetch, const struct fetch_request *request)
{
    int status = check_url(request->url);
    status = status == 0 ? set_headers(fetch, request) : status;
    if (status < 0) {
        return status;
    }
    buffer_append(&fetch->request_body, request->body);
    fetch->easy = take_easy(fetch->fetcher);
    if (!fetch->easy || buffer_status(&fetch->request_body) < 0) {
        return -ENOMEM;
    }
    return set_options(fetch, request);
}

int fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_callback *callback, void *context,
                struct fetch **started)
{
    if (fetcher->closing) {
        return -ECANCELED;
    }
    struct fetch *fetch = calloc(1, sizeof(*fetch));
    if (!fetch) {
        return -ENOMEM;
    }
    fetch->fetcher = fetcher;
    fetch->callback = callback;
    fetch->context = context;
    fetch->max_response = request->max_response;
    fetch->reach = request->reach;
    fetch->only_connects = request->only_connects;
    int status = prepare(fetch, request);
    if (status < 0) {
        free_fetch(fetch);
        return status;
    }
    list_append(&fetcher->waiting, &fetch->link);
    poke(fetcher);
    *started = fetch;
    return 0;
}

/* Takes it out of running. */
static void stop_running(struct fetch *fetch)
{
    fetch->running = false;
    fetch->fetcher->running_count--;
    list_remove(&fetch->link);
}

static void drop(struct fetch *fetch)
{
    if (fetch->running) {
        fetch_multi_remove(fetch->fetcher->multi, fetch->easy);
        stop_running(fetch);
    }
    list_remove(&fetch->link);
    free_fetch(fetch);
}

void fetch_cancel(struct fetch *fetch)
{
    struct fetcher *fetcher = fetch->fetcher;
    drop(fetch);
    poke(fetcher);
}

/* ---- starting and ending */

/* Starts what waits, as far as there is room. Called whenever that may have changed. */
static void poke(struct fetcher *fetcher)
{
    struct list *first;
    while (fetcher->running_count < fetcher->options.max_concurrent &&
           (first = list_first(&fetcher->waiting)) != NULL) {
        struct fetch *fetch = LIST_OBJECT(first, struct fetch, link);
        list_remove(first);
        if (fetch_multi_add(fetcher->multi, fetch->easy) == 0) {
            fetch->running = true;
            fetcher->running_count++;
            list_append(&fetcher->running, first);
        } else {
            fetch->code = CURLE_OUT_OF_MEMORY;
            list_append(&fetcher->ended, first);
            fetch_multi_wake(fetcher->multi);
        }
    }
}

static void on_ended(void *context, CURL *easy, CURLcode code)
{
    struct fetcher *fetcher = context;
    struct fetch *fetch = NULL;
    (void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, &fetch);
    fetch->code = code;
    stop_running(fetch);
    list_append(&fetcher->ended, &fetch->link);
}

static enum fetch_fault fault_of(const struct fetch *fetch)
{
    if (fetch->too_large) {
        return FETCH_TOO_LARGE;
    }
    switch (fetch->code) {
    case CURLE_OK:
        /* libcurl takes an answer that ends within its headers for one without a body. */
        return fetch->past_headers || fetch->only_connects ? FETCH_FINE : FETCH_BROKEN;
    case CURLE_OPERATION_TIMEDOUT:
        return FETCH_TIMEOUT;
    case CURLE_COULDNT_CONNECT:
        return fetch->forbidden ? FETCH_FORBIDDEN : FETCH_UNREACHABLE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION:
        return FETCH_UNREACHABLE;
    default:
        return FETCH_BROKEN;
    }
}

static const char *fault_text_of(struct fetch *fetch, enum fetch_fault fault)
{
    if (fault == FETCH_FINE) {
        return "";
    }
    if (fault == FETCH_TOO_LARGE) {
        (void)snprintf(fetch->fault_text, sizeof(fetch->fault_text), "the answer is longer than %zu bytes",
                       fetch->header_bytes > HEADER_BLOCK_MAXIMUM ? HEADER_BLOCK_MAXIMUM : fetch->max_response);
    }
    if (fault == FETCH_FORBIDDEN) {
        return "the host's address is private or reserved";
    }
    if (fetch->code == CURLE_OK) {
        return "the answer ended within its headers";
    }
    return fetch->fault_text[0] ? fetch->fault_text : curl_easy_strerror(fetch->code);
}

/* Retry-After may also be a date (RFC 9110, section 10.2.3): the seconds until then are made of it. */
static void count_retry_after(struct fetch *fetch)
{
    struct buffer *value = &fetch->values[RETRY_AFTER];
    curl_off_t seconds = 0;
    bool is_date = value->length > 0 && (value->data[0] | 0x20) >= 'a' && (value->data[0] | 0x20) <= 'z';
    if (is_date && curl_easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK) {
        buffer_clear(value);
        buffer_append_format(value, "%" CURL_FORMAT_CURL_OFF_T, seconds > 0 ? seconds : 0);
    }
}

static void report(struct fetch *fetch)
{
    struct fetch_result result = {.fault = fault_of(fetch)};
    result.fault_text = fault_text_of(fetch, result.fault);
    if (result.fault == FETCH_FINE || (result.fault == FETCH_TOO_LARGE && fetch->past_headers)) {
        long status = 0;
        (void)curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
        result.status = (int)status;
    }
    if (result.fault == FETCH_FINE) {
        count_retry_after(fetch);
        result.body = buffer_text(&fetch->body);
        result.retry_after = buffer_text(&fetch->values[RETRY_AFTER]);
        result.should_retry = buffer_text(&fetch->values[SHOULD_RETRY]);
        result.request_id = buffer_text(&fetch->values[REQUEST_ID]);
        result.rate_limit_reason = buffer_text(&fetch->values[RATE_LIMIT_REASON]);
        result.date = buffer_text(&fetch->values[DATE]);
    }
    fetch->callback(fetch->context, &result);
    free_fetch(fetch);
}

/* Callbacks may start and cancel fetches, and close the fetcher, which empties the list. */
static void on_turn(void *context)
{
    struct fetcher *fetcher = context;
    struct list *first;
    while ((first = list_first(&fetcher->ended)) != NULL) {
        list_remove(first);
        report(LIST_OBJECT(first, struct fetch, link));
    }
    if (!fetcher->closing) {
        poke(fetcher);
    }
}

/* ---- the fetcher */

int fetcher_create(uv_loop_t *loop, const struct fetcher_options *options, struct fetcher **created)
{
    assert(options->max_concurrent > 0); /* else nothing would ever start */
    struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
    if (!fetcher) {
        return -ENOMEM;
    }
    fetcher->options = *options;
    list_init(&fetcher->waiting);
    list_init(&fetcher->running);
    list_init(&fetcher->ended);
    struct fetch_multi_owner owner = {.on_ended = on_ended, .on_turn = on_turn, .context = fetcher};
    fetcher->spare = calloc(options->max_concurrent, sizeof(CURL *));
    int status = fetcher->spare ? fetch_multi_open(loop, &owner, options->max_concurrent, &fetcher->multi) : -ENOMEM;
    if (status < 0) {
        free(fetcher->spare);
        free(fetcher);
        return status;
    }
    *created = fetcher;
    return 0;
}

static void on_multi_closed(void *context)
{
    struct fetcher *fetcher = context;
    void (*closed)(void *) = fetcher->closed;
    void *closed_context = fetcher->closed_context;
    free(fetcher->spare);
    free(fetcher);
    closed(closed_context);
}

static void drop_all(struct list *list)
{
    LIST_EACH(list, link, following)
    {
        drop(LIST_OBJECT(link, struct fetch, link));
    }
}

void fetcher_close(struct fetcher *fetcher, void (*closed)(void *context), void *context)
{
    fetcher->closing = true;
    fetcher->closed = closed;
    fetcher->closed_context = context;
    drop_all(&fetcher->waiting);
    drop_all(&fetcher->running);
    drop_all(&fetcher->ended);
    while (fetcher->spare_count > 0) {
        curl_easy_cleanup(fetcher->spare[--fetcher->spare_count]);
    }
    fetch_multi_close(fetcher->multi, on_multi_closed, fetcher);
}
