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

    const { id, at_ms, ...rest } = outcome;
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
});
