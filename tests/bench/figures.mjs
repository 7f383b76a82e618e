// Samples, their medians, and how they are shown.

export const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

/** Samples by label: add() takes an object of numbers, of() is the median of one of them. */
export class Samples {
  #byLabel = new Map();

  add(label, sample) {
    if (!this.#byLabel.has(label)) this.#byLabel.set(label, []);
    this.#byLabel.get(label).push(sample);
  }

  of(label, field) {
    return median(this.#byLabel.get(label).map((sample) => sample[field]));
  }
}

/** Three significant digits, without an exponent. */
export function number(value) {
  if (value >= 10_000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

export const ratio = (value, reference) => `${number(value / reference)} ×`;

/** A table in Markdown, its columns aligned. */
export function table(columns, rows) {
  const lines = [columns, ...rows];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const show = (line) => `| ${line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  return [show(columns), `|${widths.map((width, i) => '-'.repeat(width + 1) + (i === 0 ? '-' : ':')).join('|')}|`, ...rows.map(show)].join('\n');
}
