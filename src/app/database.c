#include "app/database.h"

#include <errno.h>

#include "base/log.h"

int database_open(uv_loop_t *loop, const struct settings *settings, size_t connections, struct postgres **postgres)
{
    struct postgres_options options = {
        .url = &settings->database_url,
        .ca_file = settings->ca_file,
        .connect_timeout_ms = settings->postgres_connect_timeout_ms,
        .statement_timeout_ms = settings->postgres_timeout_ms,
        .connections = connections,
        .waiting = (size_t)settings->concurrency + 1, /* and the look at the tables */
    };
    int status = postgres_open(loop, &options, postgres);
    if (status == -EINVAL) {
        log_error("DATABASE_URL cannot be read: it wants postgresql://user:password@host:port/database?option=value, "
                  "with special characters written as %XX",
                  LOG_STRING("setting", "DATABASE_URL"));
        return -ENOTSUP;
    }
    return status;
}

static void on_schema(struct schema_call *call, const struct schema_result *result)
{
    (void)call;
    if (result->version < 0) {
        return; /* what keeps us from PostgreSQL is logged elsewhere */
    }
    if (result->version < SCHEMA_VERSION) {
        log_error(result->version == 0 ? "PostgreSQL has no tables of identihook: run 'identihook migrate'"
                                       : "PostgreSQL's tables of identihook are outdated: run 'identihook migrate'",
                  LOG_NUMBER("version", result->version), LOG_NUMBER("needed", SCHEMA_VERSION));
    } else {
        log_info("PostgreSQL's tables are there", LOG_NUMBER("version", result->version),
                 LOG_NUMBER("needed", SCHEMA_VERSION));
    }
}

int database_check(struct postgres *postgres, struct schema_call *call)
{
    call->callback = on_schema;
    return schema_read(postgres, call);
}
