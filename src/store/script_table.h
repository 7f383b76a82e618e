#pragma once

#include "net/redis.h"

/* The store's Lua scripts (src/store/scripts), loaded by every connection that calls them. */
extern struct redis_script script_put;
extern struct redis_script script_due;
extern struct redis_script script_claim;
extern struct redis_script script_renew;
extern struct redis_script script_open;
extern struct redis_script script_record;
extern struct redis_script script_finish;
extern struct redis_script script_retry;
extern struct redis_script script_bury;
extern struct redis_script script_surrender;
extern struct redis_script script_trim;
extern struct redis_script script_rate;
extern struct redis_script script_rate_slow;
extern struct redis_script script_backlog;
extern struct redis_script script_pace;
extern struct redis_script script_admit;
extern struct redis_script script_enrol;
extern struct redis_script script_note;
extern struct redis_script script_search;
extern struct redis_script script_trace;
extern struct redis_script script_replay;
extern struct redis_script script_discard;
extern struct redis_script script_control_pause;
extern struct redis_script script_control_resume;
extern struct redis_script script_hold;
extern struct redis_script script_watermark_begin;
extern struct redis_script script_watermark_keep;
extern struct redis_script script_turn_take;
extern struct redis_script script_turn_give;
extern struct redis_script script_erase;

/* All of them, ending with NULL; their digests are computed on the first call, in whichever thread that is. */
const struct redis_script *const *script_table(void);
