// Draws figures as an SVG image: one panel for each, a bar for each server, identihook's in colour.
//
// A figure is { title, unit, better: 'less' | 'more', bars: [{ label, value }] }.

import { number } from './figures.mjs';

const WIDTH = 860;
const BAR = { left: 260, right: 760, height: 20, pitch: 28 };
const COLOUR = { identihook: '#1a7f4b', other: '#9aa3ad', text: '#1f2328', faint: '#656d76' };

const escape = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');

const text = (x, y, content, attributes = '') => `<text x="${x}" y="${y.toFixed(1)}" ${attributes}>${escape(content)}</text>`;

function bar({ label, value }, widest, top) {
  const own = label.startsWith('identihook');
  const width = Math.max(1, (value / widest) * (BAR.right - BAR.left));
  const middle = top + BAR.height / 2 + 5;
  const weight = own ? 'font-weight="600"' : '';
  return [
    text(BAR.left - 10, middle, label, `text-anchor="end" ${weight}`),
    `<rect x="${BAR.left}" y="${top}" width="${width.toFixed(1)}" height="${BAR.height}" rx="2" fill="${own ? COLOUR.identihook : COLOUR.other}"/>`,
    text(BAR.left + width + 8, middle, number(value), weight),
  ].join('\n');
}

const panelHeight = ({ bars }) => 34 + bars.length * BAR.pitch + 22;

function panel({ title, unit, better, bars }, top) {
  const widest = Math.max(...bars.map(({ value }) => value));
  return [
    text(20, top + 18, title, 'font-size="15" font-weight="600"'),
    text(WIDTH - 20, top + 18, `${unit}; ${better} is better`, `text-anchor="end" font-size="12" fill="${COLOUR.faint}"`),
    ...bars.map((one, i) => bar(one, widest, top + 34 + i * BAR.pitch)),
  ].join('\n');
}

export function chart(figures) {
  let top = 14;
  const panels = figures.map((figure) => {
    const drawn = panel(figure, top);
    top += panelHeight(figure);
    return drawn;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" width="${WIDTH}" height="${top}" font-family="system-ui, sans-serif" font-size="13" fill="${COLOUR.text}">
<rect width="100%" height="100%" fill="#fff"/>
${panels.join('\n')}
</svg>
`;
}
