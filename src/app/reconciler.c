#include "app/reconciler.h"

#include <errno.h>
#include <stdlib.h>

#include "app/reconciliation.h"
#include "base/clock.h"
#include "base/holds.h"
#include "base/log.h"
#include "base/random.h"
#include "base/version.h"
#include "store/watermark.h"

/*
 * Happy path: look (is one due?) → begin a run → keep it ours, at each page → note how far it came → look again.
 *
 * Failure modes: a run that fails leaves the watermark where it was, and another process may try sooner; a watermark
 * that is somebody else's meanwhile ends the run.
 */
#define LOOK_MS 30000       /* how long it takes at most to notice that Redis has lost its data */
#define LEASE_MS 60000      /* for one page, with all its tries */
#define FIRST_LOOK_MS 5000  /* what Stripe is about to deliver anyway comes first */
#define START_REST_MS 60000 /* a fleet that starts needs one run, not one for each process */
#define AWAY_MS 60000       /* shorter absences of Redis are no reason: Stripe tries again by itself */
#define BACKOFF_MS 60000    /* after a run that failed; doubles */
#define DAY_S 86400

struct reconciler {
    struct reconciler_options options;
    uv_loop_t *loop;
    uv_timer_t clock;
    struct fetcher *fetcher;
    struct watermark_call call;      /* to begin, and to note the end */
    struct watermark_call keep_call; /* to go on */
    struct reconciliation *run;      /* NULL: none under way */
    struct text accounts;            /* whose lists are still to be gone through; borrowed from the settings */
    struct text account;             /* whose list is; empty: our own */
    int64_t from;                    /* of all of them */
    int64_t through;                 /* how far all that have ended came */
    int64_t known;       /* how far the last complete run came, seconds since 1970; -1: never heard of one */
    uint64_t rest_ms;    /* of the next look: one that ended this long ago is recent enough */
    uint64_t away_at_ms; /* loop time at which Redis went away; 0: it is there */
    char holder[17];
    bool calling; /* Redis is to answer `call`, */
    bool keeping; /* or `keep_call` */
    bool run_closing;
    bool goes_on;       /* with the next account, once this run is put away */
    bool undelivered;   /* only what Stripe could not deliver */
    unsigned failures;  /* runs in a row */
    struct holds holds; /* while it is being closed: its parts, and what Redis is to answer */
};

/* The steps, in their order. */
static void on_look(uv_timer_t *clock);
static void on_begun(struct watermark_call *call, enum watermark_outcome outcome);
static void start_run(struct reconciler *reconciler);
static void on_page(void *context);
static void on_run_ended(void *context, const struct reconciliation_report *report);
static void on_noted(struct watermark_call *call, enum watermark_outcome outcome);

/* ---- lifetime: what Redis is to answer, and a run, outlast reconciler_close() */

static bool is_closing(const struct reconciler *reconciler)
{
    return reconciler->holds.closed != NULL;
}

static void part_closed(void *context)
{
    struct reconciler *reconciler = context;
    holds_release(&reconciler->holds, free, reconciler);
}

/* A call, whose flag this is, was answered. True: the reconciler is closing, and may be gone. */
static bool answered(struct reconciler *reconciler, bool *pending)
{
    bool closing = is_closing(reconciler);
    *pending = false;
    if (closing) {
        part_closed(reconciler);
    }
    return closing;
}

static void on_run_closed(void *context)
{
    struct reconciler *reconciler = context;
    bool goes_on = reconciler->goes_on;
    reconciler->run = NULL;
    reconciler->run_closing = false;
    reconciler->goes_on = false;
    if (is_closing(reconciler)) {
        part_closed(reconciler);
    } else if (goes_on) {
        reconciler->account = text_trim(text_cut(&reconciler->accounts, ','));
        start_run(reconciler);
    }
}

static void close_run(struct reconciler *reconciler)
{
    if (reconciler->run && !reconciler->run_closing) {
        reconciler->run_closing = true;
        reconciliation_close(reconciler->run, on_run_closed, reconciler);
    }
}

/* ---- when */

static uint64_t every(const struct reconciler *reconciler)
{
    return reconciler->options.settings->reconcile_every_ms;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* A look in `wait_ms`, or soon enough to notice what was lost, and not in step with the other processes. */
static void look_in(struct reconciler *reconciler, uint64_t wait_ms)
{
    uint64_t limited = least(wait_ms, LOOK_MS);
    (void)uv_timer_start(&reconciler->clock, on_look, limited + random_below(limited / 8 + 1), 0);
}

static void look_soon(struct reconciler *reconciler)
{
    look_in(reconciler, least(FIRST_LOOK_MS, every(reconciler) / 10));
}

void reconciler_redis(struct reconciler *reconciler, bool ready)
{
    uint64_t now = uv_now(reconciler->loop);
    if (!ready) {
        reconciler->away_at_ms = reconciler->away_at_ms ? reconciler->away_at_ms : now;
        return;
    }
    uint64_t away_ms = reconciler->away_at_ms ? now - reconciler->away_at_ms : 0;
    reconciler->away_at_ms = 0;
    if (away_ms >= AWAY_MS) {
        reconciler->rest_ms = least(reconciler->rest_ms, away_ms); /* one that ended since then will do */
    }
    if (!reconciler->run && !is_closing(reconciler)) {
        look_soon(reconciler);
    }
}

/* ---- looking */

static void on_look(uv_timer_t *clock)
{
    struct reconciler *reconciler = clock->data;
    if (reconciler->calling || reconciler->run) {
        look_in(reconciler, least(every(reconciler), LOOK_MS)); /* the last one has not ended yet */
        return;
    }
    reconciler->call.callback = on_begun;
    reconciler->calling = watermark_begin(reconciler->options.queue, &reconciler->call, reconciler->holder, LEASE_MS,
                                          reconciler->rest_ms) == 0;
    if (!reconciler->calling) {
        look_in(reconciler, LOOK_MS); /* Redis is away: its return comes first */
    }
}

static int64_t seconds(uint64_t ms)
{
    return (int64_t)(ms / 1000);
}

/* From when on, by what is known; see the header. */
static int64_t beginning(const struct reconciler *reconciler, int64_t through, bool *undelivered)
{
    const struct settings *settings = reconciler->options.settings;
    int64_t now = clock_wall_seconds();
    int64_t from = now - seconds(settings->reconcile_since_ms);
    *undelivered = false;
    if (through >= 0) {
        from = through;
    } else if (reconciler->known >= 0) {
        log_warn("redis does not know any more how far events were compared with Stripe's: it has lost its data, and "
                 "what was finished of late may be done again",
                 LOG_NUMBER("since_s", seconds(settings->reconcile_since_ms)));
        from = reconciler->known < from ? reconciler->known : from;
    } else {
        *undelivered = true;
    }
    int64_t window = seconds(least(settings->dedupe_window_ms, (uint64_t)RECONCILIATION_DAYS * DAY_S * 1000));
    return from < now - window ? now - window : from;
}

static void start_run(struct reconciler *reconciler)
{
    struct reconciliation_options options = {
        .settings = reconciler->options.settings,
        .queue = reconciler->options.queue,
        .fetcher = reconciler->fetcher,
        .account = reconciler->account,
        .from = reconciler->from,
        .undelivered = reconciler->undelivered,
        .on_page = on_page,
        .on_ended = on_run_ended,
        .context = reconciler,
    };
    if (reconciliation_start(reconciler->loop, &options, &reconciler->run) < 0) {
        look_in(reconciler, LOOK_MS);
    }
}

/* Our own list, and then those of the accounts. */
static void begin_run(struct reconciler *reconciler, int64_t through)
{
    reconciler->from = beginning(reconciler, through, &reconciler->undelivered);
    reconciler->through = INT64_MAX;
    reconciler->account = (struct text){0};
    reconciler->accounts = text_of(reconciler->options.settings->reconcile_accounts);
    start_run(reconciler);
}

static void on_begun(struct watermark_call *call, enum watermark_outcome outcome)
{
    struct reconciler *reconciler = CONTAINER_OF(call, struct reconciler, call);
    if (answered(reconciler, &reconciler->calling)) {
        return;
    }
    if (outcome == WATERMARK_OURS) {
        begin_run(reconciler, call->through);
    } else {
        reconciler->rest_ms = outcome == WATERMARK_NOT_NOW ? every(reconciler) : reconciler->rest_ms;
        look_in(reconciler, outcome == WATERMARK_NOT_NOW ? call->wait_ms : LOOK_MS);
    }
    if (outcome != WATERMARK_UNKNOWN && call->through >= 0) {
        reconciler->known = call->through;
        telemetry_set(&reconciler->options.telemetry->reconciled_to, (uint64_t)call->through);
    }
}

/* ---- a run */

static void on_kept(struct watermark_call *call, enum watermark_outcome outcome)
{
    struct reconciler *reconciler = CONTAINER_OF(call, struct reconciler, keep_call);
    if (!answered(reconciler, &reconciler->keeping) && outcome == WATERMARK_NOT_NOW && reconciler->run) {
        close_run(reconciler); /* somebody else's takes its place */
        look_in(reconciler, LOOK_MS);
    }
}

static void on_page(void *context)
{
    struct reconciler *reconciler = context;
    if (!reconciler->keeping) { /* else Redis is slow, and hears of it next time */
        reconciler->keep_call.callback = on_kept;
        reconciler->keeping =
            watermark_keep(reconciler->options.queue, &reconciler->keep_call, reconciler->holder, LEASE_MS) == 0;
    }
}

static void count(struct reconciler *reconciler, const struct reconciliation_report *report)
{
    static const enum telemetry_result results[] = {[RECONCILIATION_COMPLETE] = RESULT_DONE,
                                                    [RECONCILIATION_STRIPE_TRANSIENT] = RESULT_TRANSIENT,
                                                    [RECONCILIATION_STRIPE_PERMANENT] = RESULT_PERMANENT,
                                                    [RECONCILIATION_REDIS] = RESULT_TRANSIENT};
    struct telemetry *telemetry = reconciler->options.telemetry;
    telemetry_add(&telemetry->reconciles[results[report->end]], 1);
    for (size_t i = 0; i < LISTED; i++) {
        telemetry_add(&telemetry->listed[i], report->listed[i]);
    }
}

static void tell(struct text account, const struct reconciliation_report *report)
{
    struct log_field whose = LOG_TEXT("account", account);
    struct log_field received = LOG_NUMBER("received", report->listed[LISTED_RECEIVED]);
    struct log_field early = LOG_NUMBER("early", report->listed[LISTED_EARLY]);
    struct log_field missed = LOG_NUMBER("missed", report->listed[LISTED_MISSED]);
    struct log_field from = LOG_NUMBER("from", report->from);
    struct log_field reason = LOG_STRING("reason", report->fault.reason);
    struct log_field error = LOG_STRING("error", report->fault.error);
    if (report->end == RECONCILIATION_STRIPE_PERMANENT) {
        log_error("Stripe's list of events cannot be compared with what was received", whose, from, reason, error);
    } else if (report->end != RECONCILIATION_COMPLETE) {
        log_warn("Stripe's list of events could not be compared with what was received, and will be later", whose, from,
                 reason, error);
    } else if (report->listed[LISTED_MISSED] > 0) {
        log_warn("events were missed, and are queued now: did Stripe's deliveries fail?", whose, missed, early,
                 received, from);
    } else {
        log_info("Stripe's list of events was compared with what was received", whose, missed, early, received, from);
    }
}

static void back_off(struct reconciler *reconciler, const struct reconciliation_report *report)
{
    unsigned doublings = reconciler->failures < 10 ? reconciler->failures++ : 10;
    bool stays = report->end == RECONCILIATION_STRIPE_PERMANENT;
    uint64_t wait_ms = stays ? every(reconciler) : least(every(reconciler), (uint64_t)BACKOFF_MS << doublings);
    wait_ms = wait_ms > report->retry_after_ms ? wait_ms : report->retry_after_ms;
    (void)uv_timer_start(&reconciler->clock, on_look, wait_ms, 0);
}

static void note(struct reconciler *reconciler, int64_t through)
{
    reconciler->failures = 0;
    reconciler->known = through;
    reconciler->rest_ms = every(reconciler);
    telemetry_set(&reconciler->options.telemetry->reconciled_to, (uint64_t)through);
    reconciler->call.callback = on_noted;
    reconciler->calling = watermark_end(reconciler->options.queue, &reconciler->call, reconciler->holder, through) == 0;
    look_in(reconciler, every(reconciler));
}

static void on_run_ended(void *context, const struct reconciliation_report *report)
{
    struct reconciler *reconciler = context;
    close_run(reconciler);
    count(reconciler, report);
    tell(reconciler->account, report);
    /* An account that is not connected any more must not keep the other lists from getting on. */
    bool passed_over = report->end == RECONCILIATION_STRIPE_PERMANENT && reconciler->account.length > 0;
    if (report->end != RECONCILIATION_COMPLETE && !passed_over) {
        back_off(reconciler, report);
        return;
    }
    reconciler->through = report->through < reconciler->through ? report->through : reconciler->through;
    reconciler->goes_on = reconciler->accounts.data != NULL;
    if (!reconciler->goes_on) {
        note(reconciler, reconciler->through);
    }
}

/* Not noted: the next look finds that one is due, and does it again. */
static void on_noted(struct watermark_call *call, enum watermark_outcome outcome)
{
    struct reconciler *reconciler = CONTAINER_OF(call, struct reconciler, call);
    (void)outcome;
    (void)answered(reconciler, &reconciler->calling);
}

/* ---- opening and closing */

int reconciler_open(uv_loop_t *loop, const struct reconciler_options *options, struct reconciler **opened)
{
    struct reconciler *reconciler = calloc(1, sizeof(*reconciler));
    if (!reconciler) {
        return -ENOMEM;
    }
    struct fetcher_options fetcher_options = {
        .user_agent = version_user_agent(), .ca_file = options->settings->ca_file, .max_concurrent = 1};
    int status = fetcher_create(loop, &fetcher_options, &reconciler->fetcher);
    if (status < 0) {
        free(reconciler);
        return status;
    }
    reconciler->options = *options;
    reconciler->loop = loop;
    reconciler->known = -1;
    reconciler->rest_ms = least(every(reconciler), START_REST_MS);
    random_hex(reconciler->holder, 16);
    (void)uv_timer_init(loop, &reconciler->clock);
    reconciler->clock.data = reconciler;
    *opened = reconciler; /* the queue's first connection starts it */
    return 0;
}

static void on_clock_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void reconciler_close(struct reconciler *reconciler, void (*closed)(void *context), void *context)
{
    holds_close(&reconciler->holds, closed, context);
    reconciler->holds.count = 2u + reconciler->calling + reconciler->keeping + (reconciler->run != NULL);
    close_run(reconciler);
    fetcher_close(reconciler->fetcher, part_closed, reconciler);
    uv_close((uv_handle_t *)&reconciler->clock, on_clock_closed);
}
