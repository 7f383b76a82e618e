#include "stripe/signature_help.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/buffer.h"

/* A change that something between Stripe and us makes to a body, undone: fills `out` with the body as Stripe sent it.
 */
struct alteration {
    bool (*undo)(struct text body, struct buffer *out); /* false: this body cannot be the product of that change */
    const char *what;
};

static bool undo_appended_newline(struct text body, struct buffer *out)
{
    if (body.length == 0 || body.data[body.length - 1] != '\n') {
        return false;
    }
    body.length -= body.length > 1 && body.data[body.length - 2] == '\r' ? 2 : 1;
    buffer_append(out, body);
    return true;
}

static bool undo_stripped_newline(struct text body, struct buffer *out)
{
    buffer_append(out, body);
    buffer_append_byte(out, '\n');
    return true;
}

static bool undo_lf_to_crlf(struct text body, struct buffer *out)
{
    bool changed = false;
    for (size_t i = 0; i < body.length; i++) {
        if (body.data[i] == '\r' && i + 1 < body.length && body.data[i + 1] == '\n') {
            changed = true;
        } else {
            buffer_append_byte(out, body.data[i]);
        }
    }
    return changed;
}

static bool undo_crlf_to_lf(struct text body, struct buffer *out)
{
    bool changed = false;
    for (size_t i = 0; i < body.length; i++) {
        if (body.data[i] == '\n' && (i == 0 || body.data[i - 1] != '\r')) {
            buffer_append_byte(out, '\r');
            changed = true;
        }
        buffer_append_byte(out, body.data[i]);
    }
    return changed;
}

static bool undo_byte_order_mark(struct text body, struct buffer *out)
{
    struct text mark = TEXT("\xef\xbb\xbf");
    if (!text_starts_with(body, mark)) {
        return false;
    }
    buffer_append(out, (struct text){.data = body.data + mark.length, .length = body.length - mark.length});
    return true;
}

static const struct alteration alterations[] = {
    {undo_appended_newline, "a newline was added at its end"},
    {undo_stripped_newline, "the newline at its end was removed"},
    {undo_lf_to_crlf, "its line ends were changed from LF to CRLF"},
    {undo_crlf_to_lf, "its line ends were changed from CRLF to LF"},
    {undo_byte_order_mark, "a byte order mark was put in front of it"},
};

static void explain(struct signature_help *help, enum signature_cause cause, const char *format, ...) PRINTF_LIKE(3, 4);

static void explain(struct signature_help *help, enum signature_cause cause, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    help->cause = cause;
    (void)vsnprintf(help->message, sizeof(help->message), format, list);
    va_end(list);
}

/* The change after whose undoing the signature holds, or NULL. */
static const char *find_alteration(struct signature_keys *keys, struct text header, struct text body,
                                   const struct signature_result *result)
{
    struct buffer original = {0};
    const char *what = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(alterations) && !what; i++) {
        struct signature_result again;
        buffer_clear(&original);
        /* Judged at the signature's own time: here only the bytes are in question. */
        if (alterations[i].undo(body, &original) && buffer_status(&original) == 0 &&
            signature_verify(keys, header, buffer_text(&original), result->timestamp, 1, &again) == SIGNATURE_VALID) {
            what = alterations[i].what;
        }
    }
    buffer_wipe(&original);
    return what;
}

/* Stripe sends events indented, one member a line; a body without any line end has been parsed and written anew. */
static bool looks_rewritten(struct text body)
{
    if (body.length < 2 || body.data[0] != '{') {
        return false;
    }
    for (size_t i = 0; i < body.length; i++) {
        if (body.data[i] == '\n') {
            return false;
        }
    }
    return true;
}

static void explain_mismatch(struct signature_keys *keys, struct text header, struct text body,
                             const struct signature_result *result, struct signature_help *help)
{
    const char *what = find_alteration(keys, header, body, result);
    if (what) {
        explain(help, SIGNATURE_CAUSE_BODY_ALTERED,
                "the body was changed after it was signed: %s. The secret is right. Pass the request's raw bytes on "
                "unchanged: look for a proxy, a framework or an editor that rewrites them",
                what);
    } else if (body.length == 0) {
        explain(help, SIGNATURE_CAUSE_BODY_ALTERED,
                "the body is empty: whatever is in front of this endpoint did not pass it on");
    } else if (looks_rewritten(body)) {
        explain(
            help, SIGNATURE_CAUSE_BODY_ALTERED,
            "no configured secret made this signature. The body is JSON on one line, while Stripe sends it indented: "
            "it was probably parsed and written anew on its way. If it was not, the secret is another endpoint's");
    } else {
        explain(help, SIGNATURE_CAUSE_SECRET,
                "no configured secret made this signature. Each endpoint has its own whsec_ secret, test mode and live "
                "mode "
                "differ, and 'stripe listen' prints one of its own: compare STRIPE_WEBHOOK_SECRET with the endpoint's "
                "page in "
                "the Dashboard. If it is right, the body was changed on its way");
    }
}

static void explain_stale(const struct signature_result *result, int64_t tolerance, struct signature_help *help)
{
    if (result->age > 0) {
        explain(
            help, SIGNATURE_CAUSE_CLOCK_AHEAD,
            "the signature is right, but %" PRId64 " seconds old, and %" PRId64
            " are allowed. Either this is an old request sent again, or this machine's clock is ahead: check it (NTP)",
            result->age, tolerance);
    } else {
        explain(help, SIGNATURE_CAUSE_CLOCK_BEHIND,
                "the signature is right, but made %" PRId64 " seconds in the future, and %" PRId64
                " are allowed. This machine's clock is behind: check it (NTP)",
                -result->age, tolerance);
    }
}

void signature_explain(struct signature_keys *keys, struct text header, struct text body,
                       const struct signature_result *result, int64_t tolerance, struct signature_help *help)
{
    switch (result->verdict) {
    case SIGNATURE_VALID:
        explain(help, SIGNATURE_CAUSE_NONE, "the signature is valid");
        break;
    case SIGNATURE_MISSING:
        explain(help, SIGNATURE_CAUSE_HEADER_MISSING,
                "there is no Stripe-Signature header: the request is not from Stripe, or a proxy drops the header");
        break;
    case SIGNATURE_MALFORMED:
        explain(
            help, SIGNATURE_CAUSE_HEADER_MALFORMED,
            "the Stripe-Signature header is not t=SECONDS,v1=64 lower-case hexadecimal digits: pass it on exactly as "
            "Stripe sent it, on one line and without quotes");
        break;
    case SIGNATURE_STALE:
        explain_stale(result, tolerance, help);
        break;
    case SIGNATURE_MISMATCH:
    default:
        explain_mismatch(keys, header, body, result, help);
        break;
    }
}

const char *signature_cause_name(enum signature_cause cause)
{
    static const char *const names[SIGNATURE_CAUSES] = {
        [SIGNATURE_CAUSE_NONE] = "none",
        [SIGNATURE_CAUSE_HEADER_MISSING] = "header_missing",
        [SIGNATURE_CAUSE_HEADER_MALFORMED] = "header_malformed",
        [SIGNATURE_CAUSE_CLOCK_AHEAD] = "clock_ahead",
        [SIGNATURE_CAUSE_CLOCK_BEHIND] = "clock_behind",
        [SIGNATURE_CAUSE_BODY_ALTERED] = "body_altered",
        [SIGNATURE_CAUSE_SECRET] = "secret",
    };
    return cause < SIGNATURE_CAUSES ? names[cause] : "none";
}
