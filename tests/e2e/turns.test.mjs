// The turns of a session: whatever happens, one event of it at a time, anywhere in the fleet; and each gets its turn.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

const ofOneSession = (world, count) => {
  const session = world.session('verified');
  return {
    session,
    events: Array.from({ length: count }, () => composeEvent('verified', { session: session.id })),
  };
};

const noTurnsAreLeft = async (world) => {
  const keys = await world.redis.call('KEYS', key('*'));
  assert.deepEqual(
    keys.filter((name) => /:(turn|waiting|retry|attempts)\b/.test(name)),
    [],
  );
};

describe('events of one session', { concurrency: 8 }, () => {
  test('are carried out one after another by a fleet, and promptly', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_CLAIM_AFTER: '1h' } });
    await world.start();
    const { session, events } = ofOneSession(world, 20);
    const release = world.stripe.hold((request) => request.session === session.id);
    await Promise.all(events.map((event, i) => world.deliver(event, { program: world.programs[i % 2] })));
    await world.stripe.requests.atLeast(1);
    const waiting = async () => world.redis.call('ZCARD', key(`waiting:${session.id}`));
    await until(async () => (await waiting()) === 19, 'the others to wait');
    await world.settle(); // other sessions' events pass them
    assert.equal(world.stripe.reads(session.id).length, 1);
    release();
    const started = Date.now();
    for (const event of events) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.ok(Date.now() - started < 10_000, `it took ${Date.now() - started} ms`);
    for (const event of events) assert.equal(world.updatesOf(event).length, 1);
    await noTurnsAreLeft(world);
  });

  test('are not held up by one that is tried again later', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' } });
    const { session, events } = ofOneSession(world, 3);
    const release = world.stripe.hold();
    world.stripe.fail({ status: 503, times: 1 });
    for (const event of events) await world.deliver(event);
    const waiting = async () => world.redis.call('ZCARD', key(`waiting:${session.id}`));
    await until(async () => (await waiting()) === 2, 'the others to wait');
    release();
    await world.outcomes.atLeast(2);
    assert.equal(await world.redis.call('ZCARD', key('retry')), 1);
  });

  test('go on after the program that had the turn was killed', async (t) => {
    const world = await World.open(t);
    const { session, events } = ofOneSession(world, 5);
    const release = world.stripe.hold();
    for (const event of events) await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    await world.program.kill();
    release();
    await world.start();
    for (const event of events) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.mailsTo(session).length, 5);
    await noTurnsAreLeft(world);
  });

  test('go on at once after the program that had the turn was told to end', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_CLAIM_AFTER: '1h' } });
    const { session, events } = ofOneSession(world, 5);
    const release = world.stripe.hold();
    for (const event of events) await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    await world.program.stop();
    release();
    await world.start();
    for (const event of events) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.updatesOf(events[0]).length, 1);
    assert.equal(world.mailsTo(session).length, 5);
    await noTurnsAreLeft(world);
  });
});

describe('an event that was finished', { concurrency: 8 }, () => {
  test('is not carried out again when the consumer group is made anew', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    await world.carry(event);
    await world.redis.call('DEL', key(`effects:${event.id}`));
    await world.redis.call('XGROUP', 'DESTROY', key('events'), 'identihook');
    await world.program.logs.first(({ message }) => /came again/.test(message), 'it to come again');
    await world.settle();
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(world.outcomesOf(event).length, 1);
  });
});
