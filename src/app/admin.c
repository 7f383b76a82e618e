#include "app/admin.h"

#include <dirent.h>
#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"

/* ---- health and readiness */

struct loops {
    const struct telemetry *telemetry[256];
    size_t count;
};

static struct loops loops_of(const struct admin *admin)
{
    struct loops loops = {.count = admin->reactor_count};
    for (size_t i = 0; i < loops.count; i++) {
        loops.telemetry[i] = reactor_telemetry(admin->reactors[i]);
    }
    return loops;
}

bool admin_loops_turn(const struct admin *admin)
{
    struct loops loops = loops_of(admin);
    return telemetry_loops_turn(loops.telemetry, loops.count, clock_monotonic_ms(), HEALTH_STUCK_MS);
}

static enum redis_trouble redis_trouble_now(const struct admin *admin)
{
    struct loops loops = loops_of(admin);
    return telemetry_redis_trouble(loops.telemetry, loops.count);
}

static enum database_state database_now(const struct admin *admin)
{
    struct loops loops = loops_of(admin);
    return telemetry_database(loops.telemetry, loops.count);
}

static enum durability durability_now(const struct admin *admin)
{
    struct loops loops = loops_of(admin);
    return telemetry_durability(loops.telemetry, loops.count);
}

static int write_health(struct admin *admin)
{
    bool healthy = admin_loops_turn(admin);
    buffer_append_string(&admin->body, healthy ? "{\"status\":\"ok\"}"
                                               : "{\"status\":\"stuck\",\"message\":\"a loop does not turn\"}");
    return healthy ? 200 : 503;
}

/* For information: a pause is no fault, and probes must not restart anything for it. */
static void write_pauses(struct admin *admin)
{
    struct loops loops = loops_of(admin);
    uint64_t paused = telemetry_paused(loops.telemetry, loops.count);
    const char *comma = "";
    buffer_append_string(&admin->body, "\"paused\":[");
    if (paused & 1) {
        buffer_append_string(&admin->body, "\"processing\"");
        comma = ",";
    }
    for (enum action action = 0; action < ACTIONS; action++) {
        if (paused >> (1 + action) & 1) {
            buffer_append_format(&admin->body, "%s\"%s\"", comma, action_names[action]);
            comma = ",";
        }
    }
    buffer_append_byte(&admin->body, ']');
}

static void write_trouble(struct admin *admin, const char *component, const char *trouble, const char *fix)
{
    buffer_append_format(&admin->body, ",\"%s\":{\"trouble\":\"%s\",\"fix\":\"%s\"}", component, trouble, fix);
}

/* PostgreSQL is told, but is no reason to be unready: as with Stripe, mail and onboarding, what it is needed for waits
 * in Redis, and receiving and the other effects go on. */
static int write_readiness(struct admin *admin)
{
    bool loops = admin_loops_turn(admin);
    enum redis_trouble trouble = redis_trouble_now(admin);
    enum database_state database = database_now(admin);
    bool redis = trouble == REDIS_FINE;
    bool ready = loops && redis && !admin->draining;
    buffer_append_format(&admin->body, "{\"ready\":%s,\"components\":{\"loops\":\"%s\",\"redis\":\"%s\",",
                         ready ? "true" : "false", loops ? "ok" : "stuck", redis ? "ok" : "unavailable");
    if (database != DATABASE_UNUSED) {
        buffer_append_format(&admin->body, "\"postgres\":\"%s\",", database == DATABASE_FINE ? "ok" : "unavailable");
    }
    buffer_append_format(&admin->body, "\"draining\":%s},\"durability\":\"%s\",", admin->draining ? "true" : "false",
                         durability_names[durability_now(admin)]);
    write_pauses(admin);
    if (!redis) {
        write_trouble(admin, "redis", redis_trouble_name(trouble), redis_trouble_advice(trouble));
    }
    if (database > DATABASE_FINE) {
        write_trouble(admin, "postgres", database_state_name(database), database_state_advice(database));
    }
    buffer_append_byte(&admin->body, '}');
    return ready ? 200 : 503;
}

/* ---- metrics */

static uint64_t open_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    uint64_t count = 0;
    if (directory) {
        while (readdir(directory)) {
            count++;
        }
        (void)closedir(directory);
    }
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory itself */
}

struct listener_metric {
    const char *name;
    const char *type;
    const char *help;
    size_t offset;
};

static void write_listener_metrics(struct admin *admin)
{
    static const struct listener_metric metrics[] = {
        {"connections_open", "gauge", "Open connections to the webhook listener.",
         offsetof(struct listener_counters, open)},
        {"arriving_bytes", "gauge", "Memory held for requests that are still arriving.",
         offsetof(struct listener_counters, held)},
        {"connections_accepted_total", "counter", "Connections accepted.",
         offsetof(struct listener_counters, accepted)},
        {"connections_timed_out_total", "counter", "Connections ended at a deadline.",
         offsetof(struct listener_counters, timed_out)},
        {"connections_turned_away_total", "counter", "Connections closed at once: too many from one address.",
         offsetof(struct listener_counters, turned_away)},
        {"accept_failures_total", "counter", "Failures to accept, mostly for want of file descriptors.",
         offsetof(struct listener_counters, accept_failures)},
        {"received_bytes_total", "counter", "Bytes received by the webhook listener.",
         offsetof(struct listener_counters, bytes_in)},
        {"sent_bytes_total", "counter", "Bytes sent by the webhook listener.",
         offsetof(struct listener_counters, bytes_out)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(metrics); i++) {
        uint64_t total = 0;
        for (size_t j = 0; j < admin->reactor_count; j++) {
            const struct listener_counters *counters = reactor_counters(admin->reactors[j]);
            const char *base = (const char *)counters;
            total += counters ? telemetry_get((const _Atomic uint64_t *)(const void *)(base + metrics[i].offset)) : 0;
        }
        buffer_append_format(
            &admin->body, "# HELP identihook_%s %s\n# TYPE identihook_%s %s\nidentihook_%s %" PRIu64 "\n",
            metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type, metrics[i].name, total);
    }
}

static int write_metrics(struct admin *admin)
{
    struct loops loops = loops_of(admin);
    telemetry_render(loops.telemetry, loops.count, &admin->body);
    write_listener_metrics(admin);
    buffer_append_format(
        &admin->body,
        "# HELP identihook_open_files Open file descriptors.\n# TYPE identihook_open_files gauge\n"
        "identihook_open_files %" PRIu64 "\n"
        "# HELP identihook_log_lines_dropped_total Log lines that standard error did not take.\n"
        "# TYPE identihook_log_lines_dropped_total counter\nidentihook_log_lines_dropped_total %" PRIu64 "\n"
        "# HELP identihook_build_info The version that runs.\n# TYPE identihook_build_info gauge\n"
        "identihook_build_info{version=\"%s\"} 1\n",
        open_files(), log_dropped(), version_text());
    return 200;
}

/* ---- requests */

static const struct route {
    struct text path;
    const char *content_type;
    int (*write)(struct admin *admin);
} routes[] = {
    {{"/", 1}, NULL, NULL}, /* the console */
    {{"/healthz", 8}, NULL, write_health},
    {{"/readyz", 7}, NULL, write_readiness},
    {{"/metrics", 8}, "text/plain; version=0.0.4; charset=utf-8", write_metrics},
};

static void on_request(void *context, struct conn *conn, const struct http_request *request)
{
    struct admin *admin = context;
    const struct route *route = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(routes); i++) {
        route = text_equal(request->path, routes[i].path) ? &routes[i] : route;
    }
    if (!route) {
        struct http_answer answer = {.status = 404};
        conn_answer_error(conn, &answer, "not_found", "there are /, /healthz, /readyz and /metrics");
        return;
    }
    if (!request->is_head && !text_equal(text_of(request->method), TEXT("GET"))) {
        struct http_answer answer = {.status = 405, .allow = "GET, HEAD"};
        conn_answer_error(conn, &answer, "method_not_allowed", "use GET");
        return;
    }
    if (!route->write) {
        console_answer(admin->console, conn);
        return;
    }
    buffer_clear(&admin->body);
    struct http_answer answer = {.content_type = route->content_type};
    answer.status = route->write(admin);
    answer.body = buffer_text(&admin->body);
    conn_answer(conn, &answer);
}

static bool wants_body(void *context, const struct http_request *request)
{
    (void)context;
    (void)request;
    return false;
}

static void on_gone(void *context, struct conn *conn, void *waiting)
{
    (void)context;
    (void)conn;
    console_forget(waiting); /* nothing but the console keeps anybody waiting */
}

const struct conn_handler admin_handler = {.on_request = on_request, .wants_body = wants_body, .on_gone = on_gone};

void admin_free(struct admin *admin)
{
    buffer_free(&admin->body);
}
