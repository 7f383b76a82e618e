// A service manager's side: sockets that are passed on, and an ear for what the program tells.

import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Child } from './child.mjs';
import { helper } from './identihook.mjs';
import { Journal, before } from './wait.mjs';

/** A TCP socket that we hold and never accept from, until the end of the test. */
export class HeldSocket {
  static async open(t, { listens = true } = {}) {
    const held = new HeldSocket();
    // What net.Server makes, but bound only: a server that listens would accept as well.
    held.handle = net._createServerHandle('127.0.0.1', 0, 4);
    if (typeof held.handle === 'number') throw new Error(`no socket could be bound: ${held.handle}`);
    t.after(() => held.handle.close());
    held.descriptor = held.handle.fd;
    if (listens) {
      const child = new Child(helper('activate'), ['--listen'], { descriptors: [held.descriptor] });
      const { code } = await before(child.ended, 'the socket to listen');
      if (code !== 0) throw new Error(`the socket could not be made to listen: ${child.stderr}`);
    }
    const address = {};
    held.handle.getsockname(address);
    held.address = `127.0.0.1:${address.port}`;
    held.url = `http://${held.address}/webhook`;
    return held;
  }
}

/** NOTIFY_SOCKET, and what came in there: objects with the variables of one datagram each. */
export class Ear {
  told = new Journal('notifications');

  static async open(t) {
    const ear = new Ear();
    const folder = await mkdtemp(join(tmpdir(), 'identihook-notify-'));
    ear.path = join(folder, 'socket');
    let variables = {};
    ear.child = new Child(helper('notify_socket'), [ear.path], {
      onLine: (line) => {
        if (line === '') {
          ear.told.add(variables);
          variables = {};
        } else {
          variables[line.split('=', 1)[0]] = line.slice(line.indexOf('=') + 1);
        }
      },
    });
    t.after(async () => {
      await ear.child.stop('SIGKILL');
      await rm(folder, { recursive: true });
    });
    await ear.hear('BOUND');
    return ear;
  }

  /** The first `count` datagrams with this variable. */
  hearAll(name, count) {
    return this.told.atLeast(count, (variables) => name in variables, `${count} times ${name}`);
  }

  hear(name) {
    return this.told.first((variables) => name in variables, name);
  }

  hearStatus(pattern) {
    return this.told.first(({ STATUS }) => pattern.test(STATUS ?? ''), `a status like ${pattern}`);
  }

  count(name) {
    return this.told.items.filter((variables) => name in variables).length;
  }

  /** The names of the states that were told, in their order. */
  states() {
    const isState = (name) => ['READY', 'RELOADING', 'STOPPING'].includes(name);
    return this.told.items.flatMap((variables) => Object.keys(variables)).filter(isState);
  }
}
