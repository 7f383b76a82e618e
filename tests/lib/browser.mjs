// A real browser: Debian's Chromium, without a window.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PATH = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** To be closed. */
export const openBrowser = () =>
  chromium.launch({ executablePath: PATH, args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu'] });

/**
 * A page in a profile of its own. `complaints` gets what the browser's console says against it: errors, and what a policy
 * forbids. Failed requests are no complaint: pages tell of them.
 */
export async function openPage(t, browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 }, ...options });
  context.setDefaultTimeout(20_000);
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (line) => {
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource')) complaints.push(line.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  return { context, page, complaints };
}

/** What the page does against the guidelines for accessibility (WCAG 2.2 AA and good practice), as axe sees it. */
export async function barriers(page) {
  await page.evaluate(AXE); // not as a script in the page, which its policy would forbid
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

/** A picture of the page, where SCREENSHOTS names a folder: for people to look at. */
export async function picture(page, name) {
  if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
}
