#include "stripe/ticket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "stripe/event.h"

/* ---- asking */

static void append_encoded(struct buffer *form, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    for (; *value; value++) {
        unsigned char byte = (unsigned char)*value;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                     strchr("-_.~", byte);
        if (plain) {
            buffer_append_byte(form, (char)byte);
        } else {
            buffer_append_byte(form, '%');
            buffer_append_byte(form, digits[byte >> 4]);
            buffer_append_byte(form, digits[byte & 15]);
        }
    }
}

static void append_pair(struct buffer *form, const char *name, const char *value)
{
    buffer_append_format(form, "%s%s=", form->length > 0 ? "&" : "", name);
    append_encoded(form, value);
}

static void append_document(struct buffer *form, const struct session_settings *settings)
{
    unsigned count = 0;
    char name[80];
    for (enum document_type type = 0; type < DOCUMENT_TYPES; type++) {
        if (settings->document_types & (1u << type)) {
            (void)snprintf(name, sizeof(name), "options[document][allowed_types][%u]", count++);
            append_pair(form, name, document_type_names[type]);
        }
    }
    for (enum document_option option = 0; option < DOCUMENT_OPTIONS; option++) {
        if (settings->document_options & (1u << option)) {
            (void)snprintf(name, sizeof(name), "options[document][%s]", document_option_names[option]);
            append_pair(form, name, "true");
        }
    }
}

void ticket_form(const struct session_settings *settings, const struct ticket_holder *holder, struct buffer *form)
{
    if (settings->flow) {
        append_pair(form, "verification_flow", settings->flow);
    } else {
        append_pair(form, "type", settings->type ? settings->type : "document");
    }
    append_pair(form, "client_reference_id", holder->user);
    append_pair(form, "metadata[user_id]", holder->user);
    append_pair(form, "metadata[created_by]", TICKET_CREATED_BY);
    if (holder->email && holder->email[0] != '\0') {
        append_pair(form, "provided_details[email]", holder->email);
    }
    append_document(form, settings);
    if (settings->return_url) {
        append_pair(form, "return_url", settings->return_url);
    }
}

/* ---- what comes back */

static int copy(const json_t *object, const char *name, char **string)
{
    const char *value = json_string_value(json_object_get(object, name));
    if (!value || value[0] == '\0') {
        return 0;
    }
    *string = strdup(value);
    return *string ? 0 : -ENOMEM;
}

static int fill(const json_t *json, struct ticket *ticket)
{
    struct text id = text_of(json_string_value(json_object_get(json, "id")));
    const char *status = json_string_value(json_object_get(json, "status"));
    const char *object = json_string_value(json_object_get(json, "object"));
    if (!object || strcmp(object, "identity.verification_session") != 0 || !event_is_session_id(id) || !status ||
        id.length >= TICKET_ID_SIZE) {
        return TICKET_NOT_ONE;
    }
    memcpy(ticket->id, id.data, id.length + 1);
    ticket->status = session_status_of(status);
    ticket->redacted = json_is_object(json_object_get(json, "redaction"));
    int result = copy(json, "client_secret", &ticket->client_secret);
    return result == 0 ? copy(json, "url", &ticket->url) : result;
}

int ticket_parse(struct text body, struct ticket *ticket)
{
    json_error_t error;
    *ticket = (struct ticket){0};
    json_t *json = json_loadb(body.data ? body.data : "", body.length, 0, &error);
    int status = json ? fill(json, ticket) : TICKET_NOT_ONE;
    json_decref(json);
    return status;
}

static void wipe(char *string)
{
    if (string) {
        OPENSSL_cleanse(string, strlen(string));
        free(string);
    }
}

void ticket_clear(struct ticket *ticket)
{
    wipe(ticket->client_secret);
    wipe(ticket->url);
    *ticket = (struct ticket){0};
}

int ticket_parse_key(struct text body, char **secret)
{
    json_error_t error;
    *secret = NULL;
    json_t *json = json_loadb(body.data ? body.data : "", body.length, 0, &error);
    const char *object = json_string_value(json_object_get(json, "object"));
    int status = object && strcmp(object, "ephemeral_key") == 0 ? copy(json, "secret", secret) : TICKET_NOT_ONE;
    json_decref(json);
    return status == 0 && !*secret ? TICKET_NOT_ONE : status;
}
