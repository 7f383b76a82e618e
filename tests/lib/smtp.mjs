// A real SMTP server (npm smtp-server) that keeps the mails, as a mail program would read them (npm mailparser), and can
// be told to refuse, to be slow, and to vanish.

import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';

import { Journal, pause } from './wait.mjs';

/**
 * @typedef {object} MailFault
 * @property {'connect'|'mail'|'rcpt'|'data'} stage  'data' is the whole mail, not the DATA command
 * @property {number}  [code]    refuse with this SMTP code (451 and the like pass, 550 and the like stay)
 * @property {string}  [message]
 * @property {number}  [delay]   ms before the answer
 * @property {boolean} [drop]    close the connection instead of answering
 * @property {number}  [times]   how often (1)
 * @property {string}  [to]      only for mails to this address
 */
export class Smtp {
  mails = new Journal('mails');
  arrived = new Journal('mails that came whole, whatever was answered');
  refused = new Journal('refused mails');
  #faults = [];
  #server;
  #parses;

  /** With `parse` false, mails are kept as they came, with their Message-ID alone read out: for very many. */
  static async start({ port = 0, parse = true, ...options } = {}) {
    const smtp = new Smtp();
    smtp.#parses = parse;
    smtp.#server = new SMTPServer({
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      closeTimeout: 100, // ms that close() leaves to a connection that is still open
      onConnect: (session, done) => smtp.#stage('connect', session, done),
      onMailFrom: (address, session, done) => smtp.#stage('mail', session, done),
      onRcptTo: (address, session, done) => smtp.#stage('rcpt', session, done, [address.address]),
      onData: (stream, session, done) => smtp.#take(stream, session, done),
      ...options,
    });
    smtp.#server.on('error', () => {}); // a client that hangs up is no fault of the server
    await new Promise((resolve) => smtp.#server.listen(port, '127.0.0.1', resolve));
    smtp.port = smtp.#server.server.address().port;
    smtp.url = `smtp://127.0.0.1:${smtp.port}`;
    return smtp;
  }

  /** @param {MailFault} fault */
  fail(fault) {
    this.#faults.push({ times: 1, ...fault });
  }

  recover() {
    this.#faults = [];
  }

  async close() {
    for (const connection of [...this.#server.connections]) connection._socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #stage(stage, session, done, to) {
    const recipients = to ?? session.envelope.rcptTo?.map(({ address }) => address) ?? [];
    const fault = this.#faults.find(
      (one) => one.stage === stage && one.times > 0 && (!one.to || recipients.includes(one.to)),
    );
    if (!fault) return done();
    fault.times--;
    this.refused.add({ stage, fault, to: recipients });
    if (fault.delay) await pause(fault.delay);
    if (fault.drop) return this.#drop(session);
    if (!fault.code) return done();
    done(Object.assign(new Error(fault.message ?? 'refused by the test'), { responseCode: fault.code }));
  }

  #drop(session) {
    for (const connection of this.#server.connections) if (connection.id === session.id) connection._socket.destroy();
  }

  async #take(stream, session, done) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const raw = Buffer.concat(chunks);
    this.arrived.add({ raw: raw.toString() });
    if (!this.#parses) return this.#keep(raw.toString(), session, done);
    const mail = await simpleParser(raw);
    await this.#stage('data', session, (error) => {
      if (!error) {
        this.mails.add({
          envelope: {
            from: session.envelope.mailFrom.address,
            to: session.envelope.rcptTo.map(({ address }) => address),
          },
          from: mail.from?.text,
          to: mail.to?.text,
          replyTo: mail.replyTo?.text,
          subject: mail.subject,
          messageId: mail.messageId,
          text: mail.text,
          html: mail.html,
          header: (name) => mail.headers.get(name),
          encrypted: session.secure,
          raw: raw.toString(),
        });
      }
      done(error);
    });
  }

  #keep(raw, session, done) {
    return this.#stage('data', session, (error) => {
      const messageId = /^Message-ID: (.*?)\r?$/im.exec(raw)?.[1];
      if (!error) this.mails.add({ to: session.envelope.rcptTo.map(({ address }) => address), messageId, raw });
      done(error);
    });
  }
}
