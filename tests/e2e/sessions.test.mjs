// POST /create-verification-session and GET /verification-status.

import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes, sign as signRaw } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { send } from '../lib/http_client.mjs';
import { token } from '../lib/stripe_api.mjs';
import { signToken, userToken } from '../lib/user_token.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent, key } from '../lib/world.mjs';

/** A world that creates sessions; `ask` and `status` are a user's requests. */
async function open(t, { settings = {}, ...options } = {}) {
  const secret = randomBytes(32).toString('hex');
  const world = await World.open(t, {
    email: false,
    onboarding: false,
    ...options,
    settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: secret, IDENTIHOOK_LOOPS: '1', ...settings },
  });
  const user = `user_${token(8)}`;
  const at = (path) => new URL(path, world.program.url).href;
  const bearer = userToken(user, secret, { email: `${user}@person.example` });
  const request = (method, path, { token: given = bearer, headers = {}, body = '' } = {}) =>
    send(at(path), { method, headers: { ...(given && { Authorization: `Bearer ${given}` }), ...headers }, body });
  const ask = (body, given = {}) =>
    request('POST', '/create-verification-session', {
      ...given,
      headers: { ...(body !== undefined && { 'Content-Type': 'application/json' }), ...given.headers },
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
  const status = (given) => request('GET', '/verification-status', given);
  const creations = () =>
    world.stripe.requests.items.filter(
      ({ method, path }) => method === 'POST' && path === '/v1/identity/verification_sessions',
    );
  return { world, secret, user, bearer, request, ask, status, creations };
}

const codeOf = ({ status, json }) => [status, json?.error?.code];

describe('a session', { concurrency: 4 }, () => {
  test('is made for the user of the token, and handed out as each integration needs it', async (t) => {
    const { world, user, ask, creations } = await open(t, {
      settings: {
        IDENTIHOOK_SESSION_DOCUMENT_OPTIONS: 'require_matching_selfie,require_live_capture',
        IDENTIHOOK_SESSION_DOCUMENT_TYPES: 'passport,id_card',
        IDENTIHOOK_SESSION_RETURN_URL: 'https://shop.example/done?a=1&b=ü',
      },
    });
    const modal = await ask({ integration: 'modal' });
    assert.equal(modal.status, 200, modal.text);
    assert.deepEqual(Object.keys(modal.json), ['id', 'client_secret']);
    assert.equal(modal.headers['cache-control'], 'no-store');
    const session = world.stripe.session(modal.json.id);
    assert.deepEqual(
      [session.type, session.client_reference_id, session.metadata, session.provided_details],
      ['document', user, { user_id: user, created_by: 'identihook' }, { email: `${user}@person.example` }],
    );
    assert.deepEqual(session.options, {
      document: { require_live_capture: true, require_matching_selfie: true, allowed_types: ['id_card', 'passport'] },
    });
    assert.equal(world.stripe.returns.get(session.id), 'https://shop.example/done?a=1&b=ü');
    const [{ headers }] = creations();
    assert.match(headers['idempotency-key'], /^identihook-session-[A-Za-z0-9]{24}$/, 'nothing personal is in it');
    assert.equal(headers['stripe-version'], '2026-10-28.endive');

    const redirect = await ask({ integration: 'redirect' });
    assert.deepEqual(redirect.json, { id: session.id, url: session.url });
    const native = await ask({ integration: 'native' });
    assert.deepEqual(Object.keys(native.json), ['id', 'ephemeral_key_secret']);
    assert.match(native.json.ephemeral_key_secret, /^ek_test_/);
    const ephemeral = world.stripe.requests.items.at(-1);
    assert.deepEqual(
      [ephemeral.path, String(ephemeral.body), ephemeral.headers['stripe-version']],
      ['/v1/ephemeral_keys', `verification_session=${session.id}`, '2026-10-28.endive'],
    );
    assert.equal(creations().length, 1, 'one user, one session');
  });

  test('of a verification flow has no type', async (t) => {
    const { world, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_FLOW: 'vf_1Flow' } });
    const { json } = await ask();
    const { type, verification_flow: flow } = world.stripe.session(json.id);
    assert.deepEqual([type, flow], ['verification_flow', 'vf_1Flow']);
  });

  test('that is open is given again, with a fresh secret', async (t) => {
    const { ask, creations } = await open(t);
    const first = await ask();
    const second = await ask();
    assert.equal(second.json.id, first.json.id);
    assert.notEqual(second.json.client_secret, first.json.client_secret);
    assert.equal(creations().length, 1);
  });

  test('is one and the same for requests that come at once', async (t) => {
    const { world, ask, creations } = await open(t, { settings: { IDENTIHOOK_LOOPS: '2' } });
    const release = world.stripe.hold(({ method }) => method === 'POST');
    const answers = Array.from({ length: 6 }, () => ask());
    await world.stripe.requests.first(({ method }) => method === 'POST');
    release();
    const ids = (await Promise.all(answers)).map(({ status, json }) => (assert.equal(status, 200), json.id));
    assert.equal(new Set(ids).size, 1);
    assert.equal(creations().length, 1);
  });

  test('of which nobody could be told is found again by its idempotency key', async (t) => {
    const { world, ask, creations } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '500ms' } });
    world.stripe.fail({ late: true, hang: true, when: ({ method }) => method === 'POST' });
    assert.deepEqual(codeOf(await ask()), [503, 'stripe_timeout']);
    assert.equal(world.stripe.sessions.length, 1, 'Stripe has made it all the same');
    const { status, json } = await ask();
    assert.deepEqual([status, json.id], [200, world.stripe.sessions[0].id]);
    assert.equal(world.stripe.sessions.length, 1);
    assert.equal(new Set(creations().map(({ headers }) => headers['idempotency-key'])).size, 1);
  });

  test('whose idempotency key was used with another address gets a new one', async (t) => {
    const { world, ask, secret, user, creations } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '500ms' } });
    world.stripe.fail({ hang: true, when: ({ method }) => method === 'POST' });
    await ask();
    const [{ headers, path }] = creations();
    const earlier = await send(`${world.stripe.url}${path}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${world.key}`, 'Idempotency-Key': headers['idempotency-key'] },
      body: 'type=document',
    });
    assert.equal(earlier.status, 200);
    const answer = await ask(undefined, { token: userToken(user, secret, { email: 'new@person.example' }) });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(world.stripe.session(answer.json.id).provided_details.email, 'new@person.example');
  });

  test('that was canceled, redacted or lost is replaced', async (t) => {
    const { world, ask } = await open(t);
    const ids = new Set();
    for (const change of [{ status: 'canceled' }, { redaction: { status: 'processing' } }, { livemode: true }]) {
      const { json } = await ask();
      ids.add(json.id);
      world.stripe.change(json.id, change);
    }
    assert.equal((await ask()).status, 200);
    assert.equal(ids.size, 3);
    assert.equal(world.stripe.sessions.length, 4);
  });

  test('is not made for a user who is verified, or whose documents are being checked', async (t) => {
    const { world, ask, status, creations } = await open(t);
    const { json } = await ask();
    world.stripe.change(json.id, { status: 'processing' });
    assert.deepEqual(codeOf(await ask()), [409, 'verification_processing']);
    assert.equal((await status()).json.status, 'processing');
    world.stripe.change(json.id, { status: 'verified' });
    assert.deepEqual(codeOf(await ask()), [409, 'already_verified']);
    const before = world.stripe.requests.items.length;
    assert.deepEqual(codeOf(await ask()), [409, 'already_verified']);
    assert.equal(world.stripe.requests.items.length, before, 'Stripe is not asked again');
    assert.equal((await status()).json.status, 'verified');
    assert.equal(creations().length, 1);
  });

  test('is made so many times in the window, and no more', async (t) => {
    const { world, ask, status } = await open(t, { settings: { IDENTIHOOK_SESSION_ATTEMPTS: '2' } });
    for (let i = 0; i < 2; i++) world.stripe.change((await ask()).json.id, { status: 'canceled' });
    const answer = await ask();
    assert.deepEqual(codeOf(answer), [429, 'attempts_exhausted']);
    assert.ok(Number(answer.headers['retry-after']) > 86_000);
    assert.equal((await status()).json.attempts_left, 0);
  });

  test('leaves nothing behind that tells who it is for, nor its secrets', async (t) => {
    const { world, user, ask } = await open(t);
    await ask({ integration: 'native' });
    const keys = await world.redis.call('KEYS', '*');
    const contents = await Promise.all(
      keys.map(async (name) => {
        const type = await world.redis.call('TYPE', name);
        const [command, ...rest] = { hash: ['HGETALL'], string: ['GET'] }[type] ?? ['TYPE'];
        return world.redis.call(command, name, ...rest);
      }),
    );
    const all = JSON.stringify([keys, contents]);
    for (const word of [user, 'person.example', '127.0.0.1', ...world.stripe.issued]) assert.ok(!all.includes(word), word);
    const record = keys.find((name) => name.startsWith(key('user:')));
    assert.ok((await world.redis.call('PTTL', record)) > 0, 'it goes away by itself');
  });
});

describe('a request for a session', { concurrency: 4 }, () => {
  test('may have an empty body, a form, or JSON', async (t) => {
    const { request } = await open(t);
    const path = '/create-verification-session';
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    assert.equal((await request('POST', path, { headers: form })).status, 200);
    assert.equal((await request('POST', path)).status, 200);
    assert.equal((await request('POST', path, { headers: { 'Content-Type': 'application/json' } })).status, 200);
    const native = await request('POST', path, { headers: form, body: 'integration=native' });
    assert.ok(native.json.ephemeral_key_secret);
    const json = { 'Content-Type': 'application/json; charset=utf-8' };
    assert.equal((await request('POST', path, { headers: json, body: '{}' })).status, 200);
  });

  test('by a page is sent on to Stripe, with the token in its form', async (t) => {
    const { world, request, bearer } = await open(t);
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const body = `integration=redirect&access_token=${bearer}`;
    const answer = await request('POST', '/create-verification-session', { token: null, headers, body });
    assert.deepEqual([answer.status, answer.text], [303, '']);
    assert.equal(answer.headers.location, world.stripe.sessions[0].url);
    assert.equal(answer.headers['cache-control'], 'no-store');
  });

  const faulty = {
    'is no JSON': ['{"integration":', 'application/json', 400, 'invalid_body'],
    'is no object': ['[]', 'application/json', 400, 'invalid_body'],
    'says what it is not to say': ['{"type":"id_number"}', 'application/json', 400, 'unknown_field'],
    'says more than it may': ['{"integration":"modal","return_url":"x"}', 'application/json', 400, 'unknown_field'],
    'names no integration that there is': ['{"integration":"fax"}', 'application/json', 400, 'unknown_integration'],
    'has a number for an integration': ['{"integration":7}', 'application/json', 400, 'unknown_integration'],
    'says too much in a form': ['metadata[a]=b', 'application/x-www-form-urlencoded', 400, 'unknown_field'],
    'says a thing twice': ['integration=modal&integration=native', 'application/x-www-form-urlencoded', 400, 'unknown_field'],
    'is a broken form': ['integration=%6', 'application/x-www-form-urlencoded', 400, 'invalid_body'],
    'is too long': [`{"integration":"${'x'.repeat(9000)}"}`, 'application/json', 400, 'invalid_body'],
    'is XML': ['<integration/>', 'application/xml', 415, 'unsupported_media_type'],
  };
  test('is refused when its body is not what it may be', async (t) => {
    const { world, request } = await open(t);
    for (const [what, [body, type, status, code]] of Object.entries(faulty)) {
      const answer = await request('POST', '/create-verification-session', { headers: { 'Content-Type': type }, body });
      assert.deepEqual(codeOf(answer), [status, code], what);
      assert.ok(answer.json.error.message.length > 10, what);
    }
    assert.deepEqual(world.stripe.requests.items, []);
  });

  test('is refused without a good token, before anything is done', async (t) => {
    const settings = { IDENTIHOOK_SESSION_TOKEN_AUDIENCE: 'identihook', IDENTIHOOK_SESSION_TOKEN_ISSUER: 'shop' };
    const { world, ask, status, secret } = await open(t, { settings });
    const now = Math.floor(Date.now() / 1000);
    const good = { sub: 'user_1', exp: now + 60, aud: 'identihook', iss: 'shop' };
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const rs256 = (() => {
      const [head, body] = signToken(good, secret, { alg: 'RS256', typ: 'JWT' }).split('.');
      return `${head}.${body}.${signRaw('sha256', Buffer.from(`${head}.${body}`), privateKey).toString('base64url')}`;
    })();
    const unsigned = `${signToken(good, secret, { alg: 'none' }).split('.').slice(0, 2).join('.')}.`;
    const tokens = {
      none: [null, 'token_missing'],
      'no token': ['abc', 'token_invalid'],
      'another secret': [signToken(good, `${secret}x`), 'token_invalid'],
      'no signature': [unsigned, 'token_invalid'],
      'no signature, but something there': [`${unsigned}AAAA`, 'token_invalid'],
      HS512: [signToken(good, secret, { alg: 'HS512', typ: 'JWT' }), 'token_invalid'],
      RS256: [rs256, 'token_invalid'],
      'a critical extension': [signToken(good, secret, { alg: 'HS256', crit: ['x'] }), 'token_invalid'],
      'a changed claim': [
        (() => {
          const [head, , mac] = signToken(good, secret).split('.');
          return `${head}.${Buffer.from(JSON.stringify({ ...good, sub: 'user_2' })).toString('base64url')}.${mac}`;
        })(),
        'token_invalid',
      ],
      'its time over': [signToken({ ...good, exp: now - 31 }, secret), 'token_expired'],
      'no end': [signToken({ ...good, exp: undefined }, secret), 'token_invalid'],
      'an end in words': [signToken({ ...good, exp: 'never' }, secret), 'token_invalid'],
      'its time to come': [signToken({ ...good, nbf: now + 60 }, secret), 'token_invalid'],
      'no audience': [signToken({ ...good, aud: undefined }, secret), 'token_invalid'],
      'another audience': [signToken({ ...good, aud: ['other'] }, secret), 'token_invalid'],
      'another issuer': [signToken({ ...good, iss: 'elsewhere' }, secret), 'token_invalid'],
      'no user': [signToken({ ...good, sub: undefined }, secret), 'token_invalid'],
      'an empty user': [signToken({ ...good, sub: '' }, secret), 'token_invalid'],
      'a number for a user': [signToken({ ...good, sub: 7 }, secret), 'token_invalid'],
      'a line in its user': [signToken({ ...good, sub: 'a\r\nb' }, secret), 'token_invalid'],
      'a very long user': [signToken({ ...good, sub: 'x'.repeat(201) }, secret), 'token_invalid'],
      'no address for an e-mail': [signToken({ ...good, email: 'a@b.example, c@d.example' }, secret), 'token_invalid'],
      'too many bytes': [signToken({ ...good, more: 'x'.repeat(4000) }, secret), 'token_invalid'],
    };
    for (const [what, [given, code]] of Object.entries(tokens)) {
      for (const answer of [await ask(undefined, { token: given }), await status({ token: given })]) {
        assert.deepEqual(codeOf(answer), [401, code], what);
        assert.match(answer.headers['www-authenticate'], /^Bearer/, what);
      }
    }
    assert.deepEqual(world.stripe.requests.items, []);
    assert.deepEqual(await world.redis.call('KEYS', key('user:*')), []);
    const fine = [good, { ...good, aud: ['x', 'identihook'] }, { ...good, exp: now - 20 }, { ...good, nbf: now + 20 }];
    for (const claims of fine) assert.equal((await status({ token: signToken(claims, secret) })).status, 200);
  });

  test('is taken with any of several secrets while they are rotated', async (t) => {
    const secrets = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
    const { status } = await open(t, { settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: secrets.join(',') } });
    for (const secret of secrets) assert.equal((await status({ token: userToken('user_1', secret) })).status, 200);
  });

  test('is taken with new secrets after SIGHUP, and no longer with the old ones', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    t.after(() => rm(folder, { recursive: true }));
    const file = join(folder, 'secret');
    const [old, fresh] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')];
    await writeFile(file, `${old}\n`);
    const { world, status } = await open(t, {
      settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: undefined, IDENTIHOOK_SESSION_TOKEN_SECRET_FILE: file },
    });
    assert.equal((await status({ token: userToken('user_1', old) })).status, 200);
    await writeFile(file, `${fresh}\n`);
    world.program.child.signal('SIGHUP');
    await until(async () => (await status({ token: userToken('user_1', fresh) })).status === 200, 'the new secret');
    assert.deepEqual(codeOf(await status({ token: userToken('user_1', old) })), [401, 'token_invalid']);
  });

  test('is answered to pages of allowed origins and our own, and to no others', async (t) => {
    const origin = 'https://app.shop.example';
    const { world, request, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_ORIGINS: `${origin},https://b.example` } });
    const preflight = await request('OPTIONS', '/create-verification-session', {
      token: null,
      headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
    });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers['access-control-allow-origin'], origin);
    assert.match(preflight.headers['access-control-allow-headers'], /Authorization/);
    assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    const answer = await ask(undefined, { headers: { Origin: origin } });
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, origin]);
    assert.match(answer.headers.vary, /Origin/);
    const error = await ask(undefined, { headers: { Origin: origin }, token: 'x' });
    assert.deepEqual([error.status, error.headers['access-control-allow-origin']], [401, origin], 'errors can be read too');
    for (const other of ['https://evil.example', 'null', `${origin}.evil.example`, 'http://app.shop.example']) {
      const refused = await ask(undefined, { headers: { Origin: other } });
      assert.deepEqual(codeOf(refused), [403, 'origin_not_allowed'], other);
      assert.equal(refused.headers['access-control-allow-origin'], undefined);
      assert.equal((await request('OPTIONS', '/verification-status', { headers: { Origin: other } })).status, 403);
    }
    const own = await ask(undefined, { headers: { Origin: new URL(world.program.url).origin } });
    assert.deepEqual([own.status, own.headers['access-control-allow-origin']], [200, undefined]);
  });

  test('is limited by user and by address', async (t) => {
    const { ask, secret } = await open(t, {
      settings: {
        IDENTIHOOK_SESSION_USER_RATE: '2/m',
        IDENTIHOOK_SESSION_ADDRESS_RATE: '5/m',
        IDENTIHOOK_SESSION_ADDRESS_HEADER: 'X-Forwarded-For',
      },
    });
    const from = (user, address) =>
      ask(undefined, { token: userToken(user, secret), headers: { 'X-Forwarded-For': `9.9.9.9, ${address}` } });
    assert.equal((await from('user_a', '192.0.2.1')).status, 200);
    assert.equal((await from('user_a', '192.0.2.2')).status, 200);
    const refused = await from('user_a', '192.0.2.3');
    assert.deepEqual(codeOf(refused), [429, 'rate_limited']);
    assert.ok(Number(refused.headers['retry-after']) >= 1);
    for (let i = 0; i < 5; i++) assert.equal((await from(`user_${i}`, `2001:db8:1:2::${i + 1}`)).status, 200);
    assert.deepEqual(codeOf(await from('user_b', '2001:db8:1:2:ffff::1')), [429, 'rate_limited'], 'one network of /64');
    assert.equal((await from('user_b', '2001:db8:1:3::1')).status, 200, 'a refusal takes nothing from the user');
  });

  test('is 405 with another method, and 404 where no sessions are made', async (t) => {
    const { request } = await open(t);
    const wrong = await request('GET', '/create-verification-session');
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, 'POST, OPTIONS']);
    const without = await open(t, { settings: { IDENTIHOOK_SESSION_TOKEN_SECRET: undefined } });
    assert.deepEqual(codeOf(await without.ask()), [404, 'not_found']);
  });
});

describe('when Stripe or Redis fails', { concurrency: 4 }, () => {
  const faults = {
    'is down': [{ status: 503 }, 503, 'stripe_unavailable'],
    'limits the rate': [{ status: 429 }, 503, 'stripe_unavailable'],
    'resets the connection': [{ reset: true }, 503, 'stripe_unavailable'],
    'answers nonsense': [{ status: 200, body: '<html>' }, 502, 'stripe_refused'],
    'refuses the parameters': [{ status: 400 }, 502, 'stripe_refused'],
    'refuses the key': [{ status: 401 }, 502, 'stripe_refused'],
  };
  for (const [what, [fault, status, code]] of Object.entries(faults)) {
    test(`Stripe ${what}: ${status} ${code}, and the next request goes well`, async (t) => {
      const { world, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '3s' } });
      world.stripe.fail({ ...fault, times: Infinity });
      const answer = await ask();
      assert.deepEqual(codeOf(answer), [status, code]);
      if (status === 503) assert.ok(answer.headers['retry-after']);
      world.stripe.recover();
      assert.equal((await ask()).status, 200);
      assert.equal(world.stripe.sessions.length, 1);
    });
  }

  test('the process is killed before Stripe answers: the next one finds the session that was made', async (t) => {
    const { world, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '500ms' } });
    world.stripe.fail({ late: true, hang: true, when: ({ method }) => method === 'POST' });
    const lost = ask().catch(() => {});
    await until(() => world.stripe.sessions.length === 1, 'Stripe to have made it');
    await world.program.kill();
    await lost;
    await world.start();
    const answer = await until(async () => {
      const one = await ask();
      return one.status === 200 ? one : (assert.deepEqual(codeOf(one), [503, 'session_busy']), null);
    }, 'the claim of the dead process to run out');
    assert.equal(answer.json.id, world.stripe.sessions[0].id);
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('Redis goes away while Stripe makes the session: it is found again', async (t) => {
    const { world, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '500ms' } });
    const release = world.stripe.hold(({ method }) => method === 'POST');
    const answer = ask();
    await world.stripe.requests.first(({ method }) => method === 'POST');
    await world.redis.stop();
    release();
    assert.deepEqual(codeOf(await answer), [503, 'records_unavailable']);
    await world.redis.start();
    const again = await until(async () => {
      const one = await ask();
      return one.status === 200 && one;
    }, 'the claim to run out');
    assert.equal(again.json.id, world.stripe.sessions[0].id);
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('a fault that passes is not noticed, and sent again with the same key', async (t) => {
    const { world, ask, creations } = await open(t);
    world.stripe.fail({ status: 409 });
    world.stripe.fail({ close: true });
    assert.equal((await ask()).status, 200);
    assert.equal(new Set(creations().map(({ headers }) => headers['idempotency-key'])).size, 1);
  });

  test('the answer comes within IDENTIHOOK_SESSION_TIMEOUT', async (t) => {
    const { world, ask } = await open(t, { settings: { IDENTIHOOK_SESSION_TIMEOUT: '600ms' } });
    world.stripe.fail({ hang: true, times: Infinity });
    const started = Date.now();
    assert.deepEqual(codeOf(await ask()), [503, 'stripe_timeout']);
    assert.ok(Date.now() - started < 2500);
  });

  test('Redis is away: 503, and Stripe is not asked', async (t) => {
    const { world, ask, status } = await open(t, { settings: { IDENTIHOOK_ENQUEUE_TIMEOUT: '500ms' } });
    await world.redis.stop();
    for (const answer of [await ask(), await status()]) assert.deepEqual(codeOf(answer), [503, 'records_unavailable']);
    assert.deepEqual(world.stripe.requests.items, []);
    await world.redis.start();
    await until(async () => (await status()).status === 200, 'Redis to be found again');
  });

  test('a client that goes away leaves a session behind that is found again', async (t) => {
    const { world, bearer, ask } = await open(t);
    const release = world.stripe.hold(({ method }) => method === 'POST');
    const socket = net.connect(new URL(world.program.url).port, '127.0.0.1');
    socket.write(
      `POST /create-verification-session HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\nContent-Length: 0\r\n\r\n`,
    );
    await world.stripe.requests.first(() => true);
    socket.destroy();
    release();
    await world.program.logs.first(({ message }) => message === 'session created');
    assert.equal((await ask()).json.id, world.stripe.sessions[0].id);
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('a request that Stripe leaves unanswered does not hold up the end', async (t) => {
    const { world, ask } = await open(t, { settings: { IDENTIHOOK_SHUTDOWN_TIMEOUT: '200ms' } });
    world.stripe.fail({ hang: true, times: Infinity });
    const answer = ask().catch(({ code }) => code);
    await world.stripe.requests.first(() => true);
    assert.deepEqual(await world.program.stop(), { code: 0, signal: null });
    assert.equal(await answer, 'ECONNRESET');
  });

  test('a request under way is answered before the program ends', async (t) => {
    const { world, ask } = await open(t);
    const release = world.stripe.hold();
    const answer = ask();
    await world.stripe.requests.first(() => true);
    const end = world.program.stop();
    await world.program.logs.first(({ message }) => message === 'stopping');
    release();
    assert.equal((await answer).status, 200);
    assert.deepEqual(await end, { code: 0, signal: null });
  });
});

describe('the status', { concurrency: 4 }, () => {
  test('is none for a user who never asked for a session', async (t) => {
    const { status } = await open(t);
    const answer = await status();
    assert.deepEqual(answer.json, { status: 'none', session: null, reason: null, updated_at: null, attempts_left: 5 });
    assert.equal(answer.headers['cache-control'], 'no-store');
  });

  /** The checks of a session end, and Stripe tells of it. */
  const conclude = (world, id, changes) => {
    const { status, last_error: error } = { last_error: null, ...changes };
    world.stripe.change(id, { status, last_error: error });
    return composeEvent(status, { session: id });
  };
  const failure = (code) => ({ status: 'requires_input', last_error: { code, reason: 'A reason.' } });

  test('follows the events of the session', async (t) => {
    const { world, ask, status } = await open(t);
    const { id } = (await ask()).json;
    assert.deepEqual([(await status()).json.status, (await status()).json.session], ['requires_input', id]);
    await world.carry(conclude(world, id, failure('document_expired')));
    const failed = (await status()).json;
    assert.deepEqual([failed.status, failed.attempts_left], ['requires_input', 4]);
    assert.deepEqual([failed.reason.code, failed.reason.retryable], ['document_expired', true]);
    assert.match(failed.reason.message, /expired/);
    assert.equal((await ask()).json.id, id, 'the same session is tried again');
    assert.equal((await status()).json.reason, null, 'a new try has no failure yet');
    await world.carry(conclude(world, id, { status: 'verified' }));
    const verified = (await status()).json;
    assert.deepEqual([verified.status, verified.reason], ['verified', null]);
    assert.ok(Math.abs(verified.updated_at - Date.now() / 1000) < 30);
    assert.deepEqual(codeOf(await ask()), [409, 'already_verified']);
  });

  test('does not wait for mails, and counts a failed check once however often its event is tried', async (t) => {
    const { world, ask, status } = await open(t, { email: true });
    const { id } = (await ask()).json;
    world.smtp.fail({ stage: 'rcpt', code: 450, times: 3 });
    const event = conclude(world, id, failure('selfie_face_mismatch'));
    await world.deliver(event);
    await world.smtp.refused.first(() => true);
    assert.equal((await status()).json.reason.code, 'selfie_face_mismatch');
    await world.outcome(event);
    assert.equal((await status()).json.attempts_left, 4);
  });

  test('tells of no session that somebody else made in the name of the user', async (t) => {
    const { world, user, ask, status } = await open(t);
    const own = (await ask()).json.id;
    const metadata = { created_by: 'identihook' };
    const other = world.stripe.addSession({ client_reference_id: user, metadata, status: 'verified' });
    await world.carry(composeEvent('verified', { session: other.id }));
    const { json } = await status();
    assert.deepEqual([json.status, json.session], ['requires_input', own]);
  });

  test('ends the attempts when so many checks have failed', async (t) => {
    const { world, ask, status } = await open(t, { settings: { IDENTIHOOK_SESSION_ATTEMPTS: '2' } });
    for (let i = 0; i < 2; i++) {
      const { status: code, json } = await ask();
      assert.equal(code, 200);
      await world.carry(conclude(world, json.id, failure('document_unverified_other')));
    }
    assert.deepEqual(codeOf(await ask()), [429, 'attempts_exhausted']);
    assert.equal((await status()).json.attempts_left, 0);
    assert.equal(world.stripe.sessions.length, 1);
  });

  test('is kept by the workers of a fleet, too', async (t) => {
    const { world, ask, status, secret } = await open(t, { start: false });
    const settings = { IDENTIHOOK_SESSION_TOKEN_SECRET: secret };
    await world.start({ settings, words: ['--role', 'worker'] });
    await world.start({ settings, words: ['--role', 'ingest'] });
    const { id } = (await ask()).json;
    await world.carry(conclude(world, id, { status: 'verified' }));
    assert.equal((await status()).json.status, 'verified');
  });

  test('follows processing and canceled, too, where these events are selected', async (t) => {
    const { world, ask, status } = await open(t, {
      settings: { IDENTIHOOK_EVENTS: 'processing,verified,requires_input,canceled' },
    });
    const { id } = (await ask()).json;
    for (const state of ['processing', 'canceled']) {
      world.stripe.change(id, { status: state });
      const outcome = await world.carry(composeEvent(state, { session: id }));
      assert.deepEqual([outcome.outcome, outcome.status], ['done', state]);
      assert.equal((await status()).json.status, state);
    }
  });
});
