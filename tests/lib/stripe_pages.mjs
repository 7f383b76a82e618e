// A stand-in for what Stripe shows to people: Stripe.js with its modal, and the hosted page. Whoever verifies "himself" chooses
// what comes of it. It behaves as documented: a client secret and a URL let one in once; the modal's promise is kept when
// something was sent (which is not yet verified) or tells an error's code; the hosted page sends people back without a result.

import { HttpServer } from './http_server.mjs';

const FAILURES = ['document_expired', 'document_unverified_other', 'selfie_face_mismatch', 'id_number_mismatch'];

/** Stripe.js's codes, and what the session's last_error is then; null: nothing happens to it. */
export const CLIENT_ERRORS = {
  consent_declined: 'consent_declined',
  device_unsupported: 'device_not_supported',
  under_supported_age: 'under_supported_age',
  phone_otp_declined: 'phone_verification_declined',
  email_verification_declined: 'email_verification_declined',
  session_cancelled: null,
};

export const OUTCOMES = ['verified', ...FAILURES, ...Object.keys(CLIENT_ERRORS)];

const STRIPE_JS = `(() => {
  const base = new URL(document.currentScript.src).origin;
  window.Stripe = (key) => {
    if (!/^pk_/.test(key)) throw new Error('Please call Stripe() with your publishable key.');
    return {
      verifyIdentity: (secret) =>
        new Promise((resolve) => {
          const frame = document.createElement('iframe');
          Object.assign(frame, { src: base + '/modal#' + secret, title: 'Stripe', allow: 'camera' });
          Object.assign(frame.style, { position: 'fixed', inset: 0, width: '100%', height: '100%', border: 0, zIndex: 9 });
          const end = ({ origin, source, data }) => {
            if (origin !== base || source !== frame.contentWindow) return;
            removeEventListener('message', end);
            frame.remove();
            resolve(data);
          };
          addEventListener('message', end);
          document.body.append(frame);
          frame.focus();
        }),
    };
  };
})();
`;

const page = (title, body) => ({
  status: 200,
  headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-store' },
  body: `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: rgb(20 22 40 / 60%); font: 16px/1.5 sans-serif; }
main { max-width: 420px; margin: 16px; padding: 24px; border-radius: 12px; background: #fff; color: #111; }
button { display: block; width: 100%; margin: 6px 0; padding: 8px; font: inherit; text-align: left; }
</style><main><h1>A stand-in for Stripe</h1><p>What comes of this verification?</p>${body}</main></html>`,
});

const buttons = OUTCOMES.map((outcome) => `<button name="outcome" value="${outcome}">${outcome}</button>`).join('');

const MODAL = page(
  'Stand-in',
  `${buttons}<script>
document.querySelector('main').addEventListener('click', async ({ target }) => {
  if (!target.value) return;
  const body = JSON.stringify({ secret: location.hash.slice(1), outcome: target.value });
  const answer = await fetch('/modal', { method: 'POST', body });
  parent.postMessage(await answer.json(), '*');
});
</script>`,
);

export class StripePages extends HttpServer {
  #used = new Set();
  #open = new Map(); // session → its outcome, while it is checked

  /**
   * @param {object} options
   * @param {import('./stripe_api.mjs').StripeApi} options.api  whose sessions these are
   * @param {(kind: string, session: object) => unknown} options.notify  sends an event of a session
   * @param {number} [options.delay]  ms that a check takes; without it conclude() ends it
   */
  static async start({ api, notify, delay, port = 0 }) {
    const pages = new StripePages((request) => pages.#answer(request));
    Object.assign(pages, { api, notify, delay });
    await pages.listen(port);
    api.hosted = pages.url;
    return pages;
  }

  get script() {
    return `${this.url}/stripe.js`;
  }

  /** The checks of a session end, and Stripe tells of it. */
  async conclude(id) {
    const outcome = this.#open.get(id);
    this.#open.delete(id);
    const failed = outcome !== 'verified';
    this.api.change(id, {
      status: failed ? 'requires_input' : 'verified',
      last_error: failed ? { code: outcome, reason: 'The stand-in was told so.' } : null,
    });
    await this.#tell(failed ? 'requires_input' : 'verified', id);
  }

  /** Nobody may be there any more to be told. */
  async #tell(kind, id) {
    await Promise.resolve(this.notify(kind, this.api.session(id))).catch(() => {});
  }

  #find(secret) {
    const known = (one) => one.client_secret === secret || one.url === `${this.url}/start/${secret}`;
    return this.#used.has(secret) ? undefined : this.api.sessions.find(known);
  }

  /** Does what was chosen; gives what Stripe.js's promise is kept with. */
  #act(secret, outcome) {
    const session = this.#find(secret);
    if (!session || session.status !== 'requires_input') {
      return { error: { type: 'invalid_request_error', code: 'resource_missing', message: 'This secret is not valid.' } };
    }
    if (outcome === 'session_cancelled') return { error: { type: 'invalid_request_error', code: outcome, message: outcome } };
    this.#used.add(secret);
    const isSent = !(outcome in CLIENT_ERRORS);
    this.#open.set(session.id, isSent ? outcome : CLIENT_ERRORS[outcome]);
    if (isSent) this.api.change(session.id, { status: 'processing' });
    if (isSent) void this.#tell('processing', session.id);
    if (!isSent) void this.conclude(session.id);
    else if (this.delay !== undefined) setTimeout(() => this.conclude(session.id), this.delay);
    return isSent
      ? { verificationSession: { id: session.id } }
      : { error: { type: 'invalid_request_error', code: outcome, message: outcome } };
  }

  #answer({ method, path, body }) {
    const [, start] = path.match(/^\/start\/(\w+)$/) ?? [];
    const script = { 'Content-Type': 'text/javascript', 'Cache-Control': 'no-store' };
    if (path === '/stripe.js') return { status: 200, headers: script, body: STRIPE_JS };
    if (path === '/modal' && method === 'GET') return MODAL;
    if (path === '/modal') {
      const { secret, outcome } = JSON.parse(body);
      return { status: 200, body: this.#act(secret, outcome) };
    }
    if (start && method === 'GET') {
      return this.#find(start) ? page('Stand-in', `<form method="post">${buttons}</form>`) : page('Gone', '<p>This link was used.</p>');
    }
    if (start) {
      const session = this.#find(start);
      this.#act(start, new URLSearchParams(body.toString()).get('outcome'));
      return { status: 303, headers: { Location: this.api.returns.get(session?.id) ?? `${this.url}/done` } };
    }
    return page('Done', '<p>You may close this page.</p>');
  }
}
