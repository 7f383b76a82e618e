// Stands for Stripe and for the onboarding service: answers each read with a verified session after a while, each update at once.
//
//   PORT=… KEY=… CERTIFICATE=… DELAY_MS=… node upstream.mjs

import { readFileSync } from 'node:fs';
import https from 'node:https';

const { PORT, KEY, CERTIFICATE, DELAY_MS } = process.env;

const session = (id) =>
  JSON.stringify({
    id,
    object: 'identity.verification_session',
    client_reference_id: 'user_1',
    created: 1793268000,
    last_error: null,
    livemode: false,
    metadata: {},
    options: { document: { require_matching_selfie: true } },
    provided_details: { email: 'jenny@example.com' },
    status: 'verified',
    type: 'document',
    url: null,
  });

const server = https.createServer({ key: readFileSync(KEY), cert: readFileSync(CERTIFICATE) }, (request, response) => {
  request.resume();
  const answer = (body) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(body);
  if (request.method === 'POST') answer('{}');
  else setTimeout(answer, Number(DELAY_MS), session(new URL(request.url, 'https://localhost').pathname.split('/').at(-1)));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(PORT), '127.0.0.1');
