#include "store/verification.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/log.h"
#include "sql.h"
#include "stripe/error_code.h"

static const struct postgres_statement record_statement = {.name = "identihook_record", .sql = verification_record_sql};
static const struct postgres_statement erase_statement = {.name = "identihook_erase", .sql = verification_erase_sql};

static const struct postgres_statement find_statement = {
    .name = "identihook_find",
    .sql = "SELECT (SELECT count(*) FROM identihook_effects WHERE session = $1::text),"
           " (SELECT count(*) FROM identity_verifications WHERE session = $1::text AND redacted_at IS NULL)"};

/* ---- what PostgreSQL's errors mean */

struct meaning {
    const char *sqlstate; /* its beginning: of several that fit, the first counts */
    enum verification_outcome outcome;
    const char *reason;
    const char *remedy;
};

/* Appendix A of PostgreSQL's manual. What an operator can mend, and every event would meet, is never final. */
static const struct meaning meanings[] = {
    {"42P01", VERIFICATION_DEFERRED, "postgres_schema_missing", "run 'identihook migrate'"},
    {"42703", VERIFICATION_DEFERRED, "postgres_schema_outdated", "run 'identihook migrate'"},
    {"3F", VERIFICATION_DEFERRED, "postgres_schema_missing", "check search_path, then run 'identihook migrate'"},
    {"42501", VERIFICATION_DEFERRED, "postgres_permission_denied",
     "GRANT SELECT, INSERT, UPDATE, DELETE ON identity_verifications, identihook_effects to this user"},
    {"25006", VERIFICATION_DEFERRED, "postgres_read_only",
     "the server takes no writes: add target_session_attrs=read-write to DATABASE_URL, or wait for the failover"},
    {"26", VERIFICATION_DEFERRED, "postgres_pooler", "behind PgBouncer, pool by session: statements are prepared"},
    {"42P05", VERIFICATION_DEFERRED, "postgres_pooler", "behind PgBouncer, pool by session: statements are prepared"},
    {"22P05", VERIFICATION_REFUSED, "postgres_encoding", "the database's encoding must be UTF8"},
    {"22", VERIFICATION_REFUSED, "postgres_value_refused", "look for columns, constraints or triggers of your own"},
    {"23", VERIFICATION_REFUSED, "postgres_constraint", "look for constraints or triggers of your own"},
    {"44", VERIFICATION_REFUSED, "postgres_constraint", "look for views of your own"},
    {"P0", VERIFICATION_REFUSED, "postgres_trigger", "a trigger of your own raised it"},
    {"42", VERIFICATION_REFUSED, "postgres_schema_changed", "the tables are not as 'identihook migrate' makes them"},
    {"57014", VERIFICATION_DEFERRED, "postgres_timeout", "it took longer than IDENTIHOOK_POSTGRES_TIMEOUT"},
    {"", VERIFICATION_DEFERRED, "postgres_unavailable", "it will be tried again"},
};

static const struct meaning *meaning_of(const char *sqlstate)
{
    const struct meaning *meaning = meanings;
    while (strncmp(sqlstate, meaning->sqlstate, strlen(meaning->sqlstate)) != 0) {
        meaning++;
    }
    return meaning;
}

static int64_t number_of(const struct postgres_result *result, int column)
{
    const char *value = postgres_value(result, 0, column);
    return value ? strtoll(value, NULL, 10) : 0;
}

static void finish(struct verification_call *call, const struct verification_result *result)
{
    buffer_wipe(&call->bytes);
    call->callback(call, result);
}

static void on_result(struct postgres_call *postgres_call, const struct postgres_result *answer)
{
    struct verification_call *call = CONTAINER_OF(postgres_call, struct verification_call, call);
    char error[400];
    struct verification_result result = {
        .outcome = VERIFICATION_DEFERRED, .error = error, .retry_after_ms = answer->retry_after_ms};
    (void)snprintf(error, sizeof(error), "%s", answer->error);
    if (answer->outcome == POSTGRES_DONE && !postgres_value(answer, 0, 0)) {
        /* Each of our statements says what it did. */
        (void)snprintf(error, sizeof(error), "the server has not said what became of the row");
        result.reason = "postgres_unconfirmed";
    } else if (answer->outcome == POSTGRES_DONE) {
        result.ledger_rows = number_of(answer, 0);
        result.rows = number_of(answer, 1);
        result.outcome = result.rows > 0 ? VERIFICATION_WRITTEN : VERIFICATION_KEPT;
    } else if (answer->outcome == POSTGRES_REFUSED) {
        const struct meaning *meaning = meaning_of(answer->sqlstate);
        (void)snprintf(error, sizeof(error), "%s: %s", answer->error, meaning->remedy);
        result.outcome = meaning->outcome;
        result.reason = meaning->reason;
    } else {
        result.reason = answer->outcome == POSTGRES_UNKNOWN ? "postgres_unconfirmed" : "postgres_unreachable";
    }
    finish(call, &result);
}

static int start(struct postgres *postgres, struct verification_call *call, const struct postgres_statement *statement,
                 size_t value_count)
{
    call->call = (struct postgres_call){
        .statement = statement, .values = call->values, .value_count = value_count, .callback = on_result};
    int status = buffer_status(&call->bytes);
    status = status == 0 ? postgres_start(postgres, &call->call) : status;
    if (status < 0) {
        buffer_wipe(&call->bytes);
    }
    return status;
}

/* ---- values: each is written behind the last, NUL-terminated; they are pointed to when all of them are there, because
 * the memory moves */

struct values {
    struct verification_call *call;
    size_t offsets[VERIFICATION_VALUES];
    size_t count;
};

#define IS_NULL SIZE_MAX

static void add_text(struct values *values, struct text text)
{
    struct buffer *bytes = &values->call->bytes;
    values->offsets[values->count++] = text.length > 0 ? bytes->length : IS_NULL;
    if (text.length > 0) {
        buffer_append(bytes, text);
        buffer_append_byte(bytes, '\0');
    }
}

static void add_string(struct values *values, const char *string)
{
    add_text(values, text_of(string));
}

static void add_number(struct values *values, int64_t number)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRId64, number);
    add_string(values, digits);
}

static int add_json(struct values *values, const json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    add_string(values, text);
    if (text) {
        OPENSSL_cleanse(text, strlen(text));
        free(text);
    }
    return json && !text ? -ENOMEM : 0;
}

static void point_at(const struct values *values)
{
    const struct buffer *bytes = &values->call->bytes;
    for (size_t i = 0; i < values->count; i++) {
        values->call->values[i] = values->offsets[i] == IS_NULL ? NULL : bytes->data + values->offsets[i];
    }
}

/* As the parameters of verification_record.sql. */
static int add_values(struct values *values, const struct verification *verification, uint64_t keep_ms)
{
    const struct session *session = verification->session;
    bool failed = session->has_error && session->status == SESSION_REQUIRES_INPUT;
    const struct error_code *code = failed ? error_code_find(session->error_code) : NULL;
    add_text(values, verification->event);
    add_string(values, session->id);
    add_string(values, session->status_text);
    add_string(values, verification->livemode ? "true" : "false");
    add_text(values, verification->account);
    add_string(values, session->user);
    add_string(values, session->user_source);
    add_string(values, failed ? session->error_code : NULL);
    add_string(values, !code ? NULL : code->retryable ? "true" : "false");
    int status = add_json(values, session->outputs);
    add_text(values, verification->type);
    add_number(values, verification->created);
    add_number(values, verification->checked_ms);
    add_number(values, (int64_t)keep_ms);
    return status;
}

/* ---- the operations */

int verification_record(struct postgres *postgres, struct verification_call *call,
                        const struct verification *verification, uint64_t keep_ms)
{
    struct values values = {.call = call};
    call->bytes = (struct buffer){0};
    if (add_values(&values, verification, keep_ms) < 0) {
        buffer_wipe(&call->bytes);
        return -ENOMEM;
    }
    point_at(&values);
    return start(postgres, call, &record_statement, values.count);
}

static int ask_by_session(struct postgres *postgres, struct verification_call *call,
                          const struct postgres_statement *statement, struct text session)
{
    struct values values = {.call = call};
    call->bytes = (struct buffer){0};
    add_text(&values, session);
    point_at(&values);
    return start(postgres, call, statement, values.count);
}

int verification_erase(struct postgres *postgres, struct verification_call *call, struct text session)
{
    return ask_by_session(postgres, call, &erase_statement, session);
}

int verification_find(struct postgres *postgres, struct verification_call *call, struct text session)
{
    return ask_by_session(postgres, call, &find_statement, session);
}

void verification_abandon(struct postgres *postgres, struct verification_call *call)
{
    postgres_abandon(postgres, &call->call);
    buffer_wipe(&call->bytes);
}
