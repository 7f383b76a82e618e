// What happens when the program is killed, frozen, or told to end, in the middle of its work.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { send } from '../lib/http_client.mjs';
import { RawSocket, head } from '../lib/raw_socket.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';
import { until } from '../lib/wait.mjs';

const pending = async (world) => (await world.redis.call('XPENDING', key('events'), 'identihook'))[0];

/** Its end, and that it was soon. */
async function endsInTime(program, within = 20_000) {
  const started = Date.now();
  assert.deepEqual(await program.stop(within + 5000), { code: 0, signal: null }, program.child.stderr);
  assert.ok(Date.now() - started < within, `it took ${Date.now() - started} ms`);
}

describe('SIGKILL', { concurrency: 8 }, () => {
  test('between the answer 200 and everything else: another program does it all, once', async (t) => {
    const world = await World.open(t, { words: ['--role', 'ingest'] });
    const { session, event } = world.pair('verified');
    assert.equal((await world.deliver(event)).status, 200);
    await world.program.kill();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('during the fetch: another program takes over within IDENTIHOOK_CLAIM_AFTER', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    const release = world.stripe.hold();
    await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    await world.program.kill();
    release();
    const started = Date.now();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.ok(Date.now() - started < 5000, `it took ${Date.now() - started} ms`);
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('between fetch and effect: each effect once', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    const release = world.stripe.hold();
    await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    world.program.freeze();
    release(); // Stripe's answer now waits in the socket of a program that will never read it
    await world.program.kill();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.stripe.reads(session.id).length, 2);
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('between the first effect and the second: the first is not repeated', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    const release = world.onboarding.hold();
    await world.deliver(event);
    await world.onboarding.updates.atLeast(1);
    assert.deepEqual(Object.keys(await world.ledger(event)), ['email']);
    await world.program.kill();
    release();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.equal(world.mailsTo(session).length, 1);
    assert.deepEqual(
      new Set(world.updatesOf(event).map(({ headers }) => headers['idempotency-key'])),
      new Set([event.id]),
    );
  });

  test('between an effect and its entry in the ledger: it is repeated under the same key', async (t) => {
    const world = await World.open(t, { email: false });
    const { event } = world.pair('verified');
    const release = world.onboarding.hold();
    await world.deliver(event);
    await world.onboarding.updates.atLeast(1);
    await world.redis.call('CLIENT', 'PAUSE', 60_000, 'WRITE'); // reads go on, so that we can look
    release();
    await until(
      async () => /blocked_clients:[1-9]/.test(await world.redis.call('INFO', 'clients')),
      'the entry to be held back',
    );
    await world.program.kill();
    await world.redis.call('CLIENT', 'UNPAUSE');
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    const updates = world.updatesOf(event);
    assert.deepEqual(new Set(updates.map(({ headers }) => headers['idempotency-key'])), new Set([event.id]));
    assert.equal(updates.length, 2);
    assert.equal(updates[0].body, updates[1].body);
    assert.equal(world.outcomesOf(event).length, 1);
  });

  test('between the effects and the acknowledgement: nothing is repeated but the acknowledgement', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    await world.carry(event);
    // As it is when the program dies right before its last script: all done, but pending for a consumer that is gone.
    const [entry] = await world.redis.entries(key('events'));
    await world.program.kill();
    await world.redis.call('SET', key(`seen:${event.id}`), entry.received_ms, 'KEEPTTL');
    await world.redis.call('XCLAIM', key('events'), 'identihook', 'a-dead-one', '0', entry.id, 'FORCE');
    await world.start();
    await world.outcomes.atLeast(2, (outcome) => outcome.event === event.id, 'the outcome, for the second time');
    assert.equal(await pending(world), 0);
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(world.outcomesOf(event)[1].effects, 'email,onboarding');
  });

  test('of each owner, again and again: the event ends in the dead letters', async (t) => {
    const world = await World.open(t, { start: false, settings: { IDENTIHOOK_CLAIM_AFTER: '200ms' } });
    world.stripe.hold(); // an event that kills whoever has it
    await world.start();
    const poison = world.pair('verified');
    await world.deliver(poison.event);
    for (let deaths = 1; deaths <= 6; deaths++) {
      await world.stripe.requests.atLeast(deaths);
      await world.program.kill();
      await world.start();
    }
    assert.equal((await world.outcome(poison.event)).outcome, 'dead');
    const [letter] = await world.dead();
    assert.equal(letter.reason, 'owner_died_repeatedly');
    assert.equal(letter.payload, poison.event.body);
  });
});

describe('a frozen program', { concurrency: 8 }, () => {
  test('loses its events to another one, and repeats no effect when it wakes up', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    const release = world.stripe.hold();
    await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    const [sleeper] = world.programs;
    sleeper.freeze();
    release();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    sleeper.thaw();
    await sleeper.logs.first(({ message }) => /taken over by another/.test(message), 'the sleeper to notice');
    await world.settle();
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(world.outcomesOf(event).length, 1);
  });

  test('does not send the mails that still waited for a connection', async (t) => {
    const world = await World.open(t, { onboarding: false, settings: { IDENTIHOOK_SMTP_CONNECTIONS: '1', IDENTIHOOK_LOOPS: '1' } });
    const all = Array.from({ length: 5 }, () => world.pair('verified'));
    world.smtp.fail({ stage: 'data', delay: 3000 });
    await Promise.all(all.map(({ event }) => world.deliver(event)));
    const [sleeper] = world.programs;
    await world.smtp.arrived.atLeast(1); // and four wait behind it
    await until(async () => (await world.redis.call('KEYS', key('mail:*'))).length === 5, 'all of them to be written');
    sleeper.freeze();
    await world.start();
    for (const { event } of all) assert.equal((await world.outcome(event)).outcome, 'done');
    sleeper.thaw();
    await sleeper.logs.atLeast(5, ({ message }) => /taken over by another/.test(message), 'the sleeper to notice');
    await world.settle();
    assert.equal(world.smtp.arrived.items.length, 1 + 5 + 1);
  });

  test('that nobody else was there for goes on with its events, and does each once', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_CLAIM_AFTER: '300ms', IDENTIHOOK_LOOPS: '1' } });
    const { session, event } = world.pair('verified');
    const release = world.stripe.hold((request) => request.session === session.id);
    await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    world.program.freeze();
    await until(
      async () => (await world.redis.call('XPENDING', key('events'), 'identihook', 'IDLE', 400, '-', '+', 1)).length,
      'the event to look abandoned',
    );
    world.program.thaw();
    await world.settle();
    release();
    assert.equal((await world.outcome(event)).outcome, 'done');
    await world.settle();
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    assert.equal(world.outcomesOf(event).length, 1);
  });
});

describe('SIGTERM', { concurrency: 8 }, () => {
  test('ends an idle program at once', async (t) => {
    const world = await World.open(t);
    await endsInTime(world.program, 3000);
    await assert.rejects(send(world.program.url), /ECONNREFUSED/);
  });

  test('still answers the first request of a client that was there already', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_LOOPS: '1', IDENTIHOOK_MAX_CONNECTIONS: '2' } });
    const [used, unused, beyond] = [
      await RawSocket.open(world.program.url),
      await RawSocket.open(world.program.url),
      await RawSocket.open(world.program.url), // one more than are taken: it waits in the kernel's queue
    ];
    t.after(() => [used, unused, beyond].forEach((socket) => socket.close()));
    const request = head(world.program.url, { 'Content-Length': 0 });
    used.send(request);
    assert.equal((await used.answer()).status, 400); // the loop has taken two by now
    world.program.child.signal('SIGTERM');
    await used.closing();
    for (const socket of [unused, beyond]) {
      const { status, headers } = await socket.send(request).answer();
      assert.deepEqual([status, headers.connection], [400, 'close']);
    }
    assert.deepEqual(await world.program.child.ended, { code: 0, signal: null });
  });

  test('does not wait long for a client that says nothing', async (t) => {
    const world = await World.open(t);
    const silent = await RawSocket.open(world.program.url);
    t.after(() => silent.close());
    await until(
      async () => /^identihook_connections_open 1$/m.test((await world.program.look('/metrics')).text),
      'the connection to be taken',
    );
    await endsInTime(world.program, 5000);
  });

  test('hands back what waits for Stripe: another program takes it at once', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_CLAIM_AFTER: '1h' } });
    const { session, event } = world.pair('verified');
    const release = world.stripe.hold();
    await world.deliver(event);
    await world.stripe.requests.atLeast(1);
    await endsInTime(world.program, 5000);
    assert.equal(await pending(world), 0);
    assert.equal(await world.redis.call('ZCARD', key('retry')), 1);
    assert.deepEqual(
      await world.redis.call('XINFO', 'CONSUMERS', key('events'), 'identihook'),
      [],
      'no consumer stays behind',
    );
    release();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('lets an effect that has begun end, and records it', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_CLAIM_AFTER: '1h' } });
    const { session, event } = world.pair('verified');
    const release = world.onboarding.hold();
    await world.deliver(event);
    await world.onboarding.updates.atLeast(1);
    const ending = endsInTime(world.program);
    await until(async () => !(await send(world.program.url).catch(() => null)), 'the listener to be closed');
    release();
    await ending;
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('does not wait longer than IDENTIHOOK_SHUTDOWN_TIMEOUT for an effect', async (t) => {
    const world = await World.open(t, {
      settings: { IDENTIHOOK_SHUTDOWN_TIMEOUT: '500ms', IDENTIHOOK_CLAIM_AFTER: '1h' },
    });
    const { event } = world.pair('verified');
    const release = world.onboarding.hold();
    await world.deliver(event);
    await world.onboarding.updates.atLeast(1);
    await endsInTime(world.program, 5000);
    release();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual(
      new Set(world.updatesOf(event).map(({ headers }) => headers['idempotency-key'])),
      new Set([event.id]),
    );
  });

  test('in the middle of a flood loses nothing that was answered 200', async (t) => {
    const world = await World.open(t);
    const all = Array.from({ length: 100 }, () => world.pair('verified'));
    const [first] = world.programs;
    const sending = Promise.all(
      all.map(({ event }) => world.deliver(event, { program: first }).catch(() => ({ status: 0 }))),
    );
    await world.outcomes.atLeast(3);
    await endsInTime(first);
    const answers = await sending;
    await world.start();
    for (const [i, { session, event }] of all.entries()) {
      if (answers[i].status !== 200) continue;
      assert.equal((await world.outcome(event)).outcome, 'done');
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    }
  });
});

describe('a retry', { concurrency: 8 }, () => {
  test('survives the end of the program, with the tries counted on', async (t) => {
    const settings = { IDENTIHOOK_MAX_ATTEMPTS: '4', IDENTIHOOK_RETRY_BASE: '1s', IDENTIHOOK_RETRY_CAP: '1s' };
    const world = await World.open(t, { settings });
    const { session, event } = world.pair('verified');
    world.stripe.fail({ status: 503, times: Infinity });
    await world.deliver(event);
    await until(async () => (await world.redis.call('ZCARD', key('retry'))) === 1, 'a retry to be scheduled');
    await world.program.stop();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'dead');
    assert.equal((await world.dead())[0].attempts, '4');
    assert.equal(world.stripe.reads(session.id).length, 4);
  });

  test('survives the end of Redis as well', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_BASE: '1s', IDENTIHOOK_RETRY_CAP: '1s' } });
    const { event } = world.pair('verified');
    world.stripe.fail({ status: 503, times: 1 });
    await world.deliver(event);
    await until(async () => (await world.redis.call('ZCARD', key('retry'))) === 1, 'a retry to be scheduled');
    await world.program.kill();
    await world.redis.kill();
    await world.redis.start();
    await world.start();
    assert.equal((await world.outcome(event)).outcome, 'done');
  });
});

describe('signs of life', { concurrency: 8 }, () => {
  test('are given for each event, also for very many', async (t) => {
    const count = 300;
    const world = await World.open(t, { settings: { IDENTIHOOK_CONCURRENCY: '800', IDENTIHOOK_LOOPS: '1' } });
    const release = world.stripe.hold();
    const events = Array.from({ length: count }, () => world.pair('verified').event);
    await Promise.all(events.map((event) => world.deliver(event)));
    await until(async () => (await pending(world)) === count, 'all of them to be in process');
    // For some times as long as it takes to be taken over, none comes near to that.
    for (const end = Date.now() + 2500; Date.now() < end; ) {
      const silent = await world.redis.call('XPENDING', key('events'), 'identihook', 'IDLE', '900', '-', '+', '10');
      assert.deepEqual(silent, []);
    }
    release();
    await Promise.all(events.map((event) => world.outcome(event)));
    const { text } = await world.program.look('/metrics');
    assert.match(text, /events_taken_total\{source="claimed"\} 0\n/);
  });
});
