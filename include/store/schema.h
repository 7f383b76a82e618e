#pragma once

#include "base/attributes.h"
#include "net/postgres.h"

/*
 * The tables that identihook has in PostgreSQL, made by 'identihook migrate' from one script
 * (src/store/sql/migrate.sql): one transaction under an advisory lock, so that it may run at any time and at several
 * places at once.
 */
#define SCHEMA_VERSION 1

/* The whole script. */
const char *schema_script(void);

struct schema_result {
    int version;       /* read: that of the tables; 0: there are none; -1: PostgreSQL did not say */
    int applied;       /* migrate: how many versions were added; -1: it failed */
    const char *error; /* why not, with the remedy; "" */
};

struct schema_call {
    struct postgres_call call;
    void (*callback)(struct schema_call *call, const struct schema_result *result); /* `result` is lent */
};

/* 0: the callback will run once, later; or -ENOBUFS. */
MUST_CHECK int schema_read(struct postgres *postgres, struct schema_call *call);
MUST_CHECK int schema_migrate(struct postgres *postgres, struct schema_call *call);
