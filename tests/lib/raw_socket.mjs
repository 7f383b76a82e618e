// A client that sends exactly the bytes it is given: for what no HTTP library would send.

import net from 'node:net';

import { before, until } from './wait.mjs';

/** The answers in `text`, one after the other: { status, headers, body }. */
function parseAnswers(text) {
  const answers = [];
  for (let rest = text; rest.length > 0;) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0) break;
    const [first, ...lines] = rest.slice(0, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.split(':', 1)[0].toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const status = Number(first.split(' ')[1]);
    const length = Number(headers['content-length'] ?? 0);
    if (rest.length < end + 4 + length) break;
    answers.push({ status, headers, body: rest.slice(end + 4, end + 4 + length) });
    rest = rest.slice(end + 4 + length);
  }
  return answers;
}

export class RawSocket {
  received = '';
  closed = false;

  static async open(url) {
    const { hostname, port } = new URL(url);
    const raw = new RawSocket();
    raw.socket = net.connect(Number(port), hostname);
    raw.socket.setEncoding('latin1').on('data', (data) => (raw.received += data));
    raw.socket.on('error', () => {}); // what counts is that it is closed
    raw.socket.on('close', () => (raw.closed = true));
    await before(new Promise((resolve) => raw.socket.once('connect', resolve)), 'a connection');
    return raw;
  }

  send(bytes) {
    this.socket.write(bytes);
    return this;
  }

  /** The first `count` answers. */
  async answers(count = 1) {
    const found = await until(() => {
      const answers = parseAnswers(this.received);
      if (answers.length >= count) return answers;
      if (this.closed)
        throw new Error(`closed after ${answers.length} of ${count} answers: ${JSON.stringify(this.received)}`);
      return null;
    }, `${count} answers`);
    return found.slice(0, count);
  }

  async answer() {
    return (await this.answers(1))[0];
  }

  /** Waits for the other side to close. */
  closing() {
    return until(() => this.closed, 'the connection to be closed');
  }

  close() {
    this.socket.destroy();
  }
}

/** A request head: `POST /path HTTP/1.1` with Host and the given headers. */
export const head = (url, headers = {}, { method = 'POST', version = '1.1' } = {}) => {
  const { host, pathname } = new URL(url);
  const lines = Object.entries({ Host: host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${pathname} HTTP/${version}\r\n${lines.join('')}\r\n`;
};
