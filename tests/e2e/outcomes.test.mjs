// What becomes of an event when all goes well.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { World, composeEvent, key } from '../lib/world.mjs';
import { RedisClient, pairs } from '../lib/redis.mjs';

describe('outcomes', { concurrency: 8 }, () => {
  test('a verified session is mailed to its person, told to onboarding, and recorded', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    const outcome = await world.carry(event);

    const { id, received_ms, at_ms, ...rest } = outcome;
    assert.deepEqual(rest, {
      event: event.id,
      type: 'identity.verification_session.verified',
      session: session.id,
      user: session.client_reference_id,
      status: 'verified',
      outcome: 'done',
      effects: 'email,onboarding',
    });
    assert.ok(Math.abs(Date.now() - at_ms) < 60_000, 'at_ms is the time of the outcome');
    assert.ok(received_ms <= at_ms && received_ms > at_ms - 60_000, 'received_ms is the time of the receipt');

    const [mail] = world.mailsTo(session);
    assert.equal(world.smtp.mails.items.length, 1);
    assert.deepEqual(mail.envelope, { from: 'identity@shop.example', to: [session.provided_details.email] });
    assert.equal(mail.from, '"Shop" <identity@shop.example>');
    assert.equal(mail.messageId, `<${event.id}.email@shop.example>`);
    assert.match(mail.subject, /confirmed/i);
    assert.match(mail.text, /identity has been confirmed/);
    assert.match(mail.html, /identity has been confirmed/);

    const [update] = world.updatesOf(event);
    assert.equal(world.onboarding.updates.items.length, 1);
    assert.deepEqual(JSON.parse(update.body), {
      type: 'identity.verified',
      event: event.id,
      session: session.id,
      user: session.client_reference_id,
      user_source: 'client_reference_id',
      user_trusted: true,
      status: 'verified',
      livemode: false,
      created: event.content.created,
      reason: null,
      verified_outputs: null,
    });
    assert.equal(update.headers['idempotency-key'], event.id);
    assert.equal(update.headers['webhook-id'], event.id);
    assert.equal(update.headers['content-type'], 'application/json');
    assert.equal(update.signature, 'valid');

    const ledger = await world.ledger(event);
    assert.deepEqual(Object.keys(ledger).sort(), ['email', 'onboarding']);
  });

  test('a failed session is mailed with the reason and the own page, and told to onboarding', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('requires_input');
    const outcome = await world.carry(event);
    assert.equal(outcome.outcome, 'done');
    assert.equal(outcome.status, 'requires_input');

    const [mail] = world.mailsTo(session);
    assert.match(mail.subject, /try .* again/i);
    for (const body of [mail.text, mail.html]) {
      assert.match(body, /document has expired/);
      assert.match(body, /https:\/\/shop\.example\/verify/);
      assert.doesNotMatch(body, /stripe\.com/);
    }

    const [update] = world.updatesOf(event);
    assert.equal(update.type, 'identity.requires_input');
    const { message, ...reason } = update.reason;
    assert.deepEqual(reason, { code: 'document_expired', retryable: true });
    assert.ok(message.length > 0);
  });

  for (const code of ['consent_declined', 'under_supported_age']) {
    test(`${code} cannot be tried again: the mail says so, and has no link`, async (t) => {
      const world = await World.open(t);
      const { session, event } = world.pair('requires_input', { last_error: { code, reason: 'x' } });
      assert.equal((await world.carry(event)).outcome, 'done');
      const [mail] = world.mailsTo(session);
      assert.doesNotMatch(mail.subject, /again/i);
      for (const body of [mail.text, mail.html]) assert.doesNotMatch(body, /https?:|try again/i);
      assert.equal(world.updatesOf(event)[0].reason.retryable, false);
    });
  }

  test('a code that nobody knows yet is handled like one that can be tried again', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('requires_input', {
      last_error: { code: 'a_code_of_tomorrow', reason: null },
    });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.match(world.mailsTo(session)[0].text, /https:\/\/shop\.example\/verify/);
    assert.equal(world.updatesOf(event)[0].reason.code, 'a_code_of_tomorrow');
  });

  test('what the session is now decides, not what the event says', async (t) => {
    const world = await World.open(t);
    const session = world.session('verified');
    const overtaken = composeEvent('requires_input', { session: session.id });
    const outcome = await world.carry(overtaken);
    assert.equal(outcome.outcome, 'superseded');
    assert.equal(outcome.status, 'verified');
    assert.equal(outcome.effects, '');
    assert.deepEqual(world.mailsTo(session), [], 'nobody who is verified is asked to try again');
    assert.deepEqual(world.updatesOf(overtaken), []);
    assert.equal(await world.redis.call('XLEN', key('dead')), 0);
  });

  test('an event counts while the redaction of its session is only under way', async (t) => {
    const world = await World.open(t);
    const { event } = world.pair('verified', { redaction: { status: 'processing' } });
    assert.equal((await world.carry(event)).outcome, 'done');
  });

  const superseding = {
    'verified, but being checked again': ['verified', 'processing', {}],
    'verified, but failed': ['verified', 'failed', {}],
    'verified, but redacted since': ['verified', 'verified', { redaction: { status: 'redacted' } }],
    'failed, but canceled since': ['requires_input', 'canceled', {}],
    'failed, but being checked again': ['requires_input', 'processing', {}],
    'failed, but begun anew (no error any more)': ['requires_input', 'requires_input', {}],
    'verified, but of a status that nobody knows yet': ['verified', 'a_status_of_tomorrow', {}],
  };
  for (const [name, [kind, status, given]] of Object.entries(superseding)) {
    test(`an event is superseded when its session is ${name}`, async (t) => {
      const world = await World.open(t);
      const session = world.session(status, given);
      const event = composeEvent(kind, { session: session.id });
      assert.equal((await world.carry(event)).outcome, 'superseded');
      assert.deepEqual([world.mailsTo(session), world.updatesOf(event)], [[], []]);
    });
  }

  test('a failure without a code still reaches its person', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('requires_input', { last_error: { code: null, reason: null } });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.mailsTo(session).length, 1);
  });

  test('events that ask for nothing reach their outcome without a question to Stripe', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_EVENTS: 'created,processing,canceled' } });
    for (const kind of ['created', 'processing', 'canceled']) {
      const outcome = await world.carry(composeEvent(kind));
      assert.equal(outcome.outcome, 'done');
      assert.equal(outcome.effects, '');
    }
    assert.deepEqual(world.stripe.requests.items, []);
  });

  test('the question to Stripe carries the key, the version and what is to be expanded', async (t) => {
    const world = await World.open(t, { settings: { STRIPE_API_VERSION: '2026-10-28.endive' } });
    const { session, event } = world.pair('verified');
    await world.carry(event);
    const [read, ...more] = world.stripe.reads(session.id);
    assert.deepEqual(more, []);
    assert.equal(read.path, `/v1/identity/verification_sessions/${session.id}`);
    assert.deepEqual(read.query.getAll('expand[]'), ['provided_details']);
    assert.equal(read.headers.authorization, `Bearer ${world.key}`);
    assert.equal(read.headers['stripe-version'], '2026-10-28.endive');
    assert.equal(read.headers['stripe-account'], undefined);
  });

  test('for a connected account it names the account', async (t) => {
    const world = await World.open(t);
    const event = composeEvent('verified.connect');
    const { account } = event.content;
    world.stripe.addKey(world.key, { accounts: [account] });
    const session = world.session('verified', { id: event.session, livemode: event.content.livemode }, { account });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.stripe.reads(session.id)[0].headers['stripe-account'], account);
    assert.equal(world.mailsTo(session).length, 1);
  });

  test('only the chosen verified fields are asked for, and passed on', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name,last_name,dob' } });
    const { session, event } = world.pair('verified');
    await world.carry(event);
    assert.deepEqual(world.stripe.reads(session.id)[0].query.getAll('expand[]').sort(), [
      'provided_details',
      'verified_outputs',
      'verified_outputs.dob',
    ]);
    assert.deepEqual(world.updatesOf(event)[0].verified_outputs, {
      first_name: 'Jenny',
      last_name: 'Rosen',
      dob: { day: 1, month: 1, year: 1901 },
    });
  });

  test('the address comes from the verified outputs when none was given', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_VERIFIED_OUTPUTS: 'email' } });
    const { event } = world.pair('verified', {
      provided_details: null,
      verified_outputs: { email: 'checked@person.example' },
    });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.deepEqual(world.smtp.mails.items[0].envelope.to, ['checked@person.example']);
  });

  test('the user is the client reference, else the metadata, else nobody', async (t) => {
    const world = await World.open(t);
    const given = { client_reference_id: null, metadata: { user_id: 'user_of_metadata' } };
    assert.equal((await world.carry(world.pair('verified', given).event)).user, 'user_of_metadata');
    const nobody = world.pair('verified', { client_reference_id: null }).event;
    assert.equal((await world.carry(nobody)).user, '');
    assert.equal(world.updatesOf(nobody)[0].user, null);
  });

  test('the actions run in their order, the next when the one before has ended', async (t) => {
    const settings = { IDENTIHOOK_ACTIONS_VERIFIED: 'onboarding,email', IDENTIHOOK_ACTIONS_REQUIRES_INPUT: 'email' };
    const world = await World.open(t, { settings });
    const release = world.onboarding.hold();
    const { session, event } = world.pair('verified');
    await world.deliver(event);
    await world.onboarding.updates.first((update) => update.event === event.id, 'the update');
    assert.deepEqual(world.mailsTo(session), []);
    release();
    assert.equal((await world.outcome(event)).effects, 'onboarding,email');
    const failed = world.pair('requires_input');
    assert.equal((await world.carry(failed.event)).effects, 'email');
    assert.deepEqual(world.updatesOf(failed.event), []);
  });

  test('without a target there is nothing to do, and the outcome tells how the session stands', async (t) => {
    const world = await World.open(t, { email: false, onboarding: false });
    const { session, event } = world.pair('verified');
    const { outcome, effects, status, user } = await world.carry(event);
    assert.deepEqual([outcome, effects, status, user], ['done', '', 'verified', session.client_reference_id]);
    const late = composeEvent('requires_input', { session: session.id });
    assert.equal((await world.carry(late)).outcome, 'superseded');
  });

  test('another consumer group reads the same entries', async (t) => {
    const world = await World.open(t);
    await world.redis.call('XGROUP', 'CREATE', key('events'), 'billing', '0', 'MKSTREAM');
    const events = [world.pair('verified').event, world.pair('requires_input').event];
    for (const event of events) await world.carry(event);
    const client = await RedisClient.connect(world.redis.socket);
    const [[, entries]] = await client.call('XREADGROUP', 'GROUP', 'billing', 'one', 'STREAMS', key('events'), '>');
    client.close();
    const read = entries.map(([, fields]) => pairs(fields));
    assert.deepEqual(
      read.map(({ event, payload }) => [event, payload]),
      events.map(({ id, body }) => [id, body]),
    );
    const groups = (await world.redis.call('XINFO', 'GROUPS', key('events'))).map(pairs);
    assert.deepEqual(groups.map(({ name, pending }) => [name, pending]).sort(), [
      ['billing', 2],
      ['identihook', 0],
    ]);
  });

  test('two hundred events at once all reach it, each once', async (t) => {
    const world = await World.open(t);
    const all = Array.from({ length: 200 }, (_, i) => world.pair(i % 2 ? 'verified' : 'requires_input'));
    const answers = await Promise.all(all.map(({ event }) => world.deliver(event)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    await Promise.all(all.map(({ event }) => world.outcome(event)));
    for (const { session, event } of all) {
      assert.equal(world.outcomesOf(event).length, 1);
      assert.equal(world.mailsTo(session).length, 1);
      assert.equal(world.updatesOf(event).length, 1);
    }
  });

  test('two programs share the events, each once', async (t) => {
    const world = await World.open(t);
    const other = await world.start();
    const all = Array.from({ length: 60 }, () => world.pair('verified'));
    const programs = [world.programs[0], other];
    await Promise.all(all.map(({ event }, i) => world.deliver(event, { program: programs[i % 2] })));
    await Promise.all(all.map(({ event }) => world.outcome(event)));
    for (const { session, event } of all)
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('outcomes, dead letters apart, hold no personal data', async (t) => {
    const settings = { IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name,last_name,dob,address,id_number,phone' };
    const world = await World.open(t, { settings });
    const { session, event } = world.pair('verified', { provided_details: { email: 'very.personal@person.example' } });
    await world.carry(event);
    const text = JSON.stringify([world.outcomes.items, await world.ledger(event)]);
    for (const word of ['very.personal', 'Jenny', 'Rosen', 'Main St', session.provided_details.email]) {
      assert.ok(!text.includes(word), `${word} stands in ${text}`);
    }
  });
});
