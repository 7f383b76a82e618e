// The stand-in for Stripe's API, judged by Stripe's own library: what passes here may be trusted in the other tests.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import Stripe from 'stripe';

import { composeEvent } from '../lib/events.mjs';
import { StripeApi } from '../lib/stripe_api.mjs';

const SECRET = 'sk_test_secretKey';
const RESTRICTED = 'rk_test_restrictedKey';

async function open(t, options = {}, key = SECRET) {
  const api = await StripeApi.start(options);
  t.after(() => api.close());
  api.addKey(SECRET, { accounts: ['acct_1Shop'] });
  api.addKey(RESTRICTED, { sensitive: true });
  const { hostname, port } = new URL(api.url);
  const stripe = new Stripe(key, { host: hostname, port, protocol: 'http', maxNetworkRetries: 0 });
  return { api, sessions: stripe.identity.verificationSessions, events: stripe.events };
}

describe('the stand-in for the Stripe API', { concurrency: 8 }, () => {
  test('makes a session, shows it, cancels it, and then changes it no more', async (t) => {
    const { sessions } = await open(t);
    const made = await sessions.create({
      type: 'document',
      client_reference_id: 'user_1',
      metadata: { cart: '7' },
      provided_details: { email: 'ada@example.com' },
    });
    assert.deepEqual(
      [made.status, made.client_reference_id, made.metadata],
      ['requires_input', 'user_1', { cart: '7' }],
    );
    assert.match(made.url, /^https:\/\/verify\.stripe\.com\/start\//);
    assert.equal(made.provided_details, undefined, 'it has to be asked for');
    assert.match(made.lastResponse.requestId, /^req_/);
    const shown = await sessions.retrieve(made.id, { expand: ['provided_details'] });
    assert.deepEqual(shown.provided_details, { email: 'ada@example.com' });
    assert.equal((await sessions.update(made.id, { metadata: { cart: '8' } })).metadata.cart, '8');
    assert.equal((await sessions.cancel(made.id)).status, 'canceled');
    await assert.rejects(sessions.cancel(made.id), { type: 'StripeInvalidRequestError', statusCode: 400 });
    await assert.rejects(sessions.update(made.id, { metadata: {} }), { statusCode: 400 });
  });

  test('redacts', async (t) => {
    const { api, sessions } = await open(t);
    const { id } = api.addSession({ status: 'verified' });
    assert.deepEqual((await sessions.redact(id)).redaction, { status: 'processing' });
    api.change(id, { status: 'processing' });
    await assert.rejects(sessions.redact(id), { statusCode: 400 });
  });

  test('refuses what lacks a parameter, or has one too many', async (t) => {
    const { sessions } = await open(t);
    await assert.rejects(sessions.create({}), { code: 'parameter_missing', param: 'type' });
    await assert.rejects(sessions.create({ type: 'document', shoe_size: 43 }), {
      code: 'parameter_unknown',
      param: 'shoe_size',
    });
  });

  test('lists newest first, a page at a time', async (t) => {
    const { api, sessions } = await open(t);
    for (let i = 0; i < 7; i++) api.addSession({ created: 1_790_000_000 + i, status: i % 2 ? 'verified' : 'canceled' });
    const page = await sessions.list({ limit: 3 });
    assert.deepEqual([page.data.length, page.has_more], [3, true]);
    const all = [];
    for await (const session of sessions.list({ limit: 3 })) all.push(session.created - 1_790_000_000);
    assert.deepEqual(all, [6, 5, 4, 3, 2, 1, 0]);
    assert.equal((await sessions.list({ status: 'verified' })).data.length, 3);
    assert.equal((await sessions.list({ created: { gte: 1_790_000_005 } })).data.length, 2);
  });

  test('lists events by type, time and delivery, in both directions', async (t) => {
    const { api, events } = await open(t);
    const now = Math.floor(Date.now() / 1000);
    const made = Array.from({ length: 7 }, (_, i) =>
      api.addEvent(composeEvent(i % 2 ? 'verified' : 'created', { created: now - 100 + i }).content, {
        delivered: i < 5,
      }),
    );
    api.addEvent(composeEvent('verified', { created: now - 31 * 86_400 }).content);
    api.addEvent(composeEvent('verified.connect', { account: 'acct_1Shop' }).content, { account: 'acct_1Shop' });
    const ids = async (list) => (await list.autoPagingToArray({ limit: 100 })).map(({ id }) => id);
    const newest = made.map(({ id }) => id).reverse();
    const types = ['identity.verification_session.verified'];
    assert.deepEqual(await ids(events.list({ limit: 3 })), newest);
    assert.deepEqual(await ids(events.list({ limit: 2, ending_before: newest[6] })), newest.slice(0, 6).reverse());
    assert.deepEqual(await ids(events.list({ types })), [newest[1], newest[3], newest[5]]);
    assert.deepEqual(await ids(events.list({ delivery_success: false })), newest.slice(0, 2));
    assert.deepEqual(await ids(events.list({ created: { gte: now - 96 } })), newest.slice(0, 3));
    assert.equal((await events.list({}, { stripeAccount: 'acct_1Shop' })).data.length, 1);
    assert.equal((await events.list({ limit: 1 })).data[0].pending_webhooks, 1);
    api.addKey(SECRET, { events: false });
    await assert.rejects(events.list(), { type: 'StripePermissionError' });
  });

  test('answers once for an idempotency key', async (t) => {
    const { sessions } = await open(t);
    const make = (type) => sessions.create({ type }, { idempotencyKey: 'one' });
    const first = await make('document');
    assert.equal((await make('document')).id, first.id);
    await assert.rejects(make('id_number'), { type: 'StripeIdempotencyError' });
  });

  test('shows sensitive fields to a restricted key only', async (t) => {
    const expand = ['verified_outputs', 'verified_outputs.dob'];
    const { api, sessions } = await open(t);
    const { id } = api.addSession({ status: 'verified' });
    const plain = await sessions.retrieve(id, { expand: ['verified_outputs'] });
    assert.equal(plain.verified_outputs.first_name, 'Jenny');
    assert.equal(plain.verified_outputs.dob, undefined);
    await assert.rejects(sessions.retrieve(id, { expand }), { type: 'StripePermissionError' });
    const other = await open(t, {}, RESTRICTED);
    const { id: same } = other.api.addSession({ status: 'verified' });
    assert.deepEqual((await other.sessions.retrieve(same, { expand })).verified_outputs.dob, {
      day: 1,
      month: 1,
      year: 1901,
    });
    await assert.rejects(sessions.retrieve(id, { expand: ['shoe_size'] }), { statusCode: 400 });
  });

  test('knows keys, modes and accounts', async (t) => {
    const { api, sessions } = await open(t);
    const { id } = api.addSession({}, { account: 'acct_1Shop' });
    await assert.rejects(sessions.retrieve(id), { code: 'resource_missing', param: 'session', statusCode: 404 });
    assert.equal((await sessions.retrieve(id, {}, { stripeAccount: 'acct_1Shop' })).id, id);
    await assert.rejects(sessions.retrieve(id, {}, { stripeAccount: 'acct_1Other' }), {
      type: 'StripePermissionError',
    });
    const { id: live } = api.addSession({ livemode: true });
    await assert.rejects(sessions.retrieve(live), { code: 'resource_missing' });
    api.addKey(SECRET, { revoked: true });
    await assert.rejects(sessions.retrieve(id), { type: 'StripeAuthenticationError' });
  });

  test('limits the rate, and fails as it is told', async (t) => {
    const { api, sessions } = await open(t, { perSecond: 2 });
    const { id } = api.addSession();
    await sessions.retrieve(id);
    await sessions.retrieve(id);
    await assert.rejects(
      sessions.retrieve(id),
      ({ type, headers }) =>
        type === 'StripeRateLimitError' && headers['stripe-rate-limited-reason'] === 'endpoint-rate',
    );
    api.perSecond = Infinity;
    api.fail({ status: 500 });
    await assert.rejects(sessions.retrieve(id), { type: 'StripeAPIError', statusCode: 500 });
    api.fail({ close: true, times: 9 });
    await assert.rejects(sessions.retrieve(id), { type: 'StripeConnectionError' });
    api.recover();
    assert.equal((await sessions.retrieve(id)).id, id);
  });

  test('can be steered over HTTP', async (t) => {
    const { api, sessions } = await open(t);
    const steer = (method, path, body) =>
      fetch(`${api.url}/_control/${path}`, { method, body: body && JSON.stringify(body) });
    const { id } = await (await steer('POST', 'sessions', { status: 'processing' })).json();
    assert.equal((await sessions.retrieve(id)).status, 'processing');
    await steer('POST', 'faults', { status: 503, path: id });
    await assert.rejects(sessions.retrieve(id), { statusCode: 503 });
    await steer('POST', 'faults', { status: 503, times: 9 });
    await steer('DELETE', 'faults');
    await sessions.retrieve(id);
    const { data } = await (await steer('GET', 'requests')).json();
    assert.deepEqual(
      data.map(({ session }) => session),
      [id, id, id],
    );
  });
});
