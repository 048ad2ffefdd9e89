import Table from 'cli-table3';
import type { Findings } from './bench.js';
import { shown } from './shown.js';

const style = { head: [], border: [] };

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

/** The findings as tables on the terminal. */
export function print(name: string, question: string, findings: Findings, seconds: number): void {
  console.log(`\n${name}: ${question} (${seconds} s)`);
  for (const group of findings.groups) {
    const table = new Table({
      head: [group.name, 'a second', '± spread', 'ratio', 'quartiles'],
      colAligns: ['left', 'right', 'right', 'right', 'right'],
      style,
    });
    for (const line of group.lines) {
      const range = line.ratioRange.map(shown).join(' … ');
      table.push([line.name, shown(line.perSecond), percent(line.spread), shown(line.ratio), range]);
    }
    console.log(table.toString());
  }
  for (const { title, x, y, points } of findings.series) {
    const table = new Table({ head: [title, x, y], colAligns: ['left', 'right', 'right'], style });
    for (const point of points) table.push([point.line, point.x.toLocaleString('en'), shown(point.y)]);
    console.log(table.toString());
  }
  for (const { name: target, value, limit, wanted, unit, pass } of findings.targets) {
    console.log(`${pass ? 'pass ' : 'short'}  ${target}: ${shown(value)} ${unit}, wanted ${wanted} ${limit}`);
  }
}
