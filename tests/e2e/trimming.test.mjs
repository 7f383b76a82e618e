// What has ended goes from Redis by itself, and nothing else does.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { until } from '../lib/wait.mjs';
import { World, key } from '../lib/world.mjs';

const open = (t, settings = {}) => World.open(t, { settings: { IDENTIHOOK_TRIM_EVERY: '100ms', ...settings } });
const length = (world, name) => world.redis.call('XLEN', key(name));

describe('trimming', { concurrency: 8 }, () => {
  test('leaves of a finished event its mark against duplicates, and for a while what became of it', async (t) => {
    const world = await open(t, { IDENTIHOOK_HISTORY: '2s' });
    await world.start(); // two of them, of which one does it
    const all = Array.from({ length: 30 }, () => world.pair('verified').event);
    await Promise.all(all.map((event) => world.deliver(event)));
    for (const event of all) assert.equal((await world.outcome(event)).outcome, 'done');
    await until(async () => (await length(world, 'events')) === 0, 'the stream to be empty');
    const names = async () => (await world.redis.call('KEYS', key('*'))).filter((name) => /evt_|vs_/.test(name));
    const marks = all.map(({ id }) => key(`seen:${id}`)).sort();
    await until(async () => (await names()).length === marks.length, 'the ledgers to go');
    assert.deepEqual((await names()).sort(), marks);
    await until(async () => (await length(world, 'outcomes')) === 0, 'the outcomes to go');
    assert.equal((await world.deliver(all[0])).json.duplicate, true);
    await world.settle();
    const trimmed = await Promise.all(
      world.programs.map((program) => program.metric('entries_trimmed_total{stream="outcomes"}')),
    );
    assert.ok(trimmed[0] + trimmed[1] >= all.length);
  });

  test('waits for the groups of other services, and tells which of them does not go on', async (t) => {
    const world = await open(t, { IDENTIHOOK_GROUP_STALLED: '300ms' });
    await world.redis.call('XGROUP', 'CREATE', key('events'), 'billing', '0');
    const { event } = world.pair('verified');
    await world.carry(event);
    const told = await world.program.logs.first(({ message }) => /does not acknowledge/.test(message), 'a report');
    assert.deepEqual([told.stream, told.group], ['events', 'billing']);
    assert.equal(await length(world, 'events'), 1);
    assert.equal(await world.program.metric('groups_stalled'), 1);
    const [entry] = await world.redis.entries(key('events'));
    await world.redis.call('XREADGROUP', 'GROUP', 'billing', 'one', 'STREAMS', key('events'), '>');
    await world.redis.call('XACK', key('events'), 'billing', entry.id);
    await until(async () => (await length(world, 'events')) === 0, 'the event to go');
    await until(async () => (await world.program.metric('groups_stalled')) === 0, 'the group to be fine');
  });

  test('keeps what is to be tried again, whatever goes before and after it', async (t) => {
    const world = await open(t);
    const first = world.pair('verified');
    world.stripe.fail({ status: 503, times: 20, when: (request) => request.session === first.session.id });
    await world.deliver(first.event);
    await world.settle();
    await world.settle();
    assert.equal((await world.outcome(first.event)).outcome, 'dead');
    assert.equal((await world.dead())[0].payload, first.event.body);
    await until(async () => (await length(world, 'events')) === 0, 'the stream to be empty');
  });
});
