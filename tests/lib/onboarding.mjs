// The service behind IDENTIHOOK_ONBOARDING_URL: takes updates, checks their signature (Standard Webhooks), and can be
// told to fail.

import { Webhook, WebhookVerificationError } from 'standardwebhooks';

import { HttpServer } from './http_server.mjs';
import { Journal } from './wait.mjs';

/** 'valid', or why it does not hold, by the specification's own library: https://www.standardwebhooks.com */
export function checkStandardWebhook(secret, headers, body) {
  try {
    new Webhook(secret).verify(body.toString(), headers);
    return 'valid';
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.message;
    throw error;
  }
}

export class Onboarding extends HttpServer {
  updates = new Journal('onboarding updates');

  static async start({ secret, port = 0, tls } = {}) {
    const service = new Onboarding(() => ({ status: 200, body: { ok: true } }), tls);
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
