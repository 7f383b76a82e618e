#pragma once

#include "store/control.h"

struct redisReply;

/* Reads { field, value … } of {NS}:control; the texts borrow from the reply. */
void control_parse(const struct redisReply *reply, struct control *control);
