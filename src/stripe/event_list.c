#include "stripe/event_list.h"

#include <string.h>

#include "stripe/json_scan.h"

/*
 * json_scan() has proved the body to be JSON before anything here looks at it: what follows only finds out where values
 * begin and end, and cannot run over the end.
 */

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') {
        at++;
    }
    return at;
}

/* `at` is at the opening quote; returns what follows the closing one. */
static const char *skip_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        at += *at == '\\' ? 1 : 0;
    }
    return at + 1;
}

static const char *skip_container(const char *at)
{
    size_t depth = 0;
    do {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        depth += *at == '{' || *at == '[' ? 1 : 0;
        depth -= *at == '}' || *at == ']' ? 1 : 0;
        at++;
    } while (depth > 0);
    return at;
}

/* Returns what follows the value that begins at `at`. Inside of a container: a number or word ends before , ] } or a
 * blank. */
static const char *skip_value(const char *at)
{
    if (*at == '"') {
        return skip_string(at);
    }
    return *at == '{' || *at == '[' ? skip_container(at) : at + strcspn(at, ",]} \t\r\n");
}

/* The array that is the member `data` of the object at `at`. The last one, should there be several: as in json_scan().
 */
static const char *find_data(const char *at)
{
    const char *found = NULL;
    at = skip_blanks(at + 1);
    while (*at != '}') {
        const char *name = at;
        at = skip_string(at);
        bool is_data = text_equal((struct text){.data = name, .length = (size_t)(at - name)}, TEXT("\"data\""));
        at = skip_blanks(skip_blanks(at) + 1); /* behind the colon */
        found = is_data ? at : found;
        at = skip_blanks(skip_value(at));
        at = *at == ',' ? skip_blanks(at + 1) : at;
    }
    return found;
}

static int split(const char *at, struct event_list *list)
{
    at = skip_blanks(at + 1);
    while (*at != ']') {
        if (list->count == EVENT_LIST_MAXIMUM) {
            return EVENT_LIST_NOT_ONE;
        }
        const char *begin = at;
        at = skip_value(at);
        list->items[list->count++] = (struct text){.data = begin, .length = (size_t)(at - begin)};
        at = skip_blanks(at);
        at = *at == ',' ? skip_blanks(at + 1) : at;
    }
    return 0;
}

int event_list_parse(struct text body, struct event_list *list)
{
    enum { OBJECT, HAS_MORE, DATA, MEMBERS };
    static const struct json_path paths[MEMBERS] = {
        [OBJECT] = {{{"object", 6}}, 1}, [HAS_MORE] = {{{"has_more", 8}}, 1}, [DATA] = {{{"data", 4}}, 1}};
    struct json_value values[MEMBERS];
    list->count = 0;
    list->has_more = false;
    if (json_scan(body, paths, MEMBERS, values) != 0 || values[OBJECT].kind != SCANNED_STRING ||
        !text_equal(values[OBJECT].text, TEXT("list")) || values[DATA].kind != SCANNED_ARRAY) {
        return EVENT_LIST_NOT_ONE;
    }
    list->has_more = values[HAS_MORE].kind == SCANNED_TRUE;
    return split(find_data(skip_blanks(body.data)), list);
}
