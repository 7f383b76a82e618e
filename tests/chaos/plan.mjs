// What will happen, from a seed: the sessions and their events, when each is sent, and what fails when. The same seed gives the
// same plan; how the processes of a machine share its time is up to that machine.

/** Numbers that look random, uniform in 0 .. 1, from a seed (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

class Dice {
  constructor(seed) {
    this.number = randomOf(seed);
  }

  between = (least, most) => least + this.number() * (most - least);
  whole = (least, most) => Math.floor(this.between(least, most + 1));
  chance = (probability) => this.number() < probability;
  of = (list) => list[this.whole(0, list.length - 1)];

  /** One of { name: weight, … }, as often as its weight says. */
  weighted(weights) {
    let at = this.number() * Object.values(weights).reduce((sum, weight) => sum + weight, 0);
    return Object.keys(weights).find((name) => (at -= weights[name]) < 0) ?? Object.keys(weights)[0];
  }

  shuffled(list) {
    const dealt = [...list];
    for (let left = dealt.length; left > 1; left--) {
      const at = this.whole(0, left - 1);
      [dealt[at], dealt[left - 1]] = [dealt[left - 1], dealt[at]];
    }
    return dealt;
  }

  token = (length) =>
    Array.from({ length }, () => this.of([...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'])).join('');
}

// ---- sessions: what Stripe, the mail server and the onboarding service say about each, and so how its events must end

const ALL = 'email,onboarding,postgres';

/**
 * `status` is how a session is at first, `turn` how it is from some moment on: events of that type come after it, and one does at
 * least. `ends`: how an event may end; where there are several ways, it depends on whether it is looked at before the turn.
 */
const SESSIONS = {
  verified: {
    weight: 56,
    status: 'verified',
    events: { verified: 3, requires_input: 1, processing: 1 },
    ends: { verified: [['done', ALL]], requires_input: [['superseded', '']], processing: [['done', '']] },
  },
  failed: {
    weight: 18,
    status: 'failed',
    events: { requires_input: 4, processing: 1 },
    ends: { requires_input: [['done', ALL]], processing: [['done', '']] },
  },
  mended: {
    weight: 12.5,
    status: 'failed',
    turn: 'verified',
    events: { requires_input: 2, verified: 1 },
    ends: {
      verified: [['done', ALL]],
      requires_input: [
        ['done', ALL],
        ['superseded', ''],
      ],
    },
  },
  redacted: {
    weight: 1.5,
    status: 'verified',
    turn: 'redacted',
    events: { verified: 1 },
    ends: {
      redacted: [['done', 'erase']],
      verified: [
        ['done', ALL],
        ['superseded', ''],
      ],
    },
  },
  unknown: { weight: 4, events: { verified: 1 }, ends: { verified: [['dead', '']] }, reason: 'session_not_found' },
  unmailable: {
    weight: 4,
    status: 'verified',
    events: { verified: 1 },
    ends: { verified: [['dead', 'onboarding,postgres']] },
  },
  unwelcome: {
    weight: 4,
    status: 'verified',
    events: { verified: 1 },
    ends: { verified: [['dead', 'email,postgres']] },
  },
};

const weights = Object.fromEntries(Object.entries(SESSIONS).map(([name, { weight }]) => [name, weight]));

const SPAN_MS = { usual: 3000, turning: 6000 }; // in which the events of a session come

function planSession(dice, duration) {
  const kind = dice.weighted(weights);
  const { status, turn, events, ends } = SESSIONS[kind];
  const span = turn ? SPAN_MS.turning : SPAN_MS.usual;
  const start = dice.between(0, Math.max(0, duration - span));
  const session = { id: `vs_1${dice.token(24)}`, kind, status, turn, name: dice.token(10).toLowerCase() };
  session.turnsAt = start + dice.between(span / 3, span);
  const spread = dice.chance(0.2) ? 0 : span; // some come all at once
  const types = Array.from({ length: dice.whole(1, 6) }, () => dice.weighted(events));
  if (turn) types[0] = turn;
  session.events = types.map((type) => ({
    id: `evt_1${dice.token(24)}`,
    type,
    session,
    ends: ends[type],
    mayBeErased: turn === 'redacted' && type !== turn, // with its outcome, whatever that was
    // Stripe keeps no order, and neither do we: any of them may come first, and any may be the newest.
    at: type === turn ? dice.between(session.turnsAt, start + span) : start + dice.between(0, spread),
    age: dice.whole(0, 60), // s: so long before the storm Stripe made it
  }));
  return session;
}

/** Whether an event has this effect however it ends; and whether it may have it. */
export const mustHave = (event, effect) =>
  !event.mayBeErased && event.ends.every(([, effects]) => effects.split(',').includes(effect));
export const mayHave = (event, effect) => event.ends.some(([, effects]) => effects.split(',').includes(effect));

// ---- faults

/** What may happen to a process, to Redis, to PostgreSQL, and to the services around; `for`: how long, in ms;
 * `least`: how often it must happen to be sure to hit something, 1 unless it says so. */
const FAULTS = {
  kill: { weight: 10, on: 'process' },
  stop: { weight: 4, on: 'process' },
  freeze: { weight: 6, on: 'process', for: [500, 6000] },
  'cut and drop': { weight: 4, on: 'process', for: [1000, 7000] }, // nothing passes, then the connections are gone
  'cut and resume': { weight: 4, on: 'process', for: [500, 7000] }, // nothing passes, then all of it arrives
  'redis killed': { weight: 3, on: 'redis' },
  'redis frozen': { weight: 3, on: 'redis', for: [300, 3000] },
  'redis clients killed': { weight: 2, on: 'redis' },
  'redis scripts forgotten': { weight: 2, on: 'redis' },
  'redis group destroyed': { weight: 2, on: 'redis' },
  'postgres killed': { weight: 3, on: 'postgres', for: [0, 2000] },
  'postgres frozen': { weight: 3, on: 'postgres', for: [300, 5000] },
  'postgres clients killed': { weight: 3, on: 'postgres' },
  'postgres locked': { weight: 3, on: 'postgres', for: [500, 4000] }, // the table, by somebody else
  'postgres answers lost': { weight: 5, least: 3, on: 'postgres', for: [500, 2500] }, // what is sent is done, and nobody hears of it
  'postgres cut and drop': { weight: 3, on: 'worker', for: [1000, 6000] }, // the network between the two, as above
  'postgres cut and resume': { weight: 3, on: 'worker', for: [1000, 6000] },
  'stripe 429': { weight: 2, on: 'stripe', for: [500, 3000] },
  'stripe 500': { weight: 3, on: 'stripe', for: [500, 3000] },
  'stripe garbage': { weight: 2, on: 'stripe', for: [500, 2000] },
  'stripe slow': { weight: 4, on: 'stripe', for: [1000, 4000] },
  'stripe cut': { weight: 2, on: 'stripe', for: [500, 2000] },
  'onboarding 503': { weight: 3, on: 'onboarding', for: [500, 3000] },
  'onboarding 429': { weight: 2, on: 'onboarding', for: [500, 2000] },
  'onboarding slow': { weight: 4, on: 'onboarding', for: [1000, 4000] },
  'onboarding reset': { weight: 2, on: 'onboarding', for: [500, 2000] },
  'smtp 451': { weight: 3, on: 'smtp', for: [500, 3000] },
  'smtp drops': { weight: 2, on: 'smtp', for: [500, 2000] },
  'smtp slow': { weight: 3, on: 'smtp', for: [1000, 3000] },
};

const faultWeights = Object.fromEntries(Object.entries(FAULTS).map(([name, { weight }]) => [name, weight]));

/** Every kind once, or as often as it must be at least, if there are enough of them, and then by their weights; in any order. */
function planFaults(dice, { faults, duration, roles }) {
  const surely = Object.keys(FAULTS).flatMap((name) => Array(FAULTS[name].least ?? 1).fill(name));
  const kinds = dice.shuffled(surely).slice(0, faults);
  while (kinds.length < faults) kinds.push(dice.weighted(faultWeights));
  const slots = roles.map((_, number) => number);
  const hit = { process: slots, worker: slots.filter((number) => roles[number] !== 'ingest') };
  return dice.shuffled(kinds).map((name, i) => {
    const { on, for: range } = FAULTS[name];
    return {
      name,
      on,
      at: (duration * (i + dice.number())) / faults,
      ms: range ? Math.round(dice.between(...range)) : 0,
      slot: hit[on] ? dice.of(hit[on]) : null,
    };
  });
}

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.events    at least so many
 * @param {number} options.duration  ms in which they are sent
 * @param {number} options.faults
 * @param {string[]} options.roles   of the fleet's processes
 * @param {number} options.senders
 */
export function planOf({ seed, events, duration, faults, roles, senders }) {
  const dice = new Dice(seed);
  const sessions = [];
  for (let count = 0; count < events; count += sessions.at(-1).events.length) {
    sessions.push(planSession(dice, duration));
  }
  const all = sessions.flatMap((session) => session.events);
  const deliveries = all.map((event) => ({ event, at: event.at, sender: dice.whole(0, senders - 1) }));
  for (const event of all) {
    if (!dice.chance(0.1)) continue; // a duplicate, by another sender, soon or late
    deliveries.push({ event, at: event.at + dice.between(0, duration / 4), sender: dice.whole(0, senders - 1) });
  }
  deliveries.sort((one, other) => one.at - other.at);
  return { seed, sessions, events: all, deliveries, faults: planFaults(dice, { faults, duration, roles }) };
}
