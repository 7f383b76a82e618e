// Clients that mean no good, in numbers: whatever they do, memory stays bounded, nothing leaks, and honest requests are
// answered meanwhile.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';

import { Crowd, HonestClient } from '../lib/crowd.mjs';
import { WATCHED, openFilesOf, processorTimeOf, watchMemory } from '../lib/process.mjs';
import { head } from '../lib/raw_socket.mjs';
import { World, composeEvent, key, newSecret, sign } from '../lib/world.mjs';
import { pause, until } from '../lib/wait.mjs';

const execute = promisify(execFile);

/** A world whose program only receives: what is counted and measured is the listener's. */
const openWorld = (t, settings = {}, options = {}) =>
  World.open(t, { settings: { ...WATCHED, ...settings }, words: ['--role', 'ingest'], ...options });

/** A signed event, as the bytes of a request. */
function signedRequest(world) {
  const { body } = composeEvent('verified');
  const headers = { 'Stripe-Signature': sign(body, world.secret), 'Content-Length': Buffer.byteLength(body) };
  return head(world.program.url, headers) + body;
}

const connections = (world) => world.program.metric('connections_open');

function assertBelow(value, bound, what) {
  assert.ok(value < bound, `${what}: ${value}, which is not below ${bound}`);
}

describe('slow senders', { concurrency: 2 }, () => {
  const OPENING = 'POST /webhook HTTP/1.1\r\nHost: a\r\n';

  for (const [name, settings, opening] of [
    [
      'of headers are cut at IDENTIHOOK_HEADER_TIMEOUT',
      { IDENTIHOOK_HEADER_TIMEOUT: '1s', IDENTIHOOK_REQUEST_TIMEOUT: '10m' },
      `${OPENING}X-Slow: `,
    ],
    [
      'of headers are cut at IDENTIHOOK_REQUEST_TIMEOUT, too',
      { IDENTIHOOK_HEADER_TIMEOUT: '10m', IDENTIHOOK_REQUEST_TIMEOUT: '1s' },
      `${OPENING}X-Slow: `,
    ],
    [
      'of bodies are cut at IDENTIHOOK_REQUEST_TIMEOUT, and get no memory in advance',
      { IDENTIHOOK_HEADER_TIMEOUT: '10m', IDENTIHOOK_REQUEST_TIMEOUT: '1s' },
      `${OPENING}Content-Length: 1000000\r\n\r\n{`,
    ],
  ]) {
    test(name, async (t) => {
      const world = await openWorld(t, settings);
      const outgrown = watchMemory(world.program);
      const honest = new HonestClient(world);
      const crowd = new Crowd(t, world.program.url, 300, { bytes: () => opening });
      crowd.drip('x', 50);
      await until(() => crowd.open === 0, 'all of them to be gone');
      await honest.assertServed();
      assert.equal(crowd.answered(408), 300);
      const lives = crowd.members.map(({ lived }) => lived);
      assert.ok(Math.min(...lives) > 900 && Math.max(...lives) < 4000, `${Math.min(...lives)}…${Math.max(...lives)} ms`);
      assertBelow(outgrown(), 16, 'MiB for 300 slow senders');
    });
  }
});

describe('clients that say nothing', () => {
  test('are cut at IDENTIHOOK_IDLE_TIMEOUT', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_IDLE_TIMEOUT: '1s' });
    const crowd = new Crowd(t, world.program.url, 50);
    await until(() => crowd.members.every(({ gone }) => gone), 'all of them to be gone');
    assert.equal(crowd.answered(408), 0);
    assertBelow(Math.max(...crowd.members.map(({ lived }) => lived)), 4000, 'ms of a silent life');
  });
});

describe('slow readers', { concurrency: 2 }, () => {
  /** Sends requests as long as they are taken, and reads no answer. */
  function pipeline(socket) {
    const requests = 'GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(1000);
    const write = () => {
      while (socket.writable && socket.write(requests));
    };
    socket.pause().on('drain', write);
    write();
  }

  test('that pipeline requests are cut when they take no answer for IDENTIHOOK_REQUEST_TIMEOUT', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_REQUEST_TIMEOUT: '500ms' });
    const outgrown = watchMemory(world.program);
    const honest = new HonestClient(world);
    const crowd = new Crowd(t, world.program.url, 8);
    await until(() => connections(world).then((open) => open >= 8), 'eight connections');
    crowd.sockets.forEach(pipeline);
    await until(() => crowd.open === 0, 'all of them to be cut');
    await honest.assertServed();
    // Who was in the middle of a request's headers does not take the 408 for them either, and is counted for both.
    const timedOut = await world.program.metric('connections_timed_out_total');
    assert.ok(timedOut >= 8 && timedOut <= 16, `${timedOut} timeouts`);
    assertBelow(outgrown(), 16, 'MiB for 8 slow readers');
  });
});

describe('a flood of connections', { concurrency: 2 }, () => {
  /** Comes again at once whenever a connection is closed, `times` in all. */
  async function insist(t, world, count, times, options) {
    for (let tried = 0; tried < times; tried += count) {
      const crowd = new Crowd(t, world.program.url, count, options);
      await until(() => crowd.members.every(({ gone }) => gone), 'a wave to be turned away');
    }
  }

  test('from one address gets its share, and another address is served at once', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_MAX_CONNECTIONS_PER_ADDRESS: '20' });
    const outgrown = watchMemory(world.program);
    const honest = new HonestClient(world);
    const first = new Crowd(t, world.program.url, 100, { from: '127.0.0.2' });
    await until(() => first.open === 20, 'all but twenty to be closed');
    await insist(t, world, 200, 2000, { from: '127.0.0.2' });
    assert.equal(first.open, 20);
    await honest.assertServed();
    assert.equal(await world.program.metric('connections_turned_away_total'), 2080);
    await until(() => connections(world).then((open) => open === 20), 'only its share to be open');
    assertBelow(outgrown(), 32, 'MiB for 2100 connections');
  });

  test('from several addresses gets the share of each, and gives it back', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_MAX_CONNECTIONS_PER_ADDRESS: '20' });
    const addresses = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'];
    const crowds = addresses.map((from) => new Crowd(t, world.program.url, 50, { from }));
    await until(() => crowds.every(({ open }) => open === 20), 'all but twenty of each to be closed');
    assert.equal(await connections(world), 80);
    crowds[0].reset();
    await until(() => connections(world).then((open) => open === 60), 'the first ones to be gone');
    const again = new Crowd(t, world.program.url, 20, { from: addresses[0] });
    await until(() => connections(world).then((open) => open === 80), 'others to have their places');
    assert.equal(again.open, 20);
  });

  test('beyond IDENTIHOOK_MAX_CONNECTIONS waits, those who are in are served at once, and all get their turn', async (t) => {
    const world = await openWorld(t, {
      IDENTIHOOK_MAX_CONNECTIONS: '40',
      IDENTIHOOK_LOOPS: '1',
      IDENTIHOOK_HEADER_TIMEOUT: '500ms',
    });
    const outgrown = watchMemory(world.program);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    assert.equal((await world.deliver(composeEvent('verified'), { agent })).status, 200);
    const inside = new HonestClient(world, { agent });
    const crowd = new Crowd(t, world.program.url, 300, { bytes: () => 'POST /webhook HTTP/1.1\r\n' });
    await until(() => connections(world).then((open) => open === 40), 'every place to be taken');
    const outside = new HonestClient(world);
    const mostOpen = [];
    await until(async () => mostOpen.push(await connections(world)) && crowd.open === 0, 'all to have had their turn');
    await inside.assertServed();
    await outside.assertServed(15_000);
    assert.equal(Math.max(...mostOpen), 40);
    assert.equal(crowd.answered(408), 300);
    assertBelow(outgrown(), 32, 'MiB for 40 places');
  });
});

describe('a peer that shuts its side after a whole request', { concurrency: 2 }, () => {
  test('is answered, also when Redis takes its time', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_ENQUEUE_TIMEOUT: '30s' });
    const send = () => new Crowd(t, world.program.url, 200, { bytes: () => signedRequest(world), shut: true });
    const fast = send();
    await until(() => fast.open === 0, 'all to be answered');
    assert.equal(fast.answered(200), 200);
    world.redis.freeze();
    const slow = send();
    await until(async () => (await world.program.metric('waiting_for_redis')) === 200, 'all to wait for Redis');
    assert.equal(slow.answered(200), 0);
    world.redis.thaw();
    await until(() => slow.open === 0, 'all to be answered');
    assert.equal(slow.answered(200), 200);
  });
});

describe('peers that reset', { concurrency: 2 }, () => {
  const WAVES = 4;
  const IN_WAVE = 250;

  /**
   * Resets wave after wave, each when all its bytes are read and it is `there`. Nothing may be left of them, compared to
   * the first one, with which each loop has opened all it ever needs.
   */
  async function resetWaves(t, world, bytes, there) {
    const received = () => world.program.metric('received_bytes_total');
    const outgrown = watchMemory(world.program);
    let files = Infinity;
    for (let wave = 1; wave <= WAVES; wave++) {
      const requests = Array.from({ length: IN_WAVE }, bytes);
      const expected = (await received()) + requests.join('').length;
      const crowd = new Crowd(t, world.program.url, IN_WAVE, { bytes: () => requests.pop() });
      await until(() => connections(world).then((open) => open === IN_WAVE), 'all to be connected');
      await until(async () => (await received()) === expected, 'all they sent to be read');
      await there?.(wave);
      crowd.reset();
      await until(() => connections(world).then((open) => open === 0), 'all to be forgotten');
      await until(() => openFilesOf(world.program) <= files, `no more than ${files} files to be open`);
      files = Math.min(files, openFilesOf(world.program));
    }
    assertBelow(outgrown(), 32, `MiB for ${WAVES} waves of ${IN_WAVE} connections`);
  }

  const OPENING = 'POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n';
  for (const [stage, bytes] of [
    ['while idle', ''],
    ['in the head', OPENING],
    ['in the body', `${OPENING}\r\n${'x'.repeat(10_000)}`],
  ]) {
    test(`${stage} leave nothing behind`, async (t) => {
      const world = await openWorld(t);
      await resetWaves(t, world, () => bytes);
      assert.equal((await world.deliver(composeEvent('verified'))).status, 200);
    });
  }

  test('while Redis takes its time leave nothing behind but their events', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_ENQUEUE_TIMEOUT: '30s' });
    const waitingAre = (count) => async () => (await world.program.metric('waiting_for_redis')) === count;
    world.redis.freeze();
    const there = (wave) => until(waitingAre(wave * IN_WAVE), 'all to wait for Redis');
    await resetWaves(t, world, () => signedRequest(world), there);
    world.redis.thaw();
    await until(waitingAre(0), 'Redis to have taken all');
    assert.equal(await world.redis.call('XLEN', key('events')), WAVES * IN_WAVE);
  });
});

describe('when files run out', { concurrency: 1 }, () => {
  /** While nothing comes or goes, it must have nothing to do. */
  async function assertNotBusy(world) {
    const before = processorTimeOf(world.program);
    await pause(1000);
    assertBelow(processorTimeOf(world.program) - before, 0.2, 'seconds of processor time in one second of waiting');
  }

  const linesAboutFiles = (world) =>
    world.program.logs.items.filter(({ message }) => /raise the limit of open files/.test(message));

  /** More clients than there are files: an honest one among them waits, and is served when the others have gone. */
  async function saturate(t, world) {
    const crowd = new Crowd(t, world.program.url, 200);
    await until(() => crowd.members.every(({ socket }) => !socket.connecting), 'all to be connected');
    const honest = Array.from({ length: 5 }, () => world.deliver(composeEvent('verified')));
    await assertNotBusy(world);
    assert.equal(crowd.open, 200, 'nobody is turned away');
    assert.equal(linesAboutFiles(world).length, 1);
    crowd.leave();
    for (const answer of await Promise.all(honest)) assert.equal(answer.status, 200);
    assert.equal((await world.deliver(composeEvent('verified'))).status, 200);
  }

  test('because the limit is low from the start, clients wait for a place, idly, and the log says what to do', async (t) => {
    const world = await openWorld(t, { IDENTIHOOK_CONCURRENCY: '1' }, { start: false });
    await world.start({ openFiles: 90, words: ['--role', 'ingest'] });
    await saturate(t, world);
  });

  test('all of a sudden, clients wait for a place, idly, and the log says what to do', async (t) => {
    const world = await openWorld(t);
    const { pid } = world.program;
    await execute('prlimit', ['--pid', String(pid), `--nofile=${openFilesOf(world.program) + 10}:`]);
    await saturate(t, world);
  });
});

describe('a flood of wrong signatures', { concurrency: 2 }, () => {
  test('is answered 400, and is told in a line a second at most, in which the rest is counted', async (t) => {
    const world = await openWorld(t);
    const secret = newSecret();
    const event = composeEvent('verified');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
    t.after(() => agent.destroy());
    const outgrown = watchMemory(world.program);
    const honest = new HonestClient(world);
    const lines = () => world.program.logs.items.filter(({ message }) => message === 'signature refused');
    const started = Date.now();
    let sent = 0;
    const refuse = async () => {
      sent++;
      assert.equal((await world.deliver(event, { secret, agent })).status, 400);
    };
    for (let wave = 0; wave < 100; wave++) await Promise.all(Array.from({ length: 20 }, refuse));
    await honest.assertServed();
    const told = lines().length;
    assert.ok(told >= 1 && told <= 1 + (Date.now() - started) / 1000, `${told} lines`);
    await until(async () => (await refuse(), lines().length > told), 'the next line');
    const counted = lines().reduce((sum, { suppressed }) => sum + 1 + suppressed, 0);
    assert.equal(counted, sent);
    assertBelow(outgrown(), 32, 'MiB for refusing 2000 requests');
  });
});
