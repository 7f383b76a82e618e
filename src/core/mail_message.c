#include "core/mail_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/mail_address.h"

#define LINE_BYTES 57      /* make 76 base64 characters: RFC 2045 section 6.8 */
#define LINE_CHARACTERS 76 /* of a line in quoted-printable, or of a folded header */
#define ENCODED_BYTES 36   /* make an encoded word that leaves room for a header's name: RFC 2047 section 2 */
#define WORD_CHARACTERS 60 /* longer ones cannot be folded, and are encoded */

/* ---- encodings */

static void append_base64(struct buffer *out, struct text text)
{
    unsigned char encoded[4 * ((LINE_BYTES + 2) / 3) + 1];
    int length = EVP_EncodeBlock(encoded, (const unsigned char *)text.data, (int)text.length);
    buffer_append(out, (struct text){.data = (const char *)encoded, .length = (size_t)length});
}

/* At most `most` bytes off the front, and no character of UTF-8 in two. */
static struct text cut_characters(struct text *text, size_t most)
{
    size_t length = text->length < most ? text->length : most;
    while (length < text->length && ((unsigned char)text->data[length] & 0xc0) == 0x80 && length > 1) {
        length--;
    }
    struct text part = {.data = text->data, .length = length};
    text->data += length;
    text->length -= length;
    return part;
}

static void append_encoded_words(struct buffer *out, struct text text)
{
    while (text.length > 0) {
        struct text part = cut_characters(&text, ENCODED_BYTES);
        buffer_append_string(out, "=?utf-8?B?");
        append_base64(out, part);
        buffer_append_string(out, text.length > 0 ? "?=\r\n " : "?=");
    }
}

/* It is printable ASCII, can be folded at its blanks, each of which has words around it, and nothing in it could be
 * taken for an encoded word. */
static bool is_simple(struct text text)
{
    size_t word = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        word = byte == ' ' ? 0 : word + 1;
        bool encoded = byte == '=' && i + 1 < text.length && text.data[i + 1] == '?';
        bool lonely = byte == ' ' && (i == 0 || i + 1 == text.length || text.data[i - 1] == ' ');
        if (byte < ' ' || byte >= 0x7f || word > WORD_CHARACTERS || encoded || lonely) {
            return false;
        }
    }
    return true;
}

/* ---- headers */

/* Folds at blanks (RFC 5322 section 2.2.3); `column` characters are on the line already. */
static void append_folded(struct buffer *out, struct text text, size_t column)
{
    while (text.data && text.length > 0) {
        struct text word = text_cut(&text, ' ');
        if (column + word.length > LINE_CHARACTERS && word.length > 0 && column > 1) {
            out->length -= out->length > 0 && out->data[out->length - 1] == ' '; /* the fold has one */
            buffer_append_string(out, "\r\n ");
            column = 1;
        }
        buffer_append(out, word);
        buffer_append_string(out, text.data ? " " : "");
        column += word.length + 1;
    }
}

static void append_subject(struct buffer *out, struct text subject)
{
    static const char name[] = "Subject: ";
    buffer_append_string(out, name);
    if (is_simple(subject)) {
        append_folded(out, subject, sizeof(name) - 1);
    } else {
        append_encoded_words(out, subject);
    }
    buffer_append_string(out, "\r\n");
}

/* A display name: as it is where it may be, else in quotes, else encoded (RFC 5322 section 3.4, RFC 2047 section 5). */
static void append_phrase(struct buffer *out, struct text name)
{
    bool plain = true;
    bool quotable = is_simple(name) && name.length <= WORD_CHARACTERS;
    for (size_t i = 0; i < name.length; i++) {
        plain = plain && !strchr("()<>[]:;@\\,.\"", name.data[i]);
        quotable = quotable && !strchr("\\\"", name.data[i]);
    }
    if (!quotable) {
        append_encoded_words(out, name);
    } else if (plain) {
        buffer_append(out, name);
    } else {
        buffer_append_format(out, "\"%.*s\"", TEXT_ARGUMENTS(name));
    }
}

static void append_mailbox(struct buffer *out, const char *header, const struct mailbox *mailbox)
{
    buffer_append_format(out, "%s: ", header);
    size_t start = out->length;
    if (mailbox->name.length > 0) {
        append_phrase(out, mailbox->name);
        bool fits = out->length - start + mailbox->address.length <= LINE_CHARACTERS - WORD_CHARACTERS / 4;
        buffer_append_string(out, fits ? " " : "\r\n ");
    }
    buffer_append_format(out, "<%.*s>\r\n", TEXT_ARGUMENTS(mailbox->address));
}

static void append_date(struct buffer *out, int64_t date)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)date;
    struct tm parts;
    (void)gmtime_r(&seconds, &parts);
    buffer_append_format(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[parts.tm_wday], parts.tm_mday,
                         months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

static void append_headers(struct buffer *out, const struct mail_message *message)
{
    struct text host = message->from.address;
    (void)text_cut(&host, '@');
    append_mailbox(out, "From", &message->from);
    append_mailbox(out, "To", &message->to);
    if (message->reply_to.address.length > 0) {
        append_mailbox(out, "Reply-To", &message->reply_to);
    }
    append_subject(out, message->subject);
    append_date(out, message->date);
    buffer_append_format(out, "Message-ID: <%.*s.email@%.*s>\r\n", TEXT_ARGUMENTS(message->event),
                         TEXT_ARGUMENTS(host));
    /* A machine's mail: no "out of office" in return (RFC 3834; the second for those who do not know the first). */
    buffer_append_string(out, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n"
                              "MIME-Version: 1.0\r\n");
}

/* ---- body */

static bool is_literal(unsigned char byte)
{
    return (byte >= ' ' && byte < 0x7f && byte != '=') || byte == '\t';
}

/* A line in quoted-printable (RFC 2045 section 6.7). Encoded, too, are blanks at its end, which relays drop, and what
 * some of them change at its start: a dot, and "From ". */
static void append_quoted_line(struct buffer *out, struct text line)
{
    size_t column = 0;
    for (size_t i = 0; i < line.length; i++) {
        unsigned char byte = (unsigned char)line.data[i];
        struct text rest = {.data = line.data + i, .length = line.length - i};
        bool last = rest.length == 1;
        bool literal = is_literal(byte) && !(last && (byte == ' ' || byte == '\t')) &&
                       !(column == 0 && (byte == '.' || text_starts_with(rest, TEXT("From "))));
        size_t width = literal ? 1 : 3;
        if (column + width > LINE_CHARACTERS - (last ? 0 : 1)) {
            buffer_append_string(out, "=\r\n");
            column = 0;
        }
        if (literal) {
            buffer_append_byte(out, (char)byte);
        } else {
            buffer_append_format(out, "=%02X", byte);
        }
        column += width;
    }
    buffer_append_string(out, "\r\n");
}

static void append_quoted(struct buffer *out, struct text text)
{
    while (text.data && text.length > 0) {
        append_quoted_line(out, text_cut(&text, '\n'));
    }
}

/* Base64 of the text with CRLF line ends, as text parts must have in their canonical form (RFC 2046 section 4.1.1). */
static int append_base64_lines(struct buffer *out, struct text text)
{
    struct buffer canonical = {0};
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\n') {
            buffer_append_byte(&canonical, '\r');
        }
        buffer_append_byte(&canonical, text.data[i]);
    }
    struct text rest = buffer_text(&canonical);
    while (rest.length > 0) {
        size_t length = rest.length < LINE_BYTES ? rest.length : LINE_BYTES;
        append_base64(out, (struct text){.data = rest.data, .length = length});
        buffer_append_string(out, "\r\n");
        rest.data += length;
        rest.length -= length;
    }
    int status = buffer_status(&canonical);
    buffer_free(&canonical);
    return status;
}

/* Whichever encoding is shorter: a byte that is not literal takes three in the one, every three take four in the other.
 */
static bool quoting_is_shorter(struct text text)
{
    size_t encoded = 0;
    for (size_t i = 0; i < text.length; i++) {
        encoded += !is_literal((unsigned char)text.data[i]) && text.data[i] != '\n';
    }
    return encoded * 6 <= text.length;
}

static int append_part(struct buffer *out, const char *boundary, const char *type, struct text text)
{
    bool quoted = quoting_is_shorter(text);
    buffer_append_format(out, "--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: %s\r\n\r\n",
                         boundary, type, quoted ? "quoted-printable" : "base64");
    if (quoted) {
        append_quoted(out, text);
        return 0;
    }
    return append_base64_lines(out, text);
}

/* ---- all of it */

static bool is_bare(struct text address)
{
    struct text found;
    return mail_address_find(address, &found) == 0 && found.length == address.length;
}

int mail_message_write(const struct mail_message *message, struct buffer *out)
{
    static const char boundary[] = "=_identihook_alternative"; /* "=_" occurs in neither encoding */
    if (!is_bare(message->from.address) || !is_bare(message->to.address) ||
        (message->reply_to.address.length > 0 && !is_bare(message->reply_to.address))) {
        return -EINVAL;
    }
    append_headers(out, message);
    buffer_append_format(out, "Content-Type: multipart/alternative;\r\n boundary=\"%s\"\r\n\r\n", boundary);
    int status = append_part(out, boundary, "plain", message->plain);
    if (status == 0) {
        status = append_part(out, boundary, "html", message->html);
    }
    buffer_append_format(out, "--%s--\r\n", boundary);
    return status == 0 ? buffer_status(out) : status;
}
