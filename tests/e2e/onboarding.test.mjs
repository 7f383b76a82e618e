// The way to the onboarding service: who may be it, who we are to it, and how much it is asked.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { certificate } from '../lib/certificate.mjs';
import { Onboarding } from '../lib/onboarding.mjs';
import { until } from '../lib/wait.mjs';
import { World, key } from '../lib/world.mjs';

/** An onboarding service of the test's own. */
async function service(t, options = {}) {
  const onboarding = await Onboarding.start(options);
  t.after(() => onboarding.close());
  return onboarding;
}

/** What went wrong in an event's first try. */
const firstFault = async (world, event) =>
  until(async () => (await world.ledger(event))['try:1'], `the first try of ${event.id}`);

describe('the onboarding service', { concurrency: 8 }, () => {
  test('is shown a certificate and a token, and its own is checked against the authority that is set', async (t) => {
    const [server, client] = [await certificate(t), await certificate(t, 'client')];
    const tls = { cert: server.pem, key: server.keyPem, ca: client.pem, requestCert: true, rejectUnauthorized: true };
    const onboarding = await service(t, { tls });
    const token = 'a-token-that-is-long-enough';
    const settings = {
      IDENTIHOOK_ONBOARDING_URL: `${onboarding.url}/identity`,
      IDENTIHOOK_ONBOARDING_CERT: client.cert,
      IDENTIHOOK_ONBOARDING_KEY: client.key,
      IDENTIHOOK_ONBOARDING_CA: server.cert,
      IDENTIHOOK_ONBOARDING_TOKEN: token,
    };
    const world = await World.open(t, { settings });
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    assert.equal(onboarding.updates.items[0].headers.authorization, `Bearer ${token}`);
    assert.ok(!world.program.child.stderr.includes(token));
  });

  const strangers = {
    'whose certificate nobody has signed': { IDENTIHOOK_ONBOARDING_CA: undefined },
    'that wants to know who we are': { IDENTIHOOK_ONBOARDING_CERT: undefined, IDENTIHOOK_ONBOARDING_KEY: undefined },
    'without the file of our certificate': { IDENTIHOOK_ONBOARDING_CERT: '/nowhere/client.crt' },
  };
  for (const [name, changes] of Object.entries(strangers)) {
    test(`${name} gets nothing, and the event waits`, async (t) => {
      const [server, client] = [await certificate(t), await certificate(t, 'client')];
      const tls = { cert: server.pem, key: server.keyPem, ca: client.pem, requestCert: true, rejectUnauthorized: true };
      const onboarding = await service(t, { tls });
      const settings = {
        IDENTIHOOK_ONBOARDING_URL: onboarding.url,
        IDENTIHOOK_ONBOARDING_CERT: client.cert,
        IDENTIHOOK_ONBOARDING_KEY: client.key,
        IDENTIHOOK_ONBOARDING_CA: server.cert,
        IDENTIHOOK_RETRY_BASE: '5s',
        IDENTIHOOK_RETRY_CAP: '5s',
        ...changes,
      };
      const world = await World.open(t, { settings });
      const { event } = world.pair('verified');
      await world.deliver(event);
      assert.match(await firstFault(world, event), /onboarding_unreachable/);
      assert.deepEqual(onboarding.updates.items, []);
    });
  }

  test('is not looked for at a private address where that is refused', async (t) => {
    const settings = { IDENTIHOOK_ONBOARDING_ALLOW_PRIVATE: 'no', IDENTIHOOK_MAX_ATTEMPTS: '2' };
    const world = await World.open(t, { settings });
    const { event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'dead');
    const [letter] = await world.dead();
    assert.match(letter.error, /onboarding_address_refused.*IDENTIHOOK_ONBOARDING_ALLOW_PRIVATE/);
    assert.deepEqual(world.updatesOf(event), []);
  });

  test('may be named: localhost is this machine', async (t) => {
    const world = await World.open(t, { start: false });
    const url = world.settings.IDENTIHOOK_ONBOARDING_URL.replace('127.0.0.1', 'localhost');
    await world.start({ settings: { IDENTIHOOK_ONBOARDING_URL: url } });
    const { event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.updatesOf(event).length, 1);
  });

  test('may say as much as it likes: only the status counts', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_ONBOARDING_MAX_RESPONSE: '1k' } });
    world.onboarding.fail({ status: 200, body: 'x'.repeat(100_000), times: Infinity });
    const { event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.updatesOf(event).length, 1);
  });

  test('gets no more updates at once than it shall', async (t) => {
    const settings = { IDENTIHOOK_LOOPS: '1', IDENTIHOOK_ONBOARDING_CONCURRENCY: '2' };
    const world = await World.open(t, { settings });
    const release = world.onboarding.hold();
    const all = Array.from({ length: 6 }, () => world.pair('verified'));
    for (const { event } of all) await world.deliver(event);
    await until(async () => (await world.program.metric('effects_total{effect="email",result="done"}')) === 6, 'the mails');
    assert.equal(world.onboarding.updates.items.length, 2);
    release();
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('is spared while it fails again and again, and mails go out all the same', async (t) => {
    const settings = { IDENTIHOOK_LOOPS: '1', IDENTIHOOK_BREAKER_FAULTS: '3', IDENTIHOOK_BREAKER_PAUSE: '300ms' };
    const world = await World.open(t, { settings });
    world.onboarding.fail({ status: 503, times: Infinity });
    const all = Array.from({ length: 12 }, () => world.pair('verified'));
    for (const { event } of all) await world.deliver(event);
    await until(async () => (await world.program.metric('breaker_opened_total{service="onboarding"}')) === 1, 'the breaker');
    await until(async () => (await world.program.metric('effects_total{effect="email",result="done"}')) === 12, 'the mails');
    assert.equal(await world.program.metric('breaker_open{service="stripe"}'), 0);
    world.onboarding.recover();
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
    const tries = world.onboarding.updates.items.length;
    assert.ok(tries <= 12 + 12 + 8, `${tries} updates for 12 events`);
    for (const { session } of all) assert.equal(world.mailsTo(session).length, 1);
    assert.equal(await world.redis.call('XLEN', key('dead')), 0);
  });
});
