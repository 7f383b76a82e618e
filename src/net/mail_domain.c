#include "net/mail_domain.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "idn2_functions.h"

#define LABEL_MAXIMUM 63   /* RFC 1035 section 2.3.4 */
#define DOMAIN_MAXIMUM 253 /* as it is written, without the dot at the end */

struct idn2_functions idn2_functions;

static const struct library library = {
    .name = "libidn2",
    .files = (const char *const[]){"libidn2.so.0", NULL},
    .packages = "libidn2-0",
    LIBRARY_TABLE(IDN2_FUNCTIONS, idn2_functions),
};

int mail_domain_library_open(struct buffer *fault)
{
    return library_open(&library, fault);
}

static bool is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool is_domain(struct text domain)
{
    bool fine = domain.length > 0 && domain.length <= DOMAIN_MAXIMUM;
    while (domain.data && fine) {
        struct text label = text_cut(&domain, '.');
        fine = label.length > 0 && label.length <= LABEL_MAXIMUM;
    }
    return fine;
}

static int write_address(char ascii[MAIL_ADDRESS_SIZE], struct text local, struct text domain)
{
    if (!is_domain(domain)) {
        return -EINVAL;
    }
    int length = snprintf(ascii, MAIL_ADDRESS_SIZE, "%.*s@%.*s", TEXT_ARGUMENTS(local), TEXT_ARGUMENTS(domain));
    return length > 0 && length < MAIL_ADDRESS_SIZE ? 0 : -EINVAL;
}

static int convert(struct text domain, char **converted)
{
    char name[MAIL_ADDRESS_SIZE];
    if (!idn2_lookup_u8) {
        return -EINVAL;
    }
    (void)snprintf(name, sizeof(name), "%.*s", TEXT_ARGUMENTS(domain));
    int status = idn2_lookup_u8((const uint8_t *)name, (uint8_t **)converted, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    return status == IDN2_OK ? 0 : status == IDN2_MALLOC ? -ENOMEM : -EINVAL;
}

int mail_domain_to_ascii(struct text address, char ascii[MAIL_ADDRESS_SIZE])
{
    char *converted;
    struct text domain = address;
    struct text local = text_cut(&domain, '@');
    if (address.length >= MAIL_ADDRESS_SIZE) {
        return -EINVAL;
    }
    if (is_ascii(domain)) {
        return write_address(ascii, local, domain);
    }
    int status = convert(domain, &converted);
    if (status == 0) {
        status = write_address(ascii, local, text_of(converted));
        idn2_free(converted);
    }
    return status;
}
