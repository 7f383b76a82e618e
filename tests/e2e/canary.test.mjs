// Canaries: every secret and every word about a person is one that cannot stand anywhere by chance. Whatever happens to the
// events, none of them is found in a log, a metric, an answer, what a command writes, or the name of a key in Redis.

import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { send } from '../lib/http_client.mjs';
import { Postgres } from '../lib/postgres.mjs';
import { Smtp } from '../lib/smtp.mjs';
import { token } from '../lib/stripe_api.mjs';
import { userToken } from '../lib/user_token.mjs';
import { until } from '../lib/wait.mjs';
import { World, composeEvent, key, post, sign } from '../lib/world.mjs';

/** Words that are to be found nowhere, by what they are. */
class Canaries {
  #words = new Map();

  make(name, prefix = '') {
    const word = `${prefix}canary${token(18)}`;
    this.#words.set(word, name);
    return word;
  }

  add(name, word) {
    this.#words.set(word, name);
    return word;
  }

  /** What is found in `text`: [name, the line it stands in]. In plain, and as secrets are encoded on their way. */
  in(text) {
    const lower = text.toLowerCase();
    const found = [];
    for (const [word, name] of this.#words) {
      const forms = [
        word,
        Buffer.from(word).toString('base64').replace(/=+$/, '').slice(0, -2),
        Buffer.from(word).toString('hex'),
      ];
      const form = forms.find((one) => lower.includes(one.toLowerCase()));
      if (form) found.push([name, lower.split('\n').find((line) => line.includes(form.toLowerCase()))]);
    }
    return found;
  }
}

/** A person whose every word is a canary: [what a session is given, what events tell of it]. */
function person(canaries) {
  const word = (name) => canaries.make(name);
  const email = `${word('the e-mail address')}@person.example`;
  const given = {
    client_reference_id: word('client_reference_id'),
    metadata: { note: word('metadata'), user_id: word('metadata.user_id') },
    provided_details: { email, phone: word('the phone number') },
    verified_outputs: {
      first_name: word('the first name'),
      last_name: word('the last name'),
      address: {
        line1: word('the address'),
        line2: word('line2'),
        city: word('the city'),
        postal_code: word('the postal code'),
        state: null,
        country: 'US',
      },
      email,
      phone: word('the verified phone'),
      id_number: word('the id number'),
      id_number_type: 'br_cpf',
      dob: { day: 1, month: 1, year: 1901 },
      sex: 'female',
      unparsed_sex: word('unparsed_sex'),
      unparsed_place_of_birth: word('the place of birth'),
    },
    client_secret: word('client_secret'),
    url: `https://verify.stripe.com/start/${word('the url')}`,
    last_error: null,
  };
  return { given, object: given };
}

const reason = (canaries) => ({ code: 'document_expired', reason: canaries.make('last_error.reason') });

test('no log, metric, answer, command or key tells a secret or a word about a person', async (t) => {
  const canaries = new Canaries();
  const seen = []; // [where, text]
  const cluster = await Postgres.start();
  const folder = await mkdtemp(join(tmpdir(), 'identihook-'));
  let letsIn = true;
  const relay = await Smtp.start({
    allowInsecureAuth: true,
    onAuth: (auth, session, done) =>
      letsIn ? done(null, { user: auth.username }) : done(new Error(`no ${auth.username}`)),
  });
  t.after(async () => {
    await Promise.all([cluster.close(), relay.close(), rm(folder, { recursive: true, force: true })]);
  });
  const database = await cluster.database();
  canaries.add('the password of PostgreSQL', database.password);
  const tokenSecret = canaries.make('the token secret');
  const redisPassword = canaries.make('the password of Redis');
  const webhookSecrets = ['old', 'new'].map((label) => [label, canaries.make(`the ${label} signing secret`, 'whsec_')]);
  const onboardingSecret = `whsec_${Buffer.from(canaries.make('the onboarding secret')).toString('base64')}`;
  canaries.add('the onboarding secret', onboardingSecret);
  const stripeKey = canaries.make('the API key', 'rk_test_');

  const world = await World.open(t, {
    start: false,
    settings: {
      STRIPE_WEBHOOK_SECRET: webhookSecrets.map(([label, secret]) => `${label}=${secret}`).join(','),
      STRIPE_SECRET_KEY: stripeKey,
      IDENTIHOOK_ONBOARDING_SECRET: onboardingSecret,
      IDENTIHOOK_SESSION_TOKEN_SECRET: tokenSecret,
      DATABASE_URL: database.url,
      SMTP_URL: `${relay.url}?starttls=off&login=cleartext`,
      SMTP_USERNAME: canaries.make('the SMTP login'),
      SMTP_PASSWORD: canaries.make('the SMTP password'),
      IDENTIHOOK_EVENTS: 'created,processing,verified,requires_input,canceled,redacted',
      IDENTIHOOK_VERIFIED_OUTPUTS: 'first_name,last_name,dob,address,id_number,id_number_type,email,phone,sex',
      IDENTIHOOK_LOG_LEVEL: 'debug',
      IDENTIHOOK_ACCESS_LOG: 'all',
      IDENTIHOOK_MAX_ATTEMPTS: '5',
      IDENTIHOOK_POSTGRES_TIMEOUT: '1s',
      IDENTIHOOK_STRIPE_TIMEOUT: '2s',
    },
  });
  world.secret = webhookSecrets[1][1];
  world.stripe.addKey(stripeKey, { sensitive: true });
  await world.redis.call('ACL', 'SETUSER', 'identihook', 'on', `>${redisPassword}`, '~*', '&*', '+@all');
  world.settings.REDIS_URL = `unix://identihook:${redisPassword}@${world.redis.socket}?db=0`;

  const command = async (...words) => {
    const { stdout, stderr } = await world.run(words);
    seen.push([`identihook ${words.join(' ')}`, stdout + stderr]);
    return stdout + stderr;
  };
  const ask = async (where, asking) => {
    const answer = await asking.catch((error) => ({ status: 0, text: String(error), headers: {} }));
    seen.push([where, JSON.stringify(answer.headers) + answer.text]);
    return answer;
  };
  const look = async () => {
    const paths = new Set(['/', '/metrics', '/readyz', '/healthz', '/nowhere']);
    for (const path of paths) {
      const { text } = await ask(`GET ${path}`, world.program.look(path));
      for (const [, linked] of text.matchAll(/(?:href|src|action|fetch)[=(]["'](\/[^"'#]*)/g)) paths.add(linked);
    }
    seen.push(['the keys of Redis', (await world.redis.call('KEYS', '*')).join('\n')]);
  };
  const pair = (kind, changes = {}) => {
    const { given, object } = person(canaries);
    const failed = kind === 'requires_input' && { last_error: reason(canaries) };
    const session = world.session(kind === 'requires_input' ? 'failed' : kind, { ...given, ...failed, ...changes });
    return { session, event: composeEvent(kind, { session: session.id, object: { ...object, ...failed } }) };
  };
  const deliver = async (event) => assert.equal((await ask('an answer', world.deliver(event))).status, 200);
  const carry = async (event) => {
    await deliver(event);
    return world.outcome(event);
  };

  await command('migrate');
  const settingsFile = join(folder, 'env');
  await writeFile(settingsFile, 'IDENTIHOOK_DRAIN_DELAY=0\n');
  await chmod(settingsFile, 0o644);
  await world.start({ words: ['--env-file', settingsFile] });

  // All goes well.
  const first = pair('verified');
  for (const { event } of [first, pair('requires_input')]) assert.equal((await carry(event)).outcome, 'done');
  for (const kind of ['created', 'processing', 'canceled']) {
    const { object } = person(canaries);
    await carry(composeEvent(kind, { object }));
  }
  await ask('an answer to a duplicate', world.deliver(first.event));
  await look();

  // Each receiver fails, in its own way and with the person's data in its words; then for good.
  const { session: mailed, event: mail } = pair('verified');
  relay.fail({ stage: 'rcpt', code: 450, message: `<${mailed.provided_details.email}> is busy`, times: 1 });
  assert.equal((await carry(mail)).outcome, 'done');
  const { session: refused, event: refusal } = pair('verified');
  relay.fail({ stage: 'rcpt', code: 550, message: `no ${refused.provided_details.email} here`, times: 1 });
  assert.equal((await carry(refusal)).outcome, 'dead');
  letsIn = false; // connections that are logged in already stay so
  await world.program.stop();
  await world.start({ words: ['--env-file', settingsFile] });
  const locked = pair('verified');
  assert.equal((await carry(locked.event)).outcome, 'dead');
  letsIn = true;
  for (const [fault, ending] of [
    [{ status: 503, body: first.session.verified_outputs }, 'done'],
    [{ status: 422, body: first.session.verified_outputs }, 'dead'],
    [{ garbage: true }, 'done'],
  ]) {
    world.onboarding.fail(fault);
    assert.equal((await carry(pair('verified').event)).outcome, ending);
  }
  const holder = await database.client();
  await holder.query('BEGIN; LOCK TABLE identity_verifications IN ACCESS EXCLUSIVE MODE');
  const slow = pair('verified');
  await deliver(slow.event);
  await world.program.logs.first((one) => one.reason === 'postgres_timeout', 'the timeout');
  await holder.query('ROLLBACK');
  assert.equal((await world.outcome(slow.event)).outcome, 'done');
  await database.rows(
    `ALTER TABLE identity_verifications ADD CONSTRAINT own CHECK (verified_outputs IS NULL) NOT VALID`,
  );
  assert.equal((await carry(pair('verified').event)).outcome, 'dead');
  await database.rows(`ALTER TABLE identity_verifications DROP CONSTRAINT own`);
  const { session: unknown, event: strange } = pair('verified');
  const stripeWords = {
    error: { type: 'invalid_request_error', message: `No ${JSON.stringify(unknown.provided_details)}` },
  };
  for (const status of [500, 400, 404, 401]) world.stripe.fail({ status, body: stripeWords });
  for (let i = 0; i < 4; i++) await carry(i === 0 ? strange : pair('verified').event);
  world.stripe.recover?.();
  await look();

  // Strangers and their requests.
  const body = JSON.stringify(person(canaries).object);
  const { event } = pair('verified');
  const [path, at] = [world.program.url, (name) => new URL(name, world.program.url).href];
  const header = (one) => ({ 'Stripe-Signature': one });
  await ask(
    'a wrong signature',
    post(path, event.body, header(sign(event.body, canaries.make('a wrong secret', 'whsec_')))),
  );
  await ask('a wrong body', post(path, `${event.body} `, header(sign(event.body, world.secret))));
  await ask('an old one', post(path, event.body, header(sign(event.body, world.secret, 1))));
  await ask('no event', post(path, body, header(sign(body, world.secret))));
  await ask('no JSON', post(path, `{${body}`, header(sign(`{${body}`, world.secret))));
  await ask('no signature', post(path, body, header(body.replace(/[^ -~]/g, ''))));
  await ask('a wrong path', post(at(`/${canaries.make('a path')}?x=${canaries.make('a query')}`), body));
  await ask('a wrong method', send(`${path}?x=${canaries.make('a query')}`));

  // Users who ask for sessions. What they are given is theirs.
  const user = canaries.make('a user');
  const email = `${canaries.make("a user's address")}@person.example`;
  const bearer = canaries.add('a token', userToken(user, tokenSecret, { email }));
  const request = (words = bearer) => ({ method: 'POST', headers: { Authorization: `Bearer ${words}` }, body: '' });
  const made = await send(at('/create-verification-session'), request());
  assert.equal(made.status, 200, made.text);
  canaries.add('a client secret that was handed out', made.json.client_secret);
  await ask('a status', send(at('/verification-status'), { ...request(), method: 'GET' }));
  const forged = canaries.add(
    'a forged token',
    userToken(user, 'not the secret, but long enough to be one', { email }),
  );
  await ask('a forged token', send(at('/create-verification-session'), request(forged)));
  world.stripe.fail({
    status: 400,
    body: { error: { type: 'invalid_request_error', message: `Invalid email: ${email}` } },
  });
  const other = userToken(canaries.make('another user'), tokenSecret, { email });
  await ask('a refused session', send(at('/create-verification-session'), request(other)));

  // Reloads, also of settings that are faulty.
  await writeFile(settingsFile, `IDENTIHOOK_MAX_BODY=${canaries.make('a faulty value')}\n`);
  world.program.child.signal('SIGHUP');
  await world.program.logs.first((one) => /faulty/.test(one.message), 'the complaint');
  await writeFile(settingsFile, `IDENTIHOOK_DRAIN_DELAY=0\n`);
  world.program.child.signal('SIGHUP');
  await world.program.logs.first((one) => /secrets reloaded/.test(one.message), 'the reload');

  // Redis and PostgreSQL come and go.
  await world.redis.restart();
  await world.redis.call(
    'ACL',
    'SETUSER',
    'identihook',
    'on',
    `>wrong`,
    'resetpass',
    `>${token(8)}`,
    '~*',
    '&*',
    '+@all',
  );
  await world.redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await world.program.logs.first(
    (one) => /refused the greeting|password|WRONGPASS/.test(JSON.stringify(one)),
    'the refusal',
  );
  await command('status');
  await world.redis.call('ACL', 'SETUSER', 'identihook', 'on', 'resetpass', `>${redisPassword}`, '~*', '&*', '+@all');
  await until(async () => (await world.program.look('/readyz')).status === 200, 'Redis to be there again');
  await database.rows(`ALTER ROLE ${database.name} PASSWORD 'another'`);
  await database.rows(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1`, [database.name]);
  await command('migrate');
  const last = pair('verified');
  await deliver(last.event);
  await world.program.logs.first((one) => one.reason === 'postgres_unreachable', 'the refusal');
  await database.rows(`ALTER ROLE ${database.name} PASSWORD '${database.password}'`);

  // What operators ask.
  const [letter] = await world.dead();
  for (const words of [
    'status',
    'status --json',
    `explain ${first.event.id}`,
    `explain ${refused.id}`,
    `explain ${refused.id} --json`,
    'dead list',
    'dead list --json',
    `dead show ${letter.id}`,
    `dead show ${letter.id} --json`,
    `dead replay --all --dry-run`,
    `dead discard ${letter.id} --reason test`,
    'doctor',
    'doctor --json',
    'reconcile --dry-run',
    'pause email --reason test',
    'status',
    'resume email',
    'health',
    'version',
    'preview verified',
    `redact ${first.session.id} --dry-run`,
    `redact ${first.session.id} --yes`,
    `explain ${first.session.id}`,
    'serve --nonsense',
  ])
    await command(...words.split(' '));
  const faulty = [
    ['STRIPE_WEBHOOK_SECRET', ` ${canaries.make('a faulty secret', 'whsec_')}`],
    ['STRIPE_SECRET_KEY', canaries.make('a faulty key')],
    ['REDIS_URL', `http://x:${canaries.make('a faulty password')}@y`],
    ['DATABASE_URL', `postgresql://x:${canaries.make('a faulty password')}%@y z`],
    ['DATABASE_URL', `postgresql://x:${canaries.make('a faulty password')}%zz@y/z`],
    ['SMTP_URL', `smtp://x:${canaries.make('a faulty password')}@y`],
    ['IDENTIHOOK_ONBOARDING_SECRET', `${canaries.make('a faulty secret')}!`],
  ];
  for (const [name, value] of faulty) {
    const { code, stdout, stderr } = await world.run(['serve'], { [name]: value });
    assert.notEqual(code, 0, name);
    seen.push([`a faulty ${name}`, stdout + stderr]);
  }
  await look();

  // What is kept beside the events themselves and the dead letters holds nothing of them, but for the user's own id.
  const beside = (await world.redis.dump()).split('\n').filter((line) => !/^\{shop\}:(events|dead|mail)/.test(line));
  const own = /"user","canary\w+"/g;
  seen.push(['what Redis keeps beside events, dead letters and frozen mails', beside.join('\n').replace(own, '')]);
  for (const program of world.programs) seen.push(['the log', program.child.stderr + program.child.stdout]);
  await world.program.stop();
  seen.push(['the log', world.program.child.stderr]);

  assert.deepEqual(
    canaries.in(`${webhookSecrets[0][1]} ${first.session.provided_details.email}`).map(([name]) => name).length,
    2,
    'canaries are found where they are',
  );
  const told = seen.flatMap(([where, text]) =>
    canaries.in(text).map(([name, line]) => `${where} tells ${name}: ${line}`),
  );
  assert.deepEqual([...new Set(told)], []);
  assert.ok((await world.redis.call('XLEN', key('dead'))) > 0);
});
