// Events that Stripe has and identihook never received: found in Stripe's list, and queued like any other.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

const DAY = 86_400;
const now = () => Math.floor(Date.now() / 1000);

/** An event of a session that Stripe knows; in Stripe's list, but not delivered. */
function missed(world, kind = 'verified', { given = {}, changes = { created: now() - 3600 }, ...options } = {}) {
  const pair = world.pair(kind, given, changes);
  world.stripe.addEvent(pair.event.content, options);
  return pair;
}

const listReads = (world) => world.stripe.requests.items.filter(({ path }) => path === '/v1/events');

describe('identihook reconcile', { concurrency: 8 }, () => {
  test('queues what was never received, over many pages, and nothing twice', async (t) => {
    const world = await World.open(t);
    const all = Array.from({ length: 230 }, (_, i) => missed(world, 'verified', { changes: { created: now() - 900 - i } }));
    const received = all.slice(0, 40);
    for (const { event } of received) await world.carry(event);
    const { code, stdout } = await world.run(['reconcile', '--since', '1h']);
    assert.equal(code, 0);
    const lines = stdout.trim().split('\n');
    assert.equal(lines.pop(), '40 received before, 190 missed, 0 not delivered yet, 0 not selected, 0 unreadable');
    assert.deepEqual(lines.map((line) => line.split(' ')[0]).sort(), all.slice(40).map(({ event }) => event.id).sort());
    assert.match(lines[0], /^evt_\w+ verified vs_\w+ \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ queued$/);
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(listReads(world).length, 3);
    assert.equal(world.stripe.requests.items.filter(({ session }) => session).length, 230);
    assert.match((await world.run(['reconcile', '--since', '1h'])).stdout, /^230 received before, 0 missed/);
    // The listener and the list use the same mark: a late delivery is a duplicate.
    assert.equal((await world.deliver(all[100].event)).json.duplicate, true);
  });

  test('keeps each event as the listener would have', async (t) => {
    const world = await World.open(t, { start: false });
    const { event } = missed(world, 'verified');
    assert.equal((await world.run(['reconcile'])).code, 0);
    const [{ payload, received_ms, ...entry }] = await world.redis.entries(key('events'));
    const { pending_webhooks, ...content } = JSON.parse(payload);
    assert.deepEqual(content, (({ pending_webhooks: ignored, ...rest }) => rest)(event.content));
    assert.ok(Math.abs(Date.now() - received_ms) < 60_000);
    const { id, ...fields } = entry;
    assert.deepEqual(fields, {
      event: event.id,
      type: event.type,
      session: event.session,
      account: '',
      livemode: 'false',
      created: String(event.content.created),
      api_version: event.content.api_version,
    });
  });

  test('shows what it would queue, and queues nothing, with --dry-run', async (t) => {
    const world = await World.open(t, { start: false });
    const { event } = missed(world);
    const { code, stdout } = await world.run(['reconcile', '--dry-run', '--json']);
    assert.equal(code, 0);
    const { events, from, ...rest } = JSON.parse(stdout);
    assert.deepEqual(events, [
      {
        event: event.id,
        type: event.type,
        session: event.session,
        account: '',
        livemode: false,
        created: event.content.created,
        early: false,
      },
    ]);
    assert.ok(Math.abs(now() - DAY - from) < 60);
    assert.deepEqual(rest, {
      dry_run: true,
      complete: true,
      received: 0,
      missed: 1,
      early: 0,
      unwanted: 0,
      unreadable: 0,
    });
    assert.equal(await world.redis.call('XLEN', key('events')), 0);
    assert.match((await world.run(['reconcile', '--dry-run'])).stdout, new RegExp(`^${event.id} .* would be queued\n`));
    await world.run(['reconcile']);
    assert.equal(JSON.parse((await world.run(['reconcile', '--dry-run', '--json'])).stdout).received, 1);
  });

  test('asks for what is selected only, and holds to it whatever comes', async (t) => {
    const world = await World.open(t, { start: false, settings: { IDENTIHOOK_LIVEMODE: 'live' } });
    missed(world);
    const young = missed(world, 'verified', { changes: { created: now() - 10 } });
    const { stdout } = await world.run(['reconcile', '--since', '2h', '--json'], { IDENTIHOOK_EVENTS: 'verified,canceled' });
    const [{ query, headers }] = listReads(world);
    assert.deepEqual(query.getAll('types[]'), [
      'identity.verification_session.verified',
      'identity.verification_session.canceled',
    ]);
    assert.ok(Math.abs(now() - 7200 - query.get('created[gte]')) < 60);
    assert.equal(query.get('limit'), '100');
    assert.match(headers['stripe-version'], /^\d{4}-/);
    assert.equal(JSON.parse(stdout).unwanted, 2); // of test mode
    assert.equal(await world.redis.call('XLEN', key('events')), 0);
    // What Stripe may be about to deliver is queued, too, but nobody has missed it.
    const { early, missed: count, events } = JSON.parse(
      (await world.run(['reconcile', '--json'], { IDENTIHOOK_LIVEMODE: 'test' })).stdout,
    );
    assert.deepEqual([early, count], [1, 1]);
    assert.deepEqual(
      events.filter((one) => one.early).map((one) => one.event),
      [young.event.id],
    );
  });

  test('goes through the list of a connected account', async (t) => {
    const world = await World.open(t);
    const account = 'acct_1Shop';
    world.stripe.addKey(world.key, { sensitive: true, accounts: [account] });
    const { event, session } = world.pair('verified', {}, { created: now() - 3600 });
    world.stripe.addSession(session, { account });
    world.stripe.addEvent(event.content, { account }); // whose own list does not name it
    assert.equal((await world.run(['reconcile', '--account', account])).code, 0);
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal((await world.redis.entries(key('events')))[0].account, account);
    assert.equal((await world.run(['reconcile', '--account', '../x'])).code, 2);
  });

  test('goes on when Stripe fails for a moment', async (t) => {
    const world = await World.open(t, { start: false });
    missed(world);
    world.stripe.fail({ status: 500 });
    world.stripe.fail({ status: 429, headers: { 'Stripe-Rate-Limited-Reason': 'endpoint-rate' } });
    world.stripe.fail({ reset: true });
    const { code, stdout } = await world.run(['reconcile']);
    assert.deepEqual([code, /1 missed/.test(stdout)], [0, true]);
  });

  const failures = {
    'the key may not list events': [(world) => world.stripe.addKey(world.key, { events: false }), /Read on Events/],
    'the key is wrong': [(world) => world.stripe.addKey(world.key, { revoked: true }), /STRIPE_SECRET_KEY/],
    'something else answers': [
      (world) => world.stripe.fail({ status: 200, body: '<html></html>', times: 9 }),
      /STRIPE_API_BASE/,
    ],
    'the list runs in a circle': [
      (world) =>
        world.stripe.fail({
          status: 200,
          body: { object: 'list', has_more: true, data: [composeEvent('verified').content] },
          times: 9,
        }),
      /does not go on/,
    ],
  };
  for (const [name, [prepare, advice]] of Object.entries(failures)) {
    test(`fails, and says what to do, when ${name}`, async (t) => {
      const world = await World.open(t, { start: false });
      prepare(world);
      const { code, stderr } = await world.run(['reconcile']);
      assert.equal(code, 1);
      assert.match(stderr, advice);
    });
  }

  test('fails when Redis is away', async (t) => {
    const world = await World.open(t, { start: false });
    const { code, stderr } = await world.run(['reconcile'], {
      REDIS_URL: 'redis://127.0.0.1:1/0',
      IDENTIHOOK_ENQUEUE_TIMEOUT: '300ms',
    });
    assert.equal(code, 1);
    assert.match(stderr, /REDIS_URL/);
  });

  test('goes no further back than can be told apart', async (t) => {
    const world = await World.open(t, { start: false });
    assert.match((await world.run(['reconcile', '--since', '31d'])).stderr, /at most 30d/);
    assert.match((await world.run(['reconcile', '--since', 'yesterday'])).stderr, /a duration/);
    const { code, stderr } = await world.run(['reconcile', '--since', '2d'], { IDENTIHOOK_DEDUPE_WINDOW: '1d' });
    assert.equal(code, 2);
    assert.match(stderr, /IDENTIHOOK_DEDUPE_WINDOW/);
  });
});

describe('serve compares by itself', { concurrency: 8 }, () => {
  const settings = { IDENTIHOOK_RECONCILE_EVERY: '1s' };

  test('at the start, what Stripe could not deliver', async (t) => {
    const world = await World.open(t, { start: false, settings: { IDENTIHOOK_RECONCILE_EVERY: '1h' } });
    const lost = missed(world);
    const others = missed(world, 'verified', { delivered: true }); // to an endpoint that was there before
    await world.start();
    assert.equal((await world.outcome(lost.event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(lost.session).length, world.updatesOf(lost.event).length], [1, 1]);
    assert.equal(listReads(world)[0].query.get('delivery_success'), 'false');
    assert.deepEqual(world.mailsTo(others.session), []);
    await until(async () => (await world.program.metric('reconciled_events_total{found="missed"}')) === 1, 'the metric');
    assert.equal(await world.program.metric('reconciles_total{result="done"}'), 1);
    assert.match(world.program.child.stderr, /events were missed, and are queued now/);
  });

  test('again and again, from where it came before, one process at a time', async (t) => {
    const world = await World.open(t, { start: false, settings: { ...settings, IDENTIHOOK_RECONCILE_GRACE: '0' } });
    await Promise.all([world.start(), world.start(), world.start()]);
    const begun = Date.now();
    await until(() => listReads(world).length >= 3, 'three runs');
    const most = (Date.now() - begun) / 1000 + 2;
    assert.ok(listReads(world).length <= most, `${listReads(world).length} runs by three processes, ${most} by one`);
    const [first, second] = listReads(world).map(({ query }) => query);
    assert.ok(second.get('created[gte]') - first.get('created[gte]') > DAY - 60, 'it began where the first one ended');
    assert.equal(second.get('delivery_success'), null);
    const { event } = missed(world, 'verified', { changes: {} });
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('after Redis has lost its data, all that may have been lost with it', async (t) => {
    const world = await World.open(t, { settings });
    const { event, session } = missed(world, 'verified', { delivered: true });
    await world.carry(event);
    await until(async () => await world.redis.call('HGET', key('reconcile'), 'through'), 'the first run');
    await world.redis.call('FLUSHALL');
    await until(() => world.updatesOf(event).length === 2, 'the event once more');
    const [one, other] = world.updatesOf(event);
    assert.equal(one.headers['idempotency-key'], other.headers['idempotency-key']);
    await until(() => world.mailsTo(session).length === 2, 'the mail once more');
    assert.match(world.program.child.stderr, /it has lost its data/);
  });

  test('and in the lists of connected accounts, too', async (t) => {
    const accounts = ['acct_1Shop', 'acct_1Cafe'];
    const world = await World.open(t, {
      start: false,
      settings: { ...settings, IDENTIHOOK_RECONCILE_ACCOUNTS: ['acct_1Gone', ...accounts].join(', ') },
    });
    world.stripe.addKey(world.key, { sensitive: true, accounts });
    const all = [null, ...accounts].map((account) => {
      const { event, session } = world.pair('verified', {}, { created: now() - 3600 });
      world.stripe.addSession(session, { account });
      world.stripe.addEvent(event.content, { account });
      return event;
    });
    await world.start();
    for (const event of all) assert.equal((await world.outcome(event)).outcome, 'done');
    const entries = await world.redis.entries(key('events'));
    assert.deepEqual(entries.map(({ account }) => account).sort(), ['', ...accounts].sort());
    await until(() => world.redis.call('HGET', key('reconcile'), 'through'), 'the end of the run');
    assert.match(world.program.child.stderr, /cannot be compared.*acct_1Gone/); // and is passed over
  });

  test('and tells once an interval that it may not, while events go on', async (t) => {
    const world = await World.open(t, { start: false, settings });
    world.stripe.addKey(world.key, { events: false });
    await world.start();
    await until(() => /cannot be compared.*Read on Events/.test(world.program.child.stderr), 'the complaint');
    await world.settle();
    assert.ok((world.program.child.stderr.match(/cannot be compared/g) ?? []).length <= 4);
  });

  test('and ends in order in the middle of it', async (t) => {
    const world = await World.open(t, { start: false, settings });
    world.stripe.hold(({ path }) => path === '/v1/events');
    await world.start();
    await until(() => listReads(world).length === 1, 'the read');
  });

  test('but not with IDENTIHOOK_RECONCILE_EVERY=0', async (t) => {
    const world = await World.open(t);
    missed(world);
    await world.settle();
    assert.deepEqual(listReads(world), []);
  });
});
