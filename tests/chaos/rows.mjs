// Whether PostgreSQL holds what it shall, and has told of it: the rows, their ledger, their history, the notifications.

import { mayHave, mustHave } from './plan.mjs';
import { userOf } from './storm.mjs';

const TELLING_MS = 2000; // so long before the end of a connection a change may have happened, and not have been told there

// What may happen, and is counted.
const CHANGES = 'rows made or changed in PostgreSQL';
const HEARD = 'notifications of them that were heard';
const UNHEARD = 'changes while nobody could listen, PostgreSQL being down or just back';
const AGAIN = 'rows that were to be written once more, and were not';
const UNANSWERED = 'rows whose writer heard no answer, and tried again';
const ERASED_LATE = 'ledger rows of a redacted session, by a statement that was under way';

const grouped = (items, keyOf) => {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
};

const BLANK = {
  user_id: null,
  user_source: null,
  reason_code: null,
  retryable: null,
  verified_outputs: null,
};

export function judgeRows(storm, ends, { blame, counts, excuse }) {
  const { plan, database, witness } = storm;
  counts[CHANGES] = database.changes.length;
  counts[HEARD] = database.heard.length;
  counts[UNHEARD] = 0;
  counts[AGAIN] = database.tries.all - database.tries.events;
  counts[ERASED_LATE] = 0;
  const unconfirmed = ({ line }) => line.reason === 'postgres_unconfirmed' && line.message === 'effect failed';
  counts[UNANSWERED] = [...witness.lines.values()].flat().filter(unconfirmed).length;

  const rows = new Map(database.rows.map((row) => [row.session, row]));
  const changes = grouped(database.changes, ({ session }) => session);
  judgeLedger(storm, ends, { blame, counts, excuse });
  const written = new Set(database.ledger.map(({ event }) => event));
  for (const session of plan.sessions) {
    const history = changes.get(session.id) ?? [];
    const events = session.events.filter(({ id }) => written.has(id));
    judgeRow(storm, { session, events, row: rows.get(session.id) }, blame);
    judgeHistory({ session, history, written }, blame);
    rows.delete(session.id);
  }
  for (const session of rows.keys()) blame(null, `a row of ${session}`);
  judgeNotifications(database, changes, blame, counts);
}

/** Each event once, and none but those that call for a row. */
function judgeLedger({ plan, database, slots }, ends, { blame, counts, excuse }) {
  const ledger = grouped(database.ledger, ({ event }) => event);
  for (const event of plan.events) {
    const notes = ledger.get(event.id) ?? [];
    const claimed = (ends.get(event.id) ?? []).some(({ effects }) => /postgres/.test(effects));
    const wanted = mustHave(event, 'postgres') || (claimed && !event.mayBeErased);
    if (wanted && notes.length === 0) blame(event.id, 'it is not in the ledger of PostgreSQL: its row was not written');
    if (!mayHave(event, 'postgres') && notes.length > 0) blame(event.id, 'it is in the ledger of PostgreSQL');
    if (notes.length > 1) blame(event.id, 'it is in the ledger of PostgreSQL twice');
    for (const { effect, session, at } of notes) {
      if (effect !== 'postgres' || session !== event.session.id) blame(event.id, `its ledger says ${effect} of ${session}`);
      if (event.session.kind !== 'redacted') continue;
      counts[ERASED_LATE]++; // its row tells more
      if (!excuse(slots, at.getTime(), at.getTime())) blame(event.id, 'the ledger has it, though its session was redacted');
    }
    ledger.delete(event.id);
  }
  for (const event of ledger.keys()) blame(null, `${event} in the ledger of PostgreSQL`);
}

/** The row that these events, which were written, should have left; null: none. */
function rowOf(storm, session, events) {
  if (session.kind === 'redacted') {
    return { status: 'redacted', ...BLANK, last_event: null, last_event_type: null, last_event_created: null };
  }
  const isFinal = ({ type }) => type === 'verified';
  const isNewer = (one, other) => isFinal(one) - isFinal(other) || storm.createdOf(one) - storm.createdOf(other);
  const newest = [...events].sort(isNewer).at(-1);
  if (!newest) return null;
  const created = storm.createdOf(newest) * 1000;
  return {
    status: newest.type,
    livemode: false,
    account: null,
    ...BLANK,
    user_id: userOf(session.name),
    user_source: 'client_reference_id',
    ...(newest.type === 'requires_input' && { reason_code: 'document_expired', retryable: true }),
    verified_at: isFinal(newest) ? created : null,
    // Of several that are as new, the one that was looked at last.
    last_event: events.filter((one) => isNewer(one, newest) === 0).map(({ id }) => id),
    last_event_type: `identity.verification_session.${newest.type}`,
    last_event_created: created,
    redacted_at: null,
  };
}

function judgeRow(storm, { session, events, row }, blame) {
  const wanted = rowOf(storm, session, events);
  const event = session.events[0].id;
  if (!wanted && row) return blame(event, `${session.id} has a row in PostgreSQL`);
  if (wanted && !row) return blame(event, `${session.id} has no row in PostgreSQL`);
  for (const [name, value] of Object.entries(wanted ?? {})) {
    const found = row[name] instanceof Date ? row[name].getTime() : row[name];
    if (![value].flat().includes(found)) blame(event, `the ${name} in the row of ${session.id} is ${found}, not ${value}`);
  }
  if (session.kind === 'redacted' && !row.redacted_at) blame(event, `the row of ${session.id} says no redacted_at`);
}

/** Of two changes, one after the other: whether the later one is as new, or newer. */
function isForward(before, after) {
  const of = ({ status, created, checked }) => [status === 'verified' ? 1 : 0, created?.getTime(), checked?.getTime()];
  const [old, young] = [of(before), of(after)];
  const at = old.findIndex((value, i) => value !== young[i]);
  return at < 0 || old[at] < young[at];
}

/** A row never went back, not for a moment; no event changed it twice; nothing did after the redaction. */
function judgeHistory({ session, history, written }, blame) {
  const seen = new Set();
  history.forEach((change, i) => {
    const { event, status } = change;
    const before = history[i - 1];
    const concerned = event ?? session.events[0].id;
    if (before?.status === 'redacted') blame(concerned, `the row of ${session.id} was written after its redaction`);
    if (status === 'redacted') return;
    if (seen.has(event)) blame(concerned, `it has changed the row of ${session.id} twice`);
    seen.add(event);
    if (session.kind !== 'redacted' && !written.has(event)) {
      blame(concerned, `it has changed the row of ${session.id}, and is not in the ledger`);
    }
    if (before && before.status !== 'redacted' && !isForward(before, change)) {
      blame(concerned, `an older state took the place of a newer one in the row of ${session.id}`);
    }
  });
}

/** Every change was told once to who was listening then, and nothing else. */
function judgeNotifications({ heard, ears }, changes, blame, counts) {
  const keyOf = ({ session, status }) => `${session} is ${status}`;
  const wasListening = ({ number, at }) =>
    ears.some(({ from, to }) => number > from && at.getTime() <= to - TELLING_MS);
  const told = grouped(heard, keyOf);
  for (const [session, history] of changes) {
    for (const [key, alike] of grouped(history, keyOf)) {
      const times = told.get(key)?.length ?? 0;
      const sure = alike.filter(wasListening);
      counts[UNHEARD] += alike.length - times;
      const event = alike[0].event;
      if (times < sure.length) blame(event, `of ${sure.length} changes of ${session} ${times} were told`);
      if (times > alike.length) blame(event, `${alike.length} changes of ${session} were told ${times} times`);
      told.delete(key);
    }
  }
  for (const key of told.keys()) blame(null, `it was told that ${key}, which never happened`);
}
