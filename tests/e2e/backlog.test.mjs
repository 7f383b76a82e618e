// What /metrics tells of the events that wait in Redis: workers are scaled, and people woken, by it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { World, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const INTERVAL_MS = 5000; // BACKLOG_WATCH_INTERVAL_MS
const events = (state) => `backlog_events{state="${state}"}`;
const tells = (program, name, value) =>
  until(async () => (await program.metric(name)) === value, `${name} to be ${value}`, 4 * INTERVAL_MS);

describe('the backlog in /metrics', { concurrency: 8 }, () => {
  test('of ingest alone tells each waiting event and its age, before there ever was a worker and after', async (t) => {
    const world = await World.open(t, { words: ['--role', 'ingest'] });
    const [ingest] = world.programs;
    for (let i = 0; i < 3; i++) await world.deliver(world.pair('verified').event);
    await tells(ingest, events('unread'), 3);
    const worker = await world.start({ words: ['--role', 'worker'] });
    await tells(ingest, events('unread'), 0);
    await worker.stop();
    await world.deliver(world.pair('verified').event, { program: ingest });
    await tells(ingest, events('unread'), 1);
    assert.ok((await ingest.metric('backlog_oldest_seconds{state="unread"}')) > 0);
  });

  test('tells what is in process, before another try, and dead', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' }, email: false });
    const { program } = world;
    const release = world.onboarding.hold();
    await world.deliver(world.pair('verified').event);
    await world.onboarding.updates.atLeast(1);
    await tells(program, events('in_process'), 1);
    release();
    world.stripe.fail({ status: 500, times: 1 });
    await world.deliver(world.pair('verified').event);
    await tells(program, events('retrying'), 1);
    await world.redis.call('XADD', key('dead'), '*', 'event', 'evt_1');
    await tells(program, events('dead'), 1);
  });
});
