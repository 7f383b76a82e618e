// What a service manager relies on, and gives: sockets that it holds, and the states that it is told.

import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { Child } from '../lib/child.mjs';
import { freePort } from '../lib/http_client.mjs';
import { binary, environment, helper } from '../lib/identihook.mjs';
import { RawSocket, head } from '../lib/raw_socket.mjs';
import { Ear, HeldSocket } from '../lib/service_manager.mjs';
import { Journal, pause, until } from '../lib/wait.mjs';
import { World, composeEvent, post, sign } from '../lib/world.mjs';

/** A whole request with a fresh event, as bytes. */
function request(world, url) {
  const { body } = composeEvent('verified');
  const headers = { 'Content-Length': Buffer.byteLength(body), 'Stripe-Signature': sign(body, world.secret) };
  return head(url, headers) + body;
}

/** How the program ends when it is passed `sockets`: { code, stderr }. */
async function refusal(world, sockets, settings = {}) {
  const child = new Child(helper('activate'), [binary(), 'serve'], {
    env: environment({ ...world.settings, LISTEN_FDS: String(sockets.length), ...settings }),
    descriptors: sockets.map(({ descriptor }) => descriptor),
  });
  const { code } = await child.ended;
  return { code, stderr: child.stderr };
}

const INGEST = ['--role', 'ingest'];

describe('a socket that is passed', { concurrency: 4 }, () => {
  test('is listened with: who connected before the start is answered after it', async (t) => {
    const world = await World.open(t, { start: false });
    const held = await HeldSocket.open(t);
    const early = await RawSocket.open(held.url);
    t.after(() => early.close());
    early.send(request(world, held.url));
    const program = await world.start({ sockets: [held] });
    assert.equal(program.url, held.url);
    assert.equal((await early.answer()).status, 200);
    const line = program.logs.items.find(({ listener }) => listener === 'webhook');
    assert.deepEqual([line.address, line.socket], [held.address, 'inherited']);
    await world.settle();
  });

  test('is for the listener of its name', async (t) => {
    const world = await World.open(t, { start: false });
    const [admin, webhook] = [await HeldSocket.open(t), await HeldSocket.open(t)];
    const program = await world.start({ sockets: [admin, webhook], settings: { LISTEN_FDNAMES: 'admin:webhook' } });
    assert.deepEqual([program.admin, program.url], [`http://${admin.address}`, webhook.url]);
    await world.settle();
  });

  test('loses no client when the program ends and starts anew', async (t) => {
    const world = await World.open(t, { start: false });
    const held = await HeldSocket.open(t);
    const statuses = [];
    let over = false;
    const client = async () => {
      while (!over) {
        const { body } = composeEvent('verified');
        const headers = { 'Stripe-Signature': sign(body, world.secret) };
        statuses.push((await post(held.url, body, headers).catch(({ message }) => ({ status: message }))).status);
      }
    };
    await world.start({ sockets: [held], words: INGEST });
    const clients = Array.from({ length: 8 }, client);
    for (let round = 0; round < 3; round++) {
      const before = statuses.length;
      await until(() => statuses.length > before + 50, 'answers');
      assert.deepEqual(await world.program.stop(), { code: 0, signal: null });
      await world.start({ sockets: [held], words: INGEST });
    }
    over = true;
    await Promise.all(clients);
    assert.deepEqual(
      statuses.filter((status) => status !== 200),
      [],
    );
  });

  test('answers 503 after IDENTIHOOK_ENQUEUE_TIMEOUT when Redis is away', async (t) => {
    const world = await World.open(t, { start: false });
    const held = await HeldSocket.open(t);
    const early = await RawSocket.open(held.url);
    t.after(() => early.close());
    early.send(request(world, held.url));
    const settings = { REDIS_URL: `redis://127.0.0.1:${await freePort()}/0`, IDENTIHOOK_ENQUEUE_TIMEOUT: '700ms' };
    const started = Date.now();
    await world.start({ sockets: [held], words: INGEST, settings, ready: false });
    assert.equal((await early.answer()).status, 503);
    assert.ok(Date.now() - started > 700);
  });

  test('is listened with again when the program has descriptors again', async (t) => {
    const world = await World.open(t, { start: false });
    const held = await HeldSocket.open(t);
    const program = await world.start({ sockets: [held], words: INGEST, settings: { IDENTIHOOK_LOOPS: '1' } });
    const limit = async (files) => {
      const child = new Child('prlimit', [`--pid=${program.pid}`, `--nofile=${files}:`]);
      assert.deepEqual(await child.ended, { code: 0, signal: null }, child.stderr);
    };
    await limit(8);
    const waiting = await RawSocket.open(held.url);
    t.after(() => waiting.close());
    waiting.send(request(world, held.url));
    await program.logs.first(({ message }) => /connections cannot be accepted/.test(message), 'a complaint');
    await limit(1024);
    assert.equal((await waiting.answer()).status, 200);
  });

  test('is left alone by a worker, who says so', async (t) => {
    const world = await World.open(t, { start: false });
    const held = await HeldSocket.open(t);
    const program = await world.start({ sockets: [held], words: ['--role', 'worker'] });
    const line = program.logs.items.find(({ message }) => /this role does not listen/.test(message));
    assert.equal(line?.level, 'warn');
  });

  test('is refused, with what to do, when no listener can use it', async (t) => {
    const world = await World.open(t, { start: false });
    const file = await open('/dev/null');
    t.after(() => file.close());
    const [held, silent] = [await HeldSocket.open(t), await HeldSocket.open(t, { listens: false })];
    const cases = [
      [[{ descriptor: file.fd }], {}, /descriptor 3 was passed for the webhook listener, but it is no socket/],
      [[silent], {}, /it does not listen: its socket unit needs ListenStream=ADDRESS:PORT and Accept=no/],
      [[held], { LISTEN_FDNAMES: 'metrics' }, /called 'metrics': put FileDescriptorName=webhook or/],
      [[held, held], { LISTEN_FDNAMES: 'webhook:webhook' }, /two sockets were passed for the webhook listener/],
    ];
    for (const [sockets, settings, fault] of cases) {
      const { code, stderr } = await refusal(world, sockets, settings);
      assert.equal(code, 2, stderr);
      assert.match(stderr, fault);
    }
  });
});

describe('a service manager', { concurrency: 4 }, () => {
  test('is told when the program is ready, reloads and stops', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    t.after(() => rm(folder, { recursive: true }));
    const ear = await Ear.open(t);
    const world = await World.open(t, { start: false });
    const file = join(folder, 'secrets');
    await writeFile(file, world.secret);
    delete world.settings.STRIPE_WEBHOOK_SECRET;
    const settings = { NOTIFY_SOCKET: ear.path, STRIPE_WEBHOOK_SECRET_FILE: file };
    const program = await world.start({ settings });
    await ear.hearStatus(new RegExp(`^takes webhooks at ${new URL(program.url).host}$`));

    const before = process.hrtime.bigint() / 1000n;
    program.child.signal('SIGHUP');
    await ear.hearAll('READY', 2);
    const moment = BigInt((await ear.hear('RELOADING')).MONOTONIC_USEC);
    assert.ok(moment >= before && moment <= process.hrtime.bigint() / 1000n, `${moment} is not the time of the signal`);

    await writeFile(file, '');
    program.child.signal('SIGHUP');
    await ear.hearStatus(/the last reload failed/);

    await program.stop();
    await ear.hear('STOPPING');
    assert.deepEqual(ear.states(), ['READY', 'RELOADING', 'READY', 'RELOADING', 'READY', 'STOPPING']);
  });

  test('is told that it stops as soon as it drains, and of no reload then', async (t) => {
    const ear = await Ear.open(t);
    const settings = { NOTIFY_SOCKET: ear.path, IDENTIHOOK_DRAIN_DELAY: '1s' };
    const world = await World.open(t, { settings });
    world.program.child.signal('SIGTERM');
    await ear.hear('STOPPING');
    assert.equal((await world.deliver(composeEvent('verified'))).status, 200, 'requests are still taken');
    world.program.child.signal('SIGHUP');
    await world.program.logs.first(({ message }) => /signing secrets reloaded/.test(message), 'the reload');
    assert.deepEqual(await world.program.child.ended, { code: 0, signal: null });
    assert.deepEqual(ear.states(), ['READY', 'STOPPING']);
  });

  test('is not told READY by a program that cannot start', async (t) => {
    const ear = await Ear.open(t);
    const world = await World.open(t, { start: false, settings: { NOTIFY_SOCKET: ear.path } });
    const admin = `127.0.0.1:${await freePort()}`;
    await world.start({ settings: { IDENTIHOOK_ADMIN_LISTEN: admin } });
    const second = new Child(binary(), ['serve'], {
      env: environment({ ...world.settings, IDENTIHOOK_ADMIN_LISTEN: admin }),
    });
    assert.deepEqual(await second.ended, { code: 1, signal: null });
    await world.program.stop();
    await ear.hear('STOPPING'); // datagrams keep their order
    assert.equal(ear.count('READY'), 1);
  });

  test('hears signs of life as often as it wants to', async (t) => {
    const ear = await Ear.open(t);
    const started = Date.now();
    await World.open(t, { settings: { NOTIFY_SOCKET: ear.path, WATCHDOG_USEC: '400000' } });
    await ear.hearAll('WATCHDOG', 6);
    assert.ok(Date.now() - started >= 5 * 200, 'six of them take five intervals');
  });

  test('hears none while a loop is stuck', async (t) => {
    const ear = await Ear.open(t);
    const world = await World.open(t, { settings: { NOTIFY_SOCKET: ear.path, WATCHDOG_USEC: '400000' } });
    await ear.hear('WATCHDOG');
    const lines = new Journal('lines');
    const holder = new Child(helper('hold_threads'), [String(world.program.pid)], {
      onLine: (line) => lines.add(line),
    });
    let heard;
    try {
      const end = await Promise.race([lines.first((line) => line === 'held', 'the threads to be held'), holder.ended]);
      if (end.code === 77) {
        t.skip('this system does not let us hold threads');
        return;
      }
      await ear.hearStatus(/^a loop does not turn$/);
      heard = ear.count('WATCHDOG');
      assert.equal((await world.program.look('/healthz')).status, 503, 'the main loop turns');
      await pause(5 * 200); // that something does not come cannot be awaited
      assert.equal(ear.count('WATCHDOG'), heard);
    } finally {
      await holder.stop('SIGKILL'); // a held program could not be ended
    }
    await ear.hearAll('WATCHDOG', heard + 1);
    await world.settle();
  });
});
