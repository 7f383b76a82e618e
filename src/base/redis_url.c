#include "base/redis_url.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <openssl/crypto.h>

#include "base/authority.h"

#define DEFAULT_PORT 6379
#define SENTINEL_PORT 26379

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

static int parse_text(struct text value, char **text)
{
    int status = 0;
    size_t length;
    free(*text);
    *text = decode(value, &length, &status);
    return status;
}

static int parse_secret(struct text value, struct secret *secret)
{
    int status = 0;
    size_t length = 0;
    char *decoded = decode(value, &length, &status);
    if (!decoded) {
        return status;
    }
    status = secret_set(secret, (struct text){.data = decoded, .length = length});
    OPENSSL_cleanse(decoded, length);
    free(decoded);
    return status;
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
    return parse_secret(password, &url->password);
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

static int parse_parameter(struct text parameter, struct redis_url *url)
{
    struct text value = parameter;
    struct text name = text_cut(&value, '=');
    if (value.length == 0) {
        return -EINVAL;
    }
    if (text_equal(name, TEXT("db"))) {
        return parse_database(value, &url->database);
    }
    if (url->kind == REDIS_SENTINEL && text_equal(name, TEXT("sentinel_username"))) {
        return parse_text(value, &url->sentinel_username);
    }
    if (url->kind == REDIS_SENTINEL && text_equal(name, TEXT("sentinel_password"))) {
        return parse_secret(value, &url->sentinel_password);
    }
    return -EINVAL;
}

static int parse_query(struct text query, struct redis_url *url)
{
    int status = 0;
    while (status == 0 && query.data) {
        status = parse_parameter(text_cut(&query, '&'), url);
    }
    return status;
}

static int parse_unix(struct text rest, struct redis_url *url)
{
    struct text query = rest;
    struct text path = text_cut(&query, '?');
    if (path.length < 2 || path.data[0] != '/') {
        return -EINVAL;
    }
    int status = query.length > 0 ? parse_query(query, url) : 0;
    size_t length = 0;
    if (status < 0) {
        return status;
    }
    url->path = decode(path, &length, &status);
    /* connect() would look for a path that was cut off. */
    return !url->path ? status : length >= sizeof(((struct sockaddr_un *)NULL)->sun_path) ? -EINVAL : 0;
}

static int parse_host(struct text text, uint16_t default_port, struct redis_url *url)
{
    struct authority authority;
    if (url->host_count == REDIS_HOSTS_MAXIMUM || authority_parse(text, default_port, &authority) < 0) {
        return -EINVAL;
    }
    struct redis_host *host = &url->hosts[url->host_count];
    host->port = authority.port;
    host->name = text_copy(authority.host);
    url->host_count += host->name ? 1 : 0;
    return host->name ? 0 : -ENOMEM;
}

static int parse_hosts(struct text list, uint16_t default_port, struct redis_url *url)
{
    int status = list.length > 0 ? 0 : -EINVAL;
    while (status == 0 && list.data) {
        status = parse_host(text_cut(&list, ','), default_port, url);
    }
    return status;
}

static int parse_single(struct text rest, struct redis_url *url)
{
    struct text database = rest;
    struct text host = text_cut(&database, '/');
    int status = parse_database(database, &url->database);
    return status < 0 ? status : parse_host(host, DEFAULT_PORT, url);
}

/* A cluster has the database 0 alone. */
static int parse_cluster(struct text rest, struct redis_url *url)
{
    struct text database = rest;
    struct text hosts = text_cut(&database, '/');
    int status = parse_database(database, &url->database);
    status = status == 0 && url->database != 0 ? -EINVAL : status;
    return status < 0 ? status : parse_hosts(hosts, DEFAULT_PORT, url);
}

static int parse_sentinel(struct text rest, struct redis_url *url)
{
    struct text query = rest;
    struct text master = text_cut(&query, '?');
    struct text hosts = text_cut(&master, '/');
    if (master.length == 0) {
        return -EINVAL;
    }
    int status = parse_text(master, &url->master);
    status = status == 0 && query.data ? parse_query(query, url) : status;
    return status < 0 ? status : parse_hosts(hosts, SENTINEL_PORT, url);
}

static const struct scheme {
    struct text prefix;
    bool tls;
    enum redis_kind kind;
    int (*parse)(struct text rest, struct redis_url *url);
} schemes[] = {
    {{"unix://", 7}, false, REDIS_SINGLE, parse_unix},
    {{"redis://", 8}, false, REDIS_SINGLE, parse_single},
    {{"rediss://", 9}, true, REDIS_SINGLE, parse_single},
    {{"redis+sentinel://", 17}, false, REDIS_SENTINEL, parse_sentinel},
    {{"rediss+sentinel://", 18}, true, REDIS_SENTINEL, parse_sentinel},
    {{"redis+cluster://", 16}, false, REDIS_CLUSTER, parse_cluster},
    {{"rediss+cluster://", 17}, true, REDIS_CLUSTER, parse_cluster},
};

static const struct scheme *take_scheme(struct text *text)
{
    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
        if (text_take_prefix(text, schemes[i].prefix)) {
            return &schemes[i];
        }
    }
    return NULL;
}

int redis_url_parse(struct text text, struct redis_url *url)
{
    *url = (struct redis_url){0};
    const struct scheme *scheme = take_scheme(&text);
    if (!scheme) {
        return -EINVAL;
    }
    url->kind = scheme->kind;
    url->tls = scheme->tls;
    /* The last '@' ends the credentials: an unescaped one inside a password is a common slip that can be forgiven. */
    bool is_path = scheme->parse == parse_unix && text.length > 0 && text.data[0] == '/';
    size_t at = is_path ? 0 : text.length;
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
        status = scheme->parse(text, url);
    }
    if (status < 0) {
        redis_url_free(url);
    }
    return status;
}

void redis_url_free(struct redis_url *url)
{
    char *strings[] = {url->path, url->master, url->username,    url->sentinel_username,
                       url->ca,   url->key,    url->certificate, url->server_name};
    for (size_t i = 0; i < url->host_count; i++) {
        free(url->hosts[i].name);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        free(strings[i]);
    }
    secret_clear(&url->password);
    secret_clear(&url->sentinel_password);
    *url = (struct redis_url){0};
}
