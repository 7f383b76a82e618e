// The confirmation page: follows what the server knows of the verification, until that is final.

import { Refusal, ask, explain, takeToken } from './page.js';

const SOON_MS = 2000;
const LATER_MS = 10_000;
const SOON_FOR_MS = 120_000; // most checks have ended by then
const UNTIL_MS = 1_800_000; // whoever still waits loads the page again
const UNSENT_AFTER_MS = 60_000; // without a sign that anything was sent

const main = document.querySelector('main');
const element = (id) => document.getElementById(id);
const token = takeToken();
const began = Date.now();
let shown = '';

// ---- showing

function show({ kind, title, text, next = null, note = '' }) {
  const waits = kind === 'waiting';
  const print = JSON.stringify([kind, title, text, next, note]);
  if (print === shown) return; // a screen reader says it once
  shown = print;
  main.className = kind;
  element('title').textContent = title;
  element('text').textContent = text;
  element('progress').hidden = !waits;
  element('next').hidden = !next;
  element('next').textContent = next ?? '';
  element('note').hidden = !note;
  element('note').textContent = note;
  document.title = document.title.replace(/^.*?(?=( – |$))/, title);
}

const waiting = (changes = {}) => ({
  kind: 'waiting',
  title: 'We are checking',
  text: 'Thank you. Your verification is being checked, which mostly takes less than a minute. This page shows the result by itself.',
  note:
    Date.now() - began < SOON_FOR_MS
      ? ''
      : `It takes longer than usual. You may close this page${main.dataset.mails ? ': you get an e-mail with the result' : ''}.`,
  ...changes,
});

function failed({ reason, attempts_left: left }) {
  const again = reason.retryable && left > 0;
  const note = reason.retryable && left === 0 ? 'You have tried as often as is possible for now. Please try again later.' : '';
  return {
    kind: 'failed',
    title: 'We could not confirm your identity',
    text: reason.message,
    next: again ? 'Try again' : null,
    note,
  };
}

/** What to show for a status; final when it does not wait. */
function viewOf(status) {
  if (status.reason && status.status === 'requires_input') return failed(status);
  switch (status.status) {
    case 'verified':
      return { kind: 'verified', title: 'Your identity is confirmed', text: 'There is nothing more that you have to do.' };
    case 'none':
      return { kind: 'idle', title: 'Nothing was sent yet', text: 'You have not started your verification.', next: 'Start' };
    case 'canceled':
      return { kind: 'failed', title: 'The check was cancelled', text: 'You can start again.', next: 'Start again' };
    case 'requires_input':
      return Date.now() - began < UNSENT_AFTER_MS
        ? waiting()
        : waiting({ next: 'Go back', note: 'Nothing has arrived at Stripe yet. If you have not finished, go back and do so.' });
    default:
      return waiting();
  }
}

// ---- following

/** At once when somebody looks at the page again, and not at all while nobody does. */
function pause(ms) {
  return new Promise((resolve) => {
    const end = () => {
      if (document.hidden) return;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', end);
      removeEventListener('online', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    document.addEventListener('visibilitychange', end);
    addEventListener('online', end);
  });
}

/** The next view, and how long it may stay. */
async function look() {
  try {
    return { view: viewOf(await ask('../verification-status', token)), wait: 0 };
  } catch (error) {
    const { what, next } = explain(error);
    const isFinal = error instanceof Refusal && error.code.startsWith('token_');
    const kind = isFinal ? 'idle' : 'waiting';
    const text = isFinal ? next : `${next.replace(/, and try again\.$/, '.')} This page goes on by itself.`;
    return { view: { kind, title: what.replace(/\.$/, ''), text }, wait: (error.waitSeconds ?? 0) * 1000 };
  }
}

async function follow() {
  for (;;) {
    const { view, wait } = await look();
    show(view);
    if (view.kind !== 'waiting') return;
    const age = Date.now() - began;
    if (age > UNTIL_MS) {
      show(waiting({ note: 'It takes longer than usual. Load this page again to see the result.' }));
      element('progress').hidden = true;
      return;
    }
    await pause(Math.max(wait, age < SOON_FOR_MS ? SOON_MS : LATER_MS));
  }
}

void follow();
