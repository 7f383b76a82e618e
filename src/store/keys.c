#include "store/keys.h"

#include <stdio.h>
#include <string.h>

void keys_init(struct keys *keys, const char *namespace)
{
    (void)snprintf(keys->prefix, sizeof(keys->prefix), "{%.64s}:", namespace);
    (void)snprintf(keys->events, sizeof(keys->events), "%sevents", keys->prefix);
    (void)snprintf(keys->outcomes, sizeof(keys->outcomes), "%soutcomes", keys->prefix);
    (void)snprintf(keys->dead, sizeof(keys->dead), "%sdead", keys->prefix);
    (void)snprintf(keys->retry, sizeof(keys->retry), "%sretry", keys->prefix);
    (void)snprintf(keys->attempts, sizeof(keys->attempts), "%sattempts", keys->prefix);
}

struct text keys_make(const struct keys *keys, const char *kind, struct text name, char key[KEY_MAXIMUM])
{
    int length = snprintf(key, KEY_MAXIMUM, "%s%s:%.*s", keys->prefix, kind, TEXT_ARGUMENTS(name));
    return (struct text){.data = key, .length = (size_t)length};
}
