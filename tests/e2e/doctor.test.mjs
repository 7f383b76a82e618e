// The doctor: a finding for each setting and dependency, with what to do.

import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { certificate } from '../lib/certificate.mjs';
import { freePort } from '../lib/http_client.mjs';
import { run } from '../lib/identihook.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { Smtp } from '../lib/smtp.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

/** { code, ok, broken, of: check -> its findings } */
async function examine(world, settings = {}, words = []) {
  const { code, stdout, stderr } = await world.run(['doctor', '--json', ...words], settings);
  for (const secret of [world.key, world.secret, world.settings.IDENTIHOOK_ONBOARDING_SECRET])
    assert.ok(!secret || !(stdout + stderr).includes(secret), 'it tells a secret');
  const { findings, ...rest } = JSON.parse(stdout);
  const of = (check) => findings.find((finding) => finding.check === check) ?? { state: 'not told' };
  return { code, of, findings, ...rest };
}

describe('doctor', { concurrency: 8 }, () => {
  test('finds nothing broken where nothing is, and disturbs nobody', async (t) => {
    const world = await World.open(t);
    await world.settle();
    const before = [world.smtp.arrived.items.length, world.onboarding.requests?.items.length];
    const { code, ok, broken, findings, of } = await examine(world);
    assert.deepEqual([code, ok, broken], [0, true, 0], JSON.stringify(findings));
    for (const check of ['settings', 'webhook secret', 'redis', 'redis version', 'redis memory', 'redis durability'])
      assert.equal(of(check).state, 'ok', check);
    for (const check of ['redis rights', 'redis clock', 'consumer group', 'stripe', 'stripe key', 'clock', 'mail', 'onboarding'])
      assert.equal(of(check).state, 'ok', check);
    assert.equal(of('postgres').state, 'skipped');
    assert.deepEqual([world.smtp.arrived.items.length, world.onboarding.requests?.items.length], before);
    const left = await world.redis.call('KEYS', key('doctor*'));
    assert.deepEqual(left, []);

    const text = await world.run(['doctor']);
    assert.equal(text.code, 0);
    assert.match(text.stdout, /^ok +redis rights +/m);
    assert.match(text.stderr, /0 broken/);
  });

  test('tells what is away, each with the fix, and goes on to the others', async (t) => {
    const world = await World.open(t, { start: false });
    const closed = await freePort();
    const { code, ok, of } = await examine(world, {
      REDIS_URL: `redis://127.0.0.1:${closed}`,
      STRIPE_API_BASE: `http://127.0.0.1:${closed}`,
      SMTP_URL: `smtp://127.0.0.1:${closed}`,
      IDENTIHOOK_ONBOARDING_URL: `http://127.0.0.1:${closed}/`,
      IDENTIHOOK_ENQUEUE_TIMEOUT: '500ms',
    });
    assert.deepEqual([code, ok], [1, false]);
    for (const check of ['redis', 'stripe', 'mail', 'onboarding']) {
      assert.equal(of(check).state, 'broken', check);
      assert.match(`${of(check).found} ${of(check).fix}`, /check/, check);
    }
  });

  test('tells a refused key from one without the permission, and knows modes and kinds of keys', async (t) => {
    const world = await World.open(t, { start: false });
    const revoked = world.stripe.addKey('rk_test_revoked0000000000000000', { revoked: true });
    const blind = world.stripe.addKey('rk_test_blind00000000000000000000', { sessions: false });
    const secret = world.stripe.addKey('sk_test_secret000000000000000000');
    const refused = (await examine(world, { STRIPE_SECRET_KEY: revoked })).of('stripe');
    assert.equal(refused.state, 'broken');
    assert.match(refused.found, /^401: .*STRIPE_SECRET_KEY/);
    const forbidden = (await examine(world, { STRIPE_SECRET_KEY: blind })).of('stripe');
    assert.equal(forbidden.state, 'broken');
    assert.match(forbidden.found, /^403: /);
    const plain = await examine(world, { STRIPE_SECRET_KEY: secret });
    assert.deepEqual([plain.of('stripe').state, plain.of('stripe key').state], ['ok', 'warning']);
    const sensitive = await examine(world, { STRIPE_SECRET_KEY: secret, IDENTIHOOK_VERIFIED_OUTPUTS: 'dob' });
    assert.deepEqual([sensitive.code, sensitive.of('stripe key').state], [1, 'broken']);
    const listing = { IDENTIHOOK_RECONCILE_EVERY: '1h' };
    assert.equal((await examine(world, listing)).of('stripe events').state, 'ok');
    const deaf = world.stripe.addKey('rk_test_deaf000000000000000000000', { events: false });
    const { code, of } = await examine(world, { ...listing, STRIPE_SECRET_KEY: deaf });
    assert.deepEqual([code, of('stripe').state, of('stripe events').state], [0, 'ok', 'warning']);
    assert.match(of('stripe events').found, /Read on Events/);
    assert.equal((await examine(world, { IDENTIHOOK_LIVEMODE: 'live' })).of('stripe mode').state, 'broken');
    assert.equal((await examine(world, { IDENTIHOOK_LIVEMODE: 'test' })).of('stripe mode').state, 'ok');
  });

  test('sees that something else than Stripe answers at STRIPE_API_BASE', async (t) => {
    const world = await World.open(t, { start: false });
    world.stripe.fail({ status: 404 });
    const { state, found, fix } = (await examine(world)).of('stripe');
    assert.deepEqual([state, fix], ['broken', 'check STRIPE_API_BASE']);
    assert.match(found, /^404: there is no list/);
  });

  test('sees a clock that disagrees with Stripe\'s', async (t) => {
    const world = await World.open(t, { start: false });
    const off = (seconds) =>
      world.stripe.fail({
        status: 200,
        headers: { Date: new Date(Date.now() + seconds * 1000).toUTCString() },
        body: { object: 'list', data: [] },
      });
    off(60);
    assert.equal((await examine(world)).of('clock').state, 'warning');
    off(-400);
    const { code, of } = await examine(world);
    assert.deepEqual([code, of('clock').state], [1, 'broken']);
    assert.match(of('clock').found, /^(399|400|401) s ahead of Stripe's/);
  });

  test('sees what its user in Redis may not do, and that Redis would lose or throw away events', async (t) => {
    const world = await World.open(t, { start: false });
    const url = `unix://careful:pw@${world.redis.socket}`;
    await world.redis.call('ACL', 'SETUSER', 'careful', 'on', '>pw', `~${key('*')}`, '+@all', '-zpopmin');
    const rights = (await examine(world, { REDIS_URL: url })).of('redis rights');
    assert.equal(rights.state, 'broken');
    assert.match(rights.found, /ZPOPMIN/i);
    assert.match(rights.fix, /~/);
    await world.redis.call('ACL', 'SETUSER', 'careful', 'resetkeys', '~other:*', '+@all');
    assert.equal((await examine(world, { REDIS_URL: url })).of('redis rights').state, 'broken');

    await world.redis.call('CONFIG', 'SET', 'appendfsync', 'no');
    await world.redis.call('CONFIG', 'SET', 'maxmemory', '100mb');
    await world.redis.call('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
    const risky = await examine(world);
    assert.deepEqual([risky.code, risky.of('redis memory').state], [1, 'broken']);
    assert.match(risky.of('redis memory').fix, /noeviction/);
    assert.equal(risky.of('redis durability').state, 'warning');
    await world.redis.call('CONFIG', 'SET', 'maxmemory', '0');
    await world.redis.call('CONFIG', 'SET', 'appendonly', 'no');
    assert.equal((await examine(world)).of('redis durability').state, 'warning');
    const required = await examine(world, { IDENTIHOOK_REQUIRE_DURABLE: '1' });
    assert.deepEqual([required.code, required.of('redis durability').state], [1, 'broken']);
  });

  test('is content with the rights that it names itself, and tries every command that the scripts call', async (t) => {
    const world = await World.open(t, { start: false });
    const rights =
      '+@stream +@hash +@sortedset +@string +@keyspace +@scripting +@connection +time +wait -@dangerous +info +config|get';
    await world.redis.call('ACL', 'SETUSER', 'least', 'on', '>pw', `~${key('*')}`, '-@all', ...rights.split(' '));
    const { of } = await examine(world, { REDIS_URL: `unix://least:pw@${world.redis.socket}` });
    for (const check of ['redis', 'redis version', 'redis durability', 'redis rights'])
      assert.equal(of(check).state, 'ok', JSON.stringify(of(check)));
    const manual = await readFile(new URL('../../deploy/README.md', import.meta.url), 'utf8');
    assert.ok(manual.includes(rights), 'deploy/README.md names other rights');

    const folder = new URL('../../src/store/scripts/', import.meta.url);
    const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.lua'));
    const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')));
    const called = new Set(sources.flatMap((source) => [...source.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, name]) => name)));
    const tried = await readFile(new URL('rights.lua', folder), 'utf8');
    for (const name of called) assert.ok(tried.includes(`try('${name}'`), `rights.lua does not try ${name}`);
  });

  test('tells a group of another service that stopped reading', async (t) => {
    const world = await World.open(t, { start: false });
    await world.redis.call('XADD', key('events'), '1000-0', 'event', 'evt_old');
    await world.redis.call('XGROUP', 'CREATE', key('events'), 'crm', '0');
    const { of } = await examine(world);
    assert.equal(of('stalled group').state, 'warning');
    assert.match(of('stalled group').found, /^crm has not acknowledged/);
  });

  test('logs in to the mail server, over TLS where that is asked for, and sends nothing', async (t) => {
    const world = await World.open(t, { start: false });
    const { cert, pem, keyPem } = await certificate(t);
    const logins = [];
    const smtp = await Smtp.start({
      secure: false,
      cert: pem,
      key: keyPem,
      authOptional: false,
      onAuth: ({ username, password }, session, done) => {
        logins.push(username);
        done(password === 'right' ? null : new Error('wrong'), { user: username });
      },
    });
    t.after(() => smtp.close());
    const settings = {
      SMTP_URL: `${smtp.url}?starttls=required`,
      SMTP_USERNAME: 'shop',
      SMTP_PASSWORD: 'right',
      SSL_CERT_FILE: cert,
    };
    assert.equal((await examine(world, settings)).of('mail').state, 'ok');
    assert.deepEqual(logins, ['shop']);
    const refused = (await examine(world, { ...settings, SMTP_PASSWORD: 'wrong' })).of('mail');
    assert.equal(refused.state, 'broken');
    assert.match(refused.found, /SMTP_PASSWORD/);
    assert.ok(!JSON.stringify(refused).includes('wrong'));
    const strange = (await examine(world, { ...settings, SSL_CERT_FILE: undefined })).of('mail');
    assert.equal(strange.state, 'broken');
    assert.equal(smtp.arrived.items.length, 0);
  });

  test('looks at the certificate', async (t) => {
    const world = await World.open(t, { start: false });
    const { cert, key: keyFile } = await certificate(t);
    const soon = (await examine(world, { IDENTIHOOK_TLS_CERT: cert, IDENTIHOOK_TLS_KEY: keyFile })).of('certificate');
    assert.equal(soon.state, 'warning');
    assert.match(soon.found, /expires in \d days/);
    const other = await certificate(t);
    const wrong = await examine(world, { IDENTIHOOK_TLS_CERT: cert, IDENTIHOOK_TLS_KEY: other.key });
    assert.deepEqual([wrong.code, wrong.of('certificate').state], [1, 'broken']);
  });

  test('asks PostgreSQL for its tables', async (t) => {
    const world = await World.open(t, { start: false });
    const cluster = await Postgres.start();
    t.after(() => cluster.close());
    const database = await cluster.database();
    const settings = { DATABASE_URL: database.url };
    const bare = (await examine(world, settings)).of('postgres');
    assert.deepEqual([bare.state, bare.fix], ['broken', 'run identihook migrate']);
    assert.equal((await run(['migrate'], settings)).code, 0);
    assert.equal((await examine(world, settings)).of('postgres').state, 'ok');
    const away = (await examine(world, { DATABASE_URL: `postgresql://127.0.0.1:${await freePort()}/x` })).of('postgres');
    assert.equal(away.state, 'broken');
  });

  test('tells missing secrets by the role that needs them, faulty templates, dead letters and pauses', async (t) => {
    const world = await World.open(t);
    await world.carry(composeEvent('verified'));
    await world.run(['pause', 'email']);
    const folder = world.redis.folder;
    await writeFile(join(folder, 'verified.txt'), '{{ no such thing }}');
    const settings = {
      STRIPE_WEBHOOK_SECRET: undefined,
      STRIPE_SECRET_KEY: undefined,
      IDENTIHOOK_MAIL_TEMPLATES: folder,
    };
    const all = await examine(world, settings);
    assert.equal(all.code, 1);
    for (const check of ['webhook secret', 'stripe', 'templates']) assert.equal(all.of(check).state, 'broken', check);
    for (const check of ['dead letters', 'paused']) assert.equal(all.of(check).state, 'warning', check);
    assert.equal((await examine(world, settings, ['--role', 'ingest'])).of('stripe').state, 'skipped');
    assert.equal((await examine(world, settings, ['--role', 'worker'])).of('webhook secret').state, 'skipped');
  });

  test('exits 2 for settings that cannot be read, and tells each', async (t) => {
    const world = await World.open(t, { start: false });
    const { code, ok, findings } = await examine(world, { IDENTIHOOK_RETRY_CAP: 'long', IDENTIHOOK_NONSENSE: '1' });
    assert.deepEqual([code, ok], [2, false]);
    const told = findings.map(({ found }) => found).join('\n');
    assert.match(told, /IDENTIHOOK_RETRY_CAP/);
    assert.match(told, /IDENTIHOOK_NONSENSE/);
    assert.equal((await world.run(['doctor', '--role', 'king'])).code, 2);
  });

  test('looks at what sessions are handed out with', async (t) => {
    const world = await World.open(t, { start: false });
    assert.equal((await examine(world)).of('sessions').state, 'skipped');
    const short = 'twenty bytes of it..';
    const weak = await examine(world, { IDENTIHOOK_SESSION_TOKEN_SECRET: short });
    assert.deepEqual([weak.of('token secret').state, weak.of('sessions').state], ['warning', 'warning']);
    assert.match(weak.of('token secret').fix, /openssl rand -hex 32/);
    assert.match(weak.of('sessions').fix, /IDENTIHOOK_SESSION_RETURN_URL/);
    assert.ok(!JSON.stringify(weak.findings).includes(short), 'it tells a secret');
    const fine = await examine(world, {
      IDENTIHOOK_SESSION_TOKEN_SECRET: 'f'.repeat(64),
      STRIPE_PUBLISHABLE_KEY: 'pk_test_1',
    });
    assert.deepEqual([fine.of('token secret').state, fine.of('sessions').state], ['ok', 'ok']);
  });
});
