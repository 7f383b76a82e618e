// Everything that is held about a session goes when it is redacted, and comes back in no way.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { send } from '../lib/http_client.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { token } from '../lib/stripe_api.mjs';
import { userToken } from '../lib/user_token.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

let cluster;
before(async () => {
  cluster = await Postgres.start();
});
after(() => cluster?.close());

const SETTINGS = {
  IDENTIHOOK_EVENTS: 'created,processing,verified,requires_input,canceled,redacted',
  IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name,last_name,dob,address,id_number,phone',
};

async function open(t, { settings = {}, ...options } = {}) {
  const database = await cluster.database();
  const world = await World.open(t, {
    settings: { DATABASE_URL: database.url, ...SETTINGS, ...settings },
    start: false,
    ...options,
  });
  assert.equal((await world.run(['migrate'])).code, 0);
  await world.start();
  return { world, database };
}

/** A person of whom every word can be found again, and the words. */
function person() {
  const word = (name) => `Canary${name}${token(10)}`;
  const words = Object.fromEntries(
    ['user', 'first', 'last', 'line', 'city', 'number', 'phone', 'secret', 'note', 'email'].map((name) => [
      name,
      word(name),
    ]),
  );
  const given = {
    client_reference_id: words.user,
    metadata: { note: words.note },
    provided_details: { email: `${words.email}@person.example`, phone: words.phone },
    verified_outputs: {
      first_name: words.first,
      last_name: words.last,
      address: { line1: words.line, city: words.city, country: 'US' },
      id_number: words.number,
      phone: words.phone,
      dob: { day: 1, month: 2, year: 1903 },
    },
  };
  // As if Stripe told all of it in its events, too.
  const object = { ...given, client_secret: words.secret, url: `https://verify.stripe.com/start/${words.secret}` };
  return { given, object, words: Object.values(words) };
}

async function whereabouts(world, database, words) {
  const texts = [await world.redis.dump(), await database.dump()];
  return texts.flatMap((text) => text.split('\n')).filter((line) => words.some((word) => line.includes(word)));
}

/** Events of one person in every state: done, dead, to be tried again, read by another group and not acknowledged, unread. */
async function fill(world, database, { given, object }) {
  const session = world.session('verified', given);
  const event = (kind, changes) => composeEvent(kind, { session: session.id, object, ...changes });
  await world.redis.call('XGROUP', 'CREATE', key('events'), 'others', 0, 'MKSTREAM');
  await world.carry(event('created'));
  const done = event('verified');
  assert.equal((await world.carry(done)).outcome, 'done');
  await world.redis.call('XREADGROUP', 'GROUP', 'others', 'them', 'COUNT', 1, 'STREAMS', key('events'), '>');

  // More than is looked at in one step.
  for (let i = 0; i < 250; i++)
    await world.redis.call('XADD', key('outcomes'), '*', 'event', `evt_${i}`, 'session', `vs_${i}`, 'outcome', 'done');

  world.onboarding.fail({ status: 400, times: 1 });
  const dead = event('verified');
  await world.deliver(dead);
  const ended = await world.outcome(dead);

  world.onboarding.fail({ status: 500, times: Infinity });
  const retried = event('verified');
  await world.deliver(retried);
  await world.program.logs.first((one) => one.event === retried.id && /tried again/.test(one.message), 'the retry');
  assert.equal(await world.redis.call('EXISTS', key(`mail:${retried.id}`)), 1, 'its mail is frozen');
  return { session, done, dead, retried, ended };
}

describe('redaction', { concurrency: 3 }, () => {
  test('the redacted event erases the person from Redis and PostgreSQL, in whatever state events are', async (t) => {
    const { world, database } = await open(t, {
      settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' },
    });
    const somebody = person();
    const other = person();
    const { session, ended } = await fill(world, database, somebody);
    assert.equal(ended.outcome, 'dead');
    world.onboarding.recover();
    const others = world.session('verified', other.given);
    const theirs = composeEvent('verified', { session: others.id, object: other.object });
    await world.carry(theirs);
    assert.ok((await whereabouts(world, database, somebody.words)).length >= 4, 'there is something to erase');
    const kept = await whereabouts(world, database, other.words);

    const told = await database.listen('identity_verifications');
    const redacted = composeEvent('redacted', { session: session.id });
    const outcome = await world.carry(redacted);
    assert.deepEqual([outcome.outcome, outcome.status, outcome.effects], ['done', 'redacted', 'erase']);
    assert.deepEqual(await whereabouts(world, database, somebody.words), []);
    await told.first((one) => one.session === session.id && one.status === 'redacted', 'the notification');

    const [row] = await database.rows('SELECT * FROM identity_verifications WHERE session = $1', [session.id]);
    assert.equal(row.status, 'redacted');
    assert.ok(row.redacted_at && row.verified_at);
    assert.deepEqual([row.user_id, row.verified_outputs, row.last_event], [null, null, null]);
    assert.deepEqual(await whereabouts(world, database, other.words), kept, 'nobody else is touched');
    assert.deepEqual(
      (await world.redis.entries(key('outcomes'))).filter((one) => one.session === session.id).map((one) => one.event),
      [redacted.id],
      'of the outcomes that of the redaction stays',
    );
    assert.equal(await world.redis.call('ZCARD', key('retry')), 0);
    const [pending] = await world.redis.call('XPENDING', key('events'), 'others');
    assert.equal(pending, 0, 'nor does an erased entry hold up another group');
  });

  test('a user who was given the session here is free of it', async (t) => {
    const secret = token(40);
    const { world } = await open(t, { settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: secret } });
    const users = async () => (await world.redis.dump()).split('\n').filter((line) => line.startsWith(key('user:')));
    const made = await send(new URL('/create-verification-session', world.program.url).href, {
      method: 'POST',
      headers: { Authorization: `Bearer ${userToken(`user_${token(8)}`, secret)}` },
      body: '',
    });
    assert.equal(made.status, 200, made.text);
    Object.assign(world.stripe.session(made.json.id), { status: 'verified', verified_outputs: {} });
    await world.carry(composeEvent('verified', { session: made.json.id }));
    assert.equal((await users()).filter((line) => line.includes(made.json.id)).length, 1);
    await world.carry(composeEvent('redacted', { session: made.json.id }));
    assert.deepEqual(await users(), []);
  });

  test('events that come after it, or again, bring nothing back', async (t) => {
    const { world, database } = await open(t);
    const somebody = person();
    const session = world.session('verified', somebody.given);
    const event = composeEvent('verified', { session: session.id, object: somebody.object });
    await world.carry(event);
    session.redaction = { status: 'redacted' };
    await world.carry(composeEvent('redacted', { session: session.id }));
    assert.equal((await world.deliver(event)).json.duplicate, true, 'its mark stays');
    session.redaction = null; // a fetch that came from before, say
    const late = composeEvent('verified', { session: session.id });
    await world.carry(late);
    const [row] = await database.rows('SELECT status, user_id FROM identity_verifications');
    assert.deepEqual(row, { status: 'redacted', user_id: null });
  });

  test('an event that is in process at that moment is awaited, and what it writes is erased', async (t) => {
    const { world, database } = await open(t);
    const somebody = person();
    const session = world.session('verified', somebody.given);
    const event = composeEvent('verified', { session: session.id, object: somebody.object });
    const holder = await database.client();
    await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
    await world.deliver(event);
    await until(
      async () =>
        (
          await database.rows(`SELECT 1 FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'`, [
            database.name,
          ])
        ).length > 0,
      'the row to be under way',
    );
    const redacted = composeEvent('redacted', { session: session.id });
    await world.deliver(redacted);
    await until(async () => (await world.redis.call('ZCARD', key(`waiting:${session.id}`))) === 1, 'it to wait');
    await holder.query('ROLLBACK');
    assert.equal((await world.outcome(redacted)).outcome, 'done');
    assert.deepEqual(await whereabouts(world, database, somebody.words), []);
  });

  test('broken off by Redis, it is begun again a moment later', async (t) => {
    const { world, database } = await open(t, {
      settings: { IDENTIHOOK_RETRY_BASE: '50ms', IDENTIHOOK_RETRY_CAP: '50ms' },
    });
    const session = world.session('verified');
    for (let i = 0; i < 5000; i++) // to be gone through, step by step
      await world.redis.call('XADD', key('outcomes'), '*', 'event', `evt_${i}`, 'session', `vs_${i}`, 'outcome', 'done');
    const event = composeEvent('redacted', { session: session.id });
    await world.deliver(event);
    await until(async () => {
      await world.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      return world.program.logs.items.some(({ reason }) => reason === 'erasing_broken_off');
    }, 'the erasing to be broken off');
    assert.equal((await world.outcome(event)).outcome, 'done');
    const [row] = await database.rows('SELECT status FROM identity_verifications WHERE session = $1', [session.id]);
    assert.equal(row.status, 'redacted');
  });

  test('PostgreSQL away: Redis is erased at once, the row as soon as it can be', async (t) => {
    const { world, database } = await open(t, {
      settings: { IDENTIHOOK_POSTGRES_TIMEOUT: '200ms', IDENTIHOOK_MAX_ATTEMPTS: '1000' },
    });
    const somebody = person();
    const session = world.session('verified', somebody.given);
    await world.carry(composeEvent('verified', { session: session.id, object: somebody.object }));
    const holder = await database.client();
    await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
    const redacted = composeEvent('redacted', { session: session.id });
    await world.deliver(redacted);
    await world.program.logs.first((one) => one.effect === 'erase' && one.reason === 'postgres_timeout', 'the failure');
    const inRedis = (await world.redis.dump()).split('\n');
    assert.deepEqual(
      inRedis.filter((line) => somebody.words.some((word) => line.includes(word))),
      [],
    );
    await holder.query('ROLLBACK');
    assert.equal((await world.outcome(redacted)).outcome, 'done');
    assert.deepEqual(await whereabouts(world, database, somebody.words), []);
  });
});

describe('identihook redact', { concurrency: 3 }, () => {
  test('--dry-run counts, --yes erases, and who did it and why is written down', async (t) => {
    const { world, database } = await open(t, {
      settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' },
    });
    const somebody = person();
    const { session } = await fill(world, database, somebody);
    const held = await whereabouts(world, database, somebody.words);
    const dry = await world.run(['redact', session.id, '--dry-run', '--json']);
    assert.equal(dry.code, 0, dry.stderr);
    const counts = JSON.parse(dry.stdout);
    assert.ok(counts.events >= 1 && counts.dead === 1 && counts.outcomes >= 3, dry.stdout);
    assert.deepEqual([counts.erased, counts.rows, counts.ledger_rows], [false, 1, 3]);
    assert.deepEqual(await whereabouts(world, database, somebody.words), held, 'nothing is changed');

    const done = await world.run(['redact', session.id, '--yes', '--reason', 'ticket 7', '--json']);
    assert.equal(done.code, 0, done.stderr);
    const { erased, ...rest } = JSON.parse(done.stdout);
    const { erased: ignored, ...expected } = counts;
    assert.deepEqual([erased, rest], [true, expected]);
    assert.deepEqual(await whereabouts(world, database, somebody.words), []);
    const [act] = await world.redis.entries(key('acts'));
    assert.deepEqual([act.act, act.session, act.reason], ['redact', session.id, 'ticket 7']);
    assert.match(act.by, /.@./);

    const { stdout: explained } = await world.run(['explain', session.id]);
    assert.match(explained, /redact.*ticket 7/);

    const again = await world.run(['redact', session.id]); // a script need not say --yes
    assert.equal(again.code, 0);
    assert.match(again.stdout, /erased\n +0 of \{ns\}:events/);
    assert.equal((await world.redis.entries(key('acts'))).length, 2, 'the acts of erasing stay');
    world.onboarding.recover();
    await world.settle();
  });

  test('it waits for an event that is in process, and erases with it those that wait themselves', async (t) => {
    const { world, database } = await open(t);
    const somebody = person();
    const session = world.session('verified', somebody.given);
    const event = composeEvent('verified', { session: session.id, object: somebody.object });
    const release = world.onboarding.hold();
    await world.deliver(event);
    await world.onboarding.updates.first((one) => one.event === event.id, 'the update');
    let over = false;
    const running = world.run(['redact', session.id, '--yes']).finally(() => (over = true));
    await until(async () => (await database.rows('SELECT 1 FROM identity_verifications')).length > 0, 'it to begin');
    const later = composeEvent('verified', { session: session.id, object: somebody.object });
    await world.deliver(later);
    await until(async () => (await world.redis.call('ZCARD', key(`waiting:${session.id}`))) === 1, 'the other to wait');
    assert.equal(over, false);
    release();
    const { code, stderr } = await running;
    assert.equal(code, 0, stderr);
    await world.settle();
    assert.deepEqual(await whereabouts(world, database, somebody.words), []);
    const [row] = await database.rows('SELECT status, user_id FROM identity_verifications WHERE session = $1', [
      session.id,
    ]);
    assert.deepEqual(row, { status: 'redacted', user_id: null });
  });

  test('without a session, or with what is none, it does nothing', async (t) => {
    const { world } = await open(t);
    for (const words of [[], ['vs_1a', '--yes', '--dry-run'], ['evt_1a', '--yes'], ['{x}', '--yes']]) {
      const { code, stderr } = await world.run(['redact', ...words]);
      assert.equal(code, 2, words.join(' '));
      assert.match(stderr, /usage: identihook redact/);
    }
  });
});
