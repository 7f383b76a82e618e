// Everything around identihook, one of each for every test: a Redis, a Stripe, a mail server, an onboarding service, and
// the program itself between them. Nothing is shared, so tests run side by side.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import { composeEvent, newSecret, post, sign } from './events.mjs';
import { Identihook, run } from './identihook.mjs';
import { Onboarding } from './onboarding.mjs';
import { RedisServer } from './redis.mjs';
import { Smtp } from './smtp.mjs';
import { StripeApi, token } from './stripe_api.mjs';
import { until } from './wait.mjs';

const NAMESPACE = 'shop';

export const key = (name) => `{${NAMESPACE}}:${name}`;

/** How many words (of `text`, a name or a number) must be looked for in logs: short ones would be found by chance. */
const TELLING_LENGTH = 4;

/**
 * What must never stand in a log: all secrets, and every person's data.
 * @returns {string[]}
 */
function personalData(sessions) {
  const found = new Set();
  const collect = (value) => {
    if (typeof value === 'string') found.add(value);
    else if (value && typeof value === 'object') Object.values(value).forEach(collect);
  };
  for (const { provided_details, verified_outputs, client_secret, url } of sessions) {
    const { id_number_type, address, sex, unparsed_sex, ...outputs } = verified_outputs ?? {};
    const { country, state, ...lines } = address ?? {};
    [provided_details, outputs, lines, client_secret, url].forEach(collect);
  }
  return [...found].filter((text) => text.length >= TELLING_LENGTH);
}

export class World {
  programs = [];

  /**
   * @param {import('node:test').TestContext} t  the test whose world it is; at its end all of it is stopped and checked
   * @param {object} [options]
   * @param {boolean} [options.email]       send mails (true)
   * @param {boolean} [options.onboarding]  post updates (true)
   * @param {object}  [options.settings]    environment variables over the usual ones; undefined takes one away
   * @param {boolean} [options.start]       start identihook serve (true)
   * @param {object}  [options.stripe]      options of the stand-in
   * @param {object}  [options.redis]       redis.conf over the usual one
   */
  static async open(t, { email = true, onboarding = true, settings = {}, start = true, stripe = {}, redis = {}, words = [] } = {}) {
    const world = new World();
    t.after(() => world.close());
    const onboardingSecret = `whsec_${randomBytes(24).toString('base64')}`;
    [world.redis, world.stripe, world.smtp, world.onboarding] = await Promise.all([
      RedisServer.start(redis),
      StripeApi.start(stripe),
      Smtp.start(),
      Onboarding.start({ secret: onboardingSecret }),
    ]);
    world.secret = newSecret();
    world.key = world.stripe.addKey(`rk_test_${token(24)}`, { sensitive: true });
    world.settings = {
      STRIPE_WEBHOOK_SECRET: world.secret,
      STRIPE_SECRET_KEY: world.key,
      STRIPE_API_BASE: world.stripe.url,
      REDIS_URL: world.redis.url,
      IDENTIHOOK_NAMESPACE: NAMESPACE,
      IDENTIHOOK_LISTEN: '127.0.0.1:0',
      IDENTIHOOK_ADMIN_LISTEN: '127.0.0.1:0',
      IDENTIHOOK_LOOPS: '2',
      IDENTIHOOK_STRIPE_RATE: '1000/s',
      IDENTIHOOK_RETRY_BASE: '20ms',
      IDENTIHOOK_RETRY_CAP: '200ms',
      IDENTIHOOK_CLAIM_AFTER: '1s',
      IDENTIHOOK_BREAKER_PAUSE: '50ms',
      IDENTIHOOK_RECONCILE_EVERY: '0', // its reads would be counted, and meet the faults that are meant for others
      IDENTIHOOK_TRIM_EVERY: '1h', // so that tests can look at the stream
      ...(email && {
        SMTP_URL: world.smtp.url,
        IDENTIHOOK_MAIL_FROM: 'Shop <identity@shop.example>',
        IDENTIHOOK_RETRY_PAGE: 'https://shop.example/verify',
      }),
      ...(onboarding && {
        IDENTIHOOK_ONBOARDING_URL: `${world.onboarding.url}/identity`,
        IDENTIHOOK_ONBOARDING_SECRET: onboardingSecret,
      }),
      ...settings,
    };
    for (const [name, value] of Object.entries(world.settings)) if (value === undefined) delete world.settings[name];
    world.outcomes = world.redis.follow(key('outcomes'));
    if (start) await world.start({ words });
    return world;
  }

  /** Starts identihook serve once more, with `settings` over the world's. */
  async start({ settings = {}, ...options } = {}) {
    const program = await Identihook.start({ ...this.settings, ...settings }, options);
    this.programs.push(program);
    return program;
  }

  /** The one started last. */
  get program() {
    return this.programs.at(-1);
  }

  /** A person's session at Stripe, with an address that belongs to this person alone. */
  session(status = 'verified', given = {}, options = {}) {
    const name = token(8).toLowerCase();
    const failed = status === 'failed';
    return this.stripe.addSession(
      {
        status: failed ? 'requires_input' : status,
        client_reference_id: `user_${name}`,
        provided_details: { email: `${name}@person.example` },
        ...(failed && { last_error: { code: 'document_expired', reason: 'The document is expired.' } }),
        ...given,
      },
      options,
    );
  }

  /** A session and the event that tells of it. */
  pair(kind = 'verified', given = {}, changes = {}) {
    const session = this.session(kind === 'requires_input' ? 'failed' : kind, given);
    return { session, event: composeEvent(kind, { session: session.id, ...changes }) };
  }

  /** Sends an event, signed, and gives the answer. */
  deliver(event, { program = this.program, secret = this.secret, headers = {}, timestamp, agent } = {}) {
    return post(
      program.url,
      event.body,
      { 'Stripe-Signature': sign(event.body, secret, timestamp), ...headers },
      { agent },
    );
  }

  /** Sends it as Stripe would: again, until the answer is 2xx. */
  async deliverUntilTaken(event, options) {
    for (;;) {
      const answer = await this.deliver(event, options).catch(() => ({ status: 0 }));
      if (answer.status >= 200 && answer.status < 300) return answer;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** How an event ended. */
  outcome(event, within) {
    return this.outcomes.first((one) => one.event === event.id, `the outcome of ${event.id}`, within);
  }

  /** Sends an event and waits for its end. */
  async carry(event) {
    const answer = await this.deliver(event);
    assert.equal(answer.status, 200, answer.text);
    return this.outcome(event);
  }

  /**
   * Waits until an event that is sent now has ended: whatever an earlier one wrongly sets off at once has happened then.
   */
  async settle() {
    const { event } = this.pair('verified');
    assert.equal((await this.carry(event)).outcome, 'done');
  }

  /** The program, unready before, is ready again. */
  recovery() {
    return until(async () => (await this.program.readiness()).ready, 'readiness to come back');
  }

  /** An event is carried out, once, with mail and update, though its first deliveries may be refused. */
  async serves() {
    const { session, event } = this.pair('verified');
    await this.deliverUntilTaken(event);
    assert.equal((await this.outcome(event)).outcome, 'done');
    assert.deepEqual([this.mailsTo(session).length, this.updatesOf(event).length], [1, 1]);
    return event;
  }

  mailsTo(session) {
    return this.smtp.mails.items.filter(({ envelope }) => envelope.to.includes(session.provided_details.email));
  }

  updatesOf(event) {
    return this.onboarding.updates.items.filter((update) => update.event === event.id);
  }

  outcomesOf(event) {
    return this.outcomes.items.filter((one) => one.event === event.id);
  }

  ledger(event) {
    return this.redis.hash(key(`effects:${event.id}`));
  }

  dead() {
    return this.redis.entries(key('dead'));
  }

  /** Runs another command with the world's settings. */
  run(words, settings = {}, options = {}) {
    return run(words, { ...this.settings, ...settings }, options);
  }

  /** Ends everything. Every test thereby also claims: it ends in order, no sanitizer complains, no log tells a secret. */
  async close() {
    for (const program of this.programs) program.thaw();
    const ends = await Promise.allSettled(
      this.programs.filter(({ child }) => child.isRunning).map((program) => program.stop()),
    );
    const stuck = this.programs.filter(({ child }) => child.isRunning);
    for (const program of stuck) await program.kill();
    const sessions = this.stripe?.sessions ?? [];
    await Promise.all([this.redis, this.stripe, this.smtp, this.onboarding].map((service) => service?.close()));
    const logs = this.programs.map(({ child }) => child.stderr + child.stdout).join('\n');
    for (const end of ends) if (end.status === 'rejected') throw new Error(`${end.reason.message}\n${logs}`);
    this.#check(logs, sessions, this.stripe?.issued ?? []);
  }

  #check(logs, sessions, issued) {
    for (const { child, killed } of this.programs) {
      assert.doesNotMatch(child.stderr, /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/);
      if (!killed) assert.deepEqual(child.end, { code: 0, signal: null }, `it did not end in order:\n${child.stderr}`);
    }
    const { STRIPE_WEBHOOK_SECRET: secrets = '', IDENTIHOOK_ONBOARDING_SECRET: onboarding = '', IDENTIHOOK_SESSION_TOKEN_SECRET: tokens = '' } = this.settings;
    const words = [
      ...secrets.split(',').map((secret) => secret.replace(/^[^=]*=/, '')),
      this.key,
      ...issued,
      onboarding,
      this.settings.DATABASE_URL?.match(/:([^:@/]+)@/)?.[1],
      ...tokens.split(','),
      ...personalData(sessions),
    ];
    for (const word of words) assert.ok(!word || !logs.includes(word), `a log line tells ${JSON.stringify(word)}`);
  }
}

export { composeEvent, newSecret, post, sign } from './events.mjs';
