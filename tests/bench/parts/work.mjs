// What an event costs the worker: the session fetched by HTTPS, the onboarding update posted, ledger and outcome written; against
// Node's fetch (undici) that only fetches. And how near the rate comes to what the upstream's latency allows: concurrency / latency.

import { Samples, number, ratio, table } from '../figures.mjs';
import { cpuSeconds, sleep } from '../process.mjs';
import { World } from '../world.mjs';

const CONCURRENCY = 256;
const DELAY_MS = 200;
const PART_OF_REQUESTS = 0.2;
const SERVERS = { identihook: 'identihook, all of it', undici: 'Node, undici: the fetch alone' };

async function work(world, events) {
  await world.startServer('identihook');
  world.load('identihook', events);
  await world.stopServer('identihook');
  const begin = process.hrtime.bigint();
  const worker = world.startWorker(CONCURRENCY);
  while (world.outcomes() < events) await sleep(20);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  const cpu = cpuSeconds(worker.pid);
  await world.stopServer('worker');
  world.emptyRedis();
  return { cpu: (cpu * 100_000) / events, perSecond: events / seconds };
}

async function fetchOnly(world, events) {
  const { cpu, seconds } = await world.undici(events, CONCURRENCY);
  return { cpu: (cpu * 100_000) / events, perSecond: events / seconds };
}

export async function measure({ build, requests, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const events = Math.ceil(requests * PART_OF_REQUESTS);
  try {
    await world.open({ names: [], tls: true });
    await world.startUpstream(DELAY_MS);
    for (let round = 0; round < rounds; round++) {
      samples.add('identihook', await work(world, events));
      samples.add('undici', await fetchOnly(world, events));
    }
  } finally {
    await world.close();
  }
  const names = Object.keys(SERVERS);
  const allowed = (CONCURRENCY * 1000) / DELAY_MS;
  console.log(`An event's work: ${events} events, ${CONCURRENCY} at once, the upstream answers after ${DELAY_MS} ms, ${rounds} rounds\n`);
  console.log(
    table(
      ['worker', 'CPU-s / 100k', 'of undici', 'events/s', `of ${allowed}/s`],
      names.map((name) => {
        const [cpu, perSecond] = [samples.of(name, 'cpu'), samples.of(name, 'perSecond')];
        return [SERVERS[name], number(cpu), ratio(cpu, samples.of('undici', 'cpu')), number(perSecond), `${((100 * perSecond) / allowed).toFixed(0)} %`];
      }),
    ),
  );
  console.log();
  const bars = names.map((name) => ({ label: SERVERS[name], value: samples.of(name, 'cpu') }));
  return [{ title: 'CPU of the worker per 100,000 events', unit: 'seconds', better: 'less', bars }];
}
