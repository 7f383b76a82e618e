// What an operator does with events that could not be carried to their outcome.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { World, composeEvent, key } from '../lib/world.mjs';

/** Dead letters as a worker leaves them, without the work. */
async function bury(world, count, given = {}) {
  for (let i = 0; i < count; i++) {
    const event = composeEvent('verified');
    const fields = {
      event: event.id,
      type: event.content.type,
      session: event.content.data.object.id,
      account: '',
      livemode: 'false',
      created: event.content.created,
      api_version: '2026-10-28.endive',
      received_ms: Date.now(),
      payload: event.body,
      reason: 'stripe_not_found',
      error: 'Stripe knows no such session',
      attempts: 1,
      failed_ms: Date.now(),
      ...given,
    };
    await world.redis.call('XADD', key('dead'), given.id ?? '*', ...Object.entries(fields).flat());
  }
  return world.dead();
}

const list = async (world, ...words) => {
  const { code, stdout, stderr } = await world.run(['dead', 'list', '--json', ...words]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
};

describe('dead list', { concurrency: 8 }, () => {
  test('tells what died and why, and nothing personal', async (t) => {
    const world = await World.open(t);
    const lost = composeEvent('verified'); // of no session that Stripe knows
    await world.carry(lost);
    const { dead, next } = await list(world);
    assert.equal(next, null);
    const [{ id, failed_ms, ...letter }] = dead;
    assert.match(id, /^\d+-\d+$/);
    assert.ok(failed_ms >= letter.received_ms);
    assert.deepEqual([letter.event, letter.session], [lost.id, lost.content.data.object.id]);
    assert.deepEqual([letter.reason, letter.attempts, letter.livemode], ['session_not_found', 1, false]);
    assert.match(letter.error, /\w/);
    assert.ok(!('payload' in letter));

    const { code, stdout, stderr } = await world.run(['dead', 'list']);
    assert.deepEqual([code, stderr], [0, '']);
    for (const word of [id, lost.id, 'session_not_found', letter.error]) assert.ok(stdout.includes(word), stdout);
    assert.ok(!stdout.includes('"object"'), stdout);
  });

  test('goes through many page by page', async (t) => {
    const world = await World.open(t, { start: false });
    const letters = await bury(world, 7);
    const found = [];
    for (let after = []; after; ) {
      const { dead, next } = await list(world, '--limit', '3', ...after);
      assert.ok(dead.length <= 3);
      found.push(...dead.map(({ event }) => event));
      after = next && ['--after', next];
    }
    assert.deepEqual(
      found,
      letters.map(({ event }) => event),
    );
    const { stdout, stderr } = await world.run(['dead', 'list', '--limit', '3']);
    assert.equal(stdout.split('\n').filter((line) => line.includes('evt_')).length, 3);
    assert.match(stderr, /--after \d+-\d+/);
  });

  test('looks further than one page for the few that fit', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 1201);
    await bury(world, 1, { event: 'evt_sought', reason: 'rare' });
    const { dead, next } = await list(world, '--reason', 'rare');
    assert.deepEqual([dead.map(({ event }) => event), next], [['evt_sought'], null]);
  });

  test('chooses by type, reason, session and time', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 1, { id: '1000-0', event: 'evt_old' });
    await bury(world, 1, { event: 'evt_other', type: 'identity.verification_session.requires_input' });
    await bury(world, 1, { event: 'evt_reason', reason: 'stripe_key_invalid' });
    await bury(world, 1, { event: 'evt_session', session: 'vs_1Chosen' });
    const choices = {
      evt_old: ['--until', '1970-01-02'],
      evt_other: ['--type', 'requires_input', '--since', '1h'],
      evt_reason: ['--reason', 'stripe_key_invalid'],
      evt_session: ['--session', 'vs_1Chosen', '--type', 'identity.verification_session.verified'],
    };
    for (const [event, words] of Object.entries(choices))
      assert.deepEqual(
        (await list(world, ...words)).dead.map((letter) => letter.event),
        [event],
      );
    assert.equal((await list(world, '--since', '1970-01-01T00:00:02Z')).dead.length, 3);
    assert.equal((await list(world, '--since', '1970-01-01T00:00:01Z')).dead.length, 4);
    assert.equal((await list(world, '--until', '1970-01-01T00:00:01Z')).dead.length, 0);
  });

  test('is empty when there is nothing', async (t) => {
    const world = await World.open(t, { start: false });
    assert.deepEqual(await list(world), { dead: [], next: null });
    const { code, stdout, stderr } = await world.run(['dead', 'list']);
    assert.deepEqual([code, stdout], [0, '']);
    assert.match(stderr, /no dead letters/);
  });

  test('writes nothing to the terminal that could command it', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 1, { error: 'the server said \u001b[2J\u009b2Jno' });
    const { stdout } = await world.run(['dead', 'list']);
    assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(stdout), JSON.stringify(stdout));
    assert.match(stdout, /no\n/);
  });

  test('exits 2 when it is used wrongly, and 1 when Redis is away', async (t) => {
    const world = await World.open(t, { start: false, settings: { IDENTIHOOK_ENQUEUE_TIMEOUT: '200ms' } });
    const wrong = [
      [],
      ['burn'],
      ['list', '--limit', '0'],
      ['list', '--since', 'yesterday'],
      ['list', '--until', '2026-13-01'],
      ['list', '--after', '1-0', '--since', '1h'],
      ['list', 'evt_1'],
      ['show'],
      ['show', 'evt_1', 'evt_2'],
      ['show', 'evt 1'],
    ];
    for (const words of wrong) {
      const { code, stdout, stderr } = await world.run(['dead', ...words]);
      assert.deepEqual([code, stdout], [2, ''], words.join(' '));
      assert.match(stderr, /usage: identihook dead/);
    }
    await world.redis.stop();
    const { code, stdout, stderr } = await world.run(['dead', 'list']);
    await world.redis.start();
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /Redis did not answer/);
  });

  test('says in Redis\'s words what Redis refuses', async (t) => {
    const world = await World.open(t, { start: false });
    await world.redis.call('SET', key('dead'), 'no stream');
    const { code, stderr } = await world.run(['dead', 'list']);
    assert.equal(code, 1);
    assert.match(stderr, /WRONGTYPE/);
  });

  test('helps', async (t) => {
    const world = await World.open(t, { start: false });
    for (const verb of ['list', 'show']) {
      const { code, stdout } = await world.run(['dead', verb, '--help']);
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`^usage: identihook dead ${verb}`));
    }
  });
});

describe('dead show', { concurrency: 8 }, () => {
  test('finds a letter by the event and by its own id, and shows the payload only when it is asked for', async (t) => {
    const world = await World.open(t, { start: false });
    const letters = await bury(world, 600);
    const { id, event, payload } = letters[550];
    for (const name of [event, id]) {
      const plain = await world.run(['dead', 'show', name]);
      assert.equal(plain.code, 0, plain.stderr);
      assert.match(plain.stdout, new RegExp(`^event +${event}$`, 'm'));
      assert.match(plain.stdout, /^died +20\d\d-\d\d-\d\d /m);
      assert.ok(!plain.stdout.includes('"object"'));
      const whole = await world.run(['dead', 'show', name, '--payload']);
      assert.ok(whole.stdout.includes(payload));
      const { code, stdout } = await world.run(['dead', 'show', name, '--payload', '--json']);
      assert.equal(code, 0);
      assert.equal(JSON.parse(stdout).payload, payload);
      assert.ok(!('payload' in JSON.parse((await world.run(['dead', 'show', name, '--json'])).stdout)));
    }
  });

  test('exits 1 when there is no such letter', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 1);
    for (const name of ['evt_unknown', '1-0']) {
      const { code, stdout, stderr } = await world.run(['dead', 'show', name]);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, new RegExp(name));
    }
  });
});
