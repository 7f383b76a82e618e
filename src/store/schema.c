#include "store/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql.h"

#define NO_SUCH_TABLE "42P01"
#define DENIED "42501"

static const struct postgres_statement read_statement = {
    .name = "identihook_schema", .sql = "SELECT coalesce(max(version), 0) FROM identihook_schema"};
static const struct postgres_statement migrate_statement = {.sql = migrate_sql};

const char *schema_script(void)
{
    return migrate_sql;
}

static void on_read(struct postgres_call *postgres_call, const struct postgres_result *answer)
{
    struct schema_call *call = CONTAINER_OF(postgres_call, struct schema_call, call);
    const char *version = postgres_value(answer, 0, 0);
    struct schema_result result = {.version = -1, .error = answer->error};
    if (answer->outcome == POSTGRES_DONE && version) {
        result.version = (int)strtol(version, NULL, 10);
    } else if (strcmp(answer->sqlstate, NO_SUCH_TABLE) == 0) {
        result.version = 0;
    }
    call->callback(call, &result);
}

static void on_migrated(struct postgres_call *postgres_call, const struct postgres_result *answer)
{
    struct schema_call *call = CONTAINER_OF(postgres_call, struct schema_call, call);
    char error[500];
    bool denied = strcmp(answer->sqlstate, DENIED) == 0;
    struct schema_result result = {.version = SCHEMA_VERSION, .applied = postgres_row_count(answer), .error = error};
    (void)snprintf(error, sizeof(error), "%s%s", answer->error,
                   denied ? ": run it as a user who may create tables, or give --dry-run's SQL to one" : "");
    if (answer->outcome != POSTGRES_DONE) {
        result.applied = -1;
    }
    call->callback(call, &result);
}

static int start(struct postgres *postgres, struct schema_call *call, const struct postgres_statement *statement,
                 void (*callback)(struct postgres_call *call, const struct postgres_result *result))
{
    call->call = (struct postgres_call){.statement = statement, .callback = callback};
    return postgres_start(postgres, &call->call);
}

int schema_read(struct postgres *postgres, struct schema_call *call)
{
    return start(postgres, call, &read_statement, on_read);
}

int schema_migrate(struct postgres *postgres, struct schema_call *call)
{
    return start(postgres, call, &migrate_statement, on_migrated);
}
