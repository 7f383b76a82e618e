// What becomes of an event when a mail or an onboarding update fails.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { Smtp } from '../lib/smtp.mjs';
import { World, key } from '../lib/world.mjs';

async function deadLetterOf(world, event) {
  const outcome = await world.outcome(event);
  assert.equal(outcome.outcome, 'dead');
  const letter = (await world.dead()).find((one) => one.event === event.id);
  return { ...letter, effects: outcome.effects };
}

describe('a mail', { concurrency: 8 }, () => {
  const passing = {
    'is busy (421 at the greeting)': { stage: 'connect', code: 421 },
    'refuses the sender for now (451)': { stage: 'mail', code: 451 },
    'refuses the recipient for now (450)': { stage: 'rcpt', code: 450 },
    'has no room (452)': { stage: 'data', code: 452 },
    'vanishes at the greeting': { stage: 'connect', drop: true },
    'vanishes after the recipient': { stage: 'rcpt', drop: true },
    'vanishes after the mail, before its answer': { stage: 'data', drop: true },
    'is too slow': { stage: 'data', delay: 5000, drop: true },
  };
  for (const [name, fault] of Object.entries(passing)) {
    test(`is sent when the server ${name}, and onboarding is told once`, async (t) => {
      const world = await World.open(t, { settings: fault.delay ? { IDENTIHOOK_SMTP_TIMEOUT: '2s' } : {} });
      const { session, event } = world.pair('verified');
      world.smtp.fail({ ...fault, times: 2 });
      const outcome = await world.carry(event);
      assert.deepEqual([outcome.outcome, outcome.effects], ['done', 'email,onboarding']);
      assert.equal(world.smtp.refused.items.length, 2);
      assert.equal(world.mailsTo(session).length, 1);
      assert.equal(world.updatesOf(event).length, 1);
    });
  }

  for (const [stage, code] of [
    ['mail', 550],
    ['rcpt', 550],
    ['data', 554],
  ]) {
    test(`that is refused for good (${code} at ${stage}) is dead, with the other effect kept`, async (t) => {
      const world = await World.open(t);
      const { session, event } = world.pair('verified');
      world.smtp.fail({ stage, code, message: `no mailbox ${session.provided_details.email}`, times: Infinity });
      await world.deliver(event);
      const letter = await deadLetterOf(world, event);
      assert.equal(letter.reason, 'email_refused');
      assert.match(letter.error, new RegExp(`SMTP ${code}`));
      assert.ok(!letter.error.includes(session.provided_details.email), 'the address is not in the reason');
      assert.equal(letter.effects, 'onboarding');
      assert.equal(world.smtp.refused.items.length, 1, 'it is not tried again');
      assert.equal(world.updatesOf(event).length, 1);
      const noted = Object.keys(await world.ledger(event)).filter((name) => !name.startsWith('tr')); // without the tries
      assert.deepEqual(noted.sort(), ['failed:email', 'onboarding']);
    });
  }

  test('waits for a server that is down', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MAX_ATTEMPTS: '1000' } });
    const { port } = world.smtp;
    await world.smtp.close();
    const { session, event } = world.pair('verified');
    await world.deliver(event);
    await world.program.logs.atLeast(
      3,
      ({ message, event: id }) => message === 'event will be tried again' && id === event.id,
    );
    world.smtp = await Smtp.start({ port });
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('to a person without an address is dead where that is wanted, with what to do about it', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MISSING_EMAIL: 'dead' } });
    const { event } = world.pair('verified', { provided_details: null });
    await world.deliver(event);
    const letter = await deadLetterOf(world, event);
    assert.equal(letter.reason, 'no_email_address');
    assert.match(letter.error, /provided_details\[email\]/);
    assert.equal(letter.effects, 'onboarding');
  });

  for (const email of [
    'a@b.example\r\nBcc: everybody@b.example',
    'a@b.example, c@d.example',
    'nobody',
    '<a@b.example>\n',
  ]) {
    test(`to ${JSON.stringify(email)} is not sent`, async (t) => {
      const world = await World.open(t);
      const { event } = world.pair('verified', { provided_details: { email } });
      await world.deliver(event);
      assert.equal((await deadLetterOf(world, event)).reason, 'bad_email_address');
      assert.deepEqual(world.smtp.mails.items, []);
    });
  }

  test('goes out encrypted when the server offers it', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    await world.carry(event);
    assert.equal(world.mailsTo(session)[0].encrypted, true);
  });

  test('goes through a server that wants a login', async (t) => {
    const logins = [];
    const smtp = await Smtp.start({
      authOptional: false,
      onAuth: ({ username, password }, session, done) => {
        logins.push([username, password]);
        done(null, { user: username });
      },
    });
    t.after(() => smtp.close());
    const settings = { SMTP_URL: smtp.url, SMTP_USERNAME: 'mailer', SMTP_PASSWORD: 'a-very-secret-password' };
    const world = await World.open(t, { settings });
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    assert.equal(smtp.mails.items.length, 1);
    assert.deepEqual(logins[0], ['mailer', 'a-very-secret-password']);
    assert.ok(!world.program.child.stderr.includes('a-very-secret-password'));
  });
});

describe('an update', { concurrency: 8 }, () => {
  const passing = {
    'answers 500': { status: 500 },
    'answers 503': { status: 503 },
    'answers 429': { status: 429 },
    'answers 408': { status: 408 },
    'answers 425': { status: 425 },
    'answers nothing in time': { hang: true },
    'closes the connection': { close: true },
    'resets the connection': { reset: true },
    'answers what is no HTTP': { garbage: true },
  };
  for (const [name, fault] of Object.entries(passing)) {
    test(`is posted again, alone, when the service ${name}`, async (t) => {
      const world = await World.open(t, { settings: fault.hang ? { IDENTIHOOK_ONBOARDING_TIMEOUT: '1s' } : {} });
      const { session, event } = world.pair('verified');
      world.onboarding.fail({ ...fault, times: 2 });
      const outcome = await world.carry(event);
      assert.deepEqual([outcome.outcome, outcome.effects], ['done', 'email,onboarding']);
      const updates = world.updatesOf(event);
      assert.equal(updates.length, 3);
      assert.equal(world.mailsTo(session).length, 1, 'the mail is not sent again');
      assert.deepEqual(new Set(updates.map(({ headers }) => headers['idempotency-key'])), new Set([event.id]));
      assert.deepEqual(new Set(updates.map(({ signature }) => signature)), new Set(['valid']));
    });
  }

  for (const status of [400, 401, 404, 410, 422]) {
    test(`that is refused (${status}) is dead, with the mail kept`, async (t) => {
      const world = await World.open(t);
      const { session, event } = world.pair('verified');
      world.onboarding.fail({ status, times: Infinity, body: { error: session.provided_details.email } });
      await world.deliver(event);
      const letter = await deadLetterOf(world, event);
      assert.equal(letter.reason, 'onboarding_refused');
      assert.match(letter.error, new RegExp(String(status)));
      assert.equal(letter.effects, 'email');
      assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
    });
  }

  for (const status of [200, 201, 202, 204]) {
    test(`that is answered ${status} is done`, async (t) => {
      const world = await World.open(t);
      world.onboarding.fail({ status });
      assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    });
  }

  test('is not carried elsewhere by a redirect', async (t) => {
    const world = await World.open(t);
    const { event } = world.pair('verified');
    world.onboarding.fail({ status: 307, headers: { Location: `${world.onboarding.url}/elsewhere` }, times: Infinity });
    await world.deliver(event);
    const letter = await deadLetterOf(world, event);
    assert.equal(letter.reason, 'onboarding_redirected');
    assert.match(letter.error, /IDENTIHOOK_ONBOARDING_URL/);
    assert.deepEqual(new Set(world.updatesOf(event).map(({ path }) => path)), new Set(['/identity']));
  });

  test('waits as long as Retry-After asks', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_CAP: '10s' } });
    const { event } = world.pair('verified');
    world.onboarding.fail({ status: 503, headers: { 'Retry-After': '2' } });
    assert.equal((await world.carry(event)).outcome, 'done');
    const [first, second] = world.updatesOf(event);
    assert.ok(second.at - first.at >= 2000, `posted again after ${second.at - first.at} ms`);
  });

  test('without a secret is posted unsigned', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_ONBOARDING_SECRET: undefined } });
    const { event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'done');
    const { headers } = world.updatesOf(event)[0];
    assert.equal(headers['webhook-signature'], undefined);
    assert.equal(headers['idempotency-key'], event.id);
  });
});

describe('of two effects', { concurrency: 8 }, () => {
  test('the second fails first: the first is not repeated', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('requires_input');
    world.onboarding.fail({ status: 500, times: 3 });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 4]);
  });

  test('the first fails: the second is done all the same, and not repeated', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('requires_input');
    world.smtp.fail({ stage: 'rcpt', code: 451, times: 3 });
    await world.deliver(event);
    await world.onboarding.updates.first((update) => update.event === event.id, 'the update');
    assert.equal((await world.outcome(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 1]);
  });

  test('both fail by turns: each is done once', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    world.smtp.fail({ stage: 'data', code: 451, times: 2 });
    world.onboarding.fail({ status: 503, times: 4 });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.deepEqual([world.mailsTo(session).length, world.updatesOf(event).length], [1, 5]);
  });

  test('one stays refused while the other passes only later: dead in the end, and the other done', async (t) => {
    const world = await World.open(t);
    const { session, event } = world.pair('verified');
    world.smtp.fail({ stage: 'rcpt', code: 550, times: Infinity });
    world.onboarding.fail({ status: 503, times: 2 });
    await world.deliver(event);
    const letter = await deadLetterOf(world, event);
    assert.equal(letter.reason, 'email_refused');
    assert.equal(letter.effects, 'onboarding');
    assert.equal(world.smtp.refused.items.length, 1, 'what is refused for good is not tried again');
    assert.equal(world.updatesOf(event).length, 3);
    assert.equal(world.mailsTo(session).length, 0);
    assert.equal(await world.redis.call('ZCARD', key('retry')), 0);
  });
});
