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
