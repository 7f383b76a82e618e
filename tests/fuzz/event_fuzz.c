/*
 * Any body: the scanner must say of each whether it is JSON as a strict library does, and an event that is taken must
 * have the ids that the library finds.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "stripe/event.h"
#include "stripe/json_scan.h"

static void compare_ids(const struct event *event, const json_t *json)
{
    const json_t *inner = json_object_get(json_object_get(json, "data"), "object");
    const char *id = json_string_value(json_object_get(json, "id"));
    const char *session = json_string_value(json_object_get(inner, "id"));
    if (!id || !text_equal(event->id, text_of(id)) || !session || !text_equal(event->session, text_of(session))) {
        abort();
    }
}

/* Names that are written with escapes are not looked for; the library decodes them, and may find other members. */
static bool has_escape(struct text body)
{
    return body.length > 0 && memchr(body.data, '\\', body.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);
    memcpy(copy, data, size);
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    struct text body = {.data = exact, .length = size};
    struct event event;
    const char *why;
    struct json_value values[1];
    static const struct json_path paths[] = {{{{"id", 2}}, 1}};
    json_error_t error;
    bool ours = json_scan(body, paths, 1, values) == 0;
    json_t *json = json_loadb(copy, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    enum json_error_code code = json ? json_error_unknown : json_error_code(&error);
    bool comparable = json || (code != json_error_numeric_overflow && code != json_error_stack_overflow);
    bool deep = ours != (json != NULL) && code == json_error_unknown; /* our limit of depth is the lower one */
    if (comparable && ours != (json != NULL) && !deep) {
        abort();
    }
    if (event_parse(body, &event, &why) == 0 && json && !has_escape(body)) {
        compare_ids(&event, json);
    }
    json_decref(json);
    free(copy);
    free(exact);
    return 0;
}
