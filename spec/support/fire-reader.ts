import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** What the file says of one source. */
export interface Standing {
  /** The number of its sequence; undefined for a source without an offset. */
  readonly value: bigint | undefined;
  readonly epoch: number;
}

interface Document {
  readonly format: string;
  readonly version: number;
  readonly sha256: string;
  readonly generation: number;
  readonly count: number;
  readonly sources: readonly {
    readonly source: string;
    readonly checkpoint: {
      readonly json: {
        readonly epoch: number;
        readonly offset?: { readonly kind: string; readonly value: string };
      };
    };
  }[];
}

/**
 * What a file of offsets says, by a reader that shares no code with the library: any JSON parser, and the
 * checksum of the header. Throws where the file is not whole.
 */
export function readStandings(bytes: Buffer): Map<string, Standing> {
  const document = JSON.parse(bytes.toString('utf8')) as Document;
  if (document.format !== 'streamweave-offset' || document.version !== 1) {
    throw new Error(`Expected a file of format 1, got ${document.format} ${document.version}`);
  }
  const digest = createHash('sha256')
    .update(bytes.subarray(bytes.indexOf('\n') + 1))
    .digest('hex');
  if (digest !== document.sha256) throw new Error(`Expected sha256 ${document.sha256}, got ${digest}`);
  const standings = new Map<string, Standing>();
  for (const { source, checkpoint } of document.sources) {
    const { epoch, offset } = checkpoint.json;
    standings.set(source, { epoch, value: offset === undefined ? undefined : BigInt(offset.value) });
  }
  if (standings.size !== document.count || document.sources.length !== document.count) {
    throw new Error(`Expected ${document.count} sources, got ${document.sources.length}`);
  }
  return standings;
}

/** As {@link readStandings}; a file that is not there says nothing. */
export function readStandingsAt(path: string): Map<string, Standing> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  return readStandings(bytes);
}
