#include "net/mail_domain.h"

#include <errno.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>

#include "curl_functions.h"

static bool is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static int write_address(char ascii[MAIL_ADDRESS_SIZE], struct text local, struct text domain)
{
    int length = snprintf(ascii, MAIL_ADDRESS_SIZE, "%.*s@%.*s", TEXT_ARGUMENTS(local), TEXT_ARGUMENTS(domain));
    return length > 0 && length < MAIL_ADDRESS_SIZE ? 0 : -EINVAL;
}

static int ask_libcurl(const char *name, char **converted)
{
    CURLU *url = curl_url();
    if (!url) {
        return -ENOMEM;
    }
    bool fine = curl_url_set(url, CURLUPART_SCHEME, "smtp", 0) == CURLUE_OK &&
                curl_url_set(url, CURLUPART_HOST, name, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, converted, CURLU_PUNYCODE) == CURLUE_OK;
    curl_url_cleanup(url);
    return fine ? 0 : -EINVAL;
}

/* libcurl takes names to be in the encoding of the thread's locale, and ours is C. */
static int convert(struct text domain, char **converted)
{
    char name[MAIL_ADDRESS_SIZE];
    (void)snprintf(name, sizeof(name), "%.*s", TEXT_ARGUMENTS(domain));
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8 == (locale_t)0) {
        return errno == ENOMEM ? -ENOMEM : -EINVAL;
    }
    locale_t before = uselocale(utf8);
    int status = ask_libcurl(name, converted);
    (void)uselocale(before);
    freelocale(utf8);
    return status;
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
        struct text name = text_of(converted);
        status = is_ascii(name) ? write_address(ascii, local, name) : -EINVAL;
        curl_free(converted);
    }
    return status;
}
