// The proof that nothing is lost and nothing done twice: see README.md.
//
//   node tests/chaos/chaos.mjs [--seed N] [--events N] [--seconds N] [--faults N] [--report FILE] BINARY [BINARY]

import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

import { planOf } from './plan.mjs';
import { reportOf } from './report.mjs';
import { Storm } from './storm.mjs';
import { judge } from './verdict.mjs';

const { values, positionals: binaries } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e9)) },
    events: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '240' },
    faults: { type: 'string', default: '300' },
    report: { type: 'string' },
  },
});
const [seed, events, seconds, faults] = ['seed', 'events', 'seconds', 'faults'].map((name) => Number(values[name]));
const roles = ['ingest', 'ingest', 'worker', 'worker', 'worker', 'all'];

const plan = planOf({ seed, events, duration: seconds * 1000, faults, roles, senders: 8 });
console.log(
  `seed ${seed}: ${plan.events.length} events of ${plan.sessions.length} sessions, ${plan.deliveries.length} deliveries in ${seconds} s, ` +
    `${plan.faults.length} faults; ${roles.length} processes on ${availableParallelism()} processors`,
);
process.env.IDENTIHOOK_BIN ??= binaries[0];
const storm = await Storm.run(plan, { roles, binaries, quiet: 300_000 });
const verdict = judge(storm);
const report = reportOf(storm, verdict);
console.log(report);
if (values.report) writeFileSync(values.report, report);
process.exit(verdict.faults.length > 0 ? 1 : 0);
