import { styleText } from 'node:util';

export type Style = Parameters<typeof styleText>[0];

/** Whether people look on: then there is a bar that moves. In a pipe or a file there are plain lines. */
export const interactive = process.stdout.isTTY;

// hasColors() respects NO_COLOR, and terminals that have none.
const coloured = interactive && process.stdout.hasColors();

/** The text in colour, where colours are wanted. */
export function paint(style: Style, text: string): string {
  return coloured ? styleText(style, text) : text;
}

export function formatNumber(value: number): string {
  return value.toLocaleString('en-US');
}
