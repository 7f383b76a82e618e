// Redis behind sentinels: the primary is asked for, and followed through failovers.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { startSentinels } from '../lib/redis_fleet.mjs';
import { RedisServer, freePort } from '../lib/redis.mjs';
import { World, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const QUICK = { IDENTIHOOK_ENQUEUE_TIMEOUT: '2s', IDENTIHOOK_REDIS_CHECK_EVERY: '100ms' };

const isPrimary = async (redis) => /role:master/.test(await redis.call('INFO', 'replication'));

/** A world whose Redis has a replica, and both have three sentinels, whose list begins with one that is dead. */
async function openWorld(t, { password, start = true } = {}) {
  const port = await freePort();
  const world = await World.open(t, { start: false, settings: QUICK, redis: { port } });
  const replica = await RedisServer.start({ port: await freePort(), replicaof: ['127.0.0.1', port] });
  t.after(() => replica.close());
  await until(async () => /state=online/.test(await world.redis.call('INFO', 'replication')), 'the replica to follow');
  const sentinels = await startSentinels(t, port, { password });
  const hosts = [await freePort(), ...sentinels.map((sentinel) => sentinel.port)].map((each) => `127.0.0.1:${each}`);
  world.settings.REDIS_URL = `redis+sentinel://${hosts}/main?db=0${password ? `&sentinel_password=${password}` : ''}`;
  if (start) await world.start();
  return { world, replica, sentinels };
}

describe('Redis behind sentinels', { concurrency: 2 }, () => {
  test('is found, its death is survived with the replica that they promote, and nothing confirmed is lost', async (t) => {
    const { world, replica } = await openWorld(t, { password: 'secret-of-sentinels' });
    await world.serves();
    const release = world.stripe.hold();
    const held = Array.from({ length: 5 }, () => world.pair('verified'));
    for (const { event } of held) assert.equal((await world.deliver(event)).status, 200);
    await until(
      async () => (await replica.call('XLEN', key('events'))) === (await world.redis.call('XLEN', key('events'))),
      'the replica to have them',
    );
    await world.redis.kill();
    world.outcomes = replica.follow(key('outcomes'));
    release();
    await until(() => isPrimary(replica), 'the replica to be promoted');
    await world.recovery();
    await world.serves();
    for (const { event } of held) assert.equal((await world.outcome(event)).outcome, 'done');
    assert.doesNotMatch(world.program.child.stderr, /secret-of-sentinels/);
    await world.redis.start();
  });

  test('is followed when they hand over to the replica while all are well', async (t) => {
    const { world, replica, sentinels } = await openWorld(t);
    await world.serves();
    await sentinels[0].call('SENTINEL', 'FAILOVER', 'main');
    await until(() => isPrimary(replica), 'the replica to be promoted');
    await until(async () => !(await isPrimary(world.redis)), 'the primary to step back');
    world.outcomes = replica.follow(key('outcomes'));
    const event = await world.serves();
    assert.equal(await replica.call('EXISTS', key(`seen:${event.id}`)), 1);
  });

  test('under another name, or with a wrong password, is not found, and why is told', async (t) => {
    const { world } = await openWorld(t, { password: 'right', start: false });
    const url = world.settings.REDIS_URL;
    for (const [wrong, why] of [
      [url.replace('/main?', '/nobody?'), /knows no primary of that name/],
      [url.replace('password=right', 'password=wrong'), /WRONGPASS/],
      [url.replace('&sentinel_password=right', ''), /NOAUTH/],
    ]) {
      const program = await world.start({ ready: false, settings: { REDIS_URL: wrong } });
      await program.logs.first((log) => why.test(log.why ?? ''), `a reason like ${why}`);
      assert.equal((await program.readiness()).redis.trouble, 'away');
      await program.stop();
    }
  });
});
