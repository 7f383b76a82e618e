// Every way in which Redis can stop serving, and that both roles come back by themselves: told truthfully meanwhile, without
// a busy loop, and with each effect once.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { helper } from '../lib/identihook.mjs';
import { Proxy } from '../lib/proxy.mjs';
import { processorTimeOf } from '../lib/process.mjs';
import { RedisServer } from '../lib/redis.mjs';
import { World, key } from '../lib/world.mjs';
import { pause, until } from '../lib/wait.mjs';

const QUICK = { IDENTIHOOK_ENQUEUE_TIMEOUT: '500ms', IDENTIHOOK_REDIS_CHECK_EVERY: '100ms' };

/** Waits until readiness names one of these troubles, with what to do about it. */
const trouble = (world, ...names) =>
  until(
    async () => {
      const { ready, redis } = await world.program.readiness();
      return !ready && names.includes(redis?.trouble) && redis.fix.length > 20;
    },
    `readiness to tell of ${names}`,
  );

/** For a second it stays unready, and does next to nothing. */
async function assertQuiet({ program }) {
  const before = processorTimeOf(program);
  for (let i = 0; i < 10; i++) {
    await pause(100); // processor time can only be seen to pass
    assert.equal((await program.readiness()).ready, false);
  }
  const taken = processorTimeOf(program) - before;
  assert.ok(taken < 0.1, `it took ${taken} s of one second`);
}

async function assertRefuses(world) {
  const answer = await world.deliver(world.pair('verified').event);
  assert.equal(answer.status, 503, answer.text);
  assert.equal(answer.json.error.code, 'queue_unavailable');
}

/** Breaks it, looks at what is told, mends it, and looks at whether it serves as before. */
async function assertHeals(world, { breaks, mends, names, stores = false }) {
  const held = world.pair('verified');
  await world.serves();
  const release = world.stripe.hold(({ session }) => session === held.session.id);
  await world.deliver(held.event);
  await world.stripe.requests.first(({ session }) => session === held.session.id, 'the read of the one that is held');
  await breaks();
  await trouble(world, ...names);
  release();
  if (!stores) await assertRefuses(world);
  await assertQuiet(world);
  assert.equal(await world.program.metric('redis_ready'), 0);
  const back = world.program.logs.items.filter(({ message }) => /serves us again|is back/.test(message));
  assert.deepEqual(back, [], 'it does not take it for mended too early');
  await mends();
  await world.recovery();
  assert.equal(await world.program.metric('redis_ready'), 1);
  assert.ok((await world.program.metric(`redis_troubles_total{trouble="${names[0]}"}`)) > 0);
  await world.serves();
  assert.equal((await world.outcome(held.event)).outcome, 'done');
  assert.equal(world.outcomesOf(held.event).length, 1);
  assert.deepEqual([world.mailsTo(held.session).length, world.updatesOf(held.event).length], [1, 1]);
}

/** Ours, which CLIENT KILL spares because it asks for it. */
const dropClients = (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'normal');

/** Ways to break a Redis that runs on, and to mend it. */
const breakages = {
  'has no memory left': {
    names: ['out_of_memory'],
    breaks: (redis) => redis.call('CONFIG', 'SET', 'maxmemory', '1'),
    mends: (redis) => redis.call('CONFIG', 'SET', 'maxmemory', '0'),
  },
  'has too few replicas': {
    names: ['no_replicas'],
    breaks: (redis) => redis.call('CONFIG', 'SET', 'min-replicas-to-write', '1'),
    mends: (redis) => redis.call('CONFIG', 'SET', 'min-replicas-to-write', '0'),
  },
  'has become a replica': {
    names: ['readonly'],
    breaks: (redis) => redis.call('REPLICAOF', '127.0.0.1', '1'),
    mends: (redis) => redis.call('REPLICAOF', 'NO', 'ONE'),
  },
  'has become a replica that serves nothing stale': {
    names: ['masterdown'],
    breaks: async (redis) => {
      await redis.call('CONFIG', 'SET', 'replica-serve-stale-data', 'no');
      await redis.call('REPLICAOF', '127.0.0.1', '1');
    },
    mends: (redis) => redis.call('REPLICAOF', 'NO', 'ONE'),
  },
  'wants a password': {
    names: ['noauth'],
    breaks: async (redis) => {
      await redis.call('CONFIG', 'SET', 'requirepass', 'secret-of-redis');
      await dropClients(redis);
    },
    mends: (redis) => redis.call('CONFIG', 'SET', 'requirepass', ''),
  },
  'takes a permission away': {
    names: ['noperm'],
    breaks: (redis) => redis.call('ACL', 'SETUSER', 'default', '-set', '-evalsha'),
    mends: (redis) => redis.call('ACL', 'SETUSER', 'default', '+@all'),
  },
  'takes the permission to read away': {
    names: ['noperm'],
    stores: true,
    breaks: (redis) => redis.call('ACL', 'SETUSER', 'default', '-xreadgroup'),
    mends: (redis) => redis.call('ACL', 'SETUSER', 'default', '+xreadgroup'),
  },
  'takes no more clients': {
    names: ['max_clients'],
    breaks: async (redis) => {
      await redis.call('CONFIG', 'SET', 'maxclients', '1');
      await dropClients(redis);
    },
    mends: (redis) => redis.call('CONFIG', 'SET', 'maxclients', '1000'),
  },
  'is frozen': {
    names: ['away'],
    breaks: (redis) => redis.freeze(),
    mends: (redis) => redis.thaw(),
  },
  'is paused by CLIENT PAUSE': {
    names: ['away'],
    breaks: (redis) => redis.call('CLIENT', 'PAUSE', '4000'),
    mends: () => {},
  },
  'is stopped': { names: ['away'], breaks: (redis) => redis.stop(), mends: (redis) => redis.start() },
  'is killed': { names: ['away'], breaks: (redis) => redis.kill(), mends: (redis) => redis.start() },
};

describe('when a Redis', { concurrency: 4 }, () => {
  for (const [what, { names, stores, breaks, mends }] of Object.entries(breakages)) {
    test(`${what}, that is told, and it heals`, async (t) => {
      const world = await World.open(t, { settings: QUICK });
      await assertHeals(world, { names, stores, breaks: () => breaks(world.redis), mends: () => mends(world.redis) });
    });
  }

  test('runs somebody’s endless script, that is told, and it heals', async (t) => {
    const world = await World.open(t, { settings: QUICK, redis: { 'busy-reply-threshold': 100 } });
    await assertHeals(world, {
      names: ['busy', 'away'],
      breaks: async () => void world.redis.call('EVAL', 'while true do end', 0).catch(() => {}),
      mends: () => world.redis.another('SCRIPT', 'KILL'),
    });
  });

  test('changes its password, that is told, and it heals', async (t) => {
    const user = ['app', 'on', '>secret-of-app', '~*', '&*', '+@all'];
    const world = await World.open(t, { settings: QUICK, redis: { user }, start: false });
    world.settings.REDIS_URL = `unix://app:secret-of-app@${world.redis.socket}`;
    await world.start();
    await assertHeals(world, {
      names: ['wrongpass'],
      breaks: async () => {
        await world.redis.call('ACL', 'SETUSER', 'app', 'resetpass', '>another-secret');
        await dropClients(world.redis);
      },
      mends: () => world.redis.call('ACL', 'SETUSER', 'app', '>secret-of-app'),
    });
    assert.doesNotMatch(world.program.child.stderr, /secret-of-app/);
  });

  test('loads its data for a while, that is told, and it heals', async (t) => {
    const world = await World.open(t, { settings: QUICK });
    const fill = "for i = 1, 2000 do redis.call('SET', 'filler:' .. i, ('x'):rep(100)) end";
    await world.redis.call('EVAL', fill, 0); // half a minute, if it is not mended
    await assertHeals(world, {
      names: ['loading'],
      breaks: async () => {
        await world.redis.call('CONFIG', 'SET', 'appendonly', 'no');
        await world.redis.call('SAVE');
        await world.redis.kill();
        const settings = { appendonly: 'no', 'key-load-delay': 15_000, 'loading-process-events-interval-bytes': 1024 };
        await world.redis.start({ settings, ready: false });
      },
      mends: () => world.redis.another('CONFIG', 'SET', 'key-load-delay', '0'),
    });
  });

  test('is cut off without a word, that is noticed though nothing is asked, and it heals', async (t) => {
    const world = await World.open(t, { settings: QUICK, start: false });
    const proxy = await Proxy.start(world.redis.socket);
    t.after(() => proxy.close());
    world.settings.REDIS_URL = `redis://127.0.0.1:${proxy.port}`;
    await world.start();
    await assertHeals(world, { names: ['away'], breaks: () => proxy.cut(), mends: () => proxy.mend() });
  });

  test('is started again empty, the group is made anew, that is counted, and it heals', async (t) => {
    const world = await World.open(t, { settings: QUICK });
    await world.serves();
    await world.redis.restartEmpty();
    await until(async () => (await world.program.metric('group_losses_total')) > 0, 'the loss to be counted');
    world.outcomes = world.redis.follow(key('outcomes'));
    await world.recovery();
    await world.serves();
  });

  test('loses the stream under a blocked reader, the group is made anew, that is counted, and it heals', async (t) => {
    const world = await World.open(t, { settings: QUICK });
    await world.serves();
    await world.redis.call('DEL', key('events'));
    await until(async () => (await world.program.metric('group_losses_total')) > 0, 'the loss to be counted');
    await world.serves();
  });
});

describe('a name that leads to another Redis after a failover', () => {
  test('is resolved anew, and the replica that was promoted is used', async (t) => {
    const world = await World.open(t, { settings: QUICK, start: false });
    const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    t.after(() => rm(folder, { recursive: true }));
    const point = (address) => writeFile(join(folder, 'hosts'), `${address} redis.shop.example\n`);
    const first = await Proxy.start(world.redis.socket, { host: '127.0.0.2' });
    t.after(() => first.close());
    const replica = await RedisServer.start({ replicaof: ['127.0.0.2', first.port] });
    t.after(() => replica.close());
    const second = await Proxy.start(replica.socket, { host: '127.0.0.3', port: first.port });
    t.after(() => second.close());
    await point('127.0.0.2');
    await world.start({
      settings: {
        REDIS_URL: `redis://redis.shop.example:${first.port}`,
        LD_PRELOAD: helper('hosts.so'),
        HOSTS_FILE: join(folder, 'hosts'),
        ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'verify_asan_link_order=0'].filter(Boolean).join(':'),
      },
    });
    await world.serves();
    await world.serves();
    await until(async () => (await replica.call('XLEN', key('outcomes'))) === 2, 'the replica to have all');
    await replica.call('REPLICAOF', 'NO', 'ONE');
    await point('127.0.0.3');
    await world.redis.call('REPLICAOF', '127.0.0.3', second.port); // it lives on, and closes no connection
    world.outcomes = replica.follow(key('outcomes'));
    const event = await world.serves();
    assert.equal(await replica.call('EXISTS', key(`seen:${event.id}`)), 1);
    await world.recovery();
  });
});
