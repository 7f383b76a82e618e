#include "cli/errand.h"

#include <stdio.h>

#include "cli/command.h"

static void on_deadline(uv_timer_t *timer)
{
    struct errand *errand = timer->data;
    errand->over = true;
}

static void wind(struct errand *errand, uint64_t milliseconds)
{
    uv_update_time(&errand->loop);
    errand->over = false;
    (void)uv_timer_start(&errand->deadline, on_deadline, milliseconds, 0);
}

static void on_closed(void *context)
{
    (void)context;
}

int errand_fault(const char *error)
{
    if (error && error[0] != '\0') {
        (void)fprintf(stderr, "identihook: Redis refuses: %s\n", error);
    } else {
        (void)fputs("identihook: Redis did not answer: check that it runs, and REDIS_URL\n", stderr);
    }
    return COMMAND_FAILED;
}

int errand_open(struct errand *errand, const struct settings *settings, const char *name)
{
    *errand = (struct errand){.timeout_ms = settings->enqueue_timeout_ms};
    struct queue_options options = {
        .url = &settings->redis,
        .namespace = settings->namespace,
        .name = name,
        .call_timeout_ms = settings->enqueue_timeout_ms,
        .dedupe_window_ms = settings->dedupe_window_ms,
        .history_ms = settings->history_ms,
        .max_calls = 16,
        .max_bytes = 1u << 20,
    };
    if (uv_loop_init(&errand->loop) < 0) {
        (void)fputs("identihook: no event loop can be had: out of memory or files\n", stderr);
        return COMMAND_FAILED;
    }
    (void)uv_timer_init(&errand->loop, &errand->deadline);
    errand->deadline.data = errand;
    if (queue_open(&errand->loop, &options, &errand->queue) < 0) {
        errand->queue = NULL;
        errand_close(errand);
        return COMMAND_FAILED; /* what is amiss was logged */
    }
    wind(errand, errand->timeout_ms);
    while (!queue_is_ready(errand->queue) && !errand->over) {
        (void)uv_run(&errand->loop, UV_RUN_ONCE);
    }
    if (!queue_is_ready(errand->queue)) {
        errand_close(errand);
        return errand_fault("");
    }
    return 0;
}

bool errand_asked(struct errand *errand, int status, const bool *answered)
{
    wind(errand, errand->timeout_ms + 1000); /* the connection itself gives up earlier */
    while (status == 0 && !*answered && !errand->over) {
        (void)uv_run(&errand->loop, UV_RUN_ONCE);
    }
    if (!*answered) {
        (void)errand_fault("");
    }
    return *answered;
}

void errand_sleep(struct errand *errand, uint64_t milliseconds)
{
    wind(errand, milliseconds);
    while (milliseconds > 0 && !errand->over) {
        (void)uv_run(&errand->loop, UV_RUN_ONCE);
    }
}

void errand_close(struct errand *errand)
{
    uv_close((uv_handle_t *)&errand->deadline, NULL);
    if (errand->queue) {
        queue_close(errand->queue, on_closed, NULL);
    }
    (void)uv_run(&errand->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&errand->loop);
}
