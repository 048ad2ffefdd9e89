import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** One import, of whatever form. */
interface Import {
  /**
   * A file of ours as seen from `lib/` (`stores/memory.ts`; one outside begins with `../`), or the name of a package;
   * undefined where it is computed, so that no check can follow it.
   */
  readonly target: string | undefined;
  /** It stands as written: relative, so a file of ours. */
  readonly isOwn: boolean;
  /** Only types are imported: nothing is loaded. */
  readonly isType: boolean;
}

/** The imports of every file of `lib/`, by the file's path as seen from there. */
export type ImportGraph = ReadonlyMap<string, readonly Import[]>;

/** The graph of a folder, by the compiler's own parser: with the imports of types, and `import()`. */
export function importGraph(folder: string): ImportGraph {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.split(path.sep).join('/'))
    .toSorted();
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(path.join(folder, file), 'utf8'))]));
}

/** The imports of one file, given its text. */
export function importsOf(file: string, text: string): Import[] {
  const imports: Import[] = [];

  const add = (target: ts.Node | undefined, isType: boolean): void => {
    const name = target !== undefined && ts.isStringLiteralLike(target) ? target.text : undefined;
    const isOwn = name?.startsWith('.') === true;
    imports.push({
      target: isOwn ? path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, '.ts') : name,
      isOwn,
      isType,
    });
  };

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node)) {
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument, true);
    } else if (ts.isExternalModuleReference(node)) {
      add(node.expression, false);
    } else if (ts.isCallExpression(node)) {
      const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
      if (isRequire || node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest));
  return imports;
}

/**
 * The cycles among the files that load one another, as the files that one passes through: `['a.ts', 'b.ts', 'a.ts']`.
 * Two files may still tell of each other's types.
 */
export function cyclesOf(graph: ImportGraph): string[][] {
  const finished = new Set<string>();
  const cycles: string[][] = [];
  const walk = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start !== -1) cycles.push([...way.slice(start), file]);
    if (start !== -1 || finished.has(file)) return;
    for (const { target, isOwn, isType } of graph.get(file) ?? []) {
      if (target !== undefined && isOwn && !isType) walk(target, [...way, file]);
    }
    finished.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  return cycles;
}
