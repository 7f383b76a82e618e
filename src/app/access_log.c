#include "app/access_log.h"

#include "base/log.h"

#define INTERVAL_MS 100

/* Logged where it was refused, with the likely cause. */
static bool is_explained(enum answer answer)
{
    return answer >= ANSWER_SIGNATURE_MISSING && answer <= ANSWER_INVALID_EVENT;
}

void access_log(enum access_log_mode mode, const struct access *access)
{
    static struct log_limit limits[ANSWERS];
    const struct answer_kind *kind = &answer_kinds[access->answer];
    enum log_level level = kind->status < 400 ? LOG_INFO : LOG_WARN;
    uint64_t suppressed = 0;
    if (mode == ACCESS_LOG_OFF || !log_is_on(level)) {
        return;
    }
    if (mode == ACCESS_LOG_ERRORS && (kind->status < 400 || is_explained(access->answer) ||
                                      !log_limit_pass(&limits[access->answer], INTERVAL_MS, &suppressed))) {
        return;
    }
    char peer[CONN_PEER_SIZE];
    conn_peer(access->conn, peer);
    LOG_LINE(level, "request answered", LOG_STRING("request_id", conn_request_id(access->conn)),
             LOG_STRING("peer", peer), LOG_NUMBER("status", kind->status), LOG_STRING("code", kind->code),
             LOG_TEXT("event", access->event), LOG_NUMBER("duration_us", access->duration_ns / 1000),
             LOG_NUMBER("suppressed", suppressed));
}
