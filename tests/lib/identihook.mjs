// The real program, as an operator runs it.

import { dirname, join } from 'node:path';

import { Child } from './child.mjs';
import { send } from './http_client.mjs';
import { Journal, before, until } from './wait.mjs';

/** The binary under test. */
export function binary() {
  const path = process.env.IDENTIHOOK_BIN;
  if (!path) throw new Error('IDENTIHOOK_BIN must name the identihook binary: tests/run sets it');
  return path;
}

/** One of tests/programs, which are built beside it. */
export const helper = (name) => join(dirname(binary()), 'programs', name);

/** Only what is given, and what a sanitizer needs: settings of the person at this machine must not leak in. */
export const environment = (settings) => ({
  PATH: process.env.PATH,
  ...(process.env.ASAN_OPTIONS ? { ASAN_OPTIONS: process.env.ASAN_OPTIONS } : {}),
  ...settings,
});

/** Runs a command to its end: { code, signal, stdout, stderr }. */
export async function run(words, settings = {}, { input, within } = {}) {
  const child = new Child(binary(), words, { env: environment(settings), input });
  const end = await before(child.ended, `identihook ${words[0]} to end`, within).catch((error) => {
    child.signal('SIGKILL');
    throw error;
  });
  if (end.error) throw end.error;
  return { ...end, stdout: child.stdout, stderr: child.stderr };
}

/** `identihook serve`. */
export class Identihook {
  /** Log lines, as objects; a line that is no JSON (a sanitizer's, say) is { raw }. */
  logs = new Journal('log lines');

  /**
   * Starts it and waits until it listens and, unless `ready` is false, says that it is ready. `settings` are environment
   * variables; `path` is another binary; `openFiles` limits its file descriptors. `sockets`, each with its descriptor, are passed to it as a service
   * manager does that.
   */
  static async start(settings, { words = [], ready = true, openFiles, within, sockets = [], path = binary() } = {}) {
    const program = new Identihook();
    const limits = openFiles ? ['prlimit', `--nofile=${openFiles}`] : [];
    const activation = sockets.length > 0 ? [helper('activate')] : [];
    const [command, ...rest] = [...limits, ...activation, path, 'serve', ...words];
    program.child = new Child(command, rest, {
      env: environment({
        IDENTIHOOK_LOG_FORMAT: 'json',
        ...(sockets.length > 0 && { LISTEN_FDS: String(sockets.length) }),
        ...settings,
      }),
      descriptors: sockets.map(({ descriptor }) => descriptor),
      onLine: (line) => program.#log(line),
    });
    program.child.ended.then((end) => {
      program.logs.end(new Error(`identihook serve ended with ${JSON.stringify(end)}:\n${program.child.stderr}`));
    });
    const role = words.includes('--role') ? words[words.indexOf('--role') + 1] : 'all';
    try {
      program.admin = await program.#listens('admin', within);
      if (role !== 'worker') {
        program.url = `${await program.#listens('webhook', within)}${settings.IDENTIHOOK_WEBHOOK_PATH ?? '/webhook'}`;
      }
      if (ready) await until(async () => (await program.look('/readyz')).status === 200, 'readiness', within);
    } catch (error) {
      await program.kill(); // nobody else knows of it
      throw error;
    }
    return program;
  }

  async #listens(listener, within) {
    const fits = (log) => log.message === 'listening' && log.listener === listener;
    return `http://${(await this.logs.first(fits, `the ${listener} listener`, within)).address}`;
  }

  get pid() {
    return this.child.pid;
  }

  #log(line) {
    try {
      this.logs.add(JSON.parse(line));
    } catch {
      this.logs.add({ raw: line });
    }
  }

  /** SIGTERM, and its end: { code, signal }. */
  stop(within) {
    return this.child.stop('SIGTERM', within);
  }

  /** SIGKILL: it can do nothing about it. */
  kill() {
    this.killed = true;
    return this.child.stop('SIGKILL');
  }

  freeze() {
    this.child.signal('SIGSTOP');
  }

  thaw() {
    this.child.signal('SIGCONT');
  }

  /** GET on the admin listener. */
  look(path) {
    return send(`${this.admin}${path}`);
  }

  /** What /readyz says. */
  async readiness() {
    return (await this.look('/readyz')).json;
  }

  /** The figure `identihook_NAME` of /metrics; NAME may have labels. */
  async metric(name) {
    const { text } = await this.look('/metrics');
    const line = text.split('\n').find((one) => one.startsWith(`identihook_${name} `));
    return Number(line.split(' ')[1]);
  }
}
