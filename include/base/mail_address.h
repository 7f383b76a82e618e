#pragma once

#include "base/attributes.h"
#include "base/text.h"

/*
 * Finds the bare address in "Name <address>" or "address". 0, or -EINVAL when there is none that can be used: exactly
 * one '@' with something on both sides, no blanks, control characters, brackets, quotes or commas (so it cannot smuggle
 * in a second recipient or a header). International addresses (RFC 6531) pass when they are in UTF-8. The name in front
 * is not judged.
 */
MUST_CHECK int mail_address_find(struct text text, struct text *address);

/* The name in front of such an address, without its quotes; empty where there is none. */
struct text mail_address_name(struct text text);
