#pragma once

#include "base/buffer.h"

/* Commands as they go over the wire (RESP2): "*COUNT", then COUNT bulk strings. Pure. */

/* A failure shows in the buffer's status. */
void redis_command_begin(struct buffer *out, size_t count);
void redis_command_append(struct buffer *out, size_t count, const struct text *texts);
