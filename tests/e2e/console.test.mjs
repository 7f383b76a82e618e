// The operator console: one page that shows what goes on, to people.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, test } from 'node:test';

import { pause, until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

/** What the page says, without its markup. */
const words = (html) =>
  html
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/&nbsp;/g, ' ')
    .replace(/\s+/g, ' ');

describe('the console', { concurrency: 8 }, () => {
  test('shows components, backlog, groups, dead letters by reason, outcomes and rates, and nothing personal', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' } });
    const done = world.pair('verified');
    await world.carry(done.event);
    await world.carry(composeEvent('verified')); // of no session that Stripe knows: dead
    const late = world.pair('verified');
    world.stripe.fail({ status: 503 });
    await world.deliver(late.event);
    await world.program.logs.first(({ message }) => message === 'event will be tried again', 'a retry');
    await world.run(['pause', 'email', '--reason', 'the relay moves']);

    const { status, headers, text } = await world.program.look('/');
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    const told = words(text);
    for (const word of [
      /loops all turn/,
      /redis answers/,
      /Paused: email, by \S+@\S+ at 20\d\d-.*: the relay moves/,
      /unread 0 /,
      /retrying 1 /,
      /dead 1 /,
      /identihook 0 /,
      /session_not_found 1 /,
      /1 done, 0 superseded, 1 to the dead letters/,
      new RegExp(`done verified email,onboarding ${done.event.id} ${done.session.id} \\d+ (ms|s)`),
      /events queued 3/,
    ])
      assert.match(told, word);
    for (const secret of [world.key, world.secret, done.session.provided_details.email, done.session.client_reference_id])
      assert.ok(!text.includes(secret));
  });

  test('lets nothing run, nothing in, and nobody frame it', async (t) => {
    const world = await World.open(t);
    const { headers, text } = await world.program.look('/');
    const policy = headers['content-security-policy'];
    assert.match(policy, /default-src 'none'/);
    for (const rule of ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]) assert.ok(policy.includes(rule));
    const [, style] = /<style>(.*?)<\/style>/s.exec(text);
    assert.ok(policy.includes(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`));
    assert.deepEqual([headers['cache-control'], headers['x-content-type-options']], ['no-store', 'nosniff']);
    assert.doesNotMatch(text, /<script|<form|<img|<a |style=|onload|https?:/i);
  });

  test('escapes what comes from Redis', async (t) => {
    const world = await World.open(t);
    const evil = `<script>alert("1")</script>'&`;
    await world.redis.call('XADD', key('outcomes'), '*', 'event', evil, 'type', evil, 'session', evil, 'outcome', evil);
    await world.redis.call('XADD', key('dead'), '*', 'event', evil, 'reason', evil);
    await world.redis.call('XGROUP', 'CREATE', key('events'), evil, '0', 'MKSTREAM');
    await world.redis.call('HSET', key('control'), evil, `1 ${evil} ${evil}`);
    const { status, text } = await world.program.look('/');
    assert.equal(status, 200);
    assert.ok(!text.includes('<script'), text);
    assert.ok(text.includes('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;'));
  });

  test('is there in every role, and when Redis is not', async (t) => {
    const world = await World.open(t, { start: false });
    for (const role of ['ingest', 'worker']) {
      const program = await world.start({ words: ['--role', role] });
      const { status, text } = await program.look('/');
      assert.equal(status, 200);
      assert.match(words(text), new RegExp(`${role}, namespace shop, up `));
      assert.match(words(text), /Backlog/);
    }
    await world.redis.stop();
    const notices = async () => words((await world.program.look('/')).text).includes('Redis did not answer');
    await until(notices, 'the page that was kept to be outdated');
    const looks = await Promise.all([1, 2, 3].map(() => world.program.look('/')));
    for (const { status, text } of looks) {
      assert.equal(status, 200);
      assert.match(words(text), /Redis did not answer/);
    }
    await world.redis.start();
  });

  test('serves many lookers at once, and forgets those who leave', async (t) => {
    const world = await World.open(t);
    const looks = Array.from({ length: 20 }, () => world.program.look('/'));
    for (const { status } of await Promise.all(looks)) assert.equal(status, 200);
    await pause(1100); // until no page is kept any more
    await world.redis.freeze();
    const left = new AbortController();
    const leaver = fetch(`${world.program.admin}/`, { signal: left.signal }).catch(() => 'left');
    await pause(200);
    left.abort();
    assert.equal(await leaver, 'left');
    await world.redis.thaw();
    assert.equal((await world.program.look('/')).status, 200);
    assert.equal((await fetch(`${world.program.admin}/`, { method: 'POST' })).status, 405);
  });
});
