import { SingleBar } from 'cli-progress';
import type { Observer } from './scenario.js';
import { formatNumber, interactive, paint } from './terminal.js';

export interface Progress extends Observer {
  /** Ends it; also where the scenario failed. */
  stop(): void;
}

/** How a scenario is shown while it runs: a bar on a terminal, lines elsewhere. */
export function showProgress(strategy: string, items: number, kills: number): Progress {
  return interactive ? bar(strategy, items, kills) : lines(strategy, items, kills);
}

function bar(strategy: string, items: number, kills: number): Progress {
  const single = new SingleBar({
    format: `${paint('bold', strategy.padEnd(14))} ${paint('cyan', '{bar}')} {percentage}%  ${paint('red', '{kills}')}{note}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    stream: process.stdout,
    fps: 20,
  });
  const note = (killed: number, uncommitted?: number): { kills: string; note: string } => ({
    kills: `${killed} of ${kills} kills`,
    note: uncommitted === undefined ? '' : `, ${formatNumber(uncommitted)} to repeat`,
  });
  single.start(items, 0, note(0));
  return {
    progress: (done) => single.update(done),
    killed(kill, number, done) {
      single.update(done, note(number, kill.uncommitted));
    },
    stop: () => single.stop(),
  };
}

function lines(strategy: string, items: number, kills: number): Progress {
  return {
    progress: () => {},
    killed(kill, number, done) {
      const percent = Math.floor((done / items) * 100);
      console.log(
        `${strategy.padEnd(14)} kill ${number} of ${kills} at ${percent}%: ${formatNumber(done)} items done, ` +
          `${formatNumber(kill.uncommitted)} of them not committed; started again`,
      );
    },
    stop: () => {},
  };
}
