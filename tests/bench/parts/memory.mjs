// Memory: of a server that has just started, and with many connections that made one request each and are kept alive.
//
// Anonymous memory is the server's own; the rest of what is resident is mapped from files (the program and its libraries), and is
// shared and reclaimed by the system as it likes. The kernel's memory for sockets is in neither.

import { Samples, number, ratio, table } from '../figures.mjs';
import { fileLimit, memory, sleep } from '../process.mjs';
import { TITLES, World } from '../world.mjs';

const CONNECTIONS = Math.min(10_000, fileLimit() - 200);
const SESSIONS = 1_000;
const SETTLE_MS = 500;

/** A new server's memory, before and with connections. */
async function sample(world, name, connections, tls) {
  await world.startServer(name, tls);
  await sleep(SETTLE_MS);
  const { pid } = world.servers[name];
  const idle = memory(pid);
  const release = await world.idle(name, connections, ...(tls ? ['tls'] : []));
  await sleep(SETTLE_MS);
  const held = memory(pid);
  await release();
  await world.stopServer(name);
  world.emptyRedis();
  const each = (kind) => ((held[kind] - idle[kind]) * 1024) / connections;
  return {
    idle: idle.resident,
    idleAnonymous: idle.anonymous,
    held: held.resident,
    heldAnonymous: held.anonymous,
    each: each('resident'),
    eachAnonymous: each('anonymous'),
  };
}

function show(title, kinds, samples) {
  console.log(`${title}\n`);
  console.log(
    table(
      ['server', 'idle MB', 'of it anonymous', 'with connections MB', 'of it anonymous', 'of identihook', 'KB each', 'of it anonymous'],
      kinds.map(({ label, reference }) => {
        const of = (field) => samples.of(label, field);
        const cells = ['idle', 'idleAnonymous', 'held', 'heldAnonymous'].map((field) => number(of(field)));
        return [label, ...cells, ratio(of('held'), samples.of(reference, 'held')), number(of('each')), number(of('eachAnonymous'))];
      }),
    ),
  );
  console.log();
}

export async function measure({ build, rounds }) {
  const world = new World(build);
  const samples = new Samples();
  const plain = world.names.map((name) => ({ label: TITLES[name], name, connections: CONNECTIONS, tls: false, reference: TITLES.identihook }));
  const secure = ['nginx', 'identihook'].map((name) => ({ label: `${name}, TLS`, name, connections: SESSIONS, tls: true, reference: 'identihook, TLS' }));
  try {
    await world.open({ names: [], tls: true });
    for (let round = 0; round < rounds; round++) {
      for (const { label, name, connections, tls } of [...plain, ...secure]) {
        samples.add(label, await sample(world, name, connections, tls));
      }
    }
  } finally {
    await world.close();
  }
  show(`Memory, with ${CONNECTIONS} connections that made one request each; ${rounds} rounds`, plain, samples);
  show(`The same with ${SESSIONS} TLS sessions`, secure, samples);
  const figure = (title, kinds, field, unit) => ({ title, unit, better: 'less', bars: kinds.map(({ label }) => ({ label, value: samples.of(label, field) })) });
  return [
    figure('Resident memory, idle', plain, 'idle', 'MB'),
    figure(`Resident memory with ${CONNECTIONS.toLocaleString('en')} idle connections`, plain, 'held', 'MB'),
    figure('Resident memory per TLS session', secure, 'each', 'KB'),
  ];
}
