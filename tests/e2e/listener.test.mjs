// The listener in the open: TLS, and the limits of one connection. For crowds, see abuse.test.mjs.

import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import https from 'node:https';
import net from 'node:net';
import { describe, test } from 'node:test';
import tls from 'node:tls';

import { certificate } from '../lib/certificate.mjs';
import { before, until } from '../lib/wait.mjs';
import { World, composeEvent, sign } from '../lib/world.mjs';

async function secureWorld(t, { settings = {} } = {}) {
  const identity = await certificate(t);
  const world = await World.open(t, {
    settings: { IDENTIHOOK_TLS_CERT: identity.cert, IDENTIHOOK_TLS_KEY: identity.key, ...settings },
  });
  const port = Number(new URL(world.program.url).port);
  return { world, identity, port };
}

/** Posts an event over TLS; gives the status, the body, and what the connection was like. */
function postSecurely(world, port, options) {
  const { body } = composeEvent('verified', { session: world.session().id });
  const headers = { 'Stripe-Signature': sign(body, world.secret), 'Content-Type': 'application/json' };
  return new Promise((resolve, reject) => {
    const request = https.request(
      { host: '127.0.0.1', port, path: '/webhook', method: 'POST', headers, agent: false, ...options },
      (answer) => {
        const { authorized } = answer.socket;
        const version = answer.socket.getProtocol();
        const reused = answer.socket.isSessionReused();
        const subject = answer.socket.getPeerCertificate().subject?.CN;
        let text = '';
        answer.on('data', (piece) => (text += piece));
        answer.on('end', () =>
          resolve({ status: answer.statusCode, body: JSON.parse(text), version, reused, subject, authorized }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

describe('over TLS', { concurrency: 4 }, () => {
  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version} is spoken, and an event is answered 200`, async (t) => {
      const { world, identity, port } = await secureWorld(t);
      const answer = await postSecurely(world, port, { ca: identity.pem, minVersion: version, maxVersion: version });
      assert.deepEqual(
        [answer.status, answer.body, answer.version],
        [200, { received: true, duplicate: false }, version],
      );
    });
  }

  test('older versions are refused', async (t) => {
    const { identity, port } = await secureWorld(t);
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: identity.pem,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL@SECLEVEL=0',
    });
    const outcome = await new Promise((resolve) =>
      socket.on('error', () => resolve('refused')).on('secureConnect', () => resolve('taken')),
    );
    socket.destroy();
    assert.equal(outcome, 'refused');
  });

  test('a client that speaks no http/1.1 is refused by ALPN', async (t) => {
    const { identity, port } = await secureWorld(t);
    const connect = (protocols) =>
      new Promise((resolve) => {
        const socket = tls.connect({ host: '127.0.0.1', port, ca: identity.pem, ALPNProtocols: protocols });
        socket
          .on('error', () => resolve('refused'))
          .on('secureConnect', () => {
            resolve(socket.alpnProtocol);
            socket.destroy();
          });
      });
    assert.deepEqual([await connect(['h2', 'http/1.1']), await connect(['h2'])], ['http/1.1', 'refused']);
  });

  test('a session is resumed', async (t) => {
    const { world, identity, port } = await secureWorld(t);
    let session;
    const socket = tls.connect({ host: '127.0.0.1', port, ca: identity.pem });
    socket.on('session', (ticket) => (session = ticket));
    await until(() => session, 'a session ticket');
    socket.destroy();
    const answer = await postSecurely(world, port, { ca: identity.pem, session });
    assert.deepEqual([answer.status, answer.reused], [200, true]);
  });

  test('SIGHUP puts a renewed certificate in place, and open connections go on', async (t) => {
    const { world, identity, port } = await secureWorld(t);
    const open = new https.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => open.destroy());
    assert.equal((await postSecurely(world, port, { ca: identity.pem, agent: open })).subject, 'server');
    const renewed = await certificate(t, 'renewed');
    await copyFile(renewed.cert, identity.cert);
    await copyFile(renewed.key, identity.key);
    process.kill(world.program.pid, 'SIGHUP');
    await world.program.logs.first(({ message }) => message === 'certificate reloaded', 'the reload');
    await until(async () => {
      const answer = await postSecurely(world, port, { ca: [renewed.pem, identity.pem] });
      return answer.subject === 'renewed';
    }, 'the renewed certificate to be shown');
    assert.equal((await postSecurely(world, port, { ca: identity.pem, agent: open })).status, 200);
  });

  test('a faulty certificate leaves the old one in place', async (t) => {
    const { world, identity, port } = await secureWorld(t);
    await copyFile('/dev/null', identity.cert);
    process.kill(world.program.pid, 'SIGHUP');
    const { error } = await world.program.logs.first(
      ({ message }) => message.startsWith('TLS cannot be set up'),
      'the complaint',
    );
    assert.match(error, /certificate/);
    assert.equal((await postSecurely(world, port, { ca: identity.pem })).status, 200);
  });

  test('clients must show a certificate where an authority for them is set', async (t) => {
    const client = await certificate(t, 'client');
    const { world, identity, port } = await secureWorld(t, { settings: { IDENTIHOOK_TLS_CLIENT_CA: client.cert } });
    await assert.rejects(postSecurely(world, port, { ca: identity.pem }));
    const answer = await postSecurely(world, port, { ca: identity.pem, cert: client.pem, key: client.keyPem });
    assert.equal(answer.status, 200);
  });

  test('a handshake that does not end is cut', async (t) => {
    const { port } = await secureWorld(t, { settings: { IDENTIHOOK_HEADER_TIMEOUT: '200ms' } });
    const socket = net.connect(port, '127.0.0.1');
    await before(
      new Promise((resolve) => socket.on('close', resolve).on('error', () => {})),
      'the connection to be cut',
      5000,
    );
  });

  test('plain HTTP is cut, and others are served on', async (t) => {
    const { world, identity, port } = await secureWorld(t);
    const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    await before(
      new Promise((resolve) => socket.on('close', resolve).on('error', () => {})),
      'the connection to be cut',
      5000,
    );
    assert.equal((await postSecurely(world, port, { ca: identity.pem })).status, 200);
  });

  test('a certificate that cannot be read stops the start', async (t) => {
    const world = await World.open(t, {
      start: false,
      settings: { IDENTIHOOK_TLS_CERT: '/nowhere.crt', IDENTIHOOK_TLS_KEY: '/nowhere.key' },
    });
    await assert.rejects(world.start(), /TLS cannot be set up/);
  });
});

describe('a connection has limits:', { concurrency: 4 }, () => {
  const portOf = (world) => Number(new URL(world.program.url).port);

  test('it is closed after as many requests as it may make', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MAX_REQUESTS_PER_CONNECTION: '3' } });
    const socket = net.connect(portOf(world), '127.0.0.1');
    let text = '';
    socket.on('data', (data) => (text += data));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    for (let i = 1; i <= 3; i++) {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await until(() => text.split('HTTP/1.1 404').length === i + 1, `answer ${i}`);
    }
    await before(closed, 'the connection to be closed', 5000);
    assert.match(text, /Connection: close/);
  });

  test('what still comes after its last answer is read for a while, and then it is cut', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_LINGER_TIMEOUT: '300ms' } });
    const socket = net.connect({ port: portOf(world), host: '127.0.0.1', allowHalfOpen: true });
    t.after(() => socket.destroy());
    let text = '';
    socket.on('data', (data) => (text += data)).on('error', () => {});
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const begin = Date.now();
    const dripping = setInterval(() => socket.write('x'), 20);
    await before(closed, 'the connection to be cut', 5000);
    clearInterval(dripping);
    assert.match(text, /^HTTP\/1.1 404[^]*Connection: close/);
    assert.ok(Date.now() - begin >= 250, `cut after ${Date.now() - begin} ms`);
  });

  test('more than may be pipelined ends it after the answer at hand', async (t) => {
    const world = await World.open(t, { settings: { IDENTIHOOK_MAX_PIPELINED: '1k' } });
    const { body } = composeEvent('verified', { session: world.session().id });
    const first = `POST /webhook HTTP/1.1\r\nHost: a\r\nStripe-Signature: ${sign(body, world.secret)}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
    const socket = net.connect(portOf(world), '127.0.0.1', () =>
      socket.write(first + `GET /${'x'.repeat(2000)} HTTP/1.1\r\nHost: a\r\n\r\n`),
    );
    let text = '';
    socket.on('data', (data) => (text += data)).on('error', () => {});
    await before(new Promise((resolve) => socket.on('close', resolve)), 'the connection to be closed', 5000);
    assert.match(text, /^HTTP\/1.1 200 OK[^]*Connection: close/);
    assert.equal(text.split('HTTP/1.1').length, 2);
  });
});
