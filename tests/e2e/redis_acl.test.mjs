// A Redis user with the permissions that deploy/README.md names, and no others.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';

import { World } from '../lib/world.mjs';

const guide = new URL('../../deploy/README.md', import.meta.url);

/** The words of the "user" line in the guide, for our namespace and password. */
async function minimalUser(password) {
  const line = /^user identihook (.*)$/m.exec(await readFile(guide, 'utf8'));
  assert.ok(line, 'deploy/README.md has a line that begins with "user identihook"');
  return ['identihook', ...line[1].replaceAll('{identihook}', '{shop}').replace('>PASSWORD', `>${password}`).split(' ')];
}

describe('a Redis user with the minimal ACL', { concurrency: 4 }, () => {
  test('is enough for events, retries, dead letters and every command', async (t) => {
    const password = 'p@ss/w:rd%';
    const user = await minimalUser(password);
    const world = await World.open(t, { start: false, redis: { user } });
    world.settings.REDIS_URL = `unix://identihook:${encodeURIComponent(password)}@${world.redis.socket}`;
    world.settings.IDENTIHOOK_MAX_ATTEMPTS = '2';
    await world.start();
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    assert.equal((await world.carry(world.pair('requires_input').event)).outcome, 'done');
    world.stripe.fail({ status: 503, times: 1 });
    assert.equal((await world.carry(world.pair('verified').event)).outcome, 'done');
    world.stripe.fail({ status: 503, times: 2 });
    const { event } = world.pair('verified');
    assert.equal((await world.carry(event)).outcome, 'dead');
    for (const words of [
      ['status', '--json'],
      ['explain', event.id],
      ['dead', 'list'],
      ['pause', '--reason', 'a look'],
      ['resume', '--reason', 'seen'],
      ['dead', 'replay', event.id, '--reason', 'mended'],
    ]) {
      const { code, stderr } = await world.run(words);
      assert.equal(code, 0, `${words.join(' ')}: ${stderr}`);
    }
    await world.program.stop();
    await world.start();
    await world.settle();
    assert.deepEqual(await world.redis.call('ACL', 'LOG'), [], 'nothing was refused');
    assert.ok(!world.program.child.stderr.includes(password));
  });

  test('is not allowed what identihook does not need', async (t) => {
    const user = await minimalUser('secret');
    const world = await World.open(t, { start: false, redis: { user } });
    for (const words of [
      ['FLUSHALL'],
      ['KEYS', '*'],
      ['GET', 'foreign'],
      ['CONFIG', 'SET', 'appendonly', 'no'],
      ['ACL', 'LIST'],
      ['SHUTDOWN'],
      ['DEBUG', 'SLEEP', '0'],
      ['REPLICAOF', 'NO', 'ONE'],
      ['PUBLISH', 'c', 'm'],
    ]) {
      const verdict = await world.redis.call('ACL', 'DRYRUN', 'identihook', ...words);
      assert.match(verdict, /no permissions|has no|No permissions/i, `${words.join(' ')}: ${verdict}`);
    }
  });
});
