// The command line, as people and scripts use it.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import Stripe from 'stripe';

import { Child } from '../lib/child.mjs';
import { binary, environment, run } from '../lib/identihook.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent, key, newSecret, sign } from '../lib/world.mjs';

const SECRET = newSecret();

/** A folder that goes with the test. */
async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'identihook-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

describe('settings', { concurrency: 8 }, () => {
  const good = { STRIPE_WEBHOOK_SECRET: SECRET, STRIPE_SECRET_KEY: 'rk_test_aKeyForTests' };

  const faulty = [
    [
      'a missing webhook secret',
      { STRIPE_WEBHOOK_SECRET: undefined },
      /STRIPE_WEBHOOK_SECRET is required.*STRIPE_WEBHOOK_SECRET=whsec_/,
    ],
    ['a missing key', { STRIPE_SECRET_KEY: undefined }, /STRIPE_SECRET_KEY is required.*STRIPE_SECRET_KEY=rk_/],
    ['an empty webhook secret', { STRIPE_WEBHOOK_SECRET: '' }, /STRIPE_WEBHOOK_SECRET/],
    ['a blank webhook secret', { STRIPE_WEBHOOK_SECRET: '  ' }, /STRIPE_WEBHOOK_SECRET/],
    ['an empty one among several', { STRIPE_WEBHOOK_SECRET: `${SECRET},` }, /STRIPE_WEBHOOK_SECRET/],
    ['a blank one with a label', { STRIPE_WEBHOOK_SECRET: `old= ,new=${SECRET}` }, /STRIPE_WEBHOOK_SECRET/],
    ['a key that is none', { STRIPE_SECRET_KEY: 'pk_test_publishable' }, /STRIPE_SECRET_KEY/],
    ['an unknown name', { IDENTIHOOK_CONCURENCY: '3' }, /IDENTIHOOK_CONCURENCY.*did you mean IDENTIHOOK_CONCURRENCY\?/],
    ['an unlikely name', { IDENTIHOOK_XYZZY: '3' }, /IDENTIHOOK_XYZZY/],
    ['a bad duration', { IDENTIHOOK_RETRY_BASE: '2 parsecs' }, /IDENTIHOOK_RETRY_BASE.*IDENTIHOOK_RETRY_BASE=2s/],
    ['a bad size', { IDENTIHOOK_MAX_BODY: 'big' }, /IDENTIHOOK_MAX_BODY.*IDENTIHOOK_MAX_BODY=1M/],
    [
      'a bad rate',
      { IDENTIHOOK_STRIPE_RATE: '20' + '/fortnight' },
      /IDENTIHOOK_STRIPE_RATE.*IDENTIHOOK_STRIPE_RATE=20\/s/,
    ],
    ['a number out of its range', { IDENTIHOOK_CONCURRENCY: '0' }, /IDENTIHOOK_CONCURRENCY/],
    [
      'a tolerance of 0, which would let every old signature pass',
      { IDENTIHOOK_SIGNATURE_TOLERANCE: '0' },
      /IDENTIHOOK_SIGNATURE_TOLERANCE/,
    ],
    ['a bad address', { IDENTIHOOK_LISTEN: 'nowhere' }, /IDENTIHOOK_LISTEN/],
    ['a bad Redis URL', { REDIS_URL: 'http://localhost' }, /REDIS_URL/],
    ['an account that is none', { IDENTIHOOK_RECONCILE_ACCOUNTS: 'acct_1A,shop' }, /IDENTIHOOK_RECONCILE_ACCOUNTS.*acct_1Abc/],
    ['an unknown event', { IDENTIHOOK_EVENTS: 'verified,updated' }, /IDENTIHOOK_EVENTS/],
    ['an unknown action', { IDENTIHOOK_ACTIONS_VERIFIED: 'fax' }, /IDENTIHOOK_ACTIONS_VERIFIED/],
    ['an action without its target', { IDENTIHOOK_ACTIONS_VERIFIED: 'email' }, /IDENTIHOOK_ACTIONS_VERIFIED.*SMTP_URL/],
    ['mails without a sender', { SMTP_URL: 'smtp://localhost' }, /IDENTIHOOK_MAIL_FROM/],
    ['a login without a password', { SMTP_USERNAME: 'me' }, /SMTP_USERNAME and SMTP_PASSWORD/],
    [
      'a value and a file for it',
      { STRIPE_SECRET_KEY_FILE: '/dev/null' },
      /STRIPE_SECRET_KEY_FILE.*both|both.*STRIPE_SECRET_KEY_FILE/,
    ],
    ['a file that is not there', { SMTP_PASSWORD_FILE: '/nowhere/at/all' }, /SMTP_PASSWORD_FILE/],
    [
      'an empty secret file',
      { STRIPE_WEBHOOK_SECRET: undefined, STRIPE_WEBHOOK_SECRET_FILE: '/dev/null' },
      /STRIPE_WEBHOOK_SECRET/,
    ],
  ];
  for (const [name, settings, message] of faulty) {
    test(`serve refuses ${name}, says what is wrong, and exits 2`, async () => {
      const wanted = Object.entries({ ...good, ...settings }).filter(([, value]) => value !== undefined);
      const { code, stdout, stderr } = await run(['serve'], Object.fromEntries(wanted));
      assert.equal(code, 2, stderr);
      assert.match(stderr, message);
      assert.equal(stdout, '');
      for (const secret of [SECRET, good.STRIPE_SECRET_KEY]) assert.ok(!stderr.includes(secret), 'it shows a secret');
    });
  }

  test('all faults are told at once', async () => {
    const { code, stderr } = await run(['serve'], {
      IDENTIHOOK_LOOPS: 'x',
      IDENTIHOOK_MAX_BODY: 'x',
      IDENTIHOOK_NONSENSE: 'x',
    });
    assert.equal(code, 2);
    for (const name of [
      'IDENTIHOOK_LOOPS',
      'IDENTIHOOK_MAX_BODY',
      'IDENTIHOOK_NONSENSE',
      'STRIPE_WEBHOOK_SECRET',
      'STRIPE_SECRET_KEY',
    ]) {
      assert.match(stderr, new RegExp(`^(identihook: |  )?${name}`, 'm'));
    }
  });

  test('may come from files, of which the last line end does not count', async (t) => {
    const path = await folder(t);
    await writeFile(join(path, 'secret'), `${SECRET}\n`);
    const world = await World.open(t, {
      settings: { STRIPE_WEBHOOK_SECRET: undefined, STRIPE_WEBHOOK_SECRET_FILE: join(path, 'secret') },
      start: false,
    });
    await world.start();
    assert.equal((await world.deliver(composeEvent('verified'), { secret: SECRET })).status, 200);
  });

  test('may come from --env-file, over which the environment wins', async (t) => {
    const path = await folder(t);
    const world = await World.open(t, { start: false });
    const { STRIPE_WEBHOOK_SECRET, IDENTIHOOK_NAMESPACE, ...rest } = world.settings;
    const lines = { ...rest, STRIPE_WEBHOOK_SECRET, IDENTIHOOK_NAMESPACE: 'of_the_file' };
    const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
    await writeFile(join(path, 'env'), `# a comment\n\n${text.join('')}`);
    world.settings = { IDENTIHOOK_NAMESPACE };
    await world.start({ words: ['--env-file', join(path, 'env')] });
    assert.equal((await world.deliver(composeEvent('verified'))).status, 200);
    assert.equal(await world.redis.call('XLEN', key('events')), 1);
  });

  test('an address that is taken is a failure, not a fault of the settings', async (t) => {
    const world = await World.open(t, { start: false });
    const { host } = new URL(world.stripe.url);
    for (const name of ['IDENTIHOOK_LISTEN', 'IDENTIHOOK_ADMIN_LISTEN']) {
      const { code, stderr } = await world.run(['serve'], { [name]: host });
      assert.equal(code, 1);
      assert.match(stderr, /in use/);
    }
  });
});

describe('a second serve', { concurrency: 8 }, () => {
  test('does not take over part of the first one\'s clients: the ports are in use', async (t) => {
    const world = await World.open(t);
    const [webhook, admin] = [world.program.url, world.program.admin].map((url) => new URL(url).host);
    for (const settings of [{ IDENTIHOOK_LISTEN: webhook }, { IDENTIHOOK_ADMIN_LISTEN: admin }]) {
      const { code, stderr } = await world.run(['serve'], settings);
      assert.equal(code, 1);
      assert.match(stderr, /in use/);
    }
    assert.equal((await world.deliver(world.pair('verified').event)).status, 200);
  });
});

describe('trigger', { concurrency: 8 }, () => {
  /** A server that is not identihook, and what it was sent. */
  async function openSink(t, status = 200) {
    const requests = [];
    const server = http.createServer(async (request, response) => {
      let body = '';
      for await (const data of request.setEncoding('utf8')) body += data;
      requests.push({ body, headers: request.headers, url: request.url, method: request.method });
      response.writeHead(status, { 'Content-Type': 'application/json' }).end('{"received":true}');
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    return { url: `http://127.0.0.1:${server.address().port}/hook`, requests };
  }

  for (const kind of ['created', 'processing', 'verified', 'requires_input', 'canceled', 'redacted']) {
    test(`${kind} sends an event that Stripe's own library takes as genuine`, async (t) => {
      const sink = await openSink(t);
      const { code, stderr } = await run(['trigger', kind, '--url', sink.url], { STRIPE_WEBHOOK_SECRET: SECRET });
      assert.equal(code, 0, stderr);
      const [{ body, headers, method, url }] = sink.requests;
      assert.deepEqual([method, url], ['POST', '/hook']);
      const event = Stripe.webhooks.constructEvent(body, headers['stripe-signature'], SECRET);
      assert.equal(event.type, `identity.verification_session.${kind}`);
      assert.match(event.id, /^evt_/);
      const session = event.data.object;
      assert.match(session.id, /^vs_[A-Za-z0-9]+$/);
      assert.equal(session.object, 'identity.verification_session');
      assert.equal(session.last_error !== null, kind === 'requires_input');
      assert.equal(event.livemode, false);
    });
  }

  test('takes the full name, a session, and a number of times', async (t) => {
    const sink = await openSink(t);
    const words = [
      'identity.verification_session.verified',
      '--session',
      'vs_1MySession',
      '--count',
      '5',
      '--url',
      sink.url,
    ];
    const { code, stdout } = await run(['trigger', ...words], { STRIPE_WEBHOOK_SECRET: SECRET });
    assert.equal(code, 0);
    const events = sink.requests.map(({ body }) => JSON.parse(body));
    assert.deepEqual(
      events.map(({ data }) => data.object.id),
      Array(5).fill('vs_1MySession'),
    );
    assert.equal(new Set(events.map(({ id }) => id)).size, 5);
    for (const { id } of events) assert.match(stdout, new RegExp(`^${id} 200 `, 'm'));
  });

  test('takes a rate', async (t) => {
    const sink = await openSink(t);
    const started = Date.now();
    const { code } = await run(['trigger', 'verified', '--count', '6', '--rate', '10', '--url', sink.url], {
      STRIPE_WEBHOOK_SECRET: SECRET,
    });
    assert.equal(code, 0);
    assert.equal(sink.requests.length, 6);
    assert.ok(Date.now() - started >= 480);
  });

  test('sends to the own listener by default, and the event goes its way', async (t) => {
    const world = await World.open(t, { stripe: { adopt: true } });
    const { code, stdout } = await world.run(['trigger', 'verified'], {
      IDENTIHOOK_LISTEN: new URL(world.program.url).host,
    });
    assert.equal(code, 0);
    const [id] = stdout.split(' ');
    assert.equal((await world.outcome({ id })).outcome, 'done');
    assert.equal(world.smtp.mails.items.length, 1);
  });

  test('exits 1 when the answer is no 200, or there is none', async (t) => {
    const sink = await openSink(t, 503);
    const settings = { STRIPE_WEBHOOK_SECRET: SECRET };
    const refused = await run(['trigger', 'verified', '--url', sink.url], settings);
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, / 503 /);
    assert.equal((await run(['trigger', 'verified', '--url', 'http://127.0.0.1:1/'], settings)).code, 1);
  });

  test('exits 2 when it is used wrongly', async () => {
    const settings = { STRIPE_WEBHOOK_SECRET: SECRET };
    const wrong = [
      [],
      ['updated'],
      ['verified', '--session', 'vs_1/..'],
      ['verified', '--count', 'many'],
      ['verified', 'again'],
      ['verified', '--loud'],
    ];
    for (const words of wrong) assert.equal((await run(['trigger', ...words], settings)).code, 2, words.join(' '));
    assert.equal((await run(['trigger', 'verified'])).code, 2, 'without a secret');
  });
});

describe('verify', { concurrency: 8 }, () => {
  const event = composeEvent('verified');
  const at = 1_790_000_000;
  const check = async (
    t,
    {
      body = event.body,
      header = sign(event.body, SECRET, at),
      words = ['--at', String(at + 5)],
      secrets = SECRET,
    } = {},
  ) => {
    const path = join(await folder(t), 'body');
    await writeFile(path, body);
    return run(['verify', '--payload', path, '--header', header, ...words], { STRIPE_WEBHOOK_SECRET: secrets });
  };

  test('says valid and exits 0', async (t) => {
    const { code, stdout } = await check(t);
    assert.deepEqual([code, stdout.startsWith('valid')], [0, true], stdout);
  });

  test('names the label of the secret that signed', async (t) => {
    const { code, stdout } = await check(t, { secrets: `new=${newSecret()},old=${SECRET}` });
    assert.equal(code, 0);
    assert.match(stdout, /old/);
  });

  test('takes the header with its name, and the body from standard input', async () => {
    const words = [
      'verify',
      '--payload',
      '-',
      '--header',
      `Stripe-Signature: ${sign(event.body, SECRET, at)}`,
      '--at',
      String(at),
    ];
    const { code, stdout } = await run(words, { STRIPE_WEBHOOK_SECRET: SECRET }, { input: event.body });
    assert.equal(code, 0, stdout);
  });

  const invalid = [
    ['another secret', { secrets: newSecret() }, 'signature_mismatch', /secret/],
    ['a changed body', { body: JSON.stringify(event.content) }, 'signature_mismatch', /body|secret/],
    ['a body with one line end more', { body: `${event.body}\n` }, 'signature_mismatch', /body/],
    ['an old time', { words: ['--at', String(at + 400)] }, 'signature_stale', /clock|old|ago/i],
    ['a time in the future', { words: ['--at', String(at - 400)] }, 'signature_stale', /clock|future/i],
    ['a shorter tolerance', { words: ['--at', String(at + 20), '--tolerance', '10'] }, 'signature_stale', /./],
    ['no header', { header: '' }, 'signature_missing', /header/],
    ['a strange header', { header: 'v1=abc' }, 'signature_malformed', /header/i],
  ];
  for (const [name, given, wanted, words] of invalid) {
    test(`tells ${name} apart, in words that help, and exits 1`, async (t) => {
      const { code, stdout } = await check(t, given);
      assert.equal(code, 1);
      assert.match(stdout, new RegExp(`^invalid: ${wanted}\n`));
      assert.match(stdout.split('\n').slice(1).join('\n'), words);
      assert.ok(!stdout.includes(SECRET));
    });
  }

  test('exits 2 when it is used wrongly', async (t) => {
    const settings = { STRIPE_WEBHOOK_SECRET: SECRET };
    assert.equal((await run(['verify'], settings)).code, 2);
    assert.equal((await run(['verify', '--header', 't=1'], settings)).code, 2);
    assert.equal((await run(['verify', '--payload', '/nowhere/at/all', '--header', 't=1'], settings)).code, 2);
    assert.equal((await check(t, { words: ['--at', 'noon'] })).code, 2);
  });
});

describe('status', { concurrency: 8 }, () => {
  test('counts what is unread, retried and dead, for people and as JSON', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_RETRY_BASE: '1h', IDENTIHOOK_RETRY_CAP: '1h' } });
    await world.carry(world.pair('verified').event);
    await world.carry(composeEvent('verified')); // of no session that Stripe knows: dead
    const late = world.pair('verified');
    world.stripe.fail({ status: 503 });
    await world.deliver(late.event);
    await world.program.logs.first(({ message }) => message === 'event will be tried again', 'a retry');
    await world.program.stop();
    await world.redis.call('XADD', key('events'), '*', 'event', 'evt_unread', 'type', 'x', 'session', 'vs_1');

    const json = await world.run(['status', '--json']);
    assert.equal(json.code, 0);
    const { groups, next_retry_ms, ...counts } = JSON.parse(json.stdout);
    assert.deepEqual(counts, { events: 4, retrying: 1, due: 0, waiting_turn: 0, held: 0, dead: 1, paused: [] });
    assert.ok(next_retry_ms > 0 && next_retry_ms <= 3_600_000);
    const [group] = groups;
    assert.deepEqual([group.name, group.unread, group.pending], ['identihook', 1, 0]);
    assert.ok(group.oldest_unread_ms >= 0);

    const text = await world.run(['status']);
    assert.equal(text.code, 0);
    for (const line of [/events in the stream +4/, /retry +1/, /dead letters +1/, /unread +1/])
      assert.match(text.stdout, line);
  });

  test('tells what each consumer has, what is paused and why, and goes on with --watch', async (t) => {
    const world = await World.open(t);
    await world.settle(); // somebody has taken something
    assert.equal((await world.run(['pause', 'email', '--reason', 'the relay moves'])).code, 0);
    const { paused, groups } = JSON.parse((await world.run(['status', '--json'])).stdout);
    assert.deepEqual(
      paused.map(({ what, reason }) => [what, reason]),
      [['email', 'the relay moves']],
    );
    assert.ok(groups[0].members.length > 0 && groups[0].members.length === groups[0].consumers);
    for (const { name, pending, idle_ms } of groups[0].members)
      assert.ok(name.length > 0 && pending === 0 && idle_ms >= 0);
    const text = (await world.run(['status'])).stdout;
    assert.match(text, /^PAUSED: email, since 20\d\d-.*, by .+@.+: the relay moves$/m);
    assert.ok(text.includes(groups[0].members[0].name));

    const watcher = new Child(binary(), ['status', '--watch', '--json'], { env: environment(world.settings) });
    await until(() => watcher.stdout.split('\n').length > 2, 'the second answer');
    await watcher.stop('SIGTERM');
  });

  test('works before anything was received', async (t) => {
    const world = await World.open(t, { start: false });
    const { code, stdout } = await world.run(['status', '--json']);
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout).events, 0);
  });

  test('exits 1 when Redis is away, and says so', async (t) => {
    const world = await World.open(t, { start: false, settings: { IDENTIHOOK_ENQUEUE_TIMEOUT: '200ms' } });
    await world.redis.stop();
    const { code, stderr } = await world.run(['status']);
    await world.redis.start();
    assert.equal(code, 1);
    assert.match(stderr, /Redis/);
  });
});

describe('the command line', { concurrency: 8 }, () => {
  test('tells its version and those of its libraries', async () => {
    for (const words of [['version'], ['--version']]) {
      const { code, stdout } = await run(words);
      assert.equal(code, 0);
      assert.match(stdout, /^identihook \d+\.\d+\.\d+\n/);
      for (const library of ['libuv', 'llhttp', 'libcurl', 'hiredis', 'OpenSSL'])
        assert.match(stdout, new RegExp(`${library} \\d`));
    }
  });

  test('helps, on standard output', async () => {
    const all = await run(['--help']);
    assert.equal(all.code, 0);
    for (const command of ['serve', 'trigger', 'doctor', 'status', 'explain', 'dead', 'pause', 'resume', 'verify', 'version']) {
      assert.match(all.stdout, new RegExp(`^  ${command}\\b`, 'm'));
      const one = await run([command, '--help']);
      assert.deepEqual([one.code, one.stderr], [0, '']);
      assert.match(one.stdout, new RegExp(`^usage: identihook ${command}`));
    }
    const serve = await run(['serve', '--help']);
    assert.equal((await run(['serve', '-h'])).stdout, serve.stdout);
    for (const name of ['STRIPE_WEBHOOK_SECRET', 'REDIS_URL', 'IDENTIHOOK_CLAIM_AFTER', 'IDENTIHOOK_LOG_LEVEL'])
      assert.match(serve.stdout, new RegExp(name));
  });

  test('refuses what it does not know, on standard error', async () => {
    for (const words of [[], ['fly'], ['serve', '--fast'], ['serve', '--role', 'king'], ['version', 'please']]) {
      const { code, stdout, stderr } = await run(words, {
        STRIPE_WEBHOOK_SECRET: SECRET,
        STRIPE_SECRET_KEY: 'sk_test_1',
      });
      assert.deepEqual([code, stdout], [2, ''], words.join(' '));
      assert.match(stderr, /identihook/);
    }
  });
});
