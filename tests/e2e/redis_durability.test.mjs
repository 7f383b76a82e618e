// How safe a confirmed event is: said, required, and waited for.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { RedisServer } from '../lib/redis.mjs';
import { World, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const QUICK = { IDENTIHOOK_ENQUEUE_TIMEOUT: '900ms', IDENTIHOOK_REDIS_CHECK_EVERY: '100ms' };

const told = (world, text) => world.program.logs.items.filter(({ why }) => why?.includes(text)).length;

async function assertUnavailable(world, event) {
  const answer = await world.deliver(event);
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.error.code, 'queue_unavailable');
}

describe('what Redis says of its durability', { concurrency: 4 }, () => {
  for (const [what, redis, durability, why] of [
    ['one that syncs each write is sound', {}, 'sound', 'on its disk before'],
    ['one that syncs each second is sound, and what it can lose is said', { appendfsync: 'everysec' }, 'sound', 'two seconds'],
    ['one that never syncs is weak', { appendfsync: 'no' }, 'weak', 'appendfsync always'],
    ['one without a file is weak', { appendonly: 'no' }, 'weak', 'CONFIG SET appendonly yes'],
    ['one that evicts is weak', { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, 'weak', 'allkeys-lru'],
    ['a policy without a limit evicts nothing', { 'maxmemory-policy': 'allkeys-lru' }, 'sound', 'on its disk'],
    ['one that forbids CONFIG is sound all the same', { user: ['default', 'on', 'nopass', '~*', '&*', '+@all', '-config'] }, 'sound', 'not known'],
    ['one that forbids INFO is unknown, not weak', { user: ['default', 'on', 'nopass', '~*', '&*', '+@all', '-info'] }, 'unknown', 'does not say'],
  ]) {
    test(what, async (t) => {
      const world = await World.open(t, { redis });
      assert.equal((await world.program.readiness()).durability, durability);
      for (const each of ['unknown', 'weak', 'sound']) {
        const value = await world.program.metric(`redis_durability{durability="${each}"}`);
        assert.equal(value, each === durability ? 1 : 0);
      }
      assert.equal(told(world, why), 1, 'said once, whatever the number of loops');
    });
  }

  test('it is looked at again when the connection comes back', async (t) => {
    const world = await World.open(t, { settings: QUICK });
    await world.redis.stop();
    await world.redis.start({ settings: { appendonly: 'no' } });
    await until(async () => (await world.program.readiness()).durability === 'weak', 'the weakness to be told');
    await until(async () => (await world.program.readiness()).ready, 'readiness, all the same');
  });
});

describe('with IDENTIHOOK_REQUIRE_DURABLE=1', { concurrency: 4 }, () => {
  const settings = { ...QUICK, IDENTIHOOK_REQUIRE_DURABLE: '1' };

  for (const [what, redis, why] of [
    ['a weak Redis', { appendonly: 'no' }, /CONFIG SET appendonly yes/],
    ['one of which nothing is known', { user: ['default', 'on', 'nopass', '~*', '&*', '+@all', '-info'] }, /allow its user INFO/],
  ]) {
    test(`${what} stops the start with exit status 2 and the way out`, async (t) => {
      const world = await World.open(t, { settings, redis, start: false });
      const { code, stderr } = await world.run(['serve']);
      assert.equal(code, 2);
      assert.match(stderr, why);
    });
  }

  test('a sound Redis is used', async (t) => {
    const world = await World.open(t, { settings });
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
  });

  test('a Redis that comes later, or comes back, is not used until it is sound', async (t) => {
    const world = await World.open(t, { settings, start: false });
    await world.redis.stop();
    await world.start({ ready: false });
    const { event } = world.pair('verified');
    for (let i = 0; i < 2; i++) {
      await world.redis.start({ settings: { appendonly: 'no' } });
      await until(async () => (await world.program.readiness()).redis?.trouble === 'not_durable', 'the trouble to be told');
      await assertUnavailable(world, event);
      await world.redis.call('CONFIG', 'SET', 'appendonly', 'yes');
      await world.deliverUntilTaken(event);
      assert.equal((await world.outcome(event)).outcome, 'done');
      await world.redis.kill();
      await until(async () => !(await world.program.readiness()).ready, 'readiness to go');
    }
    await world.redis.start();
  });
});

/** A world whose Redis has a replica. */
async function openWithReplica(t, settings) {
  const world = await World.open(t, { settings: { ...QUICK, ...settings }, start: false, redis: { port: 0 } });
  const replica = await RedisServer.start({ replicaof: await world.redis.listen() });
  t.after(() => replica.close());
  await until(async () => /state=online/.test(await world.redis.call('INFO', 'replication')), 'the replica to follow');
  await world.start();
  return { world, replica };
}

describe('with IDENTIHOOK_DURABILITY=replica', { concurrency: 4 }, () => {
  const settings = { IDENTIHOOK_DURABILITY: 'replica' };

  test('an event is answered 200 when the replica has it', async (t) => {
    const patient = { ...settings, IDENTIHOOK_ENQUEUE_TIMEOUT: '10s' }; // a replica begins with a rewrite of its file
    const { world, replica } = await openWithReplica(t, patient);
    const all = Array.from({ length: 20 }, () => world.pair('verified'));
    const answers = await Promise.all(all.map(({ event }) => world.deliver(event)));
    for (const [i, { status }] of answers.entries()) {
      assert.equal(status, 200);
      assert.equal(await replica.call('EXISTS', key(`seen:${all[i].event.id}`)), 1);
    }
    await Promise.all(all.map(({ event }) => world.outcome(event)));
  });

  test('while the replica does not follow the answer is 503, for a duplicate, too, and 200 once it has it', async (t) => {
    const { world, replica } = await openWithReplica(t, settings);
    replica.freeze();
    const { session, event } = world.pair('verified');
    await assertUnavailable(world, event);
    assert.equal(await world.redis.call('EXISTS', key(`seen:${event.id}`)), 1, 'it is stored, but not safe');
    await assertUnavailable(world, event);
    await world.program.logs.first(({ message }) => message?.startsWith('too few replicas'), 'the shortage to be told');
    replica.thaw();
    const answer = await world.deliverUntilTaken(event);
    assert.deepEqual(answer.json, { received: true, duplicate: true });
    assert.equal(await replica.call('EXISTS', key(`seen:${event.id}`)), 1);
    assert.equal((await world.outcome(event)).outcome, 'done');
    await world.settle();
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('more replicas than there are is 503', async (t) => {
    const { world } = await openWithReplica(t, { ...settings, IDENTIHOOK_DURABILITY_REPLICAS: '2' });
    await assertUnavailable(world, world.pair('verified').event);
  });

  test('Redis stopped in the middle of waiting is 503', async (t) => {
    const { world, replica } = await openWithReplica(t, settings);
    replica.freeze();
    const { event } = world.pair('verified');
    const answer = world.deliver(event);
    await until(async () => (await world.redis.call('EXISTS', key(`seen:${event.id}`))) === 1, 'it to be stored');
    await world.redis.kill();
    assert.equal((await answer).status, 503);
    replica.thaw();
    await world.redis.start();
  });
});

describe('with IDENTIHOOK_DURABILITY=aof', { concurrency: 4 }, () => {
  const settings = { IDENTIHOOK_DURABILITY: 'aof' };

  test('a Redis without WAITAOF stops the start, with the way out; one that has it is waited for', async (t) => {
    const world = await World.open(t, { settings: { ...QUICK, ...settings }, start: false });
    const version = /redis_version:(\d+)\.(\d+)/.exec(await world.redis.call('INFO', 'server'));
    if (Number(version[1]) * 100 + Number(version[2]) < 702) {
      const { code, stderr } = await world.run(['serve']);
      assert.equal(code, 2);
      assert.match(stderr, /is too old: IDENTIHOOK_DURABILITY=aof needs WAITAOF/);
      return;
    }
    await world.start();
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    await world.redis.call('CONFIG', 'SET', 'appendonly', 'no');
    await assertUnavailable(world, world.pair('verified').event);
  });
});
