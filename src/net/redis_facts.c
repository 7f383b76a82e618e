#include "net/redis_facts.h"

#include <stdio.h>
#include <string.h>

static void copy(char *to, size_t size, struct text from)
{
    (void)snprintf(to, size, "%.*s", TEXT_ARGUMENTS(from));
}

/* "7.0.15" -> 70015; what follows the digits ("8.0-rc1") is passed over. */
static unsigned number_of_version(struct text version)
{
    unsigned number = 0;
    for (int i = 0; i < 3; i++) {
        struct text part = text_cut(&version, '.');
        unsigned digits = 0;
        for (size_t j = 0; j < part.length && part.data[j] >= '0' && part.data[j] <= '9' && digits < 100; j++) {
            digits = digits * 10 + (unsigned)(part.data[j] - '0');
        }
        number = number * 100 + (digits < 100 ? digits : 99);
    }
    return number;
}

static enum redis_answer answer_of(struct text value)
{
    return text_equal(value, TEXT("0")) ? REDIS_NO : REDIS_YES;
}

struct reading {
    struct redis_facts *facts;
    struct text maxmemory;
};

static void read_line(struct reading *reading, struct text name, struct text value)
{
    struct redis_facts *facts = reading->facts;
    if (text_equal(name, TEXT("redis_version"))) {
        copy(facts->version, sizeof(facts->version), value);
        facts->version_number = number_of_version(value);
    } else if (text_equal(name, TEXT("role"))) {
        facts->replica = text_equal(value, TEXT("master")) ? REDIS_NO : REDIS_YES;
    } else if (text_equal(name, TEXT("cluster_enabled"))) {
        facts->cluster = answer_of(value);
    } else if (text_equal(name, TEXT("aof_enabled"))) {
        facts->appends = answer_of(value);
    } else if (text_equal(name, TEXT("maxmemory"))) {
        reading->maxmemory = value;
    } else if (text_equal(name, TEXT("maxmemory_policy"))) {
        copy(facts->policy, sizeof(facts->policy), value);
    }
}

void redis_facts_read_info(struct redis_facts *facts, struct text info)
{
    struct reading reading = {.facts = facts};
    facts->told = true;
    while (info.data) {
        struct text value = text_cut(&info, '\n');
        if (value.length > 0 && value.data[value.length - 1] == '\r') {
            value.length--;
        }
        struct text name = text_cut(&value, ':');
        if (value.data) {
            read_line(&reading, name, value);
        }
    }
    if (reading.maxmemory.data && facts->policy[0] != '\0') {
        bool keeps = text_equal(reading.maxmemory, TEXT("0")) || strcmp(facts->policy, "noeviction") == 0;
        facts->evicts = keeps ? REDIS_NO : REDIS_YES;
    }
}

void redis_facts_read_config(struct redis_facts *facts, struct text name, struct text value)
{
    if (text_equal(name, TEXT("appendfsync"))) {
        facts->fsync = text_equal(value, TEXT("always"))     ? REDIS_FSYNC_ALWAYS
                       : text_equal(value, TEXT("everysec")) ? REDIS_FSYNC_EVERYSEC
                       : text_equal(value, TEXT("no"))       ? REDIS_FSYNC_NO
                                                             : REDIS_FSYNC_UNKNOWN;
    }
}
