#include "store/barrier.h"

#include <inttypes.h>
#include <stdio.h>

#include <hiredis/hiredis.h>

#include "base/log.h"

static int begin(struct barrier *barrier);

static void on_marked(struct redis_call *call, const redisReply *reply)
{
    struct barrier *barrier = CONTAINER_OF(call, struct barrier, mark_call);
    barrier->marked = reply && reply->type == REDIS_REPLY_STATUS;
}

static bool is_confirmed(const struct barrier *barrier, const redisReply *reply)
{
    if (!reply || !barrier->marked) {
        return false;
    }
    if (barrier->mode == DURABILITY_REPLICA) {
        return reply->type == REDIS_REPLY_INTEGER && reply->integer >= (long long)barrier->replicas;
    }
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[0]->integer >= 1;
}

static void report_short(const struct barrier *barrier, const redisReply *reply)
{
    static struct log_limit limit;
    uint64_t suppressed;
    if (!reply || !log_limit_pass(&limit, 10000, &suppressed)) {
        return; /* the loss of a connection has been told */
    }
    if (reply->type == REDIS_REPLY_ERROR) {
        log_error("redis cannot confirm that events are safe: answered 503", LOG_STRING("error", reply->str),
                  LOG_NUMBER("suppressed", suppressed));
    } else if (barrier->mode == DURABILITY_REPLICA) {
        log_error("too few replicas have confirmed events in time: answered 503",
                  LOG_NUMBER("wanted", barrier->replicas), LOG_NUMBER("confirmed", reply->integer),
                  LOG_NUMBER("suppressed", suppressed));
    } else {
        log_error("the append-only file did not reach the disk in time: answered 503",
                  LOG_NUMBER("timeout_ms", barrier->timeout_ms), LOG_NUMBER("suppressed", suppressed));
    }
}

static void tell(struct list *waits, bool confirmed)
{
    struct list *first;
    while ((first = list_first(waits)) != NULL) {
        struct barrier_wait *wait = LIST_OBJECT(first, struct barrier_wait, link);
        list_remove(first);
        wait->callback(wait, confirmed);
    }
}

static void on_waited(struct redis_call *call, const redisReply *reply)
{
    struct barrier *barrier = CONTAINER_OF(call, struct barrier, wait_call);
    bool confirmed = is_confirmed(barrier, reply);
    if (!confirmed) {
        report_short(barrier, reply);
    }
    barrier->under_way = false;
    tell(&barrier->passing, confirmed);
    if (!barrier->under_way && list_first(&barrier->gathered) && begin(barrier) < 0) {
        tell(&barrier->gathered, false);
    }
}

static int send_wait(struct barrier *barrier)
{
    char replicas[16];
    char timeout[24];
    (void)snprintf(replicas, sizeof(replicas), "%u", barrier->replicas);
    (void)snprintf(timeout, sizeof(timeout), "%" PRIu64, barrier->timeout_ms);
    barrier->wait_call.callback = on_waited;
    if (barrier->mode == DURABILITY_REPLICA) {
        struct text wait[] = {TEXT("WAIT"), text_of(replicas), text_of(timeout)};
        return redis_command(barrier->redis, &barrier->wait_call, ARRAY_LENGTH(wait), wait);
    }
    struct text wait[] = {TEXT("WAITAOF"), TEXT("1"), TEXT("0"), text_of(timeout)};
    return redis_command(barrier->redis, &barrier->wait_call, ARRAY_LENGTH(wait), wait);
}

/* A mark without a wait behind it, when memory runs out between them, does no harm. */
static int begin(struct barrier *barrier)
{
    struct text mark[] = {TEXT("SET"), text_of(barrier->key), TEXT("1"), TEXT("PX"), TEXT("60000")};
    barrier->marked = false;
    barrier->mark_call.callback = on_marked;
    int status = redis_command(barrier->redis, &barrier->mark_call, ARRAY_LENGTH(mark), mark);
    status = status == 0 ? send_wait(barrier) : status;
    barrier->under_way = status == 0;
    struct list *first;
    while (status == 0 && (first = list_first(&barrier->gathered)) != NULL) {
        list_remove(first);
        list_append(&barrier->passing, first);
    }
    return status;
}

void barrier_init(struct barrier *barrier)
{
    list_init(&barrier->gathered);
    list_init(&barrier->passing);
    barrier->under_way = false;
}

int barrier_join(struct barrier *barrier, struct barrier_wait *wait)
{
    list_append(&barrier->gathered, &wait->link);
    int status = barrier->under_way ? 0 : begin(barrier);
    if (status < 0) {
        list_remove(&wait->link);
    }
    return status;
}
