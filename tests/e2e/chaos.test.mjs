// The short form of tests/chaos: everything fails at random for a while, and nothing is lost or done twice.

import { describe, test } from 'node:test';

import { planOf } from '../chaos/plan.mjs';
import { reportOf } from '../chaos/report.mjs';
import { Storm } from '../chaos/storm.mjs';
import { judge } from '../chaos/verdict.mjs';
import { binary } from '../lib/identihook.mjs';

const SEED = Number(process.env.CHAOS_SEED ?? 20261125);
const QUIET_MS = Number(process.env.CHAOS_QUIET_MS ?? 120_000); // so long all may take to end after the last fault
const ROLES = ['ingest', 'worker', 'worker', 'all'];

describe('in a storm of faults', () => {
  test(`every event reaches its right outcome, each effect once (CHAOS_SEED=${SEED})`, async () => {
    const plan = planOf({ seed: SEED, events: 1200, duration: 15_000, faults: 34, roles: ROLES, senders: 6 });
    const storm = await Storm.run(plan, { roles: ROLES, binaries: [binary()], quiet: QUIET_MS });
    const verdict = judge(storm);
    if (verdict.faults.length > 0) throw new Error(reportOf(storm, verdict));
  });
});
