// What became of an event: one timeline from receipt to every effect.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

async function explain(world, id, ...words) {
  const { code, stdout, stderr } = await world.run(['explain', id, '--json', ...words]);
  const { events, complete } = JSON.parse(stdout);
  return { code, events, complete, stderr };
}

/** What happened, in its order. */
const steps = ({ timeline }) => timeline.map(({ what, effect }) => (effect ? `${what} ${effect}` : what));

describe('explain', { concurrency: 8 }, () => {
  test('tells a whole life from receipt to every effect and the outcome', async (t) => {
    const world = await World.open(t);
    const { event, session } = world.pair('verified');
    await world.carry(event);
    const { code, events, complete, stderr } = await explain(world, event.id);
    assert.deepEqual([code, stderr, complete, events.length], [0, '', true, 1]);
    const [life] = events;
    assert.deepEqual([life.event, life.type, life.session, life.state], [event.id, event.type, session.id, 'finished']);
    assert.deepEqual(
      steps(life).filter((step) => step !== 'queued'), // of which the stream knows until it is trimmed
      ['created', 'received', 'effect_done email', 'effect_done onboarding', 'done'],
    );
    const times = life.timeline.map(({ at_ms }) => at_ms);
    assert.deepEqual(
      times,
      [...times].sort((a, b) => a - b),
    );
    assert.equal(life.timeline.at(-1).effects, 'email,onboarding');

    const text = await world.run(['explain', event.id]);
    assert.equal(text.code, 0);
    for (const word of [event.id, session.id, 'effect done: email', 'now: finished'])
      assert.ok(text.stdout.includes(word), text.stdout);
    assert.ok(!text.stdout.includes(session.provided_details.email));
  });

  test('tells that an event is unread, in process, retried or dead', async (t) => {
    const world = await World.open(t, {
      settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' },
      onboarding: false,
    });
    const lost = composeEvent('verified'); // of no session that Stripe knows
    await world.carry(lost);
    const late = world.pair('verified');
    world.stripe.fail({ status: 503 });
    await world.deliver(late.event);
    await world.program.logs.first(({ message }) => message === 'event will be tried again', 'a retry');
    const release = world.stripe.hold();
    const held = world.pair('verified');
    await world.deliver(held.event);
    await world.stripe.requests.first(({ session }) => session === held.session.id, 'a read of Stripe');

    const state = async ({ id }) => (await explain(world, id)).events[0];
    const dead = await state(lost);
    assert.equal(dead.state, 'dead');
    const death = dead.timeline.find(({ what }) => what === 'died');
    assert.deepEqual([death.reason, death.tries], ['session_not_found', 1]);
    assert.match(death.error, /\w/);
    assert.deepEqual(
      steps(dead).filter((step) => step !== 'queued'),
      ['created', 'received', 'died'],
    );

    const retried = await state(late.event);
    assert.deepEqual([retried.state, retried.failed_tries], ['retrying', 1]);
    assert.ok(retried.due_ms > Date.now() - 1000);
    const failure = retried.timeline.at(-1);
    assert.deepEqual([failure.what, failure.try, failure.reason], ['try_failed', 1, 'stripe_unavailable']);
    assert.match(failure.error, /503/);

    const process = await state(held.event);
    assert.equal(process.state, 'in_process');
    assert.match(process.consumer, /\w/);

    release();
    await world.outcome(held.event);
    await world.program.stop();
    await world.redis.call('XADD', key('events'), '*', 'event', 'evt_unread', 'type', 'x', 'session', 'vs_1');
    assert.equal((await state({ id: 'evt_unread' })).state, 'unread');
    for (const [event, words] of [
      [lost, /now: a dead letter/],
      [late.event, /now: to be tried again after 1 failed try, due in /],
    ])
      assert.match((await world.run(['explain', event.id])).stdout, words);
  });

  test('tells each failed try of a finished event with its error, and which event has the turn that another waits for', async (t) => {
    const world = await World.open(t, { email: false });
    const { event, session } = world.pair('verified');
    world.onboarding.fail({ status: 503, times: 2 });
    assert.equal((await world.carry(event)).outcome, 'done');
    const [life] = (await explain(world, event.id)).events;
    const tries = life.timeline.filter(({ what }) => what === 'try_failed');
    assert.equal(tries.length, 2);
    tries.forEach((failure, i) => {
      assert.deepEqual([failure.try, failure.reason], [i + 1, 'onboarding_unavailable']);
      assert.match(failure.error, /503/);
    });
    assert.equal(life.timeline.at(-1).what, 'done');

    const release = world.stripe.hold();
    const reads = world.stripe.reads(session.id).length;
    const second = composeEvent('verified', { session: session.id });
    const third = composeEvent('verified', { session: session.id });
    await world.deliver(second);
    await world.stripe.requests.atLeast(reads + 1, (read) => read.session === session.id, 'a read of Stripe');
    await world.deliver(third);
    const waits = await until(async () => {
      const { events } = await explain(world, third.id);
      return events[0].state === 'waiting_turn' && events[0];
    }, 'the third event to wait for its turn');
    assert.equal(waits.ahead, 0);
    assert.match((await world.run(['explain', third.id])).stdout, /waits for its session's turn/);
    release();
  });

  test('tells all events of a session, the oldest first', async (t) => {
    const world = await World.open(t);
    const first = world.pair('requires_input');
    await world.carry(first.event);
    world.stripe.change(first.session.id, { status: 'verified', last_error: null });
    const second = composeEvent('verified', { session: first.session.id });
    await world.carry(second);
    await world.settle();
    const { code, events } = await explain(world, first.session.id);
    assert.equal(code, 0);
    assert.deepEqual(
      events.map(({ event }) => event),
      [first.event.id, second.id],
    );
  });

  test('says so when nothing is known, and exits 1', async (t) => {
    const world = await World.open(t, { start: false });
    for (const id of ['evt_1Unknown', 'vs_1Unknown']) {
      const { code, events, complete, stderr } = await explain(world, id);
      assert.deepEqual([code, events, complete], [1, [], true]);
      assert.match(stderr, new RegExp(`nothing is known of ${id}`));
    }
  });

  test('looks at no more than it is told to, and says where it stopped', async (t) => {
    const world = await World.open(t, { start: false });
    const add = (session) =>
      world.redis.call('XADD', key('events'), '*', 'event', 'evt_x', 'type', 'x', 'session', session);
    await add('vs_1Old');
    for (let i = 0; i < 20; i++) await add('vs_1New');
    const short = await explain(world, 'vs_1Old', '--look', '10');
    assert.deepEqual([short.code, short.complete], [1, false]);
    assert.match(short.stderr, /only back to 20\d\d-.*--look/s);
    for (const look of ['21', '30']) {
      const long = await explain(world, 'vs_1Old', '--look', look);
      assert.deepEqual([long.code, long.complete, long.events.length], [0, true, 1]);
    }
  });

  test('finds an event by its mark without looking at the whole stream', async (t) => {
    const world = await World.open(t, { start: false });
    const long = Date.now() - 86_400_000;
    await world.redis.call('SET', key('seen:evt_early'), long);
    await world.redis.call('XADD', key('events'), `${long + 3}-0`, 'event', 'evt_early', 'type', 'x', 'session', 'vs_1');
    for (let i = 0; i < 20; i++)
      await world.redis.call('XADD', key('events'), '*', 'event', `evt_${i}`, 'type', 'x', 'session', 'vs_1');
    const { code, events, complete } = await explain(world, 'evt_early', '--look', '2');
    assert.deepEqual([code, complete, steps(events[0])], [0, true, ['received', 'queued']]);
  });

  test('exits 2 when it is used wrongly', async (t) => {
    const world = await World.open(t, { start: false });
    for (const words of [[], ['evt 1'], ['evt_1', 'evt_2'], ['evt_1', '--look', '0']]) {
      const { code, stdout, stderr } = await world.run(['explain', ...words]);
      assert.deepEqual([code, stdout], [2, '']);
      assert.match(stderr, /usage: identihook explain/);
    }
  });
});
