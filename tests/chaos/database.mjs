// PostgreSQL in the storm: a server with the tables as `identihook migrate` makes them, and beside them triggers that keep every
// change of a row, and every try, in its own transaction; somebody who listens, as an application would; and what befalls a server.

import assert from 'node:assert/strict';

import { run } from '../lib/identihook.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { pause, until } from '../lib/wait.mjs';

const CHANNEL = 'identity_verifications';

const HISTORY = `
CREATE TABLE storm_changes (
    number  bigserial PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    session text,
    status  text,
    event   text,
    created timestamptz,
    checked timestamptz
);
CREATE FUNCTION storm_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.storm_changes (session, status, event, created, checked)
    VALUES (NEW.session, NEW.status, NEW.last_event, NEW.last_event_created, NEW.checked_at);
    RETURN NULL;
END $$;
CREATE TRIGGER storm_note AFTER INSERT OR UPDATE ON identity_verifications FOR EACH ROW EXECUTE FUNCTION storm_note();

-- Before the ledger is asked: also when it has the event already.
CREATE TABLE storm_tries (event text);
CREATE FUNCTION storm_try() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.storm_tries VALUES (NEW.event);
    RETURN NEW;
END $$;
CREATE TRIGGER storm_try BEFORE INSERT ON identihook_effects FOR EACH ROW EXECUTE FUNCTION storm_try();
`;

export class Database {
  /** Notifications, in their order: { session, status }. */
  heard = [];
  /** When somebody listened: { from: the last change that may have gone unheard, to: when that ended, ms }. */
  ears = [];
  #closing = false;
  #busy = false; // with a fault: one at a time

  static async start() {
    const database = new Database();
    database.cluster = await Postgres.start();
    database.base = await database.cluster.database();
    database.socket = database.cluster.socket;
    const { code, stderr } = await run(['migrate'], { DATABASE_URL: database.base.url });
    assert.equal(code, 0, stderr);
    await database.base.rows(HISTORY);
    database.listening = database.#listen();
    await until(() => database.ears.length > 0, 'PostgreSQL to be listened to');
    return database;
  }

  /** DATABASE_URL of one who reaches the server at `address`. */
  url(address) {
    const { name, password } = this.base;
    return `postgresql://${name}:${password}@${address}/${name}`;
  }

  // ---- listening

  async #listen() {
    for (; !this.#closing; await pause(20)) {
      await this.#listenOnce().catch(() => {}); // the server is away
    }
  }

  async #listenOnce() {
    const client = await this.cluster.connect(this.base.name);
    const ended = new Promise((resolve) => client.once('end', resolve));
    this.listener = client;
    try {
      client.on('notification', ({ payload }) => this.heard.push(JSON.parse(payload)));
      await client.query(`LISTEN ${CHANNEL}`);
      const { rows } = await client.query('SELECT last_value FROM storm_changes_number_seq');
      const ear = { from: Number(rows[0].last_value), to: Infinity };
      this.ears.push(ear);
      await ended;
      ear.to = Date.now();
    } finally {
      await client.end().catch(() => {});
    }
  }

  /** What was told before this has been heard. */
  async #hearAll() {
    const last = { session: 'the last one' };
    const isHeard = () => this.heard.some(({ session }) => session === last.session);
    await until(async () => {
      await this.base.rows('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify(last)]);
      await pause(50);
      return isHeard();
    }, 'the last notification');
    this.heard = this.heard.filter(({ session }) => session !== last.session);
  }

  // ---- faults

  async suffer({ name, ms }) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      await this.#faults[name](ms);
    } finally {
      this.#busy = false;
    }
  }

  #faults = {
    'postgres killed': async (ms) => {
      await this.cluster.crash();
      await pause(ms);
      await this.cluster.start();
    },
    'postgres frozen': async (ms) => {
      const thaw = await this.cluster.freezeAll();
      await pause(ms);
      thaw();
    },
    'postgres clients killed': () =>
      this.base.rows('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [this.base.name]),
    'postgres locked': async (ms) => {
      const client = await this.cluster.connect(this.base.name);
      await client.query('BEGIN; LOCK TABLE identity_verifications IN SHARE ROW EXCLUSIVE MODE');
      await pause(ms);
      await client.query('ROLLBACK');
      await client.end();
    },
  };

  // ---- the end

  /** What is there when nobody writes any more. */
  async look() {
    const busy = `SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle'`;
    await until(
      async () => (await this.base.rows(busy, [this.base.name]))[0].count === 0,
      'the last statement in PostgreSQL to end',
    );
    await this.#hearAll();
    this.rows = await this.base.rows('SELECT * FROM identity_verifications');
    [this.tries] = await this.base.rows('SELECT count(*)::int AS all, count(DISTINCT event)::int AS events FROM storm_tries');
    this.ledger = await this.base.rows('SELECT event, effect, session, at FROM identihook_effects');
    this.changes = await this.base.rows(
      `SELECT number::int, at, session, status, event, created, checked FROM storm_changes ORDER BY storm_changes.number`,
    );
  }

  async close() {
    this.#closing = true;
    await this.listener?.end().catch(() => {});
    await this.listening;
    await this.cluster.close();
  }
}
