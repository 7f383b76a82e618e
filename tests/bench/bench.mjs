// Measures ingest side by side, in one run: identihook, nginx that only reads the same bodies and answers, and the usual Node
// handler. Each server has the first processor to itself; Redis and the load generator share the second one.
//
//   node tests/bench/bench.mjs IDENTIHOOK LOAD [REQUESTS] [ROUNDS]
//
// The figure that survives a noisy machine is the CPU time of the server alone per 100,000 events, and above all its ratio: the
// rounds are interleaved, and medians are compared. Prints a table and writes chart.svg beside the binary.

import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [identihook, load, requests = '100000', rounds = '5'] = process.argv.slice(2);
if (!load) {
  console.error('usage: node bench.mjs IDENTIHOOK LOAD [REQUESTS] [ROUNDS]');
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'identihook-bench-'));
const secret = 'whsec_bench';
const ports = { nginx: 4901, fastify: 4902, identihook: 4903 };
const children = [];
const TICKS = Number(execFileSync('getconf', ['CLK_TCK']));

function start(processor, command, words, env = {}) {
  const child = spawn('taskset', ['-c', String(processor), command, ...words], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  children.push(child);
  return child;
}

const canConnect = (target) =>
  new Promise((resolve) => {
    const socket = net.connect(target, () => resolve(true) || socket.destroy());
    socket.on('error', () => resolve(false));
  });

async function listening(target) {
  const begin = process.hrtime.bigint();
  while (!(await canConnect(target))) {
    if (process.hrtime.bigint() - begin > 10_000_000_000n) throw new Error(`nothing listens at ${JSON.stringify(target)}`);
  }
}

/** CPU seconds of a process and its children so far. */
function cpu(pid) {
  const workers = execFileSync('sh', ['-c', `pgrep -P ${pid} || true`]).toString().split('\n').filter(Boolean);
  return [pid, ...workers]
    .map((id) => readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' '))
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) / TICKS, 0);
}

const memory = (pid) => {
  const workers = execFileSync('sh', ['-c', `pgrep -P ${pid} || true`]).toString().split('\n').filter(Boolean);
  return [pid, ...workers].reduce((sum, id) => sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))[1]), 0) / 1024;
};

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

async function startServers(socket) {
  const configuration = join(folder, 'nginx.conf');
  writeFileSync(
    configuration,
    `worker_processes 1; daemon off; pid ${folder}/nginx.pid; error_log ${folder}/nginx.log;
     events { worker_connections 20000; }
     http { access_log off; keepalive_requests 1000000000; client_body_buffer_size 64k; default_type application/json;
       server { listen 127.0.0.1:${ports.nginx}; location / { return 200 '{"received":true,"duplicate":false}'; } } }`,
  );
  const servers = {
    nginx: start(0, 'nginx', ['-c', configuration, '-p', folder]),
    fastify: start(0, process.execPath, [join(here, 'fastify.mjs')], { PORT: ports.fastify, REDIS_SOCKET: socket, STRIPE_WEBHOOK_SECRET: secret }),
    identihook: start(0, identihook, ['serve', '--role', 'ingest'], {
      STRIPE_WEBHOOK_SECRET: secret,
      REDIS_URL: `unix://${socket}`,
      IDENTIHOOK_LOOPS: '1',
      IDENTIHOOK_LISTEN: `127.0.0.1:${ports.identihook}`,
      IDENTIHOOK_ADMIN_LISTEN: '127.0.0.1:0',
      IDENTIHOOK_LOG_LEVEL: 'error',
    }),
  };
  await Promise.all(Object.values(ports).map((port) => listening({ port, host: '127.0.0.1' })));
  return servers;
}

function measure(server, name, redis, mode) {
  const before = [cpu(server.pid), cpu(redis.pid)];
  const words = ['-c', '1', load, '127.0.0.1', String(ports[name]), '/webhook', '64', requests, ...mode];
  const result = JSON.parse(execFileSync('taskset', words, { env: { ...process.env, STRIPE_WEBHOOK_SECRET: secret } }));
  const per = 100_000 / Number(result.requests);
  return { ...result, cpu: (cpu(server.pid) - before[0]) * per, withRedis: (cpu(server.pid) - before[0] + cpu(redis.pid) - before[1]) * per };
}

function chart(rows) {
  const widest = Math.max(...rows.map(({ cpu: value }) => value));
  const bars = rows.map(({ name, cpu: value }, i) => {
    const width = (value / widest) * 480;
    return `<text x="8" y="${i * 34 + 29}">${name}</text><rect x="190" y="${i * 34 + 12}" width="${width.toFixed(1)}" height="24" fill="${name.startsWith('identihook') ? '#2a6' : '#999'}"/><text x="${(196 + width).toFixed(1)}" y="${i * 34 + 29}">${value.toFixed(2)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="740" height="${rows.length * 34 + 40}" font-family="sans-serif" font-size="14">${bars.join('')}<text x="190" y="${rows.length * 34 + 30}" fill="#666">CPU seconds of the server per 100,000 requests</text></svg>\n`;
}

try {
  const socket = join(folder, 'redis.sock');
  const redis = start(1, 'redis-server', ['--port', '0', '--unixsocket', socket, '--save', '', '--appendonly', 'no', '--logfile', join(folder, 'redis.log')]);
  await listening({ path: socket });
  const servers = await startServers(socket);
  const idle = Object.fromEntries(Object.entries(servers).map(([name, server]) => [name, memory(server.pid)]));
  const kinds = [
    ['nginx', 'nginx', []],
    ['fastify', 'fastify', []],
    ['identihook', 'identihook', []],
    ['identihook, bad signature', 'identihook', ['0', 'bad']],
  ];
  const samples = new Map(kinds.map(([label]) => [label, []]));
  for (let round = 0; round <= Number(rounds); round++) {
    for (const [label, name, mode] of kinds) {
      const sample = measure(servers[name], name, redis, mode);
      if (round > 0) samples.get(label).push(sample); // the first one warms up
      execFileSync('redis-cli', ['-s', socket, 'flushall']);
    }
  }
  const rows = kinds.map(([label, name]) => {
    const of = (field) => median(samples.get(label).map((sample) => sample[field]));
    return { name: label, cpu: of('cpu'), withRedis: of('withRedis'), perSecond: of('per_second'), p50: of('p50_ms'), p99: of('p99_ms'), p999: of('p999_ms'), idle: idle[name] };
  });
  console.log('server                      CPU-s/100k  with Redis  events/s   p50 ms   p99 ms  p999 ms  idle MB  CPU/nginx');
  for (const row of rows) {
    console.log(
      `${row.name.padEnd(27)} ${row.cpu.toFixed(2).padStart(10)} ${row.withRedis.toFixed(2).padStart(11)} ${row.perSecond.toFixed(0).padStart(9)} ${row.p50.toFixed(2).padStart(8)} ${row.p99.toFixed(2).padStart(8)} ${row.p999.toFixed(2).padStart(8)} ${row.idle.toFixed(1).padStart(8)} ${(row.cpu / rows[0].cpu).toFixed(2).padStart(10)}`,
    );
  }
  writeFileSync(join(dirname(load), 'chart.svg'), chart(rows));
} finally {
  for (const child of children.reverse()) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
