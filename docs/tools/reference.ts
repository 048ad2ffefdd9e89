/** The tables of the reference pages, made from the docstrings of the library's options and errors. */
import ts from 'typescript';

/** The modules whose exports are public, with the names they are imported by. */
const ENTRY_POINTS: ReadonlyMap<string, string> = new Map([
  ['lib/index.ts', 'streamweave-offset'],
  ['lib/stores/sqlite.ts', 'streamweave-offset/sqlite'],
  ['lib/stores/postgres.ts', 'streamweave-offset/postgres'],
  ['lib/stores/redis.ts', 'streamweave-offset/redis'],
  ['lib/otel/index.ts', 'streamweave-offset/otel'],
  ['lib/testing/index.ts', 'streamweave-offset/testing'],
]);

/** What the docstring of an option says that exists for tests alone. */
const FOR_TESTS = /, for tests\. /;

/** The tables of all options, and the table of error codes. */
export function referenceTables(root: string): { readonly options: string; readonly errors: string } {
  const files = Array.from(ENTRY_POINTS.keys(), (file) => `${root}/${file}`);
  const { config } = ts.readConfigFile(`${root}/tsconfig.json`, (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  // Types of Node's are only quoted here, not looked into.
  const program = ts.createProgram(files, { ...options, types: [] });
  const checker = program.getTypeChecker();
  const seen = new Set<ts.Symbol>();
  const sections: string[] = [];
  for (const [file, name] of ENTRY_POINTS) {
    const module = checker.getSymbolAtLocation(program.getSourceFile(`${root}/${file}`)!)!;
    const tables: string[] = [];
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      assertDocumented(symbol, checker);
      if (!symbol.name.endsWith('Options') || symbol.name === 'OffsetErrorOptions' || seen.has(symbol))
        continue;
      seen.add(symbol);
      tables.push(optionsTable(symbol, checker));
    }
    if (tables.length > 0) sections.push(`## ${name}\n`, ...tables);
  }
  return {
    options: sections.join('\n'),
    errors: errorsTable(program.getSourceFile(`${root}/lib/errors.ts`)!),
  };
}

/** Whoever comes for a function or a class finds an example there; errors have theirs at their base. */
function assertDocumented(symbol: ts.Symbol, checker: ts.TypeChecker): void {
  if ((symbol.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Class)) === 0) return;
  if (/\wError$/.test(symbol.name) && symbol.name !== 'OffsetError') return;
  const tags = symbol.getJsDocTags(checker).map((tag) => tag.name);
  if (docOf(symbol, checker) === '' || !tags.includes('example')) {
    throw new Error(`Expected a docstring with an @example at ${symbol.name}`);
  }
}

function optionsTable(symbol: ts.Symbol, checker: ts.TypeChecker): string {
  const rows: string[][] = [];
  const forTests: string[] = [];
  for (const property of checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))) {
    if (property.getJsDocTags(checker).some(({ name }) => name === 'internal')) continue;
    const declaration = property.declarations?.[0] as ts.PropertySignature | undefined;
    const text = docOf(property, checker);
    if (FOR_TESTS.test(text)) {
      forTests.push(`\`${property.name}\``);
      continue;
    }
    const optional = (property.flags & ts.SymbolFlags.Optional) !== 0;
    const given = /\s*\bDefault: ([\s\S]+?)\.(?=\s|$)/.exec(text);
    const range = /,? ?\b(\d[\d,]*) … ((?:2\^\d+(?:-\d+)?)|\d[\d,]*)/.exec(text);
    rows.push([
      `\`${property.name}\``,
      code(typeOf(declaration?.type)),
      unitOf(property.name),
      given?.[1] ?? (optional ? '' : 'required'),
      range === null ? '' : unbroken(`${range[1]} … ${range[2]}`),
      // What the other columns say is left out here.
      firstSentences(
        text
          .replace(given?.[0] ?? '', '')
          .replace(range?.[0] ?? '', '')
          .replace(/,? in (?:milliseconds|bytes)\b/, ''),
      ),
    ]);
  }
  const intro = docOf(symbol, checker);
  const head = ['Option', 'Type', 'Unit', 'Default', 'Least … most', 'What it is'];
  // Columns in which there is nothing are left out.
  const used = head.map((_, column) => rows.some((row) => row[column] !== ''));
  const withUsed = (row: readonly string[]): string[] => row.filter((_, column) => used[column]);
  const table = tableOf(withUsed(head), ...rows.map(withUsed));
  const rest =
    forTests.length === 0 ? '' : `\nFor tests of the library alone there are also ${forTests.join(', ')}.\n`;
  return `### ${symbol.name}\n\n${intro}\n\n${table}${rest}`;
}

function errorsTable(file: ts.SourceFile): string {
  const rows: string[][] = [];
  const codes: string[] = [];
  ts.forEachChild(file, (node) => {
    if (ts.isTypeAliasDeclaration(node) && node.name.text === 'OffsetErrorCode') {
      codes.push(...Array.from(node.type.getText(file).matchAll(/'(\w+)'/g), (match) => match[1]!));
    }
    if (!ts.isClassDeclaration(node)) return;
    const doc = ts.getTextOfJSDocComment(ts.getJSDocCommentsAndTags(node).find(ts.isJSDoc)?.comment) ?? '';
    const text = oneLine(doc);
    for (const [, name, meaning] of text.matchAll(/`(OFFSET_\w+)`: (.+?)(?= `OFFSET_\w+`: |$)/g)) {
      rows.push([`[\`${name}\`](#${name!.toLowerCase()})`, `\`${node.name!.text}\``, meaning!]);
    }
  });
  const described = rows.map((row) => /OFFSET_\w+/.exec(row[0]!)![0]);
  const missing = codes.filter((name) => !described.includes(name));
  if (missing.length > 0) {
    throw new Error(
      `Expected the class of each code to say what it means, and none does of ${missing.join(', ')}`,
    );
  }
  return tableOf(['Code', 'Class', 'Means'], ...rows);
}

function docOf(symbol: ts.Symbol, checker: ts.TypeChecker): string {
  return oneLine(ts.displayPartsToString(symbol.getDocumentationComment(checker)));
}

/** On one line, with the names that links lead to in place of the links. */
function oneLine(text: string): string {
  return text
    .replaceAll(/\{@link ([^}]+?)\s*\}/g, '`$1`')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

/** As many of the first sentences as say what it is without going into detail. */
function firstSentences(text: string): string {
  const sentences = text.split(/(?<=[.)])\s+(?=[A-Z`'(])/);
  let taken = sentences.shift() ?? '';
  while (sentences.length > 0 && taken.length + sentences[0]!.length < 320) taken += ` ${sentences.shift()}`;
  return taken;
}

function typeOf(type: ts.TypeNode | undefined): string {
  return (type?.getText() ?? '')
    .replaceAll(/\s+/g, ' ')
    .replace(/ \| undefined$/, '')
    .replace(/^\((.*)\)$/, '$1');
}

/** The unit that the name ends with. */
function unitOf(name: string): string {
  if (/(?:^ms|Ms)$/.test(name)) return 'ms';
  return name.endsWith('Bytes') ? 'bytes' : '';
}

/** With blanks and a minus sign at which no line is broken. */
function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00A0').replace('-', '\u2212');
}

function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

function tableOf(head: readonly string[], ...rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |\n`;
  return line(head) + line(head.map(() => '---')) + rows.map(line).join('');
}
