// What is known of every event that passes: put together from Redis, as any downstream service could, from the log and the
// metrics of identihook, and from the stand-ins.

import { key as redisKey } from './keys.mjs';

/** One event on its way. */
class Row {
  event = null;
  answer = null;
  duplicate = false;
  queued = false;
  fetched = false;
  effects = [];
  waits = null; // why it will be tried again
  tries = 0;
  outcome = null;
  reason = null; // of a refusal, or a death

  constructor({ label, type, id = null, expected = null }) {
    Object.assign(this, { label, type, session: id, expected });
  }

  /** How it ended; null: it is under way. */
  get ending() {
    if (this.answer !== null && this.answer !== 200) return 'refused';
    if (this.duplicate) return 'duplicate';
    return this.outcome;
  }

  /** What was expected and is not so, in words; null: all is as expected, so far. */
  fault(mails, updates) {
    const wanted = this.expected ?? {};
    const found = { answer: this.answer, duplicate: this.duplicate, outcome: this.outcome, mails, updates };
    const wrong = Object.keys(wanted).filter((name) => wanted[name] !== found[name]);
    return wrong.length === 0
      ? null
      : wrong.map((name) => `${name}: ${found[name] ?? 'none yet'}, not ${wanted[name]}`).join('; ');
  }
}

export class Board {
  rows = [];
  mails = [];
  counts = {};
  troubles = []; // the latest lines of the log that somebody should see
  #updates = [];
  #early = new Map(); // event → what came of it before it was known here: each source has a connection of its own

  /** `onNews(text)` is told of everything, in words. */
  constructor(world, onNews = () => {}) {
    this.world = world;
    this.onNews = onNews;
    this.started = Date.now();
    this.entries = world.redis.follow(redisKey('events'));
    this.outcomes = world.redis.follow(redisKey('outcomes'));
    this.dead = world.redis.follow(redisKey('dead'));
    this.entries.listen((entry) => this.#queued(entry));
    this.outcomes.listen((outcome) => this.#ended(outcome));
    this.dead.listen((letter) => this.#died(letter));
    world.program.logs.listen((line) => this.#logged(line));
    world.stripe?.requests.listen((request) => this.#asked(request));
    world.smtp.mails.listen((mail) => this.#mailed(mail));
    world.onboarding.updates.listen((update) => this.#told(update));
  }

  /** A sample that is about to be sent. */
  expect(sample) {
    const row = new Row(sample);
    this.rows.push(row);
    return row;
  }

  answered(row, { id, status, body }) {
    row.event ??= id;
    row.answer = status;
    row.duplicate = Boolean(body?.duplicate);
    const refusal = body?.error?.code;
    row.reason ??= refusal ?? null; // it may be dead already
    this.#news(row, row.duplicate ? 'answered 200: known before' : `answered ${status}${refusal ? ` ${refusal}` : ''}`);
    this.#known(row);
  }

  /** Those that are not as they are expected to be: [row, why] each. */
  faults() {
    return this.rows
      .map((row) => [
        row,
        row.fault(
          this.mails.filter(({ event }) => event === row.event).length,
          this.#updates.filter((event) => event === row.event).length,
        ),
      ])
      .filter(([, fault]) => fault);
  }

  /** Reads the ledger of what is under way, and the metrics. */
  async look() {
    for (const row of this.rows.filter(({ event, outcome, queued }) => queued && event && !outcome)) {
      const ledger = await this.world.redis.hash(redisKey(`effects:${row.event}`));
      row.effects = Object.keys(ledger).filter((name) => !name.includes(':') && name !== 'tries');
    }
    const { text } = await this.world.program.look('/metrics');
    for (const [, name, value] of text.matchAll(/^identihook_(\S+) (\d+)$/gm)) this.counts[name] = Number(value);
  }

  count(name, labels = {}) {
    const list = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return this.counts[list.length > 0 ? `${name}{${list.join(',')}}` : name] ?? 0;
  }

  #find(event) {
    return this.rows.find((row) => row.event === event && !row.duplicate);
  }

  /** Does `act` with the row of `event`, as soon as there is one. */
  #with(event, act) {
    const row = this.#find(event);
    if (row) act(row);
    else this.#early.set(event, [...(this.#early.get(event) ?? []), act]);
  }

  #known(row) {
    if (row.duplicate) return;
    const acts = this.#early.get(row.event) ?? [];
    this.#early.delete(row.event);
    acts.forEach((act) => act(row));
  }

  #news(row, text) {
    this.onNews(`${(row.event ?? '').padEnd(28)} ${row.label.padEnd(32)} ${text}`);
  }

  #queued({ event, type, session }) {
    const short = type.replace('identity.verification_session.', '');
    // A sample's answer may still be on its way to us; then its session tells which one it is.
    const row =
      this.#find(event) ??
      this.rows.find((one) => one.session === session && !one.event) ??
      this.expect({ label: short, type: short, id: session });
    row.event = event;
    row.queued = true;
    row.answer ??= 200;
    this.#news(row, 'queued in Redis');
    this.#known(row);
  }

  #asked({ session, method }) {
    const row = this.rows.find((one) => one.session === session);
    if (!row || method !== 'GET') return;
    row.fetched = true;
    this.#news(row, 'session asked for at Stripe');
  }

  #mailed({ messageId, to, subject }) {
    const event = messageId?.match(/<(evt_\w+)\./)?.[1];
    this.mails.push({ event, to, subject });
    const row = this.#find(event);
    if (row) this.#news(row, `mail to ${to}: ${subject}`);
  }

  #told({ event }) {
    this.#updates.push(event);
    const row = this.#find(event);
    if (row) this.#news(row, 'onboarding update posted');
  }

  #logged(line) {
    const row = line.event && this.#find(line.event);
    if (row && line.message === 'event will be tried again') {
      row.tries = line.attempt;
      row.waits = { reason: line.reason, until: Date.now() + line.delay_ms };
      if (line.reason.startsWith('stripe_')) row.fetched = false;
      this.#news(row, `${line.reason}, again in ${(line.delay_ms / 1000).toFixed(1)} s`);
    }
    if (line.raw || ((line.level === 'warn' || line.level === 'error') && !line.event)) {
      this.troubles.push(line.raw ?? `${line.level}: ${line.message}${line.cause ? ` (${line.cause})` : ''}`);
    }
  }

  #ended({ event, outcome, effects }) {
    this.#with(event, (row) => {
      row.outcome = outcome;
      row.effects = effects ? effects.split(',') : [];
      row.waits = null;
      row.tries = 0;
      row.fetched ||= row.effects.length > 0 || outcome === 'superseded';
      this.#news(row, `outcome: ${outcome}${effects ? ` (${effects})` : ''}`);
    });
  }

  #died({ event, reason, error }) {
    this.#with(event, (row) => {
      row.reason = reason;
      row.fetched &&= !reason.startsWith('stripe_') && reason !== 'session_not_found';
      this.#news(row, `dead letter: ${reason}: ${error}`);
    });
  }
}
