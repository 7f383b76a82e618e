#include "fetch_multi.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/holds.h"
#include "base/log.h"
#include "curl_functions.h"

/*
 * Happy path: libcurl names a socket and what to wait for (on_socket), libuv reports it (on_poll), libcurl is told
 * (drive), and what has ended is collected.
 *
 * Failure modes:
 *   - libuv meets an error on a socket and stops watching it: libcurl is told of the error together with what it waited
 *     for, so that it reads what came before the error; the watch goes on if libcurl keeps the socket;
 *   - libcurl loses a timer, as some versions do: the safety timer looks once a second while there are transfers;
 *   - a socket cannot be watched for want of memory: that transfer runs into its timeout.
 */

#define SAFETY_MS 1000
#define COMPLAINT_INTERVAL_MS 60000

struct fetch_multi {
    uv_loop_t *loop;
    struct fetch_multi_owner owner;
    CURLM *curl;
    uv_timer_t timer;  /* libcurl's */
    uv_timer_t safety; /* runs while there are transfers */
    size_t transfers;
    struct holds holds; /* libuv's handles that are not closed yet: the timers and the watches */
};

/* A socket that libcurl wants watched. */
struct watch {
    uv_poll_t poll;
    struct fetch_multi *multi;
    curl_socket_t socket;
    int events;
};

/* Every close callback ends here: the last one frees. */
static void let_go(struct fetch_multi *multi)
{
    holds_release(&multi->holds, free, multi);
}

/* ---- telling libcurl */

static void act(struct fetch_multi *multi, curl_socket_t socket, int action)
{
    static struct log_limit limit;
    int running;
    uint64_t suppressed;
    CURLMcode code = curl_multi_socket_action(multi->curl, socket, action, &running);
    if (code != CURLM_OK && log_limit_pass(&limit, COMPLAINT_INTERVAL_MS, &suppressed)) {
        log_error("libcurl failed; its transfers will run into their timeouts",
                  LOG_STRING("fault", curl_multi_strerror(code)), LOG_NUMBER("suppressed", suppressed));
    }
}

/* Always, also when nothing runs any more: the last transfer's end is told here like any other's. */
static void collect(struct fetch_multi *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi->curl, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result; /* copied: the message goes with the handle */
        fetch_multi_remove(multi, easy);
        multi->owner.on_ended(multi->owner.context, easy, code);
    }
    multi->owner.on_turn(multi->owner.context); /* last: it may close us */
}

/* ---- sockets */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct fetch_multi *multi = watch->multi;
    int met = status < 0 ? watch->events : events;
    int action = status < 0 ? CURL_CSELECT_ERR : 0;
    action |= met & UV_READABLE ? CURL_CSELECT_IN : 0;
    action |= met & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    act(multi, watch->socket, action);
    /* The watch itself is still there: it is freed in its close callback. */
    if (status < 0 && !uv_is_closing((uv_handle_t *)poll)) {
        (void)uv_poll_start(poll, watch->events, on_poll);
    }
    collect(multi);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = handle->data;
    struct fetch_multi *multi = watch->multi;
    free(watch);
    let_go(multi);
}

static struct watch *start_watch(struct fetch_multi *multi, curl_socket_t socket)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    if (!watch || uv_poll_init_socket(multi->loop, &watch->poll, socket) < 0) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->multi = multi;
    watch->socket = socket;
    multi->holds.count++;
    (void)curl_multi_assign(multi->curl, socket, watch);
    return watch;
}

static void end_watch(struct watch *watch)
{
    (void)curl_multi_assign(watch->multi->curl, watch->socket, NULL);
    (void)uv_poll_stop(&watch->poll); /* at once: libcurl is about to close the socket */
    uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

/* Returns 0 whatever happens: anything else would end all transfers. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *socket_context)
{
    struct watch *watch = socket_context;
    (void)easy; /* may be one of libcurl's own */
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            end_watch(watch);
        }
        return 0;
    }
    watch = watch ? watch : start_watch(context, socket);
    if (watch) {
        watch->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
        (void)uv_poll_start(&watch->poll, watch->events, on_poll);
    }
    return 0;
}

/* ---- timers */

static void on_timer(uv_timer_t *timer)
{
    struct fetch_multi *multi = timer->data;
    act(multi, CURL_SOCKET_TIMEOUT, 0);
    collect(multi);
}

/* Never calls libcurl from in here, not even for 0 ms. */
static int on_timeout_changed(CURLM *curl, long timeout_ms, void *context)
{
    struct fetch_multi *multi = context;
    (void)curl;
    if (multi->holds.closed) {
        return 0;
    }
    if (timeout_ms < 0) {
        (void)uv_timer_stop(&multi->timer);
    } else {
        uv_update_time(multi->loop); /* libcurl counts from now, not from when this turn of the loop began */
        (void)uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static void watch_over(struct fetch_multi *multi)
{
    bool runs = uv_is_active((uv_handle_t *)&multi->safety);
    if (multi->transfers > 0 && !runs) {
        (void)uv_timer_start(&multi->safety, on_timer, SAFETY_MS, SAFETY_MS);
    } else if (multi->transfers == 0 && runs) {
        (void)uv_timer_stop(&multi->safety);
    }
}

/* ---- for the owner */

int fetch_multi_add(struct fetch_multi *multi, CURL *easy)
{
    if (curl_multi_add_handle(multi->curl, easy) != CURLM_OK) {
        return -ENOMEM;
    }
    multi->transfers++;
    watch_over(multi);
    return 0;
}

void fetch_multi_remove(struct fetch_multi *multi, CURL *easy)
{
    (void)curl_multi_remove_handle(multi->curl, easy);
    multi->transfers--;
    watch_over(multi);
}

void fetch_multi_wake(struct fetch_multi *multi)
{
    (void)uv_timer_start(&multi->timer, on_timer, 0, 0); /* libcurl does not mind being looked at early */
}

int fetch_multi_open(uv_loop_t *loop, const struct fetch_multi_owner *owner, size_t kept_connections,
                     struct fetch_multi **opened)
{
    struct fetch_multi *multi = calloc(1, sizeof(*multi));
    if (!multi) {
        return -ENOMEM;
    }
    multi->curl = curl_multi_init();
    if (!multi->curl) {
        free(multi);
        return -ENOMEM;
    }
    multi->loop = loop;
    multi->owner = *owner;
    (void)uv_timer_init(loop, &multi->timer);
    (void)uv_timer_init(loop, &multi->safety);
    multi->timer.data = multi;
    multi->safety.data = multi;
    multi->holds.count = 2;
    (void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    (void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, on_timeout_changed);
    (void)curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    (void)curl_multi_setopt(multi->curl, CURLMOPT_MAXCONNECTS, (long)kept_connections);
    *opened = multi;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

void fetch_multi_close(struct fetch_multi *multi, void (*closed)(void *context), void *context)
{
    holds_close(&multi->holds, closed, context);
    (void)curl_multi_cleanup(multi->curl); /* lets go of the sockets, through on_socket() */
    uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
    uv_close((uv_handle_t *)&multi->safety, on_timer_closed);
}
