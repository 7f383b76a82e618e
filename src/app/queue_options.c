#include "app/queue_options.h"

struct queue_options queue_options_of(const struct settings *settings, const char *name)
{
    return (struct queue_options){
        .url = &settings->redis,
        .namespace = settings->namespace,
        .name = name,
        .call_timeout_ms = settings->enqueue_timeout_ms,
        .check_every_ms = settings->redis_check_every_ms,
        .dedupe_window_ms = settings->dedupe_window_ms,
        .history_ms = settings->history_ms,
        .max_calls = 16,
        .max_bytes = 1u << 20,
    };
}
