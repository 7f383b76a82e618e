// Libraries that not every process needs are opened by those that do.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';

import { Identihook, run } from '../lib/identihook.mjs';
import { mapsOf } from '../lib/process.mjs';
import { World } from '../lib/world.mjs';

/** A folder that the dynamic linker looks into first, with a library that cannot be loaded. */
async function brokenLibraries(t, name = 'libcurl.so.4') {
  const path = await mkdtemp(join(tmpdir(), 'identihook-'));
  t.after(() => rm(path, { recursive: true }));
  await writeFile(join(path, name), 'no library\n');
  return path;
}

describe('libcurl', { concurrency: 4 }, () => {
  test('is in a worker, and not in a process that only receives', async (t) => {
    const world = await World.open(t);
    assert.match(mapsOf(world.program), /libcurl/);
    const ingest = await Identihook.start(world.settings, { words: ['--role', 'ingest'] });
    t.after(() => ingest.stop());
    assert.doesNotMatch(mapsOf(ingest), /libcurl|libgnutls|libldap|libkrb5/);
  });

  test('may be missing where webhooks are only received', async (t) => {
    const world = await World.open(t, { start: false });
    const settings = { ...world.settings, LD_LIBRARY_PATH: await brokenLibraries(t) };
    const ingest = await Identihook.start(settings, { words: ['--role', 'ingest'] });
    t.after(() => ingest.stop());
    assert.equal((await ingest.look('/readyz')).status, 200);
  });

  test('is named with its packages by a worker that cannot open it', async (t) => {
    const world = await World.open(t, { start: false });
    const settings = { ...world.settings, LD_LIBRARY_PATH: await brokenLibraries(t) };
    const { code, stderr } = await run(['serve', '--role', 'worker'], settings);
    assert.equal(code, 2);
    assert.match(stderr, /libcurl\.so\.4: .*install libcurl4 \(Debian 12\) or libcurl4t64 \(Debian 13\)/);
  });

  test('is named with its packages by every command that uses it', async (t) => {
    const world = await World.open(t, { start: false });
    const settings = { ...world.settings, LD_LIBRARY_PATH: await brokenLibraries(t) };
    const trigger = await run(['trigger', 'verified'], settings);
    assert.equal(trigger.code, 2);
    assert.match(trigger.stderr, /^identihook: libcurl cannot be opened .*install libcurl4/);
    const version = await run(['version'], settings);
    assert.equal(version.code, 0);
    assert.match(version.stdout, /^libcurl cannot be opened .*install libcurl4/m);
  });
});

describe('libjwt', { concurrency: 4 }, () => {
  const IDENTIHOOK_SESSION_TOKEN_SECRET = 'a secret of thirty-two bytes or more';

  test('is in a process that hands out sessions, and in no other', async (t) => {
    const world = await World.open(t);
    assert.doesNotMatch(mapsOf(world.program), /libjwt/);
    const ingest = await world.start({ settings: { IDENTIHOOK_SESSION_TOKEN_SECRET }, words: ['--role', 'ingest'] });
    assert.match(mapsOf(ingest), /libjwt/);
    const worker = await world.start({ settings: { IDENTIHOOK_SESSION_TOKEN_SECRET }, words: ['--role', 'worker'] });
    assert.doesNotMatch(mapsOf(worker), /libjwt/);
  });

  test('is named with its packages when it cannot be opened', async (t) => {
    const world = await World.open(t, { start: false });
    const path = await brokenLibraries(t, 'libjwt.so.2');
    await writeFile(join(path, 'libjwt.so.0'), 'no library\n');
    const { code, stderr } = await run(['serve'], {
      ...world.settings,
      LD_LIBRARY_PATH: path,
      IDENTIHOOK_SESSION_TOKEN_SECRET,
    });
    assert.equal(code, 2);
    assert.match(stderr, /libjwt.*install libjwt0 \(Debian 12\) or libjwt2 \(Debian 13\)/);
  });
});
