// What an event costs: CPU time of the server alone, and with Redis's. As fast as answers come; and at one rate, because a server
// that never waits is never woken either, and the floor, nginx without Redis behind it, is such a one.

import { Samples, number, ratio, table } from '../figures.mjs';
import { canRunInRealTime, cpuSeconds } from '../process.mjs';
import { TITLES, World } from '../world.mjs';

const BAD = 'identihook, bad signature';
const RATE = 20_000;
const atRate = (name) => ({ label: `${name}, at ${RATE / 1000}k events/s`, name, mode: [RATE] });

function sample(world, name, requests, mode) {
  const cpu = () => ({ server: cpuSeconds(world.servers[name].pid), redis: cpuSeconds(world.redis.pid) });
  const before = cpu();
  const result = world.load(name, requests, ...mode);
  const after = cpu();
  const per = 100_000 / requests;
  const server = (after.server - before.server) * per;
  world.emptyRedis();
  return { ...result, server, withRedis: server + (after.redis - before.redis) * per };
}

export async function measure({ build, requests, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const kinds = [
    ...world.names.map((name) => ({ label: TITLES[name], name, mode: [] })),
    { label: BAD, name: 'identihook', mode: [0, 'bad'] },
    atRate('nginx'),
    atRate('identihook'),
  ];
  try {
    await world.open({ realTime: canRunInRealTime() });
    for (let round = 0; round <= rounds; round++) {
      for (const { label, name, mode } of kinds) {
        const one = sample(world, name, requests, mode);
        if (round > 0) samples.add(label, one); // the first one warms up
      }
    }
  } finally {
    await world.close();
  }
  const own = samples.of(TITLES.identihook, 'server');
  const floor = samples.of(TITLES.nginx, 'server');
  console.log(`What an event costs: ${requests} requests, 64 connections, ${rounds} rounds\n`);
  console.log(
    table(
      ['server', 'CPU-s / 100k', 'of nginx', 'of identihook', 'with Redis', 'events/s', 'p50 ms', 'p99 ms', 'p999 ms'],
      kinds.map(({ label }) => {
        const of = (field) => samples.of(label, field);
        const cost = of('server');
        return [label, number(cost), ratio(cost, floor), ratio(cost, own), ...['withRedis', 'per_second', 'p50_ms', 'p99_ms', 'p999_ms'].map((field) => number(of(field)))];
      }),
    ),
  );
  console.log();
  const bars = kinds.map(({ label }) => ({ label, value: samples.of(label, 'server') }));
  return [{ title: 'CPU of the server per 100,000 events', unit: 'seconds', better: 'less', bars }];
}
