// deploy/local/up, as somebody runs it who sees identihook for the first time.

import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { Child } from '../lib/child.mjs';
import { binary } from '../lib/identihook.mjs';
import { openBrowser, openPage } from '../lib/browser.mjs';
import { before, until } from '../lib/wait.mjs';

const UP = new URL('../../deploy/local/up', import.meta.url).pathname;

/** Without the keys and settings of whoever runs the tests. */
function up(words, settings = {}) {
  const own = Object.entries(process.env).filter(([name]) => !/^(STRIPE|IDENTIHOOK|SMTP|REDIS)_/.test(name));
  return new Child(UP, words, { env: { ...Object.fromEntries(own), IDENTIHOOK_BIN: binary(), ...settings } });
}

// One after the other: all want the same ports.
describe('deploy/local/up', () => {
  test('--once shows every sample at its outcome, and exits 0', async () => {
    const child = up(['--once']);
    const { code } = await before(child.ended, 'its end', 90_000);
    assert.equal(code, 0, child.stdout + child.stderr);
    const screen = child.stdout.slice(child.stdout.indexOf('┌'));
    const [, reached, all] = /^(\d+) of (\d+) samples reached their outcome$/m.exec(screen);
    assert.equal(reached, all);
    assert.ok(all >= 12);
    for (const ending of ['done', 'superseded', 'dead', 'duplicate', 'refused'])
      assert.match(screen, new RegExp(` ${ending}$`, 'm'));
    assert.match(screen, /ada@example\.com +Your identity is confirmed/);
  });

  test('--once exits 1 when a sample does not get there in time, and says which', async () => {
    const child = up(['--once'], { UP_DEADLINE_MS: '1' });
    assert.equal((await before(child.ended, 'its end', 90_000)).code, 1);
    assert.match(child.stderr, /^not as expected: .*outcome: none yet, not done/m);
  });

  test('exits 1 when identihook does not start', async () => {
    const child = up(['--once'], { IDENTIHOOK_BIN: '/bin/false' });
    assert.equal((await before(child.ended, 'its end')).code, 1);
    assert.match(child.stderr, /identihook serve ended/);
  });

  test('keeps running until it is interrupted, and then leaves nothing behind', async () => {
    const child = up([]);
    const [, envFile] = await until(() => /--env-file (\S+)/.exec(child.stdout), 'the hint');
    await until(() => / signed by somebody else +answered 400/.test(child.stdout), 'the last sample');
    await access(envFile);
    assert.deepEqual(await child.stop('SIGINT'), { code: 0, signal: null });
    await assert.rejects(access(envFile), { code: 'ENOENT' });
  });

  test('lets somebody verify himself in a browser, to the mail in the end', async (t) => {
    const child = up([]);
    t.after(() => child.stop('SIGINT'));
    const [, shop] = await until(() => /verify yourself.*: (http:\S+)/.exec(child.stdout), 'the URL');
    const browser = await openBrowser();
    t.after(() => browser.close());
    const { page } = await openPage(t, browser);
    await page.goto(shop);
    await page.getByRole('button', { name: 'Verify my identity' }).click();
    await page.frameLocator('iframe').getByRole('button', { name: 'verified', exact: true }).click();
    await page.getByRole('heading', { name: 'Your identity is confirmed' }).waitFor();
    await until(() => /mail to (alma|bela)\.\w+@example\.com: .*confirmed/.test(child.stdout), 'the mail');
  });

  test('refuses half of the keys of the real Stripe', async () => {
    const child = up([], { STRIPE_SECRET_KEY: 'sk_test_1' });
    assert.equal((await before(child.ended, 'its end')).code, 2);
    assert.match(child.stderr, /both STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET/);
  });
});
