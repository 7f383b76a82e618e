#include "base/authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

/* RFC 3986 allows more, but no resolver takes it. Bytes beyond ASCII are left to whoever knows IDNA. */
static bool is_host_name(struct text host)
{
    for (size_t i = 0; i < host.length; i++) {
        unsigned char byte = (unsigned char)host.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
        bool digit = byte >= '0' && byte <= '9';
        if (!letter && !digit && byte != '.' && byte != '-' && byte != '_') {
            return false;
        }
    }
    return host.length > 0;
}

static bool is_ipv6(struct text host)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (host.length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, host.data, host.length);
    copy[host.length] = '\0';
    return strlen(copy) == host.length && inet_pton(AF_INET6, copy, &address) == 1;
}

/* Cuts "[…]" off the front of *rest; what follows it must be a port or nothing. */
static int cut_bracketed(struct text *rest, struct text *host)
{
    *host = text_cut(rest, ']');
    host->data++;
    host->length--;
    if (!rest->data || !is_ipv6(*host)) {
        return -EINVAL;
    }
    if (rest->length == 0) {
        *rest = (struct text){0};
        return 0;
    }
    return text_cut(rest, ':').length == 0 && rest->data ? 0 : -EINVAL;
}

int authority_parse(struct text text, uint16_t default_port, struct authority *authority)
{
    struct text port = text;
    struct text host;
    if (text.length > 0 && text.data[0] == '[') {
        if (cut_bracketed(&port, &host) < 0) {
            return -EINVAL;
        }
    } else {
        host = text_cut(&port, ':');
        if (!is_host_name(host)) {
            return -EINVAL;
        }
    }
    uint64_t number = default_port;
    if (port.data && (text_to_unsigned(port, UINT16_MAX, &number) < 0 || number == 0)) {
        return -EINVAL;
    }
    *authority = (struct authority){.host = host, .port = (uint16_t)number};
    return 0;
}
