// How many events a second are stored for good: Redis writes its log to the disk before it replies (appendfsync always).

import { statfsSync } from 'node:fs';
import { Samples, number, ratio, table } from '../figures.mjs';
import { TITLES, World } from '../world.mjs';

const TMPFS = 0x01021994;
const PART_OF_REQUESTS = 0.2; // the disk is slower than the rest

export async function measure({ build, requests, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const names = [...world.names.filter((name) => name !== 'nginx'), 'manyLoops']; // nginx stores nothing
  try {
    if (statfsSync(world.folder).type === TMPFS) {
      console.log(`Stored on disk: left out, ${world.folder} is in memory; set TMPDIR to a folder on a disk.\n`);
      return [];
    }
    await world.open({ appendfsync: 'always', names });
    for (let round = 0; round <= rounds; round++) {
      for (const name of names) {
        const one = world.load(name, Math.ceil(requests * PART_OF_REQUESTS));
        if (round > 0) samples.add(name, one); // the first one warms up
        world.emptyRedis();
      }
    }
  } finally {
    await world.close();
  }
  const own = samples.of('identihook', 'per_second');
  console.log(`Stored on disk before the answer (appendfsync always): 64 connections, ${rounds} rounds\n`);
  console.log(
    table(
      ['server', 'events/s', 'of identihook', 'p50 ms', 'p99 ms'],
      names.map((name) => {
        const of = (field) => samples.of(name, field);
        return [TITLES[name], number(of('per_second')), ratio(of('per_second'), own), number(of('p50_ms')), number(of('p99_ms'))];
      }),
    ),
  );
  console.log();
  const bars = names.map((name) => ({ label: TITLES[name], value: samples.of(name, 'per_second') }));
  return [{ title: 'Events a second, each on disk before its answer (appendfsync always)', unit: 'events a second', better: 'more', bars }];
}
