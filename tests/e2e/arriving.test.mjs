// The memory that requests hold while they arrive is bounded: without a signature yet, anybody may send them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { composeEvent, sign } from '../lib/events.mjs';
import { RawSocket } from '../lib/raw_socket.mjs';
import { until } from '../lib/wait.mjs';
import { World } from '../lib/world.mjs';

const LIMIT = 1 << 20;
const LENGTH = 100_000;

describe('requests that are still arriving', () => {
  const open = (t) =>
    World.open(t, {
      settings: { IDENTIHOOK_MAX_ARRIVING_BYTES: '1M', IDENTIHOOK_MAX_BODY: '128k', IDENTIHOOK_LOOPS: '1' },
    });
  const arriving = (world) => world.program.metric('arriving_bytes');

  /** A client that sends all but the last byte of a body, and that byte's sender. */
  async function begin(t, world, event) {
    const raw = await RawSocket.open(world.program.url);
    t.after(() => raw.close());
    const body = event.body.padEnd(LENGTH, ' ');
    raw.send(
      `POST /webhook HTTP/1.1\r\nHost: a\r\nStripe-Signature: ${sign(body, world.secret)}\r\nContent-Length: ${LENGTH}\r\n\r\n`,
    );
    raw.send(body.slice(0, -1));
    return { raw, end: () => raw.send(body.slice(-1)) };
  }

  test('hold no more memory than they may: the slowest are refused, and the others answered', async (t) => {
    const world = await open(t);
    const slow = [];
    for (let i = 0; i < 40; i++) {
      slow.push(await begin(t, world, composeEvent('verified')));
      assert.ok((await arriving(world)) <= LIMIT, 'within the limit');
    }
    assert.equal((await world.deliver(world.pair('verified').event)).status, 200);
    const first = await slow[0].raw.answer();
    assert.deepEqual([first.status, JSON.parse(first.body).error.code], [503, 'overloaded']);
    assert.ok(first.headers['retry-after']);
    slow.at(-1).end();
    assert.equal((await slow.at(-1).raw.answer()).status, 200);
    for (const { raw } of slow) raw.close();
    await until(async () => (await arriving(world)) === 0, 'all memory to be free');
  });

  test('are let be while there is room', async (t) => {
    const world = await open(t);
    const slow = [];
    for (let i = 0; i < 5; i++) slow.push(await begin(t, world, composeEvent('verified')));
    await until(async () => (await arriving(world)) >= 5 * LENGTH, 'what was sent to arrive');
    for (const { raw, end } of slow) {
      end();
      assert.equal((await raw.answer()).status, 200);
    }
  });
});
