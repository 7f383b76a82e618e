// A reporter for node:test that writes one JSON object a line for each test that ended: { passed, skipped, title, error };
// `skipped` is the reason. Groups count only when they fail by themselves (a hook, say), not when a test in them does, or when
// they are skipped as a whole.

function describe(error) {
  const cause = error?.cause ?? error;
  return String(cause?.stack ?? cause)
    .split('\n')
    .filter((line) => !/^ +at (.*\()?(node:|<anonymous>)/.test(line))
    .join('\n');
}

export default async function* report(events) {
  const path = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') path.splice(data.nesting, path.length, data.name);
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const passed = type === 'test:pass';
    const isGroup = data.details.type === 'suite';
    const failedByItself = !passed && data.details.error?.failureType !== 'subtestsFailed';
    const skipped = data.skip === true ? 'no reason is given' : data.skip;
    if (isGroup && !failedByItself && !skipped) continue;
    const title = [...path.slice(0, data.nesting), data.name].join(' › ');
    yield `${JSON.stringify({ passed, skipped, title, error: passed ? undefined : describe(data.details.error) })}\n`;
  }
}
