// Many clients at once: a crowd that means no good, and an honest one in its midst.

import assert from 'node:assert/strict';
import net from 'node:net';

import { before, pause } from './wait.mjs';
import { composeEvent } from './world.mjs';

/** Connections that send what they are told, take what comes, and count both. */
export class Crowd {
  members = [];
  #dripping;

  /**
   * @param {import('node:test').TestContext} t  the test at whose end the crowd leaves
   * @param {string} url  of the listener
   * @param {number} count  how many
   * @param {object} [options]
   * @param {() => string} [options.bytes]  what each sends once it is connected
   * @param {boolean} [options.shut]  whether it then shuts its side
   * @param {string} [options.from]   the local address that they come from
   */
  constructor(t, url, count, { bytes = () => '', shut = false, from } = {}) {
    const { hostname, port } = new URL(url);
    this.target = { host: hostname, port: Number(port), localAddress: from, allowHalfOpen: shut };
    t.after(() => this.leave());
    for (let i = 0; i < count; i++) this.members.push(this.#join(bytes(), shut));
  }

  #join(bytes, shut) {
    const member = { received: '', gone: false, began: Date.now() };
    member.socket = net.connect(this.target, () => {
      member.began = Date.now();
      member.socket.write(bytes);
      if (shut) member.socket.end();
    });
    member.socket
      .setEncoding('latin1')
      .on('data', (data) => (member.received += data))
      .on('error', () => {})
      .on('close', () => Object.assign(member, { gone: true, lived: Date.now() - member.began }));
    return member;
  }

  get sockets() {
    return this.members.map(({ socket }) => socket);
  }

  get open() {
    return this.members.filter(({ gone }) => !gone).length;
  }

  /** How many were answered so first. */
  answered(status) {
    return this.members.filter(({ received }) => received.startsWith(`HTTP/1.1 ${status} `)).length;
  }

  /** Lets each send `bytes` again and again, every `ms`. */
  drip(bytes, ms) {
    this.#dripping = setInterval(() => {
      for (const { socket } of this.members) if (socket.writable && !socket.connecting) socket.write(bytes);
    }, ms).unref();
  }

  /** Resets every connection: no farewell, and unsent bytes are lost. */
  reset() {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  leave() {
    clearInterval(this.#dripping);
    for (const socket of this.sockets) socket.destroy();
  }
}

/** Delivers one signed event after the other, until one is not answered 200, or it is told to stop. */
export class HonestClient {
  answers = [];
  #stopped = false;

  constructor(world, options = {}) {
    this.done = this.#run(world, options);
  }

  async #run(world, options) {
    while (!this.#stopped) {
      const started = Date.now();
      const delivery = before(world.deliver(composeEvent('verified'), options), 'an answer');
      const { status } = await delivery.catch(({ message }) => ({ status: message }));
      this.answers.push({ status, ms: Date.now() - started });
      this.#stopped ||= status !== 200;
      await pause(20);
    }
  }

  /** Ends it, and asserts that each event was answered 200 within `ms`. */
  async assertServed(ms = 5000) {
    this.#stopped = true;
    await this.done;
    assert.ok(this.answers.length > 0);
    for (const answer of this.answers) assert.ok(answer.status === 200 && answer.ms < ms, JSON.stringify(answer));
  }
}
