#include "base/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

int endpoint_parse(struct text text, struct endpoint *endpoint)
{
    size_t colon = text.length;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return -EINVAL;
    }
    struct text host = {.data = text.data, .length = colon - 1};
    bool bracketed = host.length > 2 && host.data[0] == '[' && host.data[host.length - 1] == ']';
    if (bracketed) {
        host.data++;
        host.length -= 2;
    }
    uint64_t port;
    if (host.length == 0 || host.length >= sizeof(endpoint->host) || memchr(host.data, '\0', host.length) ||
        text_to_unsigned((struct text){.data = text.data + colon, .length = text.length - colon}, 65535, &port) < 0) {
        return -EINVAL;
    }
    memcpy(endpoint->host, host.data, host.length);
    endpoint->host[host.length] = '\0';
    endpoint->port = (uint16_t)port;
    struct in6_addr address;
    return inet_pton(bracketed ? AF_INET6 : AF_INET, endpoint->host, &address) == 1 ? 0 : -EINVAL;
}
