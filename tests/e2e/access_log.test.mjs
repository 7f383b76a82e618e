// What is logged of each answer of the webhook listener.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { composeEvent } from '../lib/events.mjs';
import { send } from '../lib/http_client.mjs';
import { until } from '../lib/wait.mjs';
import { World } from '../lib/world.mjs';

describe('the access log', () => {
  const open = (t, IDENTIHOOK_ACCESS_LOG) => World.open(t, { settings: { IDENTIHOOK_ACCESS_LOG } });
  const answered = (world) => world.program.logs.items.filter(({ message }) => message === 'request answered');
  const nowhere = (world) => send(new URL('/private-path-0815', world.program.url), { method: 'POST' });

  test('names every answer by the id that its client got, when all are asked for', async (t) => {
    const world = await open(t, 'all');
    const { event } = world.pair('verified');
    const first = await world.deliver(event);
    const again = await world.deliver(event);
    const missing = await nowhere(world);
    await until(() => answered(world).length === 3, 'three lines');
    assert.deepEqual(
      answered(world).map((line) => [line.level, line.status, line.code, line.event, line.request_id, line.peer]),
      [
        ['info', 200, 'queued', event.id, first.headers['x-request-id'], '127.0.0.1'],
        ['info', 200, 'duplicate', event.id, again.headers['x-request-id'], '127.0.0.1'],
        ['warn', 404, 'not_found', '', missing.headers['x-request-id'], '127.0.0.1'],
      ],
    );
    assert.ok(answered(world)[0].duration_us > 0);
    assert.ok(!JSON.stringify(world.program.logs.items).includes('private-path-0815'), 'the path is not logged');
  });

  test('has errors only, and those that are not explained elsewhere, by default', async (t) => {
    const world = await World.open(t);
    await world.deliver(world.pair('verified').event);
    await world.deliver(composeEvent('verified'), { secret: 'whsec_another' });
    await nowhere(world);
    await until(() => answered(world).length > 0, 'a line');
    assert.deepEqual(
      answered(world).map(({ code }) => code),
      ['not_found'],
    );
  });

  test('of errors is bounded, and tells how many were left out', async (t) => {
    const world = await open(t, 'errors');
    const begin = Date.now();
    for (let i = 0; i < 200; i++) await nowhere(world);
    const spent = Date.now() - begin;
    assert.ok(answered(world).length <= 2 + spent / 100, `${answered(world).length} lines in ${spent} ms`);
    const next = await until(async () => {
      await nowhere(world);
      return answered(world).findLast(({ suppressed }) => suppressed > 0);
    }, 'a line that tells how many were left out');
    assert.ok(next.suppressed > 0);
  });

  test('is silent when it is off', async (t) => {
    const world = await open(t, 'off');
    await nowhere(world);
    await world.deliver(world.pair('verified').event);
    await world.program.stop();
    assert.deepEqual(answered(world), []);
  });
});
