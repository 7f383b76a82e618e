#include "app/database_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "app/chore.h"
#include "base/log.h"
#include "store/schema.h"

struct database_watch {
    struct postgres *postgres;
    struct telemetry *telemetry;
    struct chore chore; /* a turn is a question */
    struct schema_call call;
    int version; /* what was logged last; -1: nothing yet */
};

static void log_version(int version)
{
    struct log_field found = LOG_NUMBER("version", version);
    struct log_field needed = LOG_NUMBER("needed", SCHEMA_VERSION);
    if (version == 0) {
        log_error("PostgreSQL has no tables of identihook: run 'identihook migrate'", found, needed);
    } else if (version < SCHEMA_VERSION) {
        log_error("PostgreSQL's tables of identihook are outdated: run 'identihook migrate'", found, needed);
    } else {
        log_info("PostgreSQL's tables are there", found, needed);
    }
}

static void on_read(struct schema_call *call, const struct schema_result *result)
{
    struct database_watch *watch = CONTAINER_OF(call, struct database_watch, call);
    enum database_state state = result->version < 0                ? DATABASE_AWAY /* why is logged elsewhere */
                                : result->version < SCHEMA_VERSION ? DATABASE_UNMIGRATED
                                                                   : DATABASE_FINE;
    if (!chore_is_closing(&watch->chore)) {
        telemetry_set(&watch->telemetry->database, state);
        if (state != DATABASE_AWAY && result->version != watch->version) {
            log_version(result->version);
            watch->version = result->version;
        }
    }
    chore_done(&watch->chore, state == DATABASE_FINE ? DATABASE_WATCH_INTERVAL_MS : DATABASE_WATCH_RETRY_MS);
}

static int begin(struct chore *chore)
{
    struct database_watch *watch = CONTAINER_OF(chore, struct database_watch, chore);
    return schema_read(watch->postgres, &watch->call);
}

int database_watch_open(uv_loop_t *loop, struct postgres *postgres, struct telemetry *telemetry,
                        struct database_watch **opened)
{
    struct database_watch *watch = calloc(1, sizeof(*watch));
    if (!watch) {
        return -ENOMEM;
    }
    watch->postgres = postgres;
    watch->telemetry = telemetry;
    watch->version = -1;
    watch->call.callback = on_read;
    telemetry_set(&telemetry->database, DATABASE_AWAY); /* until it has answered */
    chore_open(&watch->chore, loop, DATABASE_WATCH_INTERVAL_MS, begin, watch);
    chore_begin(&watch->chore);
    *opened = watch;
    return 0;
}

void database_watch_close(struct database_watch *watch, void (*closed)(void *context), void *context)
{
    chore_close(&watch->chore, closed, context);
}
