#include "app/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "app/database.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/version.h"
#include "worker_private.h"

#define READ_MAXIMUM 64 /* entries of one read: their bodies come along */
#define DUE_INTERVAL_MS 1000
#define STOP_INTERVAL_MS 200
/* Silent owners are looked for this often in IDENTIHOOK_CLAIM_AFTER, and found a check early: taken over within it,
 * that is. */
#define CLAIM_CHECKS 8
#define STALL_INTERVAL_MS 100

static void on_tick(uv_timer_t *timer);
static void surrender(struct worker *worker);
static void close_parts(struct worker *worker);

/* ---- taking events */

static size_t room(const struct worker *worker)
{
    return worker->options.concurrency > worker->active ? worker->options.concurrency - worker->active : 0;
}

static void start_ready(struct worker *worker)
{
    struct list *first;
    while (room(worker) > 0 && !worker->stopping && pause_watch_permits(worker->pauses) &&
           (first = list_first(&worker->ready)) != NULL) {
        list_remove(first);
        delivery_start(worker, LIST_OBJECT(first, struct entry, link));
    }
}

static size_t count_list(const struct list *head)
{
    size_t count = 0;
    for (const struct list *member = head->next; member != head; member = member->next) {
        count++;
    }
    return count;
}

/* Woken after a long sleep, or with its group made anew, a worker may be given an event that it has in hand already. */
static bool is_in_hand(struct worker *worker, const struct entry *entry)
{
    LIST_EACH(&worker->deliveries, member, following)
    {
        if (text_equal(LIST_OBJECT(member, struct delivery, link)->entry->id, entry->id)) {
            return true;
        }
    }
    LIST_EACH(&worker->ready, waiting, next)
    {
        if (text_equal(LIST_OBJECT(waiting, struct entry, link)->id, entry->id)) {
            return true;
        }
    }
    return false;
}

static void on_entries(void *context, enum inbox_source source, struct list *entries, int64_t next_ms)
{
    struct worker *worker = context;
    uint64_t now = uv_now(worker->loop);
    size_t count = count_list(entries);
    if (source == INBOX_NEW) {
        worker->reading = false;
    } else if (source == INBOX_DUE) {
        uint64_t wait = next_ms >= 0 && next_ms < DUE_INTERVAL_MS ? (uint64_t)next_ms : DUE_INTERVAL_MS;
        worker->due_at_ms = now + (count > 0 || worker->due_again ? 0 : wait);
        worker->due_again = false;
    } else if (count > 0) {
        log_warn("events of a silent worker are taken over", LOG_NUMBER("count", count),
                 LOG_STRING("consumer", worker->consumer));
    }
    telemetry_add(&worker->options.telemetry->taken[source], count);
    LIST_EACH(entries, member, following)
    {
        struct entry *entry = LIST_OBJECT(member, struct entry, link);
        list_remove(member);
        if (is_in_hand(worker, entry)) {
            free(entry); /* it is ours again, and goes on as it is */
        } else {
            list_append(&worker->ready, member);
        }
    }
    worker_poke(worker);
}

/* What could not be asked now is asked again at its next time. */
static void asked(int status)
{
    if (status < 0 && status != -EBUSY) {
        log_debug("redis takes no request now", LOG_NUMBER("status", status));
    }
}

/* Events are asked for only when there is room, so that others can have what we could not begin. */
static bool may_ask(const struct worker *worker)
{
    return !worker->stopping && list_is_empty(&worker->ready) && room(worker) > 0 && worker->group_is_there &&
           pause_watch_permits(worker->pauses) && queue_is_ready(worker->options.queue);
}

static void ask_for_more(struct worker *worker, uint64_t now)
{
    if (!may_ask(worker)) {
        return;
    }
    size_t free_places = room(worker);
    size_t count = free_places < READ_MAXIMUM ? free_places : READ_MAXIMUM;
    if (now >= worker->due_at_ms) {
        worker->due_at_ms = now + DUE_INTERVAL_MS; /* until the answer knows better */
        int status = inbox_due(worker->inbox, count);
        worker->due_again = status == -EBUSY; /* that one may have missed what is due only now */
        asked(status);
    }
    if (now >= worker->claim_at_ms) {
        worker->claim_at_ms = now + worker->options.settings->claim_after_ms / CLAIM_CHECKS;
        asked(inbox_claim(worker->inbox, count));
    }
    if (!worker->reading) {
        worker->reading = inbox_read(worker->inbox, count) == 0;
    }
}

/* ---- signs of life */

static bool is_among(const redisReply *lost, struct text id)
{
    for (size_t i = 0; i < lost->elements; i++) {
        if (text_equal(id, (struct text){.data = lost->element[i]->str, .length = (size_t)lost->element[i]->len})) {
            return true;
        }
    }
    return false;
}

static void take_renewal(struct worker *worker, const redisReply *lost)
{
    LIST_EACH(&worker->deliveries, member, following)
    {
        struct delivery *delivery = LIST_OBJECT(member, struct delivery, link);
        if (is_among(lost, delivery->entry->id)) {
            delivery_lose(delivery);
        }
    }
    LIST_EACH(&worker->ready, waiting, next)
    {
        struct entry *entry = LIST_OBJECT(waiting, struct entry, link);
        if (is_among(lost, entry->id)) {
            list_remove(waiting);
            free(entry);
        }
    }
}

/* What is ours at `then` (clock_monotonic_ms()) is so for a while; mails that wait for a thread are begun only in that.
 */
static void vouch(struct worker *worker, uint64_t then)
{
    uint64_t claim_after = worker->options.settings->claim_after_ms;
    if (worker->mail) {
        mail_outlet_vouch(worker->mail, then + claim_after - claim_after / CLAIM_CHECKS);
    }
}

static void on_renewed(struct redis_call *call, const redisReply *reply)
{
    struct worker *worker = CONTAINER_OF(call, struct worker, renew_call);
    worker->renewing = false;
    if (reply && reply->type == REDIS_REPLY_ARRAY) {
        take_renewal(worker, reply);
        vouch(worker, worker->renewed_at_ms);
    }
    worker_poke(worker);
}

/* All that this worker has; NULL when out of memory. To be freed. */
static const struct entry **collect_entries(struct worker *worker, size_t *count)
{
    const struct entry **entries = malloc((worker->active + count_list(&worker->ready) + 1) * sizeof(const void *));
    *count = 0;
    if (!entries) {
        return NULL;
    }
    LIST_EACH(&worker->deliveries, member, following)
    {
        entries[(*count)++] = LIST_OBJECT(member, struct delivery, link)->entry;
    }
    LIST_EACH(&worker->ready, waiting, next)
    {
        entries[(*count)++] = LIST_OBJECT(waiting, struct entry, link);
    }
    return entries;
}

static void renew(struct worker *worker, uint64_t now)
{
    if (worker->renewing || now < worker->renew_at_ms) {
        return;
    }
    worker->renew_at_ms = now + worker->options.settings->claim_after_ms / 4;
    size_t count;
    struct lease_holder holder = {.queue = worker->options.queue,
                                  .consumer = worker->consumer,
                                  .claim_after_ms = worker->options.settings->claim_after_ms};
    const struct entry **entries = collect_entries(worker, &count);
    worker->renew_call.callback = on_renewed;
    worker->renewed_at_ms = clock_monotonic_ms();
    worker->renewing = entries && lease_renew(&holder, entries, count, &worker->renew_call) == 0;
    free(entries);
}

/* ---- the tick */

static void earlier(uint64_t *soonest, uint64_t time)
{
    *soonest = time < *soonest ? time : *soonest;
}

static void wind(struct worker *worker, uint64_t now)
{
    uint64_t soonest = now + DUE_INTERVAL_MS;
    if (worker->stopping) {
        soonest = now + STOP_INTERVAL_MS;
    } else if (may_ask(worker)) { /* else whatever changes that pokes us */
        earlier(&soonest, worker->due_at_ms);
        earlier(&soonest, worker->claim_at_ms);
    }
    earlier(&soonest, worker->renew_at_ms);
    LIST_EACH(&worker->deliveries, member, following)
    {
        const struct delivery *delivery = LIST_OBJECT(member, struct delivery, link);
        if (delivery->wait == DELIVERY_STALLED) {
            earlier(&soonest, now + STALL_INTERVAL_MS);
        }
    }
    (void)uv_timer_start(&worker->tick, on_tick, soonest > now ? soonest - now : 1, 0);
}

static void continue_waiting(struct worker *worker)
{
    bool redis = queue_is_ready(worker->options.queue);
    LIST_EACH(&worker->deliveries, member, following)
    {
        struct delivery *delivery = LIST_OBJECT(member, struct delivery, link);
        if (delivery->wait == DELIVERY_STALLED && redis) {
            delivery_continue(delivery);
        }
    }
}

static void watch_inbox(struct worker *worker)
{
    struct telemetry *telemetry = worker->options.telemetry;
    if (!worker->inbox_open) {
        return;
    }
    inbox_watch(worker->inbox, may_ask(worker));
    struct inbox_counters counters = inbox_counters(worker->inbox);
    telemetry_set(&telemetry->reader_trouble, inbox_trouble(worker->inbox));
    telemetry_set(&telemetry->reader_restarts, counters.restarts);
    telemetry_set(&telemetry->group_losses, counters.group_losses);
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t now = uv_now(worker->loop);
    continue_waiting(worker);
    watch_inbox(worker);
    if (worker->stopping && now >= worker->stop_deadline_ms) {
        if (worker->options.mailer) {
            mailer_abort(worker->options.mailer);
        }
        LIST_EACH(&worker->deliveries, member, following)
        {
            delivery_break_off(LIST_OBJECT(member, struct delivery, link));
        }
    }
    worker_poke(worker);
}

void worker_poke(struct worker *worker)
{
    uint64_t now = uv_now(worker->loop);
    if (worker->surrendering) {
        return;
    }
    start_ready(worker);
    ask_for_more(worker, now);
    renew(worker, now);
    telemetry_set(&worker->options.telemetry->in_process, worker->active);
    if (worker->stopping && worker->active == 0 && !worker->inbox_open && !worker->renewing) {
        surrender(worker);
    } else {
        wind(worker, now);
    }
}

void worker_forget(struct worker *worker, struct delivery *delivery)
{
    list_remove(&delivery->link);
    free(delivery);
    worker->active--;
    worker_poke(worker);
}

void worker_resume(struct worker *worker)
{
    worker->due_at_ms = 0;
    worker->renew_at_ms = 0; /* before others think that we are gone */
    pause_watch_ask(worker->pauses);
    continue_waiting(worker);
    worker_poke(worker);
}

static void on_pauses_changed(void *context)
{
    struct worker *worker = context;
    worker->due_at_ms = 0;
    worker_poke(worker);
}

static void on_inbox_ready(void *context)
{
    struct worker *worker = context;
    worker->group_is_there = true;
    telemetry_set(&worker->options.telemetry->reader_trouble, inbox_trouble(worker->inbox));
    worker_poke(worker);
}

/* ---- opening */

static void make_names(struct worker *worker)
{
    char host[64] = "unknown";
    char unique[9];
    (void)gethostname(host, sizeof(host) - 1);
    for (char *at = host; *at; at++) {
        bool fine = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                    *at == '-' || *at == '.';
        if (!fine) {
            *at = '-';
        }
    }
    random_hex(unique, 8); /* so that no two workers ever share a name: owning is by name */
    (void)snprintf(worker->consumer, sizeof(worker->consumer), "%s-%s-%u", host, unique, worker->options.loop);
    (void)snprintf(worker->reader_name, sizeof(worker->reader_name), "identihook-reader-%s", worker->consumer);
}

static void part_closed(void *context)
{
    struct worker *worker = context;
    holds_release(&worker->holds, free, worker);
}

static void ignore(void *context)
{
    (void)context;
}

static int open_database(struct worker *worker)
{
    const struct settings *settings = worker->options.settings;
    size_t loops = (size_t)settings->loops;
    size_t share = (size_t)settings->postgres_connections / loops;
    share += worker->options.loop < settings->postgres_connections % loops;
    if (!secret_is_set(&settings->database_url)) {
        return 0;
    }
    int status = database_open(worker->loop, settings, share > 0 ? share : 1, &worker->postgres);
    if (status == 0 && worker->options.loop == 0) { /* once for all loops */
        status = database_watch_open(worker->loop, worker->postgres, worker->options.telemetry, &worker->database);
    }
    return status;
}

static int open_parts(struct worker *worker)
{
    const struct settings *settings = worker->options.settings;
    struct fetcher_options fetcher_options = {
        .user_agent = version_user_agent(),
        .ca_file = settings->ca_file,
        .max_concurrent = worker->options.concurrency,
    };
    struct inbox_options inbox_options = {
        .url = &settings->redis,
        .reader_name = worker->reader_name,
        .consumer = worker->consumer,
        .call_timeout_ms = settings->enqueue_timeout_ms,
        .check_every_ms = settings->redis_check_every_ms,
        .claim_after_ms = settings->claim_after_ms,
        .claim_idle_ms = settings->claim_after_ms - settings->claim_after_ms / CLAIM_CHECKS,
        .on_entries = on_entries,
        .on_ready = on_inbox_ready,
        .context = worker,
    };
    struct trimmer_options trimmer_options = {
        .settings = settings,
        .queue = worker->options.queue,
        .telemetry = worker->options.telemetry,
        .consumer = worker->consumer,
    };
    struct pause_watch_options pause_options = {
        .queue = worker->options.queue,
        .telemetry = worker->options.telemetry,
        .on_change = on_pauses_changed,
        .context = worker,
    };
    int status = fetcher_create(worker->loop, &fetcher_options, &worker->fetcher);
    if (status == 0 && settings->onboarding_url) {
        struct fetcher_options onboarding_options = fetcher_options;
        onboarding_options.max_concurrent =
            (size_t)((settings->onboarding_concurrency + settings->loops - 1) / settings->loops);
        status = fetcher_create(worker->loop, &onboarding_options, &worker->onboarding);
    }
    if (status == 0) {
        struct lookups_options lookups_options = {.settings = settings,
                                                  .queue = worker->options.queue,
                                                  .fetcher = worker->fetcher,
                                                  .telemetry = worker->options.telemetry};
        status = lookups_open(worker->loop, &lookups_options, &worker->lookups);
    }
    status = status == 0 ? pause_watch_open(worker->loop, &pause_options, &worker->pauses) : status;
    if (status == 0 && worker->options.mailer) {
        status = mail_outlet_open(worker->options.mailer, worker->loop, &worker->mail);
    }
    status = status == 0 ? open_database(worker) : status;
    if (status == 0 && worker->options.loop == 0) {
        status = trimmer_open(worker->loop, &trimmer_options, &worker->trimmer);
    }
    if (status == 0) {
        status = inbox_open(worker->loop, worker->options.queue, &inbox_options, &worker->inbox);
        worker->inbox_open = status == 0;
    }
    return status;
}

int worker_open(uv_loop_t *loop, const struct worker_options *options, struct worker **opened)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    if (!worker) {
        return -ENOMEM;
    }
    worker->options = *options;
    worker->loop = loop;
    list_init(&worker->ready);
    list_init(&worker->deliveries);
    make_names(worker);
    (void)uv_timer_init(loop, &worker->tick);
    worker->tick.data = worker;
    int status = open_parts(worker);
    if (status < 0) {
        holds_close(&worker->holds, ignore, NULL);
        close_parts(worker);
        return status;
    }
    worker->tools = (struct effect_tools){
        .settings = options->settings,
        .queue = options->queue,
        .telemetry = options->telemetry,
        .onboarding = worker->onboarding,
        .onboarding_breaker = &worker->onboarding_breaker,
        .mail = worker->mail,
        .writer = options->writer,
        .postgres = worker->postgres,
    };
    telemetry_set(&options->telemetry->reader_trouble, REDIS_AWAY);
    worker->claim_at_ms = uv_now(loop); /* at once: what the last process left may be old enough */
    worker->renew_at_ms = uv_now(loop);
    wind(worker, uv_now(loop));
    *opened = worker;
    return 0;
}

/* ---- stopping: no more events, then no deliveries, then no consumer, then nothing */

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

static void close_parts(struct worker *worker)
{
    worker->surrendering = true;
    worker->holds.count = 1u + (worker->fetcher != NULL) + (worker->onboarding != NULL) + (worker->lookups != NULL) +
                          (worker->mail != NULL) + (worker->database != NULL) + (worker->postgres != NULL) +
                          (worker->trimmer != NULL) + (worker->pauses != NULL);
    if (worker->onboarding) {
        fetcher_close(worker->onboarding, part_closed, worker);
    }
    if (worker->lookups) {
        lookups_close(worker->lookups, part_closed, worker);
    }
    if (worker->fetcher) {
        fetcher_close(worker->fetcher, part_closed, worker);
    }
    if (worker->mail) {
        mail_outlet_close(worker->mail, part_closed, worker);
    }
    if (worker->database) {
        database_watch_close(worker->database, part_closed, worker);
    }
    if (worker->postgres) {
        postgres_close(worker->postgres, part_closed, worker);
    }
    if (worker->trimmer) {
        trimmer_close(worker->trimmer, part_closed, worker);
    }
    if (worker->pauses) {
        pause_watch_close(worker->pauses, part_closed, worker);
    }
    uv_close((uv_handle_t *)&worker->tick, on_timer_closed);
}

static void on_surrendered(struct redis_call *call, const redisReply *reply)
{
    struct worker *worker = CONTAINER_OF(call, struct worker, surrender_call);
    if (reply && reply->type == REDIS_REPLY_INTEGER && reply->integer >= LEASE_SURRENDER_BATCH) {
        surrender(worker);
        return;
    }
    close_parts(worker);
}

static void surrender(struct worker *worker)
{
    worker->surrendering = true;
    worker->surrender_call.callback = on_surrendered;
    LIST_EACH(&worker->ready, member, following)
    {
        free(LIST_OBJECT(member, struct entry, link));
    }
    list_init(&worker->ready);
    if (lease_surrender(worker->options.queue, worker->consumer, &worker->surrender_call) < 0) {
        /* Redis is away: others claim what is left when the lease has run out. */
        close_parts(worker);
    }
}

static void on_inbox_closed(void *context)
{
    struct worker *worker = context;
    worker->inbox_open = false;
    worker_poke(worker);
}

void worker_stop(struct worker *worker, uint64_t timeout_ms, void (*stopped)(void *context), void *context)
{
    worker->stopping = true;
    holds_close(&worker->holds, stopped, context);
    worker->stop_deadline_ms = uv_now(worker->loop) + timeout_ms;
    inbox_close(worker->inbox, on_inbox_closed, worker);
    LIST_EACH(&worker->deliveries, member, following)
    {
        delivery_stop(LIST_OBJECT(member, struct delivery, link));
    }
    wind(worker, uv_now(worker->loop));
}
