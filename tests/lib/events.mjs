// Signed events, as Stripe sends them: the bodies in tests/data/events with ids of their own, signed by Stripe's own
// library.

import { readFileSync } from 'node:fs';

import Stripe from 'stripe';

import { send } from './http_client.mjs';
import { newSessionId, token } from './stripe_api.mjs';

const FOLDER = new URL('../data/events/', import.meta.url);

export const newEventId = () => `evt_1${token()}`;
export const newSecret = () => `whsec_${token(32)}`;

/**
 * An event like the one in tests/data/events/NAME.json: 'verified', 'requires_input.consent_declined' …; with a fresh
 * id, of session `session` or a fresh one. `changes` go into the event, `object` into its session.
 */
export function composeEvent(name, { session = newSessionId(), object = {}, ...changes } = {}) {
  const event = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER)));
  Object.assign(event, { id: newEventId(), created: Math.floor(Date.now() / 1000) }, changes);
  Object.assign(event.data.object, { id: session, livemode: event.livemode }, object);
  return { id: event.id, session, type: event.type, content: event, body: JSON.stringify(event, null, 2) };
}

/** The Stripe-Signature header for `body`. `timestamp` in seconds. */
export const sign = (body, secret, timestamp = Math.floor(Date.now() / 1000)) =>
  Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });

/** POSTs `body` as Stripe does. */
export const post = (url, body, headers = {}, options = {}) =>
  send(url, {
    method: 'POST',
    body,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      ...headers,
    },
    ...options,
  });
