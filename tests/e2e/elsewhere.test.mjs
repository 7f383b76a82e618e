// Sessions that the application has not made: of Dashboard links, of a flow's static link, of an app that gives no details.
// They may lack everything, and what they have may be anybody's word.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { World, composeEvent } from '../lib/world.mjs';

/** A session at Stripe and the event of tests/data/events that tells of it. */
function pair(world, name, given) {
  const session = world.stripe.addSession({ status: 'verified', provided_details: null, ...given });
  return { session, event: composeEvent(name, { session: session.id }) };
}

const DASHBOARD = { client_reference_id: null, metadata: {}, provided_details: null };
const LINK = { type: 'verification_flow', verification_flow: 'vf_1Shop', metadata: {}, client_reference_id: 'user_whoever' };

describe('a session made elsewhere', { concurrency: 8 }, () => {
  test('without user and address is told of, no mail goes out, and the outcome says so', async (t) => {
    const world = await World.open(t);
    const { event } = pair(world, 'verified.dashboard', DASHBOARD);
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.effects, outcome.skipped], ['done', 'onboarding', 'email']);
    const [update] = world.updatesOf(event);
    assert.deepEqual([update.user, update.user_source, update.user_trusted], [null, null, false]);
    assert.deepEqual(world.smtp.mails.items, []);
    assert.equal((await world.ledger(event))['skipped:email'], 'no_email_address');
    assert.equal(await world.program.metric('effects_total{effect="email",result="skipped"}'), 1);
    assert.match((await world.run(['explain', event.id])).stdout, /effect skipped: .*no_email_address/);
  });

  test('does not hold up what is left, nor is skipped again, when another effect has to be tried again', async (t) => {
    const world = await World.open(t);
    const { event } = pair(world, 'verified.dashboard', DASHBOARD);
    world.onboarding.fail({ status: 503, times: 2 });
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.effects, outcome.skipped], ['done', 'onboarding', 'email']);
    assert.equal(world.updatesOf(event).length, 3);
    assert.equal(await world.program.metric('effects_total{effect="email",result="skipped"}'), 1);
  });

  test('is no business of the onboarding service where a user is wanted', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MISSING_USER: 'skip' } });
    const { event } = pair(world, 'verified.dashboard', DASHBOARD);
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.effects, outcome.skipped], ['done', '', 'email,onboarding']);
    assert.deepEqual(world.updatesOf(event), []);
  });

  test('is a dead letter where the operator wants to hear of it', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MISSING_USER: 'dead' } });
    const { event } = pair(world, 'verified.dashboard', DASHBOARD);
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.skipped], ['dead', 'email']);
    assert.match((await world.dead())[0].error, /IDENTIHOOK_MISSING_USER/);
  });

  test('by a static link has a user whom anybody may have named, and is marked so', async (t) => {
    const world = await World.open(t);
    const { event } = pair(world, 'verified.flow', LINK);
    assert.equal((await world.carry(event)).outcome, 'done');
    const [update] = world.updatesOf(event);
    assert.deepEqual(
      [update.user, update.user_source, update.user_trusted],
      ['user_whoever', 'client_reference_id', false],
    );
  });

  test('by a static link is answered to the address that was verified, not to the one in the link', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_VERIFIED_OUTPUTS: 'email' } });
    const own = { email: 'own.address@person.example', first_name: null, last_name: null };
    const { event } = pair(world, 'verified.flow', {
      ...LINK,
      provided_details: { email: 'somebody.else@victim.example' },
      verified_outputs: own,
    });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.deepEqual(world.smtp.mails.items.map(({ envelope }) => envelope.to), [[own.email]]);
  });

  test('of a flow, but by the application, which has named the user in its metadata, is trusted', async (t) => {
    const world = await World.open(t);
    const { event } = pair(world, 'verified.flow', { ...LINK, metadata: { user_id: 'user_whoever' } });
    assert.equal((await world.carry(event)).outcome, 'done');
    assert.equal(world.updatesOf(event)[0].user_trusted, true);
  });
});
