#include "stripe/json_scan.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"

#define BLOCK_SIZE 64 /* one bit each in a uint64_t */

/*
 * A recursive descent, one function per production of RFC 8259. Each gets where its production begins and returns where
 * it ends, or NULL when there is none: the position stays in a register that way. What nobody wants is not written
 * down: `value` may be NULL everywhere.
 *
 * `wanted` is a set of paths (bit i: path i) whose names so far have matched on the way down; where it is empty nothing
 * is compared any more.
 */
struct scan {
    const char *end;
    const char *block; /* strings are searched in blocks, each once for all strings in it */
    uint64_t special;  /* see find_special() */
    const struct json_path *paths;
    struct json_value *values;
};

static const char *scan_value(struct scan *scan, const char *at, unsigned wanted, size_t depth,
                              struct json_value *value);

static void set(struct json_value *value, enum json_kind kind)
{
    if (value) {
        *value = (struct json_value){.kind = kind};
    }
}

/* ---- blanks and strings: nearly all bytes of an event are in these */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* A line end and the indentation behind it; any other blanks, too. */
static const char *skip_indentation(const char *at, const char *end)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' ');
    at += *at == '\n';
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        unsigned others = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, space)) ^ 0xffffu;
        if (others != 0) {
            at += __builtin_ctz(others);
            break;
        }
        at += 16;
    }
#endif
    while (at < end && is_blank(*at)) {
        at++;
    }
    return at;
}

/* Called between all tokens: what is usual there is decided here, and nothing is called. */
static inline const char *skip_blanks(const struct scan *scan, const char *at)
{
    if (at == scan->end || (unsigned char)*at > ' ') {
        return at; /* none */
    }
    if (*at == ' ' && scan->end - at > 1 && (unsigned char)at[1] > ' ') {
        return at + 1; /* one, as behind a colon */
    }
    return skip_indentation(at, scan->end);
}

/* Bit i: byte i of the block is '"', '\\', a control character, or beyond ASCII. */
static uint64_t find_special(const char block[BLOCK_SIZE])
{
    uint64_t special = 0;
#ifdef __SSE2__
    for (int i = 0; i < BLOCK_SIZE; i += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(block + i));
        __m128i quotes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        __m128i backslashes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        /* As signed bytes, control characters and everything beyond ASCII are less than a space. */
        __m128i others = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
        __m128i all = _mm_or_si128(_mm_or_si128(quotes, backslashes), others);
        special |= (uint64_t)(unsigned)_mm_movemask_epi8(all) << i;
    }
#else
    for (int i = 0; i < BLOCK_SIZE; i++) {
        unsigned char byte = (unsigned char)block[i];
        special |= (uint64_t)(byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80) << i;
    }
#endif
    return special;
}

/* The next block begins at `at`. Behind the document's end all bytes are special. */
static void enter_block(struct scan *scan, const char *at)
{
    scan->block = at;
    if (scan->end - at >= BLOCK_SIZE) {
        scan->special = find_special(at);
    } else {
        char rest[BLOCK_SIZE] = {0};
        memcpy(rest, at, (size_t)(scan->end - at));
        scan->special = find_special(rest);
    }
}

/* Steps over characters that stand for themselves, to the first special one or to the end. */
static inline const char *skip_plain(struct scan *scan, const char *at)
{
    if (at - scan->block >= BLOCK_SIZE) {
        enter_block(scan, at);
    }
    uint64_t special = scan->special >> (at - scan->block);
    while (special == 0) {
        at = scan->block + BLOCK_SIZE;
        enter_block(scan, at);
        special = scan->special;
    }
    return at + __builtin_ctzll(special);
}

static const char *scan_hex(const struct scan *scan, const char *at, unsigned *unit)
{
    if (scan->end - at < 4) {
        return NULL;
    }
    *unit = 0;
    for (const char *behind = at + 4; at < behind; at++) {
        char lower = (char)(*at | 0x20);
        if (*at >= '0' && *at <= '9') {
            *unit = *unit * 16 + (unsigned)(*at - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *unit = *unit * 16 + (unsigned)(lower - 'a') + 10;
        } else {
            return NULL;
        }
    }
    return at;
}

/* Behind "\u". A high surrogate must be followed by an escaped low one (RFC 8259 section 7). */
static const char *scan_unicode_escape(const struct scan *scan, const char *at)
{
    unsigned unit;
    at = scan_hex(scan, at, &unit);
    if (!at || unit < 0xd800 || unit > 0xdfff) {
        return at;
    }
    if (unit > 0xdbff || scan->end - at < 2 || at[0] != '\\' || at[1] != 'u') {
        return NULL;
    }
    at = scan_hex(scan, at + 2, &unit);
    return !at || (unit >= 0xdc00 && unit <= 0xdfff) ? at : NULL;
}

static const char *scan_escape(const struct scan *scan, const char *at)
{
    at++;
    if (at == scan->end) {
        return NULL;
    }
    switch (*at) {
    case 'u':
        return scan_unicode_escape(scan, at + 1);
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return at + 1;
    default:
        return NULL;
    }
}

/* One character that does not stand for itself, or is beyond ASCII. */
static const char *scan_special(const struct scan *scan, const char *at, bool *escaped)
{
    if (at == scan->end || (unsigned char)*at < 0x20) {
        return NULL;
    }
    if (*at == '\\') {
        *escaped = true;
        return scan_escape(scan, at);
    }
    size_t length = utf8_sequence(at, (size_t)(scan->end - at));
    return length == 0 ? NULL : at + length;
}

/* Goes on in a string, from what does not stand for itself to the closing quote. */
static const char *scan_rest_of_string(struct scan *scan, const char *at, bool *escaped)
{
    while (at == scan->end || *at != '"') {
        at = scan_special(scan, at, escaped);
        if (!at) {
            return NULL;
        }
        at = skip_plain(scan, at);
    }
    return at;
}

static inline const char *scan_string(struct scan *scan, const char *at, struct json_value *value)
{
    const char *start = at + 1;
    bool escaped = false;
    at = skip_plain(scan, start);
    if (at == scan->end || *at != '"') {
        at = scan_rest_of_string(scan, at, &escaped);
        if (!at) {
            return NULL;
        }
    }
    if (value) {
        *value = (struct json_value){.kind = SCANNED_STRING, .text = {start, (size_t)(at - start)}, .escaped = escaped};
    }
    return at + 1;
}

/* ---- numbers and words */

static bool next_is(const struct scan *scan, const char *at, char byte)
{
    return at < scan->end && *at == byte;
}

static const char *scan_digits(const struct scan *scan, const char *at)
{
    const char *start = at;
    while (at < scan->end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at > start ? at : NULL;
}

static const char *scan_fraction(const struct scan *scan, const char *at)
{
    return next_is(scan, at, '.') ? scan_digits(scan, at + 1) : at;
}

static const char *scan_exponent(const struct scan *scan, const char *at)
{
    if (!next_is(scan, at, 'e') && !next_is(scan, at, 'E')) {
        return at;
    }
    at++;
    at += next_is(scan, at, '+') || next_is(scan, at, '-') ? 1 : 0;
    return scan_digits(scan, at);
}

static const char *scan_number(const struct scan *scan, const char *at, struct json_value *value)
{
    const char *start = at;
    at += next_is(scan, at, '-') ? 1 : 0;
    at = next_is(scan, at, '0') ? at + 1 : scan_digits(scan, at);
    at = at ? scan_fraction(scan, at) : NULL;
    at = at ? scan_exponent(scan, at) : NULL;
    if (at && value) {
        *value = (struct json_value){.kind = SCANNED_NUMBER, .text = {start, (size_t)(at - start)}};
    }
    return at;
}

static const char *scan_word(const struct scan *scan, const char *at, struct text word)
{
    struct text rest = {at, (size_t)(scan->end - at)};
    return text_starts_with(rest, word) ? at + word.length : NULL;
}

/* ---- arrays and objects */

static const char *scan_array(struct scan *scan, const char *at, size_t depth)
{
    at = skip_blanks(scan, at + 1);
    if (next_is(scan, at, ']')) {
        return at + 1;
    }
    for (;;) {
        at = scan_value(scan, at, 0, depth + 1, NULL);
        at = at ? skip_blanks(scan, at) : NULL;
        if (!at || !next_is(scan, at, ',')) {
            return at && next_is(scan, at, ']') ? at + 1 : NULL;
        }
        at++;
    }
}

/* The paths of `wanted` whose name at this depth is `name`. */
static unsigned select_paths(const struct scan *scan, unsigned wanted, size_t depth, struct text name)
{
    unsigned selected = 0;
    for (unsigned rest = wanted; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        const struct json_path *path = &scan->paths[i];
        if (depth < path->count && path->names[depth].length == name.length &&
            memcmp(path->names[depth].data, name.data, name.length) == 0) {
            selected |= 1u << i;
        }
    }
    return selected;
}

/* Gives `value` to the selected paths that end here; for the longer ones a later member undoes an earlier one's. */
static void deliver(const struct scan *scan, unsigned selected, size_t depth, const struct json_value *value)
{
    for (unsigned rest = selected; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        if (scan->paths[i].count == depth + 1) {
            scan->values[i] = *value;
        }
    }
}

static void forget(const struct scan *scan, unsigned selected)
{
    for (unsigned rest = selected; rest != 0; rest &= rest - 1) {
        scan->values[__builtin_ctz(rest)] = (struct json_value){.kind = SCANNED_ABSENT};
    }
}

/* The value of a member called `name`, of which some path may want something. */
static const char *scan_wanted_value(struct scan *scan, const char *at, unsigned wanted, size_t depth, struct text name)
{
    unsigned selected = select_paths(scan, wanted, depth, name);
    struct json_value value;
    forget(scan, selected);
    at = scan_value(scan, at, selected, depth + 1, &value);
    if (at) {
        deliver(scan, selected, depth, &value);
    }
    return at;
}

static const char *scan_member(struct scan *scan, const char *at, unsigned wanted, size_t depth)
{
    struct json_value name;
    at = skip_blanks(scan, at);
    at = next_is(scan, at, '"') ? scan_string(scan, at, wanted ? &name : NULL) : NULL;
    at = at ? skip_blanks(scan, at) : NULL;
    if (!at || !next_is(scan, at, ':')) {
        return NULL;
    }
    return wanted ? scan_wanted_value(scan, at + 1, wanted, depth, name.text)
                  : scan_value(scan, at + 1, 0, depth + 1, NULL);
}

static const char *scan_object(struct scan *scan, const char *at, unsigned wanted, size_t depth)
{
    at = skip_blanks(scan, at + 1);
    if (next_is(scan, at, '}')) {
        return at + 1;
    }
    for (;;) {
        at = scan_member(scan, at, wanted, depth);
        at = at ? skip_blanks(scan, at) : NULL;
        if (!at || !next_is(scan, at, ',')) {
            return at && next_is(scan, at, '}') ? at + 1 : NULL;
        }
        at++;
    }
}

static const char *scan_value(struct scan *scan, const char *at, unsigned wanted, size_t depth,
                              struct json_value *value)
{
    at = skip_blanks(scan, at);
    if (at == scan->end || depth > JSON_SCAN_DEPTH) {
        return NULL;
    }
    switch (*at) {
    case '"':
        return scan_string(scan, at, value);
    case '{':
        set(value, SCANNED_OBJECT);
        return scan_object(scan, at, wanted, depth);
    case '[':
        set(value, SCANNED_ARRAY);
        return scan_array(scan, at, depth);
    case 't':
        set(value, SCANNED_TRUE);
        return scan_word(scan, at, TEXT("true"));
    case 'f':
        set(value, SCANNED_FALSE);
        return scan_word(scan, at, TEXT("false"));
    case 'n':
        set(value, SCANNED_NULL);
        return scan_word(scan, at, TEXT("null"));
    default:
        return scan_number(scan, at, value);
    }
}

int json_scan(struct text json, const struct json_path *paths, size_t count, struct json_value *values)
{
    struct scan scan = {.end = json.data + json.length, .paths = paths, .values = values};
    for (size_t i = 0; i < count; i++) {
        set(&values[i], SCANNED_ABSENT);
    }
    if (json.length == 0) {
        return JSON_SCAN_INVALID;
    }
    enter_block(&scan, json.data);
    const char *at = scan_value(&scan, json.data, (1u << count) - 1, 0, NULL);
    at = at ? skip_blanks(&scan, at) : NULL;
    return at && at == scan.end ? 0 : JSON_SCAN_INVALID;
}
