#pragma once

#include "net/redis.h"

/* Of redis.c, for its neighbours in this folder. */

/* Sends a command as it goes over the wire: `bytes` are copied. Returns as redis_command() does. */
MUST_CHECK int redis_send_encoded(struct redis *redis, struct redis_call *call, struct text bytes);
