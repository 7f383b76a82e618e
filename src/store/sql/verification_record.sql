-- Writes a session's state, once per event: the row, its ledger and the notification are one transaction.
-- $1 event, $2 session, $3 status, $4 livemode, $5 account, $6 user, $7 where the user comes from, $8 reason, $9 retryable,
-- $10 verified outputs, $11 type of the event, $12 when it was made (seconds), $13 when Stripe was asked (ms),
-- $14 how long the ledger is kept (ms).
-- One row: is it new to the ledger, was the row written, notifications sent.
--
-- What is newer: verified is final. Otherwise the event that Stripe made later, and within its second the state that was asked
-- for later. A redacted row never changes again.
WITH effect AS (
    INSERT INTO identihook_effects (event, effect, session)
    VALUES ($1::text, 'postgres', $2::text)
    ON CONFLICT DO NOTHING
    RETURNING event
), outdated AS (
    -- Two at a time: so the ledger does not grow for ever, and nobody has to clean it.
    DELETE FROM identihook_effects
    WHERE (event, effect) IN (
        SELECT event, effect FROM identihook_effects
        WHERE at < now() - $14::bigint * interval '1 millisecond'
        ORDER BY at LIMIT 2 FOR UPDATE SKIP LOCKED)
), written AS (
    INSERT INTO identity_verifications AS kept (session, status, livemode, account, user_id, user_source, reason_code,
        retryable, verified_outputs, last_event, last_event_type, last_event_created, checked_at, verified_at)
    SELECT $2::text, $3::text, $4::boolean, $5::text, $6::text, $7::text, $8::text,
        $9::boolean, $10::jsonb, $1::text, $11::text, to_timestamp($12::bigint),
        to_timestamp($13::bigint / 1000.0), CASE WHEN $3::text = 'verified' THEN to_timestamp($12::bigint) END
    FROM effect
    ON CONFLICT (session) DO UPDATE SET
        status = excluded.status,
        livemode = excluded.livemode,
        account = excluded.account,
        user_id = excluded.user_id,
        user_source = excluded.user_source,
        reason_code = excluded.reason_code,
        retryable = excluded.retryable,
        verified_outputs = excluded.verified_outputs,
        last_event = excluded.last_event,
        last_event_type = excluded.last_event_type,
        last_event_created = excluded.last_event_created,
        checked_at = excluded.checked_at,
        verified_at = excluded.verified_at,
        updated_at = now()
    WHERE kept.redacted_at IS NULL
        AND (excluded.status = 'verified', excluded.last_event_created, excluded.checked_at)
            >= (kept.status = 'verified', kept.last_event_created, kept.checked_at)
    RETURNING session, status
)
SELECT (SELECT count(*) FROM effect), (SELECT count(*) FROM written),
    (SELECT count(pg_notify('identity_verifications', json_build_object('session', session, 'status', status)::text))
     FROM written)
