// The sample events that deploy/local/up sends, and what each of them is to come to.

import { newSecret, post, sign } from '../../tests/lib/events.mjs';
import { run } from '../../tests/lib/identihook.mjs';
import { token } from '../../tests/lib/stripe_api.mjs';

/**
 * @typedef {object} Sample
 * @property {string} label    what a person reads
 * @property {string} type     for `identihook trigger`
 * @property {string} [code]   last_error.code of a failed check
 * @property {object|null} [session]  the session at Stripe, over that of the type; null: Stripe knows none
 * @property {string} email    whose it is
 * @property {(world: object, sample: Sample) => void} [prepare]  what goes wrong on its way
 * @property {{answer?: number, duplicate?: boolean, outcome?: string, mails?: number, updates?: number}} expected
 */

const SESSIONS = {
  created: { status: 'requires_input' },
  processing: { status: 'processing' },
  verified: { status: 'verified' },
  canceled: { status: 'canceled' },
  redacted: { status: 'verified', redaction: { status: 'redacted' } },
};

const failed = (code) => ({ status: 'requires_input', last_error: { code, reason: 'A sample of a failed check.' } });

const ACTED = { answer: 200, outcome: 'done', mails: 1, updates: 1 };
const NOTED = { answer: 200, outcome: 'done', mails: 0, updates: 0 };

/** @type {Sample[]} */
const SAMPLES = [
  { label: 'verified', type: 'verified', email: 'ada@example.com', expected: ACTED },
  {
    label: 'failed: document expired',
    type: 'requires_input',
    code: 'document_expired',
    email: 'ben@example.com',
    expected: ACTED,
  },
  {
    label: 'failed: no consent, final',
    type: 'requires_input',
    code: 'consent_declined',
    email: 'cleo@example.com',
    expected: ACTED,
  },
  {
    label: 'failed: selfie not alike',
    type: 'requires_input',
    code: 'selfie_face_mismatch',
    email: 'dan@example.com',
    expected: ACTED,
  },
  {
    label: 'failed, but verified since',
    type: 'requires_input',
    session: { status: 'verified', last_error: null },
    email: 'eve@example.com',
    expected: { answer: 200, outcome: 'superseded', mails: 0, updates: 0 },
  },
  {
    label: 'mail server busy at first',
    type: 'verified',
    email: 'finn@example.com',
    prepare: ({ smtp }, { email }) => smtp.fail({ stage: 'rcpt', code: 451, message: 'busy, try again', to: email }),
    expected: ACTED,
  },
  {
    label: 'Stripe limits the rate at first',
    type: 'verified',
    email: 'gwen@example.com',
    prepare: ({ stripe }, { id }) =>
      stripe.fail({
        status: 429,
        headers: { 'Stripe-Rate-Limited-Reason': 'endpoint-rate' },
        when: ({ session }) => session === id,
      }),
    expected: ACTED,
  },
  {
    label: 'onboarding fails at first',
    type: 'verified',
    email: 'hugo@example.com',
    prepare: ({ onboarding }, { id }) =>
      onboarding.fail({ status: 503, when: ({ body }) => JSON.parse(body).session === id }),
    expected: { ...ACTED, updates: 2 },
  },
  {
    label: 'Stripe knows no such session',
    type: 'verified',
    session: null,
    email: 'nobody@example.com',
    expected: { answer: 200, outcome: 'dead', mails: 0, updates: 0 },
  },
  { label: 'created', type: 'created', email: 'ida@example.com', expected: NOTED },
  { label: 'processing', type: 'processing', email: 'jon@example.com', expected: NOTED },
  { label: 'canceled', type: 'canceled', email: 'kim@example.com', expected: NOTED },
  { label: 'redacted', type: 'redacted', email: 'lea@example.com', expected: NOTED },
];

const sessionId = (type) =>
  `vs_1Sample${type.replace(/(^|_)([a-z])/g, (_, __, letter) => letter.toUpperCase())}${token(16)}`;

/** Of a form that the stand-in does not take for a sample of somebody else's. */
const unknownId = () => `vs_1Unknown${token(16)}`;

/** One `identihook trigger`: { id, status, body }. */
async function trigger(world, sample, secret = world.secret) {
  const words = ['trigger', sample.type, '--url', world.url, '--session', sample.id];
  if (sample.code) words.push('--error-code', sample.code);
  const { stdout, stderr } = await run(words, { STRIPE_WEBHOOK_SECRET: secret });
  const [, id, status, body] = /^(evt_\w+) (\d{3}) (.*)$/m.exec(stdout) ?? [];
  if (!id) throw new Error(`identihook ${words.join(' ')} said: ${stdout}${stderr}`);
  return { id, status: Number(status), body: JSON.parse(body) };
}

/** Sends all samples, `pause` ms apart, and tells `board` of each. */
export async function sendSamples(world, board, pause) {
  const rest = () => new Promise((resolve) => setTimeout(resolve, pause));
  for (const sample of SAMPLES.map((one) => ({
    ...one,
    id: one.session === null ? unknownId() : sessionId(one.type),
  }))) {
    if (sample.session !== null) {
      world.stripe.addSession({
        ...(sample.code ? failed(sample.code) : SESSIONS[sample.type]),
        ...sample.session,
        id: sample.id,
        client_reference_id: `user_${sample.email.split('@')[0]}`,
        provided_details: { email: sample.email },
      });
    }
    sample.prepare?.(world, sample);
    const row = board.expect(sample);
    board.answered(row, await trigger(world, sample));
    await rest();
  }
  await sendAgain(world, board);
  await sendForged(world, board);
}

/** The first event once more, byte for byte, signed anew by Stripe's own library: as Stripe's retries are. */
async function sendAgain(world, board) {
  const first = board.rows[0];
  const entry = await board.entries.first(({ event }) => event === first.event, 'the first event in the stream');
  const row = board.expect({
    label: 'the first one, sent again',
    type: 'verified',
    expected: { answer: 200, duplicate: true },
  });
  const { status, json } = await post(world.url, entry.payload, {
    'Stripe-Signature': sign(entry.payload, world.secret),
  });
  board.answered(row, { id: first.event, status, body: json });
}

async function sendForged(world, board) {
  const sample = {
    label: 'signed by somebody else',
    type: 'verified',
    id: sessionId('verified'),
    expected: { answer: 400 },
  };
  board.answered(board.expect(sample), await trigger(world, sample, newSecret()));
}
