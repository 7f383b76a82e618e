// What can be seen from outside: what each sender was answered, and what each receiver got, from which process, and when.

/** Stages of a session's events, as its receivers see them, in their order. */
class Trail {
  marks = []; // { what: 'fetch' | 'update' | 'mail', event, slot, from, to }
  active = new Set();
}

export class Witness {
  answers = new Map(); // event id -> [{ at, status, duplicate, slot }]
  updates = new Map(); // event id -> [{ at, key, body, slot, status }]
  mails = new Map(); // event id -> [{ at, raw, slot }]
  strays = []; // what belongs to no event of the plan
  overlaps = []; // two events of a session at once: { why, session, marks }
  lines = new Map(); // event id -> log lines
  counts = { answers: {}, fetches: 0, updates: 0, mails: 0, lines: 0 };
  #trails = new Map();

  constructor(storm) {
    this.storm = storm;
    this.events = new Map(storm.plan.events.map((event) => [event.id, event]));
    this.sessions = new Map(storm.plan.sessions.map((session) => [session.id, session]));
    this.bySlot = new Map();
  }

  watch() {
    const { stripe, onboarding, slots } = this.storm;
    this.bySlot = new Map(slots.map((slot) => [slot.key, slot]));
    const record = stripe.onRequest;
    stripe.onRequest = (request) => {
      record(request);
      this.#fetched(request);
    };
    onboarding.onRequest = (request) => this.#updated(request);
    stripe.onEnd = onboarding.onEnd = (request) => this.#ended(request);
    for (const slot of slots) slot.smtp.mails.listen((mail) => this.#mailed(slot, mail));
  }

  trail(session) {
    if (!this.#trails.has(session)) this.#trails.set(session, new Trail());
    return this.#trails.get(session);
  }

  #add(map, id, item) {
    if (!map.has(id)) map.set(id, []);
    map.get(id).push(item);
  }

  // ---- senders

  answered(event, slot, { status, json }) {
    this.counts.answers[status] = (this.counts.answers[status] ?? 0) + 1;
    this.#add(this.answers, event.id, { at: Date.now(), status, duplicate: json?.duplicate, slot: slot?.name });
  }

  log(slot, line) {
    this.counts.lines++;
    if (line.event) this.#add(this.lines, line.event, { at: Date.now(), slot: slot.name, line });
  }

  // ---- receivers

  #fetched(request) {
    if (request.method !== 'GET' || !request.session) return;
    this.counts.fetches++;
    const mark = { what: 'fetch', slot: this.bySlot.get(request.key), from: Date.now() };
    request.mark = mark;
    this.#begin(request.session, mark);
  }

  #updated(request) {
    const slot = this.storm.slots[Number(request.path.split('/').at(-1))];
    const body = request.body.toString();
    const { event, session } = JSON.parse(body);
    this.counts.updates++;
    if (!this.events.has(event)) this.strays.push(`an update of ${event}`);
    const mark = { what: 'update', event, slot, from: Date.now() };
    const update = { at: mark.from, key: request.headers['idempotency-key'], body, slot, request };
    this.#add(this.updates, event, update);
    request.mark = mark;
    this.#begin(session, mark);
  }

  /** A mail counts from the moment at which its receiver has all of it and says so. */
  #mailed(slot, { messageId, raw }) {
    const id = /^<(evt_[^.]+)\.email@/.exec(messageId ?? '')?.[1];
    this.counts.mails++;
    if (!this.events.has(id)) return this.strays.push(`a mail ${messageId}`);
    const mark = { what: 'mail', event: id, slot, from: Date.now(), to: Date.now() };
    this.#add(this.mails, id, { at: mark.from, raw, slot });
    this.#begin(this.events.get(id).session.id, mark);
  }

  #begin(session, mark) {
    const trail = this.trail(session);
    this.#compare(session, trail, mark);
    trail.marks.push(mark);
    mark.session = session;
    if (!mark.to) trail.active.add(mark);
  }

  #ended({ mark }) {
    if (!mark || mark.to) return;
    mark.to = Date.now();
    this.trail(mark.session).active.delete(mark);
  }

  /**
   * An event's way is fetch, mail, update. While one is on it, nothing else of its session may come in: nothing while a request of it is
   * being answered, and no effect of another one between its mail and its update. (One fetch may serve several events in turn.)
   */
  #compare(session, trail, mark) {
    for (const other of trail.active) this.#overlap('during another request', session, [other, mark]);
    if (mark.what === 'fetch') return;
    if (!trail.marks.some(({ what, slot }) => what === 'fetch' && slot === mark.slot)) {
      this.#overlap('an effect without a fetch', session, [mark]);
    }
    const last = trail.marks.findLast(({ what }) => what !== 'fetch');
    if (last?.what === 'mail' && last.event !== mark.event && this.#isToUpdate(last.event)) {
      this.#overlap('between the mail and the update of another event', session, [last, mark]);
    }
  }

  /** Whether the onboarding service has yet to give its last word on this event. */
  #isToUpdate(event) {
    const answered = (this.updates.get(event) ?? []).some(({ request }) => [200, 410].includes(request.status));
    return !answered;
  }

  #overlap(why, session, marks) {
    this.overlaps.push({ why, session, marks });
  }

  // ---- telling

  /** All that is known of an event, line by line. */
  timeline(id) {
    const event = this.events.get(id);
    if (!event) return [`${id} is not of the plan`];
    const { began, outcomes, letters = [], faults } = this.storm;
    const happened = [];
    const tell = (at, text) => happened.push({ at, text });
    for (const one of this.answers.get(id) ?? []) tell(one.at, `answered ${one.status}${one.duplicate ? ' (duplicate)' : ''} by ${one.slot}`);
    for (const { what, event: of, slot, from, to } of this.trail(event.session.id).marks) {
      tell(from, `${what}${of ? ` of ${of === id ? 'it' : of}` : ''} by ${slot?.name}, until +${to ? to - from : '?'} ms`);
    }
    for (const { at, slot, line } of this.lines.get(id) ?? []) {
      tell(at, `${slot} says: ${line.message} ${line.reason ?? ''} ${line.error ?? ''}`.trimEnd());
    }
    for (const one of outcomes.items.filter((item) => item.event === id)) {
      tell(Number(one.at_ms), `outcome ${one.outcome} with effects "${one.effects}"`);
    }
    for (const one of letters.filter((item) => item.event === id)) tell(Number(one.failed_ms), `dead: ${one.reason}: ${one.error}`);
    const [first, last] = [Math.min(...happened.map(({ at }) => at)), Math.max(...happened.map(({ at }) => at))];
    for (const { name, slot, from, to } of faults) {
      if (to < first - 3000 || from > last) continue;
      tell(from, `${name}${slot === null ? '' : ` of ${this.storm.slots[slot].name}`} for ${to - from} ms`);
    }
    happened.sort((one, other) => one.at - other.at);
    const { session } = event;
    const ends = event.ends.map(([outcome, effects]) => `${outcome} with effects "${effects}"`).join(', or ');
    return [
      `${id}: ${event.type} of ${session.id} (${session.kind}), to end as ${ends}`,
      ...happened.map(({ at, text }) => `  ${((at - began) / 1000).toFixed(3).padStart(8)} s  ${text}`),
    ];
  }
}
