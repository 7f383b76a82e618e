#include <inttypes.h>
#include <stdio.h>

#include <uv.h>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "store/backlog.h"
#include "store/queue.h"

/* Connect, ask once, print, close; the deadline is IDENTIHOOK_ENQUEUE_TIMEOUT. */
struct asking {
    uv_timer_t deadline;
    struct queue *queue;
    struct backlog_call call;
    bool asked;
    bool json;
    int status;
};

static void on_closed(void *context)
{
    (void)context;
}

static void end(struct asking *asking)
{
    uv_close((uv_handle_t *)&asking->deadline, NULL);
    queue_close(asking->queue, on_closed, NULL);
}

/* ---- printing */

static void print_age(const char *label, int64_t age_ms)
{
    if (age_ms >= 0) {
        printf("  %s %" PRId64 ".%01d s", label, age_ms / 1000, (int)(age_ms % 1000 / 100));
    }
}

static void print_count(int64_t count)
{
    if (count < 0) {
        printf("%8s", "some");
    } else {
        printf("%8" PRId64, count);
    }
}

static void print_text(const struct backlog *backlog)
{
    printf("events in the stream %8" PRId64 "\n", backlog->stream_length);
    printf("waiting for a retry  %8" PRId64, backlog->retrying);
    print_age("next in", backlog->next_retry_ms);
    printf("\ndead letters         %8" PRId64 "\n", backlog->dead);
    if (backlog->group_count == 0) {
        printf("no consumer group yet: no worker has started\n");
    }
    for (size_t i = 0; i < backlog->group_count; i++) {
        const struct backlog_group *group = &backlog->groups[i];
        printf("group %s, %" PRId64 " consumers\n  unread             ", group->name, group->consumers);
        print_count(group->unread);
        print_age("oldest", group->oldest_unread_ms);
        printf("\n  in process         ");
        print_count(group->pending);
        print_age("oldest", group->oldest_pending_ms);
        printf("\n");
    }
}

static void print_json(const struct backlog *backlog)
{
    struct buffer out = {0};
    buffer_append_format(&out,
                         "{\"events\":%" PRId64 ",\"retrying\":%" PRId64 ",\"next_retry_ms\":%" PRId64
                         ",\"dead\":%" PRId64 ",\"groups\":[",
                         backlog->stream_length, backlog->retrying, backlog->next_retry_ms, backlog->dead);
    for (size_t i = 0; i < backlog->group_count; i++) {
        const struct backlog_group *group = &backlog->groups[i];
        buffer_append_string(&out, i > 0 ? ",{\"name\":\"" : "{\"name\":\"");
        buffer_append_json(&out, text_of(group->name));
        buffer_append_format(&out,
                             "\",\"consumers\":%" PRId64 ",\"unread\":%" PRId64 ",\"oldest_unread_ms\":%" PRId64
                             ",\"pending\":%" PRId64 ",\"oldest_pending_ms\":%" PRId64 "}",
                             group->consumers, group->unread, group->oldest_unread_ms, group->pending,
                             group->oldest_pending_ms);
    }
    buffer_append_string(&out, "]}\n");
    (void)fwrite(out.data, 1, out.length, stdout);
    buffer_free(&out);
}

/* ---- asking */

static void on_backlog(struct backlog_call *call, const struct backlog *backlog)
{
    struct asking *asking = CONTAINER_OF(call, struct asking, call);
    if (backlog) {
        asking->status = COMMAND_DONE;
        if (asking->json) {
            print_json(backlog);
        } else {
            print_text(backlog);
        }
        end(asking);
    }
    /* else the connection was lost: the deadline ends it */
}

static void on_state(void *context, bool ready)
{
    struct asking *asking = context;
    if (ready && !asking->asked) {
        asking->call.callback = on_backlog;
        asking->asked = backlog_read(asking->queue, &asking->call) == 0;
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct asking *asking = timer->data;
    (void)fputs("identihook: Redis did not answer: check that it runs, and REDIS_URL\n", stderr);
    end(asking);
}

static int ask(const struct settings *settings, bool json)
{
    uv_loop_t loop;
    struct asking asking = {.json = json, .status = COMMAND_FAILED};
    struct queue_options options = {
        .url = &settings->redis,
        .namespace = settings->namespace,
        .name = "identihook-status",
        .call_timeout_ms = settings->enqueue_timeout_ms,
        .dedupe_window_ms = settings->dedupe_window_ms,
        .history_ms = settings->history_ms,
        .max_calls = 16,
        .max_bytes = 1u << 20,
        .on_state = on_state,
        .context = &asking,
    };
    if (uv_loop_init(&loop) < 0) {
        return COMMAND_FAILED;
    }
    (void)uv_timer_init(&loop, &asking.deadline);
    asking.deadline.data = &asking;
    (void)uv_timer_start(&asking.deadline, on_deadline, settings->enqueue_timeout_ms, 0);
    if (queue_open(&loop, &options, &asking.queue) < 0) {
        uv_close((uv_handle_t *)&asking.deadline, NULL);
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    return asking.status;
}

int status_run(int argc, char **argv)
{
    struct argument options[] = {{.name = "json", .help = "as one JSON object; ages are in ms, -1 is none"},
                                 {.name = NULL}};
    struct arguments arguments = {
        .usage = "identihook status [--json]",
        .description =
            "Shows how much is waiting where: unread, in process, to be tried again, dead; and how old the oldest is.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    struct settings settings;
    status = configuration_load(&settings, 0, arguments.env_file);
    if (status == 0) {
        status = ask(&settings, arguments_value(&arguments, "json") != NULL);
    }
    settings_free(&settings);
    return status;
}
