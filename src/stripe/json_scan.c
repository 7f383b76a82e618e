#include "stripe/json_scan.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"

/*
 * A recursive descent, one function per production of RFC 8259. `wanted` is a set of paths (bit i: path i) whose names
 * so far have matched on the way down; where it is empty nothing is compared any more.
 */
struct scan {
    const char *at;
    const char *end;
    const struct json_path *paths;
    struct json_value *values;
    size_t count;
};

static bool scan_value(struct scan *scan, unsigned wanted, size_t depth, struct json_value *value);

/* ---- blanks and strings: nearly all bytes of an event are in these */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

/* A line end and the indentation behind it; any other blanks, too. */
static void skip_indentation(struct scan *scan)
{
#ifdef __SSE2__
    const __m128i space = _mm_set1_epi8(' ');
    scan->at += *scan->at == '\n';
    while (scan->end - scan->at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)scan->at);
        unsigned others = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, space)) ^ 0xffffu;
        if (others != 0) {
            scan->at += __builtin_ctz(others);
            break;
        }
        scan->at += 16;
    }
#endif
    while (scan->at < scan->end && is_blank(*scan->at)) {
        scan->at++;
    }
}

/* Called between all tokens: what is usual there is decided here, and nothing is called. */
static inline void skip_blanks(struct scan *scan)
{
    if (scan->at == scan->end || (unsigned char)*scan->at > ' ') {
        return; /* none */
    }
    if (*scan->at == ' ' && scan->end - scan->at > 1 && (unsigned char)scan->at[1] > ' ') {
        scan->at++; /* one, as behind a colon */
        return;
    }
    skip_indentation(scan);
}

/* Steps over characters that stand for themselves: not '"', not '\', not a control character, not beyond ASCII. */
static void skip_plain(struct scan *scan)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(' ');
    while (scan->end - scan->at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)scan->at);
        /* As signed bytes, control characters and everything beyond ASCII are less than a space. */
        __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)),
                                       _mm_cmplt_epi8(bytes, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(special);
        if (mask != 0) {
            scan->at += __builtin_ctz(mask);
            return;
        }
        scan->at += 16;
    }
#endif
    while (scan->at < scan->end) {
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"' || byte == '\\' || byte < 0x20 || byte >= 0x80) {
            return;
        }
        scan->at++;
    }
}

static bool scan_hex(struct scan *scan, unsigned *unit)
{
    if (scan->end - scan->at < 4) {
        return false;
    }
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char byte = *scan->at++;
        char lower = (char)(byte | 0x20);
        if (byte >= '0' && byte <= '9') {
            *unit = *unit * 16 + (unsigned)(byte - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            *unit = *unit * 16 + (unsigned)(lower - 'a') + 10;
        } else {
            return false;
        }
    }
    return true;
}

/* Behind "\u". A high surrogate must be followed by an escaped low one (RFC 8259 section 7). */
static bool scan_unicode_escape(struct scan *scan)
{
    unsigned unit;
    if (!scan_hex(scan, &unit) || (unit >= 0xdc00 && unit <= 0xdfff)) {
        return false;
    }
    if (unit < 0xd800 || unit > 0xdbff) {
        return true;
    }
    if (scan->end - scan->at < 2 || scan->at[0] != '\\' || scan->at[1] != 'u') {
        return false;
    }
    scan->at += 2;
    return scan_hex(scan, &unit) && unit >= 0xdc00 && unit <= 0xdfff;
}

static bool scan_escape(struct scan *scan)
{
    scan->at++;
    if (scan->at == scan->end) {
        return false;
    }
    char byte = *scan->at++;
    if (byte == 'u') {
        return scan_unicode_escape(scan);
    }
    return byte == '"' || byte == '\\' || byte == '/' || byte == 'b' || byte == 'f' || byte == 'n' || byte == 'r' ||
           byte == 't';
}

static bool scan_string(struct scan *scan, struct json_value *value)
{
    scan->at++;
    const char *start = scan->at;
    bool escaped = false;
    for (;;) {
        skip_plain(scan);
        if (scan->at == scan->end) {
            return false;
        }
        unsigned char byte = (unsigned char)*scan->at;
        if (byte == '"') {
            *value = (struct json_value){
                .kind = SCANNED_STRING, .text = {start, (size_t)(scan->at - start)}, .escaped = escaped};
            scan->at++;
            return true;
        }
        if (byte == '\\') {
            escaped = true;
            if (!scan_escape(scan)) {
                return false;
            }
            continue;
        }
        size_t length = byte < 0x20 ? 0 : utf8_sequence(scan->at, (size_t)(scan->end - scan->at));
        if (length == 0) {
            return false;
        }
        scan->at += length;
    }
}

/* ---- numbers and words */

static bool scan_digits(struct scan *scan)
{
    const char *start = scan->at;
    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9') {
        scan->at++;
    }
    return scan->at > start;
}

static bool next_is(const struct scan *scan, char byte)
{
    return scan->at < scan->end && *scan->at == byte;
}

static bool scan_number(struct scan *scan, struct json_value *value)
{
    const char *start = scan->at;
    if (next_is(scan, '-')) {
        scan->at++;
    }
    if (next_is(scan, '0')) {
        scan->at++;
    } else if (!scan_digits(scan)) {
        return false;
    }
    if (next_is(scan, '.')) {
        scan->at++;
        if (!scan_digits(scan)) {
            return false;
        }
    }
    if (next_is(scan, 'e') || next_is(scan, 'E')) {
        scan->at++;
        if (next_is(scan, '+') || next_is(scan, '-')) {
            scan->at++;
        }
        if (!scan_digits(scan)) {
            return false;
        }
    }
    *value = (struct json_value){.kind = SCANNED_NUMBER, .text = {start, (size_t)(scan->at - start)}};
    return true;
}

static bool scan_word(struct scan *scan, struct text word, enum json_kind kind, struct json_value *value)
{
    struct text rest = {scan->at, (size_t)(scan->end - scan->at)};
    if (!text_starts_with(rest, word)) {
        return false;
    }
    scan->at += word.length;
    *value = (struct json_value){.kind = kind};
    return true;
}

/* ---- arrays and objects */

static bool scan_array(struct scan *scan, size_t depth, struct json_value *value)
{
    scan->at++;
    skip_blanks(scan);
    struct json_value element;
    for (bool first = true; !next_is(scan, ']'); first = false) {
        if (!first) {
            if (!next_is(scan, ',')) {
                return false;
            }
            scan->at++;
        }
        if (!scan_value(scan, 0, depth + 1, &element)) {
            return false;
        }
        skip_blanks(scan);
    }
    scan->at++;
    *value = (struct json_value){.kind = SCANNED_ARRAY};
    return true;
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
static void deliver(struct scan *scan, unsigned selected, size_t depth, const struct json_value *value)
{
    for (unsigned rest = selected; rest != 0; rest &= rest - 1) {
        int i = __builtin_ctz(rest);
        if (scan->paths[i].count == depth + 1) {
            scan->values[i] = *value;
        }
    }
}

static void forget(struct scan *scan, unsigned selected)
{
    for (unsigned rest = selected; rest != 0; rest &= rest - 1) {
        scan->values[__builtin_ctz(rest)] = (struct json_value){.kind = SCANNED_ABSENT};
    }
}

static bool scan_member(struct scan *scan, unsigned wanted, size_t depth)
{
    struct json_value name;
    skip_blanks(scan);
    if (!next_is(scan, '"') || !scan_string(scan, &name)) {
        return false;
    }
    skip_blanks(scan);
    if (!next_is(scan, ':')) {
        return false;
    }
    scan->at++;
    unsigned selected = wanted ? select_paths(scan, wanted, depth, name.text) : 0;
    if (selected) {
        forget(scan, selected);
    }
    struct json_value value;
    if (!scan_value(scan, selected, depth + 1, &value)) {
        return false;
    }
    if (selected) {
        deliver(scan, selected, depth, &value);
    }
    return true;
}

static bool scan_object(struct scan *scan, unsigned wanted, size_t depth, struct json_value *value)
{
    scan->at++;
    skip_blanks(scan);
    for (bool first = true; !next_is(scan, '}'); first = false) {
        if (!first) {
            if (!next_is(scan, ',')) {
                return false;
            }
            scan->at++;
        }
        if (!scan_member(scan, wanted, depth)) {
            return false;
        }
        skip_blanks(scan);
    }
    scan->at++;
    *value = (struct json_value){.kind = SCANNED_OBJECT};
    return true;
}

static bool scan_value(struct scan *scan, unsigned wanted, size_t depth, struct json_value *value)
{
    skip_blanks(scan);
    if (scan->at == scan->end || depth > JSON_SCAN_DEPTH) {
        return false;
    }
    switch (*scan->at) {
    case '{':
        return scan_object(scan, wanted, depth, value);
    case '[':
        return scan_array(scan, depth, value);
    case '"':
        return scan_string(scan, value);
    case 't':
        return scan_word(scan, TEXT("true"), SCANNED_TRUE, value);
    case 'f':
        return scan_word(scan, TEXT("false"), SCANNED_FALSE, value);
    case 'n':
        return scan_word(scan, TEXT("null"), SCANNED_NULL, value);
    default:
        return scan_number(scan, value);
    }
}

int json_scan(struct text json, const struct json_path *paths, size_t count, struct json_value *values, size_t *offset)
{
    struct scan scan = {
        .at = json.data, .end = json.data + json.length, .paths = paths, .values = values, .count = count};
    for (size_t i = 0; i < count; i++) {
        values[i] = (struct json_value){.kind = SCANNED_ABSENT};
    }
    struct json_value document;
    bool valid = json.length > 0 && scan_value(&scan, (1u << count) - 1, 0, &document);
    if (valid) {
        skip_blanks(&scan);
        valid = scan.at == scan.end;
    }
    *offset = (size_t)(scan.at - json.data);
    return valid ? 0 : JSON_SCAN_INVALID;
}
