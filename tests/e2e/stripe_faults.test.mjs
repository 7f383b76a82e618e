// What becomes of an event when Stripe's API does not answer as it should.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

const LIMITED = { 'Stripe-Rate-Limited-Reason': 'endpoint-rate' };

describe('an event is carried on', { concurrency: 8 }, () => {
  const passing = {
    'limits the rate (429)': { status: 429, headers: LIMITED },
    'waits for a lock (429)': {
      status: 429,
      body: { error: { type: 'invalid_request_error', code: 'lock_timeout', message: 'x' } },
    },
    'has a fault of its own (500)': { status: 500 },
    'is away (503)': { status: 503 },
    'answers a page instead of JSON (502)': { status: 502, body: '<html>Bad Gateway</html>' },
    'is in conflict (409)': { status: 409 },
    'answers nothing in time': { hang: true },
    'closes the connection': { close: true },
    'resets the connection': { reset: true },
    'closes in the middle of its answer': { cut: true },
    'answers what is no HTTP': { garbage: true },
    'answers 200 with something else': { status: 200, body: { object: 'charge' } },
    'answers 200 with nothing': { status: 200, body: '' },
    'refuses, but asks for another try': { status: 400, headers: { 'Stripe-Should-Retry': 'true' } },
  };
  for (const [name, fault] of Object.entries(passing)) {
    test(`when Stripe ${name}, twice`, async (t) => {
      const world = await World.open(t, { settings: { IDENTIHOOK_STRIPE_TIMEOUT: '300ms' } });
      const { session, event } = world.pair('verified');
      world.stripe.fail({ ...fault, times: 2 });
      assert.equal((await world.carry(event)).outcome, 'done');
      assert.equal(world.stripe.reads(session.id).length, 3);
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
      assert.equal(await world.redis.call('XLEN', key('dead')), 0);
    });
  }

  test('when Stripe is slow, but in time', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    world.stripe.fail({ delay: 700 });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.stripe.reads(session.id).length, 1);
  });

  test('after the time that Retry-After asks for', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_CAP: '10s' } });
    const { session, event } = world.pair('verified');
    world.stripe.fail({ status: 429, headers: { ...LIMITED, 'Retry-After': '2' } });
    assert.equal((await world.carry(event)).outcome, 'done');
    const [first, second] = world.stripe.reads(session.id);
    assert.ok(second.at - first.at >= 2000, `tried again after ${second.at - first.at} ms`);
  });

  test('while others go on', async (t) => {
    const world = await World.open(t);
    const stuck = world.pair('verified');
    const release = world.stripe.hold((request) => request.session === stuck.session.id);
    await world.deliver(stuck.event);
    await world.settle();
    assert.deepEqual(world.outcomesOf(stuck.event), []);
    release();
    assert.equal((await world.outcome(stuck.event)).outcome, 'done');
  });

  test('at no more than IDENTIHOOK_STRIPE_RATE, by all programs together', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_STRIPE_RATE: '20/s' } });
    const other = await world.start();
    const programs = [world.programs[0], other];
    const all = Array.from({ length: 60 }, () => world.pair('verified'));
    await Promise.all(all.map(({ event }, i) => world.deliver(event, { program: programs[i % 2] })));
    await Promise.all(all.map(({ event }) => world.outcome(event)));
    const reads = world.stripe.requests.items;
    assert.equal(reads.length, 60);
    // Over all of them: a busy machine may delay some and let them come in a bunch, but not sooner.
    const spent = reads.at(-1).at - reads[0].at;
    assert.ok(spent >= 2400, `60 reads in ${spent} ms`);
  });
});

describe('when Stripe fails again and again', { concurrency: 8 }, () => {
  const broken = { IDENTIHOOK_LOOPS: '1', IDENTIHOOK_BREAKER_FAULTS: '3', IDENTIHOOK_BREAKER_PAUSE: '200ms' };

  const many = (world) => Array.from({ length: 20 }, () => world.pair('verified'));

  test('events wait for it without losing tries, and one at a time probes', async (t) => {
    const world = await World.open(t, { settings: { ...broken, IDENTIHOOK_MAX_ATTEMPTS: '4' } });
    world.stripe.fail({ status: 503, times: Infinity });
    const all = many(world);
    for (const { event } of all) await world.deliver(event);
    await until(async () => (await world.program.metric('breaker_open{service="stripe"}')) === 1, 'the breaker to open');
    const opened = world.stripe.requests.items.length;
    await until(() => world.stripe.requests.items.length >= opened + 2, 'two probes');
    world.stripe.recover();
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
    const failed = world.stripe.requests.items.length - 20;
    assert.ok(failed <= 3 + 20 + 4, `${failed} reads in vain`); // what was under way when it opened, and probes
    assert.deepEqual(await world.dead(), []);
    assert.equal(await world.program.metric('breaker_open{service="stripe"}'), 0);
    const { stderr } = world.program.child;
    assert.equal(stderr.match(/Stripe is not asked for a while/g).length, 1);
    assert.match(stderr, /Stripe answers again/);
  });

  test('a key that is refused costs few events, the others wait for one that works', async (t) => {
    const world = await World.open(t, { settings: { ...broken, IDENTIHOOK_STRIPE_RATE: '50/s' } });
    world.stripe.addKey(world.key, { revoked: true });
    const all = many(world);
    for (const { event } of all) await world.deliver(event);
    await until(async () => (await world.program.metric('breaker_open{service="stripe"}')) === 1, 'the breaker to open');
    assert.match(world.program.child.stderr, /not asked for a while.*STRIPE_SECRET_KEY/);
    world.stripe.addKey(world.key);
    const ends = await Promise.all(all.map(({ event }) => world.outcome(event)));
    const dead = ends.filter(({ outcome }) => outcome === 'dead').length;
    assert.ok(dead >= 3 && dead <= 8, `${dead} are dead`);
    assert.equal(ends.filter(({ outcome }) => outcome === 'done').length, 20 - dead);
  });

  test('of what waits, the oldest event goes first', async (t) => {
    const world = await World.open(t, { settings: { ...broken, IDENTIHOOK_BREAKER_PAUSE: '3s' } });
    world.stripe.fail({ status: 503, times: Infinity });
    const now = Math.floor(Date.now() / 1000);
    for (let i = 0; i < 3; i++) await world.deliver(world.pair('verified').event);
    await until(async () => (await world.program.metric('breaker_open{service="stripe"}')) === 1, 'the breaker to open');
    const ages = [50, 400, 100, 300, 200];
    const waiting = ages.map((age) => world.pair('verified', {}, { created: now - age }));
    for (const { event } of waiting) await world.deliver(event);
    await until(async () => (await world.program.metric('events_in_process')) >= 5, 'all of them to wait');
    world.stripe.recover();
    for (const { event } of waiting) assert.equal((await world.outcome(event)).outcome, 'done');
    const first = (session) => world.stripe.reads(session.id).find(({ fault }) => !fault).at;
    const [, oldest] = waiting;
    for (const { session } of waiting) assert.ok(first(oldest.session) <= first(session), 'the oldest one went first');
  });

  test('it ends in order all the same, and hands back what waits', async (t) => {
    const world = await World.open(t, { settings: { ...broken, IDENTIHOOK_BREAKER_PAUSE: '1m' } });
    world.stripe.fail({ status: 500, times: Infinity });
    const all = many(world);
    for (const { event } of all) await world.deliver(event);
    await until(async () => (await world.program.metric('breaker_open{service="stripe"}')) === 1, 'the breaker to open');
    await world.program.stop();
    world.stripe.recover();
    await world.start();
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('limits of the rate slow down the whole fleet, and locks do not', async (t) => {
    const settings = { ...broken, IDENTIHOOK_BREAKER_FAULTS: '2', IDENTIHOOK_RETRY_CAP: '10s' };
    const world = await World.open(t, { settings });
    const lock = { status: 429, body: { error: { type: 'invalid_request_error', code: 'lock_timeout', message: 'x' } } };
    for (let i = 0; i < 4; i++) world.stripe.fail(lock);
    const locked = world.pair('verified');
    assert.equal((await world.carry(locked.event)).outcome, 'done');
    assert.equal(await world.redis.call('GET', key('slow:test')), null);
    world.stripe.fail({ status: 429, headers: { ...LIMITED, 'Retry-After': '1' } });
    const [one, ...others] = [world.pair('verified'), world.pair('verified'), world.pair('verified')];
    await world.deliver(one.event);
    await until(() => world.redis.call('GET', key('slow:test')), 'the fleet to slow down');
    const other = await world.start();
    for (const { event } of others) await world.deliver(event, { program: other });
    for (const { event } of [one, ...others]) assert.equal((await world.outcome(event)).outcome, 'done');
    const refused = world.stripe.reads(one.session.id)[0].at;
    for (const { session } of others) {
      const waited = world.stripe.reads(session.id)[0].at - refused;
      assert.ok(waited >= 900, `asked again after ${waited} ms`);
    }
    assert.equal(await world.redis.call('GET', key('slow:test')), '2');
    assert.equal(await world.program.metric('breaker_opened_total{service="stripe"}'), 0);
  });
});

describe('one answer of Stripe', { concurrency: 4 }, () => {
  /** Two events of one session that wait before the program starts. */
  async function waiting(t, { kinds, settings = {} }) {
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '1', ...settings }, words: ['--role', 'ingest'] });
    const session = world.session('verified');
    const events = kinds.map((kind) => composeEvent(kind, { session: session.id }));
    for (const event of events) await world.deliver(event);
    return { world, session, events };
  }

  test('serves two events that waited for it, and each is carried out', async (t) => {
    const { world, session, events } = await waiting(t, { kinds: ['verified', 'verified'] });
    await world.start({ words: ['--role', 'worker'] });
    for (const event of events) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.stripe.reads(session.id).length, 1);
    assert.deepEqual(events.map((event) => world.updatesOf(event).length), [1, 1]);
    assert.equal(await world.program.metric('fetches_spared_total'), 1);
  });

  test('does not serve one that came after it was asked for', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '1' } });
    const { session, event } = world.pair('verified');
    await world.carry(event);
    await world.carry(composeEvent('verified', { session: session.id }));
    assert.equal(world.stripe.reads(session.id).length, 2);
  });

  test('nor one whose try has failed', async (t) => {
    const { world, session, events } = await waiting(t, { kinds: ['verified', 'verified'] });
    world.onboarding.fail({ status: 503, times: 2, when: ({ headers }) => headers['idempotency-key'] === events[1].id });
    await world.start({ words: ['--role', 'worker'] });
    for (const event of events) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.stripe.reads(session.id).length, 3); // none for its first try, one for each later one
  });

  test('nor one that it would supersede: that is asked for', async (t) => {
    const { world, session, events } = await waiting(t, { kinds: ['verified', 'requires_input'] });
    await world.start({ words: ['--role', 'worker'] });
    const ends = await Promise.all(events.map((event) => world.outcome(event)));
    assert.deepEqual(ends.map(({ outcome }) => outcome), ['done', 'superseded']);
    assert.equal(world.stripe.reads(session.id).length, 2);
  });
});

describe('what Stripe shows for 48 hours only', { concurrency: 4 }, () => {
  const HOUR = 3600;
  const settings = { IDENTIHOOK_VERIFIED_OUTPUTS: 'dob', IDENTIHOOK_RETRY_BASE: '6h', IDENTIHOOK_RETRY_CAP: '6h' };
  const ago = (hours, seconds = 0) => Math.floor(Date.now() / 1000) - hours * HOUR - seconds;

  test('is asked for again before that ends', async (t) => {
    const world = await World.open(t, { settings });
    const { event } = world.pair('verified', {}, { created: ago(47, -3) }); // an hour and three seconds are left
    world.stripe.fail({ status: 503 });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.deepEqual(world.updatesOf(event)[0].verified_outputs.dob, { day: 1, month: 1, year: 1901 });
  });

  test('and after it the dead letter says so', async (t) => {
    const world = await World.open(t, { settings });
    world.stripe.addKey(world.key, { sensitive: false }); // as Stripe answers then
    const { event } = world.pair('verified', {}, { created: ago(49) });
    assert.equal((await world.carry(event)).outcome, 'dead');
    const [letter] = await world.dead();
    assert.equal(letter.reason, 'sensitive_results_expired');
    assert.match(letter.error, /48 hours.*IP addresses.*IDENTIHOOK_VERIFIED_OUTPUTS/);
  });
});

describe('an event goes to the dead letters', { concurrency: 8 }, () => {
  /** The one dead letter, and what must be true of every one. */
  async function deadLetterOf(world, event) {
    assert.equal((await world.outcome(event)).outcome, 'dead');
    const [letter, ...more] = await world.dead();
    assert.deepEqual(more, []);
    assert.equal(letter.event, event.id);
    return letter;
  }

  const permanent = [
    [
      'Stripe does not know its session',
      {},
      (world, session) => world.stripe.change(session.id, { livemode: true }),
      'session_not_found',
      /live/,
    ],
    [
      'the key is wrong',
      { STRIPE_SECRET_KEY: 'sk_test_nobodysKey' },
      () => {},
      'stripe_key_rejected',
      /STRIPE_SECRET_KEY/,
    ],
    [
      'the key has expired',
      {},
      (world) => world.stripe.addKey(world.key, { revoked: true }),
      'stripe_key_rejected',
      /STRIPE_SECRET_KEY/,
    ],
    [
      'the key lacks a permission',
      {},
      (world) => world.stripe.addKey(world.key, { sessions: false }),
      'stripe_key_lacks_permission',
      /Read/,
    ],
    [
      'the key may not read sensitive fields',
      { IDENTIHOOK_VERIFIED_OUTPUTS: 'dob' },
      (world) => world.stripe.addKey(world.key, { sensitive: false }),
      'stripe_key_lacks_permission',
      /dob/,
    ],
    [
      'Stripe refuses the request',
      { STRIPE_API_VERSION: 'yesterday' },
      () => {},
      'stripe_refused',
      /STRIPE_API_VERSION/,
    ],
    [
      'Stripe forbids another try',
      {},
      (world) => world.stripe.fail({ status: 500, headers: { 'Stripe-Should-Retry': 'false' } }),
      'stripe_unavailable',
      /HTTP 500/,
    ],
  ];
  for (const [name, settings, prepare, reason, advice] of permanent) {
    test(`at once when ${name}, with what to do about it`, async (t) => {
      const world = await World.open(t, { settings });
      const { session, event } = world.pair('verified');
      prepare(world, session);
      await world.deliver(event);
      const letter = await deadLetterOf(world, event);
      assert.equal(letter.reason, reason);
      assert.match(letter.error, advice);
      assert.equal(letter.attempts, '1');
      assert.equal(world.stripe.reads(session.id).length, 1);
      assert.deepEqual([world.mailsTo(session), world.updatesOf(event)], [[], []]);
    });
  }

  test('whole, as it came, with reason and time', async (t) => {
    const world = await World.open(t);
    const event = composeEvent('verified.unicode'); // of a session that Stripe does not know
    await world.deliver(event);
    const { id, ...letter } = await deadLetterOf(world, event);
    const [{ id: streamId, ...entry }] = await world.redis.entries(key('events'));
    const { reason, error, attempts, failed_ms, ...rest } = letter;
    assert.deepEqual(rest, entry);
    assert.equal(rest.payload, event.body);
    assert.equal(reason, 'session_not_found');
    assert.match(error, /HTTP 404, resource_missing, request req_\w+/);
    assert.equal(attempts, '1');
    assert.ok(Math.abs(Date.now() - failed_ms) < 60_000);
  });

  test('after IDENTIHOOK_MAX_ATTEMPTS tries, with the last failure', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MAX_ATTEMPTS: '3' } });
    const { session, event } = world.pair('verified');
    world.stripe.fail({ status: 503, times: Infinity });
    await world.deliver(event);
    const letter = await deadLetterOf(world, event);
    assert.equal(letter.reason, 'attempts_exhausted');
    assert.match(letter.error, /stripe_unavailable/);
    assert.equal(letter.attempts, '3');
    assert.equal(world.stripe.reads(session.id).length, 3);
    assert.equal(await world.redis.call('HLEN', key('attempts')), 0);
    assert.equal(await world.redis.call('ZCARD', key('retry')), 0);
  });

  test('of a connected account that the key cannot reach', async (t) => {
    const world = await World.open(t);
    const event = composeEvent('verified.connect');
    await world.deliver(event);
    const letter = await deadLetterOf(world, event);
    assert.equal(letter.reason, 'stripe_key_lacks_permission');
    assert.equal(letter.account, event.content.account);
  });
});
