#include "store/keys.h"

#include <stdio.h>
#include <string.h>

#define NAME_MAXIMUM 255 /* ours are shorter; what others put into the stream may be anything */

void keys_init(struct keys *keys, const char *namespace)
{
    (void)snprintf(keys->prefix, sizeof(keys->prefix), "{%.64s}:", namespace);
    (void)snprintf(keys->events, sizeof(keys->events), "%sevents", keys->prefix);
    (void)snprintf(keys->outcomes, sizeof(keys->outcomes), "%soutcomes", keys->prefix);
    (void)snprintf(keys->dead, sizeof(keys->dead), "%sdead", keys->prefix);
    (void)snprintf(keys->acts, sizeof(keys->acts), "%sacts", keys->prefix);
    (void)snprintf(keys->control, sizeof(keys->control), "%scontrol", keys->prefix);
    (void)snprintf(keys->held, sizeof(keys->held), "%sheld", keys->prefix);
    (void)snprintf(keys->retry, sizeof(keys->retry), "%sretry", keys->prefix);
    (void)snprintf(keys->attempts, sizeof(keys->attempts), "%sattempts", keys->prefix);
    (void)snprintf(keys->reconcile, sizeof(keys->reconcile), "%sreconcile", keys->prefix);
    (void)snprintf(keys->pulse, sizeof(keys->pulse), "%spulse", keys->prefix);
    (void)snprintf(keys->trimmer, sizeof(keys->trimmer), "%strimmer", keys->prefix);
    (void)snprintf(keys->probe, sizeof(keys->probe), "%sprobe", keys->prefix);
}

static void put(char **at, struct text text)
{
    if (text.length > 0) {
        memcpy(*at, text.data, text.length);
    }
    *at += text.length;
}

struct text keys_make(const struct keys *keys, const char *kind, struct text name, char key[KEY_MAXIMUM])
{
    char *at = key;
    put(&at, text_of(keys->prefix));
    put(&at, text_of(kind));
    put(&at, TEXT(":"));
    put(&at, (struct text){.data = name.data, .length = name.length < NAME_MAXIMUM ? name.length : NAME_MAXIMUM});
    *at = '\0';
    return (struct text){.data = key, .length = (size_t)(at - key)};
}
