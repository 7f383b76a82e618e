#include "unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include <hiredis/hiredis.h>
#include <uv.h>

#include "net/redis.h"
#include "script_server.h"
#include "tls_identity.h"

/*
 * What a node of a cluster answers with ASK, against two that a test writes down: the owner, which answers every
 * command so, and the target that it names.
 */
#define DEADLINE_MS 10000
#define SILENCE "-"
#define WORDS_MAXIMUM 16

struct node {
    struct script_server *server;
    pthread_mutex_t lock; /* of what follows */
    char answer[128];     /* to any command but those of the greeting; "": the connection ends */
    char seen[2048];      /* those commands, a line each */
};

static struct node owner, target;
static uv_loop_t loop;
static uv_timer_t tick;
static int ticks;
static struct redis_url url;
static struct redis *redis;
static bool closed;

/* ---- the nodes */

/* One command, its words with a blank between them. */
static bool read_command(struct script_peer *peer, char *command, size_t size)
{
    char line[64];
    if (!script_line(peer, line, sizeof(line))) {
        return false;
    }
    long count = strtol(line + 1, NULL, 10);
    command[0] = '\0';
    for (long i = 0; i < count; i++) {
        char word[512];
        if (!script_line(peer, line, sizeof(line))) {
            return false;
        }
        size_t length = strtoul(line + 1, NULL, 10);
        ck_assert_uint_lt(length, sizeof(word) - 2);
        if (!script_bytes(peer, word, length + 2)) {
            return false;
        }
        size_t used = strlen(command);
        (void)snprintf(command + used, size - used, "%s%.*s", i > 0 ? " " : "", (int)length, word);
    }
    return true;
}

static bool is_greeting(const char *command)
{
    return strncmp(command, "INFO", 4) == 0 || strncmp(command, "CLIENT", 6) == 0 || strncmp(command, "SCRIPT", 6) == 0;
}

static bool is_answered_ok(const char *command)
{
    return strcmp(command, "ASKING") == 0 || strncmp(command, "AUTH ", 5) == 0;
}

/* Gives the answer. */
static void note(struct node *node, const char *command, char answer[128])
{
    pthread_mutex_lock(&node->lock);
    size_t used = strlen(node->seen);
    (void)snprintf(node->seen + used, sizeof(node->seen) - used, "%s\n", command);
    (void)snprintf(answer, 128, "%s", is_answered_ok(command) ? "+OK\r\n" : node->answer);
    pthread_mutex_unlock(&node->lock);
}

static void serve(struct script_peer *peer, void *context)
{
    struct node *node = context;
    char command[1024];
    bool silent = false; /* replies come in order: after a missing one there are none */
    while (read_command(peer, command, sizeof(command))) {
        char answer[128];
        if (is_greeting(command)) {
            script_say(peer, "+OK\r\n");
            continue;
        }
        note(node, command, answer);
        if (answer[0] == '\0') {
            return;
        }
        silent = silent || strcmp(answer, SILENCE) == 0;
        if (!silent) {
            script_say(peer, answer);
        }
    }
}

static void set_answer(struct node *node, const char *answer)
{
    pthread_mutex_lock(&node->lock);
    (void)snprintf(node->answer, sizeof(node->answer), "%s", answer);
    pthread_mutex_unlock(&node->lock);
}

static const char *seen(struct node *node)
{
    static char copy[sizeof(node->seen)];
    pthread_mutex_lock(&node->lock);
    (void)snprintf(copy, sizeof(copy), "%s", node->seen);
    pthread_mutex_unlock(&node->lock);
    return copy;
}

static void start_node(struct node *node, const char *answer, SSL_CTX *identity)
{
    pthread_mutex_init(&node->lock, NULL);
    set_answer(node, answer);
    node->server = script_server_start(serve, node, identity, identity != NULL);
}

/* Both, and the URL of the owner. `identity`: NULL, or what they speak TLS with, and want a password. */
static void start_nodes(struct tls_identity *identity)
{
    char text[64];
    SSL_CTX *context = identity ? identity->server : NULL;
    start_node(&target, "$3\r\nyes\r\n", context);
    (void)snprintf(text, sizeof(text), "-ASK 7 127.0.0.1:%d\r\n", script_server_port(target.server));
    start_node(&owner, text, context);
    (void)snprintf(text, sizeof(text), "%s127.0.0.1:%d", identity ? "rediss://:secret@" : "redis://",
                   script_server_port(owner.server));
    ck_assert_int_eq(redis_url_parse(text_of(text), &url), 0);
    url.ca = identity ? strdup(identity->file) : NULL;
}

/* ---- the connection */

/* Also what the nodes do on threads of their own is awaited: the loop turns without an event, too. */
#define TICK_MS 5

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    ck_assert_msg(++ticks < DEADLINE_MS / TICK_MS, "what was awaited did not come");
}

#define TURN_UNTIL(condition)                                                                                          \
    do {                                                                                                               \
        ticks = 0;                                                                                                     \
        (void)uv_timer_start(&tick, on_tick, TICK_MS, TICK_MS);                                                        \
        while (!(condition)) {                                                                                         \
            (void)uv_run(&loop, UV_RUN_ONCE);                                                                          \
        }                                                                                                              \
        (void)uv_timer_stop(&tick);                                                                                    \
    } while (0)

static struct redis_script script = {.name = "answer", .source = "return KEYS[1]"};

static void open_redis(struct redis_options options)
{
    static const struct redis_script *const scripts[] = {&script, NULL};
    if (!owner.server) {
        start_nodes(NULL);
    }
    options.url = &url;
    options.name = "test";
    options.connect_timeout_ms = options.connect_timeout_ms ? options.connect_timeout_ms : 2000;
    options.call_timeout_ms = options.call_timeout_ms ? options.call_timeout_ms : 2000;
    options.max_calls = options.max_calls ? options.max_calls : 100;
    options.max_bytes = 1u << 20;
    options.scripts = scripts;
    redis_script_prepare(&script);
    ck_assert_int_eq(redis_open(&loop, &options, &redis), 0);
    TURN_UNTIL(redis_is_ready(redis));
}

static void on_closed(void *context)
{
    (void)context;
    closed = true;
}

static void close_redis(void)
{
    if (!closed) {
        redis_close(redis, on_closed, NULL);
        TURN_UNTIL(closed);
    }
}

static void set_up(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    (void)uv_timer_init(&loop, &tick);
}

static void tear_down(void)
{
    close_redis();
    uv_close((uv_handle_t *)&tick, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0); /* nothing is left on it */
    redis_url_free(&url);
    script_server_stop(owner.server);
    if (target.server) {
        script_server_stop(target.server);
    }
}

/* ---- calls */

struct asked {
    struct redis_call call;
    int answers;
    char reply[128]; /* "lost" for NULL */
};

static void on_reply(struct redis_call *call, const redisReply *reply)
{
    struct asked *asked = CONTAINER_OF(call, struct asked, call);
    asked->answers++;
    (void)snprintf(asked->reply, sizeof(asked->reply), "%s", reply ? reply->str : "lost");
}

static void start_get(struct asked *asked, const char *key)
{
    *asked = (struct asked){.call.callback = on_reply};
    ck_assert_int_eq(redis_command(redis, &asked->call, 2, (struct text[]){TEXT("GET"), text_of(key)}), 0);
    ck_assert_int_eq(asked->answers, 0); /* never inside the call */
}

static const char *get(const char *key)
{
    static struct asked asked;
    start_get(&asked, key);
    TURN_UNTIL(asked.answers > 0);
    return asked.reply;
}

START_TEST(a_command_goes_to_the_named_node_behind_asking_and_the_connection_stays)
{
    open_redis((struct redis_options){0});
    ck_assert_str_eq(get("a"), "yes");
    ck_assert_str_eq(get("b"), "yes");
    ck_assert_str_eq(seen(&target), "ASKING\nGET a\nASKING\nGET b\n");
    ck_assert_str_eq(seen(&owner), "GET a\nGET b\n"); /* each is asked for here first */
    ck_assert_int_eq(script_server_connections(owner.server), 1);
    ck_assert_int_eq(script_server_connections(target.server), 1);
    ck_assert_uint_eq(redis_calls(redis), 0);
    ck_assert_uint_eq(redis_bytes(redis), 0);
}
END_TEST

START_TEST(a_script_goes_there_with_its_source)
{
    struct asked asked = {.call.callback = on_reply};
    struct text arguments[] = {TEXT("key"), TEXT("argument")};
    open_redis((struct redis_options){0});
    ck_assert_int_eq(redis_script_call(redis, &asked.call, &script, 1, 2, arguments), 0);
    TURN_UNTIL(asked.answers > 0);
    ck_assert_str_eq(asked.reply, "yes");
    ck_assert_str_eq(seen(&target), "ASKING\nEVAL return KEYS[1] 1 key argument\n");
    ck_assert_uint_eq(redis_bytes(redis), 0);
}
END_TEST

START_TEST(what_comes_while_the_connection_is_made_waits_and_counts_as_under_way)
{
    struct asked asked[3];
    open_redis((struct redis_options){0});
    start_get(&asked[0], "a");
    start_get(&asked[1], "b");
    start_get(&asked[2], "c");
    TURN_UNTIL(asked[0].answers + asked[1].answers + asked[2].answers > 0);
    ck_assert_str_eq(asked[0].reply, "yes");
    TURN_UNTIL(asked[0].answers + asked[1].answers + asked[2].answers == 3);
    ck_assert_str_eq(seen(&target), "ASKING\nGET a\nASKING\nGET b\nASKING\nGET c\n");
    ck_assert_int_eq(script_server_connections(target.server), 1);
}
END_TEST

START_TEST(a_reply_that_is_lost_there_leaves_the_outcome_unknown_and_is_not_asked_for_again)
{
    open_redis((struct redis_options){0});
    set_answer(&target, "");
    ck_assert_str_eq(get("a"), "lost");
    ck_assert_str_eq(seen(&target), "ASKING\nGET a\n");
    ck_assert(redis_is_ready(redis));
    ck_assert_uint_eq(redis_bytes(redis), 0);
}
END_TEST

START_TEST(a_node_that_cannot_be_reached_leaves_the_connection_as_it_is)
{
    open_redis((struct redis_options){.connect_timeout_ms = 200});
    script_server_stop(target.server);
    target.server = NULL;
    ck_assert_str_eq(get("a"), "lost");
    ck_assert(redis_is_ready(redis));
    ck_assert_str_eq(get("b"), "lost");
}
END_TEST

START_TEST(an_error_of_that_node_is_the_reply_and_moves_nothing)
{
    open_redis((struct redis_options){0});
    set_answer(&target, "-MOVED 7 127.0.0.1:1\r\n");
    ck_assert_str_eq(get("a"), "MOVED 7 127.0.0.1:1");
    ck_assert(redis_is_ready(redis));
    ck_assert_str_eq(get("b"),
                     "MOVED 7 127.0.0.1:1"); /* the node that is named is asked anew, not the one it tells of */
    ck_assert_int_eq(script_server_connections(owner.server), 1);
    ck_assert_str_eq(seen(&target), "ASKING\nGET a\nASKING\nGET b\n");
}
END_TEST

START_TEST(keys_in_two_places_make_it_wait_until_a_command_with_several_keys_works)
{
    open_redis((struct redis_options){.probe = "probe", .check_every_ms = 20});
    set_answer(&target, "-TRYAGAIN Multiple keys request\r\n");
    ck_assert_str_eq(get("a"), "TRYAGAIN Multiple keys request");
    ck_assert(!redis_is_ready(redis));
    ck_assert_int_eq(redis_trouble(redis), REDIS_SLOT_MIGRATES);
    set_answer(&owner, ":0\r\n");
    TURN_UNTIL(redis_is_ready(redis));
    ck_assert_str_eq(seen(&owner), "GET a\nEXISTS probe probe:nowhere\n");
}
END_TEST

START_TEST(a_check_that_is_lost_there_is_made_again)
{
    open_redis((struct redis_options){.probe = "probe", .check_every_ms = 20});
    set_answer(&target, "-TRYAGAIN Multiple keys request\r\n");
    ck_assert_str_eq(get("a"), "TRYAGAIN Multiple keys request");
    set_answer(&target, "");
    TURN_UNTIL(strstr(seen(&target), "EXISTS"));
    set_answer(&owner, ":0\r\n");
    TURN_UNTIL(redis_is_ready(redis));
}
END_TEST

START_TEST(the_connection_there_is_closed_when_nobody_needs_it_and_made_again)
{
    open_redis((struct redis_options){.call_timeout_ms = 100});
    ck_assert_str_eq(get("a"), "yes");
    TURN_UNTIL(script_server_open_connections(target.server) == 0);
    ck_assert_str_eq(get("b"), "yes");
    ck_assert_int_eq(script_server_connections(target.server), 2);
    ck_assert_int_eq(script_server_connections(owner.server), 1);
}
END_TEST

START_TEST(what_is_under_way_there_is_told_when_the_connection_is_closed_or_made_anew)
{
    struct asked asked[2];
    open_redis((struct redis_options){0});
    set_answer(&target, SILENCE);
    start_get(&asked[0], "a");
    TURN_UNTIL(strstr(seen(&target), "GET a"));
    redis_reconnect(redis, "a test wants it");
    ck_assert_str_eq(asked[0].reply, "lost");
    TURN_UNTIL(redis_is_ready(redis));
    start_get(&asked[1], "b");
    TURN_UNTIL(strstr(seen(&target), "GET b"));
    close_redis();
    ck_assert_str_eq(asked[1].reply, "lost");
    ck_assert_int_eq(asked[0].answers + asked[1].answers, 2);
}
END_TEST

START_TEST(a_node_that_says_nothing_is_given_up_at_the_deadline)
{
    open_redis((struct redis_options){.call_timeout_ms = 100});
    set_answer(&target, SILENCE);
    ck_assert_str_eq(get("a"), "lost");
    ck_assert(redis_is_ready(redis));
    ck_assert_str_eq(seen(&target), "ASKING\nGET a\n");
}
END_TEST

START_TEST(what_is_under_way_there_counts_for_the_bounds)
{
    struct asked asked[3];
    open_redis((struct redis_options){.max_calls = 2});
    set_answer(&target, SILENCE);
    start_get(&asked[0], "a");
    start_get(&asked[1], "b");
    TURN_UNTIL(strstr(seen(&target), "GET b"));
    ck_assert_uint_eq(redis_calls(redis), 2);
    ck_assert_int_eq(redis_command(redis, &asked[2].call, 1, &TEXT("PING")), -ENOBUFS);
    close_redis();
    ck_assert_uint_eq(asked[0].answers + asked[1].answers, 2);
}
END_TEST

START_TEST(the_node_is_asked_over_tls_and_with_the_password_when_the_owner_is)
{
    struct tls_identity identity;
    tls_identity_create(&identity, "IP:127.0.0.1");
    start_nodes(&identity);
    open_redis((struct redis_options){0});
    ck_assert_str_eq(get("a"), "yes");
    ck_assert_str_eq(seen(&target), "AUTH secret\nASKING\nGET a\n");
    close_redis();
    tls_identity_free(&identity);
}
END_TEST

START_TEST(who_never_asks_gets_the_error)
{
    open_redis((struct redis_options){.never_asks = true});
    ck_assert_int_eq(strncmp(get("a"), "ASK 7 127.0.0.1:", 16), 0);
    ck_assert_int_eq(script_server_connections(target.server), 0);
}
END_TEST

static void fill(TCase *tests)
{
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_command_goes_to_the_named_node_behind_asking_and_the_connection_stays);
    tcase_add_test(tests, a_script_goes_there_with_its_source);
    tcase_add_test(tests, what_comes_while_the_connection_is_made_waits_and_counts_as_under_way);
    tcase_add_test(tests, a_reply_that_is_lost_there_leaves_the_outcome_unknown_and_is_not_asked_for_again);
    tcase_add_test(tests, a_node_that_cannot_be_reached_leaves_the_connection_as_it_is);
    tcase_add_test(tests, an_error_of_that_node_is_the_reply_and_moves_nothing);
    tcase_add_test(tests, keys_in_two_places_make_it_wait_until_a_command_with_several_keys_works);
    tcase_add_test(tests, a_check_that_is_lost_there_is_made_again);
    tcase_add_test(tests, the_connection_there_is_closed_when_nobody_needs_it_and_made_again);
    tcase_add_test(tests, what_is_under_way_there_is_told_when_the_connection_is_closed_or_made_anew);
    tcase_add_test(tests, a_node_that_says_nothing_is_given_up_at_the_deadline);
    tcase_add_test(tests, what_is_under_way_there_counts_for_the_bounds);
    tcase_add_test(tests, the_node_is_asked_over_tls_and_with_the_password_when_the_owner_is);
    tcase_add_test(tests, who_never_asks_gets_the_error);
}

int main(void)
{
    return unit_run("redis_ask", fill);
}
