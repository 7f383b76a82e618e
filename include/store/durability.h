#pragma once

#include "net/redis_facts.h"

/*
 * How safe what Redis has confirmed is: judged from what Redis says of itself, and said where people look. Pure.
 */
enum durability {
    DURABILITY_UNKNOWN, /* Redis does not say, as managed services do not */
    DURABILITY_WEAK,    /* events that were answered 200 can be lost: the reason says how, and what to do */
    DURABILITY_SOUND
};

/* "unknown", "weak", "sound". */
extern const char *const durability_names[];

#define DURABILITY_REASON_SIZE 256

/* Judges; `reason` is for people, never empty. */
enum durability durability_judge(const struct redis_facts *facts, char reason[DURABILITY_REASON_SIZE]);
