// Redis Cluster: all keys are in one slot, whose node is found and followed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { clusterSettings, makeCluster } from '../lib/redis_fleet.mjs';
import { World, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const QUICK = { IDENTIHOOK_ENQUEUE_TIMEOUT: '2s', IDENTIHOOK_REDIS_CHECK_EVERY: '100ms' };

/** A world whose Redis is the node of a cluster that serves our slot. It is not started yet. */
async function openWorld(t) {
  const world = await World.open(t, { start: false, settings: QUICK, redis: await clusterSettings() });
  const cluster = await makeCluster(t, world.redis, key('events'));
  const url = (...nodes) => `redis+cluster://${nodes.map(({ settings }) => `127.0.0.1:${settings.port}`)}`;
  return { world, cluster, url };
}

const offset = async (node) => Number(/master_repl_offset:(\d+)/.exec(await node.call('INFO', 'replication'))[1]);
const seenIn = (node, event) => node.call('EXISTS', key(`seen:${event.id}`));

describe('a Redis cluster', { concurrency: 2 }, () => {
  test('is entered by any node, also by its replica or a plain redis:// URL, and the first event is taken', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    for (const REDIS_URL of [
      url(...cluster.others),
      url(cluster.replica),
      url(cluster.others[1]).replace('redis+cluster:', 'redis:'),
    ]) {
      await world.start({ settings: { REDIS_URL } });
      assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
      assert.equal((await world.run(['status', '--json'], { REDIS_URL })).code, 0);
      assert.equal(world.program.logs.items.filter(({ level }) => level === 'error').length, 0);
      await world.program.stop();
    }
  });

  test('in which our node dies is served by the replica that takes its place', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    await world.start({ settings: { REDIS_URL: url(cluster.owner) } }); // the others are learnt
    await world.serves();
    const release = world.stripe.hold();
    const held = Array.from({ length: 5 }, () => world.pair('verified'));
    for (const { event } of held) assert.equal((await world.deliver(event)).status, 200);
    await until(async () => (await offset(cluster.owner)) === (await offset(cluster.replica)), 'the replica to have them');
    await world.redis.kill();
    world.outcomes = cluster.replica.follow(key('outcomes'));
    release();
    await until(async () => /role:master/.test(await cluster.replica.call('INFO', 'replication')), 'the promotion');
    await world.recovery();
    await world.serves();
    for (const { event } of held) assert.equal((await world.outcome(event)).outcome, 'done');
    await world.redis.start();
  });

  test('in which the replica takes over in order is followed, by the reader, too', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    await world.start({ settings: { REDIS_URL: url(...cluster.others) } });
    await world.serves();
    await cluster.replica.call('CLUSTER', 'FAILOVER');
    await until(async () => /role:master/.test(await cluster.replica.call('INFO', 'replication')), 'the promotion');
    world.outcomes = cluster.replica.follow(key('outcomes'));
    const event = await world.serves();
    assert.equal(await seenIn(cluster.replica, event).catch(({ message }) => message), 1);
  });

  test('in which our slot moves to another node is waited for and followed, and nothing is lost', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    const { slot, owner, others, nodeId } = cluster;
    const [target] = others;
    await world.start({ settings: { REDIS_URL: url(...others) } });
    await world.serves();
    const held = world.pair('verified');
    const release = world.stripe.hold(({ session }) => session === held.session.id);
    assert.equal((await world.deliver(held.event)).status, 200);
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await nodeId(owner));
    await owner.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await nodeId(target));
    const move = async () => {
      const keys = await owner.call('CLUSTER', 'GETKEYSINSLOT', slot, 1000);
      if (keys.length === 0) return false;
      await owner.call('MIGRATE', '127.0.0.1', target.settings.port, '', 0, 5000, 'KEYS', ...keys);
      return true;
    };
    await move();
    const answer = await world.deliver(world.pair('verified').event);
    assert.equal(answer.status, 503, 'the stream is there, a new mark would be here');
    await until(async () => (await world.program.readiness()).redis?.trouble === 'slot_migrates', 'the trouble to be told');
    while (await move());
    for (const node of [target, owner, others[1]]) {
      await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', await nodeId(target));
    }
    world.outcomes = target.follow(key('outcomes'));
    await world.recovery();
    release();
    const event = await world.serves();
    assert.equal(await seenIn(target, event), 1);
    assert.equal((await world.outcome(held.event)).outcome, 'done');
    assert.equal(world.mailsTo(held.session).length, 1);
  });
});
