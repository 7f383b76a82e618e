// Starts processes on a processor, stops them, and reads what they cost.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import net from 'node:net';

export const SERVER_PROCESSOR = 0;
export const REDIS_PROCESSOR = 1; // and the load generator's

const TICKS = Number(execFileSync('getconf', ['CLK_TCK']));
const running = new Set();

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Whether we may run processes in real time, so that nothing else on the machine delays them. */
export const canRunInRealTime = () => spawnSync('chrt', ['-r', '1', 'true']).status === 0;

/** The words that run a command on one processor. Each becomes the next, so that the pid is the command's. */
export const on = (processor, command, realTime = false) => ['taskset', '-c', String(processor), ...(realTime ? ['chrt', '-r', '1'] : []), ...command.map(String)];

export function start([command, ...words], { env = {}, stdio = ['ignore', 'ignore', 'inherit'] } = {}) {
  const child = spawn(command, words, { env: { ...process.env, ...env }, stdio });
  running.add(child);
  child.ended = new Promise((resolve) => child.once('exit', resolve)).then(() => running.delete(child));
  return child;
}

export async function stop(child) {
  child.kill();
  await child.ended;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill();
    process.exit(1);
  });
}

export const freePort = () =>
  new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const canConnect = (target) =>
  new Promise((resolve) => {
    const socket = net.connect(target, () => resolve(true) || socket.destroy());
    socket.on('error', () => resolve(false));
  });

export async function listening(target) {
  const deadline = Date.now() + 10_000;
  while (!(await canConnect(target))) {
    if (Date.now() > deadline) throw new Error(`nothing listens at ${JSON.stringify(target)}`);
    await sleep(10);
  }
}

const withChildren = (pid) => [pid, ...execFileSync('sh', ['-c', `pgrep -P ${pid} || true`]).toString().split('\n').filter(Boolean)];

/** CPU seconds of a process and its children so far. */
export const cpuSeconds = (pid) =>
  withChildren(pid)
    .map((id) => readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1].split(' '))
    .reduce((sum, fields) => sum + (Number(fields[11]) + Number(fields[12])) / TICKS, 0);

/** Memory of a process and its children, in MB: all that is resident, and the part that is not mapped from files. */
export function memory(pid) {
  const sum = { resident: 0, anonymous: 0 };
  for (const id of withChildren(pid)) {
    const status = readFileSync(`/proc/${id}/status`, 'utf8');
    sum.resident += Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
    sum.anonymous += Number(/RssAnon:\s+(\d+)/.exec(status)[1]) / 1024;
  }
  return sum;
}

/** How many files a process may have open. */
export const fileLimit = () => Number(/Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))[1]);
