#include "base/redis_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <openssl/crypto.h>

#include "base/authority.h"

#define DEFAULT_PORT 6379

static int hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A NUL-terminated, percent-decoded copy (RFC 3986 section 2.1), or NULL and the reason in *status. */
static char *decode(struct text text, size_t *length, int *status)
{
    char *copy = malloc(text.length + 1);
    if (!copy) {
        *status = -ENOMEM;
        return NULL;
    }
    size_t out = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%') {
            copy[out++] = text.data[i];
            continue;
        }
        int high = i + 2 < text.length ? hex_digit(text.data[i + 1]) : -1;
        int low = i + 2 < text.length ? hex_digit(text.data[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0)) {
            OPENSSL_cleanse(copy, text.length + 1);
            free(copy);
            *status = -EINVAL;
            return NULL;
        }
        copy[out++] = (char)(high * 16 + low);
        i += 2;
    }
    copy[out] = '\0';
    *length = out;
    return copy;
}

static int parse_credentials(struct text text, struct redis_url *url)
{
    struct text password = text;
    struct text username = text_cut(&password, ':');
    int status = 0;
    size_t length;
    if (username.length > 0) {
        url->username = decode(username, &length, &status);
        if (!url->username) {
            return status;
        }
    }
    if (password.length == 0) {
        return username.length > 0 ? -EINVAL : 0; /* a user without a password cannot log in */
    }
    char *decoded = decode(password, &length, &status);
    if (!decoded) {
        return status;
    }
    status = secret_set(&url->password, (struct text){.data = decoded, .length = length});
    OPENSSL_cleanse(decoded, length);
    free(decoded);
    return status;
}

static int parse_database(struct text text, unsigned *database)
{
    uint64_t number = 0;
    if (text.length > 0 && text_to_unsigned(text, 1u << 20, &number) < 0) {
        return -EINVAL;
    }
    *database = (unsigned)number;
    return 0;
}

static int parse_unix(struct text rest, struct redis_url *url)
{
    struct text query = rest;
    struct text path = text_cut(&query, '?');
    if (path.length < 2 || path.data[0] != '/') {
        return -EINVAL;
    }
    if (query.length > 0) {
        if (!text_take_prefix(&query, TEXT("db=")) || parse_database(query, &url->database) < 0) {
            return -EINVAL;
        }
    }
    int status = 0;
    size_t length = 0;
    url->path = decode(path, &length, &status);
    /* connect() would look for a path that was cut off. */
    return !url->path ? status : length >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ? -EINVAL : 0;
}

static int parse_tcp(struct text rest, struct redis_url *url)
{
    struct text database = rest;
    struct authority authority;
    if (authority_parse(text_cut(&database, '/'), DEFAULT_PORT, &authority) < 0 ||
        parse_database(database, &url->database) < 0) {
        return -EINVAL;
    }
    url->port = authority.port;
    url->host = text_copy(authority.host);
    return url->host ? 0 : -ENOMEM;
}

int redis_url_parse(struct text text, struct redis_url *url)
{
    *url = (struct redis_url){0};
    bool local = text_take_prefix(&text, TEXT("unix://"));
    url->tls = !local && text_take_prefix(&text, TEXT("rediss://"));
    if (!local && !url->tls && !text_take_prefix(&text, TEXT("redis://"))) {
        return -EINVAL;
    }
    /* The last '@' ends the credentials: an unescaped one inside a password is a common slip that can be forgiven. */
    size_t at = local && text.length > 0 && text.data[0] == '/' ? 0 : text.length;
    while (at > 0 && text.data[at - 1] != '@') {
        at--;
    }
    int status = 0;
    if (at > 0) {
        status = parse_credentials((struct text){.data = text.data, .length = at - 1}, url);
        text.data += at;
        text.length -= at;
    }
    if (status == 0) {
        status = local ? parse_unix(text, url) : parse_tcp(text, url);
    }
    if (status < 0) {
        redis_url_free(url);
    }
    return status;
}

void redis_url_free(struct redis_url *url)
{
    free(url->host);
    free(url->path);
    free(url->username);
    secret_clear(&url->password);
    *url = (struct redis_url){0};
}
