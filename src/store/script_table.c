#include "script_table.h"

#include <uv.h>

#include "scripts.h"

#define SCRIPT_DEFINED(script) struct redis_script script_##script = {.name = #script, .source = script##_script};
SCRIPTS_LOADED(SCRIPT_DEFINED)
SCRIPTS_RARE(SCRIPT_DEFINED)

#define SCRIPT_LISTED(script) &script_##script,
static struct redis_script *const loaded[] = {SCRIPTS_LOADED(SCRIPT_LISTED)};
static struct redis_script *const rare[] = {SCRIPTS_RARE(SCRIPT_LISTED)};

static const struct redis_script *table[sizeof(loaded) / sizeof(loaded[0]) + 1];

static void prepare(void)
{
    for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++) {
        redis_script_prepare(loaded[i]);
        table[i] = loaded[i];
    }
    for (size_t i = 0; i < sizeof(rare) / sizeof(rare[0]); i++) {
        redis_script_prepare(rare[i]);
    }
}

const struct redis_script *const *script_table(void)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, prepare);
    return table;
}
