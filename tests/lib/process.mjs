// What the kernel tells of a running program.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // USER_HZ: the same on every Linux

const statusKilobytes = (pid, name) =>
  Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))[1]);

/** Settings for a program whose memory is watched: AddressSanitizer must not keep back what was freed. */
export const WATCHED = {
  ASAN_OPTIONS: [process.env.ASAN_OPTIONS, 'quarantine_size_mb=1'].filter(Boolean).join(':'),
};

/** Gives a function that tells by how many MiB the program has outgrown, at its peak, what it takes now. */
export function watchMemory({ pid }) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak starts anew
  const start = statusKilobytes(pid, 'VmRSS');
  return () => (statusKilobytes(pid, 'VmHWM') - start) / 1024;
}

/** What is mapped into its memory, as text. Read at once: the readFile of Node.js 18's promises ends at the first page. */
export const mapsOf = ({ pid }) => readFileSync(`/proc/${pid}/maps`, 'utf8');

export const openFilesOf = ({ pid }) => readdirSync(`/proc/${pid}/fd`).length;

/** The processor time it has taken so far, in seconds. */
export function processorTimeOf({ pid }) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return (user + system) / TICKS_PER_SECOND;
}
