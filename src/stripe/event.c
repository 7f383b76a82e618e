#include "stripe/event.h"

#include "stripe/json_scan.h"

enum member { ID, OBJECT, TYPE, ACCOUNT, API_VERSION, CREATED, LIVEMODE, SESSION, MEMBERS };

#define NAME(literal)                                                                                                  \
    {                                                                                                                  \
        literal, sizeof(literal) - 1                                                                                   \
    }

static const struct json_path paths[MEMBERS] = {
    [ID] = {{NAME("id")}, 1},
    [OBJECT] = {{NAME("object")}, 1},
    [TYPE] = {{NAME("type")}, 1},
    [ACCOUNT] = {{NAME("account")}, 1},
    [API_VERSION] = {{NAME("api_version")}, 1},
    [CREATED] = {{NAME("created")}, 1},
    [LIVEMODE] = {{NAME("livemode")}, 1},
    [SESSION] = {{NAME("data"), NAME("object"), NAME("id")}, 3},
};

static const char *const kind_names[EVENT_KINDS] = {
    [EVENT_CREATED] = "created",   [EVENT_PROCESSING] = "processing",
    [EVENT_VERIFIED] = "verified", [EVENT_REQUIRES_INPUT] = "requires_input",
    [EVENT_CANCELED] = "canceled", [EVENT_REDACTED] = "redacted",
    [EVENT_OTHER] = "other",
};

const char *event_kind_name(enum event_kind kind)
{
    return kind_names[kind];
}

enum event_kind event_kind_of(struct text type)
{
    struct text prefix = TEXT(EVENT_TYPE_PREFIX);
    if (text_starts_with(type, prefix)) {
        type.data += prefix.length;
        type.length -= prefix.length;
    }
    enum event_kind kind = 0;
    while (kind < EVENT_OTHER && !text_equal(type, text_of(kind_names[kind]))) {
        kind++;
    }
    return kind;
}

/* Without branches: the digits of an id are random. */
static bool is_alphanumeric(char byte)
{
    unsigned digit = (unsigned char)byte - (unsigned)'0';
    unsigned letter = ((unsigned char)byte | 0x20u) - (unsigned)'a';
    return (digit < 10) | (letter < 26);
}

/* One bit for each byte: "-." and digits, upper case letters, '_' and lower case letters. */
static const uint64_t identifier_bytes[4] = {0x03ff600000000000, 0x07fffffe87fffffe};

bool event_is_id(struct text id)
{
    if (id.length == 0 || id.length > EVENT_ID_MAXIMUM) {
        return false;
    }
    uint64_t valid = 1;
    for (size_t i = 0; i < id.length; i++) {
        unsigned char byte = (unsigned char)id.data[i];
        valid &= identifier_bytes[byte / 64] >> (byte % 64);
    }
    return valid != 0;
}

static bool is_identifier(const struct json_value *value)
{
    return value->kind == SCANNED_STRING && event_is_id(value->text);
}

bool event_is_session_id(struct text id)
{
    if (!text_starts_with(id, TEXT("vs_")) || id.length < 4 || id.length > EVENT_ID_MAXIMUM) {
        return false;
    }
    for (size_t i = 3; i < id.length; i++) {
        if (!is_alphanumeric(id.data[i]) && id.data[i] != '_' && id.data[i] != '-') {
            return false;
        }
    }
    return true;
}

/* A member that may be absent or null, but when it is there must be an identifier. */
static bool optional_identifier(const struct json_value *value, struct text *text)
{
    *text = (struct text){0};
    if (value->kind == SCANNED_ABSENT || value->kind == SCANNED_NULL) {
        return true;
    }
    *text = value->text;
    return is_identifier(value);
}

static const char *find_fault(const struct json_value *values, struct event *event)
{
    if (values[OBJECT].kind == SCANNED_STRING && text_equal(values[OBJECT].text, TEXT("v2.core.event"))) {
        return "this is a thin event; let the event destination send snapshot events to this endpoint";
    }
    bool is_event = values[OBJECT].kind == SCANNED_STRING && text_equal(values[OBJECT].text, TEXT("event"));
    if (values[OBJECT].kind != SCANNED_ABSENT && !is_event) {
        return "the body is JSON, but not a Stripe event: its object is not \"event\"";
    }
    if (!is_identifier(&values[ID])) {
        return "the event has no id, or one that is not letters, digits and underscores";
    }
    if (!is_identifier(&values[TYPE])) {
        return "the event has no type, or one that is not letters, digits, dots and underscores";
    }
    if (!is_identifier(&values[SESSION])) {
        return "the event has no data.object.id, or one that is not letters, digits and underscores";
    }
    if (!optional_identifier(&values[ACCOUNT], &event->account) ||
        !optional_identifier(&values[API_VERSION], &event->api_version)) {
        return "the event's account or api_version is not a plain string";
    }
    if (event->kind != EVENT_OTHER && !event_is_session_id(values[SESSION].text)) {
        return "the event's data.object.id is not a verification session's: those are vs_ and letters, digits, '_' and "
               "'-'";
    }
    return NULL;
}

int event_parse(struct text body, struct event *event, const char **why)
{
    struct json_value values[MEMBERS];
    *event = (struct event){0};
    if (json_scan(body, paths, MEMBERS, values) != 0) {
        *why = "the body is not valid JSON in UTF-8";
        return EVENT_INVALID;
    }
    event->kind = values[TYPE].kind == SCANNED_STRING && text_starts_with(values[TYPE].text, TEXT(EVENT_TYPE_PREFIX))
                      ? event_kind_of(values[TYPE].text)
                      : EVENT_OTHER;
    *why = find_fault(values, event);
    if (*why) {
        return EVENT_INVALID;
    }
    event->id = values[ID].text;
    event->type = values[TYPE].text;
    event->session = values[SESSION].text;
    event->livemode = values[LIVEMODE].kind == SCANNED_TRUE;
    uint64_t created = 0;
    if (values[CREATED].kind == SCANNED_NUMBER && text_to_unsigned(values[CREATED].text, INT64_MAX, &created) == 0) {
        event->created = (int64_t)created;
    }
    return 0;
}
