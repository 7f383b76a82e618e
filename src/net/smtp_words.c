#include "smtp_words.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attributes.h"

#define WORD_MAXIMUM 20
#define LEFT_OUT "\xe2\x80\xa6"

/* In the order of strcmp(). */
/* clang-format off */
static const char *const words[] = {
    "a", "abuse", "accept", "accepted", "accepting", "accepts", "access", "account", "action", "active", "address",
    "addresses", "again", "all", "allow", "allowed", "an", "and", "any", "are", "as", "at", "attachment", "attempt",
    "attempts", "authenticate", "authenticated", "authentication", "authorized", "bad", "banned", "be", "because",
    "been", "before", "blacklisted", "block", "blocked", "blocklist", "body", "bounce", "bulk", "busy", "but", "by",
    "cannot", "certificate", "check", "client", "closed", "closing", "command", "connect", "connection",
    "connections", "contact", "content", "contents", "could", "daily", "deferred", "delayed", "delivered", "delivery",
    "denied", "detected", "did", "disabled", "disk", "dkim", "dmarc", "dns", "do", "does", "domain", "down", "due",
    "email", "encryption", "enough", "error", "exceeded", "exceeds", "exist", "exists", "expired", "fail", "failed",
    "fails", "failure", "for", "forbidden", "found", "frequency", "from", "full", "greylisted", "greylisting", "has",
    "have", "helo", "here", "high", "host", "hour", "if", "in", "inactive", "incoming", "insufficient", "internal",
    "invalid", "ip", "is", "it", "its", "large", "later", "limit", "limits", "list", "listed", "local", "locked",
    "login", "lookup", "loop", "low", "mail", "mailbox", "mailboxes", "mails", "many", "maximum", "may", "message",
    "messages", "minutes", "missing", "moved", "must", "mx", "name", "need", "no", "not", "now", "number", "of", "on",
    "only", "or", "our", "out", "over", "password", "per", "permanent", "permanently", "permission", "permitted",
    "please", "policy", "poor", "postmaster", "prohibited", "protected", "protocol", "ptr", "quota", "rate", "rbl",
    "reach", "reached", "reason", "receive", "receiving", "recipient", "recipients", "record", "refused", "reject",
    "rejected", "relay", "relaying", "reputation", "required", "requires", "resources", "reverse", "seconds",
    "security", "see", "send", "sender", "senders", "sending", "sent", "server", "service", "size", "source", "space",
    "spam", "spf", "starttls", "storage", "such", "suspected", "suspended", "suspicious", "syntax", "system",
    "temporarily", "temporary", "test", "than", "that", "the", "their", "there", "this", "throttled", "timeout",
    "tls", "to", "too", "transaction", "try", "unable", "unauthenticated", "unauthorized", "unavailable", "unknown",
    "unroutable", "unsolicited", "unverified", "user", "users", "valid", "verification", "verify", "virus", "was",
    "we", "when", "will", "with", "you", "your",
};
/* clang-format on */

static int compare(const void *key, const void *member)
{
    return strcmp(key, *(const char *const *)member);
}

static bool is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Without what people put around words. */
static struct text strip(struct text token)
{
    while (token.length > 0 && strchr("(\"'", token.data[0])) {
        token.data++;
        token.length--;
    }
    while (token.length > 0 && strchr(".,:;!?)\"'", token.data[token.length - 1])) {
        token.length--;
    }
    return token;
}

static bool is_known(struct text word)
{
    char lower[WORD_MAXIMUM];
    if (word.length == 0 || word.length >= sizeof(lower)) {
        return false;
    }
    for (size_t i = 0; i < word.length; i++) {
        if (!is_letter(word.data[i])) {
            return false;
        }
        lower[i] = (char)(word.data[i] | 0x20);
    }
    lower[word.length] = '\0';
    return bsearch(lower, words, ARRAY_LENGTH(words), sizeof(words[0]), compare) != NULL;
}

/* Whole, or not at all. */
static bool append(struct text piece, char *out, size_t size)
{
    size_t length = strlen(out);
    if (length + piece.length + 2 > size) {
        return false;
    }
    (void)snprintf(out + length, size - length, "%s%.*s", length > 0 ? " " : "", TEXT_ARGUMENTS(piece));
    return true;
}

static bool has_known(struct text reply)
{
    while (reply.data) {
        if (is_known(strip(text_cut(&reply, ' ')))) {
            return true;
        }
    }
    return false;
}

void smtp_words_append(struct text reply, char *out, size_t size)
{
    bool left_out = false;
    bool room = has_known(reply);
    while (reply.data && room) {
        struct text word = strip(text_cut(&reply, ' '));
        if (is_known(word)) {
            room = append(word, out, size);
            left_out = false;
        } else if (word.length > 0 && !left_out) {
            room = append(TEXT(LEFT_OUT), out, size);
            left_out = true;
        }
    }
}
