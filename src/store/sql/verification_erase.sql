-- Erases what is personal in a session's row, and its ledger. A row without anything is made where there was none, so that an
-- event that is under way elsewhere finds it and writes nothing.
-- $1 session.
-- One row: ledger rows erased, rows that held something, notifications sent.
WITH effects AS (
    DELETE FROM identihook_effects WHERE session = $1::text RETURNING event
), held AS (
    SELECT session FROM identity_verifications WHERE session = $1::text AND redacted_at IS NULL
), erased AS (
    INSERT INTO identity_verifications AS kept (session, status, redacted_at)
    VALUES ($1::text, 'redacted', now())
    ON CONFLICT (session) DO UPDATE SET
        status = 'redacted',
        user_id = NULL,
        user_source = NULL,
        reason_code = NULL,
        retryable = NULL,
        verified_outputs = NULL,
        last_event = NULL,
        last_event_type = NULL,
        last_event_created = NULL,
        updated_at = now(),
        redacted_at = now()
    WHERE kept.redacted_at IS NULL
    RETURNING session
)
SELECT (SELECT count(*) FROM effects), (SELECT count(*) FROM held),
    (SELECT count(pg_notify('identity_verifications', json_build_object('session', session, 'status', 'redacted')::text))
     FROM erased)
