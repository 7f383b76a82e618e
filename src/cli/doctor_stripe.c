#include <inttypes.h>

#include "base/clock.h"
#include "cli/doctor.h"
#include "net/fetch.h"
#include "net/http.h"
#include "stripe/api.h"
#include "stripe/session.h"

#define CLOCK_WARNING_S 10

struct reading {
    struct examination *examination;
    enum api_subject subject;
    bool answered;
    bool fine;
};

/* ---- the answer */

/* Stripe's clock is the one that signatures are dated by. */
static void check_clock(struct examination *examination, struct text date)
{
    int64_t tolerance = (int64_t)(examination->settings->signature_tolerance_ms / 1000);
    int64_t stripe;
    if (http_date_read(date, &stripe) < 0) {
        examination_tell(examination, HEALTH_SKIPPED, "clock", "", "Stripe's answer has no date to compare with");
        return;
    }
    int64_t ahead = clock_wall_seconds() - stripe;
    int64_t off = ahead < 0 ? -ahead : ahead;
    const char *side = ahead < 0 ? "behind" : "ahead of";
    if (off > tolerance) {
        examination_tell(examination, HEALTH_BROKEN, "clock", "synchronise this machine's clock (NTP)",
                         "%" PRId64 " s %s Stripe's: every signature is refused", off, side);
    } else if (off > CLOCK_WARNING_S) {
        examination_tell(examination, HEALTH_WARNING, "clock", "synchronise this machine's clock (NTP)",
                         "%" PRId64 " s %s Stripe's; signatures may be %" PRId64 " s old", off, side, tolerance);
    } else {
        examination_tell(examination, HEALTH_OK, "clock", "", "agrees with Stripe's");
    }
}

static void tell_session(struct examination *examination, const struct fetch_result *result,
                         const struct api_verdict *verdict)
{
    if (verdict->outcome == API_OK) {
        examination_tell(examination, HEALTH_OK, "stripe", "", "the key may read verification sessions, in %s mode",
                         api_key_is_live(secret_reveal(&examination->settings->stripe_key)) ? "live" : "test");
    } else if (result->status == 0) {
        examination_tell(examination, HEALTH_BROKEN, "stripe", "check the network, STRIPE_API_BASE and certificates",
                         "%s cannot be asked: %s", examination->settings->stripe_api_base, result->fault_text);
    } else if (result->status == 404) {
        /* What the verdict says is about one session; the list is always there. */
        examination_tell(examination, HEALTH_BROKEN, "stripe", "check STRIPE_API_BASE",
                         "404: there is no list of verification sessions at %s, so that this is not Stripe's API",
                         examination->settings->stripe_api_base);
    } else {
        examination_tell(examination, HEALTH_BROKEN, "stripe", "", "%d: %s", result->status, verdict->error);
    }
    if (result->date.length > 0) {
        check_clock(examination, result->date);
    }
}

/* Without the list everything goes on, but for what never came. */
static void tell_events(struct examination *examination, const struct api_verdict *verdict)
{
    if (verdict->outcome == API_OK) {
        examination_tell(examination, HEALTH_OK, "stripe events", "",
                         "the key may list events, so that what never came can be found");
    } else {
        examination_tell(examination, HEALTH_WARNING, "stripe events", "", "what never came cannot be found: %s",
                         verdict->error);
    }
}

static void on_read(void *context, const struct fetch_result *result)
{
    struct reading *reading = context;
    struct examination *examination = reading->examination;
    bool live = api_key_is_live(secret_reveal(&examination->settings->stripe_key));
    struct api_reply reply = {
        .subject = reading->subject,
        .key_is_live = live,
        .event_is_live = live,
        .status = result->status,
        .timed_out = result->fault == FETCH_TIMEOUT,
        .request_id = result->request_id,
        .rate_limit_reason = result->rate_limit_reason,
        .body = result->body,
    };
    struct api_verdict verdict;
    reading->answered = true;
    api_judge(&reply, &verdict);
    reading->fine = verdict.outcome == API_OK;
    if (reading->subject == API_SESSION) {
        tell_session(examination, result, &verdict);
    } else {
        tell_events(examination, &verdict);
    }
}

/* ---- asking */

static void on_closed(void *context)
{
    *(bool *)context = true;
}

/* One read of each kind that workers make. */
static void write_url(const struct settings *settings, enum api_subject subject, struct buffer *url)
{
    if (subject == API_SESSION) {
        buffer_append_format(url, "%s/v1/identity/verification_sessions?limit=1", settings->stripe_api_base);
    } else {
        struct api_events_query query = {.kinds = settings->events, .created_from = clock_wall_seconds()};
        api_events_url(text_of(settings->stripe_api_base), &query, url);
    }
}

/* True: the key may. */
static bool ask(struct examination *examination, struct fetcher *fetcher, enum api_subject subject)
{
    const struct settings *settings = examination->settings;
    struct reading reading = {.examination = examination, .subject = subject};
    struct buffer url = {0};
    struct buffer version = {0};
    struct fetch *fetch;
    write_url(settings, subject, &url);
    buffer_append_format(&version, "Stripe-Version: %s", settings->stripe_api_version);
    struct fetch_request request = {
        .url = url.data,
        .bearer = secret_reveal(&settings->stripe_key).data,
        .headers = {version.data},
        .timeout_ms = settings->stripe_timeout_ms,
        .max_response = 1u << 20,
    };
    bool started = buffer_status(&url) == 0 && buffer_status(&version) == 0 &&
                   fetch_start(fetcher, &request, on_read, &reading, &fetch) == 0;
    if (!started || !errand_await(&examination->errand, settings->stripe_timeout_ms + 1000, &reading.answered)) {
        examination_tell(examination, HEALTH_BROKEN, "stripe", "check STRIPE_API_BASE", "it cannot be asked");
    }
    buffer_free(&url);
    buffer_free(&version);
    return reading.fine;
}

static void check_access(struct examination *examination)
{
    struct fetcher_options options = {
        .user_agent = "identihook-doctor", .ca_file = examination->settings->ca_file, .max_concurrent = 1};
    struct fetcher *fetcher;
    bool closed = false;
    if (fetcher_create(&examination->errand.loop, &options, &fetcher) < 0) {
        return;
    }
    if (ask(examination, fetcher, API_SESSION) && examination->settings->reconcile_every_ms > 0) {
        (void)ask(examination, fetcher, API_EVENTS);
    }
    fetcher_close(fetcher, on_closed, &closed);
    (void)errand_await(&examination->errand, 1000, &closed);
}

/* ---- the key, by its form */

static void check_mode(struct examination *examination, bool live)
{
    enum livemode_filter filter = examination->settings->livemode;
    bool fits = filter == LIVEMODE_ANY || (filter == LIVEMODE_LIVE) == live;
    if (!fits) {
        examination_tell(examination, HEALTH_BROKEN, "stripe mode",
                         "give the key of that mode, or change IDENTIHOOK_LIVEMODE",
                         "the key is of %s mode, and IDENTIHOOK_LIVEMODE takes events of %s mode only",
                         live ? "live" : "test", live ? "test" : "live");
    } else if (filter == LIVEMODE_ANY) {
        examination_tell(examination, HEALTH_OK, "stripe mode", "",
                         "the key is of %s mode; IDENTIHOOK_LIVEMODE=%s would refuse events of the other at the door",
                         live ? "live" : "test", live ? "live" : "test");
    } else {
        examination_tell(examination, HEALTH_OK, "stripe mode", "", "%s, as IDENTIHOOK_LIVEMODE wants it",
                         live ? "live" : "test");
    }
}

static void check_kind(struct examination *examination, struct text key)
{
    bool sensitive = session_has_sensitive(examination->settings->verified_outputs);
    if (text_starts_with(key, TEXT("rk_"))) {
        examination_tell(examination, HEALTH_OK, "stripe key", "", "restricted, as it should be");
    } else if (sensitive) {
        examination_tell(examination, HEALTH_BROKEN, "stripe key",
                         "make a restricted key with access to sensitive verification results",
                         "IDENTIHOOK_VERIFIED_OUTPUTS names what a secret key may not read");
    } else {
        examination_tell(examination, HEALTH_WARNING, "stripe key",
                         "make a restricted key (rk_…) that may only read verification sessions",
                         "a secret key may do everything in your account");
    }
}

void doctor_check_stripe(struct examination *examination)
{
    const struct secret *key = &examination->settings->stripe_key;
    if (!secret_is_set(key)) {
        examination_tell(examination, examination->works ? HEALTH_BROKEN : HEALTH_SKIPPED, "stripe",
                         examination->works ? "set STRIPE_SECRET_KEY to a restricted key (rk_…)" : "",
                         "STRIPE_SECRET_KEY is not set");
        return;
    }
    check_kind(examination, secret_reveal(key));
    check_mode(examination, api_key_is_live(secret_reveal(key)));
    check_access(examination);
}
