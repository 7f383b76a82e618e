// How long a server takes from its fork to its first 200, with Redis there; timed by a launcher in C (load.c).

import { Samples, number, ratio, table } from '../figures.mjs';
import { TITLES, World } from '../world.mjs';

const STARTS_IN_A_ROUND = 3;

export async function measure({ build, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const { names } = world;
  try {
    await world.open({ names: [] });
    for (let i = 0; i <= rounds * STARTS_IN_A_ROUND; i++) {
      for (const name of names) {
        const start = world.startTime(name);
        if (i > 0) samples.add(name, { start }); // the first one reads files from the disk
        world.emptyRedis();
      }
    }
  } finally {
    await world.close();
  }
  const bars = names.map((name) => ({ label: TITLES[name], value: samples.of(name, 'start') }));
  const own = samples.of('identihook', 'start');
  console.log(`From the fork to the first 200: ${rounds * STARTS_IN_A_ROUND} starts\n`);
  console.log(table(['server', 'ms', 'of identihook'], bars.map(({ label, value }) => [label, number(value), ratio(value, own)])));
  console.log();
  return [{ title: 'Start-up: from the fork to the first 200', unit: 'milliseconds', better: 'less', bars }];
}
