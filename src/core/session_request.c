#include "core/session_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/crypto.h>

#define BODY_MAXIMUM 8192 /* bytes: a token and a word */

static int set_integration(struct session_request *request, struct text name)
{
    if (request->named) {
        return SESSION_REQUEST_FIELD;
    }
    for (enum integration integration = 0; integration < INTEGRATIONS; integration++) {
        if (text_equal(name, text_of(integration_names[integration]))) {
            request->integration = integration;
            request->named = true;
            return 0;
        }
    }
    return SESSION_REQUEST_INTEGRATION;
}

/* ---- JSON */

static int read_object(const json_t *object, struct session_request *request)
{
    const json_t *integration = json_object_get(object, "integration");
    if (!json_is_object(object)) {
        return SESSION_REQUEST_MALFORMED;
    }
    if (json_object_size(object) > (integration ? 1 : 0)) {
        return SESSION_REQUEST_FIELD;
    }
    if (!integration) {
        return 0;
    }
    struct text name = {.data = json_string_value(integration), .length = json_string_length(integration)};
    return set_integration(request, name);
}

static int read_json(struct text body, struct session_request *request)
{
    json_error_t error;
    json_t *object = json_loadb(body.data, body.length, JSON_REJECT_DUPLICATES, &error);
    int status = read_object(object, request);
    json_decref(object);
    return status;
}

/* ---- forms: name=value&… */

static int digit_of(char byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

/* Decodes what form encoding wrote as %XX and '+' into `decoded`, which has room for all of it and a NUL. False: it is
 * none, or has a NUL in it. */
static bool decode(struct text text, char *decoded, size_t *length)
{
    size_t used = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            int high = i + 1 < text.length ? digit_of(text.data[i + 1]) : -1;
            int low = i + 2 < text.length ? digit_of(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        decoded[used++] = byte;
    }
    decoded[used] = '\0';
    *length = used;
    return memchr(decoded, '\0', used) == NULL;
}

static int read_pair(struct text name, char *value, size_t length, struct session_request *request)
{
    if (text_equal(name, TEXT("integration"))) {
        return set_integration(request, (struct text){.data = value, .length = length});
    }
    if (!text_equal(name, TEXT("access_token")) || request->token) {
        return SESSION_REQUEST_FIELD;
    }
    request->token = text_copy((struct text){.data = value, .length = length});
    return request->token ? 0 : -ENOMEM;
}

static int read_form(struct text body, struct session_request *request)
{
    size_t size = body.length + 1;
    char *value = malloc(size);
    int status = value ? 0 : -ENOMEM;
    while (body.length > 0 && status == 0) {
        struct text rest = text_cut(&body, '&');
        struct text name = text_cut(&rest, '=');
        size_t length;
        if (name.length == 0 && rest.length == 0) {
            continue;
        }
        status = decode(rest, value, &length) ? read_pair(name, value, length, request) : SESSION_REQUEST_MALFORMED;
    }
    if (value) {
        OPENSSL_cleanse(value, size);
        free(value);
    }
    return status;
}

/* ---- all of it */

int session_request_parse(struct text content_type, struct text body, struct session_request *request)
{
    struct text media = text_trim(text_cut(&content_type, ';'));
    *request =
        (struct session_request){.is_form = text_equal_ignoring_case(media, TEXT("application/x-www-form-urlencoded"))};
    if (body.length == 0) {
        return 0; /* whatever it says it would have been */
    }
    if (body.length > BODY_MAXIMUM) {
        return SESSION_REQUEST_MALFORMED;
    }
    int status = request->is_form                                            ? read_form(body, request)
                 : text_equal_ignoring_case(media, TEXT("application/json")) ? read_json(body, request)
                                                                             : SESSION_REQUEST_MEDIA;
    if (status != 0) {
        session_request_clear(request);
    }
    return status;
}

void session_request_clear(struct session_request *request)
{
    if (request->token) {
        OPENSSL_cleanse(request->token, strlen(request->token));
        free(request->token);
        request->token = NULL;
    }
}
