// What an operator relies on: roles, health, metrics, reloading, and logs that tell no secrets.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { Child } from '../lib/child.mjs';
import { freePort, send } from '../lib/http_client.mjs';
import { binary, environment } from '../lib/identihook.mjs';
import { World, composeEvent, key, newSecret } from '../lib/world.mjs';
import { pause, until } from '../lib/wait.mjs';

describe('a role', { concurrency: 8 }, () => {
  test('ingest receives and queues, needs no key, and processes nothing', async (t) => {
    const settings = { STRIPE_SECRET_KEY: undefined };
    const world = await World.open(t, { settings, words: ['--role', 'ingest'] });
    assert.equal((await world.deliver(world.pair('verified').event)).status, 200);
    assert.equal(await world.redis.call('XLEN', key('events')), 1);
    const groups = await world.redis.call('XINFO', 'GROUPS', key('events'));
    assert.ok(groups.every((group) => !group.includes('pending') || group[group.indexOf('pending') + 1] === 0));
    assert.deepEqual(world.stripe.requests.items, []);
  });

  test('worker processes what the other queued, needs no webhook secret, and has no webhook listener', async (t) => {
    const world = await World.open(t, { words: ['--role', 'ingest'] });
    const { event } = world.pair('verified');
    await world.deliver(event);
    const worker = await world
      .start({ words: ['--role', 'worker'], settings: { STRIPE_WEBHOOK_SECRET: '' } })
      .catch((error) => error);
    assert.match(worker.message ?? '', /STRIPE_WEBHOOK_SECRET/, 'an empty secret is a fault in every role');
    delete world.settings.STRIPE_WEBHOOK_SECRET;
    const { url } = await world.start({ words: ['--role', 'worker'] });
    assert.equal(url, undefined);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });
});

describe('the admin listener', { concurrency: 8 }, () => {
  test('counts what came in and what became of it', async (t) => {
    const world = await World.open(t);
    await world.settle();
    await world.deliver(composeEvent('verified'), { secret: newSecret() });
    const { status, text, headers } = await world.program.look('/metrics');
    assert.equal(status, 200);
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    const names = new Set();
    for (const line of text.trimEnd().split('\n')) {
      assert.match(line, /^(# (HELP|TYPE) identihook_|identihook_[a-z_]+(\{[^}]*\})? [-+0-9.einfNa]+$)/);
      names.add(line.match(/identihook_[a-z_]+/)[0]);
    }
    assert.ok(names.size > 10);
    assert.match(text, /signature_mismatch"\} 1\n/);
  });

  test('knows no other paths, and only GET', async (t) => {
    const world = await World.open(t);
    assert.equal((await world.program.look('/secrets')).status, 404);
    assert.equal((await world.program.look('/webhook')).status, 404);
  });
});

describe('while it ends', { concurrency: 8 }, () => {
  test('/healthz stays green, also when one loop has long ended and another has not', async (t) => {
    const STUCK_MS = 5000; // HEALTH_STUCK_MS
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '2', IDENTIHOOK_SHUTDOWN_TIMEOUT: '30s' } });
    const release = world.onboarding.hold();
    await world.deliver(world.pair('verified').event);
    await world.onboarding.updates.atLeast(1);
    const ended = world.program.stop();
    for (const end = Date.now() + STUCK_MS + 1000; Date.now() < end; await pause(200)) {
      assert.equal((await world.program.look('/healthz')).status, 200);
    }
    release();
    assert.deepEqual(await ended, { code: 0, signal: null });
  });
});

describe('SIGHUP', { concurrency: 8 }, () => {
  test('takes new signing secrets from their file, without a connection lost', async (t) => {
    const path = await mkdtemp(join(tmpdir(), 'identihook-'));
    t.after(() => rm(path, { recursive: true }));
    await chmod(path, 0o711); // the program may run as another user, as it does in a container
    const [old, fresh] = [newSecret(), newSecret()];
    const file = join(path, 'secrets');
    await writeFile(file, old);
    const world = await World.open(t, {
      settings: { STRIPE_WEBHOOK_SECRET: undefined, STRIPE_WEBHOOK_SECRET_FILE: file },
    });
    assert.equal((await world.deliver(composeEvent('verified'), { secret: old })).status, 200);
    assert.equal((await world.deliver(composeEvent('verified'), { secret: fresh })).status, 400);
    await writeFile(file, fresh);
    world.program.child.signal('SIGHUP');
    await until(
      async () => (await world.deliver(composeEvent('verified'), { secret: fresh })).status === 200,
      'the new secret to hold',
    );
    await until(
      async () => (await world.deliver(composeEvent('verified'), { secret: old })).status === 400,
      'the old one not to',
    );
    await writeFile(file, '');
    world.program.child.signal('SIGHUP');
    await world.program.logs.first(
      ({ level, message }) => level === 'error' && /settings are faulty/.test(message),
      'a complaint',
    );
    assert.equal(
      (await world.deliver(composeEvent('verified'), { secret: fresh })).status,
      200,
      'the last good ones stay',
    );
    for (const secret of [old, fresh]) assert.ok(!world.program.child.stderr.includes(secret));
  });
});

describe('logs', { concurrency: 8 }, () => {
  /** Everything that can go wrong, at the most talkative level. That no line tells a secret is checked by every world. */
  async function goThroughAll(t, settings) {
    const outputs = 'first_name,last_name,dob,address,id_number,email,phone';
    const world = await World.open(t, {
      settings: {
        IDENTIHOOK_LOG_LEVEL: 'debug',
        IDENTIHOOK_VERIFIED_OUTPUTS: outputs,
        IDENTIHOOK_MAX_ATTEMPTS: '3',
        ...settings,
      },
    });
    const person = { provided_details: { email: 'katherine.private@person.example', phone: '+15550123456' } };
    const echo = `for ${person.provided_details.email}, Jenny Rosen, 1234 Main St., ${world.key}`;
    const { event, session } = world.pair('verified', person);
    await world.carry(event);
    world.smtp.fail({ stage: 'rcpt', code: 451, message: echo, times: 1 });
    await world.carry(world.pair('requires_input', person).event);
    world.smtp.fail({ stage: 'rcpt', code: 550, message: echo, times: 1 });
    await world.carry(world.pair('verified', person).event);
    world.onboarding.fail({ status: 422, body: echo });
    await world.carry(world.pair('verified', person).event);
    const leaky = { error: { type: 'api_error', code: 'leaky', message: echo } };
    world.stripe.fail({
      status: 500,
      body: leaky,
      headers: { 'Request-Id': echo.replaceAll(/[^ -~]/g, '') },
      times: 1,
    });
    await world.carry(world.pair('verified', person).event);
    world.stripe.fail({ status: 400, body: leaky, times: 1 });
    await world.carry(world.pair('verified', person).event);
    await world.carry(composeEvent('verified', { session: session.id.replace(/.$/, 'x') }));
    await world.deliver(event, { secret: newSecret() });
    await world.deliver({ body: `{"email":"${person.provided_details.email}"` });
    await world.redis.restart();
    await until(async () => (await world.program.look('/readyz')).status === 200, 'readiness');
    return world;
  }

  test('in JSON are one object a line, with time, level and message', async (t) => {
    const world = await goThroughAll(t);
    for (const line of world.program.logs.items) {
      assert.ok(line.time && line.level && line.message, JSON.stringify(line));
      assert.match(line.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.match(line.level, /^(debug|info|warn|error)$/);
    }
    const letters = JSON.stringify((await world.dead()).map(({ reason, error }) => ({ reason, error })));
    for (const word of ['katherine', 'Jenny', 'Main St', world.key]) assert.ok(!letters.includes(word), letters);
  });

  test('of a bad signature tell the likely cause', async (t) => {
    const world = await World.open(t);
    await world.deliver(composeEvent('verified'), { secret: newSecret() });
    const line = await world.program.logs.first(({ message }) => message === 'signature refused', 'the line');
    assert.deepEqual([line.level, line.code, line.cause], ['warn', 'signature_mismatch', 'secret']);
    assert.equal(await world.program.metric('signature_causes_total{cause="secret"}'), 1);
  });

  /** What serve writes from start to end, in a quiet life of one event. */
  async function linesOf(t, settings) {
    const world = await World.open(t, { start: false });
    const admin = `127.0.0.1:${await freePort()}`;
    const env = environment({ ...world.settings, IDENTIHOOK_ADMIN_LISTEN: admin, ...settings });
    const child = new Child(binary(), ['serve'], { env });
    await until(async () => (await send(`http://${admin}/readyz`).catch(() => ({}))).status === 200, 'readiness');
    assert.deepEqual(await child.stop(), { code: 0, signal: null });
    assert.equal(child.stdout, '');
    return child.stderr.trimEnd().split('\n').filter(Boolean);
  }

  test('are as quiet as IDENTIHOOK_LOG_LEVEL says', async (t) => {
    assert.deepEqual(await linesOf(t, { IDENTIHOOK_LOG_LEVEL: 'error' }), []);
  });

  test('are text when IDENTIHOOK_LOG_FORMAT says so, and JSON when they go into a pipe', async (t) => {
    for (const line of await linesOf(t, { IDENTIHOOK_LOG_FORMAT: 'text' })) {
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO |WARN |ERROR) \S/);
    }
    for (const line of await linesOf(t, {})) assert.ok(JSON.parse(line).message);
  });
});
