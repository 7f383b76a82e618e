// Waiting for what can be observed, never for time to pass. Every wait has a deadline, and says what it waited for.

export const DEADLINE_MS = Number(process.env.TEST_DEADLINE_MS ?? 30_000);

class DeadlinePassed extends Error {
  constructor(what, within, seen) {
    super(`waited ${within} ms in vain for ${what}${seen === undefined ? '' : `; seen last: ${seen}`}`);
    this.name = 'DeadlinePassed';
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `promise` gives, or a failure that names `what` when it takes longer than `within` ms. */
export async function before(promise, what, within = DEADLINE_MS) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new DeadlinePassed(what, within)), within);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Looks again and again until `look()` gives something truthy, and gives that. For states that announce nothing. */
export async function until(look, what, within = DEADLINE_MS) {
  const end = Date.now() + within;
  for (let wait = 5; ; wait = Math.min(wait * 2, 100)) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new DeadlinePassed(what, within, JSON.stringify(found));
    await pause(wait);
  }
}

/**
 * What has come in, in its order, and a way to wait for more: nothing that arrives before somebody waits for it is
 * missed.
 */
export class Journal {
  #waiting = new Set();
  #over;
  #listeners = [];

  constructor(name) {
    this.name = name;
    this.items = [];
  }

  /** Calls `take` with every item, past and future. */
  listen(take) {
    this.items.forEach((item) => take(item));
    this.#listeners.push(take);
  }

  add(item) {
    this.items.push(item);
    for (const take of this.#listeners) take(item);
    for (const waiter of [...this.#waiting]) waiter.look();
  }

  /** Nothing will come any more: whoever waits in vain is told why. */
  end(reason) {
    this.#over = reason;
    for (const waiter of [...this.#waiting]) waiter.fail(reason);
  }

  /** The first `count` items that fit, as soon as there are so many. */
  atLeast(count, fits = () => true, what = 'a matching one', within = DEADLINE_MS) {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
      };
      const waiter = {
        look: () => {
          const found = this.items.filter(fits);
          if (found.length >= count) {
            leave();
            resolve(found.slice(0, count));
          } else if (this.#over) {
            waiter.fail(this.#over);
          }
        },
        fail: (reason) => {
          leave();
          reject(reason);
        },
      };
      const timer = setTimeout(() => {
        const came = `${this.items.filter(fits).length} of ${count} came; ${this.items.length} items in all`;
        waiter.fail(new DeadlinePassed(`${this.name}: ${what} (${came})`, within));
      }, within);
      this.#waiting.add(waiter);
      waiter.look();
    });
  }

  /** The first item that fits, as soon as it is there. */
  async first(fits, what, within) {
    return (await this.atLeast(1, fits, what, within))[0];
  }
}
