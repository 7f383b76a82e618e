// The network between one process and a server: a TCP proxy that can be cut, so that neither side is told. What is cut can be
// resumed, and then everything that was under way arrives, late; or dropped, and then the connections are gone. Or only the answers
// are lost. Both may happen at once: no byte ever passes twice, or out of its order.

import net from 'node:net';

const LOGIN_MS = 100;

export class Wire {
  #pairs = new Set();
  #waiting = []; // connections that came while it was cut
  #cut = false;
  #mute = false;
  #server;

  /** A wire to the unix socket `path`. */
  static async start(path) {
    const wire = new Wire();
    wire.path = path;
    wire.#server = net.createServer((near) => wire.#take(near));
    await new Promise((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    wire.address = `127.0.0.1:${wire.#server.address().port}`;
    return wire;
  }

  #take(near) {
    near.setNoDelay(true);
    near.on('error', () => {});
    if (this.#cut) {
      near.pause();
      this.#waiting.push(near);
      return;
    }
    const far = net.connect({ path: this.path });
    const pair = { near, far };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    far.on('error', end);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('close', end);
      from.pipe(to);
    }
    if (this.#mute) setTimeout(() => this.#silence(pair), LOGIN_MS);
  }

  #silence(pair) {
    pair.silent = true;
    pair.far.unpipe(pair.near);
    pair.far.pause();
  }

  #destroyPairs() {
    for (const { near, far } of [...this.#pairs]) {
      near.destroy();
      far.destroy();
    }
  }

  cut() {
    this.#cut = true;
    for (const pair of this.#pairs) {
      const { near, far } = pair;
      pair.isCut = true;
      near.unpipe(far);
      far.unpipe(near);
      near.pause();
      far.pause();
    }
  }

  resume() {
    this.#cut = false;
    for (const pair of this.#pairs) {
      const { near, far, silent } = pair;
      if (!pair.isCut) continue; // it is younger than the cut, and flows
      pair.isCut = false;
      near.pipe(far);
      if (!silent) far.pipe(near);
    }
    for (const near of this.#waiting.splice(0)) if (!near.destroyed) this.#take(near);
  }

  drop() {
    this.#destroyPairs();
    for (const near of this.#waiting.splice(0)) near.destroy();
    this.#cut = false;
  }

  /** What is sent goes on to the server, and no answer comes back; whoever connects meanwhile gets time to log in and to begin. */
  mute() {
    this.#mute = true;
    for (const pair of this.#pairs) this.#silence(pair);
  }

  /** And then the connections are gone. */
  unmute() {
    this.#mute = false;
    this.#destroyPairs();
  }

  async close() {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
