#include "cli/dossier.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/walk.h"

/*
 * There is no index of events: that would cost every event something, for the few that are asked about. Instead the
 * mark tells when an event was received, or finished, and an entry's id tells when it was added; so the streams are
 * searched around that time, or since. Without a mark, and for sessions, they are searched from their newest entry on.
 */
#define AROUND_MS 600000 /* clocks of receivers and of Redis may differ */

void archive_open(struct archive *archive, struct errand *errand, size_t budget)
{
    *archive = (struct archive){.errand = errand, .budget = budget, .oldest_ms = INT64_MAX};
    list_init(&archive->dossiers);
}

static void drop_records(struct list *records)
{
    LIST_EACH(records, member, following)
    {
        free(LIST_OBJECT(member, struct record, link));
    }
}

void archive_close(struct archive *archive)
{
    LIST_EACH(&archive->dossiers, member, following)
    {
        struct dossier *dossier = LIST_OBJECT(member, struct dossier, link);
        for (size_t i = 0; i < SEARCH_STREAMS; i++) {
            drop_records(&dossier->records[i]);
        }
        free(dossier);
    }
}

const struct record *dossier_latest(const struct dossier *dossier, enum search_stream stream)
{
    const struct record *latest = NULL;
    LIST_EACH(&dossier->records[stream], member, following)
    {
        const struct record *record = LIST_OBJECT(member, struct record, link);
        latest = !latest || record_time(record) > record_time(latest) ? record : latest;
    }
    return latest;
}

/* The dossier of `event`, made when there is none yet; NULL when there are too many, or no memory. */
static struct dossier *dossier_of(struct archive *archive, struct text event)
{
    LIST_EACH(&archive->dossiers, member, following)
    {
        struct dossier *dossier = LIST_OBJECT(member, struct dossier, link);
        if (text_equal(text_of(dossier->event), event)) {
            return dossier;
        }
    }
    struct dossier *made = archive->count < DOSSIERS_MAXIMUM ? calloc(1, sizeof(*made)) : NULL;
    if (!made) {
        archive->cut = true;
        return NULL;
    }
    (void)snprintf(made->event, sizeof(made->event), "%.*s", TEXT_ARGUMENTS(event));
    for (size_t i = 0; i < SEARCH_STREAMS; i++) {
        list_init(&made->records[i]);
    }
    list_append(&archive->dossiers, &made->link);
    archive->count++;
    return made;
}

static bool has_record(const struct list *records, struct text id)
{
    LIST_EACH(records, member, following)
    {
        if (text_equal(LIST_OBJECT(member, struct record, link)->id, id)) {
            return true;
        }
    }
    return false;
}

static void file_record(struct archive *archive, enum search_stream stream, struct record *record)
{
    struct dossier *dossier = dossier_of(archive, record_value(record, "event"));
    if (dossier && !has_record(&dossier->records[stream], record->id)) {
        list_append(&dossier->records[stream], &record->link);
    } else {
        free(record);
    }
}

static void note_cut(struct archive *archive, const struct walk *walk)
{
    uint64_t reached;
    struct text id = text_of(walk->next + 1); /* behind the '(' */
    if (walk->cut && text_to_unsigned(text_cut(&id, '-'), INT64_MAX, &reached) == 0) {
        archive->cut = true;
        archive->oldest_ms = (int64_t)reached < archive->oldest_ms ? (int64_t)reached : archive->oldest_ms;
    }
}

static int collect(struct archive *archive, const struct search_query *query)
{
    struct walk walk;
    struct record *record;
    enum walk_step step;
    walk_begin(&walk, archive->errand, query, archive->budget);
    while ((step = walk_next(&walk, &record)) == WALK_RECORD) {
        file_record(archive, query->stream, record);
    }
    note_cut(archive, &walk);
    walk_end(&walk);
    return step == WALK_FAILED ? COMMAND_FAILED : 0;
}

/* What was added to the stream since `moment`, from the newest on. */
static int collect_since(struct archive *archive, enum search_stream stream, struct search_match match, int64_t moment)
{
    char to[24];
    (void)snprintf(to, sizeof(to), "%" PRId64, moment > AROUND_MS ? moment - AROUND_MS : 0);
    struct search_query query = {.stream = stream,
                                 .newest_first = true,
                                 .from = "+",
                                 .to = to,
                                 .give = SEARCH_LOOK_MAXIMUM,
                                 .match_count = 1,
                                 .matches = {match}};
    return collect(archive, &query);
}

/* What was added to the stream within AROUND_MS of `moment`. */
static int collect_around(struct archive *archive, enum search_stream stream, struct search_match match, int64_t moment)
{
    char from[24];
    char to[24];
    (void)snprintf(from, sizeof(from), "%" PRId64, moment > AROUND_MS ? moment - AROUND_MS : 0);
    (void)snprintf(to, sizeof(to), "%" PRId64, moment + AROUND_MS);
    struct search_query query = {
        .stream = stream, .from = from, .to = to, .give = SEARCH_LOOK_MAXIMUM, .match_count = 1, .matches = {match}};
    return collect(archive, &query);
}

/* The entry that a replay made. */
static int collect_replayed(struct archive *archive, struct search_match match, const struct record *act)
{
    struct text id = record_value(act, "entry");
    if (id.length == 0) {
        return 0;
    }
    struct search_query query = {
        .stream = SEARCH_EVENTS, .from = id.data, .to = id.data, .give = 1, .match_count = 1, .matches = {match}};
    return collect(archive, &query);
}

/* When the event was received, as one of its records tells it; 0: none does. */
static int64_t received(const struct dossier *dossier)
{
    static const enum search_stream streams[] = {SEARCH_DEAD, SEARCH_OUTCOMES, SEARCH_ACTS};
    for (size_t i = 0; i < ARRAY_LENGTH(streams); i++) {
        const struct record *record = dossier_latest(dossier, streams[i]);
        int64_t moment = record ? record_number(record, "received_ms") : 0;
        if (moment > 0) {
            return moment;
        }
    }
    return 0;
}

static int collect_ends(struct archive *archive, struct search_match match, int64_t mark_ms)
{
    int status = 0;
    for (enum search_stream stream = SEARCH_OUTCOMES; stream <= SEARCH_DEAD && status == 0; stream++) {
        status = mark_ms < 0 ? collect_around(archive, stream, match, -mark_ms)
                             : collect_since(archive, stream, match, mark_ms);
    }
    return status;
}

static int collect_entry(struct archive *archive, struct search_match match, int64_t received_ms)
{
    return received_ms > 0 ? collect_around(archive, SEARCH_EVENTS, match, received_ms)
                           : collect_since(archive, SEARCH_EVENTS, match, 0);
}

int archive_collect_event(struct archive *archive, const char *event, int64_t mark_ms)
{
    struct search_match match = {.field = "event", .value = event};
    struct dossier *dossier = dossier_of(archive, text_of(event));
    if (!dossier) {
        return COMMAND_FAILED;
    }
    int status = collect_since(archive, SEARCH_ACTS, match, 0);
    const struct record *act = dossier_latest(dossier, SEARCH_ACTS);
    status = status == 0 ? collect_ends(archive, match, mark_ms) : status;
    if (status == 0 && act) {
        status = collect_replayed(archive, match, act);
    }
    int64_t moment = mark_ms > 0 ? mark_ms : received(dossier);
    if (status == 0 && (moment > 0 || list_is_empty(&dossier->records[SEARCH_EVENTS]))) {
        status = collect_entry(archive, match, moment);
    }
    return status;
}

int archive_collect_session(struct archive *archive, const char *session)
{
    struct search_match match = {.field = "session", .value = session};
    int status = 0;
    for (enum search_stream stream = 0; stream < SEARCH_STREAMS && status == 0; stream++) {
        status = collect_since(archive, stream, match, 0);
    }
    return status;
}
