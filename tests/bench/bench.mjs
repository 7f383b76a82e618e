// Measures identihook side by side with nginx, fastify and Go, and prints tables; draws chart.svg beside the binary.
//
//   node tests/bench/bench.mjs BUILD [PART...] [REQUESTS [ROUNDS]]
//
// Each part measures all servers in one run, in interleaved rounds, and compares medians: on a noisy machine the ratios are what
// stays. The parts, by default all of them, are the files in parts/.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chart } from './chart.mjs';
import { serversOf } from './world.mjs';

const PARTS = ['cpu', 'latency', 'fsync', 'memory', 'start', 'work'];

const [build, ...words] = process.argv.slice(2);
const chosen = words.filter((word) => PARTS.includes(word));
const numbers = words.filter((word) => /^\d+$/.test(word)).map(Number);
if (!build || chosen.length + numbers.length !== words.length || numbers.length > 2) {
  console.error(`usage: node bench.mjs BUILD [${PARTS.join('|')}]... [REQUESTS [ROUNDS]]`);
  process.exit(2);
}
const [requests = 100_000, rounds = 5] = numbers;

if (!serversOf(build).includes('go')) console.log('Go is not installed: its peer is left out.\n');
const figures = [];
for (const name of chosen.length > 0 ? chosen : PARTS) {
  const { measure } = await import(`./parts/${name}.mjs`);
  figures.push(...(await measure({ build, requests, rounds })));
}
writeFileSync(join(build, 'chart.svg'), chart(figures));
