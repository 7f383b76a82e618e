#pragma once

#include "base/attributes.h"
#include "base/text.h"

#define MAIL_ADDRESS_SIZE 256

/*
 * Copies a bare address with its domain in ASCII, as DNS and mail servers without SMTPUTF8 want it:
 * "ida@b\u00fccher.example" becomes "ida@xn--bcher-kva.example" (RFC 5891). The part in front of the '@' stays as it
 * is. 0, -EINVAL when it is not a name that DNS can have, or -ENOMEM.
 *
 * libcurl is asked for what is not in ASCII, and is to be open then.
 */
MUST_CHECK int mail_domain_to_ascii(struct text address, char ascii[MAIL_ADDRESS_SIZE]);
