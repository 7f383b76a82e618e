#include "store/durability.h"

#include <stdio.h>

const char *const durability_names[] = {
    [DURABILITY_UNKNOWN] = "unknown", [DURABILITY_WEAK] = "weak", [DURABILITY_SOUND] = "sound"};

static enum durability judge_fsync(enum redis_fsync fsync, char reason[DURABILITY_REASON_SIZE])
{
    static const char *const words[] = {
        [REDIS_FSYNC_UNKNOWN] = "events are in the append-only file; how often it reaches the disk is not known: allow "
                                "CONFIG GET appendfsync",
        [REDIS_FSYNC_NO] = "appendfsync no: a crash of its machine loses what the system had not written, half a "
                           "minute perhaps; CONFIG SET appendfsync always",
        [REDIS_FSYNC_EVERYSEC] = "events are in the append-only file; appendfsync everysec: a crash of its machine "
                                 "loses up to two seconds; always loses none",
        [REDIS_FSYNC_ALWAYS] = "events are on its disk before they are confirmed",
    };
    (void)snprintf(reason, DURABILITY_REASON_SIZE, "%s", words[fsync]);
    return fsync == REDIS_FSYNC_NO ? DURABILITY_WEAK : DURABILITY_SOUND;
}

enum durability durability_judge(const struct redis_facts *facts, char reason[DURABILITY_REASON_SIZE])
{
    if (facts->evicts == REDIS_YES) {
        (void)snprintf(reason, DURABILITY_REASON_SIZE,
                       "maxmemory-policy %s: Redis throws events away when its memory is full; CONFIG SET "
                       "maxmemory-policy noeviction",
                       facts->policy);
        return DURABILITY_WEAK;
    }
    if (facts->appends == REDIS_NO) {
        (void)snprintf(reason, DURABILITY_REASON_SIZE,
                       "appendonly no: what came since its last snapshot is lost when it restarts; CONFIG SET "
                       "appendonly yes");
        return DURABILITY_WEAK;
    }
    if (facts->appends == REDIS_UNKNOWN) {
        (void)snprintf(reason, DURABILITY_REASON_SIZE,
                       "Redis does not say whether it keeps events on disk: allow its user INFO, or ask who runs it");
        return DURABILITY_UNKNOWN;
    }
    return judge_fsync(facts->fsync, reason);
}
