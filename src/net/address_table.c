#include "net/address_table.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/list.h"
#include "base/random.h"

#define BUCKETS 4096

struct address {
    struct list link;
    uint64_t key[2];
    size_t connections;
};

struct address_table {
    uv_mutex_t lock;
    size_t limit;
    uint64_t seed; /* so that nobody can choose addresses that meet in one bucket */
    struct list buckets[BUCKETS];
};

int address_table_create(size_t limit, struct address_table **created)
{
    struct address_table *table = calloc(1, sizeof(*table));
    if (!table || uv_mutex_init(&table->lock) < 0) {
        free(table);
        return -ENOMEM;
    }
    table->limit = limit;
    random_bytes(&table->seed, sizeof(table->seed));
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&table->buckets[i]);
    }
    *created = table;
    return 0;
}

void address_table_free(struct address_table *table)
{
    if (table) {
        uv_mutex_destroy(&table->lock);
        free(table);
    }
}

static void make_key(const struct sockaddr *peer, uint64_t key[2])
{
    key[0] = peer->sa_family;
    key[1] = 0;
    if (peer->sa_family == AF_INET) {
        memcpy(&key[1], &((const struct sockaddr_in *)(const void *)peer)->sin_addr, 4);
        return;
    }
    const struct in6_addr *address = &((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        key[0] = AF_INET;
        memcpy(&key[1], address->s6_addr + 12, 4);
    } else {
        memcpy(&key[1], address->s6_addr, 8);
    }
}

/* splitmix64's mixing, seeded. */
static struct list *bucket_of(struct address_table *table, const uint64_t key[2])
{
    uint64_t hash = key[1] ^ (key[0] << 56) ^ table->seed;
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return &table->buckets[(hash ^ (hash >> 31)) % BUCKETS];
}

static struct address *find_or_add(struct list *bucket, const uint64_t key[2])
{
    LIST_EACH(bucket, member, following)
    {
        struct address *address = LIST_OBJECT(member, struct address, link);
        if (address->key[0] == key[0] && address->key[1] == key[1]) {
            return address;
        }
    }
    struct address *address = calloc(1, sizeof(*address));
    if (address) {
        address->key[0] = key[0];
        address->key[1] = key[1];
        list_append(bucket, &address->link);
    }
    return address;
}

struct address *address_table_enter(struct address_table *table, const struct sockaddr *peer)
{
    uint64_t key[2];
    make_key(peer, key);
    uv_mutex_lock(&table->lock);
    struct address *address = find_or_add(bucket_of(table, key), key);
    if (address && address->connections >= table->limit) {
        address = NULL;
    } else if (address) {
        address->connections++;
    }
    uv_mutex_unlock(&table->lock);
    return address;
}

void address_table_leave(struct address_table *table, struct address *address)
{
    if (!address) {
        return;
    }
    uv_mutex_lock(&table->lock);
    if (--address->connections == 0) {
        list_remove(&address->link);
        free(address);
    }
    uv_mutex_unlock(&table->lock);
}
