#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <uv.h>

#include "app/queue_options.h"
#include "app/reconciliation.h"
#include "base/clock.h"
#include "base/units.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "net/curl_library.h"

#define DAY_MS UINT64_C(86400000)

/* Connect, go through the list once, print, close. Redis gets IDENTIHOOK_ENQUEUE_TIMEOUT to answer. */
struct asking {
    const struct settings *settings;
    uv_loop_t loop;
    uv_timer_t deadline;
    struct queue *queue;
    struct fetcher *fetcher;
    struct reconciliation *run;
    struct reconciliation_options options;
    bool json;
    bool first; /* nothing was printed yet */
    struct buffer out;
    int status;
};

static void on_closed(void *context)
{
    (void)context;
}

static void close_all(struct asking *asking)
{
    uv_close((uv_handle_t *)&asking->deadline, NULL);
    fetcher_close(asking->fetcher, on_closed, NULL);
    queue_close(asking->queue, on_closed, NULL);
}

static void on_run_closed(void *context)
{
    close_all(context);
}

/* ---- printing */

static void print_line(struct asking *asking, const struct event *event)
{
    char time[32] = "";
    time_t created = (time_t)event->created;
    struct tm parts;
    if (gmtime_r(&created, &parts)) {
        (void)strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    printf("%.*s %s %.*s %s %s\n", TEXT_ARGUMENTS(event->id), event_kind_name(event->kind),
           TEXT_ARGUMENTS(event->session), time, asking->options.dry_run ? "would be queued" : "queued");
}

static void append_json(struct asking *asking, const struct event *event, bool early)
{
    buffer_append_format(&asking->out,
                         "%s{\"event\":\"%.*s\",\"type\":\"%.*s\",\"session\":\"%.*s\",\"account\":\"%.*s\","
                         "\"livemode\":%s,\"created\":%" PRId64 ",\"early\":%s}",
                         asking->first ? "" : ",", TEXT_ARGUMENTS(event->id), TEXT_ARGUMENTS(event->type),
                         TEXT_ARGUMENTS(event->session), TEXT_ARGUMENTS(event->account),
                         event->livemode ? "true" : "false", event->created, early ? "true" : "false");
    asking->first = false;
}

static void on_event(void *context, const struct event *event, enum telemetry_listed found)
{
    struct asking *asking = context;
    if (found != LISTED_EARLY && found != LISTED_MISSED) {
        return;
    }
    if (asking->json) {
        append_json(asking, event, found == LISTED_EARLY);
    } else {
        print_line(asking, event);
    }
}

static void print_end(struct asking *asking, const struct reconciliation_report *report)
{
    const uint64_t *listed = report->listed;
    if (asking->json) {
        buffer_append_format(
            &asking->out,
            "],\"dry_run\":%s,\"complete\":%s,\"from\":%" PRId64 ",\"received\":%" PRIu64 ",\"missed\":%" PRIu64
            ",\"early\":%" PRIu64 ",\"unwanted\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}\n",
            asking->options.dry_run ? "true" : "false", report->end == RECONCILIATION_COMPLETE ? "true" : "false",
            report->from, listed[LISTED_RECEIVED], listed[LISTED_MISSED], listed[LISTED_EARLY], listed[LISTED_UNWANTED],
            listed[LISTED_UNREADABLE]);
        (void)fwrite(asking->out.data, 1, asking->out.length, stdout);
        return;
    }
    printf("%" PRIu64 " received before, %" PRIu64 " missed, %" PRIu64 " not delivered yet, %" PRIu64
           " not selected, %" PRIu64 " unreadable%s\n",
           listed[LISTED_RECEIVED], listed[LISTED_MISSED], listed[LISTED_EARLY], listed[LISTED_UNWANTED],
           listed[LISTED_UNREADABLE], asking->options.dry_run ? "; nothing was queued: this was a dry run" : "");
}

static void on_ended(void *context, const struct reconciliation_report *report)
{
    struct asking *asking = context;
    print_end(asking, report);
    if (report->end == RECONCILIATION_COMPLETE) {
        asking->status = COMMAND_DONE;
    } else {
        (void)fprintf(stderr, "identihook: not all of it could be compared: %s\n", report->fault.error);
    }
    reconciliation_close(asking->run, on_run_closed, asking);
}

/* ---- asking */

static void on_state(void *context, bool ready)
{
    struct asking *asking = context;
    if (!ready || asking->run) {
        return; /* what is lost meanwhile ends the run */
    }
    (void)uv_timer_stop(&asking->deadline);
    if (reconciliation_start(&asking->loop, &asking->options, &asking->run) < 0) {
        (void)fputs("identihook: out of memory\n", stderr);
        close_all(asking);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct asking *asking = timer->data;
    (void)fputs("identihook: Redis did not answer: check that it runs, and REDIS_URL\n", stderr);
    close_all(asking);
}

static int open_parts(struct asking *asking)
{
    struct fetcher_options fetcher_options = {
        .user_agent = version_user_agent(), .ca_file = asking->settings->ca_file, .max_concurrent = 1};
    struct queue_options queue_options = queue_options_of(asking->settings, "identihook-reconcile");
    queue_options.max_bytes = 64u << 20;
    queue_options.on_state = on_state;
    queue_options.context = asking;
    int status = fetcher_create(&asking->loop, &fetcher_options, &asking->fetcher);
    if (status < 0) {
        return status;
    }
    status = queue_open(&asking->loop, &queue_options, &asking->queue);
    if (status < 0) {
        fetcher_close(asking->fetcher, on_closed, NULL);
    }
    return status;
}

static int ask(struct asking *asking)
{
    if (uv_loop_init(&asking->loop) < 0) {
        return COMMAND_FAILED;
    }
    (void)uv_timer_init(&asking->loop, &asking->deadline);
    asking->deadline.data = asking;
    (void)uv_timer_start(&asking->deadline, on_deadline, asking->settings->enqueue_timeout_ms, 0);
    if (asking->json) {
        buffer_append_string(&asking->out, "{\"events\":[");
    }
    if (open_parts(asking) == 0) {
        asking->options.queue = asking->queue;
        asking->options.fetcher = asking->fetcher;
    } else {
        uv_close((uv_handle_t *)&asking->deadline, NULL);
    }
    (void)uv_run(&asking->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&asking->loop);
    buffer_free(&asking->out);
    return asking->status;
}

static int ask_with_curl(struct asking *asking)
{
    struct buffer fault = {0};
    int status = COMMAND_FAILED;
    if (curl_library_open(&fault) == 0) {
        status = ask(asking);
        curl_library_close();
    } else {
        (void)fprintf(stderr, "identihook: Stripe cannot be asked: %s\n", fault.data ? fault.data : "out of memory");
    }
    buffer_free(&fault);
    return status;
}

static int check_since(const struct arguments *arguments, const struct settings *settings, uint64_t *since_ms)
{
    const char *text = arguments_value(arguments, "since");
    *since_ms = settings->reconcile_since_ms;
    if (text && (units_parse_duration(text_of(text), since_ms) != 0 || *since_ms == 0)) {
        return arguments_fault(arguments, "--since takes a duration like 24h or 7d, not '%s'", text);
    }
    if (*since_ms > RECONCILIATION_DAYS * DAY_MS) {
        return arguments_fault(arguments, "--since is at most %dd: Stripe keeps events for that long",
                               RECONCILIATION_DAYS);
    }
    if (*since_ms > settings->dedupe_window_ms) {
        return arguments_fault(
            arguments, "--since is longer than IDENTIHOOK_DEDUPE_WINDOW: what was done before could not be told "
                       "any more, and would be done again");
    }
    return 0;
}

static int reconcile(const struct arguments *arguments)
{
    struct settings settings;
    uint64_t since_ms;
    const char *account = arguments_value(arguments, "account");
    int status = configuration_load(&settings, SETTINGS_FOR_WORK, arguments->env_file);
    status = status == 0 ? check_since(arguments, &settings, &since_ms) : status;
    if (status == 0) {
        struct asking asking = {
            .settings = &settings,
            .json = arguments_value(arguments, "json") != NULL,
            .first = true,
            .status = COMMAND_FAILED,
        };
        asking.options = (struct reconciliation_options){
            .settings = &settings,
            .account = text_of(account),
            .from = clock_wall_seconds() - (int64_t)(since_ms / 1000),
            .dry_run = arguments_value(arguments, "dry-run") != NULL,
            .on_event = on_event,
            .on_ended = on_ended,
            .context = &asking,
        };
        status = ask_with_curl(&asking);
    }
    settings_free(&settings);
    return status;
}

static bool is_account(struct text id)
{
    bool fine = text_starts_with(id, TEXT("acct_")) && id.length > 5 && id.length <= EVENT_ID_MAXIMUM;
    for (size_t i = 5; fine && i < id.length; i++) {
        char byte = id.data[i];
        fine = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    }
    return fine;
}

int reconcile_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "since", .value_name = "DURATION", .help = "how far back, at most 30d; IDENTIHOOK_RECONCILE_SINCE"},
        {.name = "dry-run", .help = "queue nothing, only show what would be"},
        {.name = "account", .value_name = "ID", .help = "the events of this connected account (acct_…), not our own"},
        {.name = "json", .help = "as one JSON object"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook reconcile [--since 24h] [--dry-run] [--account ID] [--json]",
        .description =
            "Asks Stripe which events there were, and queues those that were never received: of the kinds in\n"
            "IDENTIHOOK_EVENTS and the modes in IDENTIHOOK_LIVEMODE. What was received before is left alone. Workers "
            "do\n"
            "the same by themselves, every IDENTIHOOK_RECONCILE_EVERY. The API key needs Read on Events.\n"
            "Prints a line for each event that was queued, and a sum; exits 1 unless all of it could be compared.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    const char *account = arguments_value(&arguments, "account");
    if (account && !is_account(text_of(account))) {
        return arguments_fault(&arguments, "--account takes an account's id, acct_ and letters and digits, not '%s'",
                               account);
    }
    return reconcile(&arguments);
}
