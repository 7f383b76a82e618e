#pragma once

#include <stddef.h>

#include "base/text.h"

/*
 * The names of identihook's keys in Redis. All begin with the namespace in braces, one hash tag, so that Redis Cluster
 * keeps them together.
 *
 *   {NS}:events        stream  every event, as received; the group "identihook" is ours
 *   {NS}:outcomes      stream  how each ended
 *   {NS}:dead          stream  those that could not be carried to their outcome
 *   {NS}:seen:EVENT    string  the event was received, and when (ms since 1970). Kept for the dedupe window
 *   {NS}:effects:EVENT hash    the ledger: effect -> when it was done (ms); "failed:EFFECT" -> why it failed for good
 *   {NS}:retry         zset    stream ids of events to be tried again, by the time that is due (ms)
 *   {NS}:attempts      hash    stream id -> failed tries of an event that is not finished
 *   {NS}:rate:MODE     string  when the next read of Stripe's API is due (ms); MODE is live or test
 */
#define KEYS_GROUP "identihook"
#define KEY_MAXIMUM 512

struct keys {
    char prefix[80]; /* "{NS}:" */
    char events[96];
    char outcomes[96];
    char dead[96];
    char retry[96];
    char attempts[96];
};

/* `namespace` is at most 64 bytes. */
void keys_init(struct keys *keys, const char *namespace);

/* Writes "{NS}:KIND:NAME" into `key` and returns it. `name` is at most 255 bytes. */
struct text keys_make(const struct keys *keys, const char *kind, struct text name, char key[KEY_MAXIMUM]);
