// What came of a storm, as a page of Markdown; after a failure with the seed and the timelines of the events concerned.

import { loadavg } from 'node:os';

const TIMELINES = 5;

const table = (head, rows) =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const tally = (items) => {
  const counts = new Map();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return [...counts].sort(([one], [other]) => (one < other ? -1 : 1));
};

export function reportOf(storm, { faults, counts }) {
  const { plan, witness, slots } = storm;
  const seconds = (ms) => `${(ms / 1000).toFixed(0)} s`;
  const starts = slots.reduce((sum, slot) => sum + slot.programs.length, 0);
  const marks = (storm.left ?? []).length;
  const lines = [
    `# ${faults.length === 0 ? 'All well' : `${faults.length} FAULTS`}: seed ${plan.seed}`,
    '',
    `${plan.events.length} events of ${plan.sessions.length} sessions, sent ${plan.deliveries.length} times; ${slots.length} processes ` +
      `(${storm.roles.join(', ')}), started ${starts} times, of ${storm.binaries.length} builds; ${plan.faults.length} faults in ` +
      `${seconds(storm.calmed - storm.began)}, and ${seconds(storm.calmTook)} until all was quiet. The machine's load was ` +
      `${loadavg()[1].toFixed(1)} on average over the last five minutes.`,
    '',
    '## Seen from outside',
    '',
    table(
      ['what', 'how many'],
      [
        ...Object.entries(witness.counts.answers).map(([status, count]) => [
          status === '0' ? 'requests without an answer' : `answers ${status}`,
          count,
        ]),
        ['reads at Stripe', witness.counts.fetches],
        ['mails', witness.counts.mails],
        ['onboarding updates', witness.counts.updates],
        ...tally(
          storm.outcomes.items.map(({ outcome, effects }) => `events that ended as ${outcome}${effects ? ` (${effects})` : ''}`),
        ),
        ...Object.entries(counts),
        ['events lost, done wrongly, or at once with another of their session', faults.length],
        [`keys in Redis in the end (${(storm.memory / 1e6).toFixed(1)} MB)`, marks],
      ],
    ),
    '',
    '## What was done to them',
    '',
    table(['fault', 'times'], tally(plan.faults.map(({ name }) => name))),
    '',
  ];
  if (faults.length > 0) lines.push('## Faults', '', ...describe(faults, witness), '');
  return lines.join('\n');
}

const kindOf = (what) => what.replace(/(evt|vs)_\w+/g, '$1_…').split('\n')[0];

function describe(faults, witness) {
  const kinds = tally(faults.map(({ what }) => kindOf(what))).map(([kind, count]) => `- ${count} × ${kind}`);
  const lines = faults.slice(0, 50).map(({ event, what }) => `- ${event ?? 'all'}: ${what}`);
  const concerned = [...new Set(faults.map(({ event }) => event).filter(Boolean))].slice(0, TIMELINES);
  return [...kinds, '', ...lines, '', ...concerned.flatMap((event) => ['```', ...witness.timeline(event), '```', ''])];
}
