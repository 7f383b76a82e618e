// How long an event waits at a fixed rate, counted from the moment at which it was to be sent. nginx shows what the machine and
// the generator themselves take. Where that is allowed, all of it runs in real time: else the tail is that of whatever else runs.

import { Samples, number, ratio, table } from '../figures.mjs';
import { canRunInRealTime } from '../process.mjs';
import { TITLES, World } from '../world.mjs';

const RATES = [2_000, 10_000];
const SECONDS = 5;
const PERCENTILES = ['p50_ms', 'p99_ms', 'p999_ms'];

/** Below this part of the rate, the server did not keep up: its latencies only tell how long the run was. */
const KEPT_UP = 0.98;

function show(rate, names, samples) {
  const of = (name, field) => samples.of(`${name} ${rate}`, field);
  console.log(`Latency at ${rate} events a second, ${SECONDS} s a round, from the intended moment\n`);
  console.log(
    table(
      ['server', 'p50 ms', 'p99 ms', 'p999 ms', 'p50', 'p99', 'p999', 'events/s'],
      names.map((name) => [
        TITLES[name],
        ...PERCENTILES.map((field) => number(of(name, field))),
        ...PERCENTILES.map((field) => ratio(of(name, field), of('identihook', field))),
        `${number(of(name, 'per_second'))}${of(name, 'per_second') < rate * KEPT_UP ? ' (overrun)' : ''}`,
      ]),
    ),
  );
  console.log();
}

export async function measure({ build, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const realTime = canRunInRealTime();
  if (!realTime) console.log('Latency: not root, so what else runs on this machine is in the tail, too.\n');
  try {
    await world.open({ realTime });
    for (let round = 0; round <= rounds; round++) {
      for (const rate of RATES) {
        for (const name of world.names) {
          const one = world.load(name, rate * SECONDS, rate);
          if (round > 0) samples.add(`${name} ${rate}`, one); // the first one warms up
          world.emptyRedis();
        }
      }
    }
  } finally {
    await world.close();
  }
  for (const rate of RATES) show(rate, world.names, samples);
  return RATES.map((rate) => ({
    title: `99th percentile of latency at ${rate.toLocaleString('en')} events a second`,
    unit: 'milliseconds',
    better: 'less',
    bars: world.names.map((name) => ({ label: TITLES[name], value: samples.of(`${name} ${rate}`, 'p99_ms') })),
  }));
}
