#include <stdio.h>

#include <uv.h>

#include "app/database.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "store/schema.h"

#define MIGRATE_TIMEOUT_MS 600000 /* making an index on a large table takes time */

/* Read the version, and unless only that is wanted add what is missing; then close. */
struct migration {
    struct postgres *postgres;
    struct schema_call call;
    int status;
};

static void on_closed(void *context)
{
    (void)context;
}

static void end(struct migration *migration, const char *error)
{
    if (error) {
        (void)fprintf(stderr, "identihook: the tables could not be made: %s\n", error);
    } else {
        migration->status = COMMAND_DONE;
    }
    postgres_close(migration->postgres, on_closed, NULL);
}

static void on_migrated(struct schema_call *call, const struct schema_result *result)
{
    struct migration *migration = CONTAINER_OF(call, struct migration, call);
    if (result->applied < 0) {
        end(migration, result->error);
        return;
    }
    if (result->applied > 0) {
        printf("PostgreSQL's tables are now at version %d\n", result->version);
    } else {
        printf("PostgreSQL's tables are at version %d: there is nothing to do\n", result->version);
    }
    end(migration, NULL);
}

static void on_version(struct schema_call *call, const struct schema_result *result)
{
    struct migration *migration = CONTAINER_OF(call, struct migration, call);
    if (result->version < 0) {
        end(migration, result->error);
    } else if (result->version >= SCHEMA_VERSION) {
        printf("PostgreSQL's tables are at version %d: there is nothing to do\n", result->version);
        end(migration, NULL);
    } else {
        call->callback = on_migrated;
        if (schema_migrate(migration->postgres, call) < 0) {
            end(migration, "out of memory");
        }
    }
}

static int migrate(struct settings *settings)
{
    uv_loop_t loop;
    struct migration migration = {.status = COMMAND_FAILED, .call = {.callback = on_version}};
    settings->postgres_timeout_ms = MIGRATE_TIMEOUT_MS;
    if (uv_loop_init(&loop) < 0) {
        return COMMAND_FAILED;
    }
    int status = database_open(&loop, settings, 1, &migration.postgres);
    if (status == 0 && schema_read(migration.postgres, &migration.call) < 0) {
        end(&migration, "out of memory");
    }
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop);
    return status < 0 ? COMMAND_USAGE : migration.status;
}

int migrate_run(int argc, char **argv)
{
    struct argument options[] = {
        {.name = "dry-run", .help = "print the SQL, for whoever may create tables; connect to nothing"},
        {.name = NULL},
    };
    struct arguments arguments = {
        .usage = "identihook migrate [--dry-run]",
        .description =
            "Makes the tables of identihook in the database that DATABASE_URL names, or brings them up to date.\n"
            "Safe to run again at any time, and by several at once: all of it is one transaction.",
        .options = options,
    };
    int status = arguments_parse(&arguments, argc, argv);
    if (status != 0) {
        return status < 0 ? COMMAND_USAGE : COMMAND_DONE;
    }
    if (arguments_value(&arguments, "dry-run")) {
        (void)fputs(schema_script(), stdout);
        return COMMAND_DONE;
    }
    struct settings settings;
    status = configuration_load(&settings, 0, arguments.env_file);
    if (status == 0 && !secret_is_set(&settings.database_url)) {
        (void)fputs("identihook: DATABASE_URL is not set; for example "
                    "DATABASE_URL=postgresql://identihook:secret@db.example.com/app\n",
                    stderr);
        status = COMMAND_USAGE;
    }
    status = status == 0 ? configuration_open_postgres() : status;
    status = status == 0 ? migrate(&settings) : status;
    settings_free(&settings);
    return status;
}
