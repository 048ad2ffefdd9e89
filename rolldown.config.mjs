import { defineConfig } from 'rolldown';

/** The file of a module of lib/ in dist, without the ending. */
const ENTRIES = ['index', 'otel/index', 'testing/index', 'stores/sqlite', 'stores/postgres', 'stores/redis'];

/**
 * The code of dist/: a file for each entry point; one that holds all that the main entry point needs at once, which is
 * what the others share, too (a class is then the same through whichever of them it comes); and in dist/chunks/ what is
 * loaded when it is first used. Fewer files are an import that takes less time.
 */
export default defineConfig({
  input: Object.fromEntries(ENTRIES.map((name) => [name, `lib/${name}.ts`])),
  platform: 'node',
  transform: { target: 'node20.19' },
  tsconfig: false,
  // Everything but our own files: packages and what Node has.
  external: /^[^./]/,
  output: {
    dir: 'dist',
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    codeSplitting: { groups: [{ name: 'core', test: /lib\/index\.ts$/ }] },
  },
});
