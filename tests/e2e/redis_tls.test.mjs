// Redis over TLS: rediss:// with its authority, our certificate, and the name that it must have.

import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { certificate } from '../lib/certificate.mjs';
import { freePort } from '../lib/redis.mjs';
import { World } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const QUICK = { IDENTIHOOK_ENQUEUE_TIMEOUT: '2s', IDENTIHOOK_REDIS_CHECK_EVERY: '100ms' };

/** A world whose Redis speaks TLS, with `server`'s certificate, to clients with `client`'s. It is not started yet. */
async function openWorld(t, { server, client } = {}) {
  const identity = server ?? (await certificate(t, 'redis'));
  const ours = client ?? (await certificate(t, 'identihook'));
  const port = await freePort();
  const world = await World.open(t, {
    start: false,
    settings: {
      ...QUICK,
      REDIS_URL: `rediss://127.0.0.1:${port}`,
      IDENTIHOOK_REDIS_CA: identity.cert,
      IDENTIHOOK_REDIS_CERT: ours.cert,
      IDENTIHOOK_REDIS_KEY: ours.key,
    },
    redis: {
      'tls-port': port,
      'tls-cert-file': identity.cert,
      'tls-key-file': identity.key,
      'tls-ca-cert-file': ours.cert,
      'tls-auth-clients': 'yes',
    },
  });
  return { world, port, identity, ours };
}

async function assertTrouble(world, settings, why) {
  const program = await world.start({ ready: false, settings });
  await until(async () => (await program.readiness()).redis?.trouble === 'tls', 'the trouble to be told');
  const { message, fix } = await program.logs.first((log) => why.test(log.why ?? ''), `a reason like ${why}`);
  assert.equal(message, 'redis connection lost');
  assert.match(fix, /IDENTIHOOK_REDIS_CA/);
  assert.equal((await world.deliver(world.pair('verified').event)).status, 503);
}

describe('Redis over TLS', { concurrency: 4 }, () => {
  test('is used when its certificate and ours are trusted, and again when it comes back', async (t) => {
    const { world } = await openWorld(t);
    await world.start();
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    await world.redis.kill();
    await world.redis.start();
    const { event } = world.pair('verified');
    await world.deliverUntilTaken(event);
    assert.equal((await world.outcome(event)).outcome, 'done');
    const { code, stdout } = await world.run(['status', '--json']);
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).groups.length, 1);
  });

  test('takes large events, many at once', async (t) => {
    const { world } = await openWorld(t);
    await world.start();
    const all = Array.from({ length: 20 }, (_, i) =>
      world.pair('verified', {}, { object: { metadata: { filler: 'x'.repeat(i * 20_000) } } }),
    );
    const answers = await Promise.all(all.map(({ event }) => world.deliver(event)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('with a certificate of a stranger’s authority is not used', async (t) => {
    const { world, ours } = await openWorld(t);
    await assertTrouble(world, { IDENTIHOOK_REDIS_CA: ours.cert }, /TLS failed: .*verify failed/);
  });

  test('by the system’s authorities, or SSL_CERT_FILE, when no other is named', async (t) => {
    const { world, identity } = await openWorld(t);
    delete world.settings.IDENTIHOOK_REDIS_CA;
    await world.start({ settings: { SSL_CERT_FILE: identity.cert } });
    await world.program.stop();
    await assertTrouble(world, {}, /TLS failed: .*verify failed/);
  });

  test('with another name is used only when that name is asked for', async (t) => {
    const { world } = await openWorld(t, { server: await certificate(t, 'redis', 'DNS:redis.internal') });
    await assertTrouble(world, {}, /TLS failed: .*mismatch/);
    await world.program.stop();
    await assertTrouble(world, { IDENTIHOOK_REDIS_SERVER_NAME: 'another.internal' }, /TLS failed: .*mismatch/);
    await world.program.stop();
    await world.start({ settings: { IDENTIHOOK_REDIS_SERVER_NAME: 'redis.internal' } });
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
  });

  test('that wants a certificate of ours and gets none is not used', async (t) => {
    const { world } = await openWorld(t);
    delete world.settings.IDENTIHOOK_REDIS_CERT;
    delete world.settings.IDENTIHOOK_REDIS_KEY;
    await assertTrouble(world, {}, /TLS failed|closed|reset/);
  });

  test('that speaks no TLS after all is not used', async (t) => {
    const { world } = await openWorld(t);
    const [, port] = await world.redis.listen();
    await assertTrouble(world, { REDIS_URL: `rediss://127.0.0.1:${port}` }, /TLS failed/);
  });

  test('a renewed certificate of ours is used for new connections, without a restart', async (t) => {
    const { world, ours } = await openWorld(t);
    await world.start();
    const next = await certificate(t, 'identihook');
    await Promise.all([copyFile(next.cert, ours.cert), copyFile(next.key, ours.key)]);
    await world.redis.restart(); // it now trusts the new one alone
    const { event } = world.pair('verified');
    await world.deliverUntilTaken(event);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('with files that cannot be read stops the start, and says which', async (t) => {
    const { world } = await openWorld(t);
    const faulty = await world.run(['serve'], { IDENTIHOOK_REDIS_CA: '/nowhere/ca.crt' });
    assert.equal(faulty.code, 2);
    assert.match(faulty.stderr, /\/nowhere\/ca\.crt/);
    const lonely = await world.run(['serve'], { IDENTIHOOK_REDIS_KEY_FILE: undefined, REDIS_URL: 'redis://127.0.0.1:1' });
    assert.equal(lonely.code, 2);
    assert.match(lonely.stderr, /REDIS_URL must begin with rediss/);
  });
});
