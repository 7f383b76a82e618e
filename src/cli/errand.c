#include "cli/errand.h"

#include <stdio.h>

#include "app/queue_options.h"
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

int errand_begin(struct errand *errand, uint64_t timeout_ms)
{
    *errand = (struct errand){.timeout_ms = timeout_ms};
    int status = uv_loop_init(&errand->loop);
    if (status == 0) {
        (void)uv_timer_init(&errand->loop, &errand->deadline);
        errand->deadline.data = errand;
    }
    return status;
}

bool errand_connect(struct errand *errand, const struct settings *settings, const char *name)
{
    struct queue_options options = queue_options_of(settings, name);
    if (queue_open(&errand->loop, &options, &errand->queue) < 0) {
        errand->queue = NULL; /* what is amiss was logged */
        return false;
    }
    wind(errand, errand->timeout_ms);
    while (!queue_is_ready(errand->queue) && !errand->over) {
        (void)uv_run(&errand->loop, UV_RUN_ONCE);
    }
    return queue_is_ready(errand->queue);
}

const char *errand_trouble(const struct errand *errand)
{
    enum redis_trouble trouble = errand->queue ? queue_trouble(errand->queue) : REDIS_AWAY;
    return redis_trouble_advice(trouble == REDIS_FINE ? REDIS_AWAY : trouble);
}

int errand_open(struct errand *errand, const struct settings *settings, const char *name)
{
    if (settings->log_level == LOG_INFO) {
        log_configure(settings->log_format, LOG_ERROR); /* what a server reports is no message of a command */
    }
    if (errand_begin(errand, settings->enqueue_timeout_ms) < 0) {
        (void)fputs("identihook: no event loop can be had: out of memory or files\n", stderr);
        return COMMAND_FAILED;
    }
    if (!errand_connect(errand, settings, name)) {
        (void)fprintf(stderr, "identihook: Redis did not answer: %s\n", errand_trouble(errand));
        errand_close(errand);
        return COMMAND_FAILED;
    }
    return 0;
}

bool errand_await(struct errand *errand, uint64_t timeout_ms, const bool *answered)
{
    wind(errand, timeout_ms);
    while (!*answered && !errand->over) {
        (void)uv_run(&errand->loop, UV_RUN_ONCE);
    }
    return *answered;
}

bool errand_asked(struct errand *errand, int status, const bool *answered)
{
    /* The connection itself gives up earlier. */
    bool fine = status == 0 && errand_await(errand, errand->timeout_ms + 1000, answered);
    if (!fine) {
        (void)errand_fault("");
    }
    return fine;
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
