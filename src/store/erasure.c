#include "store/erasure.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <hiredis/hiredis.h>

#include "script_table.h"
#include "store/record.h"
#include "store/user.h"

/*
 * Happy path: take or keep the turn → look at a page → erase what was found, one by one → the next page, the next
 * stream, the next pass → give the turn back.
 *
 * Failure modes: any answer that does not come ends it.
 */
#define PAGE 100 /* entries that are looked at in one step: with their bodies, which may be large */
#define PASSES_MAXIMUM 5

static int begin_page(struct erasure *erasure);
static void erase_next(struct erasure *erasure);

/* ---- ending */

static void on_given(struct redis_call *call, const redisReply *reply)
{
    struct erasure *erasure = CONTAINER_OF(call, struct erasure, call);
    (void)reply; /* a turn that was not given back is taken by the next when its owner has been silent for a while */
    erasure->callback(erasure, erasure->error ? ERASURE_BROKEN : ERASURE_DONE);
}

static int give_turn(struct erasure *erasure)
{
    const struct keys *keys = queue_keys(erasure->queue);
    char turn[KEY_MAXIMUM];
    char waiting[KEY_MAXIMUM];
    struct text arguments[] = {text_of(keys->retry), keys_make(keys, "turn", erasure->options.session, turn),
                               keys_make(keys, "waiting", erasure->options.session, waiting),
                               text_of(erasure->options.owner)};
    erasure->call.callback = on_given;
    return redis_script_call(queue_redis(erasure->queue), &erasure->call, &script_turn_give, 3, ARRAY_LENGTH(arguments),
                             arguments);
}

static void finish(struct erasure *erasure, enum erasure_outcome outcome)
{
    LIST_EACH(&erasure->records, member, following)
    {
        list_remove(member);
        free(LIST_OBJECT(member, struct record, link));
    }
    bool has_turn = erasure->options.owner && !erasure->options.dry_run && outcome != ERASURE_BUSY;
    if (!has_turn || give_turn(erasure) < 0) {
        erasure->callback(erasure, outcome);
    }
}

static void break_off(struct erasure *erasure, const char *error)
{
    (void)snprintf(erasure->words, sizeof(erasure->words), "%s", error ? error : "");
    erasure->error = erasure->words;
    finish(erasure, ERASURE_BROKEN);
}

/* Ends it when `reply` is not an answer of `type`, or it was stopped; true: go on. */
static bool goes_on(struct erasure *erasure, const redisReply *reply, int type)
{
    if (erasure->stopped || !reply || reply->type != type) {
        break_off(erasure, reply && reply->type == REDIS_REPLY_ERROR ? reply->str : NULL);
        return false;
    }
    return true;
}

static void check(struct erasure *erasure, int status)
{
    if (status < 0) {
        break_off(erasure, NULL);
    }
}

/* ---- the order of things */

static void begin_stream(struct erasure *erasure, enum search_stream stream)
{
    erasure->stream = stream;
    (void)snprintf(erasure->next, sizeof(erasure->next), "-");
}

/* The page is dealt with. */
static void go_on(struct erasure *erasure)
{
    if (erasure->next[0] == '\0') {
        begin_stream(erasure, erasure->stream + 1);
    }
    /* An event that was being buried or replayed meanwhile may have gone from a stream not yet looked at to one that
     * was: it is found in the next pass. */
    bool again = erasure->found && !erasure->options.dry_run && ++erasure->passes < PASSES_MAXIMUM;
    if (erasure->stream < SEARCH_STREAMS) {
        check(erasure, begin_page(erasure));
    } else if (again) {
        erasure->found = false;
        begin_stream(erasure, SEARCH_EVENTS);
        check(erasure, begin_page(erasure));
    } else {
        finish(erasure, ERASURE_DONE);
    }
}

/* ---- erasing one */

static void on_erased(struct redis_call *call, const redisReply *reply)
{
    struct erasure *erasure = CONTAINER_OF(call, struct erasure, call);
    if (goes_on(erasure, reply, REDIS_REPLY_INTEGER)) {
        erasure->erased[erasure->stream] += (uint64_t)reply->integer;
        erase_next(erasure);
    }
}

static int erase(struct erasure *erasure, const struct record *record)
{
    static const char *const names[SEARCH_STREAMS] = {
        [SEARCH_EVENTS] = "events", [SEARCH_OUTCOMES] = "outcomes", [SEARCH_DEAD] = "dead", [SEARCH_ACTS] = "acts"};
    const struct keys *keys = queue_keys(erasure->queue);
    struct text event = record_value(record, "event");
    char stream[KEY_MAXIMUM];
    char waiting[KEY_MAXIMUM];
    char seen[KEY_MAXIMUM];
    char effects[KEY_MAXIMUM];
    char mail[KEY_MAXIMUM];
    char user[KEY_MAXIMUM];
    char hash[USER_HASH_SIZE];
    char keep[24];
    (void)snprintf(stream, sizeof(stream), "%s%s", keys->prefix, names[erasure->stream]);
    (void)snprintf(keep, sizeof(keep), "%" PRIu64, queue_dedupe_window_ms(erasure->queue));
    user_hash(record_value(record, "user"), hash);
    struct text arguments[] = {text_of(stream),
                               text_of(keys->held),
                               text_of(keys->retry),
                               text_of(keys->attempts),
                               keys_make(keys, "waiting", erasure->options.session, waiting),
                               keys_make(keys, "seen", event, seen),
                               keys_make(keys, "effects", event, effects),
                               keys_make(keys, "mail", event, mail),
                               keys_make(keys, "user", text_of(hash), user),
                               record->id,
                               text_of(keep),
                               erasure->options.session,
                               erasure->stream == SEARCH_EVENTS ? TEXT("1") : TEXT("0")};
    erasure->call.callback = on_erased;
    return redis_script_call(queue_redis(erasure->queue), &erasure->call, &script_erase, 9, ARRAY_LENGTH(arguments),
                             arguments);
}

/* The event that brought us here is needed to its end; that somebody erased is kept. */
static bool is_spared(const struct erasure *erasure, const struct record *record)
{
    return (erasure->stream == SEARCH_EVENTS && text_equal(record->id, erasure->options.spared)) ||
           (erasure->stream == SEARCH_ACTS && text_equal(record_value(record, "act"), TEXT("redact")));
}

/* True when that is seen to by now: Redis was asked, or it was broken off. */
static bool begin_erasing(struct erasure *erasure, const struct record *record)
{
    if (is_spared(erasure, record)) {
        return false;
    }
    erasure->found = true;
    if (erasure->options.dry_run) {
        erasure->erased[erasure->stream]++;
        return false;
    }
    check(erasure, erase(erasure, record));
    return true;
}

static void erase_next(struct erasure *erasure)
{
    LIST_EACH(&erasure->records, member, following)
    {
        struct record *record = LIST_OBJECT(member, struct record, link);
        list_remove(member);
        bool begun = begin_erasing(erasure, record);
        free(record);
        if (begun) {
            return;
        }
    }
    go_on(erasure);
}

/* ---- looking */

static void on_page(struct search_call *call, const struct search_page *page)
{
    struct erasure *erasure = CONTAINER_OF(call, struct erasure, search);
    if (page->error || erasure->stopped) {
        LIST_EACH(page->records, member, following)
        {
            list_remove(member);
            free(LIST_OBJECT(member, struct record, link));
        }
        break_off(erasure, page->error);
        return;
    }
    LIST_EACH(page->records, member, following)
    {
        list_remove(member);
        list_append(&erasure->records, member);
    }
    (void)snprintf(erasure->next, sizeof(erasure->next), "%.*s", TEXT_ARGUMENTS(page->next));
    erase_next(erasure);
}

static int look(struct erasure *erasure)
{
    char session[EVENT_ID_MAXIMUM + 1];
    char from[sizeof(erasure->next)];
    (void)snprintf(session, sizeof(session), "%.*s", TEXT_ARGUMENTS(erasure->options.session));
    (void)snprintf(from, sizeof(from), "%s", erasure->next);
    struct search_query query = {.stream = erasure->stream,
                                 .from = from,
                                 .to = "+",
                                 .look = PAGE,
                                 .give = PAGE,
                                 .match_count = 1,
                                 .matches = {{"session", session}}};
    erasure->search.callback = on_page;
    return search_start(erasure->queue, &erasure->search, &query);
}

static void on_turn(struct redis_call *call, const redisReply *reply)
{
    struct erasure *erasure = CONTAINER_OF(call, struct erasure, call);
    if (!goes_on(erasure, reply, REDIS_REPLY_INTEGER)) {
        return;
    }
    if (reply->integer == 0) {
        finish(erasure, ERASURE_BUSY);
    } else {
        check(erasure, look(erasure));
    }
}

/* The turn is taken before each page, which is a sign of life as well. */
static int begin_page(struct erasure *erasure)
{
    if (!erasure->options.owner || erasure->options.dry_run) {
        return look(erasure);
    }
    const struct keys *keys = queue_keys(erasure->queue);
    char turn[KEY_MAXIMUM];
    char silence[24];
    (void)snprintf(silence, sizeof(silence), "%" PRIu64, erasure->options.claim_after_ms);
    struct text arguments[] = {text_of(keys->events),
                               text_of(keys->retry),
                               keys_make(keys, "turn", erasure->options.session, turn),
                               TEXT(KEYS_GROUP),
                               text_of(erasure->options.owner),
                               text_of(silence)};
    erasure->call.callback = on_turn;
    return redis_script_call(queue_redis(erasure->queue), &erasure->call, &script_turn_take, 3, ARRAY_LENGTH(arguments),
                             arguments);
}

int erasure_start(struct queue *queue, struct erasure *erasure, const struct erasure_options *options)
{
    void (*callback)(struct erasure *, enum erasure_outcome) = erasure->callback;
    *erasure = (struct erasure){.callback = callback, .queue = queue, .options = *options};
    list_init(&erasure->records);
    begin_stream(erasure, SEARCH_EVENTS);
    return begin_page(erasure);
}

void erasure_stop(struct erasure *erasure)
{
    erasure->stopped = true;
}
