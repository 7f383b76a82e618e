// Whether all went well, judged from outside.

import { mayHave, mustHave } from './plan.mjs';
import { judgeRows } from './rows.mjs';
import { CLAIM_AFTER_MS, key } from './storm.mjs';

const SLACK_MS = 1500; // how late things are noticed on a busy machine
const HISTORY_MS = 3_600_000;

const LASTING = ['events', 'outcomes', 'dead']; // all else in Redis goes by itself, if it is there at all

// What may happen, and is counted.
const MAILED_TWICE = 'mails sent again, one of the senders having been killed, frozen or cut off right then';
const UPDATED_AGAIN = 'updates sent again, under the same key';
const LATE = 'requests of a process that had been frozen or cut off, and had lost its event without knowing';

/**
 * Whether one of these processes was killed, or frozen or cut off from Redis for so long that it may have lost its events meanwhile. Being
 * told to end, a Redis that is killed and comes back, forgets scripts or connections: none of that is an excuse.
 */
const EXCUSES = ['kill', 'freeze', 'cut and drop', 'cut and resume', 'redis frozen', 'redis group destroyed'];

function excuse(slots, from, to, excuses = EXCUSES) {
  return slots.some((slot) =>
    slot?.troubles.some(
      (one) =>
        excuses.includes(one.why) && one.from - SLACK_MS <= to && from <= one.to + CLAIM_AFTER_MS + SLACK_MS,
    ),
  );
}

export function judge(storm) {
  const { plan, witness, outcomes, letters = [] } = storm;
  const faults = []; // { event, what }
  const counts = {
    [MAILED_TWICE]: 0,
    [UPDATED_AGAIN]: 0,
    [LATE]: 0,
  };
  const blame = (event, what) => faults.push({ event, what });
  const one = (map, id) => map.get(id) ?? [];

  if (storm.stuck) blame(null, storm.stuck);
  for (const slot of storm.slots) for (const complaint of slot.complaints()) blame(null, complaint);
  for (const stray of witness.strays) blame(null, stray);

  const ends = new Map();
  for (const outcome of outcomes.items) {
    if (!ends.has(outcome.event)) ends.set(outcome.event, []);
    ends.get(outcome.event).push(outcome);
  }
  for (const event of plan.events) {
    judgeAnswers(event, one(witness.answers, event.id), blame);
    judgeEnd(event, ends.get(event.id) ?? [], blame);
    judgeUpdates(event, one(witness.updates, event.id), blame, counts);
    judgeMails(event, one(witness.mails, event.id), blame, counts);
  }
  judgeTurns(witness, blame, counts);
  judgeRedactions(plan, witness, ends, blame, counts);
  if (storm.left) {
    judgeRedis(storm, blame);
    judgeRows(storm, ends, { blame, counts, excuse });
  }
  for (const { event, reason } of letters) {
    if (!witness.events.has(event)) blame(null, `a dead letter of ${event}`);
    if (['owner_died_repeatedly', 'attempts_exhausted'].includes(reason)) blame(event, `it is dead of ${reason}`);
  }
  return { faults, counts };
}

function judgeAnswers(event, answers, blame) {
  const taken = answers.filter(({ status }) => status === 200);
  if (taken.length === 0) blame(event.id, 'it was never answered 200');
  if (taken.filter(({ duplicate }) => !duplicate).length > 1) blame(event.id, 'it was taken for new twice');
  const bad = answers.find(({ status }) => status >= 400 && status < 500);
  if (bad) blame(event.id, `it was answered ${bad.status}`);
}

function judgeEnd(event, ends, blame) {
  if (event.mayBeErased && ends.length === 0) return;
  if (ends.length !== 1) return blame(event.id, `it has ${ends.length} outcomes`);
  const [{ outcome, effects }] = ends;
  if (!event.ends.some(([one, its]) => one === outcome && its === effects)) {
    blame(event.id, `it ended as ${outcome} with effects "${effects}"`);
  }
}

function judgeUpdates(event, updates, blame, counts) {
  const refused = event.session.kind === 'unwelcome'; // by the service, once it had it
  const wanted = refused || mustHave(event, 'onboarding');
  const allowed = refused || mayHave(event, 'onboarding');
  if (!allowed && updates.length > 0) blame(event.id, 'there was an update of it');
  if (wanted && updates.length === 0) blame(event.id, 'there was no update of it');
  for (const { key: given } of updates) if (given !== event.id) blame(event.id, `an update of it has the key ${given}`);
  for (const path of new Set(updates.map(({ slot }) => slot.path))) { // another version may have other fields
    const bodies = updates.filter(({ slot }) => slot.path === path).map(({ body }) => body);
    if (new Set(bodies).size > 1) blame(event.id, 'its updates differ');
  }
  counts[UPDATED_AGAIN] += Math.max(0, updates.length - 1);
}

function judgeMails(event, mails, blame, counts) {
  if (!mayHave(event, 'email') && mails.length > 0) blame(event.id, 'there was a mail of it');
  if (mustHave(event, 'email') && mails.length === 0) blame(event.id, 'there was no mail of it');
  for (let i = 1; i < mails.length; i++) {
    // The first sender could not write it down, or the second one had begun before it lost the event.
    const [first, second] = [mails[i - 1], mails[i]];
    const excused = excuse([first.slot], first.at, first.at) || excuse([second.slot], second.at, second.at);
    if (!excused) blame(event.id, 'it was mailed twice, and nothing had happened to its senders');
    counts[MAILED_TWICE]++;
  }
  if (new Set(mails.map(({ raw }) => raw)).size > 1) blame(event.id, 'its mails differ');
}

/** Whether an event's try had ended before another one began: its update is left to a later try. */
function hadEnded(witness, [mail, effect]) {
  const slack = 5; // ms: clocks are read before and after
  return (witness.lines.get(mail.event) ?? []).some(({ line }) => {
    const at = Date.parse(line.time);
    return /will be tried again/.test(line.message) && at >= mail.from - slack && at <= effect.from + slack;
  });
}

function judgeTurns(witness, blame, counts) {
  for (const { why, session, marks } of witness.overlaps) {
    if (/between/.test(why) && hadEnded(witness, marks)) continue;
    const event = marks.findLast((mark) => mark.event)?.event ?? witness.sessions.get(session)?.events[0]?.id;
    const from = Math.min(...marks.map((mark) => mark.from));
    // Who is told to end may leave the update to another one.
    const excuses = /between/.test(why) ? [...EXCUSES, 'stop'] : EXCUSES;
    if (excuse(marks.map(({ slot }) => slot), from - CLAIM_AFTER_MS, marks.at(-1).from, excuses)) {
      counts[LATE]++;
    } else {
      blame(event, `two events of ${session} at once: ${why}`);
    }
  }
}

/** Nothing is sent about a session after its redaction. */
function judgeRedactions(plan, witness, ends, blame, counts) {
  for (const { events } of plan.sessions.filter(({ kind }) => kind === 'redacted')) {
    const [redaction] = ends.get(events.find(({ type }) => type === 'redacted').id) ?? [];
    if (!redaction) continue;
    for (const { id } of events) {
      for (const { at, slot } of [...(witness.mails.get(id) ?? []), ...(witness.updates.get(id) ?? [])]) {
        if (at <= Number(redaction.at_ms)) continue;
        if (excuse([slot], at, at)) counts[LATE]++;
        else blame(id, 'something was sent of it after the redaction of its session');
      }
    }
  }
}

/** Nothing may be left but the marks, and for a while the ledgers and outcomes. */
function judgeRedis({ plan, left, pending, streamLength }, blame) {
  const isDead = ({ ends: [[outcome]] }) => outcome === 'dead';
  const dead = new Set(plan.events.filter(isDead).map(({ id }) => key(`effects:${id}`)));
  const marks = new Set(plan.events.map(({ id }) => key(`seen:${id}`)));
  for (const { name, ttl, value } of left) {
    const [, kind] = /^\{.*?\}:([a-z]+)/.exec(name) ?? [];
    if (kind === 'seen') {
      if (!marks.delete(name)) blame(null, `${name} is left`);
      else if (!(Number(value) < 0)) blame(name.split(':').at(-1), `its mark says ${value}: it is not finished`);
    } else if (kind === 'effects') {
      const forGood = dead.has(name);
      if (!forGood && !(ttl > 0 && ttl <= HISTORY_MS)) blame(name.split(':').at(-1), `its ledger lives for ${ttl} ms`);
    } else if (['turn', 'waiting', 'retry', 'attempts', 'mail'].includes(kind)) {
      blame(null, `${name} is left: ${value}`);
    } else if (!LASTING.includes(kind) && !(ttl > 0 && ttl <= HISTORY_MS)) {
      blame(null, `${name} is left, for ${ttl} ms`);
    }
  }
  for (const name of marks) blame(name.split(':').at(-1), 'it has no mark');
  if (streamLength > 0) blame(null, `the stream has ${streamLength} entries`);
  if (pending > 0) blame(null, `${pending} entries are pending`);
}
