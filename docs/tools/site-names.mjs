/**
 * A plugin of typedoc's: modules are called what they are imported by, and pages by their headings. Examples get a
 * name that a browser shows as text; one that ends in .ts it takes for a film.
 */
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import path from 'node:path';
import { Converter, PageEvent, ReflectionKind, RendererEvent } from 'typedoc';

const { name, exports } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** By the path in lib/ without its ending, as typedoc calls modules. */
const modules = new Map(
  Object.entries(exports)
    .filter(([, target]) => target.types !== undefined)
    .map(([subpath, target]) => [
      /^\.\/dist\/(.*?)(?:\/index)?\.d\.ts$/.exec(target.types)[1],
      subpath.replace('.', name),
    ]),
);

export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DECLARATION, (_context, reflection) => {
    if (!reflection.kindOf(ReflectionKind.Module)) return;
    const known = modules.get(reflection.name.replace(/\/index$/, ''));
    if (known === undefined)
      throw new Error(`Expected a module that package.json exports, got ${reflection.name}`);
    reflection.name = known;
  });

  // Once the addresses of the pages are made, which go by the names of the files.
  app.renderer.on(RendererEvent.BEGIN, ({ project }) => {
    for (const document of project.getReflectionsByKind(ReflectionKind.Document)) {
      const text = document.content.map((part) => part.text).join('');
      document.name = /^# (.+)$/m.exec(text)?.[1] ?? document.name;
    }
  });

  app.renderer.on(PageEvent.END, (page) => {
    page.contents = page.contents?.replaceAll(/(href="[^"]*\bmedia\/[\w-]+\.ts)"/g, '$1.txt"');
  });

  app.renderer.on(RendererEvent.END, ({ outputDirectory }) => {
    const media = path.join(outputDirectory, 'media');
    for (const file of readdirSync(media)) {
      if (file.endsWith('.ts')) renameSync(path.join(media, file), path.join(media, `${file}.txt`));
    }
  });
}
