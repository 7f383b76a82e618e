// identihook with everything around it, on this machine: see deploy/local/up, which calls this with IDENTIHOOK_BIN set.

import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join, relative } from 'node:path';
import { randomBytes } from 'node:crypto';

import { composeEvent, newSecret, post, sign } from '../../tests/lib/events.mjs';
import { freePort } from '../../tests/lib/http_client.mjs';
import { Identihook, binary } from '../../tests/lib/identihook.mjs';
import { Onboarding } from '../../tests/lib/onboarding.mjs';
import { RedisServer } from '../../tests/lib/redis.mjs';
import { Smtp } from '../../tests/lib/smtp.mjs';
import { StripeApi, token } from '../../tests/lib/stripe_api.mjs';
import { StripePages } from '../../tests/lib/stripe_pages.mjs';
import { Board } from './board.mjs';
import { sendSamples } from './samples.mjs';
import { LEAST_WIDTH, Screen, draw } from './screen.mjs';
import { Shop } from './shop.mjs';

const DEADLINE_MS = Number(process.env.UP_DEADLINE_MS ?? 60_000); // for all samples to end, with --once
const DRAW_INTERVAL_MS = 250;
const CHECK_MS = 3000; // that the stand-in for Stripe takes to check somebody
const WEBHOOK_PORT = 4242;
const ADMIN_PORT = 9464;

const once = process.argv.includes('--once');
const { STRIPE_SECRET_KEY, STRIPE_WEBHOOK_SECRET } = process.env;
const isReal = Boolean(STRIPE_SECRET_KEY && STRIPE_WEBHOOK_SECRET);
const notes = [];

class Refusal extends Error {}

function checkEnvironment() {
  if (Boolean(STRIPE_SECRET_KEY) !== Boolean(STRIPE_WEBHOOK_SECRET)) {
    throw new Refusal(
      'for the real Stripe set both STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET; for the stand-in none of them',
    );
  }
  if (isReal && once)
    throw new Refusal(
      '--once waits for the samples, which are not sent to the real Stripe: unset STRIPE_SECRET_KEY and STRIPE_WEBHOOK_SECRET',
    );
}

// ---- the world

const isFree = (port) =>
  new Promise((resolve) => {
    const probe = net.connect(port, '127.0.0.1');
    probe.once('connect', () => (probe.destroy(), resolve(false)));
    probe.once('error', () => resolve(true));
  });

async function portFor(wanted, what) {
  if (await isFree(wanted)) return wanted;
  notes.push(`port ${wanted} is taken: ${what} is at another one`);
  return freePort();
}

/** What creating sessions and the pages need: the real Stripe's page is a modal only with a publishable key. */
function sessionSettingsOf(world, page) {
  const { STRIPE_PUBLISHABLE_KEY } = process.env;
  return {
    IDENTIHOOK_SESSION_TOKEN_SECRET: world.tokenSecret,
    IDENTIHOOK_SESSION_RETURN_URL: `${page}/submitted`,
    ...(world.pages && { STRIPE_JS_URL: world.pages.script, STRIPE_PUBLISHABLE_KEY: `pk_test_${token(24)}` }),
    ...(!world.pages && STRIPE_PUBLISHABLE_KEY && { STRIPE_PUBLISHABLE_KEY }),
    IDENTIHOOK_RETRY_PAGE: page,
    IDENTIHOOK_BRAND_NAME: 'Example Shop',
    IDENTIHOOK_SUPPORT_ADDRESS: 'help@shop.example',
  };
}

function settingsOf(world, onboardingSecret, webhookPort, adminPort) {
  return {
    ...sessionSettingsOf(world, `http://127.0.0.1:${webhookPort}/verify`),
    STRIPE_WEBHOOK_SECRET: world.secret,
    STRIPE_SECRET_KEY: world.key,
    ...(world.stripe
      ? { STRIPE_API_BASE: world.stripe.url }
      : process.env.STRIPE_API_BASE
        ? { STRIPE_API_BASE: process.env.STRIPE_API_BASE }
        : {}),
    REDIS_URL: world.redis.url,
    IDENTIHOOK_LISTEN: `127.0.0.1:${webhookPort}`,
    IDENTIHOOK_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
    IDENTIHOOK_EVENTS: 'created,processing,verified,requires_input,canceled,redacted',
    IDENTIHOOK_RETRY_BASE: '1s',
    SMTP_URL: world.smtp.url,
    IDENTIHOOK_MAIL_FROM: 'Example Shop <identity@shop.example>',
    IDENTIHOOK_ONBOARDING_URL: `${world.onboarding.url}/identity`,
    IDENTIHOOK_ONBOARDING_SECRET: onboardingSecret,
  };
}

async function openStripe(world) {
  const notify = async (kind, { id }) => {
    const event = composeEvent(kind, { session: id });
    await post(world.url, event.body, { 'Stripe-Signature': sign(event.body, world.secret) });
  };
  world.stripe = await StripeApi.start({ adopt: true });
  world.pages = await StripePages.start({ api: world.stripe, notify, delay: CHECK_MS });
}

async function openWorld(world) {
  const onboardingSecret = `whsec_${randomBytes(24).toString('base64')}`;
  world.redis = await RedisServer.start();
  world.smtp = await Smtp.start();
  world.onboarding = await Onboarding.start({ secret: onboardingSecret });
  if (!isReal) await openStripe(world);
  world.secret = isReal ? STRIPE_WEBHOOK_SECRET : newSecret();
  world.tokenSecret = randomBytes(32).toString('hex');
  world.key = isReal ? STRIPE_SECRET_KEY : world.stripe.addKey(`rk_test_${token(24)}`, { sensitive: true });
  const settings = settingsOf(
    world,
    onboardingSecret,
    await portFor(WEBHOOK_PORT, 'the webhook'),
    await portFor(ADMIN_PORT, 'the admin listener'),
  );
  world.program = await Identihook.start(settings);
  world.url = world.program.url;
  world.shop = await Shop.start({ secret: world.tokenSecret, page: new URL('/verify', world.url).href });
  // For commands in a second terminal. The folder is ours alone, and goes away in the end.
  const lines = {
    ...settings,
    IDENTIHOOK_LISTEN: new URL(world.url).host,
    IDENTIHOOK_ADMIN_LISTEN: new URL(world.program.admin).host,
  };
  world.envFile = join(world.redis.folder, 'env');
  await writeFile(
    world.envFile,
    Object.entries(lines)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
    { mode: 0o600 },
  );
}

async function closeWorld(world) {
  if (world.program?.child.isRunning) await world.program.stop();
  const services = [world.shop, world.pages, world.stripe, world.smtp, world.onboarding, world.redis];
  await Promise.all(services.map((service) => service?.close()));
}

function hintsFor(world) {
  const program = relative(process.cwd(), binary());
  const command = program.startsWith('..') ? binary() : program;
  const listen = `stripe listen --forward-to localhost:${new URL(world.url).port}${new URL(world.url).pathname}`;
  return [
    ...notes,
    `verify yourself, in a browser, as somebody new each time: ${world.shop.url}/`,
    ...(process.stdout.isTTY ? [] : [`or once, with this token: ${world.shop.visit()}`]),
    'in another terminal:',
    ...(isReal ? [`  ${listen}`] : []),
    `  ${command} trigger verified --env-file ${world.envFile}`,
    `  ${command} status --env-file ${world.envFile}`,
    `  curl ${world.program.admin}/metrics`,
  ];
}

// ---- showing it

/** Shows `board` until `isOver()`; gives what the world's program came to, if it ended by itself. */
async function watch(world, board, screen, hints, isOver) {
  while (!isOver()) {
    if (!world.program.child.isRunning)
      throw new Error(
        `identihook has ended: ${JSON.stringify(world.program.child.end)}\n${world.program.child.stderr.slice(-2000)}`,
      );
    await board.look().catch(() => {}); // when Redis is away, say; the next look may see more
    screen?.show(board, hints);
    await new Promise((resolve) => setTimeout(resolve, DRAW_INTERVAL_MS));
  }
  await board.look().catch(() => {});
  screen?.show(board, hints);
}

function reportOnce(board) {
  const faults = board.faults();
  for (const [row, fault] of faults)
    console.error(`not as expected: ${row.label} (${row.event ?? 'not sent'}): ${fault}`);
  console.log(`${board.rows.length - faults.length} of ${board.rows.length} samples reached their outcome`);
  return faults.length === 0 ? 0 : 1;
}

async function live(world, stopped) {
  const screen = process.stdout.isTTY && process.stdout.columns >= LEAST_WIDTH ? new Screen() : null;
  const hints = hintsFor(world);
  const board = new Board(world, screen ? undefined : (text) => console.log(text));
  if (!screen) for (const hint of hints) console.log(hint);
  try {
    let sent = isReal;
    const sending = isReal ? Promise.resolve() : sendSamples(world, board, screen ? 300 : 0).then(() => (sent = true));
    let failure = null;
    sending.catch((error) => (failure = error));
    const deadline = Date.now() + DEADLINE_MS;
    await watch(world, board, screen, hints, () => {
      if (failure) throw failure;
      return stopped() || (once && ((sent && board.faults().length === 0) || Date.now() > deadline));
    });
    if (!screen) console.log(draw(board, { hints: [] }).join('\n'));
    return once && !stopped() ? reportOnce(board) : 0;
  } finally {
    screen?.close();
  }
}

async function main() {
  checkEnvironment();
  let interrupted = false;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (interrupted) process.exit(130); // the second time: at once
      interrupted = true;
    });
  }
  const world = {};
  try {
    await openWorld(world);
    const status = await live(world, () => interrupted);
    return interrupted && once ? 130 : status;
  } finally {
    await closeWorld(world);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Refusal ? `deploy/local/up: ${error.message}` : error);
  process.exitCode = error instanceof Refusal ? 2 : 1;
}
