// The example consumers for other services, each with no more rights than their README gives them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Child } from '../lib/child.mjs';
import { token } from '../lib/stripe_api.mjs';
import { Journal, until } from '../lib/wait.mjs';
import { World, key } from '../lib/world.mjs';

const folder = (name) => new URL(`../../deploy/downstream/${name}`, import.meta.url).pathname;

/** What `command` prints; undefined when it fails, or there is no such program. */
function attempt(command, ...words) {
  try {
    return execFileSync(command, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}

let built; // a folder for what is compiled
before(async () => {
  built = await mkdtemp(join(tmpdir(), 'identihook-'));
});
after(() => rm(built, { recursive: true, force: true }));

const languages = {
  Python: {
    stream: 'outcomes',
    prepare() {
      const python = ['python3', '/usr/bin/python3'].find((one) => attempt(one, '-c', 'import redis') !== undefined);
      return python && [python, folder('outcomes.py')];
    },
  },
  'Node.js': {
    stream: 'events',
    prepare: () => [process.execPath, folder('events.js')],
  },
  Go: {
    stream: 'outcomes',
    prepare() {
      const program = join(built, 'outcomes');
      const sources = [
        'env',
        'GO111MODULE=off',
        'GOPATH=/usr/share/gocode',
        `GOCACHE=${join(tmpdir(), 'identihook-go')}`,
      ];
      const made = attempt('env', ...sources.slice(1), 'go', 'build', '-o', program, folder('outcomes.go'));
      return made !== undefined && [program];
    },
  },
};

/** Redis 6.2 does not know single subcommands; README says what to do there. */
async function makeUser(world) {
  const readme = await readFile(folder('README.md'), 'utf8');
  const rules = readme
    .match(/^ACL SETUSER (billing .*)$/m)[1]
    .replaceAll('{identihook}', '{shop}')
    .replace('SECRET', 'pw');
  await world.redis.call('ACL', 'SETUSER', ...rules.split(' '));
}

class Consumer {
  handled = new Journal('what the consumer has handled');

  constructor(t, world, [command, ...words], settings = {}) {
    this.child = new Child(command, words, {
      env: {
        PATH: process.env.PATH,
        NODE_PATH: new URL('../node_modules', import.meta.url).pathname,
        REDIS_URL: `unix://billing:pw@${world.redis.socket}?db=0`,
        IDENTIHOOK_NAMESPACE: 'shop',
        GROUP: 'billing',
        CLAIM_AFTER_MS: '300',
        ...settings,
      },
    });
    this.child.process.stdout.on('data', (data) => {
      for (const line of data.split('\n').filter(Boolean)) this.handled.add(JSON.parse(line));
    });
    t.after(() => this.child.isRunning && this.child.stop('SIGKILL'));
  }

  of(event) {
    return this.handled.first((one) => one.event === event.id, `${event.id}; it said: ${this.child.stderr}`);
  }
}

describe('a consumer of another service', { concurrency: 3 }, () => {
  for (const [language, { stream, prepare }] of Object.entries(languages)) {
    test(`in ${language} misses nothing, takes over what others left, and comes back`, async (t) => {
      const command = prepare();
      if (!command) return t.skip(`${language}, or its library for Redis, is not there`);
      const world = await World.open(t, { email: false });
      await makeUser(world);
      const early = world.pair('verified');
      await world.carry(early.event);

      const consumer = new Consumer(t, world, command);
      const first = await consumer.of(early.event);
      assert.equal(first.session, early.session.id);
      assert.equal(first.status, 'verified');
      if (stream === 'outcomes') assert.equal(first.user, early.session.client_reference_id);
      const groups = async () => world.redis.call('XPENDING', key(stream), 'billing');
      await until(async () => (await groups())[0] === 0, 'it to be acknowledged');

      // Another one takes two and dies; one of the two is redacted.
      await consumer.child.stop('SIGTERM');
      assert.equal(consumer.child.end.code, 0, consumer.child.stderr);
      const [left, gone] = [world.pair('requires_input'), world.pair('verified')];
      for (const { event } of [left, gone]) await world.carry(event);
      const read = ['XREADGROUP', 'GROUP', 'billing', 'dead', 'COUNT', 10, 'STREAMS', key(stream), '>'];
      const [[, entries]] = await world.redis.call(...read);
      assert.equal(entries.length, 2);
      await world.redis.call('XDEL', key(stream), entries[1][0]);
      const second = new Consumer(t, world, command);
      assert.equal((await second.of(left.event)).status, 'requires_input');

      // Redis goes away for a moment; the group vanishes.
      await world.redis.restart();
      await makeUser(world);
      const later = world.pair('verified');
      await world.deliverUntilTaken(later.event);
      await second.of(later.event);
      await world.redis.call('XGROUP', 'DESTROY', key(stream), 'billing');
      const last = world.pair('verified');
      await world.carry(last.event);
      await second.of(last.event);
      assert.ok(!second.handled.items.some((one) => one.event === gone.event.id));
      await until(async () => (await groups())[0] === 0, 'all to be acknowledged');
      await second.child.stop('SIGTERM');
      assert.deepEqual(second.child.end, { code: 0, signal: null });
      assert.deepEqual(await world.redis.call('XINFO', 'CONSUMERS', key(stream), 'billing'), [], 'it has signed off');
    });
  }

  test('may do no more than it needs', async (t) => {
    const world = await World.open(t, { email: false });
    await makeUser(world);
    const { event } = world.pair('verified');
    await world.carry(event);
    const { RedisClient } = await import('../lib/redis.mjs');
    const client = await RedisClient.connect(world.redis.socket);
    t.after(() => client.close());
    await client.call('AUTH', 'billing', 'pw');
    for (const words of [
      ['GET', key(`seen:${event.id}`)],
      ['XDEL', key('events'), '1-0'],
      ['XADD', key('outcomes'), '*', 'event', token()],
      ['XGROUP', 'DESTROY', key('events'), 'identihook'],
      ['XRANGE', key('dead'), '-', '+'],
      ['KEYS', '*'],
    ])
      await assert.rejects(client.call(...words), /NOPERM/, words.join(' '));
  });
});
