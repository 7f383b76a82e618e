// Runs all tests of a build folder, unit tests first, and counts every single check; names what is skipped, and why. Called by
// tests/run:
//   node tests/lib/run.mjs BUILD_FOLDER [WORD…]

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';

import { Child } from './child.mjs';
import { redisProgram } from './redis.mjs';

const DEADLINE_MS = 600_000; // of one program or file of tests

const [folder, ...words] = process.argv.slice(2);
const build = resolve(folder);
const isWanted = (name) => words.length === 0 || words.some((word) => name.includes(word));
const processors = availableParallelism?.() ?? cpus().length;

const total = { passed: 0, failed: 0 };

function report(name, passed, failures, seconds) {
  total.passed += passed;
  total.failed += failures.length;
  console.log(
    `${failures.length > 0 ? 'FAILED' : 'ok    '} ${name}: ${passed} passed, ${failures.length} failed (${seconds.toFixed(1)} s)`,
  );
  for (const failure of failures) console.log(failure.replace(/^/gm, '    '));
}

/** Runs a program to its end; `end` says what was wrong with that, if anything. */
async function runToEnd(program, parameters, environment) {
  const started = Date.now();
  const child = new Child(program, parameters, { cwd: build, env: { ...process.env, ...environment } });
  const deadline = setTimeout(() => child.signal('SIGKILL'), DEADLINE_MS);
  const { code, signal, error } = await child.ended;
  clearTimeout(deadline);
  const end = error ?? (signal ? `killed by ${signal}` : code === 0 ? null : `exit status ${code}`);
  return { child, end, seconds: (Date.now() - started) / 1000 };
}

/** The lines of a file that a test was to write; none when it died before it could. */
function readLines(path) {
  try {
    return readFileSync(path, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

// ---- unit tests: programs made with Check, which write a TAP file

const listUnitTests = () =>
  JSON.parse(execFileSync('ctest', ['--test-dir', build, '--show-only=json-v1'])).tests.filter(({ name }) =>
    isWanted(name),
  );

async function runUnitTest({ name, command: [program, ...parameters] }) {
  const tap = join(build, 'results', `${name}.tap`);
  rmSync(tap, { force: true });
  const { child, end, seconds } = await runToEnd(program, parameters, {
    CK_TAP_LOG_FILE_NAME: tap,
    REDIS_SERVER: redisProgram,
  });
  const lines = readLines(tap);
  const passed = lines.filter((line) => line.startsWith('ok')).length;
  const failures = lines.filter((line) => line.startsWith('not ok')).map((line) => line.replace(/^not ok \d+ - /, ''));
  if (end && failures.length === 0) failures.push(`${name} ended badly: ${end}`);
  if (failures.length > 0) failures.push(`${failures.pop()}\n${child.stdout}${child.stderr}`.trimEnd());
  report(`unit/${name}`, passed, failures, seconds);
}

// ---- end-to-end tests: node:test files that start the real program

const listEndToEndTests = () =>
  readdirSync(new URL('../e2e/', import.meta.url))
    .filter((name) => name.endsWith('.test.mjs') && isWanted(name))
    .map((name) => name.replace(/\.test\.mjs$/, ''));

async function runEndToEndTest(name) {
  const results = join(build, 'results', `${name}.jsonl`);
  rmSync(results, { force: true });
  const reporter = new URL('reporter.mjs', import.meta.url).pathname;
  const file = new URL(`../e2e/${name}.test.mjs`, import.meta.url).pathname;
  const { child, end, seconds } = await runToEnd(
    process.execPath,
    [`--test-reporter=${reporter}`, `--test-reporter-destination=${results}`, file],
    { IDENTIHOOK_BIN: join(build, 'identihook'), REDIS_SERVER: redisProgram },
  );
  const tests = readLines(results).map((line) => JSON.parse(line));
  const failures = tests.filter(({ passed }) => !passed).map(({ title, error }) => `${title}\n${error}`);
  if (failures.length === 0 && (end || tests.length === 0)) {
    failures.push(`${name} ended badly: ${end ?? 'without a test'}\n${child.stdout}${child.stderr}`.trimEnd());
  }
  const skipped = tests.filter(({ skipped }) => skipped);
  report(`e2e/${name}`, tests.filter(({ passed }) => passed).length - skipped.length, failures, seconds);
  for (const { title, skipped: reason } of skipped) console.log(`    skipped: ${title}: ${reason}`);
}

// ---- all of them

async function sideBySide(tests, runOne) {
  const waiting = [...tests];
  const worker = async () => {
    for (let next; (next = waiting.shift());) await runOne(next);
  };
  await Promise.all(Array.from({ length: processors }, worker));
}

mkdirSync(join(build, 'results'), { recursive: true });
await sideBySide(listUnitTests(), runUnitTest);
await sideBySide(listEndToEndTests(), runEndToEndTest);
if (total.passed + total.failed === 0) {
  console.log('there is no such test');
  total.failed = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
