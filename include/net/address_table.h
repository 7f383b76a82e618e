#pragma once

#include <stddef.h>

#include <sys/socket.h>

#include "base/attributes.h"

/*
 * How many connections each client address has, for all loops together. Locked: used once per connection, and only
 * where there is a limit. An IPv6 client counts by its /64, which is what one customer of a provider has (RFC 6177).
 */
struct address_table;

/* One address that has connections. */
struct address;

MUST_CHECK int address_table_create(size_t limit, struct address_table **table);

/* No address may have connections. NULL is fine. */
void address_table_free(struct address_table *table);

/* Counts one more connection from `peer`: the address, to be given to address_table_leave() when it ends. NULL: that
 * would be more than the limit, or there is no memory. */
struct address *address_table_enter(struct address_table *table, const struct sockaddr *peer);

/* `address` may be NULL. */
void address_table_leave(struct address_table *table, struct address *address);
