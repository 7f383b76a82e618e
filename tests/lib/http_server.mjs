// An HTTP server on a free port of 127.0.0.1 that answers as it is told: what the stand-ins have in common.

import { randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';

/**
 * @typedef {object} Fault  What happens to a request instead of its answer, or before it.
 * @property {number}  [times]   to how many requests (1); Infinity for all
 * @property {(request: object) => boolean} [when]   to which requests only
 * @property {number}  [delay]   ms before anything happens; alone: a slow answer
 * @property {number}  [status]  answer this
 * @property {object}  [headers] with these
 * @property {string|object} [body]  and this; an object is sent as JSON
 * @property {boolean} [late]    do what was asked, and only then all this
 * @property {boolean} [hang]    never answer
 * @property {boolean} [close]   close the connection without an answer
 * @property {boolean} [reset]   reset it
 * @property {boolean} [cut]     begin an answer, and close in its middle
 * @property {boolean} [garbage] answer something that is not HTTP
 */

const readBody = async (request) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
};

export class HttpServer {
  #faults = [];
  #gates = [];
  #server;

  /**
   * `answer(request)` gives { status, headers, body } for a request { method, path, query, headers, body }. `tls`: as
   * for https.createServer().
   */
  constructor(answer, tls) {
    this.answer = answer;
    this.secure = tls !== undefined;
    const take = (request, response) => this.#take(request, response);
    this.#server = tls ? https.createServer(tls, take) : http.createServer(take);
    this.#server.keepAliveTimeout = 60_000;
  }

  async listen(port = 0, host = '127.0.0.1') {
    await new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, resolve);
    });
    this.url = `${this.secure ? 'https' : 'http'}://${host}:${this.#server.address().port}`;
  }

  async close() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** @param {Fault} fault */
  fail(fault) {
    this.#faults.push({ times: 1, when: () => true, ...fault });
  }

  recover() {
    this.#faults = [];
  }

  /**
   * Holds requests back: each that fits waits, already recorded, until release() is called. What is released was held
   * exactly at the point where its sender can do nothing but wait.
   */
  hold(when = () => true) {
    let release;
    const gate = { when, open: new Promise((resolve) => (release = resolve)) };
    this.#gates.push(gate);
    return () => {
      this.#gates = this.#gates.filter((other) => other !== gate);
      release();
    };
  }

  async #take(raw, response) {
    try {
      const target = new URL(raw.url, 'http://stand-in');
      const body = await readBody(raw);
      const request = {
        method: raw.method,
        path: target.pathname,
        query: target.searchParams,
        headers: raw.headers,
        body,
        at: Date.now(),
      };
      this.onRequest?.(request);
      response.once('close', () => this.#end(request)); // also when its sender is gone
      for (const gate of this.#gates) if (gate.when(request)) await gate.open;
      const fault = this.#faults.find((one) => one.times > 0 && one.when(request));
      if (fault) {
        fault.times--;
        request.fault = fault;
        if (fault.late) await this.answer(request);
        if (await this.#apply(fault, raw.socket, response, request)) return;
      }
      const answer = await this.answer(request);
      if (!response.destroyed) this.#send(response, answer, request);
    } catch (error) {
      if (!raw.destroyed)
        this.#send(response, { status: 500, body: { error: { type: 'api_error', message: String(error) } } });
    }
  }

  /** The request has had its answer, or never will: `onEnd` is told once, before a byte of the answer is sent. */
  #end(request) {
    if (request.ended) return;
    request.ended = Date.now();
    this.onEnd?.(request);
  }

  /** True when the fault has dealt with the request. */
  async #apply(fault, socket, response, request) {
    if (fault.delay) await new Promise((resolve) => setTimeout(resolve, fault.delay));
    if (fault.hang) return true;
    if (!fault.status && !(fault.close || fault.reset || fault.garbage || fault.cut)) return false;
    this.#end(request);
    if (fault.close) return (socket.end(), true);
    if (fault.reset) return (socket.resetAndDestroy(), true);
    if (fault.garbage) return (socket.end(randomBytes(64)), true);
    if (fault.cut)
      return (
        socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{"id":"vs_'),
        true
      );
    const body = fault.body ?? this.faultBody?.(fault.status) ?? '';
    this.#send(response, { status: fault.status, headers: fault.headers, body }, request);
    return true;
  }

  #send(response, { status, headers = {}, body = '' }, request) {
    if (request) {
      request.status = status;
      this.#end(request);
    }
    const json = typeof body === 'object' && !Buffer.isBuffer(body);
    const bytes = json ? `${JSON.stringify(body, null, 2)}\n` : body;
    const always = { ...(json ? { 'Content-Type': 'application/json' } : {}), ...this.headers?.() };
    response.writeHead(status, { ...always, 'Content-Length': Buffer.byteLength(bytes), ...headers });
    response.end(bytes);
  }
}
