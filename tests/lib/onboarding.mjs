// The service behind IDENTIHOOK_ONBOARDING_URL: takes updates, checks their signature (Standard Webhooks), and can be
// told to fail.

import { createHmac, timingSafeEqual } from 'node:crypto';

import { HttpServer } from './http_server.mjs';
import { Journal } from './wait.mjs';

/** 'valid', 'missing' or why it does not hold: https://github.com/standard-webhooks/standard-webhooks */
export function checkStandardWebhook(secret, headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures } = headers;
  if (!id || !timestamp || !signatures) return 'missing';
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return 'stale';
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  const matches = signatures.split(' ').some((one) => {
    const [version, encoded] = one.split(',');
    const given = Buffer.from(encoded ?? '', 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches ? 'valid' : 'mismatch';
}

export class Onboarding extends HttpServer {
  updates = new Journal('onboarding updates');

  static async start({ secret, port = 0 } = {}) {
    const service = new Onboarding(() => ({ status: 200, body: { ok: true } }));
    service.onRequest = (request) => {
      let update = null;
      try {
        update = JSON.parse(request.body);
      } catch {
        // left null: the tests look at it
      }
      service.updates.add({
        ...update,
        body: request.body.toString(),
        headers: request.headers,
        path: request.path,
        at: request.at,
        signature: secret ? checkStandardWebhook(secret, request.headers, request.body) : 'unchecked',
      });
    };
    await service.listen(port);
    return service;
  }
}
