#pragma once

#include "base/attributes.h"
#include "base/buffer.h"
#include "base/text.h"

/*
 * Domains of mail addresses in ASCII, as DNS and mail servers without SMTPUTF8 want them: "ida@b\u00fccher.example"
 * becomes "ida@xn--bcher-kva.example" (RFC 5891, UTS 46). libidn2 does that; libcurl brings it along.
 */
#define MAIL_ADDRESS_SIZE 256

/* Opens libidn2, before other threads use what follows; once more does no harm. 0, or LIBRARY_MISSING with a sentence
 * in `fault`. */
MUST_CHECK int mail_domain_library_open(struct buffer *fault);

/*
 * Copies a bare address with its domain in ASCII; the part in front of the '@' stays as it is. 0, or -EINVAL when the
 * domain is not a name that DNS can have; -ENOMEM.
 */
MUST_CHECK int mail_domain_to_ascii(struct text address, char ascii[MAIL_ADDRESS_SIZE]);
