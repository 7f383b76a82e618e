// What events cost in Redis: the memory that a finished one keeps, and the time that one takes of Redis beside a small and a large
// backlog. Needs redis-server alone:
//
//   node tests/bench/store.mjs [EVENTS [BACKLOG]]

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { RedisServer } from '../lib/redis.mjs';
import { token } from '../lib/stripe_api.mjs';

const [events = 20_000, backlog = 1_000_000] = process.argv.slice(2).map(Number);
const WINDOW_DAYS = 30; // IDENTIHOOK_DEDUPE_WINDOW
const HISTORY_DAYS = 2; // IDENTIHOOK_HISTORY
const GROUP = 'identihook';
const CONSUMER = 'host-1-12345678-0';
const key = (name) => `{identihook}:${name}`;
const mail = 'x'.repeat(4000);
const payload = readFileSync(new URL('../data/events/verified.json', import.meta.url), 'utf8');

// ---- the scripts, as the program has them

const folder = new URL('../../src/store/scripts/', import.meta.url);
const digests = new Map();

// As src/store/embed.cmake puts them together.
function sourcesOf(file, sources = new Map()) {
  const source = readFileSync(new URL(file, folder), 'utf8');
  for (const name of /^-- uses: (.+)$/m.exec(source)?.[1].split(' ') ?? []) {
    if (!sources.has(`shared/${name}.lua`)) {
      sourcesOf(`shared/${name}.lua`, sources);
    }
  }
  return [...sources.set(file, source).values()];
}

async function load(redis, name) {
  const source = sourcesOf(`${name}.lua`).join('');
  await redis.call('SCRIPT', 'LOAD', source);
  digests.set(name, createHash('sha1').update(source).digest('hex'));
}

const run = (redis, name, keys, words) => redis.call('EVALSHA', digests.get(name), keys.length, ...keys, ...words);

// ---- one event's life

const put = (redis, { id, session, body = payload }) =>
  run(redis, 'put', [key('events'), key(`seen:${id}`)], [
    WINDOW_DAYS * 86_400_000, id, 'identity.verification_session.verified', session, '', 'true', 1793268500, '2026-10-28.endive',
    Date.now(), body,
  ]);

const commonKeys = ({ id, session }) =>
  ['events', 'retry', 'attempts', `turn:${session}`, `waiting:${session}`, `seen:${id}`, `effects:${id}`].map(key);

const open = (redis, event, entry, frozen = []) => {
  const keys = [...commonKeys(event), ...frozen.map(() => key(`mail:${event.id}`))];
  return run(redis, 'open', keys, [GROUP, CONSUMER, entry, 30_000, 1, 7_776_000_000, ...frozen]);
};

async function carry(redis, event, entry) {
  const about = [GROUP, CONSUMER, entry];
  await open(redis, event, entry);
  for (const effect of ['email', 'onboarding']) {
    await open(redis, event, entry, effect === 'email' ? [mail] : []); // asked once more before each effect
    const words = [...about, effect, '', 7_776_000_000, HISTORY_DAYS * 86_400_000];
    await run(redis, 'record', [key('events'), key(`effects:${event.id}`)], words);
  }
  await run(redis, 'finish', [...commonKeys(event), key(`mail:${event.id}`), key('outcomes')], [
    ...about, HISTORY_DAYS * 86_400_000, event.id, 'identity.verification_session.verified', event.session, 'user_12345678',
    'verified', 'done', 'email,onboarding', Date.now(), '',
  ]);
}

async function read(redis, count) {
  const [[, entries]] = await redis.call('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', count, 'STREAMS', key('events'), '>');
  return entries.map(([entry, fields]) => ({ entry, event: { id: fields[1], session: fields[5] } }));
}

const newEvent = () => ({ id: `evt_1${token(23)}`, session: `vs_1${token(23)}` });

/** Takes `count` events in and carries each to its end. */
async function live(redis, count) {
  for (let done = 0; done < count; done += 50) {
    await Promise.all(Array.from({ length: 50 }, () => put(redis, newEvent())));
    await Promise.all((await read(redis, 50)).map(({ event, entry }) => carry(redis, event, entry)));
  }
}

async function trim(redis) {
  const words = [GROUP, CONSUMER, 10_000, HISTORY_DAYS * 86_400_000, 86_400_000, 3_600_000];
  for (let from = '-', goesOn = true, begins = 1; goesOn; begins = 0) {
    const [, , removed, , more, next] = await run(redis, 'trim', [key('events'), key('outcomes'), key('retry'), key('trimmer')], [
      ...words, from, begins,
    ]);
    from = next;
    goesOn = removed > 0 || more === 1;
  }
}

// ---- measuring

async function openRedis() {
  const redis = await RedisServer.start();
  await redis.call('CONFIG', 'SET', 'appendonly', 'no');
  for (const name of ['put', 'open', 'record', 'finish', 'trim', 'due', 'backlog']) await load(redis, name);
  await redis.call('XGROUP', 'CREATE', key('events'), GROUP, '0', 'MKSTREAM');
  return redis;
}

const memory = async (redis) => Number(/used_memory:(\d+)/.exec(await redis.call('INFO', 'memory'))[1]);

/** Microseconds of Redis's own time for all of what `act` asks for. */
async function busy(redis, act) {
  await redis.call('CONFIG', 'RESETSTAT');
  await act();
  const stats = await redis.call('INFO', 'commandstats');
  return ['evalsha', 'xreadgroup'].reduce((sum, name) => {
    return sum + Number(new RegExp(`cmdstat_${name}:calls=\\d+,usec=(\\d+)`).exec(stats)?.[1] ?? 0);
  }, 0);
}

/** A whole window passes, a history at a time: what is older has only its mark. */
async function measureMemory() {
  const redis = await openRedis();
  const before = await memory(redis);
  const each = async (count) => (((await memory(redis)) - before) / count).toFixed(0);
  const parts = WINDOW_DAYS / HISTORY_DAYS;
  const part = Math.ceil(events / parts / 50) * 50;
  let young = [];
  for (let i = 0; i < parts; i++) {
    for (const name of young) await redis.call('DEL', name);
    await redis.call('XTRIM', key('outcomes'), 'MAXLEN', 0);
    await live(redis, part);
    await trim(redis);
    young = await redis.call('KEYS', key('effects:*'));
  }
  const average = await each(part * parts);
  for (const name of young) await redis.call('DEL', name);
  await redis.call('XTRIM', key('outcomes'), 'MAXLEN', 0);
  const old = await each(part * parts);
  await redis.close();
  console.log(`Memory per finished event: ${part * parts} events with bodies of ${payload.length} bytes

| of it | bytes |
|---|---|
| its mark against duplicates, for IDENTIHOOK_DEDUPE_WINDOW (${WINDOW_DAYS} d) | ${old} |
| the same with ledger and outcome, for IDENTIHOOK_HISTORY (${HISTORY_DAYS} d), averaged over the window | ${average} |
`);
}

/** As many entries that others have yet to read, that are to be tried again, and marks, as a large outage leaves. */
async function pileUp(redis) {
  const small = '{"id":"evt"}';
  for (let made = 0; made < backlog; made += 1000) {
    await Promise.all(
      Array.from({ length: 1000 }, async (_, i) => {
        await put(redis, { ...newEvent(), body: small });
        if (i % 10 === 0) await redis.call('ZADD', key('retry'), 9_999_999_999_999 + made + i, `${made + i + 1}-0`);
      }),
    );
  }
  await redis.call('XGROUP', 'CREATE', key('events'), 'billing', '0'); // keeps all of it
  await redis.call('XGROUP', 'SETID', key('events'), GROUP, '$');
}

async function measureTime() {
  const redis = await openRedis();
  const sample = async () => {
    const life = await busy(redis, () => live(redis, events));
    const asks = await busy(redis, async () => {
      for (let i = 0; i < 1000; i++) {
        await run(redis, 'due', ['events', 'retry', 'attempts', 'held'].map(key), [GROUP, CONSUMER, 64]);
      }
    });
    const steps = await busy(redis, async () => {
      for (let i = 0; i < 100; i++) {
        const keys = [key('events'), key('outcomes'), key('retry'), key('trimmer')];
        await run(redis, 'trim', keys, [GROUP, CONSUMER, 10_000, 172_800_000, 86_400_000, 3_600_000, '-', 1]);
      }
    });
    return [life / events, asks / 1000, steps / 100];
  };
  await live(redis, 2000); // warm
  await trim(redis);
  const rows = [['no backlog', await sample()]];
  await redis.call('FLUSHALL');
  await redis.call('XGROUP', 'CREATE', key('events'), GROUP, '0', 'MKSTREAM');
  await pileUp(redis);
  rows.push([`${backlog} entries, ${backlog / 10} of them to be tried again`, await sample()]);
  await redis.close();
  console.log(`Time of Redis, in microseconds

| beside | a whole life of an event | asking for what is due | a step of trimming |
|---|---|---|---|
${rows.map(([title, times]) => `| ${title} | ${times.map((time) => time.toFixed(1)).join(' | ')} |`).join('\n')}
`);
}

await measureMemory();
await measureTime();
