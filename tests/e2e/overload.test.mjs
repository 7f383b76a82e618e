// More than Redis takes: every request is answered in time, at once beyond the bounds, and nothing is lost or doubled.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';

import { WATCHED, watchMemory } from '../lib/process.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';
import { before, until } from '../lib/wait.mjs';

/** A world whose program only receives, with one loop: each bound is that of one loop. */
const openWorld = (t, settings) =>
  World.open(t, { settings: { ...WATCHED, IDENTIHOOK_LOOPS: '1', ...settings }, words: ['--role', 'ingest'] });

const compose = (count, size = 0) =>
  Array.from({ length: count }, () => composeEvent('verified', { object: { metadata: { filler: 'x'.repeat(size) } } }));

const waitingForRedis = (world) => world.program.metric('waiting_for_redis');
const queued = (world) => world.redis.call('XLEN', key('events'));

function assertUnavailable({ status, headers, text, json }, code) {
  assert.equal(status, 503, text);
  assert.equal(json.error.code, code);
  assert.match(headers['retry-after'], /^[1-9]\d*$/);
}

/** Delivers it; gives the answer, with the time it took in `ms`. */
async function deliverTimed(world, event, options) {
  const started = performance.now();
  const answer = await before(world.deliver(event, options), 'an answer');
  return { ...answer, ms: performance.now() - started };
}

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

describe('while Redis hangs', { concurrency: 2 }, () => {
  test('each of 500 requests is answered 503 within IDENTIHOOK_ENQUEUE_TIMEOUT, and 200 when it goes on', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_ENQUEUE_TIMEOUT: '3s' });
    const events = compose(500);
    world.redis.freeze();
    const deliveries = events.map((event) => deliverTimed(world, event));
    await until(async () => (await waitingForRedis(world)) === 500, 'all to wait for Redis');
    const answers = await Promise.all(deliveries);
    for (const answer of answers) {
      assertUnavailable(answer, 'queue_unavailable');
      assert.ok(answer.ms < 5000, `answered after ${answer.ms} ms`);
    }
    assert.equal(await waitingForRedis(world), 0);
    world.redis.thaw();
    const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    t.after(() => agent.destroy());
    await Promise.all(events.map((event) => world.deliverUntilTaken(event, { agent })));
    assert.equal(await queued(world), 500);
  });

  test('an event that Redis took after its 503 is a duplicate when it comes again, and is queued once', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_ENQUEUE_TIMEOUT: '300ms' });
    const [event] = compose(1);
    world.redis.freeze();
    assertUnavailable(await deliverTimed(world, event), 'queue_unavailable');
    world.redis.thaw();
    await until(async () => (await queued(world)) === 1, 'Redis to take it');
    const { json } = await world.deliverUntilTaken(event);
    assert.deepEqual(json, { received: true, duplicate: true });
    assert.equal(await queued(world), 1);
  });

  const KILOBYTE = 1024;
  for (const [bound, settings, size, most] of [
    ['IDENTIHOOK_MAX_IN_FLIGHT', { IDENTIHOOK_MAX_IN_FLIGHT: '50' }, 0, 50],
    ['IDENTIHOOK_MAX_IN_FLIGHT_BYTES', { IDENTIHOOK_MAX_IN_FLIGHT_BYTES: '1M' }, 100 * KILOBYTE, 11],
  ]) {
    test(`beyond ${bound} 503 comes at once, memory stays bounded, and what waits is stored when it goes on`, async (t) => {
      const world = await openWorld(t, { IDENTIHOOK_ENQUEUE_TIMEOUT: '60s', ...settings });
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      t.after(() => agent.destroy());
      const outgrown = watchMemory(world.program);
      world.redis.freeze();
      const waiting = compose(most, size).map((event) => world.deliver(event));
      await until(async () => (await waitingForRedis(world)) === most, 'as many to wait as may');
      const times = [];
      for (const event of compose(400, size)) {
        const { ms, ...answer } = await deliverTimed(world, event, { agent });
        assertUnavailable(answer, 'overloaded');
        times.push(ms);
      }
      assert.ok(median(times) < 20, `half of them took more than ${median(times)} ms`);
      assert.equal(await waitingForRedis(world), most);
      assert.ok(outgrown() < 16, `${outgrown()} MiB more memory`);
      world.redis.thaw();
      for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200, answer.text);
      assert.equal(await queued(world), most);
    });
  }
});
