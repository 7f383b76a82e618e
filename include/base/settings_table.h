#pragma once

#include <stddef.h>

#include "base/setting.h"

/* The one table that defines each setting, in the order in which people are shown them. */
extern const struct setting settings_table[];
extern const size_t settings_table_length;
