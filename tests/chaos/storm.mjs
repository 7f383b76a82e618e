// Carries out a plan: sends the events, lets things fail, waits until all is quiet, and writes down everything that can be seen from
// outside: at the senders, at the receivers, in Redis.

import { randomBytes } from 'node:crypto';
import http from 'node:http';

import { composeEvent, newSecret, post, sign } from '../lib/events.mjs';
import { Onboarding } from '../lib/onboarding.mjs';
import { RedisServer } from '../lib/redis.mjs';
import { StripeApi } from '../lib/stripe_api.mjs';
import { pause, until } from '../lib/wait.mjs';
import { Database } from './database.mjs';
import { Slot } from './fleet.mjs';
import { Witness } from './witness.mjs';

const NAMESPACE = 'storm';
export const key = (name) => `{${NAMESPACE}}:${name}`;

const FIXTURES = {
  verified: 'verified',
  requires_input: 'requires_input.document_expired',
  processing: 'processing',
  redacted: 'redacted',
};

/** How the sessions of a plan are at Stripe. */
const STATES = {
  verified: { status: 'verified', last_error: null },
  failed: {
    status: 'requires_input',
    last_error: { code: 'document_expired', reason: 'The document is expired.' },
  },
  redacted: {
    redaction: { status: 'redacted' },
    client_reference_id: null,
    provided_details: null,
    verified_outputs: null,
  },
};

export const CLAIM_AFTER_MS = 2000;

const settingsOf = ({ secret, stripe, onboarding }) => ({
  STRIPE_WEBHOOK_SECRET: secret,
  STRIPE_API_BASE: stripe.url,
  IDENTIHOOK_NAMESPACE: NAMESPACE,
  IDENTIHOOK_LISTEN: '127.0.0.1:0',
  IDENTIHOOK_ADMIN_LISTEN: '127.0.0.1:0',
  IDENTIHOOK_LOOPS: '1',
  IDENTIHOOK_EVENTS: 'verified,requires_input,processing,redacted',
  IDENTIHOOK_STRIPE_RATE: '2000/s',
  IDENTIHOOK_STRIPE_TIMEOUT: '2s',
  IDENTIHOOK_ONBOARDING_TIMEOUT: '2s',
  IDENTIHOOK_SMTP_TIMEOUT: '5s',
  IDENTIHOOK_POSTGRES_TIMEOUT: '1s',
  IDENTIHOOK_POSTGRES_CONNECT_TIMEOUT: '1s',
  IDENTIHOOK_ENQUEUE_TIMEOUT: '2s',
  IDENTIHOOK_REDIS_CONNECTIONS: '2',
  IDENTIHOOK_CONCURRENCY: '16',
  IDENTIHOOK_CLAIM_AFTER: `${CLAIM_AFTER_MS}ms`,
  IDENTIHOOK_MAX_ATTEMPTS: '1000',
  IDENTIHOOK_RETRY_BASE: '50ms',
  IDENTIHOOK_RETRY_CAP: '1s',
  IDENTIHOOK_TRIM_EVERY: '500ms',
  IDENTIHOOK_HISTORY: '1h',
  IDENTIHOOK_RECONCILE_EVERY: '0',
  IDENTIHOOK_MAIL_FROM: 'Shop <identity@shop.example>',
  IDENTIHOOK_RETRY_PAGE: 'https://shop.example/verify',
  IDENTIHOOK_ONBOARDING_URL: `${onboarding.url}/identity`,
});

export const userOf = (name) => `user_${name}`;

const GONE = -2; // what PTTL says of a key that is not there

export class Storm {
  slots = [];
  faults = []; // that happened: { name, from, to, slot }
  answers = new Map(); // event id -> [{ at, status, duplicate, slot }]

  /**
   * @param {object} plan      of planOf()
   * @param {object} options
   * @param {string[]} options.roles     of the slots
   * @param {string[]} options.binaries  the slots take them in turn
   * @param {number}   options.quiet     ms that all may take to end after the last fault
   */
  static async run(plan, { roles, binaries, quiet, say = () => {} }) {
    const storm = new Storm();
    Object.assign(storm, { plan, quiet, say, binaries, roles });
    storm.witness = new Witness(storm);
    try {
      await storm.#open();
      await storm.#blow();
      await storm.#calm();
      await storm.#look();
    } finally {
      await storm.#close();
    }
    return storm;
  }

  async #open() {
    const secret = newSecret();
    this.secret = secret;
    [this.redis, this.database, this.stripe, this.onboarding] = await Promise.all([
      RedisServer.start(),
      Database.start(),
      StripeApi.start(),
      Onboarding.start(),
    ]);
    this.#teach();
    this.outcomes = this.redis.follow(key('outcomes'));
    const settings = settingsOf(this);
    const unique = randomBytes(12).toString('hex');
    this.slots = await Promise.all(
      this.roles.map((role, number) =>
        Slot.open({
          number,
          role,
          path: this.binaries[number % this.binaries.length],
          redis: this.redis,
          database: this.database,
          settings,
          secret: unique,
          log: (slot, line) => this.witness.log(slot, line),
        }),
      ),
    );
    for (const slot of this.slots) this.stripe.addKey(slot.key);
    this.#recover();
    this.witness.watch();
    await until(() => this.slots.every((slot) => slot.program), 'the fleet to start', 60_000);
  }

  /** The sessions, and who is refused for good. */
  #teach() {
    for (const { id, status, name, kind } of this.plan.sessions) {
      if (!status) continue;
      this.stripe.addSession({
        id,
        ...STATES[status],
        client_reference_id: userOf(name),
        provided_details: { email: `${kind === 'unmailable' ? 'nobody' : name}@person.example` },
      });
    }
    const unwelcome = new Set(this.plan.sessions.filter(({ kind }) => kind === 'unwelcome').map(({ id }) => id));
    const session = (request) => JSON.parse(request.body).session;
    this.onboarding.answer = (request) =>
      unwelcome.has(session(request)) ? { status: 410, body: { gone: true } } : { status: 200, body: { ok: true } };
  }

  // ---- sending

  async #blow() {
    this.began = Date.now();
    this.agents = Array.from({ length: 8 }, () => new http.Agent({ keepAlive: true, maxSockets: 24 }));
    for (const session of this.plan.sessions) if (session.turn) this.#turn(session);
    const sending = this.plan.deliveries.map((delivery) => this.#deliver(delivery));
    const failing = this.plan.faults.map((fault) => this.#fail(fault));
    await Promise.all(failing);
    this.calmed = Date.now();
    this.#recover();
    await Promise.all(sending);
  }

  async #turn({ id, turn, turnsAt }) {
    await pause(turnsAt);
    this.stripe.change(id, STATES[turn]);
  }

  /** As Stripe does: again, until it is answered 200. */
  async #deliver({ event, at, sender }) {
    await pause(Math.max(0, this.began + at - Date.now()));
    const { id, session, type } = event;
    const { body } = composeEvent(FIXTURES[type], { session: session.id, id, created: this.createdOf(event) });
    for (let tries = 0; ; tries++) {
      const receivers = this.slots.filter((slot) => slot.receives && slot.url);
      const slot = receivers[(sender + tries) % Math.max(1, receivers.length)];
      const answer = slot ? await this.#post(slot, sender, body) : { status: 0 };
      this.witness.answered(event, slot, answer);
      if (answer.status === 200) return;
      await pause(Math.min(100 * 2 ** tries, 5000));
    }
  }

  /** When Stripe made it, in s. */
  createdOf({ age }) {
    return Math.floor(this.began / 1000) - age;
  }

  #post(slot, sender, body) {
    const headers = { 'Stripe-Signature': sign(body, this.secret) };
    const sent = post(slot.url, body, headers, { agent: this.agents[sender % this.agents.length] });
    // A frozen process holds what was sent to it: its sender gives up, as Stripe would.
    const patience = pause(3000).then(() => ({ status: 0 }));
    return Promise.race([sent, patience]).catch(() => ({ status: 0 }));
  }

  // ---- faults

  async #fail(fault) {
    await pause(Math.max(0, this.began + fault.at - Date.now()));
    const from = Date.now();
    if (fault.slot !== null) await this.slots[fault.slot].suffer(fault);
    if (fault.on === 'redis') await this.#failRedis(fault);
    if (fault.on === 'postgres') await this.#failPostgres(fault);
    if (fault.on === 'stripe') await this.#failServices(fault, [this.stripe]);
    if (fault.on === 'onboarding') await this.#failServices(fault, [this.onboarding]);
    if (fault.on === 'smtp') await this.#failSmtp(fault);
    this.faults.push({ ...fault, from, to: Date.now() });
  }

  async #failRedis({ name, ms }) {
    if (this.redisIsBusy) return;
    this.redisIsBusy = true;
    const from = Date.now();
    try {
      if (name === 'redis killed') {
        await this.redis.kill();
        await this.redis.start();
      }
      if (name === 'redis frozen') {
        this.redis.freeze();
        await pause(ms);
        this.redis.thaw();
      }
      if (name === 'redis clients killed') await this.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      if (name === 'redis scripts forgotten') await this.redis.call('SCRIPT', 'FLUSH');
      if (name === 'redis group destroyed') await this.redis.call('XGROUP', 'DESTROY', key('events'), 'identihook');
    } finally {
      this.redisIsBusy = false;
      for (const slot of this.slots) slot.troubles.push({ why: name, from, to: Date.now() });
    }
  }

  async #failPostgres(fault) {
    if (fault.name !== 'postgres answers lost') return this.database.suffer(fault);
    const wires = this.slots.map((slot) => slot.postgresWire);
    for (const end = Date.now() + fault.ms; Date.now() < end; ) {
      for (const wire of wires) wire.mute();
      await pause(300);
      for (const wire of wires) wire.unmute();
    }
  }

  /** One request in two fails while it lasts. */
  async #failServices({ name, ms }, services) {
    const kinds = {
      429: { status: 429, headers: { 'Retry-After': '1' } },
      500: { status: 500 },
      503: { status: 503 },
      garbage: { garbage: true },
      cut: { cut: true },
      reset: { reset: true },
      slow: { delay: 700 },
    };
    let count = 0;
    const end = Date.now() + ms;
    const when = () => Date.now() < end && count++ % 2 === 0;
    for (const service of services) service.fail({ ...kinds[name.split(' ')[1]], when, times: Infinity });
    await pause(ms);
  }

  async #failSmtp({ name, ms }) {
    const fault = {
      'smtp 451': { stage: 'rcpt', code: 451 },
      'smtp drops': { stage: 'data', drop: true },
      'smtp slow': { stage: 'data', delay: 500 },
    }[name];
    for (const { smtp } of this.slots) smtp.fail({ ...fault, times: 1 + Math.floor(ms / 100) });
    await pause(ms);
  }

  #recover() {
    this.stripe.recover();
    this.onboarding.recover();
    for (const { smtp } of this.slots) {
      smtp.recover();
      smtp.fail({ stage: 'rcpt', code: 550, to: 'nobody@person.example', times: Infinity });
    }
  }

  // ---- the end

  async #calm() {
    const wanted = this.plan.events.filter(({ mayBeErased }) => !mayBeErased).length;
    let seen = 0;
    this.outcomes.listen(({ event }) => (seen += this.witness.events.get(event)?.mayBeErased ? 0 : 1));
    const before = Date.now();
    try {
      await until(() => seen >= wanted, `${wanted} outcomes`, this.quiet);
      await until(() => this.#isEmpty(), 'Redis to hold nothing that is to be done', this.quiet);
    } catch (error) {
      this.stuck = error.message;
    }
    this.calmTook = Date.now() - before;
  }

  async #isEmpty() {
    const [pending] = await this.redis.call('XPENDING', key('events'), 'identihook');
    const left = await Promise.all([
      this.redis.call('XLEN', key('events')),
      this.redis.call('ZCARD', key('retry')),
      this.redis.call('HLEN', key('attempts')),
    ]);
    return pending + left.reduce((sum, count) => sum + count, 0) === 0;
  }

  /** What Redis and PostgreSQL hold in the end. */
  async #look() {
    await this.database.look();
    const keys = await this.redis.call('KEYS', '*');
    const left = await Promise.all(
      keys.map(async (name) => {
        const type = await this.redis.call('TYPE', name);
        const read = { string: ['GET', name], zset: ['ZRANGE', name, 0, 9, 'WITHSCORES'] }[type];
        const value = read ? await this.redis.call(...read) : null;
        const ttl = await this.redis.call('PTTL', name);
        return { name, type: ttl === GONE ? 'none' : type, ttl, value };
      }),
    );
    this.left = left.filter(({ type }) => type !== 'none'); // some went by themselves meanwhile
    this.streamLength = await this.redis.call('XLEN', key('events'));
    this.letters = await this.redis.entries(key('dead'));
    this.pending = (await this.redis.call('XPENDING', key('events'), 'identihook'))[0];
    this.consumers = await this.redis.call('XINFO', 'CONSUMERS', key('events'), 'identihook');
    this.memory = Number(/used_memory:(\d+)/.exec(await this.redis.call('INFO', 'memory'))[1]);
  }

  async #close() {
    this.slots.forEach((slot) => this.#recover());
    await Promise.all(this.slots.map((slot) => slot.close()));
    this.agents?.forEach((agent) => agent.destroy());
    const services = [this.redis, this.database, this.stripe, this.onboarding];
    await Promise.all(services.map((service) => service?.close()));
  }
}
