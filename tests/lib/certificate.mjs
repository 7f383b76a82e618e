// Certificates for the TLS of a test.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** A certificate of its own authority for 127.0.0.1, or another `alternative` name, in files of a folder that goes with the test. */
export async function certificate(t, name = 'server', alternative = 'IP:127.0.0.1') {
  const folder = await mkdtemp(join(tmpdir(), 'identihook-tls-'));
  t.after(() => rm(folder, { recursive: true }));
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') };
  await execute('openssl', [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${alternative}`,
    '-keyout',
    files.key,
    '-out',
    files.cert,
  ]);
  return { ...files, pem: await readFile(files.cert), keyPem: await readFile(files.key) };
}
