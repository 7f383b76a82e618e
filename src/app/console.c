#include "app/console.h"

#include <errno.h>
#include <stdlib.h>

#include "app/admin.h"
#include "app/console_page.h"
#include "app/queue_options.h"
#include "base/clock.h"
#include "base/holds.h"
#include "store/queue.h"

/*
 * Happy path: look → (connect) → backlog and overview, side by side → page → all who wait.
 *
 * Failure modes: Redis is away or slow: the deadline makes the page without it. A question that is still under way then
 * holds up no look: its answer, when it comes, is only noted as come.
 */
#define PAGE_KEPT_MS 1000
#define RATE_INTERVAL_MS 2000 /* rates are over this long at least */

struct looker {
    struct list link;
    struct conn *conn;
};

struct console {
    struct console_options options;
    uv_loop_t *loop;
    uv_timer_t deadline;
    struct queue *queue; /* NULL: nobody has looked yet */
    struct list lookers; /* of struct looker */
    bool looking;
    struct backlog_call backlog_call;
    struct overview_call overview_call;
    bool backlog_asked;
    bool overview_asked;
    struct buffer backlog; /* what the answers were made to; empty: no answer yet */
    struct buffer overview;
    struct buffer page;
    uint64_t page_at_ms; /* 0: there is none */
    uint64_t opened_ms;
    struct console_counts before;
    struct console_counts latest;
    struct holds holds; /* the timer and the queue */
};

/* ---- answering */

static void answer_page(struct console *console, struct conn *conn)
{
    struct http_answer answer = {
        .status = buffer_status(&console->page) == 0 ? 200 : 503,
        .content_type = "text/html; charset=utf-8",
        .headers = console_headers(),
        .body = buffer_text(&console->page),
    };
    conn_answer(conn, &answer);
}

static void answer_all(struct console *console)
{
    console->looking = false;
    (void)uv_timer_stop(&console->deadline);
    LIST_EACH(&console->lookers, member, following)
    {
        struct looker *looker = LIST_OBJECT(member, struct looker, link);
        struct conn *conn = looker->conn;
        list_remove(member);
        free(looker);
        answer_page(console, conn);
    }
}

/* ---- the page */

static void count(struct console *console, const struct telemetry *const *loops)
{
    struct console_counts counts = {.at_ms = clock_monotonic_ms()};
    console_count(loops, console->options.reactor_count, &counts);
    if (counts.at_ms - console->latest.at_ms >= RATE_INTERVAL_MS) {
        console->before = console->latest;
    }
    console->latest = counts;
}

static void write_page(struct console *console)
{
    const struct telemetry *loops[256];
    size_t loop_count = console->options.reactor_count;
    for (size_t i = 0; i < loop_count; i++) {
        loops[i] = reactor_telemetry(console->options.reactors[i]);
    }
    count(console, loops);
    struct console_view view = {
        .now_ms = clock_wall_ms(),
        .uptime_ms = clock_monotonic_ms() - console->opened_ms,
        .role = console->options.role,
        .namespace = console->options.settings->namespace,
        .loops_turn = telemetry_loops_turn(loops, loop_count, clock_monotonic_ms(), HEALTH_STUCK_MS),
        .draining = *console->options.draining,
        .trouble = telemetry_redis_trouble(loops, loop_count),
        .database = telemetry_database(loops, loop_count),
        .durability = telemetry_durability(loops, loop_count),
        .counts = console->latest,
        .before = console->before,
        .backlog = buffer_text(&console->backlog),
        .overview = buffer_text(&console->overview),
    };
    buffer_clear(&console->page);
    console_write_page(&console->page, &view);
    console->page_at_ms = uv_now(console->loop);
    answer_all(console);
}

/* ---- asking Redis */

static void go_on(struct console *console)
{
    if (console->looking && console->backlog.length > 0 && console->overview.length > 0) {
        write_page(console);
    }
}

static void on_backlog(struct backlog_call *call, const struct backlog *backlog, const char *error)
{
    struct console *console = CONTAINER_OF(call, struct console, backlog_call);
    (void)error; /* without an answer the deadline makes the page */
    console->backlog_asked = false;
    if (backlog) {
        buffer_clear(&console->backlog);
        console_write_backlog(&console->backlog, backlog);
    }
    go_on(console);
}

static void on_overview(struct overview_call *call, const struct overview *overview)
{
    struct console *console = CONTAINER_OF(call, struct console, overview_call);
    console->overview_asked = false;
    if (overview) {
        buffer_clear(&console->overview);
        console_write_overview(&console->overview, overview);
    }
    go_on(console);
}

static void ask(struct console *console)
{
    console->backlog_call.callback = on_backlog;
    console->overview_call.callback = on_overview;
    if (!console->backlog_asked) {
        console->backlog_asked = backlog_read(console->queue, &console->backlog_call) == 0;
    }
    if (!console->overview_asked) {
        console->overview_asked = overview_read(console->queue, &console->overview_call) == 0;
    }
}

static void on_state(void *context, bool ready)
{
    struct console *console = context;
    if (ready && console->looking) {
        ask(console);
    }
}

static int open_queue(struct console *console)
{
    struct queue_options options = queue_options_of(console->options.settings, "identihook-console");
    options.on_state = on_state;
    options.context = console;
    int status = queue_open(console->loop, &options, &console->queue);
    if (status < 0) {
        console->queue = NULL;
        return status;
    }
    console->holds.count++;
    return 0;
}

static void on_deadline(uv_timer_t *timer)
{
    write_page(timer->data);
}

static void look(struct console *console)
{
    console->looking = true;
    buffer_clear(&console->backlog);
    buffer_clear(&console->overview);
    (void)uv_timer_start(&console->deadline, on_deadline, CONSOLE_PATIENCE_MS, 0);
    if (!console->queue && open_queue(console) < 0) {
        return;
    }
    if (queue_is_ready(console->queue)) {
        ask(console);
    }
}

/* ---- looking */

void console_answer(struct console *console, struct conn *conn)
{
    bool fresh = console->page_at_ms > 0 && uv_now(console->loop) - console->page_at_ms < PAGE_KEPT_MS;
    struct looker *looker = fresh || console->holds.closed ? NULL : calloc(1, sizeof(*looker));
    if (!looker) {
        answer_page(console, conn);
        return;
    }
    looker->conn = conn;
    list_append(&console->lookers, &looker->link);
    conn_set_waiting(conn, looker);
    if (!console->looking) {
        look(console);
    }
}

void console_forget(void *waiting)
{
    struct looker *looker = waiting;
    if (looker) {
        list_remove(&looker->link);
        free(looker);
    }
}

/* ---- opening and closing */

static void put_away(void *object)
{
    struct console *console = object;
    buffer_free(&console->backlog);
    buffer_free(&console->overview);
    buffer_free(&console->page);
    free(console);
}

static void release(void *context)
{
    struct console *console = context;
    holds_release(&console->holds, put_away, console);
}

int console_open(uv_loop_t *loop, const struct console_options *options, struct console **opened)
{
    struct console *console = calloc(1, sizeof(*console));
    if (!console) {
        return -ENOMEM;
    }
    console->options = *options;
    console->loop = loop;
    console->holds.count = 1;
    console->opened_ms = clock_monotonic_ms();
    list_init(&console->lookers);
    (void)uv_timer_init(loop, &console->deadline);
    console->deadline.data = console;
    *opened = console;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void console_close(struct console *console, void (*closed)(void *context), void *context)
{
    holds_close(&console->holds, closed, context);
    if (console->looking) {
        write_page(console);
    }
    uv_close((uv_handle_t *)&console->deadline, on_timer_closed);
    if (console->queue) {
        queue_close(console->queue, release, console);
    }
}
