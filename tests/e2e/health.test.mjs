// `identihook health`, as the health check of a container calls it.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';

import { run } from '../lib/identihook.mjs';
import { World } from '../lib/world.mjs';

const admin = (world) => ({ IDENTIHOOK_ADMIN_LISTEN: new URL(world.program.admin).host });

describe('identihook health', { concurrency: 8 }, () => {
  test('exits 0 while the loops turn, with what /healthz says', async (t) => {
    const world = await World.open(t);
    const { code, stdout } = await run(['health'], admin(world));
    assert.equal(code, 0);
    assert.equal(stdout.trim(), (await world.program.look('/healthz')).text.trim());
  });

  test('--ready exits 1 when Redis is away, and says which component is not ready', async (t) => {
    const world = await World.open(t);
    assert.equal((await run(['health', '--ready'], admin(world))).code, 0);
    await world.redis.stop();
    await world.program.logs.first((log) => /redis/.test(log.message) && log.level !== 'info', 'the loss of Redis');
    const { code, stdout } = await run(['health', '--ready'], admin(world));
    assert.equal(code, 1);
    assert.match(stdout, /redis/);
  });

  test('finds a listener on all addresses through the loopback', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_ADMIN_LISTEN: '0.0.0.0:0' } });
    assert.equal((await run(['health'], admin(world))).code, 0);
  });

  test('exits 1 and says what to look at when nobody listens', async () => {
    const { code, stderr } = await run(['health'], { IDENTIHOOK_ADMIN_LISTEN: '127.0.0.1:1' });
    assert.equal(code, 1);
    assert.match(stderr, /127\.0\.0\.1:1 does not answer .*IDENTIHOOK_ADMIN_LISTEN/);
  });

  test('exits 1 in time when the listener takes the request and says nothing', async (t) => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    t.after(() => silent.close());
    await new Promise((resolve) => silent.once('listening', resolve));
    const settings = { IDENTIHOOK_ADMIN_LISTEN: `127.0.0.1:${silent.address().port}` };
    const { code, stderr } = await run(['health', '--timeout', '100'], settings);
    assert.equal(code, 1);
    assert.match(stderr, /too slow/);
  });
});
