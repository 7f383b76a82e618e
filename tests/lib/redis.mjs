// A Redis server of our own: a unix socket in a new folder, append-only, every write on disk before it is confirmed. It
// can be stopped, killed, frozen and started again on the same data.

import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { Child } from './child.mjs';
import { Journal, pause, until } from './wait.mjs';

const isThere = (program) => process.env.PATH.split(delimiter).some((folder) => existsSync(join(folder, program)));

/** The server's program: what REDIS_SERVER says, else Redis, else Valkey. */
export const redisProgram =
  process.env.REDIS_SERVER || ['redis-server', 'valkey-server'].find(isThere) || 'redis-server';

// ---- the protocol (RESP2)

/** [value, end of it], or null when it is not all there. Errors come as Error objects. */
function parse(buffer, at) {
  const end = buffer.indexOf('\r\n', at);
  if (end < 0) return null;
  const line = buffer.toString('utf8', at + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(buffer[at])) {
    case '+':
      return [line, next];
    case '-':
      return [new Error(line), next];
    case ':':
      return [Number(line), next];
    case '$': {
      const length = Number(line);
      if (length < 0) return [null, next];
      return buffer.length < next + length + 2
        ? null
        : [buffer.toString('utf8', next, next + length), next + length + 2];
    }
    default: {
      const values = Number(line) < 0 ? null : [];
      let from = next;
      for (let i = 0; i < Number(line); i++) {
        const item = parse(buffer, from);
        if (!item) return null;
        values.push(item[0]);
        from = item[1];
      }
      return [values, from];
    }
  }
}

const encode = (words) =>
  `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`).join('')}`;

/** One connection. */
export class RedisClient {
  #socket;
  #waiting = [];
  #received = Buffer.alloc(0);

  /** `where` is a socket's path, or { host, port }. */
  static async connect(where) {
    const client = new RedisClient();
    client.#socket = net.connect(typeof where === 'string' ? { path: where } : where);
    client.#socket.on('data', (data) => client.#read(data));
    client.#socket.on('close', () => client.#fail(new Error('the connection to Redis is closed')));
    await new Promise((resolve, reject) => {
      client.#socket.once('connect', resolve);
      client.#socket.on('error', reject);
    });
    return client;
  }

  get open() {
    return !this.#socket.destroyed;
  }

  call(...words) {
    return new Promise((resolve, reject) => {
      if (!this.open) return reject(new Error('the connection to Redis is closed'));
      this.#waiting.push({ resolve, reject });
      this.#socket.write(encode(words));
    });
  }

  close() {
    this.#socket.destroy();
  }

  #read(data) {
    this.#received = Buffer.concat([this.#received, data]);
    for (let item; this.#received.length > 0 && (item = parse(this.#received, 0));) {
      this.#received = this.#received.subarray(item[1]);
      const { resolve, reject } = this.#waiting.shift();
      if (item[0] instanceof Error) reject(item[0]);
      else resolve(item[0]);
    }
  }

  #fail(error) {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

/** ['a', '1', 'b', '2'] -> { a: '1', b: '2' } */
export const pairs = (list) =>
  Object.fromEntries(Array.from({ length: (list ?? []).length / 2 }, (_, i) => [list[2 * i], list[2 * i + 1]]));

const entryOf = ([id, fields]) => ({ id, ...pairs(fields) });

/** A port of 127.0.0.1 that nobody has now. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

// ---- following a stream

/** Reads a stream from its beginning into a journal, through restarts of the server. */
class Follower {
  #client;
  #stopped = false;

  constructor(where, key) {
    this.journal = new Journal(key);
    this.done = this.#run(where, key);
  }

  async #run(where, key) {
    for (let last = '0'; !this.#stopped;) {
      try {
        this.#client ??= await RedisClient.connect(where);
        const streams = await this.#client.call('XREAD', 'COUNT', 1000, 'BLOCK', 1000, 'STREAMS', key, last);
        for (const entry of streams?.[0]?.[1] ?? []) {
          last = entry[0];
          this.journal.add(entryOf(entry));
        }
      } catch {
        this.#client?.close();
        this.#client = undefined;
        if (!this.#stopped) await pause(20);
      }
    }
  }

  stop() {
    this.#stopped = true;
    this.#client?.close();
    return this.done;
  }
}

// ---- the server

export class RedisServer {
  #process;
  #client;
  #followers = new Set();

  /** `settings` of redis.conf over the usual ones. */
  static async start(settings = {}) {
    const server = new RedisServer();
    server.folder = await mkdtemp(join(tmpdir(), 'identihook-'));
    await chmod(server.folder, 0o711); // the program may run as another user, as it does in a container
    server.socket = join(server.folder, 'redis.sock');
    server.url = `unix://${server.socket}?db=0`;
    server.settings = {
      port: 0,
      unixsocket: server.socket,
      unixsocketperm: 777,
      dir: server.folder,
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
      'repl-diskless-sync-delay': 0, // a replica need not wait for others to join it
      'maxmemory-policy': 'noeviction',
      ...settings,
    };
    await server.start();
    return server;
  }

  /** Starts it (again), with `settings` for this time; unless `ready` is false, waits until it answers. */
  async start({ settings = {}, ready = true } = {}) {
    const words = Object.entries({ ...this.settings, ...settings }).flatMap(([name, value]) => [
      `--${name}`,
      ...[value].flat().map(String),
    ]);
    this.#process = new Child(redisProgram, words);
    if (!ready) return;
    await until(async () => {
      if (!this.#process.isRunning)
        throw new Error(`${redisProgram} does not start: ${this.#process.stdout}${this.#process.end.error ?? ''}`);
      return this.call('PING').catch(() => null);
    }, `${redisProgram} to answer`);
  }

  get pid() {
    return this.#process.pid;
  }

  /** Lets it listen on a port, too, that was free a moment ago; gives [host, port]. */
  async listen() {
    for (;;) {
      const port = await freePort();
      const set = await this.call('CONFIG', 'SET', 'port', port).catch(() => null); // taken meanwhile
      if (set) return ['127.0.0.1', port];
    }
  }

  /** One command on a connection that is made anew when it is lost. */
  async call(...words) {
    if (!this.#client?.open) this.#client = await RedisClient.connect(this.socket);
    return this.#client.call(...words);
  }

  /** One command on a connection of its own, as when the first one is blocked. */
  async another(...words) {
    const client = await RedisClient.connect(this.socket);
    return client.call(...words).finally(() => client.close());
  }

  async entries(key) {
    return (await this.call('XRANGE', key, '-', '+')).map(entryOf);
  }

  async hash(key) {
    return pairs(await this.call('HGETALL', key));
  }

  /** Every key with its whole value, as one text; a stream's entries each on a line of their own. */
  async dump() {
    const read = {
      string: (name) => this.call('GET', name),
      hash: (name) => this.call('HGETALL', name),
      zset: (name) => this.call('ZRANGE', name, 0, -1, 'WITHSCORES'),
      stream: (name) => this.call('XRANGE', name, '-', '+'),
      list: (name) => this.call('LRANGE', name, 0, -1),
      set: (name) => this.call('SMEMBERS', name),
    };
    const lines = [];
    for (const name of (await this.call('KEYS', '*')).sort()) {
      const type = await this.call('TYPE', name);
      const value = await read[type]?.(name);
      for (const part of type === 'stream' ? value : [value]) lines.push(`${name} ${JSON.stringify(part)}`);
    }
    return lines.join('\n');
  }

  /** The journal of a stream's entries, from the first on. */
  follow(key) {
    const follower = new Follower(this.socket, key);
    this.#followers.add(follower);
    return follower.journal;
  }

  /** Ends it in order. */
  async stop() {
    await this.#end('SIGTERM');
  }

  async kill() {
    await this.#end('SIGKILL');
  }

  /** SIGKILL, and started again with nothing of what it had. */
  async restartEmpty() {
    await this.kill();
    await rm(join(this.folder, 'appendonlydir'), { recursive: true, force: true });
    await rm(join(this.folder, 'appendonly.aof'), { force: true });
    await this.start();
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  /** Freezes it: it accepts connections and answers nothing. */
  freeze() {
    this.#process.signal('SIGSTOP');
  }

  thaw() {
    this.#process.signal('SIGCONT');
  }

  async #end(signal) {
    this.#client?.close();
    this.#client = undefined;
    this.thaw();
    // A new replica that writes its first file does not end when it is told to, and forgets that it was.
    const again = setInterval(() => this.#process.signal(signal), 500);
    await this.#process.stop(signal).finally(() => clearInterval(again));
  }

  /** Ends it and removes its data. */
  async close() {
    const followers = [...this.#followers].map((follower) => follower.stop());
    await this.#end('SIGTERM');
    await Promise.all(followers);
    await rm(this.folder, { recursive: true, force: true });
  }
}
