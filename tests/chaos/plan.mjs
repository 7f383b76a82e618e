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

  token = (length) =>
    Array.from({ length }, () => this.of([...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'])).join('');
}

// ---- sessions: what Stripe, the mail server and the onboarding service say about each, and so how its events must end

const BOTH = 'email,onboarding';

const SESSIONS = {
  verified: {
    weight: 68,
    status: 'verified',
    events: { verified: 3, requires_input: 1, processing: 1 },
    ends: { verified: ['done', BOTH], requires_input: ['superseded', ''], processing: ['done', ''] },
  },
  failed: {
    weight: 20,
    status: 'failed',
    events: { requires_input: 4, processing: 1 },
    ends: { requires_input: ['done', BOTH], processing: ['done', ''] },
  },
  unknown: { weight: 4, events: { verified: 1 }, ends: { verified: ['dead', ''] }, reason: 'session_not_found' },
  unmailable: {
    weight: 4,
    status: 'verified',
    events: { verified: 1 },
    ends: { verified: ['dead', 'onboarding'] },
  },
  unwelcome: { weight: 4, status: 'verified', events: { verified: 1 }, ends: { verified: ['dead', 'email'] } },
};

const weights = Object.fromEntries(Object.entries(SESSIONS).map(([name, { weight }]) => [name, weight]));

function planSession(dice, start) {
  const kind = dice.weighted(weights);
  const { status, events, ends } = SESSIONS[kind];
  const session = { id: `vs_1${dice.token(24)}`, kind, status, name: dice.token(10).toLowerCase() };
  session.events = Array.from({ length: dice.whole(1, 6) }, () => {
    const type = dice.weighted(events);
    const [outcome, effects] = ends[type];
    // Stripe keeps no order, and neither do we: any of them may come first.
    return { id: `evt_1${dice.token(24)}`, type, session, outcome, effects, at: start + dice.between(0, 3000) };
  });
  return session;
}

// ---- faults

/** What may happen to a process, to Redis, and to the services around; `for`: how long, in ms. */
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

function planFaults(dice, { faults, duration, slots }) {
  return Array.from({ length: faults }, (_, i) => {
    const name = dice.weighted(faultWeights);
    const { on, for: range } = FAULTS[name];
    return {
      name,
      on,
      at: (duration * (i + dice.number())) / faults,
      ms: range ? Math.round(dice.between(...range)) : 0,
      slot: on === 'process' ? dice.whole(0, slots - 1) : null,
    };
  });
}

/**
 * @param {object} options
 * @param {number} options.seed
 * @param {number} options.events    at least so many
 * @param {number} options.duration  ms in which they are sent
 * @param {number} options.faults
 * @param {number} options.slots     processes of the fleet
 * @param {number} options.senders
 */
export function planOf({ seed, events, duration, faults, slots, senders }) {
  const dice = new Dice(seed);
  const sessions = [];
  for (let count = 0; count < events; count += sessions.at(-1).events.length) {
    sessions.push(planSession(dice, dice.between(0, Math.max(0, duration - 3000))));
  }
  const all = sessions.flatMap((session) => session.events);
  const deliveries = all.map((event) => ({ event, at: event.at, sender: dice.whole(0, senders - 1) }));
  for (const event of all) {
    if (!dice.chance(0.1)) continue; // a duplicate, by another sender, soon or late
    deliveries.push({ event, at: event.at + dice.between(0, duration / 4), sender: dice.whole(0, senders - 1) });
  }
  deliveries.sort((one, other) => one.at - other.at);
  return { seed, sessions, events: all, deliveries, faults: planFaults(dice, { faults, duration, slots }) };
}
