/** `npm run bench:charts`: makes charts/*.svg and the tables of README.md from results/*.json. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import type { Findings, Series, Target } from './harness/bench.js';
import type { Line } from './harness/compare.js';
import { shown } from './harness/shown.js';

/** A file of results. */
interface Result extends Findings {
  readonly suite: string;
  readonly question: string;
  readonly date: string;
  readonly node: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
}

const ORDER = ['record', 'streams', 'acks', 'file-store', 'stores', 'resume', 'memory', 'start'];

/** Told apart with any sight, and readable on white. */
const COLOURS = ['#0b6e99', '#d97706', '#5b8c3a', '#7c3aed'];
const OURS = '#0b6e99';
const OTHERS = '#a8b3bd';
const INK = '#24292f';

const here = path.dirname(fileURLToPath(import.meta.url));
const charts = path.join(here, 'charts');

const config = {
  background: 'white',
  font: 'system-ui, sans-serif',
  padding: 16,
  view: { stroke: null },
  axis: {
    labelColor: INK,
    titleColor: INK,
    labelFontSize: 12,
    titleFontSize: 12,
    titleFontWeight: 'normal',
    titlePadding: 10,
    domainColor: '#8c959f',
    tickColor: '#8c959f',
    gridColor: '#e6e9ec',
    labelLimit: 0,
    labelFlush: false,
  },
  legend: { labelColor: INK, labelFontSize: 12, labelLimit: 0, symbolSize: 90, symbolStrokeWidth: 2 },
  title: {
    color: INK,
    fontSize: 15,
    anchor: 'start',
    offset: 14,
    subtitleColor: '#57606a',
    subtitleFontSize: 12,
  },
} as const;

/** Vega guesses the width of texts where there is no canvas; the names of bars are given the room they may need. */
async function draw(name: string, spec: TopLevelSpec): Promise<void> {
  const view = new View(parse(compile({ ...spec, config }).spec), { renderer: 'none' });
  await writeFile(path.join(charts, `${name}.svg`), `${await view.toSVG()}\n`);
  view.finalize();
}

/** Of the longest bar, in pixels. */
const BAR_WIDTH = 420;

const isOurs = (name: string): boolean =>
  /record\(|withOffsets|withAcks|acks in|OffsetStore|readLines|resume|streamweave/.test(name);

/** Bars of the ratios to the first line, with the quartiles of the rounds. */
async function drawBars(name: string, title: string, lines: readonly Line[]): Promise<void> {
  const values = lines.map((line) => ({
    name: line.name,
    ratio: line.ratio,
    low: line.ratioRange[0],
    high: line.ratioRange[1],
    label: `${shown(line.ratio)} ×`,
    ours: isOurs(line.name),
  }));
  const ratios = values.flatMap(({ ratio, high }) => [ratio, high]);
  const wide = Math.max(...ratios) > 12;
  const max = Math.max(...ratios) * (wide ? 1.5 : 1.02);
  const min = Math.min(...values.map(({ low }) => low), 0.5) / 2;
  const scale = wide ? { type: 'log' as const, domain: [min, max] } : { domain: [0, max] };
  const x = { field: 'ratio', type: 'quantitative' as const, scale };
  const y = {
    field: 'name',
    type: 'nominal' as const,
    sort: null,
    axis: { title: null, ticks: false, domain: false, labelPadding: 8 },
  };
  await draw(name, {
    title: {
      text: title,
      subtitle: `speed against "${lines[0]?.name ?? ''}"; lines: quartiles of the rounds`,
    },
    width: BAR_WIDTH,
    height: { step: 32 },
    data: { values },
    layer: [
      {
        mark: { type: 'bar', height: 16, cornerRadiusEnd: 2 },
        encoding: {
          x: { ...x, axis: { title: wide ? 'ratio (logarithmic)' : 'ratio', tickCount: 6, format: ',.3~r' } },
          ...(wide ? { x2: { datum: min } } : undefined),
          y,
          color: {
            field: 'ours',
            type: 'nominal',
            scale: { domain: [true, false], range: [OURS, OTHERS] },
            legend: null,
          },
        },
      },
      {
        mark: { type: 'rule', color: INK, strokeWidth: 1.5 },
        encoding: { x: { field: 'low', type: 'quantitative', scale }, x2: { field: 'high' }, y },
      },
      {
        mark: { type: 'rule', color: INK, strokeDash: [3, 3], strokeWidth: 1 },
        encoding: { x: { datum: 1, type: 'quantitative', scale } },
      },
      {
        // In a column of their own, where no bar, rule or grid runs through them.
        mark: { type: 'text', align: 'left', color: INK, fontSize: 12, font: config.font },
        encoding: { x: { value: BAR_WIDTH + 10 }, y, text: { field: 'label' } },
      },
    ],
  });
}

/** How a cost grows, over decades. */
async function drawSeries({ id, title, x, y, points }: Series): Promise<void> {
  const lines = [...new Set(points.map(({ line }) => line))];
  const costs = points.map((point) => point.y).filter((cost) => cost > 0);
  const steep = Math.max(...costs) / Math.min(...costs) > 20;
  await draw(id, {
    title: { text: title },
    width: 520,
    height: 260,
    data: { values: points.filter((point) => point.y > 0) },
    mark: { type: 'line', point: { filled: true, size: 50 }, strokeWidth: 2 },
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative',
        scale: { type: 'log' },
        axis: { title: x, format: ',d', values: [...new Set(points.map((point) => point.x))] },
      },
      y: {
        field: 'y',
        type: 'quantitative',
        scale: steep ? { type: 'log' } : { zero: true },
        axis: { title: y, format: ',.3~r', tickCount: 6 },
      },
      color: {
        field: 'line',
        type: 'nominal',
        scale: { domain: lines, range: COLOURS },
        legend: lines.length > 1 ? { title: null, orient: 'bottom', direction: 'vertical' } : null,
      },
    },
  });
}

/** Columns of equal width, as prettier leaves them. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, at) => Math.max(3, cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const measured = ({ value, unit }: Target): string =>
  unit === '×' ? `${shown(value)} ×` : `${shown(value)} ${unit}`;

function targetsTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ suite, targets }) =>
    targets.map((target) => [
      target.name,
      suite,
      `${target.wanted} ${target.limit} ${target.unit}`,
      measured(target),
      target.pass ? 'pass' : 'short',
    ]),
  );
  return table(['Target', 'Suite', 'wanted', 'measured', ''], rows);
}

const fileOf = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

async function suiteText({ suite, question, groups, series, notes }: Result): Promise<string> {
  const parts = [`### ${suite}`, question];
  for (const { name, lines } of groups) {
    const chart = `${suite}-${fileOf(name)}`;
    await drawBars(chart, `${suite}: ${name}`, lines);
    parts.push(
      `![${name}](charts/${chart}.svg)`,
      table(
        [name, 'a second', '± spread', 'ratio'],
        lines.map((line) => [
          line.name,
          shown(line.perSecond),
          `${(line.spread * 100).toFixed(1)} %`,
          shown(line.ratio),
        ]),
      ),
    );
  }
  for (const one of series) {
    await drawSeries(one);
    const lines = [...new Set(one.points.map(({ line }) => line))];
    const xs = [...new Set(one.points.map(({ x }) => x))];
    parts.push(
      `![${one.title}](charts/${one.id}.svg)`,
      table(
        [`${one.title}, ${one.y}`, ...xs.map((x) => x.toLocaleString('en'))],
        lines.map((line) => [
          line,
          ...xs.map((x) =>
            shown(one.points.find((point) => point.line === line && point.x === x)?.y ?? Number.NaN),
          ),
        ]),
      ),
    );
  }
  parts.push(...notes.map((note) => `${note}.`));
  return parts.join('\n\n');
}

async function readResults(): Promise<Result[]> {
  const folder = path.join(here, 'results');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const results = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(path.join(folder, name), 'utf8')) as Result),
  );
  return results.toSorted((a, b) => ORDER.indexOf(a.suite) - ORDER.indexOf(b.suite));
}

/** What stands between the markers is made here, and nothing else is touched. */
function fillIn(text: string, marker: string, content: string): string {
  const begin = `<!-- ${marker}: made by npm run bench:charts -->`;
  const end = `<!-- end of ${marker} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to < from) throw new Error(`Expected ${begin} and ${end} in README.md`);
  return `${text.slice(0, from)}${begin}\n\n${content}\n\n${text.slice(to)}`;
}

function machineText([first, ...others]: readonly Result[]): string {
  if (first === undefined) throw new Error('Expected results: run npm run bench first');
  const { cpu, cores, memoryGiB, platform, release } = first.machine;
  const days = [...new Set([first, ...others].map(({ date }) => date.slice(0, 10)))].toSorted().join(', ');
  const versions = Object.entries(first.versions).map(([name, version]) => `${name} ${version}`);
  return (
    `Measured on ${days}: ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${platform} ${release}, Node ${first.node.slice(1)}. ` +
    `Beside it: ${versions.join(', ')}.`
  );
}

const results = await readResults();
await rm(charts, { recursive: true, force: true });
await mkdir(charts, { recursive: true });
const suites: string[] = [];
for (const result of results) suites.push(await suiteText(result));
const readme = path.join(here, 'README.md');
const text = await readFile(readme, 'utf8');
await writeFile(
  readme,
  fillIn(
    fillIn(text, 'targets', `${machineText(results)}\n\n${targetsTable(results)}`),
    'suites',
    suites.join('\n\n'),
  ),
);
console.log(`${results.length} suites`);
