/**
 * Code blocks of a page come from files that are run. A comment above the block names the file, and the region of it
 * where it is not the whole:
 *
 *     <!-- docs/examples/auto.ts#region -->
 *
 * Of a whole file, the comment at its head and what it prints are left out; `#prints` is what it prints.
 */

const SOURCE = '<!-- ([\\w./-]+?)(?:#([\\w-]+))? -->\\n\\n';
const BLOCK = new RegExp(`(${SOURCE})?^(\`\`\`(\\w+)\\n)([\\s\\S]*?)^\`\`\`$`, 'gm');

/** A block of code in a page. */
export interface Block {
  readonly language: string;
  readonly code: string;
  /** The file that its comment names; undefined where it has no comment. */
  readonly file: string | undefined;
  /** The region of that file; undefined where it is the whole. */
  readonly region: string | undefined;
}

/** The page with every block as its file has it now. */
export function withBlocks(page: string, read: (file: string) => string): string {
  return page.replaceAll(
    BLOCK,
    (block, source: string | undefined, file: string, region: string | undefined, fence: string) =>
      source === undefined ? block : `${source}${fence}${excerpt(read(file), file, region)}\`\`\``,
  );
}

/** The blocks of a page, in order. */
export function blocksOf(page: string): Block[] {
  return Array.from(page.matchAll(BLOCK), ([, , file, region, , language, code]) => ({
    file,
    region,
    language: language!,
    code: code!,
  }));
}

/** A region of a file, or the whole. */
export function excerpt(text: string, file: string, region: string | undefined): string {
  if (region === undefined) {
    const body = text.replace(/^\/\*\*[\s\S]*?\*\/\n/, '').replace(/\n\/\* Prints:\n[\s\S]*?\*\/\n$/, '');
    return dedented(body.replaceAll(/^\s*\/\/ #(?:end)?region\b.*\n/gm, ''));
  }
  const pattern =
    region === 'prints'
      ? /\/\* Prints:\n([\s\S]*?)\*\/\n$/
      : new RegExp(`^\\s*// #region ${region}\\n([\\s\\S]*?)^\\s*// #endregion`, 'm');
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`Expected a region "${region}" in ${file}, found none`);
  return dedented(found);
}

/** Without the indentation that all lines have in common. */
function dedented(text: string): string {
  const lines = text.replace(/^\n+/, '').trimEnd().split('\n');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => /^ */.exec(line)![0].length);
  const common = Math.min(...indents);
  return `${lines.map((line) => line.slice(common)).join('\n')}\n`;
}
