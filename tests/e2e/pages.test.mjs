// The pages on which people verify themselves, in a real browser, with a stand-in for Stripe.js.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';

import { barriers, openBrowser, openPage, picture } from '../lib/browser.mjs';
import { send } from '../lib/http_client.mjs';
import { token } from '../lib/stripe_api.mjs';
import { CLIENT_ERRORS, StripePages } from '../lib/stripe_pages.mjs';
import { userToken } from '../lib/user_token.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent } from '../lib/world.mjs';

let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

/** A world with pages, and somebody who has opened the first one. */
async function open(t, { settings = {}, modal = true, seconds = 600, look = {}, at = '/verify', ...options } = {}) {
  const secret = randomBytes(32).toString('hex');
  const world = await World.open(t, { email: false, onboarding: false, start: false, ...options });
  const stripe = await StripePages.start({
    api: world.stripe,
    notify: (kind, { id }) => world.deliver(composeEvent(kind, { session: id })),
  });
  t.after(() => stripe.close());
  await world.start({
    settings: {
      IDENTIHOOK_LOOPS: '1',
      IDENTIHOOK_SESSION_TOKEN_SECRET: secret,
      IDENTIHOOK_BRAND_NAME: 'Example Shop',
      IDENTIHOOK_SUPPORT_ADDRESS: 'help@shop.example',
      IDENTIHOOK_ALTERNATIVE_PAGE: 'https://shop.example/otherwise',
      STRIPE_JS_URL: stripe.script,
      ...(modal && { STRIPE_PUBLISHABLE_KEY: 'pk_test_1' }),
      ...settings,
    },
  });
  const user = `user_${token(8)}`;
  const bearer = userToken(user, secret, { seconds, email: `${user}@person.example` });
  const base = new URL(world.program.url).origin;
  const { page, context, complaints } = await openPage(t, browser, look);
  t.after(() => {
    assert.deepEqual(complaints, []);
    assert.ok(!world.program.child.stderr.includes(bearer), 'the token is in no log');
  });
  if (at) await page.goto(`${base}${at}#token=${bearer}`);
  const button = page.getByRole('button', { name: /verify my identity|try again/i });
  const choose = (outcome) => page.frameLocator('iframe').getByRole('button', { name: outcome, exact: true }).click();
  const title = page.getByRole('heading', { level: 1 });
  return { world, stripe, secret, bearer, base, page, context, button, choose, title };
}

const shows = (locator, text) => locator.filter({ hasText: text }).waitFor();
const creations = (world) => world.stripe.requests.items.filter(({ method, path }) => method === 'POST' && path.endsWith('sessions'));

describe('the page with the button', { concurrency: 2 }, () => {
  test('opens the modal, and the confirmation page follows what comes of it', async (t) => {
    const { world, stripe, page, base, button, choose, title } = await open(t);
    assert.equal(page.url(), `${base}/verify`, 'the token has left the address bar');
    await picture(page, 'verify-phone');
    await button.click();
    await choose('verified');
    await page.waitForURL(`${base}/verify/submitted`);
    await shows(title, 'We are checking');
    await picture(page, 'submitted-phone');
    assert.deepEqual(await barriers(page), []);
    const [session] = world.stripe.sessions;
    assert.equal(session.status, 'processing');
    await stripe.conclude(session.id);
    await shows(title, 'Your identity is confirmed');
    await picture(page, 'confirmed-phone');
    assert.deepEqual(await barriers(page), []);
    assert.equal(await page.title(), 'Your identity is confirmed – Example Shop');
    await page.goto(`${base}/verify`);
    await page.waitForURL(`${base}/verify/submitted`); // nothing more is to be done there
  });

  test('has a message, and what to do, for each error of Stripe.js', async (t) => {
    const { page, button, choose } = await open(t, { settings: { IDENTIHOOK_SESSION_ATTEMPTS: '99' } });
    const alert = page.getByRole('alert');
    const said = new Set();
    for (const code of Object.keys(CLIENT_ERRORS).filter((one) => one !== 'under_supported_age')) {
      await button.click();
      await choose(code);
      await alert.waitFor();
      assert.equal(await alert.evaluate((element) => element === document.activeElement), true, 'it is read aloud');
      said.add(await alert.innerText());
      assert.equal(await button.innerText(), 'Try again');
      assert.equal(await page.locator('iframe').count(), 0);
      if (code === 'device_unsupported') await picture(page, 'error-phone');
      if (code === 'device_unsupported') assert.deepEqual(await barriers(page), []);
    }
    await button.click();
    await choose('under_supported_age');
    await shows(alert, 'below the age');
    assert.equal(await button.isVisible(), false, 'trying again would not help');
    said.add(await alert.innerText());
    assert.equal(said.size, Object.keys(CLIENT_ERRORS).length);
    for (const text of said) assert.ok(text.split('\n').filter(Boolean).length === 2, text);
  });

  test('tells an error that it does not know, and closing the modal costs nothing', async (t) => {
    const { world, page, button, choose } = await open(t);
    await button.click();
    await choose('session_cancelled');
    await shows(page.getByRole('alert'), 'closed the check');
    await page.evaluate(() => {
      window.Stripe = () => ({ verifyIdentity: async () => ({ error: { code: 'brand_new', message: 'x' } }) });
    });
    await button.click();
    await shows(page.getByRole('alert'), 'Something went wrong');
    assert.equal(creations(world).length, 1);
  });

  test('starts once, however fast it is clicked', async (t) => {
    const { world, page, button } = await open(t);
    const release = world.stripe.hold();
    await button.dblclick();
    await world.stripe.requests.first(({ method }) => method === 'POST');
    const now = page.getByRole('button');
    assert.deepEqual([await now.isDisabled(), await now.getAttribute('aria-busy')], [true, 'true']);
    await picture(page, 'running-phone');
    release();
    await page.frameLocator('iframe').getByRole('button', { name: 'verified', exact: true }).waitFor();
    assert.equal(await page.locator('iframe').count(), 1);
    assert.equal(world.stripe.requests.items.length, 1);
  });

  test('can be reloaded, also with the modal open, and goes on with the same session', async (t) => {
    const { world, page, base, button, choose, title } = await open(t);
    await button.click();
    await page.frameLocator('iframe').getByRole('button', { name: 'verified', exact: true }).waitFor();
    await page.reload();
    await button.click();
    await choose('verified');
    await page.waitForURL(`${base}/verify/submitted`);
    await shows(title, 'We are checking');
    await page.reload();
    await shows(title, 'We are checking');
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('works after the back button', async (t) => {
    const { world, stripe, page, base, button, choose, title } = await open(t);
    await button.click();
    await choose('document_expired');
    await page.waitForURL(`${base}/verify/submitted`);
    await stripe.conclude(world.stripe.sessions[0].id);
    await shows(title, 'We could not confirm your identity');
    await page.goBack();
    await page.waitForURL(`${base}/verify`);
    await button.click();
    await choose('verified');
    await page.waitForURL(`${base}/verify/submitted`);
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('says when there is no network, and works when there is one again', async (t) => {
    const { page, context, base, button, choose, title } = await open(t);
    await button.waitFor();
    await page.waitForLoadState('networkidle');
    await context.setOffline(true);
    await button.click();
    await shows(page.getByRole('alert'), 'There is no connection');
    await context.setOffline(false);
    await button.click();
    await choose('verified');
    await page.waitForURL(`${base}/verify/submitted`);
    await shows(title, 'We are checking');
  });

  test('is used with the keyboard alone', async (t) => {
    const { page, base, button } = await open(t, { settings: { IDENTIHOOK_ALTERNATIVE_PAGE: undefined } });
    await button.waitFor();
    await until(() => button.isEnabled(), 'the button to be enabled');
    await page.keyboard.press('Tab');
    assert.equal(await button.evaluate((element) => element === document.activeElement), true);
    await page.keyboard.press('Enter');
    const first = page.frameLocator('iframe').getByRole('button', { name: 'verified', exact: true });
    await first.focus();
    await page.keyboard.press('Enter');
    await page.waitForURL(`${base}/verify/submitted`);
  });

  test('sends people to Stripe where there is no publishable key, and they come back', async (t) => {
    const { world, stripe, page, base, button, title } = await open(t, { modal: false, at: null });
    await world.program.stop();
    const port = new URL(base).port;
    const secret = randomBytes(32).toString('hex');
    await world.start({
      settings: {
        IDENTIHOOK_LISTEN: `127.0.0.1:${port}`,
        IDENTIHOOK_SESSION_TOKEN_SECRET: secret,
        IDENTIHOOK_SESSION_RETURN_URL: `${base}/verify/submitted`,
      },
    });
    await page.goto(`${base}/verify#token=${userToken('user_1', secret)}`);
    await button.click();
    await page.waitForURL(`${stripe.url}/start/*`);
    await page.getByRole('button', { name: 'verified', exact: true }).click();
    await page.waitForURL(`${base}/verify/submitted`);
    await stripe.conclude(world.stripe.sessions[0].id);
    await shows(title, 'Your identity is confirmed');
  });

  test('sends people to Stripe when Stripe.js cannot be loaded', async (t) => {
    const { stripe, page, context, base, bearer, button } = await open(t, { at: null });
    await context.route(stripe.script, (route) => route.abort());
    await page.goto(`${base}/verify#token=${bearer}`);
    await button.click();
    await page.waitForURL(`${stripe.url}/start/*`);
  });

  test('knows nobody without a token, and says what to do', async (t) => {
    const { world, page, base, secret } = await open(t, { at: null });
    const alert = page.getByRole('alert');
    await page.goto(`${base}/verify`);
    await shows(alert, 'go back to where you came from');
    await page.goto(`${base}/verify/submitted`);
    await shows(page.getByRole('status'), 'go back to where you came from');
    await page.goto(`${base}/verify#token=${userToken('user_1', secret, { seconds: -60 })}`);
    await page.reload();
    await shows(alert, 'open for too long');
    assert.deepEqual(world.stripe.requests.items, []);
  });

  test('says when all attempts are used', async (t) => {
    const { world, stripe, page, button, choose, title } = await open(t, { settings: { IDENTIHOOK_SESSION_ATTEMPTS: '1' } });
    await button.click();
    await choose('document_unverified_other');
    await stripe.conclude(world.stripe.sessions[0].id);
    await shows(title, 'We could not confirm');
    await shows(page.getByRole('main'), 'as often as is possible');
    assert.equal(await page.getByRole('link', { name: 'Try again' }).isVisible(), false);
    await page.goBack();
    await button.click();
    await shows(page.getByRole('alert'), /again in (24 hours|1 days)/);
  });
});

describe('the confirmation page', { concurrency: 2 }, () => {
  test('tells why a check failed, and leads back to the button, which tells it too', async (t) => {
    const { world, stripe, page, base, button, choose, title } = await open(t);
    await button.click();
    await choose('selfie_face_mismatch');
    await shows(title, 'We are checking');
    await stripe.conclude(world.stripe.sessions[0].id);
    await shows(title, 'We could not confirm your identity');
    await picture(page, 'failed-phone');
    assert.deepEqual(await barriers(page), []);
    await page.getByRole('link', { name: 'Try again' }).click();
    await page.waitForURL(`${base}/verify`);
    await shows(page.getByRole('alert'), 'The last check could not confirm your identity');
    await button.click();
    await choose('verified');
    await shows(title, 'We are checking');
  });

  test('goes on by itself when the network or the server was away', async (t) => {
    const { world, stripe, page, context, button, choose, title } = await open(t);
    await button.click();
    await choose('verified');
    await shows(title, 'We are checking');
    await context.setOffline(true);
    await shows(title, 'There is no connection');
    await stripe.conclude(world.stripe.sessions[0].id);
    await context.setOffline(false);
    await shows(title, 'Your identity is confirmed');
  });

  test('of somebody who has not begun leads to the button', async (t) => {
    const { page, base, title } = await open(t, { at: '/verify/submitted' });
    await shows(title, 'Nothing was sent yet');
    await page.getByRole('link', { name: 'Start' }).click();
    await page.waitForURL(`${base}/verify`);
  });
});

describe('the pages', { concurrency: 4 }, () => {
  test('look right on a phone and a desktop, in light and dark', async (t) => {
    const { page, base, bearer, button } = await open(t, { at: null });
    for (const [device, viewport] of [
      ['phone', { width: 360, height: 740 }],
      ['desktop', { width: 1280, height: 800 }],
    ]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await page.goto(`${base}/verify#token=${bearer}`);
        await page.reload();
        await button.waitFor();
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `nothing is cut off: ${device}`);
        const { height } = await button.boundingBox();
        assert.ok(height >= 44, 'the button is large enough for a thumb');
        const [paper] = await page.evaluate(() => [getComputedStyle(document.querySelector('main')).backgroundColor]);
        assert.equal(paper === 'rgb(255, 255, 255)', colorScheme === 'light');
        await picture(page, `verify-${device}-${colorScheme}`);
        assert.deepEqual(await barriers(page), [], `${device}, ${colorScheme}`);
      }
    }
  });

  test('have a strict policy, are asked for again only when they changed, and show the brand as text', async (t) => {
    const { base } = await open(t, { at: null, settings: { IDENTIHOOK_BRAND_NAME: '<b>"Shop" & Co</b>' } });
    for (const path of ['/verify', '/verify/submitted']) {
      const page = await send(`${base}${path}`);
      const policy = page.headers['content-security-policy'];
      assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /unsafe|\*[; ]/);
      assert.doesNotMatch(page.text, /<script(?![^>]*src=)|style=|\son\w+=|<b>/);
      assert.match(page.text, /&lt;b&gt;/);
      assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
      const again = await send(`${base}${path}`, { headers: { 'If-None-Match': `"x", ${page.headers.etag}` } });
      assert.deepEqual([again.status, again.text, again.headers['content-length']], [304, '', undefined]);
      const head = await send(`${base}${path}`, { method: 'HEAD' });
      assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', page.headers['content-length']]);
      assert.equal((await send(`${base}${path}`, { method: 'POST' })).status, 405);
    }
    for (const file of ['page.css', 'page.js', 'verify.js', 'submitted.js']) {
      const { status, headers } = await send(`${base}/verify/${file}`);
      assert.deepEqual([status, headers['x-content-type-options']], [200, 'nosniff']);
    }
  });

  test('let nothing of Stripe in where people are redirected', async (t) => {
    const { base } = await open(t, { at: null, modal: false });
    const { headers } = await send(`${base}/verify`);
    assert.match(headers['content-security-policy'], /script-src 'self';/);
    assert.doesNotMatch(headers['content-security-policy'], /stripe|http/);
  });

  test('are not there where no sessions are made', async (t) => {
    const world = await World.open(t, { email: false, onboarding: false });
    assert.equal((await send(new URL('/verify', world.program.url).href)).status, 404);
  });
});
