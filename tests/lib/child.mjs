// A program that we start, and that never outlives us.

import { spawn } from 'node:child_process';

import { before } from './wait.mjs';

const running = new Set();

process.on('exit', () => {
  for (const child of running) child.signal('SIGKILL');
});
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
]) {
  process.on(signal, () => {
    if (process.listenerCount(signal) === 1) process.exit(128 + number); // else somebody else decides
  });
}

export class Child {
  stdout = '';
  stderr = '';

  /**
   * In a process group of its own, so that a Ctrl-C reaches us alone and we end it in our order. It finds `descriptors`
   * of ours as 3 and up.
   */
  constructor(command, words, { env = process.env, cwd, input, onLine, descriptors = [] } = {}) {
    this.command = command;
    this.process = spawn(command, words, { env, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe', ...descriptors] });
    this.process.stdin.on('error', () => {}); // it need not read its input
    this.process.stdin.end(input);
    this.process.stdout.setEncoding('utf8').on('data', (data) => (this.stdout += data));
    let rest = '';
    this.process.stderr.setEncoding('utf8').on('data', (data) => {
      this.stderr += data;
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      for (const line of lines) onLine?.(line);
    });
    running.add(this);
    /** { code, signal }; for a program that cannot be started, { error }. */
    this.ended = new Promise((resolve) => {
      this.process.once('error', (error) => resolve({ error }));
      this.process.once('close', (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      running.delete(this);
      this.end = end;
      return end;
    });
  }

  get pid() {
    return this.process.pid;
  }

  get isRunning() {
    return this.end === undefined;
  }

  signal(name) {
    return this.process.kill(name);
  }

  /** Sends `signal` and waits for the end. */
  async stop(signal = 'SIGTERM', within = undefined) {
    this.signal(signal);
    return before(this.ended, `${this.command} to end after ${signal}`, within);
  }
}
