-- The tables of identihook. Safe to run again at any time, and by several at once: what is there stays as it is.
BEGIN;
SELECT pg_advisory_xact_lock(5284931807463);

DO $migrate$
BEGIN
    IF to_regclass('identihook_schema') IS NULL THEN
        CREATE TABLE identihook_schema (
            version    integer PRIMARY KEY,
            applied_at timestamptz NOT NULL DEFAULT transaction_timestamp()
        );
        COMMENT ON TABLE identihook_schema IS 'Versions of the tables of identihook, written by identihook migrate';
    END IF;

    IF NOT EXISTS (SELECT FROM identihook_schema WHERE version = 1) THEN
        CREATE TABLE identity_verifications (
            session            text PRIMARY KEY,
            status             text NOT NULL,
            livemode           boolean,
            account            text,
            user_id            text,
            user_source        text CHECK (user_source IN ('client_reference_id', 'metadata')),
            reason_code        text,
            retryable          boolean,
            verified_at        timestamptz,
            verified_outputs   jsonb,
            last_event         text,
            last_event_type    text,
            last_event_created timestamptz,
            checked_at         timestamptz,
            created_at         timestamptz NOT NULL DEFAULT now(),
            updated_at         timestamptz NOT NULL DEFAULT now(),
            redacted_at        timestamptz
        );
        CREATE INDEX identity_verifications_user ON identity_verifications (user_id, status);
        CREATE INDEX identity_verifications_updated ON identity_verifications (updated_at);
        COMMENT ON TABLE identity_verifications IS
            'One row per Stripe Identity verification session, as Stripe last had it; written by identihook. LISTEN identity_verifications tells of changes';
        COMMENT ON COLUMN identity_verifications.session IS 'id of the verification session: vs_…';
        COMMENT ON COLUMN identity_verifications.status IS
            'verified, which is final; requires_input: the last try failed, see reason_code; redacted: erased, see redacted_at';
        COMMENT ON COLUMN identity_verifications.livemode IS 'false: a session of test mode, which proves nothing. Null when nothing was known before the redaction';
        COMMENT ON COLUMN identity_verifications.account IS 'connected account (acct_…) that the session belongs to; null: your own';
        COMMENT ON COLUMN identity_verifications.user_id IS 'your own id of the person: client_reference_id, else metadata.user_id, of the session';
        COMMENT ON COLUMN identity_verifications.user_source IS
            'where user_id comes from. On static links anyone can choose client_reference_id: trust it only for sessions that you have created';
        COMMENT ON COLUMN identity_verifications.reason_code IS 'last_error.code of a failed try';
        COMMENT ON COLUMN identity_verifications.retryable IS 'of a failed try: whether another one can help';
        COMMENT ON COLUMN identity_verifications.verified_at IS 'when Stripe verified the person; stays after a redaction';
        COMMENT ON COLUMN identity_verifications.verified_outputs IS 'what IDENTIHOOK_VERIFIED_OUTPUTS chooses, as Stripe gave it; personal data';
        COMMENT ON COLUMN identity_verifications.last_event IS 'id of the event that the row was last written for: evt_…';
        COMMENT ON COLUMN identity_verifications.last_event_type IS 'its type';
        COMMENT ON COLUMN identity_verifications.last_event_created IS 'when Stripe made it, in whole seconds';
        COMMENT ON COLUMN identity_verifications.checked_at IS 'when the session was last asked for at Stripe for this row';
        COMMENT ON COLUMN identity_verifications.created_at IS 'when the row was made';
        COMMENT ON COLUMN identity_verifications.updated_at IS 'when the row was last changed';
        COMMENT ON COLUMN identity_verifications.redacted_at IS 'when everything personal was erased from the row, which then never changes again';

        CREATE TABLE identihook_effects (
            event   text NOT NULL,
            effect  text NOT NULL,
            session text NOT NULL,
            at      timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (event, effect)
        );
        CREATE INDEX identihook_effects_session ON identihook_effects (session);
        CREATE INDEX identihook_effects_at ON identihook_effects (at);
        COMMENT ON TABLE identihook_effects IS
            'Which events have been written to identity_verifications, each in the same transaction as its row; rows go after IDENTIHOOK_DEDUPE_WINDOW';

        INSERT INTO identihook_schema (version) VALUES (1);
    END IF;
END
$migrate$;

SELECT version FROM identihook_schema WHERE applied_at = transaction_timestamp() ORDER BY version;
COMMIT;
