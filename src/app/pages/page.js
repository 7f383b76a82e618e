// What both pages share: the user's token, requests, and what an error means for a person.

const KEPT = 'identihook.token';

/**
 * The token that the application gave in the fragment, which no server gets to see and no log shows. It leaves the
 * address bar at once, and stays in this tab alone, for a reload and for the way back from Stripe.
 */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (location.hash) history.replaceState(history.state, '', location.pathname + location.search);
  try {
    if (given) sessionStorage.setItem(KEPT, given);
    return given ?? sessionStorage.getItem(KEPT);
  } catch {
    return given; // storage is turned off
  }
}

/** An answer that is none to go on with. `code` is the server's, or "offline". */
export class Refusal extends Error {
  constructor(code, waitSeconds = 0) {
    super(code);
    this.code = code;
    this.waitSeconds = waitSeconds;
  }
}

/** Asks the server, and gives what it says as an object. */
export async function ask(path, token, options = {}) {
  if (!token) throw new Refusal('token_missing');
  let response;
  let body = null;
  try {
    response = await fetch(path, {
      ...options,
      headers: { Authorization: `Bearer ${token}`, ...options.headers },
      cache: 'no-store',
      credentials: 'omit',
    });
    body = await response.json();
  } catch {
    if (!response) throw new Refusal('offline');
  }
  if (!response.ok || !body) {
    throw new Refusal(body?.error?.code ?? 'unavailable', Number(response.headers.get('Retry-After') ?? 0));
  }
  return body;
}

function howLong(seconds) {
  if (seconds < 90) return 'in a minute';
  if (seconds < 5400) return `in ${Math.round(seconds / 60)} minutes`;
  return seconds < 129_600 ? `in ${Math.round(seconds / 3600)} hours` : `in ${Math.round(seconds / 86_400)} days`;
}

const OTHER_WAY = 'Please ask us about another way.';

/** What is wrong, what to do about it, and whether trying again may help. */
const MESSAGES = {
  // those of Stripe.js
  consent_declined: [
    'You did not agree to have your identity checked by Stripe, so the check has not begun.',
    `You can start again if you change your mind. ${OTHER_WAY}`,
    true,
  ],
  device_unsupported: [
    'This device or browser has no camera that could be used.',
    'Please allow the use of the camera, or open this page on another device, such as a phone.',
    true,
  ],
  under_supported_age: [
    'You are below the age from which identities can be checked this way.',
    OTHER_WAY,
    false,
  ],
  phone_otp_declined: [
    'Your phone number was not confirmed.',
    'Please try again, and enter the code that is sent to your phone.',
    true,
  ],
  email_verification_declined: [
    'Your e-mail address was not confirmed.',
    'Please try again, and enter the code that is sent to your address.',
    true,
  ],
  session_cancelled: [
    'You closed the check before it was finished.',
    'Nothing was sent. Start again whenever you are ready.',
    true,
  ],
  // those of the server
  token_missing: ['We do not know who you are.', 'Please go back to where you came from, and open this page from there.', false],
  token_invalid: ['We do not know who you are.', 'Please go back to where you came from, and open this page from there.', false],
  token_expired: ['This page was open for too long.', 'Please go back to where you came from, and open it again from there.', false],
  rate_limited: ['That was a little too often.', 'Please wait a moment, and try again.', true],
  offline: ['There is no connection.', 'Please check that you are online, and try again.', true],
  unavailable: ['This does not work just now.', 'Please try again in a few minutes.', true],
  unknown: ['Something went wrong in the check.', 'Please try again. If it goes wrong once more, tell us.', true],
};

/** { what, next, retryable } for an error of Stripe.js or a Refusal. */
export function explain(error) {
  const code = error?.code;
  if (code === 'attempts_exhausted') {
    return {
      what: 'You have tried as often as is possible for now.',
      next: `You can try again ${howLong(error.waitSeconds)}.`,
      retryable: false,
    };
  }
  const known = Object.hasOwn(MESSAGES, code) ? code : error instanceof Refusal ? 'unavailable' : 'unknown';
  const [what, next, retryable] = MESSAGES[known];
  return { what, next, retryable };
}
