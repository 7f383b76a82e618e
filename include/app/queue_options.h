#pragma once

#include "base/settings.h"
#include "store/queue.h"

/* A queue as the settings have it, on a connection that is called `name`, for few and small calls; more is for the
 * caller to add. The settings outlive the queue. */
struct queue_options queue_options_of(const struct settings *settings, const char *name);
