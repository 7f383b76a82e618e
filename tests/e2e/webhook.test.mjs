// What the webhook listener answers to what.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, test } from 'node:test';

import { RawSocket, head } from '../lib/raw_socket.mjs';
import { World, composeEvent, key, newSecret, post, sign } from '../lib/world.mjs';

/** Without a worker: what is queued stays where it can be looked at. */
const openIngest = (t, settings = {}) => World.open(t, { settings, words: ['--role', 'ingest'] });

const queued = (world) => world.redis.entries(key('events'));

function assertError(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.equal(answer.headers['content-type'], 'application/json');
  assert.ok(answer.headers['x-request-id']);
  assert.deepEqual(Object.keys(answer.json.error).sort(), ['code', 'message']);
  assert.equal(answer.json.error.code, code);
}

/** The same for an answer that came through a raw socket. */
const assertRawError = ({ status, headers, body }, wantedStatus, code) =>
  assertError({ status, headers, text: body, json: JSON.parse(body) }, wantedStatus, code);

describe('a signed event', { concurrency: 8 }, () => {
  test('is answered 200 with a request id of its own', async (t) => {
    const world = await openIngest(t);
    const [one, other] = [await world.deliver(composeEvent('verified')), await world.deliver(composeEvent('verified'))];
    assert.equal(one.status, 200);
    assert.equal(one.text, '{"received":true,"duplicate":false}');
    assert.equal(one.headers['content-type'], 'application/json');
    assert.ok(one.headers['x-request-id']);
    assert.notEqual(one.headers['x-request-id'], other.headers['x-request-id']);
  });

  test('stands in the stream with its fields and its very bytes', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified.unicode');
    event.body = event.body.replaceAll('\n', '\r\n');
    await world.deliver(event);
    const [{ id, received_ms, ...entry }] = await queued(world);
    assert.deepEqual(entry, {
      event: event.id,
      type: event.type,
      session: event.session,
      account: '',
      livemode: 'false',
      created: String(event.content.created),
      api_version: event.content.api_version,
      payload: event.body,
    });
    assert.ok(Math.abs(Date.now() - received_ms) < 60_000);
  });

  test('of a connected account stands there with the account', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified.connect');
    await world.deliver(event);
    assert.match(event.content.account, /^acct_/);
    assert.equal((await queued(world))[0].account, event.content.account);
  });

  test('that comes again is a duplicate, and is not queued again', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push((await world.deliver(event)).text);
    assert.deepEqual(answers, [
      '{"received":true,"duplicate":false}',
      '{"received":true,"duplicate":true}',
      '{"received":true,"duplicate":true}',
    ]);
    assert.equal((await queued(world)).length, 1);
  });

  test('twenty times at once on connections of their own is queued once', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const answers = await Promise.all(Array.from({ length: 20 }, () => world.deliver(event)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(answers.filter(({ json }) => !json.duplicate).length, 1);
    assert.equal((await queued(world)).length, 1);
  });

  test('leaves a mark for as long as IDENTIHOOK_DEDUPE_WINDOW says', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_DEDUPE_WINDOW: '2h' });
    const event = composeEvent('verified');
    await world.deliver(event);
    const left = await world.redis.call('PTTL', key(`seen:${event.id}`));
    assert.ok(left > 7_100_000 && left <= 7_200_000, `${left} ms are left`);
  });

  for (const name of ['created', 'processing', 'canceled', 'redacted']) {
    test(`of the type ${name} is answered 200 and not queued, since it is not selected`, async (t) => {
      const world = await openIngest(t);
      const answer = await world.deliver(composeEvent(name));
      assert.equal(answer.status, 200);
      assert.equal(answer.text, '{"received":true,"duplicate":false}');
      assert.deepEqual(await queued(world), []);
    });
  }

  test('of another product is answered 200 and not queued', async (t) => {
    const world = await openIngest(t);
    const answer = await world.deliver(composeEvent('verified', { type: 'payment_intent.succeeded' }));
    assert.equal(answer.status, 200);
    assert.deepEqual(await queued(world), []);
  });

  test('of each type is queued when IDENTIHOOK_EVENTS selects it', async (t) => {
    const names = ['created', 'processing', 'verified', 'requires_input', 'canceled', 'redacted'];
    const world = await openIngest(t, { IDENTIHOOK_EVENTS: names.join(',') });
    for (const name of names) assert.equal((await world.deliver(composeEvent(name))).status, 200);
    assert.deepEqual(
      (await queued(world)).map(({ type }) => type),
      names.map((name) => `identity.verification_session.${name}`),
    );
  });

  test('of the other mode is answered 200 and not queued when IDENTIHOOK_LIVEMODE says so', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_LIVEMODE: 'live' });
    const live = composeEvent('verified.livemode');
    for (const event of [composeEvent('verified'), live]) assert.equal((await world.deliver(event)).status, 200);
    assert.deepEqual(
      (await queued(world)).map(({ event, livemode }) => ({ event, livemode })),
      [{ event: live.id, livemode: 'true' }],
    );
  });

  test('of almost a mebibyte is taken', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified', { object: { metadata: { long: 'x'.repeat(1_000_000) } } });
    assert.equal((await world.deliver(event)).status, 200);
    assert.equal((await queued(world))[0].payload, event.body);
  });

  test('of an old API version, without the newer members, is taken', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified.sparse_old_version');
    assert.equal((await world.deliver(event)).status, 200);
    assert.equal((await queued(world)).length, 1);
  });
});

describe('a signature', { concurrency: 8 }, () => {
  const refuse = (name, wanted, make) =>
    test(`${name} is refused as ${wanted}`, async (t) => {
      const world = await openIngest(t);
      const event = composeEvent('verified');
      const { header, body = event.body } = make(event, world.secret);
      const answer = await post(world.program.url, body, header === undefined ? {} : { 'Stripe-Signature': header });
      assertError(answer, 400, wanted);
      assert.deepEqual(await queued(world), []);
      assert.equal(await world.redis.call('EXISTS', key(`seen:${event.id}`)), 0);
    });

  const now = () => Math.floor(Date.now() / 1000);
  refuse('that is not there', 'signature_missing', () => ({}));
  refuse('that is empty', 'signature_missing', () => ({ header: '' }));
  refuse('without a time', 'signature_malformed', ({ body }, secret) => ({
    header: sign(body, secret).replace(/^t=\d+,/, ''),
  }));
  refuse('with two times', 'signature_malformed', ({ body }, secret) => ({ header: `t=1,${sign(body, secret)}` }));
  refuse('of another scheme', 'signature_malformed', ({ body }, secret) => ({
    header: sign(body, secret).replace('v1=', 'v0='),
  }));
  refuse('in capitals', 'signature_malformed', ({ body }, secret) => ({
    header: sign(body, secret).replace(/v1=.*/, (hex) => `v1=${hex.slice(3).toUpperCase()}`),
  }));
  refuse('by another secret', 'signature_mismatch', ({ body }) => ({ header: sign(body, newSecret()) }));
  refuse('of another body', 'signature_mismatch', ({ body }, secret) => ({
    header: sign(body, secret),
    body: `${body}\n`,
  }));
  refuse('of another time', 'signature_mismatch', ({ body }, secret) => ({
    header: sign(body, secret).replace(/t=\d+/, `t=${now() + 1}`),
  }));
  refuse('of a body that is no JSON, and wrong', 'signature_mismatch', () => ({
    header: sign('{', newSecret()),
    body: '{',
  }));
  refuse('older than the tolerance', 'signature_stale', ({ body }, secret) => ({
    header: sign(body, secret, now() - 310),
  }));
  refuse('further in the future than the tolerance', 'signature_stale', ({ body }, secret) => ({
    header: sign(body, secret, now() + 320),
  }));

  test('within the tolerance holds, on both sides', async (t) => {
    const world = await openIngest(t);
    for (const timestamp of [now() - 290, now() + 290]) {
      assert.equal((await world.deliver(composeEvent('verified'), { timestamp })).status, 200);
    }
  });

  test('of an age that IDENTIHOOK_SIGNATURE_TOLERANCE forbids is refused', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_SIGNATURE_TOLERANCE: '10s' });
    assertError(await world.deliver(composeEvent('verified'), { timestamp: now() - 20 }), 400, 'signature_stale');
  });

  test('by any of several secrets holds, while they are rotated', async (t) => {
    const [old, fresh] = [newSecret(), newSecret()];
    const world = await openIngest(t, { STRIPE_WEBHOOK_SECRET: `old=${old},new=${fresh}` });
    for (const secret of [old, fresh])
      assert.equal((await world.deliver(composeEvent('verified'), { secret })).status, 200);
    assertError(await world.deliver(composeEvent('verified'), { secret: newSecret() }), 400, 'signature_mismatch');
  });

  test('holds when one of several in the header does', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const other = sign(event.body, newSecret()).split(',')[1];
    const [time, ours] = sign(event.body, world.secret).split(',');
    for (const header of [
      [time, other, ours],
      [time, ours, other],
      [time, 'v0=junk', ours],
    ]) {
      assert.equal((await post(world.program.url, event.body, { 'Stripe-Signature': header.join(',') })).status, 200);
    }
  });
});

describe('a signed body that is no event', { concurrency: 8 }, () => {
  const bodies = {
    'nothing at all': '',
    'no JSON': '{"id":"evt_1","object":"event"',
    'JSON with something behind it': `${composeEvent('verified').body}x`,
    'a list': '[]',
    'no UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]).toString('latin1'),
    'an object without an id': JSON.stringify({ ...composeEvent('verified').content, id: undefined }),
    'an event with an id that is no text': JSON.stringify({ ...composeEvent('verified').content, id: 7 }),
    'an event with an id that could break a key': JSON.stringify({
      ...composeEvent('verified').content,
      id: 'evt_1\r\n',
    }),
    'an event without a type': JSON.stringify({ ...composeEvent('verified').content, type: undefined }),
    'an event without an object': JSON.stringify({ ...composeEvent('verified').content, data: {} }),
    'an event whose session could lead elsewhere': composeEvent('verified', { session: 'vs_1/../../v1/charges' }).body,
    'something else than an event': JSON.stringify({ ...composeEvent('verified').content, object: 'charge' }),
    'a thin event': JSON.stringify({
      id: 'evt_1',
      object: 'v2.core.event',
      type: 'v1.identity.verification_session.verified',
      related_object: { id: 'vs_1' },
    }),
  };
  for (const [name, body] of Object.entries(bodies)) {
    test(`(${name}) is refused as invalid_event`, async (t) => {
      const world = await openIngest(t);
      const bytes = Buffer.from(body, name === 'no UTF-8' ? 'latin1' : 'utf8');
      // Stripe's library signs text; here the bytes are what is signed.
      const header = name === 'no UTF-8' ? await signBytes(bytes, world.secret) : sign(body, world.secret);
      assertError(await post(world.program.url, bytes, { 'Stripe-Signature': header }), 400, 'invalid_event');
      assert.deepEqual(await queued(world), []);
    });
  }
});

async function signBytes(bytes, secret) {
  const { createHmac } = await import('node:crypto');
  const t = Math.floor(Date.now() / 1000);
  return `t=${t},v1=${createHmac('sha256', secret).update(`${t}.`).update(bytes).digest('hex')}`;
}

describe('a request', { concurrency: 8 }, () => {
  test('to another path is answered 404', async (t) => {
    const world = await openIngest(t);
    const { origin } = new URL(world.program.url);
    for (const path of ['/', '/webhook/', '/webhooks', '/Webhook'])
      assertError(await post(`${origin}${path}`, '{}'), 404, 'not_found');
  });

  test('to IDENTIHOOK_WEBHOOK_PATH is the one that is taken', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_WEBHOOK_PATH: '/hooks/stripe' });
    assert.match(world.program.url, /\/hooks\/stripe$/);
    assert.equal((await world.deliver(composeEvent('verified'))).status, 200);
    assertError(await post(new URL('/webhook', world.program.url).href, '{}'), 404, 'not_found');
  });

  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    test(`by ${method} is answered 405 with what is allowed`, async (t) => {
      const world = await openIngest(t);
      const answer = await post(world.program.url, '', {}, { method });
      assertError(answer, 405, 'method_not_allowed');
      assert.equal(answer.headers.allow, 'POST');
    });
  }

  test('by HEAD is answered without a body', async (t) => {
    const world = await openIngest(t);
    const answer = await post(world.program.url, '', {}, { method: 'HEAD' });
    assert.equal(answer.status, 405);
    assert.equal(answer.text, '');
  });

  test('with a length over the limit is answered 413 before its body comes', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_MAX_BODY: '4k' });
    const raw = await RawSocket.open(world.program.url);
    raw.send(head(world.program.url, { 'Content-Length': 4097 }));
    assertRawError(await raw.answer(), 413, 'body_too_large');
    await raw.closing();
  });

  test('with chunks over the limit is answered 413', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_MAX_BODY: '4k' });
    const raw = await RawSocket.open(world.program.url);
    raw.send(`${head(world.program.url, { 'Transfer-Encoding': 'chunked' })}1000\r\n${'x'.repeat(4096)}\r\n1\r\nx\r\n`);
    assertRawError(await raw.answer(), 413, 'body_too_large');
    await raw.closing();
  });

  test('with headers over the limit is answered 431, whether they are long or many', async (t) => {
    const world = await openIngest(t);
    for (const headers of [
      { 'X-Long': 'x'.repeat(17_000) },
      Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`X-${i}`, i])),
    ]) {
      const raw = await RawSocket.open(world.program.url);
      raw.send(head(world.program.url, { 'Content-Length': 0, ...headers }));
      assertRawError(await raw.answer(), 431, 'headers_too_large');
      await raw.closing();
    }
  });

  test('with too long a target is answered 414', async (t) => {
    const world = await openIngest(t);
    const raw = await RawSocket.open(world.program.url);
    raw.send(`POST /webhook?${'x'.repeat(5000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    assertRawError(await raw.answer(), 414, 'url_too_long');
    await raw.closing();
  });

  test('whose headers are too slow is answered 408', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_HEADER_TIMEOUT: '200ms' });
    const raw = await RawSocket.open(world.program.url);
    raw.send('POST /webhook HTTP/1.1\r\nHost: localhost\r\n');
    assertRawError(await raw.answer(), 408, 'request_timeout');
    await raw.closing();
  });

  test('whose body is too slow is answered 408', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_REQUEST_TIMEOUT: '300ms' });
    const raw = await RawSocket.open(world.program.url);
    raw.send(`${head(world.program.url, { 'Content-Length': 10 })}{`);
    assertRawError(await raw.answer(), 408, 'request_timeout');
    await raw.closing();
  });

  const nonsense = {
    'no HTTP at all': 'hello\r\n\r\n',
    'a TLS greeting': Buffer.from('160301020001000001fc0303', 'hex'),
    'the greeting of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a length and chunks':
      'POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'two lengths': 'POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'a folded header': 'POST /webhook HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
    'no Host': 'POST /webhook HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
    'two Hosts': 'POST /webhook HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
    'a line feed alone': 'POST /webhook HTTP/1.1\nHost: a\n\n',
  };
  for (const [name, bytes] of Object.entries(nonsense)) {
    test(`that is not HTTP (${name}) is answered 400, and the connection is closed`, async (t) => {
      const world = await openIngest(t);
      const raw = await RawSocket.open(world.program.url);
      raw.send(bytes);
      assertRawError(await raw.answer(), 400, 'bad_request');
      await raw.closing();
      assert.equal((await world.deliver(composeEvent('verified'))).status, 200, 'others are served on');
    });
  }
});

describe('a connection', { concurrency: 8 }, () => {
  test('serves one request after the other', async (t) => {
    const world = await openIngest(t);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    for (let i = 0; i < 3; i++) assert.equal((await world.deliver(composeEvent('verified'), { agent })).status, 200);
    assertError(await post(world.program.url, '{}', {}, { agent }), 400, 'signature_missing');
    assert.equal((await world.deliver(composeEvent('verified'), { agent })).status, 200);
    const sockets = Object.values({ ...agent.freeSockets, ...agent.sockets }).flat();
    assert.equal(sockets.length, 1);
    assert.equal((await queued(world)).length, 4);
  });

  const request = (world, event, headers = {}) =>
    head(world.program.url, {
      'Stripe-Signature': sign(event.body, world.secret),
      'Content-Length': Buffer.byteLength(event.body),
      ...headers,
    });

  test('that sends requests ahead is answered in their order', async (t) => {
    const world = await openIngest(t);
    const events = [composeEvent('verified'), composeEvent('verified'), composeEvent('verified')];
    events.push(events[0]);
    const raw = await RawSocket.open(world.program.url);
    raw.send(events.map((event) => request(world, event) + event.body).join(''));
    const answers = await raw.answers(4);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.deepEqual(
      answers.map(({ body }) => JSON.parse(body).duplicate),
      [false, false, false, true],
    );
    raw.close();
  });

  test('that sends byte by byte is understood', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_REQUEST_TIMEOUT: '30s', IDENTIHOOK_HEADER_TIMEOUT: '30s' });
    const event = composeEvent('verified');
    const raw = await RawSocket.open(world.program.url);
    raw.socket.setNoDelay(true);
    for (const byte of request(world, event) + event.body) {
      raw.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal((await raw.answer()).status, 200);
    raw.close();
  });

  test('may send its body in chunks', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const raw = await RawSocket.open(world.program.url);
    const chunks = event.body
      .match(/[^]{1,100}/g)
      .map((chunk) => `${Buffer.byteLength(chunk).toString(16)}\r\n${chunk}\r\n`);
    const headers = { 'Stripe-Signature': sign(event.body, world.secret), 'Transfer-Encoding': 'chunked' };
    raw.send(`${head(world.program.url, headers)}${chunks.join('')}0\r\n\r\n`);
    assert.equal((await raw.answer()).status, 200);
    assert.equal((await queued(world))[0].payload, event.body);
    raw.close();
  });

  test('may ask whether it may go on', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const raw = await RawSocket.open(world.program.url);
    raw.send(request(world, event, { Expect: '100-continue' }));
    assert.equal((await raw.answer()).status, 100);
    raw.send(event.body);
    assert.deepEqual(
      (await raw.answers(2)).map(({ status }) => status),
      [100, 200],
    );
    raw.close();
  });

  test('is answered without being let go on when there is nothing for it here', async (t) => {
    const world = await openIngest(t);
    const asking = { Expect: '100-continue', 'Content-Length': '1000' };
    const lost = [
      [404, head(new URL('/elsewhere', world.program.url), asking)],
      [405, head(world.program.url, asking, { method: 'PUT' })],
      [404, head(new URL('/elsewhere', world.program.admin), asking, { method: 'GET' }), world.program.admin],
      [405, head(new URL('/metrics', world.program.admin), asking), world.program.admin],
    ];
    for (const [status, bytes, url = world.program.url] of lost) {
      const raw = await RawSocket.open(url);
      raw.send(bytes);
      const answer = await raw.answer();
      assert.deepEqual([answer.status, answer.headers.connection], [status, 'close']);
      raw.send('x'.repeat(1000)); // in vain, and without a reset
      await raw.closing();
    }
  });

  test('is closed after the answer when the client wants it, and with HTTP/1.0', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const closing = [
      request(world, event, { Connection: 'close' }),
      request(world, event).replace('HTTP/1.1', 'HTTP/1.0'),
    ];
    for (const bytes of closing) {
      const raw = await RawSocket.open(world.program.url);
      raw.send(bytes + event.body);
      const answer = await raw.answer();
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.connection, 'close');
      await raw.closing();
    }
  });

  test('stays open for an HTTP/1.0 client that asks for it', async (t) => {
    const world = await openIngest(t);
    const raw = await RawSocket.open(world.program.url);
    for (let i = 1; i <= 2; i++) {
      const event = composeEvent('verified');
      const kept = request(world, event, { Connection: 'keep-alive' }).replace('HTTP/1.1', 'HTTP/1.0');
      raw.send(kept + event.body);
      const answer = (await raw.answers(i))[i - 1];
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.connection, 'keep-alive');
    }
    raw.close();
  });

  test('whose client has shut its side gets every answer, and is closed then', async (t) => {
    const world = await openIngest(t);
    const events = [composeEvent('verified'), composeEvent('requires_input'), composeEvent('verified')];
    const raw = await RawSocket.open(world.program.url);
    raw.socket.end(events.map((event) => request(world, event) + event.body).join(''));
    const answers = await raw.answers(3);
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200],
    );
    await raw.closing();
  });

  test('whose client has shut its side within a request is closed after the answers', async (t) => {
    const world = await openIngest(t);
    const event = composeEvent('verified');
    const raw = await RawSocket.open(world.program.url);
    raw.socket.end(request(world, event) + event.body + request(world, event));
    assert.equal((await raw.answer()).status, 200);
    await raw.closing();
  });

  test('that is idle too long is closed', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_IDLE_TIMEOUT: '200ms' });
    const raw = await RawSocket.open(world.program.url);
    raw.send(head(world.program.url, { 'Content-Length': 0 }));
    const { headers } = await raw.answer();
    assert.equal(headers.connection, undefined);
    await raw.closing();
  });

  test('that says nothing from the start is closed as early as one whose headers do not come', async (t) => {
    const world = await openIngest(t, { IDENTIHOOK_HEADER_TIMEOUT: '200ms', IDENTIHOOK_IDLE_TIMEOUT: '1h' });
    const raw = await RawSocket.open(world.program.url);
    await raw.closing();
    assert.equal(raw.received, '');
  });

  test('that goes away before the answer loses nothing', async (t) => {
    const world = await World.open(t);
    const { event } = world.pair('verified');
    const raw = await RawSocket.open(world.program.url);
    raw.socket.end(request(world, event) + event.body);
    assert.equal((await world.outcome(event)).outcome, 'done');
  });
});
