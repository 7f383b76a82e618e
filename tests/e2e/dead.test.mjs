// What an operator does with events that could not be carried to their outcome.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Child } from '../lib/child.mjs';
import { binary, environment } from '../lib/identihook.mjs';
import { until } from '../lib/wait.mjs';
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
    for (const verb of ['list', 'show', 'replay', 'discard']) {
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

const act = async (world, verb, ...words) => {
  const { code, stdout, stderr } = await world.run(['dead', verb, '--json', ...words]);
  return { code, stderr, ...JSON.parse(stdout) };
};

const acts = (world) => world.redis.entries(key('acts'));

describe('dead replay', { concurrency: 8 }, () => {
  test('carries an event to its outcome after what was wrong is mended, and tells who did it and why', async (t) => {
    const world = await World.open(t);
    const event = composeEvent('verified');
    await world.carry(event); // of no session that Stripe knows: dead
    const session = world.session('verified', { id: event.session });
    const { code, replayed } = await act(world, 'replay', event.id, '--reason', 'the key was of another account');
    assert.equal(code, 0);
    assert.equal(replayed.length, 1);
    await world.outcomes.first((one) => one.event === event.id && one.outcome === 'done', 'the second outcome');
    assert.equal(world.mailsTo(session).length, 1);
    assert.equal(world.updatesOf(event).length, 1);
    assert.deepEqual(await world.dead(), []);

    const [written, ...more] = await acts(world);
    assert.deepEqual(more, []);
    assert.deepEqual(
      [written.act, written.event, written.session, written.reason, written.dead_reason, written.entry],
      ['replay', event.id, session.id, 'the key was of another account', 'session_not_found', replayed[0].entry],
    );
    assert.match(written.by, /^.+@.+$/);
    assert.ok(!('payload' in written));

    const { events } = JSON.parse((await world.run(['explain', event.id, '--json'])).stdout);
    const told = events[0].timeline.map(({ what }) => what);
    assert.deepEqual(
      told.filter((what) => what !== 'queued'), // of which the stream knows until it is trimmed
      ['created', 'received', 'try_failed', 'died', 'replayed', 'effect_done', 'effect_done', 'done'],
    );
    const replay = events[0].timeline.find(({ what }) => what === 'replayed');
    assert.deepEqual([replay.by, replay.error], [written.by, 'the key was of another account']);
    assert.ok(events[0].timeline.some(({ what, reason }) => what === 'try_failed' && reason === 'session_not_found'));
  });

  test('repeats no effect that is done, and tries what had failed for good again', async (t) => {
    const world = await World.open(t);
    const { event, session } = world.pair('verified');
    world.onboarding.fail({ status: 410 });
    assert.equal((await world.carry(event)).outcome, 'dead');
    assert.equal((await act(world, 'replay', event.id)).code, 0);
    await world.outcomes.first((one) => one.event === event.id && one.outcome === 'done', 'the second outcome');
    assert.equal(world.mailsTo(session).length, 1);
    const ledger = await world.ledger(event);
    assert.ok(ledger.email && ledger.onboarding && !ledger['failed:onboarding'], JSON.stringify(ledger));
  });

  test('gives a fresh count of tries', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MAX_ATTEMPTS: '2' } });
    const { event } = world.pair('verified');
    world.stripe.fail({ status: 500, times: 2 });
    assert.equal((await world.carry(event)).outcome, 'dead');
    world.stripe.fail({ status: 500, times: 1 });
    assert.equal((await act(world, 'replay', event.id)).code, 0);
    await world.outcomes.first((one) => one.event === event.id && one.outcome === 'done', 'the second outcome');
  });

  test('takes no scope for granted: without ids, a filter or --all nothing happens', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 3);
    const wrong = [
      [],
      ['--dry-run'],
      ['--all', '--type', 'verified'],
      ['evt_1', '--all'],
      ['evt_1', '--session', 'vs_1'],
      ['evt 1'],
      ['--all', '--rate', 'fast'],
    ];
    for (const verb of ['replay', 'discard'])
      for (const words of wrong) {
        const { code, stdout, stderr } = await world.run(['dead', verb, ...words]);
        assert.deepEqual([code, stdout], [2, ''], words.join(' '));
        assert.match(stderr, new RegExp(`usage: identihook dead ${verb}`));
      }
    assert.equal((await world.dead()).length, 3);
  });

  test('of a filter leaves the others, and --dry-run all of them', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 2);
    await bury(world, 2, { reason: 'stripe_key_invalid' });
    const filter = ['--with-reason', 'stripe_key_invalid', '--since', '1h'];
    const dry = await act(world, 'replay', ...filter, '--dry-run');
    assert.deepEqual([dry.code, dry.dry_run, dry.replayed.length], [0, true, 2]);
    assert.equal((await world.dead()).length, 4);
    assert.equal(await world.redis.call('XLEN', key('events')), 0);
    const { code, replayed } = await act(world, 'replay', ...filter);
    assert.deepEqual([code, replayed.map(({ event }) => event)], [0, dry.replayed.map(({ event }) => event)]);
    assert.deepEqual(
      (await world.dead()).map(({ reason }) => reason),
      ['stripe_not_found', 'stripe_not_found'],
    );
    const entries = await world.redis.entries(key('events'));
    assert.equal(entries.length, 2);
    assert.ok(entries.every(({ payload, reason }) => payload && reason === undefined));
  });

  test('of several ids tells which ones are missing, and exits 1', async (t) => {
    const world = await World.open(t, { start: false });
    const [first, second] = await bury(world, 3);
    const { code, stdout, stderr } = await world.run(['dead', 'replay', first.event, 'evt_missing', second.id]);
    assert.equal(code, 1);
    assert.match(stderr, /evt_missing is not among the dead letters/);
    assert.match(stderr, /2 replayed/);
    assert.equal(stdout.match(/replayed as \d+-\d+/g).length, 2);
    assert.equal((await world.dead()).length, 1);
  });

  test('twice at once happens once', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 400);
    const results = await Promise.all([1, 2, 3].map(() => act(world, 'replay', '--all')));
    for (const { code } of results) assert.equal(code, 0);
    const total = results.reduce((sum, { replayed }) => sum + replayed.length, 0);
    assert.equal(total, 400);
    const events = (await world.redis.entries(key('events'))).map(({ event }) => event);
    assert.deepEqual([events.length, new Set(events).size], [400, 400]);
    assert.deepEqual(await world.dead(), []);
    assert.equal((await acts(world)).length, 400);
  });

  test('killed in its midst has each event in exactly one place', async (t) => {
    const world = await World.open(t, { start: false });
    const letters = await bury(world, 500);
    const child = new Child(binary(), ['dead', 'replay', '--all'], { env: environment(world.settings) });
    await until(async () => (await world.redis.call('XLEN', key('events'))) > 20, 'some of them to be replayed');
    await child.stop('SIGKILL');
    const places = [...(await world.redis.entries(key('events'))), ...(await world.dead())].map(({ event }) => event);
    assert.deepEqual(places.sort(), letters.map(({ event }) => event).sort());
    assert.equal((await act(world, 'replay', '--all')).code, 0);
    assert.equal(await world.redis.call('XLEN', key('events')), 500);
  });

  test('keeps to its rate', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 5);
    const started = Date.now();
    assert.equal((await act(world, 'replay', '--all', '--rate', '10/s')).code, 0);
    assert.ok(Date.now() - started >= 400);
  });

  test('of all ends, even when they die again at once', async (t) => {
    const world = await World.open(t);
    await bury(world, 30);
    const { code, replayed } = await act(world, 'replay', '--all', '--rate', '100/s');
    assert.deepEqual([code, replayed.length], [0, 30]);
    await until(async () => (await world.dead()).length === 30, 'all of them to die again');
  });

  test('is younger than the end of its first life, whatever the clock says', async (t) => {
    const world = await World.open(t);
    const { event } = world.pair('verified');
    await bury(world, 1, { event: event.id, session: event.session });
    await world.redis.call('SET', key(`seen:${event.id}`), -(Date.now() + 60_000), 'PX', 600_000);
    assert.equal((await act(world, 'replay', event.id)).code, 0);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });

  test('says when Stripe may not give what is sensitive any more', async (t) => {
    const world = await World.open(t, { start: false });
    await bury(world, 1, { created: Math.floor(Date.now() / 1000) - 49 * 3600 });
    await bury(world, 1);
    const told = await world.run(['dead', 'replay', '--all', '--dry-run'], { IDENTIHOOK_VERIFIED_OUTPUTS: 'dob' });
    assert.match(told.stderr, /1 of them are older than 48 hours/);
    const plain = await world.run(['dead', 'replay', '--all', '--dry-run'], { IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name' });
    assert.ok(!plain.stderr.includes('48 hours'));
  });
});

describe('dead discard', { concurrency: 8 }, () => {
  test('throws away, in writing; a resend is a duplicate, and the ledger goes with time', async (t) => {
    const world = await World.open(t);
    const event = composeEvent('verified');
    await world.carry(event);
    const dry = await act(world, 'discard', event.id, '--dry-run');
    assert.deepEqual([dry.code, dry.discarded.length, (await world.dead()).length], [0, 1, 1]);
    const { code, discarded } = await act(world, 'discard', event.id, '--reason', 'a test of ours');
    assert.deepEqual([code, discarded.map((letter) => letter.event)], [0, [event.id]]);
    assert.deepEqual(await world.dead(), []);
    const [written] = await acts(world);
    assert.deepEqual([written.act, written.event, written.reason], ['discard', event.id, 'a test of ours']);
    assert.ok((await world.redis.call('PTTL', key(`effects:${event.id}`))) > 0);
    assert.equal((await world.deliver(event)).json.duplicate, true);
    const text = await world.run(['explain', event.id]);
    assert.match(text.stdout, /discarded - .+: a test of ours/);
    assert.equal((await act(world, 'discard', event.id)).code, 1, 'it has gone');
  });
});
