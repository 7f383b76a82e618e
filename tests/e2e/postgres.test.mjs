// The effect that writes a row for each session into PostgreSQL: a real one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { freePort } from '../lib/http_client.mjs';
import { run } from '../lib/identihook.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { mapsOf } from '../lib/process.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

let cluster;
before(async () => {
  cluster = await Postgres.start();
});
after(() => cluster?.close());

const NO_OTHERS = { email: false, onboarding: false };

async function migrate(database) {
  const { code, stderr } = await run(['migrate'], { DATABASE_URL: database.url });
  assert.equal(code, 0, stderr);
}

/** A PostgreSQL that this test alone has, and a database in it, with the tables. */
async function openOwn(t) {
  const own = await Postgres.start();
  t.after(() => own.close());
  const database = await own.database();
  await migrate(database);
  return { own, database };
}

/** A world whose only action is the row; its database, with the tables. */
async function open(t, { settings = {}, tables = true, ...options } = {}) {
  const database = await cluster.database();
  if (tables) await migrate(database);
  const world = await World.open(t, {
    ...NO_OTHERS,
    ...options,
    settings: { DATABASE_URL: database.url, IDENTIHOOK_MAX_ATTEMPTS: '1000', ...settings },
  });
  return { world, database };
}

const toldAs = (program, word) =>
  until(async () => (await program.readiness()).components.postgres === word, `PostgreSQL to be told as ${word}`);

const rowsOf = (database, session) =>
  database.rows('SELECT * FROM identity_verifications WHERE session = $1', [session.id]);

/** How many of the database's statements wait for a lock. */
async function waiting(database) {
  const [{ count }] = await database.rows(
    `SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'`,
    [database.name],
  );
  return count;
}

const waitsForLock = (database) => until(async () => (await waiting(database)) > 0, 'a statement to wait for the lock');

/** A key and a certificate for localhost that stands for itself: { key, cert, path }. */
async function makeIdentity(t) {
  const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [key, path] = ['server.key', 'server.crt'].map((name) => join(folder, name));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const words = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  execFileSync('openssl', [...words, ...subject, '-keyout', key, '-out', path], { stdio: 'ignore' });
  return { key: await readFile(key), cert: await readFile(path), path };
}

describe('migrate', { concurrency: 4 }, () => {
  test('makes the tables once, also when several do it at once', async () => {
    const database = await cluster.database();
    const ends = await Promise.all([1, 2, 3, 4].map(() => run(['migrate'], { DATABASE_URL: database.url })));
    for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
    assert.deepEqual(await database.rows('SELECT version FROM identihook_schema'), [{ version: 1 }]);
    const again = await run(['migrate'], { DATABASE_URL: database.url });
    assert.match(again.stdout, /version 1: there is nothing to do/);
  });

  test('every column is documented in the database', async () => {
    const database = await cluster.database();
    await migrate(database);
    const bare = await database.rows(
      `SELECT attname FROM pg_attribute WHERE attrelid = 'identity_verifications'::regclass AND attnum > 0
       AND col_description(attrelid, attnum) IS NULL`,
    );
    assert.deepEqual(bare, []);
  });

  test('--dry-run prints the SQL, which does the same in other hands, and connects to nothing', async () => {
    const { code, stdout } = await run(['migrate', '--dry-run']);
    assert.equal(code, 0);
    const database = await cluster.database();
    await database.rows(stdout);
    await database.rows(stdout);
    const denied = await run(['migrate'], { DATABASE_URL: database.url });
    assert.match(denied.stderr, /permission denied for table identihook_schema/);
    await database.rows(`GRANT SELECT ON identihook_schema TO ${database.name}`);
    const { stdout: told } = await run(['migrate'], { DATABASE_URL: database.url });
    assert.match(told, /nothing to do/);
  });

  test('what keeps it from its work is told with the remedy, and never with the password', async () => {
    const database = await cluster.database();
    await database.rows(`REVOKE CREATE ON SCHEMA public FROM PUBLIC; ALTER SCHEMA public OWNER TO postgres`);
    const denied = await run(['migrate'], { DATABASE_URL: database.url });
    assert.equal(denied.code, 1);
    assert.match(denied.stderr, /permission denied for schema public.*--dry-run/);

    const wrong = 'pw_entirely_wrong';
    const refused = await run(['migrate'], { DATABASE_URL: database.url.replace(database.password, wrong) });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /password authentication failed/);

    const nowhere = await run(['migrate'], { DATABASE_URL: `postgresql://u:${wrong}@no-such-host.invalid/x` });
    assert.equal(nowhere.code, 1);
    assert.match(nowhere.stderr, /name cannot be resolved/);

    const garbled = await run(['migrate'], { DATABASE_URL: `postgresql://u:${wrong}%zz@h/x` });
    assert.equal(garbled.code, 2);
    assert.match(garbled.stderr, /DATABASE_URL/);

    const missing = await run(['migrate']);
    assert.equal(missing.code, 2);
    for (const { stderr, stdout } of [denied, refused, nowhere, garbled])
      for (const secret of [wrong, database.password]) assert.ok(!(stderr + stdout).includes(secret), stderr);
  });
});

describe('postgres', { concurrency: 4 }, () => {
  test('a verified session has a row with what was chosen, and who listens is told', async (t) => {
    const { world, database } = await open(t, { settings: { IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name,dob' } });
    const notified = await database.listen('identity_verifications');
    const { session, event } = world.pair('verified');
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.effects], ['done', 'postgres']);

    const [{ checked_at, created_at, updated_at, verified_at, last_event_created, ...row }] = await rowsOf(
      database,
      session,
    );
    assert.deepEqual(row, {
      session: session.id,
      status: 'verified',
      livemode: false,
      account: null,
      user_id: session.client_reference_id,
      user_source: 'client_reference_id',
      reason_code: null,
      retryable: null,
      verified_outputs: { first_name: 'Jenny', dob: { day: 1, month: 1, year: 1901 } },
      last_event: event.id,
      last_event_type: event.type,
      redacted_at: null,
    });
    for (const time of [verified_at, last_event_created]) assert.equal(time.getTime() / 1000, event.content.created);
    for (const time of [checked_at, created_at, updated_at]) assert.ok(Math.abs(Date.now() - time) < 60_000);
    await notified.first(() => true, 'the notification');
    assert.deepEqual(notified.items, [{ session: session.id, status: 'verified' }]);
    assert.deepEqual(await database.rows('SELECT event, effect, session FROM identihook_effects'), [
      { event: event.id, effect: 'postgres', session: session.id },
    ]);
  });

  test('a failed try is there with its reason, and goes when the person is verified', async (t) => {
    const { world, database } = await open(t);
    const { session, event } = world.pair('requires_input', { client_reference_id: null, metadata: { user_id: 'u7' } });
    await world.carry(event);
    const [failed] = await rowsOf(database, session);
    assert.deepEqual(
      [failed.status, failed.reason_code, failed.retryable, failed.user_id, failed.user_source, failed.verified_at],
      ['requires_input', 'document_expired', true, 'u7', 'metadata', null],
    );
    assert.equal(failed.verified_outputs, null, 'nothing personal is stored unless it is chosen');

    Object.assign(session, { status: 'verified', last_error: null });
    // Within the same second, as Stripe may have it.
    await world.carry(composeEvent('verified', { session: session.id, created: event.content.created }));
    const [row] = await rowsOf(database, session);
    assert.deepEqual([row.status, row.reason_code, row.retryable], ['verified', null, null]);
    assert.ok(row.verified_at);
  });

  test('an event is written once, also when Redis has forgotten that it was', async (t) => {
    const { world, database } = await open(t);
    const notified = await database.listen('identity_verifications');
    const { session, event } = world.pair('verified');
    await world.carry(event);
    const [before] = await rowsOf(database, session);
    await world.redis.call('DEL', key(`seen:${event.id}`), key(`effects:${event.id}`));
    assert.equal((await world.deliver(event)).status, 200);
    await world.outcomes.atLeast(2, (one) => one.event === event.id, 'the second outcome');
    assert.deepEqual(await rowsOf(database, session), [before]);
    await world.settle();
    assert.equal(notified.items.filter((one) => one.session === session.id).length, 1);
  });

  test('an older event that comes later takes nothing back', async (t) => {
    const { world, database } = await open(t);
    const { session, event: newer } = world.pair('requires_input');
    const older = composeEvent('requires_input', { session: session.id, created: newer.content.created - 1 });
    await world.carry(newer);
    assert.equal((await world.carry(older)).outcome, 'done');
    assert.equal((await rowsOf(database, session))[0].last_event, newer.id);
  });

  // What decides is one statement: here it is asked directly, for orders that the worker itself hardly lets happen.
  const states = {
    failed: (created, asked) => ['requires_input', created, asked],
    verified: (created, asked) => ['verified', created, asked],
  };
  const orders = [
    [
      'verified stays when a failure that is told to be newer comes',
      states.verified(10, 1),
      states.failed(20, 2),
      false,
    ],
    ['verified comes after a failure of the same second', states.failed(10, 2), states.verified(10, 1), true],
    ['verified comes after a failure that is told to be newer', states.failed(20, 2), states.verified(10, 1), true],
    ['of two failures the older one stays away', states.failed(20, 1), states.failed(10, 2), false],
    ['of two within a second, what was asked for later counts', states.failed(10, 1), states.failed(10, 2), true],
    [
      'of two within a second, what was asked for earlier stays away',
      states.failed(10, 2),
      states.failed(10, 1),
      false,
    ],
    ['of two verifications the newer one counts', states.verified(10, 1), states.verified(20, 2), true],
  ];
  test('the newer state wins, whatever comes first', async () => {
    const database = await cluster.database();
    await migrate(database);
    const statement = await readFile(new URL('../../src/store/sql/verification_record.sql', import.meta.url), 'utf8');
    for (const [i, [name, first, second, wins]] of orders.entries()) {
      for (const [j, [status, created, asked]] of [first, second].entries()) {
        const values = [`evt_${i}_${j}`, `vs_${i}`, status, false, null, null, null, null, null, null, 'type'];
        await database.rows(statement, [...values, created, asked, 3_600_000]);
      }
      const [row] = await database.rows('SELECT last_event FROM identity_verifications WHERE session = $1', [
        `vs_${i}`,
      ]);
      assert.equal(row.last_event, `evt_${i}_${wins ? 1 : 0}`, name);
    }
    const [{ count }] = await database.rows(`SELECT count(*)::int FROM identihook_effects`);
    assert.equal(count, 2 * orders.length);
    await database.rows(`UPDATE identihook_effects SET at = now() - interval '2 hours'`);
    for (const id of ['a', 'b', 'c']) {
      const values = [
        `evt_${id}`,
        'vs_0',
        'verified',
        false,
        null,
        null,
        null,
        null,
        null,
        null,
        'type',
        30,
        3,
        3_600_000,
      ];
      await database.rows(statement, values);
    }
    const [{ count: left }] = await database.rows(`SELECT count(*)::int FROM identihook_effects`);
    assert.equal(left, 2 * orders.length + 3 - 6, 'each new row takes two outdated ones along');
  });

  test('killed between the commit and the ledger in Redis: one row, one notification', async (t) => {
    const { world, database } = await open(t, { settings: { IDENTIHOOK_LOOPS: '1' } });
    const notified = await database.listen('identity_verifications');
    const { session, event } = world.pair('verified');
    const holder = await database.client();
    await holder.query('BEGIN');
    await holder.query('INSERT INTO identihook_effects VALUES ($1, $2, $3)', [event.id, 'postgres', session.id]);
    assert.equal((await world.deliver(event)).status, 200);
    await waitsForLock(database);
    world.program.freeze(); // PostgreSQL commits without it
    await holder.query('ROLLBACK');
    await notified.first((one) => one.session === session.id, 'the commit');
    await world.program.kill();
    assert.deepEqual(await world.ledger(event), {}, 'Redis does not know that it was done');

    await world.start();
    const outcome = await world.outcome(event);
    assert.deepEqual([outcome.outcome, outcome.effects], ['done', 'postgres']);
    await world.settle();
    assert.equal(notified.items.filter((one) => one.session === session.id).length, 1);
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('a value that PostgreSQL will never take ends with the dead, and its words stay out of the log', async (t) => {
    const { world, database } = await open(t, { settings: { IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name' } });
    await database.rows(
      `ALTER TABLE identity_verifications ADD CHECK (verified_outputs->>'first_name' <> 'Canary-Jenny')`,
    );
    const { session, event } = world.pair('verified', { verified_outputs: { first_name: 'Canary-Jenny' } });
    assert.equal((await world.carry(event)).outcome, 'dead');
    const [dead] = await world.dead();
    assert.equal(dead.reason, 'postgres_constraint');
    assert.match(dead.error, /SQLSTATE 23514/);
    assert.doesNotMatch(dead.error, /Canary/);
    assert.deepEqual(await rowsOf(database, session), []);
  });

  test('without its tables it says at its start what to do, and goes on when it was done', async (t) => {
    const { world, database } = await open(t, { tables: false });
    const log = await world.program.logs.first((one) => /no tables/.test(one.message), 'the complaint');
    assert.match(log.message, /run 'identihook migrate'/);
    assert.equal((await world.program.readiness()).postgres.trouble, 'unmigrated');
    const { session, event } = world.pair('verified');
    await world.deliver(event);
    const failed = await world.program.logs.first((one) => one.reason === 'postgres_schema_missing', 'the failure');
    assert.match(failed.error, /run 'identihook migrate'/);
    await migrate(database);
    await toldAs(world.program, 'ok');
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('what a user may not do is tried again, and the remedy is told', async (t) => {
    const { world, database } = await open(t);
    await database.rows(`ALTER TABLE identity_verifications OWNER TO postgres`);
    const { session, event } = world.pair('verified');
    await world.deliver(event);
    const failed = await world.program.logs.first((one) => one.reason === 'postgres_permission_denied', 'the failure');
    assert.match(failed.error, /permission denied for table identity_verifications.*GRANT/);
    await database.rows(
      `GRANT SELECT, INSERT, UPDATE, DELETE ON identity_verifications, identihook_effects TO ${database.name}`,
    );
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('one connection, held up: others wait for it in bounds, and everything is done in the end', async (t) => {
    const { world, database } = await open(t, {
      onboarding: true,
      settings: {
        IDENTIHOOK_LOOPS: '1',
        IDENTIHOOK_POSTGRES_CONNECTIONS: '1',
        IDENTIHOOK_POSTGRES_CONNECT_TIMEOUT: '200ms',
        IDENTIHOOK_RETRY_BASE: '100ms',
        IDENTIHOOK_RETRY_CAP: '400ms',
      },
    });
    const holder = await database.client();
    await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
    const pairs = Array.from({ length: 6 }, () => world.pair('verified'));
    for (const { event } of pairs) assert.equal((await world.deliver(event)).status, 200);
    await world.program.logs.first((one) => /came free in time/.test(one.error), 'the complaint');
    for (const { event } of pairs)
      await world.onboarding.updates.first((one) => one.event === event.id, 'what does not need the row');
    const [{ count }] = await database.rows(`SELECT count(*)::int FROM pg_stat_activity WHERE usename = $1`, [
      database.name,
    ]);
    assert.equal(count, 1, 'the bound of connections holds');
    await holder.query('ROLLBACK');
    for (const { event } of pairs) assert.equal((await world.outcome(event)).outcome, 'done');
    for (const { event, session } of pairs) {
      assert.equal((await rowsOf(database, session)).length, 1);
      assert.equal(world.updatesOf(event).length, 1, 'what was done is not repeated');
    }
  });

  test('a statement that takes too long is ended by the server, and tried again', async (t) => {
    const { world, database } = await open(t, { settings: { IDENTIHOOK_POSTGRES_TIMEOUT: '150ms' } });
    const holder = await database.client();
    await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
    const { event } = world.pair('verified');
    await world.deliver(event);
    await world.program.logs.first((one) => one.reason === 'postgres_timeout', 'the timeout');
    await holder.query('ROLLBACK');
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('told to stop in the middle of a statement, it cancels it at the server and hands the event back', async (t) => {
    const { world, database } = await open(t, {
      settings: { IDENTIHOOK_SHUTDOWN_TIMEOUT: '300ms', IDENTIHOOK_POSTGRES_TIMEOUT: '1m' },
    });
    const holder = await database.client();
    await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
    const { session, event } = world.pair('verified');
    await world.deliver(event);
    await waitsForLock(database);
    assert.deepEqual(await world.program.stop(), { code: 0, signal: null });
    await until(async () => (await waiting(database)) === 0, 'the statement to be gone from the server');
    await holder.query('ROLLBACK');
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('connections that the server has ended are replaced unseen', async (t) => {
    const { world, database } = await open(t);
    await world.settle();
    await database.rows(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, [database.name]);
    const { session, event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('libpq is loaded, and PostgreSQL told as a component, only where there is a database to write to', async (t) => {
    const loaded = (program) => mapsOf(program).includes('/libpq.so');
    const { world } = await open(t);
    assert.ok(loaded(world.program));
    await toldAs(world.program, 'ok');
    const other = await World.open(t, NO_OTHERS);
    const ingesting = await world.start({ words: ['--role', 'ingest'] });
    for (const program of [other.program, ingesting]) {
      assert.ok(!loaded(program));
      assert.ok(!('postgres' in (await program.readiness()).components));
      assert.doesNotMatch((await program.look('/metrics')).text, /^identihook_postgres_ready/m);
    }
  });
});

describe('a PostgreSQL that goes away', { concurrency: 4 }, () => {
  test('is told, by component and with what to do, and turns no readiness red: the rest goes on', async (t) => {
    const { own, database } = await openOwn(t);
    const world = await World.open(t, { email: false, settings: { DATABASE_URL: database.url } });
    await toldAs(world.program, 'ok');
    assert.equal(await world.program.metric('postgres_ready'), 1);

    await own.stop();
    await toldAs(world.program, 'unavailable');
    const { status, json } = await world.program.look('/readyz');
    assert.deepEqual([status, json.ready, json.postgres.trouble], [200, true, 'away']);
    assert.match(json.postgres.fix, /DATABASE_URL/);
    assert.equal(await world.program.metric('postgres_ready'), 0);
    assert.match((await world.program.look('/')).text, /postgres<td class=broken>check that PostgreSQL runs/);
    const { session, event } = world.pair('verified');
    assert.equal((await world.deliver(event)).status, 200);
    await until(() => world.updatesOf(event).length > 0, 'the onboarding update, beside the row that waits');

    await own.start();
    await toldAs(world.program, 'ok');
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal((await rowsOf(database, session)).length, 1);
  });

  test('restarted and crashed in the middle of events: every session has its row, every change was told once', async (t) => {
    const { own, database } = await openOwn(t);
    const world = await World.open(t, {
      ...NO_OTHERS,
      settings: { DATABASE_URL: database.url, IDENTIHOOK_MAX_ATTEMPTS: '1000' },
    });
    const pairs = Array.from({ length: 60 }, () => world.pair('verified'));
    const deliver = async (some) => {
      for (const { event } of some) assert.equal((await world.deliver(event)).status, 200);
    };
    await deliver(pairs.slice(0, 20));
    await Promise.all([own.restart(), deliver(pairs.slice(20, 30))]);
    await deliver(pairs.slice(30, 40));
    await Promise.all([own.crash(), deliver(pairs.slice(40, 50))]);
    await world.program.logs.first((one) => one.message === 'postgres cannot be reached', 'the outage');
    await own.start();
    await deliver(pairs.slice(50));
    for (const { event } of pairs) assert.equal((await world.outcome(event)).outcome, 'done');
    const rows = await database.rows('SELECT session, status FROM identity_verifications ORDER BY session');
    const sessions = pairs.map(({ session }) => session.id).sort();
    assert.deepEqual(rows.map((row) => row.session).sort(), sessions);
    const [{ count }] = await database.rows('SELECT count(*)::int FROM identihook_effects');
    assert.equal(count, pairs.length);
  });

  test('frozen, it holds nothing up for longer than its timeouts', async (t) => {
    const { own, database } = await openOwn(t);
    const world = await World.open(t, {
      ...NO_OTHERS,
      settings: {
        DATABASE_URL: database.url,
        IDENTIHOOK_POSTGRES_CONNECT_TIMEOUT: '200ms',
        IDENTIHOOK_MAX_ATTEMPTS: '1000',
      },
    });
    await database.rows(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, [database.name]);
    own.freeze();
    const { event } = world.pair('verified');
    await world.deliver(event);
    const failed = await world.program.logs.first((one) => one.reason === 'postgres_unreachable', 'the failure');
    assert.match(failed.error, /did not answer in time/);
    own.thaw();
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('over TCP and TLS: the name is resolved and checked, and the next host is tried', async (t) => {
    const identity = await makeIdentity(t);
    const own = await Postgres.start({ tcp: true, tls: identity });
    t.after(() => own.close());
    const database = await own.database();
    const url = (host, query) => own.url(database.name, database.password, database.name, { host, query });
    const verified = { sslmode: 'verify-full', sslrootcert: identity.path };
    const first = await run(['migrate'], { DATABASE_URL: url('localhost', verified) });
    assert.equal(first.code, 0, first.stderr);
    const trusted = await run(['migrate'], {
      DATABASE_URL: url('localhost', { sslmode: 'verify-full' }),
      SSL_CERT_FILE: identity.path,
    });
    assert.equal(trusted.code, 0, trusted.stderr);
    const [{ ssl }] = await database.rows('SHOW ssl');
    assert.equal(ssl, 'on');
    const stranger = await run(['migrate'], { DATABASE_URL: url('127.0.0.1', verified) });
    assert.equal(stranger.code, 1);
    assert.match(stranger.stderr, /does not match host name/);
    const port = await freePort();
    const several = `postgresql://${database.name}:${database.password}@no-such-host.invalid,localhost:${port},localhost:${own.port}/${database.name}?sslmode=require`;
    const { code, stderr } = await run(['migrate'], { DATABASE_URL: several });
    assert.equal(code, 0, stderr);
  });
});
