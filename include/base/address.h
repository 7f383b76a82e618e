#pragma once

#include <stdbool.h>

#include "base/text.h"

struct sockaddr;

/*
 * Which addresses a request may go to. A name that an operator has configured may come to mean another machine: its
 * record is changed, or its domain is sold. What it means is therefore looked at when a connection is made.
 */
enum address_kind {
    ADDRESS_PUBLIC,
    ADDRESS_PRIVATE, /* this machine and its networks: loopback, RFC 1918, RFC 6598, RFC 4193 */
    ADDRESS_SPECIAL, /* what no service has: link-local (the metadata services of clouds are there), unspecified,
                      * multicast, reserved, documentation; and no IP address at all */
};

/* IPv6 addresses that stand for IPv4 ones (mapped, compatible, NAT64, 6to4) are what those are. */
enum address_kind address_kind_of(const struct sockaddr *address);

/* How far requests may go. */
enum address_reach {
    REACH_ANY,     /* no limit */
    REACH_PRIVATE, /* public and private addresses */
    REACH_PUBLIC,  /* public ones only */
};

static inline bool address_is_within(enum address_kind kind, enum address_reach reach)
{
    return reach == REACH_ANY || kind == ADDRESS_PUBLIC || (reach == REACH_PRIVATE && kind == ADDRESS_PRIVATE);
}

/* Whether a URL's host (without brackets) is an IP address, in any notation that resolvers take. */
bool host_is_address(struct text host);

/* Whether it is a name that means nothing in the public DNS: of one label, or below a domain that is kept for private
 * use (RFC 6761, RFC 6762, RFC 8375, RFC 9476; .internal by ICANN's resolution of 2024). */
bool host_is_internal(struct text host);
