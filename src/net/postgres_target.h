#pragma once

#include <stddef.h>

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/secret.h"
#include "base/text.h"
#include "postgres_functions.h"

#define POSTGRES_PARAMETERS_MAXIMUM 80 /* libpq knows some 45 */

/* Where to connect to and how: what libpq reads from a URL, with our defaults for what it leaves open. */
struct postgres_target {
    PQconninfoOption *options;
    char tcp_user_timeout[24];
    const char *ca_file;
};

/* 0, -EINVAL or -ENOMEM. libpq's own messages are kept from everyone: they quote the URL. */
MUST_CHECK int postgres_target_parse(const struct secret *url, struct postgres_target *target);

/* Overwrites the password. Twice is fine. */
void postgres_target_free(struct postgres_target *target);

/* The value of a parameter; NULL when the URL does not set it. */
const char *postgres_target_value(const struct postgres_target *target, const char *keyword);

/* Whether names are left to be resolved: libpq would do that itself, and block. */
bool postgres_target_needs_lookup(const struct postgres_target *target);

/* Whether `host` is a name, neither a socket's folder nor a numeric address. */
bool postgres_target_is_name(struct text host);

/* The hosts to try, resolved: comma-separated lists of the same length. */
struct postgres_places {
    struct buffer hosts;
    struct buffer addresses; /* numeric; empty where the host is not a name */
    struct buffer ports;
    size_t count;
};

void postgres_places_add(struct postgres_places *places, struct text host, struct text address, struct text port);
void postgres_places_clear(struct postgres_places *places);

/* Begins to connect; `places` replace the URL's hosts when there are any. NULL when out of memory. */
PGconn *postgres_target_connect(const struct postgres_target *target, const struct postgres_places *places);

/* Writes libpq's message about a connection into `text`, on one line and without the password. */
void postgres_target_message(const struct postgres_target *target, PGconn *connection, char text[300]);
