// What measures is run so seldom that it would be left behind unseen: here for a moment.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { Child } from '../lib/child.mjs';

test('tests/bench/store.mjs calls the scripts as they are', async () => {
  const program = fileURLToPath(new URL('../bench/store.mjs', import.meta.url));
  const child = new Child(process.execPath, [program, '100', '1000']);
  assert.deepEqual(await child.ended, { code: 0, signal: null }, child.stderr);
  assert.match(child.stdout, /a whole life of an event/);
});
