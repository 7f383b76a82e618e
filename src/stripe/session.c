#include "stripe/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

static const char *const output_names[OUTPUTS] = {
    [OUTPUT_FIRST_NAME] = "first_name", [OUTPUT_LAST_NAME] = "last_name", [OUTPUT_DOB] = "dob",
    [OUTPUT_ADDRESS] = "address",       [OUTPUT_ID_NUMBER] = "id_number", [OUTPUT_ID_NUMBER_TYPE] = "id_number_type",
    [OUTPUT_EMAIL] = "email",           [OUTPUT_PHONE] = "phone",         [OUTPUT_SEX] = "sex",
};

const char *verified_output_name(enum verified_output output)
{
    return output_names[output];
}

bool verified_output_is_sensitive(enum verified_output output)
{
    return output == OUTPUT_DOB || output == OUTPUT_ID_NUMBER || output == OUTPUT_SEX;
}

bool session_has_sensitive(unsigned outputs)
{
    bool sensitive = false;
    for (enum verified_output output = 0; output < OUTPUTS; output++) {
        sensitive = sensitive || ((outputs & (1u << output)) && verified_output_is_sensitive(output));
    }
    return sensitive;
}

enum session_status session_status_of(const char *text)
{
    static const char *const names[] = {[SESSION_REQUIRES_INPUT] = "requires_input",
                                        [SESSION_PROCESSING] = "processing",
                                        [SESSION_VERIFIED] = "verified",
                                        [SESSION_CANCELED] = "canceled"};
    for (enum session_status status = 0; status < SESSION_UNKNOWN; status++) {
        if (strcmp(text, names[status]) == 0) {
            return status;
        }
    }
    return SESSION_UNKNOWN;
}

/* Copies a member that is a non-empty string; anything else leaves *copy NULL. */
static int copy_string(const json_t *object, const char *name, char **copy)
{
    const char *value = json_string_value(json_object_get(object, name));
    if (!value || value[0] == '\0') {
        return 0;
    }
    *copy = strdup(value);
    return *copy ? 0 : -ENOMEM;
}

static int copy_first(const json_t *one, const char *name, const json_t *other, const char *other_name, char **copy)
{
    int status = copy_string(one, name, copy);
    return status == 0 && !*copy ? copy_string(other, other_name, copy) : status;
}

static int copy_user(struct session *session, const json_t *json)
{
    int status = copy_string(json, "client_reference_id", &session->user);
    session->user_source = session->user ? "client_reference_id" : NULL;
    if (status < 0 || session->user) {
        return status;
    }
    status = copy_string(json_object_get(json, "metadata"), "user_id", &session->user);
    session->user_source = session->user ? "metadata" : NULL;
    return status;
}

/* On a link nobody can set metadata, and applications that create sessions of a flow themselves can. */
static bool is_from_link(const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "type"));
    bool flow =
        json_is_string(json_object_get(json, "verification_flow")) || (type && strcmp(type, "verification_flow") == 0);
    return flow && json_object_size(json_object_get(json, "metadata")) == 0;
}

static int copy_email(struct session *session, const json_t *provided, const json_t *verified)
{
    const json_t *first = session->from_link ? verified : provided;
    const json_t *second = session->from_link ? provided : verified;
    return copy_first(first, "email", second, "email", &session->email);
}

static int keep_outputs(const json_t *verified, unsigned chosen, json_t **outputs)
{
    if (!json_is_object(verified) || chosen == 0) {
        return 0;
    }
    *outputs = json_object();
    int status = *outputs ? 0 : -ENOMEM;
    for (enum verified_output output = 0; output < OUTPUTS && status == 0; output++) {
        json_t *value = json_object_get(verified, output_names[output]);
        if (value && (chosen & (1u << output)) && json_object_set(*outputs, output_names[output], value) != 0) {
            status = -ENOMEM;
        }
    }
    return status;
}

/* A redaction that is under way, for up to four days, has not taken anything yet: the session is what its status says.
 */
static bool is_redacted(const json_t *redaction)
{
    const char *status = json_string_value(json_object_get(redaction, "status"));
    return json_is_object(redaction) && !(status && strcmp(status, "processing") == 0);
}

static int fill(struct session *session, const json_t *json, unsigned outputs)
{
    const json_t *error = json_object_get(json, "last_error");
    const json_t *verified = json_object_get(json, "verified_outputs");
    session->livemode = json_is_true(json_object_get(json, "livemode"));
    session->has_error = json_is_object(error);
    session->redacted = is_redacted(json_object_get(json, "redaction"));
    int status = copy_string(json, "id", &session->id);
    status = status == 0 ? copy_string(json, "status", &session->status_text) : status;
    status = status == 0 ? copy_string(error, "code", &session->error_code) : status;
    status = status == 0 ? copy_user(session, json) : status;
    session->from_link = is_from_link(json);
    status = status == 0 ? copy_email(session, json_object_get(json, "provided_details"), verified) : status;
    status = status == 0 ? keep_outputs(verified, outputs, &session->outputs) : status;
    if (status == 0 && (!session->id || !session->status_text)) {
        return SESSION_NOT_ONE;
    }
    if (status == 0) {
        session->status = session_status_of(session->status_text);
        session->metadata = json_incref(json_object_get(json, "metadata"));
    }
    return status;
}

int session_parse(struct text body, unsigned outputs, struct session **parsed)
{
    *parsed = NULL;
    json_error_t error;
    json_t *json = json_loadb(body.data ? body.data : "", body.length, 0, &error);
    const char *object = json_string_value(json_object_get(json, "object"));
    if (!object || strcmp(object, "identity.verification_session") != 0) {
        json_decref(json);
        return SESSION_NOT_ONE;
    }
    struct session *session = calloc(1, sizeof(*session));
    int status = session ? fill(session, json, outputs) : -ENOMEM;
    json_decref(json);
    if (status != 0) {
        session_free(session);
        return status;
    }
    *parsed = session;
    return 0;
}

bool session_user_is_trusted(const struct session *session)
{
    return session->user && !session->from_link;
}

const char *session_metadata(const struct session *session, const char *name)
{
    return json_string_value(json_object_get(session->metadata, name));
}

static void wipe(char *string)
{
    if (string) {
        OPENSSL_cleanse(string, strlen(string));
        free(string);
    }
}

void session_free(struct session *session)
{
    if (!session) {
        return;
    }
    free(session->id);
    free(session->status_text);
    free(session->error_code);
    free(session->user);
    wipe(session->email);
    json_decref(session->metadata);
    json_decref(session->outputs);
    free(session);
}
