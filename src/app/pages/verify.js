// The page with the button.

import { Refusal, ask, explain, takeToken } from './page.js';

const main = document.querySelector('main');
const button = document.getElementById('verify');
const message = document.getElementById('message');
const token = takeToken();
let running = false;

// ---- telling

function tell(what, next) {
  message.replaceChildren(
    ...[what, next].filter(Boolean).map((text) => Object.assign(document.createElement('p'), { textContent: text })),
  );
  message.hidden = false;
  message.focus();
}

function run(isRunning, label = 'Verify my identity') {
  running = isRunning;
  button.disabled = isRunning;
  button.setAttribute('aria-busy', String(isRunning));
  button.textContent = label;
}

function fail(error) {
  const { what, next, retryable } = explain(error);
  run(false, 'Try again');
  button.disabled = !retryable;
  button.hidden = !retryable;
  tell(what, next);
}

// ---- Stripe

/** Stripe.js, or null where it cannot be had: then people are sent to Stripe instead. */
function loadStripe() {
  const { key, script } = main.dataset;
  if (!key || window.Stripe) return Promise.resolve(window.Stripe ?? null);
  return new Promise((resolve) => {
    const element = Object.assign(document.createElement('script'), { src: script, async: true });
    element.addEventListener('load', () => resolve(window.Stripe ?? null));
    element.addEventListener('error', () => {
      element.remove();
      resolve(null);
    });
    document.head.append(element);
  });
}

const createSession = (integration) =>
  ask('create-verification-session', token, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ integration }),
  });

const confirm = () => location.assign('verify/submitted');

async function verify() {
  const Stripe = await loadStripe();
  if (!Stripe) {
    const { url } = await createSession('redirect');
    location.assign(url);
    return;
  }
  const stripe = Stripe(main.dataset.key);
  const { client_secret: secret } = await createSession('modal');
  const { error } = await stripe.verifyIdentity(secret);
  if (error) throw error;
  confirm(); // sent, which is not yet verified: that page follows what comes of it
}

button.addEventListener('click', async () => {
  if (running) return;
  run(true, 'One moment …');
  message.hidden = true;
  try {
    await verify();
  } catch (error) {
    if (error instanceof Refusal && ['already_verified', 'verification_processing'].includes(error.code)) confirm();
    else fail(error);
  }
});

// ---- how it stands already

/** Back from another page, the browser may show this one as it was left. */
addEventListener('pageshow', ({ persisted }) => {
  if (persisted) run(false);
});

async function begin() {
  if (!token) return fail(new Refusal('token_missing'));
  run(false);
  void loadStripe();
  try {
    const { status, reason } = await ask('verification-status', token);
    if (running) return;
    if (status === 'verified' || status === 'processing') confirm();
    else if (reason) {
      run(false, 'Try again');
      tell('The last check could not confirm your identity.', reason.message);
    }
  } catch (error) {
    if (error.code?.startsWith('token_')) fail(error); // anything else shows itself when the button is used
  }
}

void begin();
