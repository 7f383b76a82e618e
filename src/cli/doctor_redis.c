#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/doctor.h"
#include "cli/report.h"
#include "store/backlog.h"
#include "store/durability.h"
#include "store/question.h"

#define CLOCK_WARNING_MS 2000
#define MEMORY_WARNING_PERCENT 80
#define VERSION_OLDEST 60200
#define RIGHTS_FIX                                                                                                     \
    "ACL SETUSER its user ~{NAMESPACE}:* -@all +@stream +@hash +@sortedset +@string +@keyspace +@scripting "           \
    "+@connection +time +wait -@dangerous +info +config|get"

/* ---- asking */

struct asking {
    struct question question;
    bool answered;
    struct buffer answer;
    char error[200]; /* "": it was answered */
};

static void on_answer(struct question *question, struct text answer, const char *error)
{
    struct asking *asking = CONTAINER_OF(question, struct asking, question);
    asking->answered = true;
    buffer_append(&asking->answer, answer);
    (void)snprintf(asking->error, sizeof(asking->error), "%s",
                   error && error[0] == '\0' ? "no answer"
                   : error                   ? error
                                             : "");
}

/* True when it was answered without an error; asking->answer is to be freed in either case. */
static bool await(struct examination *examination, struct asking *asking, int status)
{
    if (status < 0 || !errand_await(&examination->errand, examination->errand.timeout_ms + 1000, &asking->answered)) {
        (void)snprintf(asking->error, sizeof(asking->error), "no answer");
    }
    return asking->error[0] == '\0';
}

static bool ask(struct examination *examination, struct asking *asking, size_t count, const struct text *words)
{
    *asking = (struct asking){.question = {.callback = on_answer}};
    return await(examination, asking, question_ask(examination->errand.queue, &asking->question, count, words));
}

/* ---- INFO: "name:value" lines */

static struct text info(struct text all, struct text name)
{
    while (all.data) {
        struct text value = text_cut(&all, '\n');
        if (text_take_prefix(&value, name) && text_take_prefix(&value, TEXT(":"))) {
            value.length -= value.length > 0 && value.data[value.length - 1] == '\r' ? 1 : 0;
            return value;
        }
    }
    return (struct text){0};
}

static uint64_t info_number(struct text all, struct text name)
{
    uint64_t number = 0;
    return text_to_unsigned(info(all, name), INT64_MAX, &number) == 0 ? number : 0;
}

static void check_version(struct examination *examination, const struct redis_facts *facts)
{
    if (facts->version_number == 0) {
        examination_tell(examination, HEALTH_SKIPPED, "redis version", "", "it does not say");
    } else if (facts->version_number < VERSION_OLDEST) {
        examination_tell(examination, HEALTH_BROKEN, "redis version", "6.2 or newer is needed, or Valkey",
                         "%s is too old", facts->version);
    } else {
        examination_tell(examination, HEALTH_OK, "redis version", "", "%s", facts->version);
    }
    if (facts->replica == REDIS_YES) {
        examination_tell(examination, HEALTH_BROKEN, "redis role",
                         "point REDIS_URL at the primary, or at the sentinels", "it is a replica, and takes no writes");
    }
}

static void check_memory(struct examination *examination, const struct redis_facts *facts, struct text all)
{
    uint64_t used = info_number(all, TEXT("used_memory"));
    uint64_t most = info_number(all, TEXT("maxmemory"));
    if (facts->evicts == REDIS_YES) {
        examination_tell(examination, HEALTH_BROKEN, "redis memory", "CONFIG SET maxmemory-policy noeviction",
                         "maxmemory-policy %s: it throws events away when its memory is full", facts->policy);
    } else if (most > 0 && used / (most / 100 + 1) >= MEMORY_WARNING_PERCENT) {
        examination_tell(examination, HEALTH_WARNING, "redis memory",
                         "raise maxmemory, or shorten IDENTIHOOK_HISTORY and IDENTIHOOK_DEDUPE_WINDOW",
                         "%" PRIu64 " of %" PRIu64 " MiB are used; beyond that events are answered 503", used >> 20,
                         most >> 20);
    } else {
        examination_tell(examination, HEALTH_OK, "redis memory", "", "%" PRIu64 " MiB used, nothing is thrown away",
                         used >> 20);
    }
}

static void check_durability(struct examination *examination, struct redis_facts *facts)
{
    struct text words[] = {TEXT("CONFIG"), TEXT("GET"), TEXT("appendfsync")};
    struct asking asking;
    char reason[DURABILITY_REASON_SIZE];
    if (ask(examination, &asking, ARRAY_LENGTH(words), words)) {
        struct text value = buffer_text(&asking.answer);
        struct text name = text_cut(&value, '\n');
        redis_facts_read_config(facts, name, text_cut(&value, '\n'));
    }
    buffer_free(&asking.answer);
    enum durability durability = durability_judge(facts, reason);
    enum health weak = examination->settings->require_durable ? HEALTH_BROKEN : HEALTH_WARNING;
    examination_tell(examination, durability == DURABILITY_SOUND ? HEALTH_OK : weak, "redis durability", "", "%s",
                     reason);
}

static void check_server(struct examination *examination)
{
    struct text words[] = {TEXT("INFO")};
    struct asking asking;
    struct redis_facts facts = {0};
    if (ask(examination, &asking, ARRAY_LENGTH(words), words)) {
        struct text all = buffer_text(&asking.answer);
        redis_facts_read_info(&facts, all);
        check_version(examination, &facts);
        check_memory(examination, &facts, all);
        check_durability(examination, &facts);
    } else {
        examination_tell(examination, HEALTH_WARNING, "redis server", "allow its user INFO",
                         "version, memory and durability are not known: %s", asking.error);
    }
    buffer_free(&asking.answer);
}

/* ---- rights */

static void check_rights(struct examination *examination)
{
    struct asking asking = {.question = {.callback = on_answer}};
    bool told = await(examination, &asking, question_ask_rights(examination->errand.queue, &asking.question));
    struct text faults = buffer_text(&asking.answer);
    if (!told) {
        examination_tell(examination, HEALTH_BROKEN, "redis rights", RIGHTS_FIX, "%s", asking.error);
    } else if (faults.length > 0) {
        examination_tell(examination, HEALTH_BROKEN, "redis rights", RIGHTS_FIX, "%.*s",
                         faults.length < 300 ? (int)faults.length : 300, faults.data);
    } else {
        examination_tell(examination, HEALTH_OK, "redis rights", "", "every command that is needed is allowed");
    }
    buffer_free(&asking.answer);
}

/* ---- what is in it */

struct looking {
    struct examination *examination;
    struct backlog_call call;
    bool answered;
};

static void check_group(struct examination *examination, const struct backlog *backlog)
{
    const struct backlog_group *ours = NULL;
    for (size_t i = 0; i < backlog->group_count; i++) {
        ours = text_equal(backlog->groups[i].name, TEXT(KEYS_GROUP)) ? &backlog->groups[i] : ours;
    }
    if (!ours) {
        examination_tell(examination, HEALTH_WARNING, "consumer group", "start a worker: it makes the group",
                         "there is none yet");
    } else if (ours->unread != 0 && ours->consumers == 0) {
        examination_tell(examination, HEALTH_WARNING, "consumer group", "start a worker",
                         "events are unread, and nobody reads");
    } else {
        examination_tell(examination, HEALTH_OK, "consumer group", "", "%" PRId64 " consumers, %" PRId64 " in process",
                         ours->consumers, ours->pending);
    }
}

/* Nothing that a group has not acknowledged is taken out of the stream. */
static void check_stalled(struct examination *examination, const struct backlog *backlog)
{
    int64_t patience = (int64_t)examination->settings->group_stalled_ms;
    for (size_t i = 0; i < backlog->group_count; i++) {
        const struct backlog_group *group = &backlog->groups[i];
        int64_t unread = group->oldest_unread_ms;
        int64_t oldest = unread > group->oldest_pending_ms ? unread : group->oldest_pending_ms;
        if (oldest > patience) {
            examination_tell(examination, HEALTH_WARNING, "stalled group",
                             "mend its reader, or destroy the group: until then the stream grows",
                             "%.*s has not acknowledged an event for %" PRId64 " s", TEXT_ARGUMENTS(group->name),
                             oldest / 1000);
        }
    }
}

static void check_dead(struct examination *examination, const struct backlog *backlog)
{
    if (backlog->dead > 0) {
        examination_tell(examination, HEALTH_WARNING, "dead letters",
                         "identihook dead list tells why; when it is mended, identihook dead replay", "%" PRId64,
                         backlog->dead);
    }
    for (size_t i = 0; i < backlog->control.count; i++) {
        examination_tell(examination, HEALTH_WARNING, "paused", "identihook resume", "%.*s, by %.*s",
                         TEXT_ARGUMENTS(backlog->control.pauses[i].what),
                         TEXT_ARGUMENTS(backlog->control.pauses[i].by));
    }
}

static void check_clock(struct examination *examination, int64_t redis_ms)
{
    int64_t ahead = clock_wall_ms() - redis_ms;
    int64_t off = ahead < 0 ? -ahead : ahead;
    if (off > CLOCK_WARNING_MS) {
        examination_tell(examination, HEALTH_WARNING, "redis clock", "synchronise both clocks (NTP)",
                         "%" PRId64 " ms %s Redis's: times in logs and records disagree", off,
                         ahead < 0 ? "behind" : "ahead of");
    } else {
        examination_tell(examination, HEALTH_OK, "redis clock", "", "agrees with ours");
    }
}

static void on_backlog(struct backlog_call *call, const struct backlog *backlog, const char *error)
{
    struct looking *looking = CONTAINER_OF(call, struct looking, call);
    looking->answered = true;
    if (!backlog) {
        examination_tell(looking->examination, HEALTH_BROKEN, "stream", "check the keys of this namespace", "%s",
                         error[0] != '\0' ? error : "no answer");
        return;
    }
    check_clock(looking->examination, backlog->now_ms);
    check_group(looking->examination, backlog);
    check_stalled(looking->examination, backlog);
    check_dead(looking->examination, backlog);
}

static void check_content(struct examination *examination)
{
    struct looking looking = {.examination = examination, .call = {.callback = on_backlog}};
    if (backlog_read(examination->errand.queue, &looking.call) == 0) {
        (void)errand_await(&examination->errand, examination->errand.timeout_ms + 1000, &looking.answered);
    }
}

/* ---- all of it */

static void tell_connection(struct examination *examination, uint64_t took_ms)
{
    const struct redis_url *url = &examination->settings->redis;
    if (url->path) {
        examination_tell(examination, HEALTH_OK, "redis", "", "%s, connected in %" PRIu64 " ms", url->path, took_ms);
        return;
    }
    static const char *const kinds[] = {
        [REDIS_SINGLE] = "", [REDIS_SENTINEL] = " and other sentinels", [REDIS_CLUSTER] = " and its cluster"};
    examination_tell(examination, HEALTH_OK, "redis", "", "%s port %u%s%s, connected in %" PRIu64 " ms",
                     url->hosts[0].name, (unsigned)url->hosts[0].port, kinds[url->kind], url->tls ? " with TLS" : "",
                     took_ms);
}

void doctor_check_redis(struct examination *examination)
{
    uint64_t started = clock_monotonic_ms();
    if (!errand_connect(&examination->errand, examination->settings, "identihook-doctor")) {
        examination_tell(examination, HEALTH_BROKEN, "redis", errand_trouble(&examination->errand),
                         "it does not answer");
        return;
    }
    tell_connection(examination, clock_monotonic_ms() - started);
    check_server(examination);
    check_rights(examination);
    check_content(examination);
}
