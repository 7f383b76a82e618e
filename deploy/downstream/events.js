#!/usr/bin/env node
// Reads the events of identihook, each at least once, with a consumer group of its own: as Stripe sent them, before and
// independent of what identihook does about them.
//
// Needs ioredis (npm install ioredis). Run as many as you like: the group shares the events among them.
//
//   REDIS_URL             redis://user:password@host:6379/0, rediss://… or unix:///path
//   IDENTIHOOK_NAMESPACE  the same as identihook's (identihook)
//   GROUP                 the name of your service (example): each group gets every event
//   CLAIM_AFTER_MS        how long an event may be in work before another takes it over (60000)

const os = require('node:os');
const Redis = require('ioredis');

const { REDIS_URL = 'redis://127.0.0.1:6379/0', IDENTIHOOK_NAMESPACE = 'identihook', GROUP = 'example' } = process.env;
const STREAM = `{${IDENTIHOOK_NAMESPACE}}:events`;
const CONSUMER = `${os.hostname()}-${process.pid}`;
const CLAIM_AFTER_MS = Number(process.env.CLAIM_AFTER_MS ?? 60_000);
const DELIVERIES_MAXIMUM = 10;

/**
 * Yours. It may be called twice for one event, and events come in no particular order: fetch the session before you act on
 * it. The payload is personal data: keep it out of logs.
 */
async function handle({ event, type, session, livemode, payload }) {
  const { status } = JSON.parse(payload).data.object;
  console.log(JSON.stringify({ event, type, session, livemode: livemode === 'true', status }));
}

let running = true;
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => (running = false));

const redis = REDIS_URL.startsWith('unix:')
  ? new Redis({ path: REDIS_URL.replace(/^unix:(\/\/[^/]*)?/, '').replace(/\?.*/, ''), ...credentials() })
  : new Redis(REDIS_URL);
redis.on('error', (error) => console.error(`redis: ${error.message}`)); // it connects again by itself

function credentials() {
  const [, username, password] = REDIS_URL.match(/^unix:\/\/([^:@/]*):([^@/]*)@/) ?? [];
  return { username, password: password && decodeURIComponent(password) };
}

async function makeGroup() {
  try {
    await redis.xgroup('CREATE', STREAM, GROUP, '0', 'MKSTREAM'); // from the beginning: nothing is passed over
  } catch (error) {
    if (!error.message.startsWith('BUSYGROUP')) throw error;
  }
}

/** What a consumer that has died, or failed, has left; else what is new: [id, [field, value, …]]. */
async function take() {
  const [, left] = await redis.xautoclaim(STREAM, GROUP, CONSUMER, CLAIM_AFTER_MS, '0-0', 'COUNT', 10);
  if (left.length > 0) return left;
  const read = await redis.xreadgroup('GROUP', GROUP, CONSUMER, 'COUNT', 10, 'BLOCK', 1000, 'STREAMS', STREAM, '>');
  return read?.[0][1] ?? [];
}

const fieldsOf = (flat) => Object.fromEntries(flat.flatMap((name, i) => (i % 2 ? [] : [[name, flat[i + 1]]])));

/** An entry without fields was redacted or trimmed meanwhile: there is nothing left to do about it. */
async function carry(id, fields) {
  try {
    if (fields) await handle(fieldsOf(fields));
  } catch (error) {
    console.error(`${id} failed: ${error.name}`);
    const [pending] = await redis.xpending(STREAM, GROUP, id, id, 1);
    if (!pending || pending[3] < DELIVERIES_MAXIMUM) return; // it comes again after CLAIM_AFTER_MS
    console.error(`${id} is given up`);
  }
  await redis.xack(STREAM, GROUP, id);
}

async function main() {
  while (running) {
    try {
      await makeGroup();
      while (running) for (const entry of await take()) if (entry) await carry(...entry);
    } catch (error) {
      console.error(`redis: ${error.message}`); // it is away, or the group is: both come back
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  const mine = await redis.xpending(STREAM, GROUP, '-', '+', 1, CONSUMER).catch(() => [null]);
  if (mine.length === 0) await redis.xgroup('DELCONSUMER', STREAM, GROUP, CONSUMER); // with entries in work they would be dropped
  redis.disconnect();
}

main();
