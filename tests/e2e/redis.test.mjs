// What happens when Redis is away, frozen, started again, or loses what it had.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { World, composeEvent, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

function assertUnavailable(answer) {
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.error.code, 'queue_unavailable');
  assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
}

describe('while Redis is stopped', { concurrency: 8 }, () => {
  test('events are answered 503 with Retry-After, and are taken when it is back', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    await world.redis.stop();
    await until(async () => !(await world.program.readiness()).ready, 'readiness to go');
    for (let i = 0; i < 3; i++) assertUnavailable(await world.deliver(event));
    await world.redis.start();
    await world.deliverUntilTaken(event);
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('the program is alive, but not ready, and says why', async (t) => {
    const world = await World.open(t);
    assert.equal((await world.program.readiness()).ready, true);
    await world.redis.stop();
    const answer = await until(async () => {
      const look = await world.program.look('/readyz');
      return look.status === 503 && look;
    }, 'readiness to go');
    assert.equal(answer.json.components.redis, 'unavailable');
    assert.equal((await world.program.look('/healthz')).status, 200);
    await world.redis.start();
    await world.recovery();
  });

  test('wrong signatures and other nonsense are still answered 400', async (t) => {
    const world = await World.open(t);
    await world.redis.stop();
    const answer = await world.deliver(composeEvent('verified'), { secret: 'whsec_another' });
    assert.equal(answer.json.error.code, 'signature_mismatch');
  });

  test('the program starts, and works as soon as Redis is there', async (t) => {
    const world = await World.open(t, { start: false });
    await world.redis.stop();
    await world.start({ ready: false });
    const { event } = world.pair('verified');
    assertUnavailable(await world.deliver(event));
    await world.redis.start();
    await world.deliverUntilTaken(event);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('the program still ends in order', async (t) => {
    const world = await World.open(t);
    await world.redis.stop();
    assert.deepEqual(await world.program.stop(), { code: 0, signal: null });
    await world.redis.start();
  });
});

describe('while Redis is frozen', { concurrency: 8 }, () => {
  test('events are answered 503 after IDENTIHOOK_ENQUEUE_TIMEOUT, and each effect still happens once', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_ENQUEUE_TIMEOUT: '400ms' } });
    const { session, event } = world.pair('verified');
    world.redis.freeze();
    const started = Date.now();
    assertUnavailable(await world.deliver(event));
    assert.ok(Date.now() - started >= 350);
    world.redis.thaw();
    await world.deliverUntilTaken(event); // it may have been stored, or not: nobody knows
    assert.equal((await world.outcome(event)).outcome, 'done');
    await world.settle();
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(world.outcomesOf(event).length, 1);
  });
});

describe('when Redis is started again', { concurrency: 8 }, () => {
  for (const [how, end] of [
    ['in order', (redis) => redis.stop()],
    ['after SIGKILL', (redis) => redis.kill()],
  ]) {
    test(`${how}, in the middle, events that were answered 200 reach their outcome, each effect once`, async (t) => {
      const world = await World.open(t);
      const all = Array.from({ length: 30 }, () => world.pair('verified'));
      const release = world.stripe.hold();
      for (const { event } of all) assert.equal((await world.deliver(event)).status, 200);
      await world.stripe.requests.atLeast(1);
      await end(world.redis);
      release();
      await world.redis.start();
      await Promise.all(all.map(({ event }) => world.outcome(event)));
      for (const { session, event } of all) {
        assert.equal(world.outcomesOf(event).length, 1);
        assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
      }
    });
  }

  test('again and again while events come in, none that was answered 200 is lost', async (t) => {
    const world = await World.open(t);
    const all = Array.from({ length: 60 }, () => world.pair('verified'));
    let sending = true;
    const restarting = (async () => {
      for (let i = 0; i < 4 && sending; i++) {
        await world.outcomes.atLeast(Math.min(10 * i + 1, 60)).catch(() => {});
        await world.redis.kill();
        await world.redis.start();
      }
    })();
    for (let i = 0; i < all.length; i += 5) {
      await Promise.all(all.slice(i, i + 5).map(({ event }) => world.deliverUntilTaken(event)));
    }
    sending = false;
    await restarting;
    await Promise.all(all.map(({ event }) => world.outcome(event)));
    for (const { session, event } of all) {
      // An effect may have ended just when Redis was killed, so that it could not be written down; the key is for that.
      assert.ok(world.mailsTo(session).length >= 1);
      assert.deepEqual(
        new Set(world.updatesOf(event).map(({ headers }) => headers['idempotency-key'])),
        new Set([event.id]),
      );
    }
  });
});

describe('when Redis loses', { concurrency: 8 }, () => {
  test('everything, new events are carried on', async (t) => {
    const world = await World.open(t);
    await world.settle();
    await world.redis.call('FLUSHALL');
    world.outcomes = world.redis.follow(key('outcomes'));
    const { event } = world.pair('verified');
    await world.deliverUntilTaken(event);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('the consumer group, what was not finished is done, and what was done is not repeated', async (t) => {
    const world = await World.open(t);
    const [done, held, late] = [world.pair('verified'), world.pair('verified'), world.pair('verified')];
    await world.carry(done.event);
    const release = world.stripe.hold(({ session }) => session === held.session.id);
    await world.deliver(held.event);
    await world.stripe.requests.first(({ session }) => session === held.session.id, 'the read of the one that is held');
    await world.redis.call('XGROUP', 'DESTROY', key('events'), 'identihook');
    release();
    await world.deliver(late.event);
    for (const { event } of [held, late]) assert.equal((await world.outcome(event)).outcome, 'done');
    await world.settle();
    for (const { session, event } of [done, held, late]) {
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    }
  });

  test('its scripts, nobody notices', async (t) => {
    const world = await World.open(t);
    await world.settle();
    await world.redis.call('SCRIPT', 'FLUSH');
    await world.settle();
    assert.equal(world.program.logs.items.filter(({ level }) => level === 'error').length, 0);
  });

  test('an entry that somebody deleted, the others go on', async (t) => {
    const world = await World.open(t);
    const lost = world.pair('verified');
    world.stripe.fail({ status: 503, times: 1 });
    const release = world.stripe.hold();
    await world.deliver(lost.event);
    await world.stripe.requests.atLeast(1);
    const [entry] = await world.redis.entries(key('events'));
    await world.redis.call('XDEL', key('events'), entry.id);
    release();
    await world.settle();
    await until(
      async () => (await world.redis.call('XPENDING', key('events'), 'identihook'))[0] === 0,
      'nothing to be pending',
    );
    await until(async () => (await world.redis.call('ZCARD', key('retry'))) === 0, 'nothing to be scheduled');
  });
});
