// What a process that receives and works takes while events come at a fixed rate: CPU time and resident memory. Each event is received,
// its session fetched, the mail sent, the onboarding service told, the row written. The resource requests in deploy/kubernetes come from it.
//
//   IDENTIHOOK_BIN=build/identihook node tests/bench/footprint.mjs [EVENTS_A_SECOND [SECONDS]]
//
// Needs redis-server and PostgreSQL. All servers and the sender share the machine with it: latency is not measured here.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { Postgres } from '../lib/postgres.mjs';
import { World } from '../lib/world.mjs';

const [rate = 50, seconds = 60] = process.argv.slice(2, 4).map(Number);
const TICKS = Number(execFileSync('getconf', ['CLK_TCK']));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
};
const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1000;

const cleanups = [];
const t = { after: (cleanup) => cleanups.unshift(cleanup) };

const cluster = await Postgres.start();
t.after(() => cluster.close());
const database = await cluster.database();
const world = await World.open(t, {
  start: false,
  // As a deployment has them, but for Stripe's pace, which would hold back more than 20 a second, and the mails under way at once:
  // the mail server here shares its processor with everything else, and takes a tenth of a second for each.
  settings: {
    DATABASE_URL: database.url,
    IDENTIHOOK_LOOPS: '1',
    IDENTIHOOK_SMTP_CONNECTIONS: '16',
    IDENTIHOOK_TRIM_EVERY: undefined,
    IDENTIHOOK_RETRY_BASE: undefined,
    IDENTIHOOK_RETRY_CAP: undefined,
    IDENTIHOOK_CLAIM_AFTER: undefined,
  },
});
const { code, stderr } = await world.run(['migrate'], { DATABASE_URL: database.url });
if (code !== 0) throw new Error(stderr);
const program = await world.start();
await sleep(2000);
const idle = { memory: resident(program.pid), cpu: cpuSeconds(program.pid) };
await sleep(10_000);
const idleCpu = (cpuSeconds(program.pid) - idle.cpu) / 10;

const before = cpuSeconds(program.pid);
const start = performance.now();
let highest = 0;
let refused = 0;
const answers = [];
for (let sent = 0; sent < rate * seconds; sent++) {
  await sleep(Math.max(0, start + (sent * 1000) / rate - performance.now()));
  const { event } = world.pair(sent % 4 === 3 ? 'requires_input' : 'verified');
  answers.push(world.deliver(event).then(({ status }) => (refused += status !== 200)));
  if (sent % rate === 0) highest = Math.max(highest, resident(program.pid));
}
await Promise.all(answers);
const elapsed = (performance.now() - start) / 1000;
const figures = async () => (await fetch(`${program.admin}/metrics`)).text();
const written = (metrics) => Number(/effects_total\{effect="postgres",result="done"\} (\d+)/.exec(metrics)[1]);
let metrics = await figures();
const atEnd = written(metrics);
while (written(metrics) < answers.length) {
  await sleep(200);
  metrics = await figures();
}
const cpu = cpuSeconds(program.pid) - before;
const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${program.pid}/status`, 'utf8'))[1]) / 1000;

console.log(`idle: ${idle.memory.toFixed(1)} MB, ${(idleCpu * 1000).toFixed(1)} thousandths of a processor`);
console.log(`${answers.length} events in ${elapsed.toFixed(1)} s, ${refused} not answered 200`);
console.log(`${atEnd} of them carried out by then, all after ${((performance.now() - start) / 1000).toFixed(1)} s`);
console.log(`CPU: ${cpu.toFixed(2)} s for all of it: ${((cpu / answers.length) * 1000).toFixed(2)} ms an event, or at ${rate} a second ${((cpu / answers.length) * rate * 1000).toFixed(0)} thousandths of a processor`);
console.log(`memory: at most ${highest.toFixed(1)} MB seen each second, ${peak.toFixed(1)} MB at any moment; ${resident(program.pid).toFixed(1)} MB after it`);
console.log(metrics.split('\n').filter((line) => /^identihook_(effects_total|fetches_total|backlog_events)/.test(line)).join('\n'));
for (const cleanup of cleanups) await cleanup();
