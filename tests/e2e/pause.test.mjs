// Pausing and resuming: all processing, or one effect.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

const act = async (world, ...words) => {
  const { code, stdout, stderr } = await world.run([...words, '--json']);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

/** Waits until each loop of the program has heard of it. */
const paused = (world, ...what) =>
  until(async () => {
    const told = (await world.program.look('/readyz')).json.paused;
    return JSON.stringify(told) === JSON.stringify(what);
  }, `${what} to be paused`);

const heldCount = async (world, program = world.program) => program.metric('events_ended_total{ending="held"}');

describe('a paused effect', { concurrency: 8 }, () => {
  const one = { IDENTIHOOK_LOOPS: '1' };

  test('waits without counting a try, while the others go on; resumed, it goes on at once', async (t) => {
    const world = await World.open(t, { settings: one });
    await act(world, 'pause', 'email', '--reason', 'the relay is being moved');
    await paused(world, 'email');
    const { event, session } = world.pair('verified');
    await world.deliver(event);
    await until(async () => (await heldCount(world)) === 1, 'the event to be held');
    assert.equal(world.updatesOf(event).length, 1);
    assert.equal(world.mailsTo(session).length, 0);
    assert.equal(await world.redis.call('HLEN', key('attempts')), 0);
    assert.deepEqual(Object.keys(await world.ledger(event)), ['onboarding']);
    const explained = JSON.parse((await world.run(['explain', event.id, '--json'])).stdout);
    assert.equal(explained.events[0].state, 'held');

    const { released } = await act(world, 'resume', 'email', '--reason', 'it has moved');
    assert.equal(released, 1);
    assert.equal((await world.outcome(event)).effects, 'email,onboarding');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(await world.redis.call('EXISTS', key('held')), 0);

    const written = (await world.redis.entries(key('acts'))).map(({ act: name, what, reason }) => [name, what, reason]);
    assert.deepEqual(written, [
      ['pause', 'email', 'the relay is being moved'],
      ['resume', 'email', 'it has moved'],
    ]);
  });

  test('costs no read of Stripe as long as nothing else is left', async (t) => {
    const world = await World.open(t, { settings: one, onboarding: false });
    await act(world, 'pause', 'email');
    await paused(world, 'email');
    const { event, session } = world.pair('verified');
    await world.deliver(event);
    await until(async () => (await heldCount(world)) === 1, 'the event to be held');
    assert.equal(world.stripe.reads(session.id).length, 0);
    await act(world, 'resume', 'email');
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.mailsTo(session).length, 1);
  });

  test('is still done when the event is to die for another one', async (t) => {
    const world = await World.open(t, { settings: one });
    await act(world, 'pause', 'email');
    await paused(world, 'email');
    const { event, session } = world.pair('verified');
    world.onboarding.fail({ status: 410 });
    await world.deliver(event);
    await until(async () => (await heldCount(world)) === 1, 'the event to be held');
    assert.equal((await world.dead()).length, 0);
    await act(world, 'resume', 'email');
    const outcome = await world.outcome(event);
    assert.deepEqual([outcome.outcome, outcome.effects], ['dead', 'email']);
    assert.equal(world.mailsTo(session).length, 1);
  });

  test('of several keeps its events when only another one is resumed', async (t) => {
    const world = await World.open(t, { settings: one });
    await act(world, 'pause', 'email', 'onboarding');
    await paused(world, 'email', 'onboarding');
    const { event, session } = world.pair('verified');
    await world.deliver(event);
    await until(async () => (await heldCount(world)) === 1, 'the event to be held');
    await act(world, 'resume', 'onboarding');
    await until(async () => (await heldCount(world)) === 2, 'the event to be held again');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [0, 1]);
    await act(world, 'resume', 'email');
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('goes on by itself should the pause be lost, and waits on while it stands', async (t) => {
    const world = await World.open(t, { settings: one });
    await act(world, 'pause', 'email');
    await paused(world, 'email');
    const { event, session } = world.pair('verified');
    await world.deliver(event);
    await until(async () => (await heldCount(world)) === 1, 'the event to be held');
    const [id] = await world.redis.call('ZRANGE', key('held'), 0, -1);
    const letTimePass = () => world.redis.call('ZADD', key('retry'), 'XX', 0, id);
    await letTimePass();
    await until(async () => (await heldCount(world)) === 2, 'the event to be held again');
    assert.equal(world.mailsTo(session).length, 0);
    await world.redis.call('DEL', key('control'));
    await paused(world);
    await letTimePass();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(await world.redis.call('EXISTS', key('held')), 0);
  });

  test('releases many events, each once', async (t) => {
    const world = await World.open(t, { settings: { ...one, IDENTIHOOK_CONCURRENCY: '200' }, onboarding: false });
    await act(world, 'pause', 'email');
    await paused(world, 'email');
    const pairs = Array.from({ length: 120 }, () => world.pair('verified'));
    await Promise.all(pairs.map(({ event }) => world.deliver(event)));
    await until(async () => (await world.redis.call('ZCARD', key('held'))) === 120, 'all of them to be held');
    await act(world, 'resume', 'email');
    await Promise.all(pairs.map(({ event }) => world.outcome(event)));
    for (const { session } of pairs) assert.equal(world.mailsTo(session).length, 1);
  });
});

describe('paused processing', { concurrency: 8 }, () => {
  test('takes nothing, while receiving goes on; resumed, it takes all', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '1' } }); // each loop hears of it by itself
    await act(world, 'pause', '--reason', 'a migration');
    await paused(world, 'processing');
    const pairs = [1, 2, 3].map(() => world.pair('verified'));
    for (const { event } of pairs) assert.equal((await world.deliver(event)).status, 200);
    const ready = await world.program.look('/readyz');
    assert.deepEqual([ready.status, ready.json.ready], [200, true]);
    assert.equal(await world.program.metric('paused{what="processing"}'), 1);

    // A worker that starts meanwhile takes nothing either.
    const second = await world.start({ words: ['--role', 'worker'] });
    await until(async () => (await second.metric('paused{what="processing"}')) === 1, 'the second one to hear of it');
    assert.equal(world.outcomes.items.length, 0);
    assert.equal(world.stripe.requests.items.length, 0);

    await act(world, 'resume');
    for (const { event } of pairs) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.smtp.mails.items.length, 3);
  });

  test('lets go in order when the program ends, and what is under way ends as usual', async (t) => {
    const world = await World.open(t);
    const release = world.stripe.hold();
    const { event } = world.pair('verified');
    await world.deliver(event);
    await world.stripe.requests.first(() => true, 'a read of Stripe');
    await act(world, 'pause', 'processing');
    await paused(world, 'processing');
    release();
    assert.equal((await world.outcome(event)).outcome, 'done');
    await world.deliver(composeEvent('verified'));
    assert.deepEqual(await world.program.stop(), { code: 0, signal: null });
    assert.equal(await world.redis.call('XLEN', key('events')), 2);
  });
});

describe('pause and resume', { concurrency: 8 }, () => {
  test('say when nothing changes, and keep the first reason', async (t) => {
    const world = await World.open(t, { start: false });
    const first = await world.run(['pause', 'email', '--reason', 'the first']);
    assert.deepEqual([first.code, first.stdout], [0, 'email: paused\n']);
    const second = await world.run(['pause', 'email', '--reason', 'the second']);
    assert.deepEqual([second.code, second.stdout], [0, 'email: was paused already\n']);
    assert.match(await world.redis.call('HGET', key('control'), 'email'), /^\d+ \S+@\S+ the first$/);
    const none = await world.run(['resume', 'onboarding']);
    assert.deepEqual([none.code, none.stdout], [0, 'onboarding: was not paused\n']);
    assert.equal(await world.redis.call('XLEN', key('acts')), 1);
  });

  test('exit 2 for what cannot be paused, and name what can', async (t) => {
    const world = await World.open(t, { start: false });
    for (const command of ['pause', 'resume']) {
      const { code, stdout, stderr } = await world.run([command, 'fax']);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /'fax' cannot be paused: there are processing, email, onboarding/);
    }
  });
});
