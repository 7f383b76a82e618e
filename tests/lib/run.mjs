// Runs all tests of a build folder, unit tests first, and counts every single check. Called by tests/run:
//   node tests/lib/run.mjs BUILD_FOLDER [WORD…]

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { run as runNodeTests } from 'node:test';

import { Child } from './child.mjs';

const UNIT_DEADLINE_MS = 300_000;
const FILE_DEADLINE_MS = 600_000;

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

// ---- unit tests: programs made with Check, which write a TAP file

const listUnitTests = () =>
  JSON.parse(execFileSync('ctest', ['--test-dir', build, '--show-only=json-v1'])).tests.filter(({ name }) =>
    isWanted(name),
  );

function readTap(path) {
  try {
    return readFileSync(path, 'utf8').split('\n');
  } catch {
    return []; // it died before it could write one, or is no Check program
  }
}

async function runUnitTest({ name, command: [program, ...parameters] }) {
  const tap = join(build, 'tap', `${name}.tap`);
  rmSync(tap, { force: true });
  const started = Date.now();
  const child = new Child(program, parameters, { cwd: build, env: { ...process.env, CK_TAP_LOG_FILE_NAME: tap } });
  const deadline = setTimeout(() => child.signal('SIGKILL'), UNIT_DEADLINE_MS);
  const { code, signal, error } = await child.ended;
  clearTimeout(deadline);
  const lines = readTap(tap);
  const failures = lines.filter((line) => line.startsWith('not ok')).map((line) => line.replace(/^not ok \d+ - /, ''));
  const end = error ?? (signal ? `killed by ${signal}` : code === 0 ? null : `exit status ${code}`);
  if (end && failures.length === 0) failures.push(`${name} ended badly: ${end}`);
  if (failures.length > 0) failures.push(`${child.stdout}${child.stderr}`.trim());
  const passed = lines.filter((line) => line.startsWith('ok')).length;
  const details = failures.length > 0 ? failures.pop() : null;
  if (details) failures[failures.length - 1] += `\n${details}`;
  report(`unit/${name}`, lines.length > 0 ? passed : Number(!end), failures, (Date.now() - started) / 1000);
}

async function runUnitTests() {
  mkdirSync(join(build, 'tap'), { recursive: true });
  const waiting = listUnitTests();
  const worker = async () => {
    for (let next; (next = waiting.shift());) await runUnitTest(next);
  };
  await Promise.all(Array.from({ length: processors }, worker));
}

// ---- end-to-end tests: node:test files that start the real program

/** The error as a person wants to read it: what was claimed, and where. */
function describeError(error) {
  const cause = error?.cause ?? error;
  const own = String(cause?.stack ?? cause)
    .split('\n')
    .filter((line) => !/^ +at .*node:internal/.test(line));
  return own.join('\n');
}

async function runEndToEndTests() {
  const folder = new URL('../e2e/', import.meta.url).pathname;
  const files = readdirSync(folder)
    .filter((name) => name.endsWith('.test.mjs') && isWanted(name))
    .map((name) => join(folder, name));
  if (files.length === 0) return;
  process.env.IDENTIHOOK_BIN = join(build, 'identihook');
  const results = new Map(files.map((file) => [file, { passed: 0, failures: [], ms: 0 }]));
  const path = [];
  const isFile = ({ name }) => results.has(resolve(name));
  const isGroup = (test) => test.details?.type === 'suite' || isFile(test);
  const stream = runNodeTests({ files, concurrency: processors, timeout: FILE_DEADLINE_MS });
  stream.on('test:start', ({ nesting, name }) => path.splice(nesting, path.length, name));
  stream.on('test:pass', (test) => {
    if (!isGroup(test)) results.get(test.file).passed++;
    else if (test.file && results.has(test.file) && test.nesting === 0)
      results.get(test.file).ms += test.details.duration_ms;
  });
  stream.on('test:fail', (test) => {
    // A group fails when a test in it does: only what fails by itself counts.
    const own = test.details.error?.failureType !== 'subtestsFailed';
    const result = results.get(test.file ?? resolve(test.name)) ?? results.values().next().value;
    if (!isGroup(test) || own) {
      const title = [...path.slice(0, test.nesting), test.name].map((name) =>
        results.has(resolve(name)) ? basename(name) : name,
      );
      result.failures.push(`${title.join(' › ')}\n${describeError(test.details.error)}`);
    }
  });
  for await (const event of stream) void event; // until all have ended
  for (const [file, { passed, failures, ms }] of results)
    report(`e2e/${basename(file, '.test.mjs')}`, passed, failures, ms / 1000);
}

await runUnitTests();
await runEndToEndTests();
if (total.passed + total.failed === 0) {
  console.log('there is no such test');
  total.failed = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;
