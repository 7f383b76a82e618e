// A TCP proxy in front of a server, which can fall silent as a cut network does: without a word to either side.

import net from 'node:net';

export class Proxy {
  #server;
  #pairs = new Set();
  #silent = false;

  /** Passes connections on to `target`: a socket's path, or { host, port }. */
  static async start(target, { host = '127.0.0.1', port = 0 } = {}) {
    const proxy = new Proxy();
    proxy.target = target;
    proxy.#server = net.createServer({ allowHalfOpen: true }, (client) => proxy.#join(client));
    await new Promise((resolve, reject) => {
      proxy.#server.once('error', reject).listen(port, host, resolve);
    });
    proxy.port = proxy.#server.address().port;
    return proxy;
  }

  #join(client) {
    const pair = { client };
    this.#pairs.add(pair);
    const end = () => {
      if (pair.silent) return;
      this.#pairs.delete(pair);
      client.destroy();
      pair.server?.destroy();
    };
    client.on('error', end).on('close', end).on('end', end);
    if (this.#silent) {
      pair.silent = true; // accepted by the kernel, as it were, and never served
      client.pause();
      return;
    }
    pair.server = net.connect(typeof this.target === 'string' ? { path: this.target } : this.target);
    pair.server.on('error', end).on('close', end).on('end', end);
    client.on('data', (data) => pair.silent || pair.server.write(data));
    pair.server.on('data', (data) => pair.silent || client.write(data));
  }

  /** From now on nothing passes, and nobody is told; what connects is accepted and hears nothing. */
  cut() {
    this.#silent = true;
    for (const pair of this.#pairs) pair.silent = true;
  }

  /** New connections pass again; the old ones stay dead. */
  mend() {
    this.#silent = false;
  }

  close() {
    this.#server.close();
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server?.destroy();
    }
  }
}
