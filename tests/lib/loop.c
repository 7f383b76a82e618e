#include "loop.h"

#include <check.h>

#define PATIENCE_NS UINT64_C(20000000000)

uv_loop_t loop;
static uv_timer_t timer;
static uint64_t end_ns;

static void on_timer(uv_timer_t *ringing)
{
    (void)ringing;
    ck_assert_msg(uv_hrtime() < end_ns, "what was awaited did not come");
}

/* Often, because uv_run() of libuv before 1.45 goes on waiting when a timer was what was awaited. */
void loop_expect(void)
{
    end_ns = uv_hrtime() + PATIENCE_NS;
    (void)uv_timer_start(&timer, on_timer, 5, 5);
}

void loop_relax(void)
{
    (void)uv_timer_stop(&timer);
}

void loop_on_closed(void *context)
{
    *(bool *)context = true;
}

void loop_open(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    (void)uv_timer_init(&loop, &timer);
}

void loop_close(void)
{
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
