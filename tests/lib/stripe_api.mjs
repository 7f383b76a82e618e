// A stand-in for Stripe's API, as far as Identity's verification sessions and the list of events go: it answers as Stripe
// does, with its error bodies and headers, and can be told to fail or to be slow. What Stripe's documentation leaves open is marked.
//
// Alone:  node tests/lib/stripe_api.mjs [--port N] [--adopt]
//   POST   /_control/sessions   a session as JSON; what it lacks is filled in
//   POST   /_control/events     an event as JSON, for the list of events
//   POST   /_control/faults     a fault (see http_server.mjs; `path` and `method` choose the requests)
//   DELETE /_control/faults     no more faults
//   GET    /_control/requests   what was asked

import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { HttpServer } from './http_server.mjs';
import { Journal } from './wait.mjs';

const SESSIONS = '/v1/identity/verification_sessions';
const EVENTS = '/v1/events';
const EPHEMERAL_KEYS = '/v1/ephemeral_keys';
const TYPES = ['document', 'id_number'];
const EVENT_DAYS = 30; // so long they are kept
const VERSION = '2026-10-28.endive';

/** `length` random letters and digits, as in Stripe's ids. */
export function token(length = 24) {
  const letters = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
  return Array.from(randomBytes(length), (byte) => letters[byte % letters.length]).join('');
}

export const newSessionId = () => `vs_1${token()}`;

// ---- errors

class StripeError extends Error {
  constructor(status, error, headers = {}) {
    super(error.message);
    this.answer = { status, headers, body: { error: { type: 'invalid_request_error', ...error } } };
  }
}

const documented = (code) => ({ code, doc_url: `https://stripe.com/docs/error-codes/${code.replaceAll('_', '-')}` });
const masked = (key) => `${key.slice(0, 8)}****${key.slice(-4)}`;

const RATE_LIMITED = {
  ...documented('rate_limit'),
  message: 'Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.',
};

/** The body that Stripe sends with a status that a fault sets without a body of its own. */
function errorBody(status) {
  if (status === 429) return { error: { type: 'invalid_request_error', ...RATE_LIMITED } };
  if (status >= 500) return { error: { type: 'api_error', message: 'An unknown error occurred.' } };
  if (status === 409) {
    const message = 'There is currently another in-progress request using this Idempotent Key.';
    return { error: { type: 'idempotency_error', ...documented('idempotency_key_in_use'), message } };
  }
  return { error: { type: 'invalid_request_error', message: `A fault of this stand-in: HTTP ${status}.` } };
}

// ---- parameters: a=1&b[c]=2&d[]=3&d[1]=4

function parseForm(entries) {
  const form = {};
  for (const [name, value] of entries) {
    const path = [name.split('[', 1)[0], ...[...name.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1])];
    let at = form;
    path.forEach((key, i) => {
      const slot = key === '' ? Object.keys(at).length : key;
      at[slot] = i === path.length - 1 ? value : (at[slot] ?? {});
      at = at[slot];
    });
  }
  return form;
}

const listOf = (value) => (value === undefined ? [] : typeof value === 'object' ? Object.values(value) : [value]);

function refuseUnknown(form, known) {
  for (const name of Object.keys(form)) {
    if (!known.includes(name)) {
      throw new StripeError(400, {
        ...documented('parameter_unknown'),
        message: `Received unknown parameter: ${name}`,
        param: name,
      });
    }
  }
}

// ---- sessions

const EXPANDABLE = ['provided_details', 'verified_outputs', 'last_verification_report'];
const OUTPUTS = ['address', 'email', 'first_name', 'id_number_type', 'last_name', 'phone'];
const SENSITIVE_OUTPUTS = ['dob', 'id_number', 'sex', 'unparsed_place_of_birth', 'unparsed_sex'];

/** The session that a real one would be after `status`; `given` overrides. */
export function composeSession(given = {}) {
  const status = given.status ?? 'verified';
  const checked = status === 'verified' || given.last_error;
  const session = {
    id: newSessionId(),
    object: 'identity.verification_session',
    client_reference_id: null,
    client_secret: null,
    created: Math.floor(Date.now() / 1000) - 120,
    last_error: null,
    last_verification_report: checked ? `vr_1${token()}` : null,
    livemode: false,
    metadata: {},
    options: { document: { require_matching_selfie: true } },
    redaction: null,
    related_customer: null,
    related_customer_account: null,
    status,
    type: 'document',
    url: null,
    provided_details: null,
    verified_outputs: null,
    ...given,
  };
  if (status === 'verified' && given.verified_outputs === undefined) {
    session.verified_outputs = {
      address: {
        city: 'San Francisco',
        country: 'US',
        line1: '1234 Main St.',
        line2: null,
        postal_code: '94111',
        state: 'CA',
      },
      email: null,
      first_name: 'Jenny',
      id_number_type: 'br_cpf',
      last_name: 'Rosen',
      phone: null,
      dob: { day: 1, month: 1, year: 1901 },
      id_number: '52998224725',
      sex: 'female',
      unparsed_place_of_birth: 'SAN FRANCISCO',
      unparsed_sex: 'F',
    };
  }
  return session;
}

/** The statuses in which `identihook trigger` says that its sample sessions are. */
const SAMPLES = {
  Created: { status: 'requires_input' },
  Processing: { status: 'processing' },
  Verified: { status: 'verified' },
  RequiresInput: {
    status: 'requires_input',
    last_error: { code: 'document_expired', reason: 'The document is expired.' },
  },
  Canceled: { status: 'canceled' },
  Redacted: { status: 'verified', redaction: { status: 'redacted' } },
};

function adoptSample(id) {
  const [, kind, nonce] =
    id.match(/^vs_1Sample(Created|Processing|Verified|RequiresInput|Canceled|Redacted)(\w*)$/) ?? [];
  if (!kind) return null;
  return composeSession({
    ...SAMPLES[kind],
    id,
    client_reference_id: `user_${nonce}`,
    provided_details: { email: `sample.${nonce.toLowerCase()}@example.com` },
  });
}

// ---- the stand-in

export class StripeApi extends HttpServer {
  /** Every request to the API, also those that fail: { method, path, query, headers, key, account, session, … }. */
  requests = new Journal('requests to the Stripe API');

  /** Every client secret, URL and ephemeral key's secret that was ever given out. */
  issued = [];

  /** Where people are sent back to, by session. */
  returns = new Map();

  #sessions = new Map();
  #events = new Map();
  #keys = new Map();
  #idempotent = new Map();
  #ephemeral = new Map(); // secret → the session that it opens, once
  #recent = [];

  /**
   * @param {object} options
   * @param {boolean} [options.adopt]      sample sessions that nobody made exist all the same
   * @param {number}  [options.perSecond]  answer 429 beyond so many reads a second
   * @param {boolean} [options.anyKey]     take every key that has a key's form
   * @param {string}  [options.hosted]     where the hosted pages of sessions are
   */
  constructor({ adopt = false, perSecond = Infinity, anyKey = false, hosted = 'https://verify.stripe.com' } = {}) {
    super((request) => this.#answer(request));
    Object.assign(this, { adopt, perSecond, anyKey, hosted });
    this.onRequest = (request) => this.#record(request);
    this.faultBody = errorBody;
    this.headers = () => ({ 'Request-Id': `req_${token(14)}` });
  }

  static async start({ port = 0, host, ...options } = {}) {
    const api = new StripeApi(options);
    await api.listen(port, host);
    return api;
  }

  /** Makes a key valid. `sensitive`: it may read dob, id_number and the like, which no secret key may. */
  addKey(key, { sensitive = false, sessions = true, events = true, revoked = false, accounts = [] } = {}) {
    this.#keys.set(key, { sensitive, sessions, events, revoked, accounts });
    return key;
  }

  /** Adds or replaces a session; `account` is the connected account that it belongs to. */
  addSession(given = {}, { account = null } = {}) {
    const session = composeSession(given);
    this.#sessions.set(session.id, { session, account });
    return session;
  }

  /**
   * Puts an event into the list of events. `delivered`: every endpoint has taken it. `account` is the connected account
   * in whose list it is.
   */
  addEvent(event, { account = null, delivered = false } = {}) {
    this.#events.set(event.id, { event: { ...event, pending_webhooks: delivered ? 0 : 1 }, account, delivered });
    return event;
  }

  get sessions() {
    return [...this.#sessions.values()].map(({ session }) => session);
  }

  session(id) {
    return this.#sessions.get(id)?.session;
  }

  change(id, changes) {
    Object.assign(this.session(id), changes);
  }

  /** The reads of one session. */
  reads(id) {
    return this.requests.items.filter(({ method, session }) => method === 'GET' && session === id);
  }

  #record(request) {
    request.key = /^(?:Bearer|Basic) (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
    if (/^Basic /i.test(request.headers.authorization ?? '')) {
      request.key = Buffer.from(request.key, 'base64').toString().split(':', 1)[0];
    }
    request.account = request.headers['stripe-account'] ?? null;
    request.session = request.path.match(/\/verification_sessions\/([^/]+)/)?.[1] ?? null;
    if (!request.path.startsWith('/_control/')) this.requests.add(request);
  }

  #answer(request) {
    if (request.path.startsWith('/_control/')) return this.#control(request);
    try {
      const answer = this.#route(request);
      answer.headers = { 'Stripe-Version': request.headers['stripe-version'] ?? VERSION, ...answer.headers };
      if (request.account) answer.headers['Stripe-Account'] = request.account;
      return answer;
    } catch (error) {
      if (error instanceof StripeError) return error.answer;
      throw error;
    }
  }

  /** What the mobile SDKs ask first, with an ephemeral key alone. */
  #openPage(request) {
    const [, id] = request.path.match(/^\/v1\/identity\/verification_pages\/(\w+)$/) ?? [];
    const known = this.#ephemeral.get(request.key);
    if (!known || known.id !== id) {
      throw new StripeError(401, { message: `Invalid API Key provided: ${masked(request.key ?? '')}` });
    }
    this.#ephemeral.delete(request.key);
    const { status } = this.session(id);
    return { status: 200, body: { id, object: 'identity.verification_page', livemode: known.live, status } };
  }

  #route(request) {
    if (request.path.startsWith('/v1/identity/verification_pages/')) return this.#openPage(request);
    this.#limitRate(request);
    const key = this.#authorize(request);
    const [, id, action] =
      request.path.match(/^\/v1\/identity\/verification_sessions(?:\/([^/]+))?(?:\/(cancel|redact))?$/) ?? [];
    const form = parseForm(request.method === 'POST' ? new URLSearchParams(request.body.toString()) : request.query);
    const context = { request, key, form, id };
    if (request.path === EVENTS && request.method === 'GET') return this.#listEvents(context);
    if (request.path === EPHEMERAL_KEYS && request.method === 'POST')
      return this.#once(context, () => this.#createEphemeralKey(context));
    if (request.path === SESSIONS && request.method === 'GET') return this.#list(context);
    if (request.path === SESSIONS && request.method === 'POST') return this.#once(context, () => this.#create(context));
    if (id && !action && request.method === 'GET') return this.#retrieve(context);
    if (id && !action && request.method === 'POST') return this.#once(context, () => this.#update(context));
    if (id && action && request.method === 'POST') return this.#once(context, () => this.#act(context, action));
    throw new StripeError(404, {
      message: `Unrecognized request URL (${request.method}: ${request.path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
    });
  }

  #limitRate(request) {
    const now = Date.now();
    this.#recent = this.#recent.filter((at) => now - at < 1000);
    if (request.method === 'GET' && this.#recent.length >= this.perSecond) {
      throw new StripeError(429, RATE_LIMITED, { 'Stripe-Rate-Limited-Reason': 'endpoint-rate' });
    }
    this.#recent.push(now);
  }

  #authorize({ key: given, headers, account, path }) {
    if (!given) {
      throw new StripeError(401, {
        message:
          "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').",
      });
    }
    const known =
      this.#keys.get(given) ??
      (this.anyKey ? { sensitive: given.startsWith('rk_'), sessions: true, events: true, accounts: [] } : null);
    if (!known || !/^[sr]k_(test|live)_\w+$/.test(given))
      throw new StripeError(401, { message: `Invalid API Key provided: ${masked(given)}` });
    if (known.revoked)
      throw new StripeError(401, {
        ...documented('api_key_expired'),
        message: `Expired API Key provided: ${masked(given)}`,
      });
    if (path.startsWith(EVENTS) ? !known.events : !known.sessions) {
      throw new StripeError(403, {
        message: `The provided key '${masked(given)}' does not have the required permissions for this endpoint.`,
      });
    }
    if (account && !known.accounts.includes(account)) {
      throw new StripeError(403, {
        ...documented('account_invalid'),
        message: `The provided key '${masked(given)}' does not have access to account '${account}' (or that account does not exist).`,
      });
    }
    const version = headers['stripe-version'] ?? VERSION;
    if (!/^\d{4}-\d\d-\d\d(\.[a-z]+)?$/.test(version))
      throw new StripeError(400, { message: `Invalid Stripe API version: ${version}` });
    return { live: /^[sr]k_live_/.test(given), ...known };
  }

  // ---- one session

  #find({ request, key, id }) {
    if (this.adopt && !this.#sessions.has(id)) {
      const sample = adoptSample(id);
      if (sample) this.#sessions.set(id, { session: sample, account: request.account });
    }
    const found = this.#sessions.get(id);
    const missing = { ...documented('resource_missing'), param: 'session' };
    if (!found || found.account !== request.account)
      throw new StripeError(404, { ...missing, message: `No such verificationsession: '${id}'` });
    if (found.session.livemode !== key.live) {
      const [there, here] = key.live ? ['test', 'live'] : ['live', 'test'];
      throw new StripeError(404, {
        ...missing,
        message: `No such verificationsession: '${id}'; a similar object exists in ${there} mode, but a ${here} mode key was used to make this request.`,
      });
    }
    return found.session;
  }

  /** The session as it is sent: without what has to be asked for. */
  #render(session, key, expand) {
    const shown = { ...session };
    for (const name of ['provided_details', 'verified_outputs']) delete shown[name];
    const outputs = {};
    for (const path of expand) {
      const [top, field] = path.split('.');
      if (
        !EXPANDABLE.includes(top) ||
        (field && top === 'verified_outputs' && ![...OUTPUTS, ...SENSITIVE_OUTPUTS].includes(field))
      ) {
        throw new StripeError(400, { message: `This property cannot be expanded (${path}).` });
      }
      // Which error Stripe answers here is not documented; that a secret key gets none of these is.
      if (SENSITIVE_OUTPUTS.includes(field) && !key.sensitive) {
        throw new StripeError(403, {
          message: 'The provided key does not have the required permissions to read sensitive verification results.',
        });
      }
      if (top === 'provided_details') shown.provided_details = session.provided_details;
      if (top === 'verified_outputs')
        for (const name of field ? [field] : OUTPUTS) outputs[name] = session.verified_outputs?.[name] ?? null;
    }
    if (expand.some((path) => path.startsWith('verified_outputs')))
      shown.verified_outputs = session.verified_outputs && outputs;
    return shown;
  }

  /** Secret and URL are good for one visit: whoever retrieves an open session gets new ones. */
  #issue(session) {
    if (session.status !== 'requires_input') return Object.assign(session, { client_secret: null, url: null });
    const secret = `${session.livemode ? 'live' : 'test'}_${token(32)}`;
    Object.assign(session, { client_secret: `${session.id}_secret_${secret}`, url: `${this.hosted}/start/${secret}` });
    this.issued.push(session.client_secret, session.url);
    return session;
  }

  #retrieve(context) {
    refuseUnknown(context.form, ['expand', 'client_secret']);
    const session = this.#issue(this.#find(context));
    return { status: 200, body: this.#render(session, context.key, listOf(context.form.expand)) };
  }

  #createEphemeralKey({ request, key, form }) {
    refuseUnknown(form, ['verification_session', 'customer', 'issuing_card', 'nonce', 'expand']);
    if (!request.headers['stripe-version']) {
      throw new StripeError(400, { message: 'Ephemeral keys need a Stripe-Version: the one that the client was built for.' });
    }
    const { id } = this.#find({ request, key, id: form.verification_session });
    const now = Math.floor(Date.now() / 1000);
    const secret = `ek_${key.live ? 'live' : 'test'}_${token(40)}`;
    this.issued.push(secret);
    this.#ephemeral.set(secret, { id, live: key.live });
    const body = {
      id: `ephkey_1${token(16)}`,
      object: 'ephemeral_key',
      associated_objects: [{ id, type: 'identity.verification_session' }],
      created: now,
      expires: now + 3600,
      livemode: key.live,
      secret,
    };
    return { status: 200, body };
  }

  #create({ request, key, form }) {
    refuseUnknown(form, [
      'type',
      'verification_flow',
      'client_reference_id',
      'metadata',
      'options',
      'provided_details',
      'related_customer',
      'related_customer_account',
      'related_person',
      'return_url',
      'expand',
    ]);
    if (!form.type && !form.verification_flow) {
      throw new StripeError(400, {
        ...documented('parameter_missing'),
        message: 'Missing required param: type.',
        param: 'type',
      });
    }
    if (form.type && form.verification_flow) {
      throw new StripeError(400, { message: 'You may only specify one of these parameters: type, verification_flow.' });
    }
    if (form.type && !TYPES.includes(form.type)) {
      throw new StripeError(400, { message: `Invalid type: must be one of ${TYPES.join(' or ')}`, param: 'type' });
    }
    if ((form.client_reference_id ?? '').length > 200) {
      throw new StripeError(400, {
        message: 'Invalid string: must be at most 200 characters',
        param: 'client_reference_id',
      });
    }
    const { allowed_types: types, ...flags } = form.options?.document ?? {};
    const document = Object.fromEntries(Object.entries(flags).map(([name, value]) => [name, value === 'true']));
    const session = this.addSession(
      {
        status: 'requires_input',
        livemode: key.live,
        created: Math.floor(Date.now() / 1000),
        type: form.type ?? 'verification_flow',
        ...(form.verification_flow && { verification_flow: form.verification_flow }),
        options: form.type
          ? { [form.type]: form.type === 'document' ? { ...document, ...(types && { allowed_types: listOf(types) }) } : {} }
          : {},
        client_reference_id: form.client_reference_id ?? null,
        metadata: form.metadata ?? {},
        provided_details: form.provided_details ?? null,
      },
      { account: request.account },
    );
    this.returns.set(session.id, form.return_url ?? null);
    return { status: 200, body: this.#render(this.#issue(session), key, listOf(form.expand)) };
  }

  #update(context) {
    const { form, key } = context;
    refuseUnknown(form, ['metadata', 'options', 'provided_details', 'type', 'expand']);
    const session = this.#find(context);
    if (session.status !== 'requires_input') {
      throw new StripeError(400, {
        message: `You cannot update this VerificationSession because it has a status of ${session.status}.`,
      });
    }
    if (form.type) session.type = form.type;
    if (form.metadata) session.metadata = { ...session.metadata, ...form.metadata };
    if (form.provided_details) session.provided_details = { ...session.provided_details, ...form.provided_details };
    return { status: 200, body: this.#render(session, key, listOf(form.expand)) };
  }

  #act(context, action) {
    refuseUnknown(context.form, ['expand']);
    const session = this.#find(context);
    const may = action === 'cancel' ? ['requires_input'] : ['requires_input', 'verified'];
    if (!may.includes(session.status)) {
      throw new StripeError(400, {
        message: `You cannot ${action} this VerificationSession because it has a status of ${session.status}.`,
      });
    }
    if (session.status === 'requires_input') session.status = 'canceled';
    if (action === 'redact') session.redaction = { status: 'processing' };
    return { status: 200, body: this.#render(session, context.key, listOf(context.form.expand)) };
  }

  /** Idempotency keys: the first answer again for the same request, an error for another one. */
  #once({ request }, act) {
    const key = request.headers['idempotency-key'];
    if (!key) return act();
    const print = `${request.path} ${request.body}`;
    const earlier = this.#idempotent.get(key);
    if (earlier && earlier.print !== print) {
      throw new StripeError(400, {
        type: 'idempotency_error',
        message: `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
      });
    }
    const headers = { 'Idempotency-Key': key };
    if (earlier) return { ...earlier.answer, headers: { ...headers, 'Idempotent-Replayed': 'true' } };
    const answer = act();
    this.#idempotent.set(key, { print, answer: structuredClone(answer) });
    return { ...answer, headers };
  }

  // ---- lists: newest first

  #list({ request, key, form }) {
    refuseUnknown(form, [
      'status',
      'client_reference_id',
      'related_customer',
      'related_customer_account',
      'created',
      'limit',
      'starting_after',
      'ending_before',
      'expand',
    ]);
    const all = [...this.#sessions.values()]
      .filter(({ session, account }) => account === request.account && session.livemode === key.live)
      .map(({ session }) => session)
      .filter((session) =>
        ['status', 'client_reference_id', 'related_customer'].every(
          (name) => form[name] === undefined || session[name] === form[name],
        ),
      );
    const { page, more } = this.#page(all, form, 'verificationsession');
    const expand = listOf(form.expand).map((path) => path.replace(/^data\./, ''));
    const data = page.map((session) => this.#render(session, key, expand));
    return { status: 200, body: { object: 'list', url: SESSIONS, has_more: more, data } };
  }

  #listEvents({ request, key, form }) {
    refuseUnknown(form, [
      'type',
      'types',
      'created',
      'delivery_success',
      'limit',
      'starting_after',
      'ending_before',
      'expand',
    ]);
    const types = listOf(form.types);
    if (types.length > 20 || (types.length > 0 && form.type !== undefined)) {
      throw new StripeError(400, { message: 'You may pass at most 20 `types`, and not `type` with it.', param: 'types' });
    }
    const patterns = form.type === undefined ? types : [form.type];
    const fits = (type) =>
      patterns.length === 0 ||
      patterns.some((one) => one === type || (one.endsWith('*') && type.startsWith(one.slice(0, -1))));
    const oldest = Math.floor(Date.now() / 1000) - EVENT_DAYS * 86_400;
    const all = [...this.#events.values()]
      .filter(({ event, account }) => account === request.account && event.livemode === key.live)
      .filter(({ event }) => event.created >= oldest && fits(event.type))
      .filter(
        ({ delivered }) => form.delivery_success === undefined || String(delivered) === form.delivery_success,
      )
      .map(({ event }) => event);
    const { page, more } = this.#page(all, form, 'event');
    return { status: 200, body: { object: 'list', url: EVENTS, has_more: more, data: page } };
  }

  /** The part of `all`, in the order in which they were made, that a list's parameters choose: newest first. */
  #page(all, form, what) {
    const limit = Number(form.limit ?? 10);
    if (!(limit >= 1 && limit <= 100)) {
      throw new StripeError(400, {
        ...documented('parameter_invalid_integer'),
        message: 'Invalid limit: must be between 1 and 100',
        param: 'limit',
      });
    }
    const {
      gt = -Infinity,
      gte = -Infinity,
      lt = Infinity,
      lte = Infinity,
    } = typeof form.created === 'object' ? form.created : {};
    let chosen = all
      .filter(({ created }) => created > gt && created >= gte && created < lt && created <= lte)
      .reverse()
      .sort((a, b) => b.created - a.created);
    const place = (name) => {
      const at = chosen.findIndex(({ id }) => id === form[name]);
      if (at < 0)
        throw new StripeError(400, {
          ...documented('resource_missing'),
          message: `No such ${what}: '${form[name]}'`,
          param: name,
        });
      return at;
    };
    if (form.starting_after) chosen = chosen.slice(place('starting_after') + 1);
    const before = form.ending_before ? chosen.slice(0, place('ending_before')) : null;
    const page = before ? before.slice(-limit) : chosen.slice(0, limit);
    return { page, more: (before ?? chosen).length > limit };
  }

  // ---- control, for those who are not in this process

  #control(request) {
    const given = request.body.length > 0 ? JSON.parse(request.body) : {};
    const what = `${request.method} ${request.path}`;
    if (what === 'POST /_control/sessions') return { status: 200, body: this.addSession(given, given) };
    if (what === 'POST /_control/events') return { status: 200, body: this.addEvent(given.event, given) };
    if (what === 'POST /_control/faults') {
      const { path, method, ...fault } = given;
      const when = (one) =>
        (!path || one.path.includes(path)) && (!method || one.method === method) && !one.path.startsWith('/_control/');
      return (this.fail({ ...fault, when }), { status: 200, body: given });
    }
    if (what === 'DELETE /_control/faults') return (this.recover(), { status: 200, body: {} });
    if (what === 'GET /_control/requests') {
      const list = this.requests.items.map(({ method, path, query, account, session, at }) => ({
        method,
        path,
        query: String(query),
        account,
        session,
        at,
      }));
      return { status: 200, body: { data: list } };
    }
    return { status: 404, body: errorBody(404) };
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const words = process.argv.slice(2);
  const port = Number(words[words.indexOf('--port') + 1] || 0);
  const api = await StripeApi.start({
    port: words.includes('--port') ? port : 0,
    adopt: words.includes('--adopt'),
    anyKey: true,
  });
  console.log(api.url);
}
