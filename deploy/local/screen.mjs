// One screen: the path with its counts, every event with its way, and the mails.

const paint = (code) => (text, colored) => (colored ? `\x1b[${code}m${text}\x1b[0m` : text);
const bold = paint('1');
const dim = paint('2');
const red = paint('31');
const green = paint('32');
const yellow = paint('33');
const cyan = paint('36');

const ENDING_COLORS = { done: green, duplicate: green, superseded: cyan, refused: yellow, dead: red };

export const LEAST_WIDTH = 80; // of a terminal that the screen fits into
const WIDTH = 100; // wider lines are harder to read
const LABEL_WIDTH = 31;
const ENDING_WIDTH = 10;
const LIT_MS = 700; // how long a station is lit after an event has passed it

const fit = (text, width) => (text.length > width ? `${text.slice(0, Math.max(0, width - 1))}…` : text.padEnd(width));

/** Lines that are to be copied are not cut, but broken. */
const wrap = (text, columns) => text.match(new RegExp(`.{1,${columns - 1}}`, 'g'));

function center(text, width) {
  const left = Math.max(0, Math.floor((width - text.length) / 2));
  return `${' '.repeat(left)}${text}`.padEnd(width);
}

// ---- the path

const REFUSALS = [
  'signature_missing',
  'signature_malformed',
  'signature_mismatch',
  'signature_stale',
  'invalid_event',
  'bad_request',
  'not_found',
  'method_not_allowed',
];

/** Where every event passes: [name, how many have, what else is to be known]. */
function stationsOf(board) {
  const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
  const answers = (...list) => sum(list.map((answer) => board.count('requests_total', { answer })));
  const taken = (...list) => sum(list.map((source) => board.count('events_taken_total', { source })));
  const ended = (...list) => sum(list.map((ending) => board.count('events_ended_total', { ending })));
  const fetched = (result) => board.count('fetches_total', { result });
  const effects = (effect) => board.count('effects_total', { effect, result: 'done' });
  const unavailable = answers('queue_unavailable', 'overloaded');
  return [
    [
      'listener',
      answers('queued', 'duplicate', 'not_selected', 'other_mode', ...REFUSALS) + unavailable,
      [`${answers(...REFUSALS)} refused`],
    ],
    ['Redis', answers('queued'), [`${answers('duplicate')} repeated`, `${unavailable} not stored`]],
    [
      'worker',
      taken('new', 'due', 'claimed'),
      [`${board.count('events_in_process')} in work`, `${ended('retried')} retried`],
    ],
    ['Stripe API', fetched('done'), [`${fetched('transient')} retried`, `${fetched('permanent')} in vain`]],
    [
      'effects',
      effects('email') + effects('onboarding'),
      [`${effects('email')} e-mails`, `${effects('onboarding')} updates`],
    ],
    [
      'outcome',
      ended('done', 'superseded', 'dead'),
      [`${ended('done')} done`, `${ended('superseded')} superseded`, `${ended('dead')} dead`],
    ],
  ];
}

/** A station as a column of lines of one width. */
function drawStation([name, number, notes], { inner, depth, isLit, isLast, colored }) {
  const frame = (text) => (isLit ? green(text, colored) : text);
  const count = center(String(number), inner);
  const lines = [
    frame(`┌${'─'.repeat(inner)}┐`),
    `${frame('│')}${center(name, inner)}${frame('│')}`,
    `${frame('│')}${number > 0 ? bold(count, colored) : dim(count, colored)}${frame('│')}`,
    frame(`└${'─'.repeat(inner)}┘`),
  ];
  for (let i = 0; i < depth; i++) {
    const note = center(fit(notes[i] ?? '', inner + 2).trim(), inner + 2);
    lines.push(note.trim().startsWith('0 ') ? dim(note, colored) : note);
  }
  return lines.map((line, i) => line + (isLast ? '' : i === 1 ? '▶' : ' '));
}

function drawPath(stations, { columns, colored, lit }) {
  const inner = Math.min(13, Math.floor((columns - stations.length) / stations.length) - 2);
  const depth = Math.max(...stations.map(([, , notes]) => notes.length));
  const drawn = stations.map((station, i) =>
    drawStation(station, { inner, depth, colored, isLit: lit.has(i), isLast: i === stations.length - 1 }),
  );
  return drawn[0].map((_, line) => ` ${drawn.map((station) => station[line]).join('')}`.trimEnd());
}

// ---- the events

/** The way of an event so far: "200 ▸ queued ▸ fetched ▸ e-mail ▸ onboarding". */
function wayOf(row) {
  const steps = [];
  if (row.answer !== null) steps.push(String(row.answer));
  if (row.queued) steps.push('queued');
  if (row.fetched) steps.push('fetched');
  for (const effect of row.effects) steps.push(effect === 'email' ? 'e-mail' : effect);
  if (row.reason) steps.push(row.reason);
  if (row.waits) {
    const seconds = Math.max(0, Math.ceil((row.waits.until - Date.now()) / 1000));
    steps.push(`${row.waits.reason}, again in ${seconds} s`);
  }
  return steps.join(' ▸ ');
}

function drawRow(row, { columns, colored }) {
  const way = fit(wayOf(row), Math.max(20, Math.min(columns, WIDTH) - LABEL_WIDTH - ENDING_WIDTH - 4));
  const color = ENDING_COLORS[row.ending] ?? dim;
  return ` ${fit(row.label, LABEL_WIDTH)} ${way} ${color(row.ending ?? '…', colored)}`;
}

// ---- all of it

const drawTitle = (text, { columns, colored }) =>
  bold(` ${text} ${'─'.repeat(Math.max(0, Math.min(columns, WIDTH) - text.length - 3))}`, colored);

/** The screen as lines, no more than `rows` of them; `lit` has the numbers of the stations that events pass right now. */
export function draw(board, { columns = WIDTH, rows = Infinity, colored = false, hints = [], lit = new Set() } = {}) {
  const look = { columns, colored, lit };
  const seconds = Math.round((Date.now() - board.started) / 1000);
  const head = [
    `${bold(' identihook', colored)}${dim(` and everything around it, for ${seconds} s; Ctrl-C ends it`, colored)}`,
    '',
    ...drawPath(stationsOf(board), look),
    '',
  ];
  const foot = [
    '',
    ...board.troubles.slice(-2).map((line) => yellow(` ${fit(line, columns - 2).trimEnd()}`, colored)),
    ...hints.flatMap((hint) => wrap(` ${hint}`, columns)).map((line) => dim(line, colored)),
  ];
  const room = rows - head.length - foot.length - 2;
  const mailRoom = Math.min(board.mails.length, Math.max(3, Math.floor(room / 3)));
  const events = board.rows.slice(-Math.max(3, room - mailRoom));
  const mails = board.mails.slice(-mailRoom);
  return [
    ...head,
    drawTitle('events: what each is, its way, its outcome', look),
    ...(events.length > 0 ? events.map((row) => drawRow(row, look)) : [dim(' none yet', colored)]),
    drawTitle(`mails: ${board.mails.length} caught`, look),
    ...mails.map(
      ({ to, subject }) => ` ${fit(to ?? '', LABEL_WIDTH)} ${fit(subject ?? '', columns - LABEL_WIDTH - 3).trimEnd()}`,
    ),
    ...foot,
  ];
}

/** Draws over what it drew before. */
export class Screen {
  #height = 0;
  #stations = []; // { number, changed }

  constructor(stream = process.stdout) {
    this.stream = stream;
  }

  show(board, hints) {
    const { columns = WIDTH, rows = 40 } = this.stream;
    const lines = draw(board, {
      columns,
      rows: rows - 1,
      colored: !process.env.NO_COLOR,
      hints,
      lit: this.#lit(board),
    });
    const up = this.#height > 0 ? `\x1b[${this.#height}A` : '';
    // One write, so that nothing flickers: each line erases its rest, and the last one what is below.
    this.stream.write(`\x1b[?25l${up}\r${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
    this.#height = lines.length;
  }

  close() {
    this.stream.write('\x1b[?25h');
  }

  #lit(board) {
    const now = Date.now();
    this.#stations = stationsOf(board).map(([, number], i) => {
      const before = this.#stations[i] ?? { number: 0, changed: 0 };
      return number === before.number ? before : { number, changed: now };
    });
    return new Set(this.#stations.flatMap(({ changed }, i) => (now - changed < LIT_MS ? [i] : [])));
  }
}
