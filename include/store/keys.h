#pragma once

#include <stddef.h>

#include "base/text.h"

/*
 * The names of identihook's keys in Redis. All begin with the namespace in braces, one hash tag, so that Redis Cluster
 * keeps them together.
 *
 *   {NS}:events           stream  every event, as received; the group "identihook" is ours
 *   {NS}:outcomes         stream  how each ended
 *   {NS}:dead             stream  those that could not be carried to their outcome
 *   {NS}:acts             stream  what operators did: replay, discard, redact, pause, resume; who, when and why
 *   {NS}:seen:EVENT       string  the event was received, and when (ms since 1970); negative: it was finished or
 *                                 buried, and when. A younger entry of the stream, of a replay, is carried out all the
 *                                 same. Kept for the dedupe window
 *   {NS}:effects:EVENT    hash    the ledger: effect -> when it was done (ms); "failed:EFFECT" -> why it failed for
 *                                 good; "tries" -> failed tries; "try:N" -> when (ms) and why the Nth failed, of the
 *                                 last 32. Kept while the event is in work or dead, then for IDENTIHOOK_HISTORY
 *   {NS}:mail:EVENT       string  the mail as it was first sent, with its envelope; kept while the event is in work
 *   {NS}:turn:SESSION     string  "ID CONSUMER": that event has the session's turn, and who works on it; "ID": it was
 *                                 handed the turn and is due
 *   {NS}:waiting:SESSION  zset    stream ids of events that wait for the turn, the oldest first. Each is in retry, too
 *   {NS}:retry            zset    stream ids of events to be tried again, by the time that is due (ms), and of those
 *                                 that wait for their session's turn
 *   {NS}:held             zset    stream ids of events whose paused effect is all that is left, by when they were held.
 *                                 Each is in retry, too
 *   {NS}:control          hash    what operators have paused: processing, or an effect -> when (ms), who, why
 *   {NS}:attempts         hash    stream id -> failed tries of an event that is not finished
 *   {NS}:reconcile        hash    how far Stripe's list of events was gone through (`through`, s; `at`, ms), and who is
 *                                 at it (`holder`, `until`, ms)
 *   {NS}:pulse            string  when a worker last gave a sign of life, and until when nobody is held to be silent
 * (ms) {NS}:trimmer          string  which worker trims the streams, and how many groups it found stalled
 *   {NS}:rate:MODE        string  when the next read of Stripe's API is due (ms); MODE is live or test
 *   {NS}:slow:MODE        string  how many times slower than usual it goes for now, because Stripe has refused
 *   {NS}:user:HASH        hash    which verification session a user was given here, and how it stands; see user.h
 *   {NS}:pace:KIND:X      string  when a user or an address may go on asking for sessions (ms)
 *   {NS}:probe            string  written now and then, to see whether Redis takes writes; goes by itself
 */
#define KEYS_GROUP "identihook"
#define KEY_MAXIMUM 512

struct keys {
    char prefix[80]; /* "{NS}:" */
    char events[96];
    char outcomes[96];
    char dead[96];
    char acts[96];
    char control[96];
    char held[96];
    char retry[96];
    char attempts[96];
    char reconcile[96];
    char trimmer[96];
    char pulse[96];
    char probe[96];
};

/* `namespace` is at most 64 bytes. */
void keys_init(struct keys *keys, const char *namespace);

/* Writes "{NS}:KIND:NAME" into `key` and returns it. What is beyond 255 bytes of `name` is cut off. */
struct text keys_make(const struct keys *keys, const char *kind, struct text name, char key[KEY_MAXIMUM]);
