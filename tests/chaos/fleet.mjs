// The fleet: each slot has a process of identihook, with networks, a Stripe key, a mail server and an onboarding path of its own, so
// that everything that arrives anywhere tells whose it is. A process that ends is started again.

import { Identihook } from '../lib/identihook.mjs';
import { Smtp } from '../lib/smtp.mjs';
import { pause } from '../lib/wait.mjs';
import { Wire } from './wire.mjs';

export class Slot {
  programs = [];
  /** When this process, as the others see it, was or could not do what it thought it did: [{ from, to, why }], in ms. */
  troubles = [];
  unexpected = [];
  #closing = false;
  #busy = false; // with a fault: one at a time

  /** `settings` are the world's; `path` is the binary. */
  static async open({ number, role, path, redis, database, settings, secret, log }) {
    const slot = new Slot();
    slot.number = number;
    slot.role = role;
    slot.path = path;
    slot.log = log;
    slot.key = `rk_test_slot${number}${secret}`;
    slot.wire = await Wire.start(redis.socket);
    slot.postgresWire = await Wire.start(database.socket);
    slot.smtp = await Smtp.start({ parse: false });
    slot.settings = {
      ...settings,
      REDIS_URL: `redis://${slot.wire.address}/0`,
      DATABASE_URL: database.url(slot.postgresWire.address),
      STRIPE_SECRET_KEY: slot.key,
      SMTP_URL: slot.smtp.url,
      IDENTIHOOK_ONBOARDING_URL: `${settings.IDENTIHOOK_ONBOARDING_URL}/${number}`,
    };
    slot.#run();
    return slot;
  }

  get name() {
    return `${this.role} ${this.number}`;
  }

  get receives() {
    return this.role !== 'worker';
  }

  /** Where to send to, or undefined while it does not listen. */
  get url() {
    return this.program?.child.isRunning ? this.program.url : undefined;
  }

  /** Starts a process, and another one whenever it ends. */
  async #run() {
    while (!this.#closing) {
      try {
        const options = { words: ['--role', this.role], path: this.path, ready: false };
        const program = await Identihook.start(this.settings, options);
        program.logs.listen((line) => this.log(this, line));
        this.programs.push(program);
        this.program = program;
        const end = await program.child.ended;
        if (!this.#isOurDoing(end)) {
          this.unexpected.push(`${this.name} ended with ${JSON.stringify(end)}:\n${program.child.stderr.slice(-3000)}`);
        }
      } catch (error) {
        if (!this.#closing) this.unexpected.push(`${this.name} does not start: ${error.message.slice(-3000)}`);
        await pause(200);
      }
      await pause(50);
    }
  }

  #isOurDoing({ code, signal }) {
    return signal === 'SIGKILL' || (signal === null && code === 0);
  }

  #trouble(why, from, to = Date.now()) {
    this.troubles.push({ why, from, to });
  }

  /** Does what the plan wants, if nothing else is being done to it. */
  async suffer({ name, ms }) {
    const { program } = this;
    if (this.#busy || !program?.child.isRunning) return;
    this.#busy = true;
    const from = Date.now();
    try {
      if (name === 'kill') await program.kill();
      if (name === 'stop') await program.stop(60_000);
      if (name === 'freeze') {
        program.freeze();
        await pause(ms);
        program.thaw();
      }
      if (name.startsWith('cut')) await this.#fail(this.wire, name, ms);
      if (name.startsWith('postgres ')) await this.#fail(this.postgresWire, name.replace('postgres ', ''), ms);
    } finally {
      this.#trouble(name, from);
      this.#busy = false;
    }
  }

  async #fail(wire, how, ms) {
    wire.cut();
    await pause(ms);
    if (how === 'cut and resume') wire.resume();
    else wire.drop();
  }

  /** Ends the process in order, without another start. */
  async close() {
    this.#closing = true;
    const running = this.programs.filter(({ child }) => child.isRunning);
    for (const program of running) {
      program.thaw();
      await program.stop(60_000).catch((error) => {
        this.unexpected.push(`${this.name}: ${error.message}`);
        return program.kill();
      });
    }
    await Promise.all([this.wire.close(), this.postgresWire.close()]);
    await this.smtp.close();
  }

  /** What sanitizers say, and ends that nobody caused. */
  complaints() {
    const complaint = /(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:/;
    const found = this.programs.filter(({ child }) => complaint.test(child.stderr));
    return [...this.unexpected, ...found.map(({ child }) => `${this.name}:\n${child.stderr.slice(-3000)}`)];
  }
}
