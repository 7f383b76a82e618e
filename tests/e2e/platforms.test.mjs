// Every system of Stripe's guide "Verify your users' identity documents", as its clients and its server meet identihook: the web by
// modal and by redirect, iOS, Android, React Native, migrations from the web to each of them, one-off and static links of the
// Dashboard, verification flows, events with and without code, `stripe listen`. More of the same: our own page in pages.test.mjs,
// events with code in webhook.test.mjs and outcomes.test.mjs, the endpoint with curl, a form or JSON in sessions.test.mjs.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { openBrowser, openPage } from '../lib/browser.mjs';
import { newSecret } from '../lib/events.mjs';
import { send } from '../lib/http_client.mjs';
import { HttpServer } from '../lib/http_server.mjs';
import { token } from '../lib/stripe_api.mjs';
import { StripePages } from '../lib/stripe_pages.mjs';
import { userToken } from '../lib/user_token.mjs';
import { World, composeEvent } from '../lib/world.mjs';

const endpointOf = (program) => new URL('/create-verification-session', program.url).href;

/** A world whose application signs tokens; `given` are the headers of a client of its user. */
async function open(t, { settings = {}, ...options } = {}) {
  const secret = randomBytes(32).toString('hex');
  const world = await World.open(t, {
    ...options,
    settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: secret, IDENTIHOOK_LOOPS: '1', ...settings },
  });
  const user = `user_${token(8)}`;
  const bearer = userToken(user, secret, { email: `${user.toLowerCase()}@person.example` });
  const call = (headers = {}, body = '') =>
    send(endpointOf(world.program), { method: 'POST', headers: { Authorization: `Bearer ${bearer}`, ...headers }, body });
  return { world, user, bearer, call };
}

/** The checks of a session have ended; its event is sent, and carried to its outcome. */
async function conclude(world, id, { status = 'verified', code = null } = {}) {
  world.stripe.change(id, { status, last_error: code && { code, reason: 'A reason.' } });
  const event = composeEvent(status, { session: id });
  return { event, outcome: await world.carry(event) };
}

/** Somebody was verified: the mail went out, and onboarding was told who it is. */
async function checkVerified(world, id, user) {
  const { event, outcome } = await conclude(world, id);
  assert.deepEqual([outcome.outcome, outcome.user, outcome.effects], ['done', user, 'email,onboarding']);
  assert.equal(world.mailsTo(world.stripe.session(id)).length, 1);
  assert.deepEqual(
    world.updatesOf(event).map((update) => [update.type, update.user]),
    [['identity.verified', user]],
  );
}

// ---- the web

describe('the web', { concurrency: 2 }, () => {
  let browser;
  before(async () => {
    browser = await openBrowser();
  });
  after(() => browser.close());

  /** The application's own page, at an origin of its own, with the guide's code in it. */
  async function application(t, script) {
    const page = `<!doctype html><title>Shop</title><button id="verify-button">Verify</button>${script}`;
    const server = new HttpServer(() => ({ status: 200, headers: { 'Content-Type': 'text/html' }, body: page }));
    await server.listen();
    t.after(() => server.close());
    return server;
  }

  test('modal: the page passes the client secret to stripe.verifyIdentity()', async (t) => {
    const { world, user, bearer } = await open(t, { start: false });
    const stripe = await StripePages.start({ api: world.stripe, notify: () => {} });
    t.after(() => stripe.close());
    const shop = await application(t, `<script src="${stripe.script}"></script>`);
    const program = await world.start({ settings: { IDENTIHOOK_SESSION_ORIGINS: shop.url } });
    const { page } = await openPage(t, browser);
    await page.goto(shop.url);
    const result = page.evaluate(
      async ([url, authorization]) => {
        const response = await fetch(url, { method: 'POST', headers: { Authorization: authorization } });
        const session = await response.json();
        return window.Stripe('pk_test_1').verifyIdentity(session.client_secret);
      },
      [endpointOf(program), `Bearer ${bearer}`],
    );
    await page.frameLocator('iframe').getByRole('button', { name: 'verified', exact: true }).click();
    const { verificationSession } = await result;
    await checkVerified(world, verificationSession.id, user);
  });

  test('redirect: a form leads to the hosted page, which leads back to the return URL', async (t) => {
    const { world, user, bearer } = await open(t, { start: false });
    const stripe = await StripePages.start({ api: world.stripe, notify: () => {} });
    t.after(() => stripe.close());
    const shop = await application(t, '');
    const program = await world.start({
      settings: {
        IDENTIHOOK_SESSION_ORIGINS: shop.url,
        IDENTIHOOK_SESSION_INTEGRATION: 'redirect',
        IDENTIHOOK_SESSION_RETURN_URL: `${shop.url}/back`,
      },
    });
    const { page } = await openPage(t, browser);
    await page.goto(shop.url);
    await page.evaluate(
      ([url, given]) => {
        const form = Object.assign(document.createElement('form'), { method: 'post', action: url });
        form.append(Object.assign(document.createElement('input'), { type: 'hidden', name: 'access_token', value: given }));
        document.body.append(form);
        form.submit();
      },
      [endpointOf(program), bearer],
    );
    await page.waitForURL(`${stripe.url}/start/*`);
    await page.getByRole('button', { name: 'verified', exact: true }).click();
    await page.waitForURL(`${shop.url}/back`);
    await checkVerified(world, world.stripe.sessions[0].id, user);
  });

  test('redirect: a script gets the URL, and a used one anew', async (t) => {
    const { call } = await open(t, { settings: { IDENTIHOOK_SESSION_INTEGRATION: 'redirect' } });
    const first = await call();
    assert.deepEqual(Object.keys(first.json), ['id', 'url']);
    assert.match(first.json.url, /^https:\/\/verify\.stripe\.com\/start\/test_/);
    const second = await call();
    assert.equal(second.json.id, first.json.id);
    assert.notEqual(second.json.url, first.json.url);
  });
});

// ---- the mobile SDKs: each opens the session with its id and the ephemeral key's secret, and nothing else

const NATIVE = {
  // IdentityVerificationSheet(verificationSessionId:ephemeralKeySecret:configuration:), after a URLRequest of method POST
  iOS: { headers: { Accept: '*/*', 'User-Agent': 'Shop/1 CFNetwork/1494.0.7 Darwin/23.4.0' }, body: '' },
  // IdentityVerificationSheet.present(verificationSessionId, ephemeralKeySecret), after a POST with an empty body
  Android: { headers: { 'User-Agent': 'okhttp/4.12.0', 'Accept-Encoding': 'gzip' }, body: '' },
  // useStripeIdentity(fetchOptions), whose fetchOptions() gives sessionId, ephemeralKeySecret and brandLogo
  'React Native': { headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: '{}' },
};

/** What each SDK does with the two: asks Stripe for the page of that session. */
async function openNatively(world, { id, ephemeral_key_secret: secret }) {
  const { status, json } = await send(`${world.stripe.url}/v1/identity/verification_pages/${id}`, {
    headers: { Authorization: `Bearer ${secret}`, 'Stripe-Version': '2020-08-27; identity_client_api=v6' },
  });
  assert.deepEqual([status, json.id, json.status], [200, id, 'requires_input']);
}

describe('the mobile SDKs', { concurrency: 4 }, () => {
  for (const [name, { headers, body }] of Object.entries(NATIVE)) {
    test(`${name}: the app gets the session's id and an ephemeral key's secret`, async (t) => {
      const { world, user, call } = await open(t, { settings: { IDENTIHOOK_SESSION_INTEGRATION: 'native' } });
      const { status, json } = await call(headers, body);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(json), ['id', 'ephemeral_key_secret'], 'what that client needs, and no more');
      await openNatively(world, json);
      await assert.rejects(openNatively(world, json), 'the key lets one in once');
      const again = await call(headers, body);
      assert.equal(again.json.id, json.id);
      await openNatively(world, again.json);
      await checkVerified(world, json.id, user);
    });
  }
});

// ---- migrations: apps that are out, and apps to come, at one endpoint

describe('migrations', { concurrency: 4 }, () => {
  for (const [name, { headers }] of Object.entries(NATIVE)) {
    for (const [web, secret] of [
      ['modal', 'client_secret'],
      ['redirect', 'url'],
    ]) {
      test(`from the web's ${web} to ${name}: the old client is served as before, the new one beside it`, async (t) => {
        const { world, call } = await open(t, { settings: { IDENTIHOOK_SESSION_INTEGRATION: web } });
        const old = { headers: { 'Content-Type': 'application/json' }, body: '' };
        const fresh = { headers: { ...headers, 'Content-Type': 'application/json' }, body: '{"integration":"native"}' };
        const [earlier, later] = await Promise.all([call(old.headers, old.body), call(fresh.headers, fresh.body)]);
        assert.deepEqual(Object.keys(earlier.json), ['id', secret]);
        assert.deepEqual(Object.keys(later.json), ['id', 'ephemeral_key_secret']);
        assert.equal(earlier.json.id, later.json.id, 'one user, one session, whatever the client');
        await openNatively(world, later.json);
        assert.equal(world.stripe.sessions.length, 1);
      });
    }
  }
});

// ---- sessions that were not made here

describe('the Dashboard', { concurrency: 4 }, () => {
  test('one-off: the event of a session without a user is carried out all the same', async (t) => {
    const { world } = await open(t);
    const { id } = world.stripe.addSession({ provided_details: { email: 'one.off@person.example' } });
    const event = composeEvent('verified.dashboard', { session: id });
    const outcome = await world.carry(event);
    assert.deepEqual([outcome.outcome, outcome.user, outcome.effects], ['done', '', 'email,onboarding']);
    assert.equal(world.updatesOf(event)[0].user, null);
  });

  test('events without code: kinds that nothing waits for are answered 200, and not queued', async (t) => {
    const { world } = await open(t);
    for (const kind of ['created', 'processing', 'canceled', 'redacted']) {
      const { status, json } = await world.deliver(composeEvent(kind));
      assert.deepEqual([status, json], [200, { received: true, duplicate: false }], kind);
    }
    await world.settle();
    assert.equal(world.outcomes.items.length, 1);
  });
});

describe('verification flows', { concurrency: 4 }, () => {
  test('through the API: a session of the flow, for each kind of client', async (t) => {
    const { world, user, call } = await open(t, { settings: { IDENTIHOOK_SESSION_FLOW: 'vf_1Flow' } });
    const json = { 'Content-Type': 'application/json' };
    const [modal, redirect, native] = [
      (await call()).json,
      (await call(json, '{"integration":"redirect"}')).json,
      (await call(json, '{"integration":"native"}')).json,
    ];
    assert.ok(modal.client_secret && redirect.url && native.ephemeral_key_secret);
    const session = world.stripe.session(modal.id);
    assert.deepEqual([session.type, session.verification_flow], ['verification_flow', 'vf_1Flow']);
    await checkVerified(world, modal.id, user);
  });

  test('by a static link: the reference in the URL names the user, but is nobody\'s word', async (t) => {
    const { world, user, call } = await open(t);
    const own = (await call()).json.id;
    const link = world.stripe.addSession({
      type: 'verification_flow',
      verification_flow: 'vf_1Flow',
      client_reference_id: user, // whoever made the URL has chosen it
      provided_details: { email: 'prefilled@person.example' },
    });
    const event = composeEvent('verified.flow', { session: link.id });
    assert.deepEqual([(await world.carry(event)).user, world.updatesOf(event)[0].user], [user, user]);
    const again = await call();
    assert.deepEqual([again.status, again.json.id], [200, own], 'it verifies nobody here');
  });
});

// ---- events

describe('events', { concurrency: 4 }, () => {
  test('with code: verified and requires_input set off what they are to, and a failed check may be tried again', async (t) => {
    const { world, user, call } = await open(t);
    const { id } = (await call()).json;
    const failed = await conclude(world, id, { status: 'requires_input', code: 'document_expired' });
    assert.equal(failed.outcome.outcome, 'done');
    assert.deepEqual(world.updatesOf(failed.event)[0].reason.code, 'document_expired');
    const [mail] = world.mailsTo(world.stripe.session(id));
    assert.match(mail.text, /shop\.example\/verify/);
    const again = await call();
    assert.equal(again.json.id, id);
    const { event, outcome } = await conclude(world, id);
    assert.deepEqual([outcome.outcome, world.updatesOf(event)[0].user], ['done', user]);
  });

  test('forwarded by `stripe listen`: signed with its own secret, beside the endpoint\'s', async (t) => {
    const forwarding = newSecret();
    const own = newSecret();
    const { world } = await open(t, { settings: { STRIPE_WEBHOOK_SECRET: `${own},cli=${forwarding}` } });
    const headers = {
      Accept: '*/*; q=0.5, application/xml',
      'Accept-Encoding': 'gzip',
      'Cache-Control': 'no-cache',
      'Content-Type': 'application/json; charset=utf-8',
      'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    };
    for (const secret of [forwarding, own]) {
      const { event } = world.pair('verified');
      const answer = await world.deliver(event, { secret, headers });
      assert.equal(answer.status, 200, answer.text);
      assert.equal((await world.outcome(event)).outcome, 'done');
    }
    const stranger = await world.deliver(world.pair('verified').event, { secret: newSecret(), headers });
    assert.deepEqual([stranger.status, stranger.json.error.code], [400, 'signature_mismatch']);
  });
});
