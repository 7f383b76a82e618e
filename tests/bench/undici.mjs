// What others do for the same events: fetches the session, and nothing else. No ledger, no update, no outcome.
//
//   URL=… COUNT=… CONCURRENCY=… node undici.mjs

const { URL: base, COUNT, CONCURRENCY } = process.env;

let next = 0;
async function worker() {
  while (next < Number(COUNT)) {
    const answer = await fetch(`${base}/v1/identity/verification_sessions/vs_1Bench${next++}`);
    const { status } = await answer.json();
    if (status !== 'verified') throw new Error(`status ${status}`);
  }
}
await Promise.all(Array.from({ length: Number(CONCURRENCY) }, worker));
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ cpu: (user + system) / 1e6, seconds: process.uptime() }));
