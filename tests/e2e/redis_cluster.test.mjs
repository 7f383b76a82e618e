// Redis Cluster: all keys are in one slot, whose node is found and followed.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { asking, beginMove, clusterSettings, makeCluster } from '../lib/redis_fleet.mjs';
import { World, key } from '../lib/world.mjs';
import { pause, until } from '../lib/wait.mjs';

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

/** Events sent without a pause, each until it is taken, and how they were answered: { stage: { status: count } }. */
class Load {
  answers = {};
  taken = [];
  #world;
  #stage;
  #ended = false;

  constructor(world) {
    this.#world = world;
  }

  /** Answers belong to this stage from now on; some have come. */
  async goOn(stage) {
    this.#stage = this.answers[stage] = {};
    this.senders ??= Array.from({ length: 4 }, () => this.#send());
    const count = () => Object.values(this.answers[stage]).reduce((sum, one) => sum + one, 0);
    await until(() => count() >= 40, `answers, ${stage}`);
  }

  async stop() {
    this.#ended = true;
    await Promise.all(this.senders);
  }

  async #send() {
    while (!this.#ended) {
      const pair = this.#world.pair('verified');
      while (!(await this.#isTaken(pair.event))) await pause(20);
      this.taken.push(pair);
    }
  }

  async #isTaken(event) {
    const { status } = await this.#world.deliver(event);
    this.#stage[status] = (this.#stage[status] ?? 0) + 1;
    return status === 200;
  }
}

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
    const [target] = cluster.others;
    await world.start({ settings: { REDIS_URL: url(...cluster.others) } });
    await world.serves();
    const held = world.pair('verified');
    const release = world.stripe.hold(({ session }) => session === held.session.id);
    assert.equal((await world.deliver(held.event)).status, 200);
    const move = await beginMove(cluster, target);
    await move.all();
    const answer = await world.deliver(world.pair('verified').event);
    assert.equal(answer.status, 503, 'the stream is there, a new mark is nowhere');
    await until(async () => (await world.program.readiness()).redis?.trouble === 'slot_migrates', 'the trouble to be told');
    await move.all();
    await move.end();
    world.outcomes = target.follow(key('outcomes'));
    await world.recovery();
    release();
    const event = await world.serves();
    assert.equal(await seenIn(target, event), 1);
    assert.equal((await world.outcome(held.event)).outcome, 'done');
    assert.equal(world.mailsTo(held.session).length, 1);
    assert.equal(await world.program.metric('group_losses_total'), 0, 'the group has gone along, and is not lost');
  });

  test('in which our slot moves key by key under load has every event once, at the new node alone', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    const [target, third] = cluster.others;
    await world.start({ settings: { REDIS_URL: url(third) } });
    const load = new Load(world);
    await load.goOn('before');
    const move = await beginMove(cluster, target);
    await load.goOn('begun, and nothing moved');
    for (const one of await move.keys()) {
      if (one === key('events')) continue;
      await move.move(one);
      await pause(1); // so that it lasts
    }
    await load.goOn('all but the stream moved');
    await move.move(key('events'));
    await load.goOn('the stream moved, too');
    await move.all();
    await load.goOn('all moved');
    await move.end();
    await world.recovery();
    await load.goOn('ended');
    await load.stop();
    t.diagnostic(JSON.stringify(load.answers));
    world.outcomes = target.follow(key('outcomes'));
    for (const { event } of load.taken) await world.outcome(event);
    const inStream = (await target.entries(key('events'))).map(({ event }) => event);
    const count = (list, event) => list.filter((one) => one === event.id).length;
    for (const { session, event } of load.taken) {
      assert.deepEqual([count(inStream, event), world.outcomesOf(event).length], [1, 1], event.id);
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1], event.id);
    }
    assert.equal(inStream.length, load.taken.length, 'what was not answered 200 is not there');
    for (const node of [cluster.owner, third]) assert.equal(await node.call('CLUSTER', 'COUNTKEYSINSLOT', cluster.slot), 0);
    const errors = world.program.logs.items.filter(({ level }) => level === 'error').map(({ message }) => message);
    assert.deepEqual([...new Set(errors)], ['redis refuses to serve us']);
  });

  test('in which our slot moves answers from the new node, behind ASKING, for what has gone ahead', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    const [target] = cluster.others;
    const settings = { REDIS_URL: url(...cluster.others) };
    const { event } = world.pair('verified');
    await cluster.owner.call('XADD', key('dead'), '*', 'event', event.id, 'type', event.type, 'reason', 'a test');
    await cluster.owner.call('XADD', key('events'), '*', 'event', event.id);
    const { event: seen } = world.pair('verified');
    await cluster.owner.call('SET', key(`seen:${seen.id}`), '1');
    const move = await beginMove(cluster, target);
    await move.all();

    const list = await world.run(['dead', 'list', '--json'], settings);
    assert.equal(list.code, 0, list.stderr);
    assert.match(list.stdout, new RegExp(event.id));

    await world.start({ settings, ready: false });
    const isKnown = async () => (await world.deliver(seen)).json.duplicate;
    await until(isKnown, 'an event to be known whose mark and stream are at the new node, both');
    const groups = () => asking(target, 'XINFO', 'GROUPS', key('events'));
    await until(async () => (await groups()).length === 1, 'the group to be made at the stream');
    const clients = async (node) => (await node.call('CLIENT', 'LIST')).match(/name=identihook\S*/g) ?? [];
    assert.deepEqual((await clients(cluster.owner)).filter((name) => name.endsWith('-asked')), []);
    assert.deepEqual((await clients(target)).filter((name) => !name.endsWith('-asked')), []);
    await move.end();
    world.outcomes = target.follow(key('outcomes'));
    await world.serves();
  });

  test('in which our slot moves confirms nothing by replicas of the node that the event has left', async (t) => {
    const { world, cluster, url } = await openWorld(t);
    // The replica may stand still for a while, as when the disk is busy: it syncs each write before it confirms it.
    const durable = { IDENTIHOOK_DURABILITY: 'replica', IDENTIHOOK_ENQUEUE_TIMEOUT: '10s' };
    await world.start({ settings: { ...durable, REDIS_URL: url(cluster.owner) } });
    const { event } = world.pair('verified');
    await world.carry(event);
    assert.equal((await world.deliver(event)).status, 200);
    const move = await beginMove(cluster, cluster.others[0]); // has no replica
    await move.move(...(await move.keys()).filter((one) => one !== key('probe'))); // what is written before a WAIT
    assert.equal((await world.deliver(event)).status, 503);
  });
});
