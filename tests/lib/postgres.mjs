// A PostgreSQL cluster of our own, on a unix socket in a new folder; databases in it, each with a user of its own. It can be
// stopped, crashed, frozen and started again on the same data.

import { execFileSync } from 'node:child_process';
import { chown, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pg from 'pg';

import { Child } from './child.mjs';
import { freePort } from './http_client.mjs';
import { token } from './stripe_api.mjs';
import { Journal, before, until } from './wait.mjs';

const FOLDER = '/usr/lib/postgresql';

const INITDB = ['-U', 'postgres', '-A', 'trust', '--no-sync', '--no-locale', '-E', 'UTF8'];
const HBA = `local all postgres trust
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
`;

/** PostgreSQL refuses to run as root. */
const AS_USER =
  process.getuid() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups', '--'] : [];

/** Gives a path to the user that PostgreSQL runs as. */
async function own(path) {
  if (AS_USER.length === 0) return;
  const [uid, gid] = ['-u', '-g'].map((what) => Number(execFileSync('id', [what, 'postgres'])));
  await chown(path, uid, gid);
}

async function programs() {
  const versions = (await readdir(FOLDER)).map(Number).filter(Boolean);
  return join(FOLDER, String(Math.max(...versions)), 'bin');
}

/** One database, with a user who owns it. */
class Database {
  #clients = [];

  constructor(cluster, name, password) {
    Object.assign(this, { cluster, name, password });
    this.url = cluster.url(name, password, name);
  }

  async #connect() {
    const client = await this.cluster.connect(this.name);
    this.#clients.push(client);
    return client;
  }

  /** Rows, as objects. A connection for each: the server may have been restarted. */
  async rows(text, values) {
    const client = await this.cluster.connect(this.name);
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  /** A client that stays, for transactions; ended with the database's cluster. */
  client() {
    return this.#connect();
  }

  /** The journal of notifications. */
  async listen(channel) {
    const client = await this.#connect();
    const journal = new Journal(`notifications of ${channel}`);
    client.on('notification', ({ payload }) => journal.add(JSON.parse(payload)));
    await client.query(`LISTEN ${channel}`);
    return journal;
  }

  /** All of it, as one text: every row of every table. */
  async dump() {
    const tables = await this.rows(
      `SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const texts = await Promise.all(tables.map(({ name }) => this.rows(`SELECT t::text AS row FROM ${name} t`)));
    return texts
      .flat()
      .map(({ row }) => row)
      .join('\n');
  }

  async close() {
    await Promise.allSettled(this.#clients.map((client) => client.end()));
  }
}

export class Postgres {
  port = 5432; // without `tcp` only a part of the socket's name
  #databases = [];

  /** `tcp`: it listens on 127.0.0.1, too. `tls`: { cert, key }, PEM. `settings`: of postgresql.conf. */
  static async start({ tcp = false, tls, settings = {} } = {}) {
    const cluster = new Postgres();
    cluster.folder = await mkdtemp(join(tmpdir(), 'identihook-pg-'));
    cluster.data = join(cluster.folder, 'data');
    cluster.bin = await programs();
    if (tcp) cluster.port = await freePort();
    cluster.settings = {
      unix_socket_directories: cluster.folder,
      listen_addresses: tcp ? '127.0.0.1' : '',
      port: cluster.port,
      max_connections: 200,
      ...(tls && { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' }),
      ...settings,
    };
    await own(cluster.folder);
    const end = await before(cluster.#child('initdb', ...INITDB, '-D', cluster.data).ended, 'initdb to end');
    if (end.code !== 0) throw new Error(`initdb fails: ${JSON.stringify(end)}`);
    await writeFile(join(cluster.data, 'pg_hba.conf'), HBA);
    for (const [name, content] of tls ? Object.entries({ crt: tls.cert, key: tls.key }) : []) {
      const path = join(cluster.data, `server.${name}`);
      await writeFile(path, content, { mode: 0o600 });
      await own(path);
    }
    await cluster.start();
    return cluster;
  }

  #child(program, ...words) {
    const [command, ...rest] = [...AS_USER, join(this.bin, program), ...words];
    return new Child(command, rest, { cwd: this.folder, env: { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' } });
  }

  async start() {
    const settings = Object.entries(this.settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    this.process = this.#child('postgres', '-D', this.data, ...settings);
    await until(async () => {
      if (!this.process.isRunning) throw new Error(`postgres does not start: ${this.process.stderr}`);
      return this.connect('postgres')
        .then((client) => client.end())
        .then(() => true)
        .catch(() => false);
    }, 'postgres to answer');
  }

  /** The path of its socket. */
  get socket() {
    return join(this.folder, `.s.PGSQL.${this.port}`);
  }

  /** As the superuser. */
  async connect(database) {
    const client = new pg.Client({ host: this.folder, port: this.port, user: 'postgres', database });
    client.on('error', () => {}); // the server may be stopped under it
    await client.connect();
    return client;
  }

  /** As others connect: over the socket, or to `host` over TCP. */
  url(user, password, database, { host, query = {} } = {}) {
    const options = new URLSearchParams({ ...(!host && { host: this.folder, port: this.port }), ...query });
    return `postgresql://${user}:${password}@${host ? `${host}:${this.port}` : ''}/${database}?${options}`;
  }

  /** A new, empty database and its user. */
  async database() {
    const name = `app_${token(8).toLowerCase()}`;
    const database = new Database(this, name, `pw_${token(16)}`);
    const client = await this.connect('postgres');
    await client.query(`CREATE ROLE ${name} LOGIN PASSWORD '${database.password}'`);
    await client.query(`CREATE DATABASE ${name} OWNER ${name}`);
    await client.end();
    this.#databases.push(database);
    return database;
  }

  /** Ends it in order, with its clients' connections. */
  async stop() {
    this.thaw();
    await this.process.stop('SIGINT');
  }

  /** Ends it without order: it recovers when it starts. */
  async crash() {
    await this.process.stop('SIGQUIT');
  }

  async restart() {
    await this.stop();
    await this.start();
  }

  /** Freezes the server itself: connections are taken by the kernel, and nothing is answered. */
  freeze() {
    this.process.signal('SIGSTOP');
  }

  thaw() {
    this.process.signal('SIGCONT');
  }

  /** Freezes it with all that it has begun, so that connections that are open get no answer either. Gives the way back. */
  async freezeAll() {
    const { pid } = this.process;
    this.freeze(); // first: it begins nothing more
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number);
    const tell = (signal) => {
      for (const child of children) {
        try {
          process.kill(child, signal);
        } catch {
          // it has ended
        }
      }
    };
    tell('SIGSTOP');
    return () => {
      tell('SIGCONT');
      this.thaw();
    };
  }

  async close() {
    await Promise.allSettled(this.#databases.map((database) => database.close()));
    await this.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
