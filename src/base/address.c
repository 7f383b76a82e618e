#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "base/attributes.h"

/* The special-purpose registries of IANA, as far as they are not globally reachable; the first that fits counts. */
static const struct {
    uint32_t network;
    unsigned bits;
    enum address_kind kind;
} networks4[] = {
    {0x00000000, 8, ADDRESS_SPECIAL},  /* 0.0.0.0/8: this network */
    {0x7f000000, 8, ADDRESS_PRIVATE},  /* 127.0.0.0/8 */
    {0x0a000000, 8, ADDRESS_PRIVATE},  /* 10.0.0.0/8 */
    {0xac100000, 12, ADDRESS_PRIVATE}, /* 172.16.0.0/12 */
    {0xc0a80000, 16, ADDRESS_PRIVATE}, /* 192.168.0.0/16 */
    {0x64400000, 10, ADDRESS_PRIVATE}, /* 100.64.0.0/10 */
    {0xa9fe0000, 16, ADDRESS_SPECIAL}, /* 169.254.0.0/16: link-local */
    {0xc0000000, 24, ADDRESS_SPECIAL}, /* 192.0.0.0/24 */
    {0xc0000200, 24, ADDRESS_SPECIAL}, /* 192.0.2.0/24: documentation */
    {0xc6336400, 24, ADDRESS_SPECIAL}, /* 198.51.100.0/24 */
    {0xcb007100, 24, ADDRESS_SPECIAL}, /* 203.0.113.0/24 */
    {0xc6120000, 15, ADDRESS_SPECIAL}, /* 198.18.0.0/15: benchmarks */
    {0xe0000000, 3, ADDRESS_SPECIAL},  /* 224.0.0.0/3: multicast, reserved, broadcast */
};

static enum address_kind kind4(uint32_t address)
{
    for (size_t i = 0; i < ARRAY_LENGTH(networks4); i++) {
        if ((address ^ networks4[i].network) >> (32 - networks4[i].bits) == 0) {
            return networks4[i].kind;
        }
    }
    return ADDRESS_PUBLIC;
}

static uint32_t read32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool starts_with(const uint8_t bytes[16], const char *prefix, size_t length)
{
    return memcmp(bytes, prefix, length) == 0;
}

static enum address_kind kind6(const uint8_t bytes[16])
{
    static const char zeros[12] = {0};
    if (starts_with(bytes, zeros, 12)) {
        uint32_t low = read32(bytes + 12);
        return low == 0 ? ADDRESS_SPECIAL : low == 1 ? ADDRESS_PRIVATE : kind4(low); /* ::, ::1, compatible */
    }
    if (starts_with(bytes, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) ||     /* mapped */
        starts_with(bytes, "\x00\x64\xff\x9b\0\0\0\0\0\0\0\0", 12)) { /* NAT64 */
        return kind4(read32(bytes + 12));
    }
    if (starts_with(bytes, "\x20\x02", 2)) { /* 6to4 */
        return kind4(read32(bytes + 2));
    }
    if ((bytes[0] & 0xfe) == 0xfc) {
        return ADDRESS_PRIVATE; /* fc00::/7 */
    }
    bool documentation = starts_with(bytes, "\x20\x01\x0d\xb8", 4);
    bool teredo = starts_with(bytes, "\x20\x01\0\0", 4);
    /* All of the public addresses are in 2000::/3. */
    return (bytes[0] & 0xe0) == 0x20 && !documentation && !teredo ? ADDRESS_PUBLIC : ADDRESS_SPECIAL;
}

enum address_kind address_kind_of(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        return kind4(ntohl(in.sin_addr.s_addr));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        return kind6(in6.sin6_addr.s6_addr);
    }
    return ADDRESS_SPECIAL;
}

bool host_is_address(struct text host)
{
    char copy[64];
    struct in_addr in;
    struct in6_addr in6;
    if (host.length == 0 || host.length >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, host.data, host.length);
    copy[host.length] = '\0';
    return inet_aton(copy, &in) == 1 || inet_pton(AF_INET6, copy, &in6) == 1;
}

bool host_is_internal(struct text host)
{
    static const char *const domains[] = {".localhost", ".local", ".internal", ".home.arpa", ".test", ".alt"};
    if (host.length > 0 && host.data[host.length - 1] == '.') {
        host.length--;
    }
    bool internal = host.length > 0 && !memchr(host.data, '.', host.length);
    for (size_t i = 0; i < ARRAY_LENGTH(domains); i++) {
        size_t length = strlen(domains[i]);
        internal = internal || (host.length > length &&
                                text_equal_ignoring_case((struct text){host.data + host.length - length, length},
                                                         text_of(domains[i])));
    }
    return internal;
}
