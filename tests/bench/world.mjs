// What is measured: Redis, and the servers, each on a free port. One world serves one part; closing it ends all of it.

import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { REDIS_PROCESSOR, SERVER_PROCESSOR, freePort, listening, on, start, stop } from './process.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const SECRET = 'whsec_bench';
const CONNECTIONS = 64;

export const TITLES = {
  nginx: 'nginx, which only reads the body',
  fastify: 'fastify',
  go: 'Go, net/http',
  identihook: 'identihook',
  manyLoops: 'identihook, 4 loops',
};

/** The servers that each part compares, identihook last; Go's only if it could be built. */
export const serversOf = (build) => ['nginx', 'fastify', ...(existsSync(join(build, 'redigo')) ? ['go'] : []), 'identihook'];

export class World {
  /** build: the folder with identihook, load, and perhaps redigo. */
  constructor(build) {
    this.build = build;
    this.names = serversOf(build);
    this.folder = mkdtempSync(join(tmpdir(), 'identihook-bench-'));
    this.socket = join(this.folder, 'redis.sock');
    this.servers = {};
    this.ports = {};
  }

  async open({ appendfsync = null, names = this.names, tls = false, realTime = false } = {}) {
    this.realTime = realTime;
    for (const name of Object.keys(TITLES)) this.ports[name] = await freePort();
    if (tls) this.#makeCertificate();
    await this.#startRedis(appendfsync);
    for (const name of names) await this.startServer(name, tls);
    return this;
  }

  async close() {
    for (const name of Object.keys(this.servers)) await this.stopServer(name);
    if (this.redis) await stop(this.redis);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async startServer(name, tls = false) {
    const { command, env } = this.command(name, tls);
    this.servers[name] = start(on(SERVER_PROCESSOR, command, this.realTime), { env });
    await listening({ port: this.ports[name], host: '127.0.0.1' });
  }

  async stopServer(name) {
    await stop(this.servers[name]);
    delete this.servers[name];
  }

  emptyRedis() {
    execFileSync('redis-cli', ['-s', this.socket, 'flushall']);
  }

  /** 64 connections, keep-alive; with a rate, at that many events a second. */
  load(name, requests, ...rateAndMode) {
    const result = this.#run(['127.0.0.1', this.ports[name], '/webhook', CONNECTIONS, requests, ...rateAndMode]);
    if (rateAndMode[1] !== 'bad' && result.ok !== result.requests) throw new Error(`${name}: ${result.requests - result.ok} answers are not 200`);
    return result;
  }

  /** Connections that made one request each, and then are idle until the returned function is called. */
  async idle(name, connections, ...mode) {
    const words = ['idle', '127.0.0.1', this.ports[name], '/webhook', connections, ...mode];
    const loader = start(this.#loader(words), { env: { STRIPE_WEBHOOK_SECRET: SECRET }, stdio: ['pipe', 'pipe', 'inherit'] });
    await Promise.race([
      new Promise((resolve) => loader.stdout.once('data', resolve)),
      loader.ended.then(() => Promise.reject(new Error(`${name} did not take ${connections} connections`))),
    ]);
    return () => loader.stdin.end() && loader.ended;
  }

  /** Milliseconds from a server's fork to its first 200. */
  startTime(name) {
    const { command, env } = this.command(name);
    return this.#run(['start', SERVER_PROCESSOR, '127.0.0.1', this.ports[name], '/webhook', ...command], env).start_ms;
  }

  /** What Stripe and the onboarding service are for the worker; it has a certificate only in a world with TLS. */
  async startUpstream(delayMs) {
    this.ports.upstream = await freePort();
    const { key: KEY, certificate: CERTIFICATE } = this.tls;
    const env = { PORT: String(this.ports.upstream), KEY, CERTIFICATE, DELAY_MS: String(delayMs) };
    this.servers.upstream = start(on(REDIS_PROCESSOR, [process.execPath, join(here, 'upstream.mjs')]), { env });
    await listening({ port: this.ports.upstream, host: '127.0.0.1' });
  }

  get #upstream() {
    return `https://localhost:${this.ports.upstream}`;
  }

  /** Carries the queued events to their outcome. */
  startWorker(concurrency) {
    const settings = {
      STRIPE_SECRET_KEY: 'sk_test_bench',
      STRIPE_API_BASE: this.#upstream,
      SSL_CERT_FILE: this.tls.certificate,
      IDENTIHOOK_STRIPE_RATE: '100000/s',
      IDENTIHOOK_CONCURRENCY: String(concurrency),
      IDENTIHOOK_ONBOARDING_URL: `${this.#upstream}/onboarding`,
      IDENTIHOOK_ONBOARDING_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    };
    const env = { ...this.#identihookSettings('identihook', false), ...settings };
    this.servers.worker = start(on(SERVER_PROCESSOR, [join(this.build, 'identihook'), 'serve', '--role', 'worker']), { env });
    return this.servers.worker;
  }

  outcomes() {
    return Number(execFileSync('redis-cli', ['-s', this.socket, 'xlen', '{identihook}:outcomes']));
  }

  /** Fetches as many sessions with Node's own client. */
  async undici(count, concurrency) {
    const env = { ...process.env, URL: this.#upstream, COUNT: count, CONCURRENCY: concurrency, NODE_EXTRA_CA_CERTS: this.tls.certificate };
    const [command, ...words] = on(SERVER_PROCESSOR, [process.execPath, join(here, 'undici.mjs')]);
    const { stdout } = await promisify(execFile)(command, words, { env });
    return JSON.parse(stdout);
  }

  #loader(words) {
    return on(REDIS_PROCESSOR, [join(this.build, 'load'), ...words], this.realTime);
  }

  #run(words, env = {}) {
    const options = { env: { ...process.env, STRIPE_WEBHOOK_SECRET: SECRET, ...env }, stdio: ['ignore', 'pipe', 'inherit'] };
    const [command, ...rest] = this.#loader(words);
    return JSON.parse(execFileSync(command, rest, options));
  }

  async #startRedis(appendfsync) {
    const persistence = appendfsync
      ? ['--appendonly', 'yes', '--appendfsync', appendfsync, '--auto-aof-rewrite-percentage', '0', '--dir', this.folder]
      : ['--appendonly', 'no'];
    const words = ['--port', '0', '--unixsocket', this.socket, '--save', '', '--logfile', join(this.folder, 'redis.log'), ...persistence];
    this.redis = start(on(REDIS_PROCESSOR, ['redis-server', ...words], this.realTime));
    await listening({ path: this.socket });
  }

  #makeCertificate() {
    const [key, certificate] = [join(this.folder, 'key.pem'), join(this.folder, 'certificate.pem')];
    const words = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
    execFileSync('openssl', ['req', '-x509', ...words], { stdio: 'ignore' });
    this.tls = { key, certificate };
  }

  /** How a server is started: with everything that its users have, and limits that 10,000 connections do not meet. */
  command(name, tls = false) {
    const env = { PORT: String(this.ports[name]), REDIS_SOCKET: this.socket, STRIPE_WEBHOOK_SECRET: SECRET, NODE_ENV: 'production' };
    switch (name) {
      case 'nginx':
        return { command: ['nginx', '-c', this.#nginxConfiguration(tls), '-p', this.folder], env };
      case 'fastify':
        return { command: [process.execPath, join(here, 'fastify.mjs')], env };
      case 'go':
        return { command: [join(this.build, 'redigo')], env };
      default:
        return { command: [join(this.build, 'identihook'), 'serve', '--role', 'ingest'], env: this.#identihookSettings(name, tls) };
    }
  }

  #nginxConfiguration(tls) {
    const file = join(this.folder, 'nginx.conf');
    const certificate = tls ? `ssl_certificate ${this.tls.certificate}; ssl_certificate_key ${this.tls.key};` : '';
    writeFileSync(
      file,
      `worker_processes 1; daemon off; pid ${this.folder}/nginx.pid; error_log ${this.folder}/nginx.log;
       events { worker_connections 12000; }
       http { access_log off; keepalive_requests 1000000000; keepalive_timeout 10m; client_body_buffer_size 64k;
         default_type application/json; ${certificate}
         server { listen 127.0.0.1:${this.ports.nginx}${tls ? ' ssl' : ''};
           location / { return 200 '{"received":true,"duplicate":false}'; } } }`,
    );
    return file;
  }

  #identihookSettings(name, tls) {
    return {
      STRIPE_WEBHOOK_SECRET: SECRET,
      REDIS_URL: `unix://${this.socket}`,
      IDENTIHOOK_LOOPS: name === 'manyLoops' ? '4' : '1',
      IDENTIHOOK_LISTEN: `127.0.0.1:${this.ports[name]}`,
      IDENTIHOOK_ADMIN_LISTEN: '127.0.0.1:0',
      IDENTIHOOK_LOG_LEVEL: 'error',
      IDENTIHOOK_MAX_CONNECTIONS: '12000',
      IDENTIHOOK_IDLE_TIMEOUT: '10m',
      ...(tls ? { IDENTIHOOK_TLS_CERT: this.tls.certificate, IDENTIHOOK_TLS_KEY: this.tls.key } : {}),
    };
  }
}
