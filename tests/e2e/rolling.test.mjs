// A rolling update, as Kubernetes does it with Deployments of this project: one more process, wait until it is ready, end an old one.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { World } from '../lib/world.mjs';

const SENDERS = 4;
const LOOK_MS = 50; // how often the balancer asks for readiness: less than the drain delay lasts

/** Sends requests to those that are ready, as endpoints follow readiness probes: a little late. */
class Balancer {
  #programs = new Set();
  #ready = [];
  #next = 0;

  constructor() {
    this.looking = this.#look();
  }

  add(program) {
    this.#programs.add(program);
  }

  remove(program) {
    this.#programs.delete(program);
  }

  choose() {
    assert.ok(this.#ready.length > 0, 'there is always one that is ready');
    return this.#ready[this.#next++ % this.#ready.length];
  }

  async #look() {
    while (!this.ended) {
      const programs = [...this.#programs];
      const answers = await Promise.all(programs.map((one) => one.look('/readyz').catch(() => ({ status: 0 }))));
      this.#ready = programs.filter((_, i) => answers[i].status === 200);
      await pause(LOOK_MS);
    }
  }

  close() {
    this.ended = true;
    return this.looking;
  }
}

describe('a rolling update under load', () => {
  test('refuses no request, and carries each event to its outcome once', async (t) => {
    const settings = { IDENTIHOOK_DRAIN_DELAY: '500ms', IDENTIHOOK_LOOPS: '1' };
    const world = await World.open(t, { settings, email: false });
    await world.start();
    const balancer = new Balancer();
    for (const program of world.programs) balancer.add(program);
    await pause(2 * LOOK_MS);

    const sent = [];
    let goOn = true;
    const send = async () => {
      while (goOn) {
        const { event } = world.pair('verified');
        const answer = await world.deliver(event, { program: balancer.choose() });
        assert.equal(answer.status, 200, answer.text);
        sent.push(event);
        await pause(5);
      }
    };
    const sending = Promise.all(Array.from({ length: SENDERS }, send));

    const roll = async () => {
      for (const old of [...world.programs]) {
        if (!goOn) return;
        balancer.add(await world.start());
        await pause(2 * LOOK_MS);
        assert.deepEqual(await old.stop(), { code: 0, signal: null });
        balancer.remove(old);
      }
    };
    const rolling = roll();
    try {
      await Promise.race([rolling, sending]); // a request that fails ends it at once
    } finally {
      goOn = false;
      await Promise.allSettled([rolling, sending]);
      await balancer.close();
    }
    await Promise.all([rolling, sending]);

    assert.ok(sent.length > 4 * SENDERS, `${sent.length} events`);
    for (const event of sent) assert.equal((await world.outcome(event)).outcome, 'done');
    for (const event of sent) {
      assert.equal(world.outcomesOf(event).length, 1);
      assert.equal(world.updatesOf(event).length, 1);
    }
  });
});
