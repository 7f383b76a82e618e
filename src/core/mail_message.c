#include "core/mail_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/mail_address.h"

#define LINE_BYTES 57 /* make 76 base64 characters: RFC 2045 section 6.8 */

/* ---- headers */

static void append_base64(struct buffer *out, struct text text)
{
    unsigned char encoded[4 * ((LINE_BYTES + 2) / 3) + 1];
    int length = EVP_EncodeBlock(encoded, (const unsigned char *)text.data, (int)text.length);
    buffer_append(out, (struct text){.data = (const char *)encoded, .length = (size_t)length});
}

static bool is_ascii(struct text text)
{
    for (size_t i = 0; i < text.length; i++) {
        if ((unsigned char)text.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/* The name in front of an address: as it is in ASCII, else in encoded words (RFC 2047) that end between characters. */
static void append_phrase(struct buffer *out, struct text name)
{
    if (is_ascii(name)) {
        buffer_append(out, name);
        return;
    }
    while (name.length > 0) {
        size_t length = name.length < 36 ? name.length : 36;
        while (length < name.length && ((unsigned char)name.data[length] & 0xc0) == 0x80) {
            length--;
        }
        buffer_append_string(out, "=?utf-8?B?");
        append_base64(out, (struct text){.data = name.data, .length = length});
        buffer_append_string(out, "?=");
        name.data += length;
        name.length -= length;
        buffer_append_string(out, name.length > 0 ? "\r\n " : "");
    }
}

static void append_from(struct buffer *out, struct text from, struct text address)
{
    buffer_append_string(out, "From: ");
    if (address.data > from.data && address.data[-1] == '<') {
        append_phrase(out,
                      text_trim((struct text){.data = from.data, .length = (size_t)(address.data - 1 - from.data)}));
        buffer_append_byte(out, ' ');
    }
    buffer_append_format(out, "<%.*s>\r\n", TEXT_ARGUMENTS(address));
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

static void append_headers(struct buffer *out, const struct mail_message *message, struct text from, struct text to)
{
    struct text host = from;
    (void)text_cut(&host, '@');
    append_from(out, message->from, from);
    buffer_append_format(out, "To: <%.*s>\r\nSubject: %s\r\n", TEXT_ARGUMENTS(to), message->subject);
    append_date(out, message->date);
    buffer_append_format(out, "Message-ID: <%.*s.email@%.*s>\r\n", TEXT_ARGUMENTS(message->event),
                         TEXT_ARGUMENTS(host));
    /* A machine's mail: no "out of office" in return (RFC 3834). */
    buffer_append_string(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
}

/* ---- body */

/* Base64 of the text with CRLF line ends, as text parts must have in their canonical form (RFC 2046 section 4.1.1). */
static int append_part(struct buffer *out, const char *boundary, const char *type, struct text text)
{
    struct buffer canonical = {0};
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '\n') {
            buffer_append_byte(&canonical, '\r');
        }
        buffer_append_byte(&canonical, text.data[i]);
    }
    buffer_append_format(out,
                         "--%s\r\nContent-Type: text/%s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
                         boundary, type);
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

int mail_message_write(const struct mail_message *message, struct buffer *out)
{
    static const char boundary[] = "=_identihook_alternative"; /* "=_" cannot occur in base64: RFC 2045 section 6.7 */
    struct text from;
    struct text to;
    if (mail_address_find(message->from, &from) < 0 || mail_address_find(message->to, &to) < 0) {
        return -EINVAL;
    }
    append_headers(out, message, from, to);
    buffer_append_format(out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n", boundary);
    int status = append_part(out, boundary, "plain", message->plain);
    if (status == 0) {
        status = append_part(out, boundary, "html", message->html);
    }
    buffer_append_format(out, "--%s--\r\n", boundary);
    return status == 0 ? buffer_status(out) : status;
}
