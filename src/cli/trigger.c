#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/clock.h"
#include "base/random.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "net/curl_library.h"
#include "net/fetch.h"
#include "stripe/sample.h"
#include "stripe/signature.h"

#define CONCURRENT_MAXIMUM 16
#define TIMEOUT_MS 30000
#define URL_SIZE 512

/* A run of sample events: one loop, up to CONCURRENT_MAXIMUM requests under way. */
struct run {
    const struct settings *settings;
    struct sample_options sample;
    const char *url;
    struct signature_keys *keys;
    uv_loop_t loop;
    uv_timer_t pace;
    struct fetcher *fetcher;
    int64_t count;
    int64_t started;
    int64_t ended;
    int64_t failed;
    int64_t under_way;
    uint64_t interval_ms; /* between two starts; 0: as fast as answers come */
};

struct shot {
    struct run *run;
    char event[64];
};

static void go_on(struct run *run);

static void on_nothing(void *context)
{
    (void)context;
}

static void on_answer(void *context, const struct fetch_result *result)
{
    struct shot *shot = context;
    struct run *run = shot->run;
    bool accepted = result->fault == FETCH_FINE && result->status == 200;
    if (result->fault == FETCH_FINE) {
        printf("%s %d %.*s\n", shot->event, result->status, TEXT_ARGUMENTS(result->body));
    } else {
        printf("%s failed: %s\n", shot->event, result->fault_text);
    }
    run->failed += !accepted;
    run->ended++;
    run->under_way--;
    free(shot);
    go_on(run);
}

static int post(struct run *run, struct text body, struct shot *shot)
{
    struct buffer header = {0};
    struct fetch *fetch;
    buffer_append_string(&header, "Stripe-Signature: ");
    signature_sign(run->keys, 0, clock_wall_seconds(), body, &header);
    struct fetch_request request = {
        .url = run->url,
        .body = body,
        .headers = {"Content-Type: application/json; charset=utf-8", header.data},
        .timeout_ms = TIMEOUT_MS,
        .max_response = 65536,
    };
    int status = buffer_status(&header);
    if (status == 0) {
        status = fetch_start(run->fetcher, &request, on_answer, shot, &fetch);
    }
    buffer_free(&header);
    return status;
}

static void shoot(struct run *run)
{
    char nonce[17];
    struct buffer body = {0};
    struct shot *shot = calloc(1, sizeof(*shot));
    random_identifier(nonce, 16);
    struct sample_options sample = run->sample;
    sample.nonce = nonce;
    sample.now = clock_wall_seconds();
    run->started++;
    int status = shot ? sample_event(&sample, &body, shot->event) : -ENOMEM;
    if (status == 0) {
        shot->run = run;
        status = post(run, buffer_text(&body), shot);
    }
    buffer_free(&body);
    if (status < 0) {
        (void)fprintf(stderr, "identihook: a sample could not be sent: %s\n", strerror(-status));
        free(shot);
        run->failed++;
        run->ended++;
    } else {
        run->under_way++;
    }
}

static void on_pace(uv_timer_t *timer)
{
    struct run *run = timer->data;
    if (run->started < run->count) {
        shoot(run);
    }
    go_on(run);
}

/* Starts what may start, and ends the loop when all is done. */
static void go_on(struct run *run)
{
    while (run->interval_ms == 0 && run->started < run->count && run->under_way < CONCURRENT_MAXIMUM) {
        shoot(run);
    }
    if (run->started == run->count) {
        (void)uv_timer_stop(&run->pace);
    }
    if (run->ended == run->count && !uv_is_closing((uv_handle_t *)&run->pace)) {
        uv_close((uv_handle_t *)&run->pace, NULL);
        fetcher_close(run->fetcher, on_nothing, NULL);
    }
}

static int fire(struct run *run, int64_t rate)
{
    struct fetcher_options options = {.user_agent = "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
                                      .ca_file = run->settings->ca_file,
                                      .max_concurrent = CONCURRENT_MAXIMUM};
    struct text secret = secret_reveal(&run->settings->webhook_secrets[0].value);
    if (uv_loop_init(&run->loop) < 0) {
        return COMMAND_FAILED;
    }
    (void)uv_timer_init(&run->loop, &run->pace);
    run->pace.data = run;
    if (signature_keys_create(&secret, 1, &run->keys) < 0 || fetcher_create(&run->loop, &options, &run->fetcher) < 0) {
        (void)fputs("identihook: out of memory\n", stderr);
        return COMMAND_FAILED;
    }
    run->interval_ms = rate > 0 ? (uint64_t)(1000 / rate) : 0;
    if (run->interval_ms > 0) {
        (void)uv_timer_start(&run->pace, on_pace, 0, run->interval_ms);
    } else {
        go_on(run);
    }
    (void)uv_run(&run->loop, UV_RUN_DEFAULT);
    signature_keys_free(run->keys);
    (void)uv_loop_close(&run->loop);
    return run->failed == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

static int fire_with_curl(struct run *run, int64_t rate)
{
    struct buffer fault = {0};
    int status = COMMAND_USAGE;
    if (curl_library_open(&fault) == 0) {
        status = fire(run, rate);
        curl_library_close();
    } else {
        (void)fprintf(stderr, "identihook: %s\n", fault.data ? fault.data : "out of memory");
    }
    buffer_free(&fault);
    return status;
}

/* Where this configuration's own listener is. */
static void default_url(const struct settings *settings, char url[URL_SIZE])
{
    const char *host = settings->listen.host;
    bool any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    bool bracketed = !any && strchr(host, ':');
    (void)snprintf(url, URL_SIZE, "%s://%s%s%s:%u%s", settings->tls_certificate ? "https" : "http",
                   bracketed ? "[" : "", any ? "127.0.0.1" : host, bracketed ? "]" : "",
                   (unsigned)settings->listen.port, settings->webhook_path);
}

static int trigger(const struct arguments *arguments, enum event_kind kind)
{
    struct settings settings;
    char url[URL_SIZE];
    int64_t count;
    int64_t rate;
    const char *session = arguments_value(arguments, "session");
    if (arguments_number(arguments, "count", 1, 10000000, 1, &count) < 0 ||
        arguments_number(arguments, "rate", 1, 1000, 0, &rate) < 0) {
        return COMMAND_USAGE;
    }
    if (session && !event_is_session_id(text_of(session))) {
        return arguments_fault(
            arguments, "--session takes a session's id, vs_ and letters, digits, '_' and '-', not '%s'", session);
    }
    int status = configuration_load(&settings, SETTINGS_FOR_INGEST, arguments->env_file);
    if (status == 0) {
        default_url(&settings, url);
        struct run run = {
            .settings = &settings,
            .sample = {.kind = kind,
                       .session = session,
                       .livemode = arguments_value(arguments, "livemode") != NULL,
                       .error_code = arguments_value(arguments, "error-code")},
            .url = arguments_value(arguments, "url") ? arguments_value(arguments, "url") : url,
            .count = count,
        };
        status = fire_with_curl(&run, rate);
    }
    settings_free(&settings);
    return status;
}

int trigger_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "url",
         .value_name = "URL",
         .help = "where to; by default this configuration's own listener on this machine"},
        {.name = "session", .value_name = "ID", .help = "the session that the event is about; by default a fresh one"},
        {.name = "error-code",
         .value_name = "CODE",
         .help = "last_error.code of a requires_input event; document_expired"},
        {.name = "livemode", .help = "a live mode event; by default test mode"},
        {.name = "count", .value_name = "N", .help = "how many; 1"},
        {.name = "rate", .value_name = "N", .help = "how many a second, 1 to 1000; by default as fast as answers come"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook trigger TYPE [--url URL] [--session ID] [--count N] [--rate N]",
        .description =
            "Makes sample events, signs them with the first secret in STRIPE_WEBHOOK_SECRET, and posts them.\n"
            "TYPE: verified, requires_input, processing, canceled, created, redacted, or the full event name.\n"
            "Needs no connection to Stripe. Prints a line for each event; exits 1 unless all were answered 200.",
        .options = options,
        .positional_maximum = 1,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (arguments.positional_count == 0) {
        return arguments_fault(&arguments, "TYPE is missing");
    }
    enum event_kind kind = event_kind_of(text_of(arguments.positional[0]));
    if (kind == EVENT_OTHER) {
        return arguments_fault(&arguments, "there is no event type '%s'", arguments.positional[0]);
    }
    return trigger(&arguments, kind);
}
