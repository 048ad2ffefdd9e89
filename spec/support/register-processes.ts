/** How a process that uses a register tells what it did, and how the spec that started it takes that in. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Operation } from './register-history.js';

/** The operation as one line of JSON, in which a bigint is text. */
export function lineOf(operation: Operation): string {
  const plain = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  return `${JSON.stringify(operation, plain)}\n`;
}

function operationOf(line: string): Operation {
  const { value, start, end, ...rest } = JSON.parse(line) as Omit<Operation, 'value' | 'start' | 'end'> &
    Record<'value' | 'start' | 'end', string>;
  return { ...rest, value: BigInt(value), start: BigInt(start), end: BigInt(end) };
}

/** Runs the worker to its end, and gives what it did. */
export async function historyOf(worker: string, job: unknown): Promise<Operation[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [worker, JSON.stringify(job)], {
    maxBuffer: 2 ** 26,
  });
  return stdout.trimEnd().split('\n').map(operationOf);
}
