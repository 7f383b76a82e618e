// Several Redis servers that look after each other: sentinels with their primary, and a cluster.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child } from './child.mjs';
import { RedisClient, RedisServer, freePort, pairs, redisProgram } from './redis.mjs';
import { until } from './wait.mjs';

// ---- sentinels

/** One sentinel, which watches `primary` (a port of 127.0.0.1) under the name "main". */
export class Sentinel {
  static async start(primary, { quorum = 2, password, primaryLogin } = {}) {
    const sentinel = new Sentinel();
    sentinel.folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    sentinel.port = await freePort();
    const path = join(sentinel.folder, 'sentinel.conf'); // it writes into this file itself
    const lines = [
      `port ${sentinel.port}`,
      'bind 127.0.0.1',
      `dir ${sentinel.folder}`,
      `sentinel monitor main 127.0.0.1 ${primary} ${quorum}`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 3000',
      ...(password ? [`requirepass ${password}`, `sentinel sentinel-pass ${password}`] : []),
      ...(primaryLogin ?? []),
    ];
    await writeFile(path, `${lines.join('\n')}\n`);
    sentinel.child = new Child(redisProgram, [path, '--sentinel']);
    sentinel.password = password;
    await until(() => sentinel.call('PING').catch(() => null), 'a sentinel to answer');
    return sentinel;
  }

  async call(...words) {
    const client = await RedisClient.connect({ host: '127.0.0.1', port: this.port });
    try {
      if (this.password) await client.call('AUTH', this.password);
      return await client.call(...words);
    } finally {
      client.close();
    }
  }

  async close() {
    await this.child.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Three sentinels that know each other and the replica of `primary`. */
export async function startSentinels(t, primary, options = {}) {
  const sentinels = await Promise.all([0, 1, 2].map(() => Sentinel.start(primary, options)));
  t.after(() => Promise.all(sentinels.map((sentinel) => sentinel.close())));
  for (const sentinel of sentinels) {
    await until(async () => {
      const state = pairs(await sentinel.call('SENTINEL', 'MASTER', 'main'));
      return state['num-other-sentinels'] === '2' && Number(state['num-slaves']) > 0;
    }, 'the sentinels to know each other');
  }
  return sentinels;
}

// ---- clusters

const SLOTS = 16384;

/** Settings of a node; `port` is taken by its clients, its bus gets another. */
export async function clusterSettings() {
  return {
    port: await freePort(),
    'cluster-enabled': 'yes',
    'cluster-port': await freePort(),
    'cluster-node-timeout': 1000,
    'cluster-replica-validity-factor': 0,
    'cluster-require-full-coverage': 'no',
  };
}

const nodeId = (node) => node.call('CLUSTER', 'MYID');

const meet = (node, other) =>
  node.call('CLUSTER', 'MEET', '127.0.0.1', other.settings.port, other.settings['cluster-port']);

/**
 * Makes a cluster in which `owner` (a RedisServer with clusterSettings()) serves the slot of `key`, two others serve the
 * rest, and `replica` follows the owner: { slot, owner, others, replica }.
 */
export async function makeCluster(t, owner, key) {
  const starts = [0, 1, 2].map(async () => RedisServer.start(await clusterSettings()));
  t.after(async () => {
    for (const { value: node } of await Promise.allSettled(starts)) await node?.close(); // also when one did not start
  });
  const [first, second, replica] = await Promise.all(starts);
  const slot = await owner.call('CLUSTER', 'KEYSLOT', key);
  const [from, to] = [Math.max(0, slot - 2000), Math.min(SLOTS - 1, slot + 2000)];
  await owner.call('CLUSTER', 'ADDSLOTSRANGE', from, to);
  if (from > 0) await first.call('CLUSTER', 'ADDSLOTSRANGE', 0, from - 1);
  if (to < SLOTS - 1) await second.call('CLUSTER', 'ADDSLOTSRANGE', to + 1, SLOTS - 1);
  const nodes = [owner, first, second, replica];
  for (const [i, node] of nodes.entries()) await node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1);
  for (const node of nodes.slice(1)) await meet(owner, node);
  for (const node of nodes) await settled(node, nodes.length);
  await replica.call('CLUSTER', 'REPLICATE', await nodeId(owner));
  // A link that is up does not yet carry writes: that begins with the replica's first sign of life, up to a second later.
  await until(async () => /master_link_status:up/.test(await replica.call('INFO', 'replication')), 'the replica to follow');
  await owner.call('SET', `${key}:written`, '1');
  await owner.call('DEL', `${key}:written`);
  await until(async () => (await owner.call('WAIT', 1, 1000)) === 1, 'the replica to confirm what is written');
  for (const node of nodes) {
    await until(async () => /slave/.test(await node.call('CLUSTER', 'NODES')), 'all to know of the replica');
  }
  return { slot, owner, others: [first, second], replica, nodeId };
}

/** One command to a node that imports its slot. */
export async function asking(node, ...words) {
  const [, reply] = await Promise.all([node.call('ASKING'), node.call(...words)]); // in this order, on one connection
  return reply;
}

/**
 * Begins to move the slot of a cluster of makeCluster() to `target`, one of the others, as redis-cli does: then its keys
 * move, those that are named or all that are there, until it ends.
 */
export async function beginMove({ slot, owner, others }, target) {
  await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', await nodeId(owner));
  await owner.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', await nodeId(target));
  const keys = () => owner.call('CLUSTER', 'GETKEYSINSLOT', slot, 10_000);
  const move = (...names) => owner.call('MIGRATE', '127.0.0.1', target.settings.port, '', 0, 5000, 'KEYS', ...names);
  return {
    keys,
    move,
    async all() {
      for (let rest; (rest = await keys()).length > 0;) await move(...rest);
    },
    async end() {
      for (const node of [target, owner, ...others.filter((other) => other !== target)]) {
        await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', await nodeId(target));
      }
    },
  };
}

async function settled(node, count) {
  await until(async () => {
    const info = await node.call('CLUSTER', 'INFO');
    return info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${count}`);
  }, 'the cluster to settle');
}
