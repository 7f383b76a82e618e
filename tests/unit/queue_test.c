#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "loop.h"
#include "store/backlog.h"
#include "store/inbox.h"
#include "store/lease.h"
#include "store/rate.h"
#include "store/trim.h"
#include "store/watermark.h"

/*
 * The store against a real Redis of its own, on a unix socket. Everything runs in the test's own process: one loop,
 * turned until what is awaited has come.
 */
#define CLAIM_AFTER_MS 300

static char directory[] = "/tmp/identihook-redis-XXXXXX";
static char socket_path[64];
static pid_t server;
static struct redis_url url;
static struct queue *queue;
static const struct job_fault fault_of_a_try = {.reason = "onboarding_unavailable", .error = "it answered 503"};

/* ---- the server */

static redisContext *connect_plainly(void)
{
    for (int i = 0; i < 1000; i++) {
        redisContext *context = redisConnectUnix(socket_path);
        redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
        bool there = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply) {
            freeReplyObject(reply);
        }
        if (there) {
            return context;
        }
        if (context) {
            redisFree(context);
        }
        (void)usleep(10000); /* a server that starts cannot be awaited in another way */
    }
    ck_abort_msg("redis-server does not start");
    return NULL;
}

static void start_server(void)
{
    server = fork();
    if (server == 0) {
        const char *program = getenv("REDIS_SERVER");
        program = program ? program : "redis-server";
        (void)execlp(program, program, "--port", "0", "--unixsocket", socket_path, "--dir", directory, "--appendonly",
                     "yes", "--appendfsync", "always", "--save", "", "--logfile", "redis.log", "--enable-debug-command",
                     "yes", NULL);
        _exit(127);
    }
    redisFree(connect_plainly());
}

static void stop_server(int signal)
{
    (void)kill(server, signal);
    (void)waitpid(server, NULL, 0);
}

/* A command on a connection of its own; integers come back as they are, everything else as a count or length. */
static long long ask(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    redisContext *context = connect_plainly();
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    ck_assert_ptr_nonnull(reply);
    ck_assert_msg(reply->type != REDIS_REPLY_ERROR, "%s", reply->str);
    long long number = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                       : reply->type == REDIS_REPLY_ARRAY ? (long long)reply->elements
                                                          : (long long)reply->len;
    freeReplyObject(reply);
    redisFree(context);
    return number;
}

static void open_queue(uint64_t call_timeout_ms, size_t lanes)
{
    struct queue_options options = {.url = &url,
                                    .namespace = "test",
                                    .name = "test-queue",
                                    .call_timeout_ms = call_timeout_ms,
                                    .dedupe_window_ms = 60000,
                                    .history_ms = 30000,
                                    .max_calls = 100,
                                    .max_bytes = 1u << 20,
                                    .lanes = lanes};
    ck_assert_int_eq(queue_open(&loop, &options, &queue), 0);
    TURN_UNTIL(queue_ready_lanes(queue) == (lanes ? lanes : 1));
}

static void set_up(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(socket_path, sizeof(socket_path), "%s/redis.sock", directory);
    char text[128];
    (void)snprintf(text, sizeof(text), "unix://%s", socket_path);
    ck_assert_int_eq(redis_url_parse(text_of(text), &url), 0);
    loop_open();
    (void)signal(SIGPIPE, SIG_IGN);
    start_server();
    open_queue(2000, 0);
}

static void tear_down(void)
{
    CLOSE(queue_close, queue);
    loop_close();
    redis_url_free(&url);
    stop_server(SIGKILL);
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf %s", directory);
    (void)!system(command);
}

/* ---- putting */

struct put {
    struct queue_put put;
    bool ended;
    enum queue_put_outcome outcome;
};

static void on_put(struct queue_put *queue_put, enum queue_put_outcome outcome)
{
    struct put *put = CONTAINER_OF(queue_put, struct put, put);
    ck_assert(!put->ended);
    put->ended = true;
    put->outcome = outcome;
}

static int start_put_of(struct put *put, const char *id, struct text payload)
{
    struct event event = {.id = text_of(id),
                          .type = TEXT("identity.verification_session.verified"),
                          .session = TEXT("vs_1"),
                          .account = TEXT("acct_1"),
                          .created = 1793268500,
                          .kind = EVENT_VERIFIED};
    *put = (struct put){.put.callback = on_put};
    return queue_put(queue, &put->put, &event, 1793268501000, payload);
}

static int start_put(struct put *put, const char *id)
{
    return start_put_of(put, id, TEXT("{\"the\":\"payload\"}"));
}

static enum queue_put_outcome put_one(const char *id)
{
    struct put put;
    ck_assert_int_eq(start_put(&put, id), 0);
    ck_assert(!put.ended); /* never inside the call */
    TURN_UNTIL(put.ended);
    return put.outcome;
}

START_TEST(an_event_is_queued_once_however_often_it_comes)
{
    struct put puts[20];
    for (size_t i = 0; i < ARRAY_LENGTH(puts); i++) {
        ck_assert_int_eq(start_put(&puts[i], "evt_1"), 0);
    }
    TURN_UNTIL(puts[ARRAY_LENGTH(puts) - 1].ended);
    for (size_t i = 0; i < ARRAY_LENGTH(puts); i++) {
        ck_assert_int_eq(puts[i].outcome, i == 0 ? QUEUE_PUT_QUEUED : QUEUE_PUT_DUPLICATE);
    }
    ck_assert_int_eq(ask("XLEN {test}:events"), 1);
    ck_assert_int_gt(ask("PTTL {test}:seen:evt_1"), 50000);
}
END_TEST

START_TEST(an_event_that_cannot_be_queued_is_not_marked_as_seen)
{
    (void)ask("SET {test}:events other");
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(ask("EXISTS {test}:seen:evt_1"), 0);
    (void)ask("DEL {test}:events");
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
}
END_TEST

/* ---- several connections */

static void open_anew(size_t lanes)
{
    CLOSE(queue_close, queue);
    open_queue(2000, lanes);
}

#define MANY 60

static char large_payload[2000];

/* Puts many large events, each with an id of that prefix, without turning the loop. */
static void start_many_of(struct put puts[MANY], const char *prefix)
{
    memset(large_payload, 'x', sizeof(large_payload));
    for (size_t i = 0; i < MANY; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "%s_%zu", prefix, i);
        ck_assert_int_eq(start_put_of(&puts[i], id, (struct text){large_payload, sizeof(large_payload)}), 0);
    }
}

static void start_many(struct put puts[MANY])
{
    start_many_of(puts, "evt");
}

static size_t ended_of(const struct put *puts, size_t count, enum queue_put_outcome outcome)
{
    size_t ended = 0;
    for (size_t i = 0; i < count; i++) {
        ended += puts[i].ended && puts[i].outcome == outcome;
    }
    return ended;
}

static size_t ended(const struct put puts[MANY], enum queue_put_outcome outcome)
{
    return ended_of(puts, MANY, outcome);
}

START_TEST(one_connection_is_filled_before_the_next_and_all_share_what_is_more)
{
    struct put puts[MANY];
    struct put small;
    open_anew(4);
    ck_assert_int_eq(start_put(&small, "evt_small"), 0);
    start_many(puts);
    (void)uv_run(&loop, UV_RUN_NOWAIT); /* its end sends them */
    /* 120 kB, of which each of four has its part. */
    ck_assert_uint_ge(redis_bytes(queue_redis(queue)), 16384);
    ck_assert_uint_lt(redis_bytes(queue_redis(queue)), 48 * 1024);
    TURN_UNTIL(small.ended && ended(puts, QUEUE_PUT_QUEUED) == MANY);
    ck_assert_int_eq(ask("XLEN {test}:events"), MANY + 1);
    ck_assert_uint_eq(redis_bytes(queue_redis(queue)), 0);
}
END_TEST

START_TEST(the_bound_holds_for_all_connections_together)
{
    struct put puts[101];
    open_anew(4);
    for (size_t i = 0; i < 100; i++) {
        ck_assert_int_eq(start_put(&puts[i], "evt_1"), 0);
    }
    ck_assert_int_eq(start_put(&puts[100], "evt_2"), -ENOBUFS);
    TURN_UNTIL(puts[99].ended && puts[0].ended);
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
}
END_TEST

/* The id by which Redis knows the connection of that name. */
static long long client_id(const char *name)
{
    redisContext *context = connect_plainly();
    redisReply *reply = redisCommand(context, "CLIENT LIST");
    char wanted[64];
    (void)snprintf(wanted, sizeof(wanted), " name=%s ", name);
    char *found = reply->str;
    while (found && !(strstr(found, wanted) < strchr(found, '\n') && strstr(found, wanted))) {
        found = strchr(found, '\n') + 1;
    }
    long long id = strtoll(found + strlen("id="), NULL, 10);
    freeReplyObject(reply);
    redisFree(context);
    return id;
}

START_TEST(a_lost_connection_leaves_the_others_at_work_and_comes_back)
{
    struct put puts[MANY];
    open_anew(4);
    ck_assert_int_eq(ask("CLIENT KILL ID %lld", client_id("test-queue-2")), 1);
    start_many(puts); /* nobody has noticed yet */
    TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) + ended(puts, QUEUE_PUT_UNKNOWN) == MANY);
    ck_assert_uint_ge(ended(puts, QUEUE_PUT_QUEUED), MANY / 2);
    ck_assert_uint_ge(ended(puts, QUEUE_PUT_UNKNOWN), 1);
    ck_assert(queue_is_ready(queue));
    TURN_UNTIL(queue_ready_lanes(queue) == 4);
    start_many(puts);
    TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) + ended(puts, QUEUE_PUT_DUPLICATE) == MANY);
    ck_assert_int_eq(ask("XLEN {test}:events"), MANY);
}
END_TEST

START_TEST(a_script_that_redis_has_forgotten_is_sent_again_unseen)
{
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
    (void)ask("SCRIPT FLUSH");
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
    ck_assert_int_eq(put_one("evt_3"), QUEUE_PUT_QUEUED);
    ck_assert_int_eq(ask("XLEN {test}:events"), 3);
}
END_TEST

START_TEST(more_calls_than_the_limit_are_refused_at_once)
{
    struct put puts[101];
    for (size_t i = 0; i < 100; i++) {
        ck_assert_int_eq(start_put(&puts[i], "evt_1"), 0);
    }
    ck_assert_int_lt(start_put(&puts[100], "evt_2"), 0);
    TURN_UNTIL(puts[99].ended);
    ck_assert_uint_eq(redis_bytes(queue_redis(queue)), 0);
}
END_TEST

/* ---- many events in one turn of the loop */

static const char *const three_ids[] = {"evt_1", "evt_2", "evt_3"};

static void put_three(struct put puts[3])
{
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(start_put(&puts[i], three_ids[i]), 0);
    }
    TURN_UNTIL(puts[0].ended && puts[1].ended && puts[2].ended);
}

static long long marks(void)
{
    return ask("EVAL %s 0", "return #redis.call('KEYS', '{test}:seen:*')");
}

static long long calls_of_scripts(void)
{
    return ask("EVAL %s 0", "return tonumber(redis.call('INFO', 'commandstats'):match('evalsha:calls=(%d+)') or 0)");
}

START_TEST(events_of_one_turn_leave_in_one_call_and_each_has_its_own_outcome)
{
    struct put puts[3];
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
    (void)ask("CONFIG RESETSTAT");
    put_three(puts);
    ck_assert_int_eq(puts[0].outcome, QUEUE_PUT_QUEUED);
    ck_assert_int_eq(puts[1].outcome, QUEUE_PUT_DUPLICATE);
    ck_assert_int_eq(puts[2].outcome, QUEUE_PUT_QUEUED);
    ck_assert_int_eq(ask("XLEN {test}:events"), 3);
    ck_assert_int_eq(calls_of_scripts(), 1);
}
END_TEST

START_TEST(no_call_keeps_redis_from_others_for_long)
{
    struct put puts[MANY];
    (void)ask("CONFIG RESETSTAT");
    for (size_t i = 0; i < 33; i++) {
        ck_assert_int_eq(start_put(&puts[i], "evt_small"), 0);
    }
    TURN_UNTIL(puts[32].ended);              /* of one connection: the last one */
    ck_assert_int_eq(calls_of_scripts(), 3); /* 16 events at most */
    start_many(puts);
    TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) == MANY);
    ck_assert_int_eq(calls_of_scripts(), 3 + 4); /* and about 32 KB */
}
END_TEST

START_TEST(an_event_that_is_refused_does_not_change_what_another_of_its_turn_is_told)
{
    struct put puts[3];
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
    (void)ask("SET {test}:events other");
    put_three(puts);
    ck_assert_int_eq(puts[0].outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(puts[1].outcome, QUEUE_PUT_DUPLICATE);
    ck_assert_int_eq(puts[2].outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(ask("EXISTS {test}:seen:evt_1 {test}:seen:evt_3"), 0);
}
END_TEST

START_TEST(events_that_are_refused_half_way_leave_those_before_them_queued)
{
    struct put puts[3];
    ck_assert_int_eq(put_one("evt_0"), QUEUE_PUT_QUEUED);
    (void)ask("XSETID {test}:events 18446744073709551615-18446744073709551614"); /* there is one more id */
    put_three(puts);
    ck_assert_int_eq(puts[0].outcome, QUEUE_PUT_QUEUED);
    ck_assert_int_eq(puts[1].outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(puts[2].outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(ask("XLEN {test}:events"), 2);
    ck_assert_int_eq(marks(), 2);
}
END_TEST

START_TEST(events_of_one_turn_that_redis_refuses_are_all_unknown_and_unmarked)
{
    struct put puts[3];
    (void)ask("CONFIG SET maxmemory 1");
    put_three(puts);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(puts[i].outcome, QUEUE_PUT_UNKNOWN);
    }
    ck_assert_int_eq(queue_trouble(queue), REDIS_OUT_OF_MEMORY);
    ck_assert_int_eq(marks(), 0);
    (void)ask("CONFIG SET maxmemory 0");
    TURN_UNTIL(queue_is_ready(queue));
    put_three(puts);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(puts[i].outcome, QUEUE_PUT_QUEUED);
    }
}
END_TEST

START_TEST(when_memory_runs_out_those_that_are_queued_are_those_that_are_marked)
{
    struct put puts[MANY];
    size_t queued = 0;
    size_t unknown = 0;
    open_anew(1);
    long long used = ask("EVAL %s 0", "return tonumber(redis.call('INFO', 'memory'):match('used_memory:(%d+)'))");
    (void)ask("CONFIG SET maxmemory %lld", used + 1000000);
    for (int round = 0; unknown == 0; round++) {
        char prefix[16];
        (void)snprintf(prefix, sizeof(prefix), "evt_%d", round);
        start_many_of(puts, prefix);
        TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) + ended(puts, QUEUE_PUT_UNKNOWN) == MANY);
        queued += ended(puts, QUEUE_PUT_QUEUED);
        unknown = ended(puts, QUEUE_PUT_UNKNOWN);
    }
    ck_assert_uint_gt(queued, 0);
    ck_assert_int_eq(ask("XLEN {test}:events"), (long long)queued);
    ck_assert_int_eq(marks(), (long long)queued);
}
END_TEST

START_TEST(events_whose_connection_breaks_are_all_unknown_and_safe_to_put_again)
{
    struct put puts[MANY];
    (void)kill(server, SIGSTOP);
    start_many(puts);
    (void)uv_run(&loop, UV_RUN_NOWAIT); /* they leave */
    redis_reconnect(queue_redis(queue), "of the test");
    ck_assert_uint_eq(ended(puts, QUEUE_PUT_UNKNOWN), MANY);
    ck_assert_uint_eq(redis_bytes(queue_redis(queue)), 0);
    (void)kill(server, SIGCONT);
    TURN_UNTIL(queue_is_ready(queue));
    start_many(puts);
    TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) + ended(puts, QUEUE_PUT_DUPLICATE) == MANY);
    ck_assert_int_eq(ask("XLEN {test}:events"), MANY);
}
END_TEST

START_TEST(a_connection_that_is_lost_before_the_turn_ends_leaves_its_events_unknown)
{
    struct put puts[MANY];
    start_many(puts);
    redis_reconnect(queue_redis(queue), "of the test");
    ck_assert_uint_eq(ended(puts, QUEUE_PUT_UNKNOWN), 0); /* never inside a call */
    TURN_UNTIL(ended(puts, QUEUE_PUT_UNKNOWN) == MANY);
    TURN_UNTIL(queue_is_ready(queue));
    ck_assert_int_eq(ask("XLEN {test}:events") + marks(), 0);
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
}
END_TEST

START_TEST(events_that_wait_for_the_end_of_their_turn_are_unknown_when_the_queue_is_closed)
{
    struct put put;
    ck_assert_int_eq(start_put(&put, "evt_1"), 0);
    open_anew(4);
    ck_assert(put.ended);
    ck_assert_int_eq(put.outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_eq(ask("XLEN {test}:events"), 0);
}
END_TEST

START_TEST(many_large_events_survive_that_redis_forgot_the_script)
{
    struct put puts[MANY];
    open_anew(1);
    (void)ask("SCRIPT FLUSH");
    start_many(puts);
    TURN_UNTIL(ended(puts, QUEUE_PUT_QUEUED) == MANY);
    ck_assert_int_eq(ask("XLEN {test}:events"), MANY);
}
END_TEST

/* An entry is whole when its payload is the last letter of its event's id, many times. */
static long long whole_entries(size_t length)
{
    return ask("EVAL %s 1 {test}:events %d",
               "local whole = 0 "
               "for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do"
               "    local event, payload = entry[2][2], entry[2][18] "
               "    if payload == event:sub(-1):rep(ARGV[1]) then whole = whole + 1 end "
               "end "
               "return whole",
               (int)length);
}

/* More than one write takes, and than the socket takes: some of it lent, some copied, and all in order. */
START_TEST(events_arrive_whole_however_little_the_socket_takes_at_a_time)
{
    static char payload[10000];
    struct put puts[90];
    open_anew(1);
    (void)kill(server, SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(puts); i++) {
        char id[32];
        int letter = 'a' + (int)(i % 26);
        (void)snprintf(id, sizeof(id), "evt_%zu_%c", i, letter);
        memset(payload, letter, sizeof(payload)); /* one after the other in the same memory: it is copied */
        ck_assert_int_eq(start_put_of(&puts[i], id, (struct text){payload, sizeof(payload)}), 0);
        if (i == 75 || i == 80) {
            (void)uv_run(&loop, UV_RUN_NOWAIT); /* 760 KB leave, as far as they do, and more comes behind */
        }
    }
    (void)kill(server, SIGCONT);
    TURN_UNTIL(ended_of(puts, ARRAY_LENGTH(puts), QUEUE_PUT_QUEUED) == ARRAY_LENGTH(puts));
    ck_assert_int_eq(whole_entries(sizeof(payload)), ARRAY_LENGTH(puts));
}
END_TEST

START_TEST(more_bytes_than_the_limit_are_refused_at_once)
{
    static char payload[20000];
    struct put puts[60];
    size_t taken = 0;
    open_anew(4);
    while (taken < ARRAY_LENGTH(puts) &&
           start_put_of(&puts[taken], "evt_1", (struct text){payload, sizeof(payload)}) == 0) {
        taken++;
    }
    ck_assert_uint_lt((taken - 1) * sizeof(payload), 1u << 20);
    ck_assert_uint_gt(taken * (sizeof(payload) + 500), 1u << 20); /* the one that reaches it was taken */
    TURN_UNTIL(ended_of(puts, taken, QUEUE_PUT_QUEUED) + ended_of(puts, taken, QUEUE_PUT_DUPLICATE) == taken);
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
}
END_TEST

/* ---- a server that fails */

START_TEST(a_server_that_is_killed_leaves_the_outcome_unknown_and_is_found_again)
{
    struct put put;
    (void)kill(server, SIGSTOP);
    ck_assert_int_eq(start_put(&put, "evt_1"), 0);
    stop_server(SIGKILL);
    TURN_UNTIL(put.ended);
    ck_assert_int_eq(put.outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_int_lt(start_put(&put, "evt_2"), 0);
    start_server();
    TURN_UNTIL(queue_is_ready(queue));
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
}
END_TEST

START_TEST(a_server_that_hangs_fails_calls_at_their_deadline)
{
    struct put put;
    (void)kill(server, SIGSTOP);
    uint64_t started = uv_hrtime();
    uv_update_time(&loop);
    ck_assert_int_eq(start_put(&put, "evt_1"), 0);
    TURN_UNTIL(put.ended);
    uint64_t took_ms = (uv_hrtime() - started) / 1000000;
    ck_assert_int_eq(put.outcome, QUEUE_PUT_UNKNOWN);
    ck_assert_uint_ge(took_ms, 1900);
    ck_assert_uint_le(took_ms, 3000);
    (void)kill(server, SIGCONT);
    TURN_UNTIL(queue_is_ready(queue));
}
END_TEST

/* ---- taking */

struct taken {
    struct inbox *inbox;
    struct list entries;
    size_t answers;
    bool ready;
    int64_t next_ms;
};

static void on_entries(void *context, enum inbox_source source, struct list *entries, int64_t next_ms)
{
    struct taken *taken = context;
    (void)source;
    taken->answers++;
    taken->next_ms = next_ms;
    LIST_EACH(entries, member, following)
    {
        list_remove(member);
        list_append(&taken->entries, member);
    }
}

static void on_ready(void *context)
{
    ((struct taken *)context)->ready = true;
}

static void open_inbox(struct taken *taken, const char *consumer)
{
    struct inbox_options options = {.url = &url,
                                    .reader_name = "test-reader",
                                    .consumer = consumer,
                                    .call_timeout_ms = 2000,
                                    .claim_after_ms = CLAIM_AFTER_MS,
                                    .claim_idle_ms = CLAIM_AFTER_MS,
                                    .on_entries = on_entries,
                                    .on_ready = on_ready,
                                    .context = taken};
    *taken = (struct taken){0};
    list_init(&taken->entries);
    ck_assert_int_eq(inbox_open(&loop, queue, &options, &taken->inbox), 0);
    TURN_UNTIL(taken->ready);
}

static void close_inbox(struct taken *taken)
{
    CLOSE(inbox_close, taken->inbox);
    LIST_EACH(&taken->entries, member, following)
    {
        free(LIST_OBJECT(member, struct entry, link));
    }
}

static void on_second(uv_timer_t *timer)
{
    const struct taken *taken = timer->data;
    inbox_watch(taken->inbox, true);
}

START_TEST(a_worker_that_should_read_and_does_not_is_noticed_and_connects_anew)
{
    struct taken taken;
    uv_timer_t second;
    open_inbox(&taken, "me");
    ck_assert_int_eq(inbox_read(taken.inbox, 1),
                     0); /* its answer comes after the usual wait, and no other is asked for */
    taken.ready = false;
    (void)uv_timer_init(&loop, &second);
    second.data = &taken;
    (void)uv_timer_start(&second, on_second, 0, 100);
    TURN_UNTIL(taken.ready);
    ck_assert_uint_eq(inbox_counters(taken.inbox).restarts, 1);
    ck_assert_uint_eq(inbox_counters(taken.inbox).group_losses, 0);
    uv_close((uv_handle_t *)&second, NULL);
    close_inbox(&taken);
}
END_TEST

/* Asks once and returns the one entry that comes, or NULL. */
static struct entry *take(struct taken *taken, int (*from)(struct inbox *, size_t))
{
    size_t before = taken->answers;
    ck_assert_int_eq(from(taken->inbox, 10), 0);
    TURN_UNTIL(taken->answers > before);
    struct list *first = list_first(&taken->entries);
    if (first) {
        list_remove(first);
    }
    return first ? LIST_OBJECT(first, struct entry, link) : NULL;
}

START_TEST(events_from_before_the_group_are_taken_too)
{
    struct taken taken;
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
    open_inbox(&taken, "me");
    struct entry *entry = take(&taken, inbox_read);
    ck_assert_ptr_nonnull(entry);
    ck_assert_text_eq(entry->event, "evt_1");
    ck_assert_text_eq(entry->session, "vs_1");
    ck_assert_text_eq(entry->account, "acct_1");
    ck_assert_int_eq(entry->kind, EVENT_VERIFIED);
    ck_assert_int_eq(entry->created, 1793268500);
    ck_assert_int_eq(entry->received_ms, 1793268501000);
    free(entry);
    close_inbox(&taken);
}
END_TEST

START_TEST(a_group_that_vanishes_is_made_again_from_the_beginning)
{
    struct taken taken;
    open_inbox(&taken, "me");
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
    (void)ask("XGROUP DESTROY {test}:events identihook");
    taken.ready = false;
    ck_assert_ptr_null(take(&taken, inbox_read));
    TURN_UNTIL(taken.ready);
    struct entry *entry = take(&taken, inbox_read);
    ck_assert_ptr_nonnull(entry);
    free(entry);
    close_inbox(&taken);
}
END_TEST

START_TEST(data_that_is_lost_under_a_blocked_reader_does_not_stop_it)
{
    struct taken taken;
    open_inbox(&taken, "me");
    taken.ready = false;
    ck_assert_int_eq(inbox_read(taken.inbox, 1), 0);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    (void)ask("FLUSHALL");
    TURN_UNTIL(taken.ready);
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
    struct entry *entry = take(&taken, inbox_read);
    ck_assert_ptr_nonnull(entry);
    free(entry);
    close_inbox(&taken);
}
END_TEST

/* ---- leases */

struct operation {
    struct lease_call call;
    bool ended;
    enum lease_outcome outcome;
    char frozen[64];
};

static void on_operation(struct lease_call *call, enum lease_outcome outcome)
{
    struct operation *operation = CONTAINER_OF(call, struct operation, call);
    (void)snprintf(operation->frozen, sizeof(operation->frozen), "%.*s", TEXT_ARGUMENTS(call->frozen));
    operation->ended = true;
    operation->outcome = outcome;
}

#define OPERATE(operation, start)                                                                                      \
    do {                                                                                                               \
        (operation) = (struct operation){.call.callback = on_operation};                                               \
        ck_assert_int_eq((start), 0);                                                                                  \
        TURN_UNTIL((operation).ended);                                                                                 \
    } while (0)

static const char *const effects[] = {"email", "onboarding"};

static void open_ledger(struct operation *operation, const struct lease *lease)
{
    *operation = (struct operation){.call = {.callback = on_operation, .effects = effects, .effect_count = 2}};
    ck_assert_int_eq(lease_open(lease, &operation->call), 0);
    TURN_UNTIL(operation->ended);
}

static struct lease lease_of(const struct entry *entry, const char *consumer)
{
    ck_assert_ptr_nonnull(entry);
    return (struct lease){
        .queue = queue, .consumer = consumer, .entry = entry, .needs_turn = true, .claim_after_ms = CLAIM_AFTER_MS};
}

static struct lease take_lease(struct taken *taken, const char *consumer)
{
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_QUEUED);
    open_inbox(taken, consumer);
    struct entry *entry = take(taken, inbox_read);
    ck_assert_ptr_nonnull(entry);
    return lease_of(entry, consumer);
}

static void end_lease(struct lease *lease, struct taken *taken)
{
    free((struct entry *)(uintptr_t)lease->entry);
    close_inbox(taken);
}

static const struct lease_ending ending = {
    .user = "user_1", .status = "verified", .outcome = "done", .effects = "email"};

START_TEST(a_finished_event_is_in_the_outcomes_and_nowhere_else)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 1);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 0);
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 0);
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    ck_assert_int_eq(operation.outcome, LEASE_LOST); /* repeating it changes nothing */
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 1);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(the_ledger_remembers_what_was_done_and_what_failed)
{
    static const struct job_fault fault = {.reason = "onboarding_refused", .error = "it answered 410"};
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    open_ledger(&operation, &lease);
    ck_assert_uint_eq(operation.call.ledger.done, 0);
    OPERATE(operation, lease_record_done(&lease, &operation.call, "email"));
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    OPERATE(operation, lease_record_failed(&lease, &operation.call, "onboarding", &fault));
    open_ledger(&operation, &lease);
    ck_assert_uint_eq(operation.call.ledger.done, 1);
    ck_assert_uint_eq(operation.call.ledger.failed, 2);
    ck_assert_str_eq(operation.call.ledger.fault.reason, "onboarding_refused");
    ck_assert_str_eq(operation.call.ledger.fault.error, "it answered 410");
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(a_retry_comes_back_when_it_is_due_and_counts_as_a_failure)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_retry(&lease, &operation.call, 300, &fault_of_a_try));
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 0);
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 1);
    ck_assert_ptr_null(take(&taken, inbox_due));
    ck_assert_int_gt(taken.next_ms, 0);
    ck_assert_int_le(taken.next_ms, 300);
    struct entry *again = NULL;
    while (!again) {
        again = take(&taken, inbox_due);
    }
    ck_assert_text_eq(again->event, "evt_1");
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 0);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 1);
    struct lease second = lease_of(again, "me");
    open_ledger(&operation, &second);
    ck_assert_uint_eq(operation.call.ledger.failures, 1);
    ck_assert_uint_eq(operation.call.ledger.takeovers, 0);
    free(again);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(each_failed_try_stays_in_the_ledger_with_its_time_and_its_error)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_retry(&lease, &operation.call, 0, &fault_of_a_try));
    ck_assert_int_eq(ask("HINCRBY {test}:effects:evt_1 tries 0"), 1);
    ck_assert_int_eq(
        ask("EVAL return(string.match(redis.call('HGET','{test}:effects:evt_1','try:1'),'^%%d+%%sonboarding_"
            "unavailable%%sit%%sanswered%%s503$')~=nil) 0"),
        1);
    for (int i = 2; i <= 40; i++) { /* and not more than the last 32 */
        struct entry *again = take(&taken, inbox_due);
        struct lease next = lease_of(again, "me");
        OPERATE(operation, lease_retry(&next, &operation.call, 0, &fault_of_a_try));
        free(again);
    }
    ck_assert_int_eq(ask("HINCRBY {test}:effects:evt_1 tries 0"), 40);
    ck_assert_int_eq(ask("HLEN {test}:effects:evt_1"), 33);
    ck_assert_int_eq(ask("HEXISTS {test}:effects:evt_1 try:8"), 0);
    ck_assert_int_eq(ask("HEXISTS {test}:effects:evt_1 try:40"), 1);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(what_is_in_process_is_not_taken_away_when_it_is_due)
{
    struct taken taken;
    struct taken other;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    (void)ask("ZADD {test}:retry 1 %s", lease.entry->id.data); /* as after its group was made anew */
    open_inbox(&other, "other");
    ck_assert_ptr_null(take(&other, inbox_due));
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 0);
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    close_inbox(&other);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(a_hand_back_is_due_at_once_and_counts_as_no_failure)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_release(&lease, &operation.call));
    struct entry *again = take(&taken, inbox_due);
    ck_assert_ptr_nonnull(again);
    struct lease second = lease_of(again, "me");
    open_ledger(&operation, &second);
    ck_assert_uint_eq(operation.call.ledger.failures, 0);
    free(again);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(a_buried_event_is_whole_in_the_dead_letters)
{
    static const struct job_fault fault = {.reason = "session_not_found", .error = "check the key"};
    struct lease_ending dead = {.outcome = "dead", .status = "verified"};
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_bury(&lease, &operation.call, &dead, &fault, 3));
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    ck_assert_int_eq(ask("XLEN {test}:dead"), 1);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 0);
    redisContext *context = connect_plainly();
    redisReply *reply = redisCommand(context, "XRANGE {test}:dead - +");
    const redisReply *fields = reply->element[0]->element[1];
    const char *wanted[][2] = {{"event", "evt_1"},
                               {"payload", "{\"the\":\"payload\"}"},
                               {"reason", "session_not_found"},
                               {"error", "check the key"},
                               {"attempts", "3"},
                               {"account", "acct_1"}};
    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        bool found = false;
        for (size_t j = 0; j + 1 < fields->elements; j += 2) {
            found = found || (strcmp(fields->element[j]->str, wanted[i][0]) == 0 &&
                              strcmp(fields->element[j + 1]->str, wanted[i][1]) == 0);
        }
        ck_assert_msg(found, "%s is missing", wanted[i][0]);
    }
    freeReplyObject(reply);
    redisFree(context);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(what_a_silent_owner_has_is_claimed_and_lost_to_it)
{
    struct taken silent;
    struct taken other;
    struct operation operation;
    struct lease lease = take_lease(&silent, "silent");
    open_inbox(&other, "other");
    ck_assert_ptr_null(take(&other, inbox_claim)); /* too early */
    struct entry *claimed = NULL;
    while (!claimed) {
        claimed = take(&other, inbox_claim);
    }
    struct lease second = lease_of(claimed, "other");
    open_ledger(&operation, &second);
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    ck_assert_uint_eq(operation.call.ledger.takeovers, 1);

    open_ledger(&operation, &lease);
    ck_assert_int_eq(operation.outcome, LEASE_LOST);
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    ck_assert_int_eq(operation.outcome, LEASE_LOST);
    OPERATE(operation, lease_retry(&lease, &operation.call, 0, &fault_of_a_try));
    ck_assert_int_eq(operation.outcome, LEASE_LOST);
    OPERATE(operation, lease_bury(&lease, &operation.call, &ending, &(struct job_fault){.reason = "x"}, 1));
    ck_assert_int_eq(operation.outcome, LEASE_LOST);
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 0);
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 0);
    ck_assert_int_eq(ask("EXISTS {test}:dead"), 0);

    /* What is done is done: a success is recorded even when the lease is gone. */
    OPERATE(operation, lease_record_done(&lease, &operation.call, "email"));
    ck_assert_int_eq(operation.outcome, LEASE_LOST);
    open_ledger(&operation, &second);
    ck_assert_uint_eq(operation.call.ledger.done, 1);
    free(claimed);
    close_inbox(&other);
    end_lease(&lease, &silent);
}
END_TEST

struct renewal {
    struct redis_call call;
    bool ended;
    size_t lost;
};

static void on_renewed(struct redis_call *call, const redisReply *reply)
{
    struct renewal *renewal = CONTAINER_OF(call, struct renewal, call);
    renewal->ended = true;
    renewal->lost = reply && reply->type == REDIS_REPLY_ARRAY ? reply->elements : SIZE_MAX;
}

static size_t renew(const struct lease *lease)
{
    struct renewal renewal = {.call.callback = on_renewed};
    struct lease_holder holder = {.queue = queue, .consumer = lease->consumer, .claim_after_ms = CLAIM_AFTER_MS};
    ck_assert_int_eq(lease_renew(&holder, &lease->entry, 1, &renewal.call), 0);
    TURN_UNTIL(renewal.ended);
    return renewal.lost;
}

START_TEST(signs_of_life_keep_an_event_from_being_claimed)
{
    struct taken mine;
    struct taken other;
    struct lease lease = take_lease(&mine, "me");
    open_inbox(&other, "other");
    uint64_t end = uv_hrtime() + UINT64_C(3) * CLAIM_AFTER_MS * 1000000;
    while (uv_hrtime() < end) {
        ck_assert_uint_eq(renew(&lease), 0);
        ck_assert_ptr_null(take(&other, inbox_claim));
    }
    struct entry *claimed = NULL;
    while (!claimed) {
        claimed = take(&other, inbox_claim);
    }
    ck_assert_uint_eq(renew(&lease), 1);
    free(claimed);
    close_inbox(&other);
    end_lease(&lease, &mine);
}
END_TEST

START_TEST(after_redis_was_away_owners_have_time_to_show_themselves)
{
    struct taken mine;
    struct taken other;
    struct lease lease = take_lease(&mine, "me");
    open_inbox(&other, "other");
    ck_assert_ptr_null(take(&other, inbox_claim));
    (void)usleep(2 * CLAIM_AFTER_MS * 1000); /* nobody is heard */
    uint64_t back = uv_hrtime();
    ck_assert_ptr_null(take(&other, inbox_claim));
    ck_assert_uint_eq(renew(&lease), 0);
    struct entry *claimed = NULL;
    while (!claimed) { /* the owner falls silent after all */
        claimed = take(&other, inbox_claim);
    }
    /* Clocks of whole milliseconds, as Redis's, may see one more. */
    ck_assert_uint_ge((uv_hrtime() - back) / 1000000 + 1, CLAIM_AFTER_MS);
    free(claimed);
    close_inbox(&other);
    end_lease(&lease, &mine);
}
END_TEST

struct number {
    struct redis_call call;
    bool ended;
    long long value;
};

static void on_number(struct redis_call *call, const redisReply *reply)
{
    struct number *number = CONTAINER_OF(call, struct number, call);
    number->ended = true;
    number->value = reply ? reply->integer : -1;
}

START_TEST(a_worker_that_ends_surrenders_what_it_has_and_its_name)
{
    struct taken taken;
    struct lease lease = take_lease(&taken, "me");
    struct number number = {.call.callback = on_number};
    ck_assert_int_eq(ask("XINFO CONSUMERS {test}:events identihook"), 1);
    ck_assert_int_eq(lease_surrender(queue, "me", &number.call), 0);
    TURN_UNTIL(number.ended);
    ck_assert_int_eq(number.value, 1);
    ck_assert_int_eq(ask("XINFO CONSUMERS {test}:events identihook"), 0);
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 1);
    struct entry *again = take(&taken, inbox_due);
    ck_assert_ptr_nonnull(again);
    free(again);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(an_entry_that_somebody_deleted_is_dropped_and_not_tried_for_ever)
{
    struct taken taken;
    struct taken other;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_retry(&lease, &operation.call, 0, &fault_of_a_try));
    (void)ask("XTRIM {test}:events MAXLEN 0");
    ck_assert_ptr_null(take(&taken, inbox_due));
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 0);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 0);
    open_inbox(&other, "other");
    close_inbox(&other);
    end_lease(&lease, &taken);
}
END_TEST

/* ---- the turns of a session */

static void free_entry(struct lease *lease)
{
    free((struct entry *)(uintptr_t)lease->entry);
    lease->entry = NULL;
}

static enum lease_outcome open_lease(const struct lease *lease)
{
    struct operation operation;
    open_ledger(&operation, lease);
    return operation.outcome;
}

/* Queues `count` events of one session and takes them. */
static void take_leases(struct taken *taken, const char *consumer, struct lease *leases, size_t count)
{
    open_inbox(taken, consumer);
    for (size_t i = 0; i < count; i++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "evt_%zu", i + 1);
        ck_assert_int_eq(put_one(id), QUEUE_PUT_QUEUED);
        leases[i] = lease_of(take(taken, inbox_read), consumer);
        ck_assert_text_eq(leases[i].entry->event, id);
    }
}

START_TEST(two_events_of_a_session_are_never_in_process_at_once)
{
    struct taken taken;
    struct operation operation;
    struct lease leases[3];
    take_leases(&taken, "me", leases, 3);
    ck_assert_int_eq(open_lease(&leases[1]), LEASE_DONE);
    ck_assert_int_eq(open_lease(&leases[2]), LEASE_WAITS);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_WAITS);
    ck_assert_int_eq(open_lease(&leases[1]), LEASE_DONE); /* asked once more, as after a lost answer */
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_LOST); /* what waits is not in process */
    ck_assert_int_eq(ask("ZCARD {test}:retry"), 2);
    OPERATE(operation, lease_finish(&leases[1], &operation.call, &ending));
    ck_assert(operation.call.handed_on);
    free_entry(&leases[1]);
    for (size_t i = 0; i < 3; i += 2) { /* the one that has waited longest is due at once, and only that one */
        free_entry(&leases[i]);
        leases[i] = lease_of(take(&taken, inbox_due), "me");
        ck_assert_text_eq(leases[i].entry->event, i == 0 ? "evt_1" : "evt_3");
        ck_assert_ptr_null(take(&taken, inbox_due));
        ck_assert_int_eq(open_lease(&leases[i]), LEASE_DONE);
        OPERATE(operation, lease_finish(&leases[i], &operation.call, &ending));
        ck_assert(operation.call.handed_on == (i == 0));
        free_entry(&leases[i]);
    }
    ck_assert_int_eq(ask("EXISTS {test}:turn:vs_1 {test}:waiting:vs_1 {test}:retry"), 0);
    close_inbox(&taken);
}
END_TEST

START_TEST(whatever_ends_a_lease_hands_the_turn_on)
{
    static const struct job_fault fault = {.reason = "x", .error = "y"};
    for (int way = 0; way < 3; way++) {
        struct taken taken;
        struct operation operation;
        struct lease leases[2];
        (void)ask("FLUSHALL");
        take_leases(&taken, "me", leases, 2);
        ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
        ck_assert_int_eq(open_lease(&leases[1]), LEASE_WAITS);
        OPERATE(operation, way == 0   ? lease_retry(&leases[0], &operation.call, 60000, &fault_of_a_try)
                           : way == 1 ? lease_release(&leases[0], &operation.call)
                                      : lease_bury(&leases[0], &operation.call, &ending, &fault, 1));
        ck_assert_int_eq(operation.outcome, LEASE_DONE);
        ck_assert(operation.call.handed_on);
        ck_assert_int_eq(open_lease(&leases[1]), LEASE_LOST); /* it must be taken first */
        do {                                                  /* a release is due at once, too */
            free_entry(&leases[1]);
            leases[1] = lease_of(take(&taken, inbox_due), "me");
        } while (!text_equal(leases[1].entry->event, TEXT("evt_2")));
        ck_assert_int_eq(open_lease(&leases[1]), LEASE_DONE);
        free_entry(&leases[0]);
        end_lease(&leases[1], &taken);
    }
}
END_TEST

START_TEST(a_failed_event_waits_for_the_others_that_came_before_it_was_due)
{
    struct taken taken;
    struct operation operation;
    struct lease leases[2];
    take_leases(&taken, "me", leases, 2);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    OPERATE(operation, lease_retry(&leases[0], &operation.call, 0, &fault_of_a_try));
    ck_assert(!operation.call.handed_on);
    ck_assert_int_eq(open_lease(&leases[1]), LEASE_DONE);
    free_entry(&leases[0]);
    leases[0] = lease_of(take(&taken, inbox_due), "me");
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_WAITS);
    OPERATE(operation, lease_retry(&leases[1], &operation.call, 60000, &fault_of_a_try));
    ck_assert(operation.call.handed_on);
    free_entry(&leases[0]);
    leases[0] = lease_of(take(&taken, inbox_due), "me");
    open_ledger(&operation, &leases[0]);
    ck_assert_int_eq(operation.outcome, LEASE_DONE);
    ck_assert_uint_eq(operation.call.ledger.failures, 1); /* to have waited is no failure */
    free_entry(&leases[1]);
    end_lease(&leases[0], &taken);
}
END_TEST

START_TEST(a_turn_whose_holder_is_nowhere_is_taken_over)
{
    struct taken taken;
    struct lease leases[1];
    take_leases(&taken, "me", leases, 1);
    (void)ask("SET {test}:turn:vs_1 1-1 PX 60000");
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    end_lease(&leases[0], &taken);
}
END_TEST

START_TEST(what_waits_asks_again_by_itself_should_its_turn_never_be_given_on)
{
    struct taken taken;
    struct lease leases[2];
    take_leases(&taken, "me", leases, 2);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    ck_assert_int_eq(open_lease(&leases[1]), LEASE_WAITS);
    (void)ask("XACK {test}:events identihook %s", leases[0].entry->id.data); /* lost, however that came */
    (void)ask("DEL {test}:waiting:vs_1");
    do {
        free_entry(&leases[1]);
        struct entry *entry = NULL;
        while (!entry) {
            entry = take(&taken, inbox_due);
        }
        leases[1] = lease_of(entry, "me");
    } while (open_lease(&leases[1]) != LEASE_DONE);
    free_entry(&leases[0]);
    end_lease(&leases[1], &taken);
}
END_TEST

START_TEST(a_group_made_anew_does_not_give_away_the_turn_of_one_that_is_at_work)
{
    struct taken taken;
    struct taken other;
    struct lease leases[1];
    struct lease again[2];
    take_leases(&taken, "me", leases, 1);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    (void)ask("XGROUP DESTROY {test}:events identihook");
    (void)ask("XGROUP CREATE {test}:events identihook 0");
    open_inbox(&other, "other");
    again[0] = lease_of(take(&other, inbox_read), "other");
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
    again[1] = lease_of(take(&other, inbox_read), "other");
    ck_assert_int_eq(open_lease(&again[0]), LEASE_LOST);
    ck_assert_int_eq(open_lease(&again[1]), LEASE_WAITS);
    (void)ask("PEXPIRE {test}:turn:vs_1 1000"); /* as if it had fallen silent */
    ck_assert_int_eq(open_lease(&again[0]), LEASE_DONE);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_LOST);
    free_entry(&leases[0]);
    free_entry(&again[1]);
    close_inbox(&taken);
    end_lease(&again[0], &other);
}
END_TEST

START_TEST(an_event_that_sets_nothing_off_needs_no_turn)
{
    struct taken taken;
    struct operation operation;
    struct lease leases[2];
    take_leases(&taken, "me", leases, 2);
    leases[1].needs_turn = false;
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    ck_assert_int_eq(open_lease(&leases[1]), LEASE_DONE);
    OPERATE(operation, lease_finish(&leases[1], &operation.call, &ending));
    ck_assert_int_eq(ask("EXISTS {test}:turn:vs_1"), 1); /* that of the other */
    free_entry(&leases[0]);
    end_lease(&leases[1], &taken);
}
END_TEST

START_TEST(signs_of_life_keep_the_turn_as_well)
{
    struct taken taken;
    struct lease leases[1];
    take_leases(&taken, "me", leases, 1);
    ck_assert_int_eq(open_lease(&leases[0]), LEASE_DONE);
    (void)ask("PEXPIRE {test}:turn:vs_1 1000");
    ck_assert_uint_eq(renew(&leases[0]), 0);
    ck_assert_int_gt(ask("PTTL {test}:turn:vs_1"), 60000);
    end_lease(&leases[0], &taken);
}
END_TEST

/* ---- what is finished */

START_TEST(a_finished_event_is_not_carried_out_again_when_the_group_is_made_anew)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    ck_assert_int_gt(ask("PTTL {test}:seen:evt_1"), 50000);
    (void)ask("XGROUP SETID {test}:events identihook 0");
    free_entry(&lease);
    lease = lease_of(take(&taken, inbox_read), "me");
    ck_assert_int_eq(open_lease(&lease), LEASE_SETTLED);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10"), 0);
    ck_assert_int_eq(put_one("evt_1"), QUEUE_PUT_DUPLICATE);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(a_finished_event_that_is_added_again_on_purpose_is_carried_out)
{
    struct taken taken;
    struct operation operation;
    struct lease lease = take_lease(&taken, "me");
    OPERATE(operation, lease_finish(&lease, &operation.call, &ending));
    (void)usleep(2000); /* ids of the stream count milliseconds */
    (void)ask("XADD {test}:events * event evt_1 type t session vs_1");
    free_entry(&lease);
    lease = lease_of(take(&taken, inbox_read), "me");
    ck_assert_int_eq(open_lease(&lease), LEASE_DONE);
    end_lease(&lease, &taken);
}
END_TEST

START_TEST(the_ledger_of_a_finished_event_is_kept_for_the_history_and_that_of_a_dead_one_for_ever)
{
    static const struct job_fault fault = {.reason = "x", .error = "y"};
    struct taken taken;
    struct operation operation;
    struct lease leases[2];
    take_leases(&taken, "me", leases, 2);
    leases[0].needs_turn = leases[1].needs_turn = false;
    OPERATE(operation, lease_record_done(&leases[0], &operation.call, "email"));
    OPERATE(operation, lease_record_done(&leases[1], &operation.call, "email"));
    ck_assert_int_gt(ask("PTTL {test}:effects:evt_1"), 86400000); /* however long it is in work */
    OPERATE(operation, lease_finish(&leases[0], &operation.call, &ending));
    OPERATE(operation, lease_bury(&leases[1], &operation.call, &ending, &fault, 1));
    for (size_t i = 0; i < 2;
         i++) { /* somebody who lost it, and comes late with a success, changes nothing about that */
        OPERATE(operation, lease_record_done(&leases[i], &operation.call, "onboarding"));
        ck_assert_int_eq(operation.outcome, LEASE_LOST);
    }
    ck_assert_int_le(ask("PTTL {test}:effects:evt_1"), 30000);
    ck_assert_int_gt(ask("PTTL {test}:effects:evt_1"), 20000);
    ck_assert_int_eq(ask("PTTL {test}:effects:evt_2"), -1);
    free_entry(&leases[0]);
    end_lease(&leases[1], &taken);
}
END_TEST

static const char *freeze(const struct lease *lease, const char *mail)
{
    static struct operation operation;
    operation = (struct operation){.call = {.callback = on_operation, .mail = text_of(mail)}};
    ck_assert_int_eq(lease_open(lease, &operation.call), 0);
    TURN_UNTIL(operation.ended);
    return operation.outcome == LEASE_DONE ? operation.frozen : NULL;
}

START_TEST(a_mail_is_frozen_once_and_kept_until_its_event_ends)
{
    static const struct job_fault fault = {.reason = "x", .error = "y"};
    struct taken taken;
    struct operation operation;
    struct lease leases[2];
    take_leases(&taken, "me", leases, 2);
    leases[0].needs_turn = leases[1].needs_turn = false;
    open_ledger(&operation, &leases[0]);
    ck_assert_int_eq(ask("EXISTS {test}:mail:evt_1"), 0);
    ck_assert_str_eq(freeze(&leases[0], "the first"), "the first");
    ck_assert_str_eq(freeze(&leases[1], "the other's"), "the other's");
    ck_assert_int_gt(ask("PTTL {test}:mail:evt_1"), 86400000);
    OPERATE(operation, lease_retry(&leases[0], &operation.call, 0, &fault_of_a_try));
    ck_assert_ptr_null(freeze(&leases[0], "of a stranger"));
    free_entry(&leases[0]);
    leases[0] = lease_of(take(&taken, inbox_due), "me");
    ck_assert_str_eq(freeze(&leases[0], "a later one"), "the first");
    OPERATE(operation, lease_finish(&leases[0], &operation.call, &ending));
    OPERATE(operation, lease_bury(&leases[1], &operation.call, &ending, &fault, 1));
    ck_assert_int_eq(ask("EXISTS {test}:mail:evt_1 {test}:mail:evt_2"), 0);
    ck_assert_ptr_null(freeze(&leases[0], "too late"));
    ck_assert_int_eq(ask("EXISTS {test}:mail:evt_1"), 0);
    free_entry(&leases[0]);
    end_lease(&leases[1], &taken);
}
END_TEST

/* ---- trimming */

struct trimming {
    struct trim_call call;
    struct trim_report report;
    bool ended;
};

static void on_trimmed(struct trim_call *call, const struct trim_report *report)
{
    struct trimming *trimming = CONTAINER_OF(call, struct trimming, call);
    ck_assert_ptr_nonnull(report);
    trimming->report = *report;
    trimming->ended = true;
}

static void step_trimming(struct trimming *trimming, const char *consumer, bool begins)
{
    trimming->ended = false;
    trimming->call.callback = on_trimmed;
    trimming->call.consumer = consumer;
    trimming->call.every_ms = 50;
    trimming->call.stalled_ms = 50;
    trimming->call.begins = begins;
    ck_assert_int_eq(trim_step(queue, &trimming->call), 0);
    TURN_UNTIL(trimming->ended);
}

/* A whole run: how many events were taken away. The report is that of its beginning. */
static uint64_t trim_all(struct trimming *trimming)
{
    *trimming = (struct trimming){.call.forgotten_ms = 3600000};
    step_trimming(trimming, "me", true);
    struct trim_report first = trimming->report;
    uint64_t removed = first.events;
    while (trimming->report.events > 0 || trimming->report.more) {
        step_trimming(trimming, "me", false);
        ck_assert(trimming->report.ours);
        removed += trimming->report.events;
    }
    trimming->report = first;
    return removed;
}

static bool is_in_stream(const struct lease *lease)
{
    return ask("XRANGE {test}:events %s %s", lease->entry->id.data, lease->entry->id.data) == 1;
}

START_TEST(what_has_ended_is_taken_away_and_nothing_else)
{
    static const struct job_fault fault = {.reason = "x", .error = "y"};
    enum { DONE, RETRIED, DONE_BEHIND, WAITING, DEAD_BEHIND, IN_PROCESS, DONE_AT_LAST, COUNT };
    struct taken taken;
    struct operation operation;
    struct trimming trimming;
    struct lease leases[COUNT];
    take_leases(&taken, "me", leases, COUNT);
    ck_assert_int_eq(put_one("evt_unread"), QUEUE_PUT_QUEUED);
    ck_assert_int_eq(open_lease(&leases[IN_PROCESS]), LEASE_DONE);
    ck_assert_int_eq(open_lease(&leases[WAITING]), LEASE_WAITS);
    OPERATE(operation, lease_finish(&leases[DONE], &operation.call, &ending));
    OPERATE(operation, lease_retry(&leases[RETRIED], &operation.call, 60000, &fault));
    OPERATE(operation, lease_finish(&leases[DONE_BEHIND], &operation.call, &ending));
    OPERATE(operation, lease_bury(&leases[DEAD_BEHIND], &operation.call, &ending, &fault, 1));
    OPERATE(operation, lease_finish(&leases[DONE_AT_LAST], &operation.call, &ending));
    ck_assert_uint_eq(trim_all(&trimming), 4);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert(is_in_stream(&leases[i]) == (i == RETRIED || i == WAITING || i == IN_PROCESS));
        free_entry(&leases[i]);
    }
    ck_assert_int_eq(ask("XLEN {test}:events"), 4);
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 4); /* they are young */
    ck_assert_uint_eq(trimming.report.group_count, 0);
    close_inbox(&taken);
}
END_TEST

START_TEST(very_many_are_taken_away_in_steps)
{
    struct taken taken;
    struct trimming trimming;
    open_inbox(&taken, "me");
    (void)ask("EVAL %s 0",
              "for i = 1, 5000 do redis.call('XADD', '{test}:events', i .. '-0', 'event', 'evt_' .. i) end");
    (void)ask("XGROUP SETID {test}:events identihook $");
    (void)ask("EVAL %s 0",
              "for i = 3000, 5000, 2 do redis.call('ZADD', '{test}:retry', '9999999999999', i .. '-0') end");
    long long kept = ask("ZCARD {test}:retry");
    ck_assert_int_gt(kept, 500); /* more than are looked through at once */
    ck_assert_uint_eq(trim_all(&trimming), 5000 - (uint64_t)kept);
    ck_assert_int_eq(ask("XLEN {test}:events"), kept);
    (void)ask("DEL {test}:retry");
    ck_assert_uint_gt(trim_all(&trimming), 0);
    ck_assert_uint_le(trimming.report.events, 1000);
    ck_assert_int_eq(ask("XLEN {test}:events"), 0);
    close_inbox(&taken);
}
END_TEST

START_TEST(nothing_is_taken_away_that_another_group_has_not_acknowledged)
{
    struct taken taken;
    struct operation operation;
    struct trimming trimming;
    struct lease leases[3];
    take_leases(&taken, "me", leases, 3);
    (void)ask("XGROUP CREATE {test}:events billing 0");
    for (size_t i = 0; i < 3; i++) {
        OPERATE(operation, lease_finish(&leases[i], &operation.call, &ending));
    }
    ck_assert_uint_eq(trim_all(&trimming), 0); /* it has read nothing */
    (void)ask("XREADGROUP GROUP billing one COUNT 2 STREAMS {test}:events >");
    ck_assert_uint_eq(trim_all(&trimming), 0); /* nor acknowledged */
    (void)ask("XACK {test}:events billing %s", leases[1].entry->id.data);
    ck_assert_uint_eq(trim_all(&trimming), 1);
    ck_assert(!is_in_stream(&leases[1]));
    (void)ask("XACK {test}:events billing %s", leases[0].entry->id.data);
    ck_assert_uint_eq(trim_all(&trimming), 1);
    ck_assert(is_in_stream(&leases[2]));
    (void)usleep(60000); /* it makes no progress, and time passes */
    ck_assert_uint_eq(trim_all(&trimming), 0);
    ck_assert_uint_eq(trimming.report.stalled, 1);
    ck_assert_uint_eq(trimming.report.group_count, 1);
    ck_assert_str_eq(trimming.report.groups[0].name, "billing");
    ck_assert_str_eq(trimming.report.groups[0].stream, "events");
    ck_assert_int_ge(trimming.report.groups[0].age_ms, 50);
    (void)ask("XGROUP DESTROY {test}:events billing");
    ck_assert_uint_eq(trim_all(&trimming), 1);
    ck_assert_uint_eq(trimming.report.stalled, 0);
    for (size_t i = 0; i < 3; i++) {
        free_entry(&leases[i]);
    }
    close_inbox(&taken);
}
END_TEST

START_TEST(nothing_is_taken_away_while_our_group_is_gone)
{
    struct taken taken;
    struct trimming trimming;
    open_inbox(&taken, "me");
    (void)ask("XADD {test}:events 1-0 event evt_1");
    (void)ask("XGROUP CREATE {test}:events billing $");
    (void)ask("XGROUP DESTROY {test}:events identihook");
    ck_assert_uint_eq(trim_all(&trimming), 0);
    (void)ask("XGROUP CREATE {test}:events identihook 0");
    ck_assert_uint_eq(trim_all(&trimming), 0);
    close_inbox(&taken);
}
END_TEST

START_TEST(outcomes_are_kept_for_the_history_and_until_they_are_acknowledged)
{
    struct trimming trimming;
    (void)ask("XADD {test}:outcomes 1-0 event evt_1");
    (void)ask("XADD {test}:outcomes 2-0 event evt_2");
    (void)ask("XADD {test}:outcomes * event evt_3");
    (void)ask("XGROUP CREATE {test}:outcomes billing 1-0");
    (void)trim_all(&trimming);
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 2);
    ck_assert_str_eq(trimming.report.groups[0].stream, "outcomes");
    (void)ask("XGROUP SETID {test}:outcomes billing $");
    (void)trim_all(&trimming);
    ck_assert_int_eq(ask("XLEN {test}:outcomes"), 1);
}
END_TEST

START_TEST(one_of_the_fleet_trims_until_it_is_gone)
{
    struct trimming first = {.call.forgotten_ms = 3600000};
    struct trimming second = first;
    step_trimming(&first, "first", true);
    ck_assert(first.report.ours);
    step_trimming(&second, "second", true);
    ck_assert(!second.report.ours);
    step_trimming(&first, "first", true);
    ck_assert(first.report.ours);
    ck_assert_int_gt(ask("PTTL {test}:trimmer"), 0);
    ck_assert_int_le(ask("PTTL {test}:trimmer"), 1000);
    (void)ask("DEL {test}:trimmer");
    step_trimming(&second, "second", true);
    ck_assert(second.report.ours);
}
END_TEST

START_TEST(consumers_that_left_are_forgotten_but_not_what_they_hold)
{
    struct taken taken;
    struct trimming trimming;
    struct lease lease = take_lease(&taken, "holder");
    (void)ask("XGROUP CREATECONSUMER {test}:events identihook empty");
    ck_assert_int_eq(ask("XINFO CONSUMERS {test}:events identihook"), 2);
    (void)trim_all(&trimming);
    ck_assert_int_eq(ask("XINFO CONSUMERS {test}:events identihook"), 2); /* it may be there again */
    trimming = (struct trimming){.call.forgotten_ms = 0};
    step_trimming(&trimming, "me", true);
    ck_assert_int_eq(ask("XINFO CONSUMERS {test}:events identihook"), 1);
    ck_assert_int_eq(ask("XPENDING {test}:events identihook - + 10 holder"), 1);
    end_lease(&lease, &taken);
}
END_TEST

/* ---- the backlog and the rate */

struct backlog_answer {
    struct backlog_call call;
    bool ended;
};

static void on_backlog(struct backlog_call *call, const struct backlog *backlog, const char *error)
{
    struct backlog_answer *answer = CONTAINER_OF(call, struct backlog_answer, call);
    ck_assert_msg(backlog, "%s", error);
    ck_assert_int_eq(backlog->stream_length, 3);
    ck_assert_int_eq(backlog->retrying, 1);
    ck_assert_int_eq(backlog->waiting_turn, 1);
    ck_assert_int_eq(backlog->due, 0);
    ck_assert_uint_eq(backlog->group_count, 2);
    const struct backlog_group *ours =
        &backlog->groups[text_equal(backlog->groups[0].name, TEXT("identihook")) ? 0 : 1];
    ck_assert_int_eq(ours->pending, 1);
    ck_assert_int_eq(ours->unread, 2);
    ck_assert_int_ge(ours->oldest_unread_ms, 0);
    ck_assert_int_ge(ours->oldest_pending_ms, ours->oldest_unread_ms);
    ck_assert_uint_eq(ours->member_count, 1);
    ck_assert_text_eq(ours->members[0].name, "me");
    ck_assert_int_eq(ours->members[0].pending, 1);
    ck_assert_uint_eq(backlog->control.count, 1);
    ck_assert_text_eq(backlog->control.pauses[0].what, "email");
    ck_assert_int_eq(backlog->control.pauses[0].at_ms, 5);
    ck_assert_text_eq(backlog->control.pauses[0].by, "me@here");
    ck_assert_text_eq(backlog->control.pauses[0].reason, "moving");
    answer->ended = true;
}

START_TEST(the_backlog_counts_what_waits_where)
{
    struct taken taken;
    struct lease lease = take_lease(&taken, "me");
    ck_assert_int_eq(put_one("evt_2"), QUEUE_PUT_QUEUED);
    ck_assert_int_eq(put_one("evt_3"), QUEUE_PUT_QUEUED);
    (void)ask("XGROUP CREATE {test}:events another 0");
    (void)ask("HSET {test}:control email %s", "5 me@here moving");
    (void)ask("ZADD {test}:retry 9999999999999 1-1");
    struct backlog_answer answer = {.call.callback = on_backlog};
    ck_assert_int_eq(backlog_read(queue, &answer.call), 0);
    TURN_UNTIL(answer.ended);
    end_lease(&lease, &taken);
}
END_TEST

struct pace {
    struct rate_call call;
    int64_t wait_ms;
    bool ended;
};

static void on_pace(struct rate_call *call, int64_t wait_ms)
{
    struct pace *pace = CONTAINER_OF(call, struct pace, call);
    pace->wait_ms = wait_ms;
    pace->ended = true;
}

START_TEST(the_rate_gives_each_caller_its_own_moment)
{
    enum { CALLS = 40 };
    struct pace paces[CALLS];
    for (size_t i = 0; i < CALLS; i++) {
        paces[i] = (struct pace){.call.callback = on_pace};
        ck_assert_int_eq(rate_take(queue, &paces[i].call, false, 20 * 60), 0);
    }
    TURN_UNTIL(paces[CALLS - 1].ended);
    size_t within_a_second = 0;
    for (size_t i = 0; i < CALLS; i++) {
        ck_assert_int_ge(paces[i].wait_ms, 0);
        within_a_second += paces[i].wait_ms < 1000;
    }
    ck_assert_uint_ge(within_a_second, 20);
    ck_assert_uint_le(within_a_second, 25);
}
END_TEST

static long long simple_answer;
static bool simply_answered;

static void on_simple(struct redis_call *call, const redisReply *reply)
{
    (void)call;
    ck_assert_ptr_nonnull(reply);
    ck_assert_int_eq(reply->type, REDIS_REPLY_INTEGER);
    simple_answer = reply->integer;
    simply_answered = true;
}

/* So many at once: the first one's moment, and the time between that and the last one's. */
static int64_t take_paces(size_t count, int64_t *between)
{
    struct pace paces[16];
    for (size_t i = 0; i < count; i++) {
        paces[i] = (struct pace){.call.callback = on_pace};
        ck_assert_int_eq(rate_take(queue, &paces[i].call, false, 100 * 60), 0);
    }
    TURN_UNTIL(paces[count - 1].ended);
    *between = paces[count - 1].wait_ms - paces[0].wait_ms;
    return paces[0].wait_ms;
}

static long long slow_down(uint64_t pause_ms)
{
    struct redis_call call = {.callback = on_simple};
    simply_answered = false;
    ck_assert_int_eq(rate_slow(queue, &call, false, pause_ms), 0);
    TURN_UNTIL(simply_answered);
    return simple_answer;
}

START_TEST(a_rate_that_was_refused_is_halved_for_all_and_they_pause)
{
    int64_t between;
    ck_assert_int_eq(take_paces(1, &between), 0);
    ck_assert_int_eq(slow_down(500), 2);
    ck_assert_int_eq(slow_down(0), 2); /* what is said within a second is said once */
    int64_t first = take_paces(11, &between);
    ck_assert_int_gt(first, 200);
    ck_assert_int_le(first, 500);
    ck_assert_int_ge(between, 150); /* 10 times 20 ms, and no more 10 */
    ck_assert_int_eq(ask("PEXPIRE {test}:slow:test 50000"), 1);
    ck_assert_int_eq(slow_down(0), 4);
    ck_assert_int_eq(ask("EXISTS {test}:slow:live"), 0);
}
END_TEST

START_TEST(an_event_can_be_asked_for_without_being_put_in)
{
    struct redis_call call = {.callback = on_simple};
    ck_assert_int_eq(ask("SET {test}:seen:evt_1 1"), 2);
    for (int i = 0; i < 2; i++) {
        simply_answered = false;
        ck_assert_int_eq(queue_ask(queue, &call, i == 0 ? TEXT("evt_1") : TEXT("evt_2")), 0);
        TURN_UNTIL(simply_answered);
        ck_assert_int_eq(simple_answer, i == 0);
    }
    ck_assert_int_eq(ask("EXISTS {test}:seen:evt_2"), 0);
}
END_TEST

static enum watermark_outcome marked;
static bool mark_answered;

static void on_mark(struct watermark_call *call, enum watermark_outcome outcome)
{
    (void)call;
    marked = outcome;
    mark_answered = true;
}

static struct watermark_call begin_run(const char *holder, uint64_t rest_ms)
{
    struct watermark_call call = {.callback = on_mark};
    mark_answered = false;
    ck_assert_int_eq(watermark_begin(queue, &call, holder, 60000, rest_ms), 0);
    TURN_UNTIL(mark_answered);
    return call;
}

static enum watermark_outcome end_run(const char *holder, int64_t through)
{
    struct watermark_call call = {.callback = on_mark};
    mark_answered = false;
    ck_assert_int_eq(watermark_end(queue, &call, holder, through), 0);
    TURN_UNTIL(mark_answered);
    return marked;
}

START_TEST(one_at_a_time_goes_through_the_list_and_the_next_begins_where_it_ended)
{
    ck_assert_int_eq(begin_run("one", 1000).through, -1);
    ck_assert_int_eq(marked, WATERMARK_OURS);
    struct watermark_call other = begin_run("other", 0);
    ck_assert_int_eq(marked, WATERMARK_NOT_NOW);
    ck_assert_uint_gt(other.wait_ms, 50000);
    ck_assert_int_eq(end_run("other", 5), WATERMARK_NOT_NOW);
    ck_assert_int_eq(end_run("one", 1793268000), WATERMARK_OURS);
    other = begin_run("other", 10000); /* it was done lately */
    ck_assert_int_eq(marked, WATERMARK_NOT_NOW);
    ck_assert_uint_le(other.wait_ms, 10000);
    ck_assert_int_eq(other.through, 1793268000);
    ck_assert_int_eq(begin_run("other", 0).through, 1793268000);
    ck_assert_int_eq(marked, WATERMARK_OURS);
    ck_assert_int_eq(end_run("other", 1793260000), WATERMARK_OURS);
    ck_assert_int_eq(begin_run("one", 0).through, 1793268000); /* never back */
}
END_TEST

START_TEST(who_has_fallen_silent_makes_room_and_who_has_lost_it_is_told)
{
    (void)begin_run("one", 0);
    ck_assert_int_eq(ask("HSET {test}:reconcile until 1"), 0); /* its time is over */
    (void)begin_run("other", 0);
    ck_assert_int_eq(marked, WATERMARK_OURS);
    struct watermark_call call = {.callback = on_mark};
    mark_answered = false;
    ck_assert_int_eq(watermark_keep(queue, &call, "one", 60000), 0);
    TURN_UNTIL(mark_answered);
    ck_assert_int_eq(marked, WATERMARK_NOT_NOW);
    ck_assert_int_eq(ask("DEL {test}:reconcile"), 1); /* redis has lost its data */
    ck_assert_int_eq(end_run("other", 1), WATERMARK_NOT_NOW);
    ck_assert_int_eq(ask("EXISTS {test}:reconcile"), 0);
}
END_TEST

START_TEST(an_inbox_that_closes_while_redis_is_silent_may_still_be_asked_how_it_is)
{
    struct taken taken;
    bool closed = false;
    open_inbox(&taken, "me");
    (void)kill(server, SIGSTOP);
    ck_assert_int_eq(inbox_due(taken.inbox, 1), 0); /* over the queue's connection: it holds the inbox */
    inbox_close(taken.inbox, loop_on_closed, &closed);
    for (int i = 0; i < 100; i++) { /* the reader's handles close in the meantime */
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    }
    ck_assert(!closed);
    ck_assert_int_eq(inbox_trouble(taken.inbox), REDIS_FINE);
    (void)kill(server, SIGCONT);
    TURN_UNTIL(closed);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, an_event_is_queued_once_however_often_it_comes);
    tcase_add_test(tests, an_event_that_cannot_be_queued_is_not_marked_as_seen);
    tcase_add_test(tests, one_connection_is_filled_before_the_next_and_all_share_what_is_more);
    tcase_add_test(tests, the_bound_holds_for_all_connections_together);
    tcase_add_test(tests, a_lost_connection_leaves_the_others_at_work_and_comes_back);
    tcase_add_test(tests, a_script_that_redis_has_forgotten_is_sent_again_unseen);
    tcase_add_test(tests, more_calls_than_the_limit_are_refused_at_once);
    tcase_add_test(tests, events_of_one_turn_leave_in_one_call_and_each_has_its_own_outcome);
    tcase_add_test(tests, no_call_keeps_redis_from_others_for_long);
    tcase_add_test(tests, an_event_that_is_refused_does_not_change_what_another_of_its_turn_is_told);
    tcase_add_test(tests, events_that_are_refused_half_way_leave_those_before_them_queued);
    tcase_add_test(tests, events_of_one_turn_that_redis_refuses_are_all_unknown_and_unmarked);
    tcase_add_test(tests, when_memory_runs_out_those_that_are_queued_are_those_that_are_marked);
    tcase_add_test(tests, events_whose_connection_breaks_are_all_unknown_and_safe_to_put_again);
    tcase_add_test(tests, a_connection_that_is_lost_before_the_turn_ends_leaves_its_events_unknown);
    tcase_add_test(tests, events_that_wait_for_the_end_of_their_turn_are_unknown_when_the_queue_is_closed);
    tcase_add_test(tests, many_large_events_survive_that_redis_forgot_the_script);
    tcase_add_test(tests, events_arrive_whole_however_little_the_socket_takes_at_a_time);
    tcase_add_test(tests, more_bytes_than_the_limit_are_refused_at_once);
    tcase_add_test(tests, a_server_that_is_killed_leaves_the_outcome_unknown_and_is_found_again);
    tcase_add_test(tests, a_server_that_hangs_fails_calls_at_their_deadline);
    tcase_add_test(tests, events_from_before_the_group_are_taken_too);
    tcase_add_test(tests, a_worker_that_should_read_and_does_not_is_noticed_and_connects_anew);
    tcase_add_test(tests, a_group_that_vanishes_is_made_again_from_the_beginning);
    tcase_add_test(tests, data_that_is_lost_under_a_blocked_reader_does_not_stop_it);
    tcase_add_test(tests, a_finished_event_is_in_the_outcomes_and_nowhere_else);
    tcase_add_test(tests, the_ledger_remembers_what_was_done_and_what_failed);
    tcase_add_test(tests, a_retry_comes_back_when_it_is_due_and_counts_as_a_failure);
    tcase_add_test(tests, each_failed_try_stays_in_the_ledger_with_its_time_and_its_error);
    tcase_add_test(tests, what_is_in_process_is_not_taken_away_when_it_is_due);
    tcase_add_test(tests, a_hand_back_is_due_at_once_and_counts_as_no_failure);
    tcase_add_test(tests, a_buried_event_is_whole_in_the_dead_letters);
    tcase_add_test(tests, what_a_silent_owner_has_is_claimed_and_lost_to_it);
    tcase_add_test(tests, signs_of_life_keep_an_event_from_being_claimed);
    tcase_add_test(tests, after_redis_was_away_owners_have_time_to_show_themselves);
    tcase_add_test(tests, a_worker_that_ends_surrenders_what_it_has_and_its_name);
    tcase_add_test(tests, an_entry_that_somebody_deleted_is_dropped_and_not_tried_for_ever);
    tcase_add_test(tests, two_events_of_a_session_are_never_in_process_at_once);
    tcase_add_test(tests, whatever_ends_a_lease_hands_the_turn_on);
    tcase_add_test(tests, a_failed_event_waits_for_the_others_that_came_before_it_was_due);
    tcase_add_test(tests, a_turn_whose_holder_is_nowhere_is_taken_over);
    tcase_add_test(tests, what_waits_asks_again_by_itself_should_its_turn_never_be_given_on);
    tcase_add_test(tests, a_group_made_anew_does_not_give_away_the_turn_of_one_that_is_at_work);
    tcase_add_test(tests, an_event_that_sets_nothing_off_needs_no_turn);
    tcase_add_test(tests, signs_of_life_keep_the_turn_as_well);
    tcase_add_test(tests, a_finished_event_is_not_carried_out_again_when_the_group_is_made_anew);
    tcase_add_test(tests, a_finished_event_that_is_added_again_on_purpose_is_carried_out);
    tcase_add_test(tests, the_ledger_of_a_finished_event_is_kept_for_the_history_and_that_of_a_dead_one_for_ever);
    tcase_add_test(tests, a_mail_is_frozen_once_and_kept_until_its_event_ends);
    tcase_add_test(tests, what_has_ended_is_taken_away_and_nothing_else);
    tcase_add_test(tests, very_many_are_taken_away_in_steps);
    tcase_add_test(tests, nothing_is_taken_away_that_another_group_has_not_acknowledged);
    tcase_add_test(tests, nothing_is_taken_away_while_our_group_is_gone);
    tcase_add_test(tests, outcomes_are_kept_for_the_history_and_until_they_are_acknowledged);
    tcase_add_test(tests, one_of_the_fleet_trims_until_it_is_gone);
    tcase_add_test(tests, consumers_that_left_are_forgotten_but_not_what_they_hold);
    tcase_add_test(tests, an_inbox_that_closes_while_redis_is_silent_may_still_be_asked_how_it_is);
    tcase_add_test(tests, the_backlog_counts_what_waits_where);
    tcase_add_test(tests, a_rate_that_was_refused_is_halved_for_all_and_they_pause);
    tcase_add_test(tests, an_event_can_be_asked_for_without_being_put_in);
    tcase_add_test(tests, one_at_a_time_goes_through_the_list_and_the_next_begins_where_it_ended);
    tcase_add_test(tests, who_has_fallen_silent_makes_room_and_who_has_lost_it_is_told);
    tcase_add_test(tests, the_rate_gives_each_caller_its_own_moment);
}

int main(void)
{
    return unit_run("queue", fill);
}
