/**
 * A process that competes for sources: `postgres-racer <driver> <url> <table> <rounds>`. It writes down what it did and
 * when, as a line of JSON for each operation, with times that processes of one machine share.
 */
import { Pool } from 'pg';
import postgres from 'postgres';
import type { OffsetStore } from '../../lib/offset-store.js';
import { PostgresOffsetStore } from '../../lib/stores/postgres.js';

/** One operation, from its call to its answer, in nanoseconds since the machine started. */
export interface Operation {
  readonly kind: 'commit' | 'read' | 'claim' | 'claimed commit';
  readonly from: number;
  readonly to: number;
  /** The offset committed or read, or the epoch claimed. */
  readonly value: number;
  /** Under which it was committed. */
  readonly epoch?: number;
  /** The code of the refusal. */
  readonly refused?: string;
}

const [driver = '', url = '', table = '', rounds = '0'] = process.argv.slice(2);
const history: Operation[] = [];

async function note(
  kind: Operation['kind'],
  work: () => Promise<number>,
  known: { value?: number; epoch?: number } = {},
): Promise<void> {
  const from = Number(process.hrtime.bigint());
  let value = known.value ?? 0;
  let refused: string | undefined;
  try {
    value = await work();
  } catch (error) {
    refused = (error as { code: string }).code;
    if (refused !== 'OFFSET_BEHIND' && refused !== 'OFFSET_FENCED') throw error;
  }
  const to = Number(process.hrtime.bigint());
  history.push({
    kind,
    from,
    to,
    value,
    ...(known.epoch === undefined ? {} : { epoch: known.epoch }),
    ...(refused === undefined ? {} : { refused }),
  });
}

async function race(
  store: Required<Pick<OffsetStore, 'commit' | 'get' | 'claim' | 'commitMany'>>,
): Promise<void> {
  let epoch = -1;
  for (let round = 1; round <= Number(rounds); round++) {
    await note(
      'commit',
      async () => {
        await store.commit('register', { kind: 'sequence', value: BigInt(round) });
        return round;
      },
      { value: round },
    );
    await note('read', async () => {
      const offset = await store.get('register');
      return offset?.kind === 'sequence' ? Number(offset.value) : 0;
    });
    if (round % 5 === 1) {
      await note('claim', async () => {
        epoch = await store.claim('owned');
        return epoch;
      });
    }
    await note(
      'claimed commit',
      async () => {
        await store.commitMany([
          {
            source: 'owned',
            offset: { kind: 'sequence', value: BigInt(round) },
            epoch,
            allowRegression: true,
          },
          { source: `seen ${process.pid}`, offset: { kind: 'sequence', value: BigInt(round) } },
        ]);
        return round;
      },
      { value: round, epoch },
    );
  }
}

async function main(): Promise<void> {
  if (driver === 'pg') {
    const pool = new Pool({ connectionString: url, max: 2 });
    await race(new PostgresOffsetStore(pool, { table }));
    await pool.end();
  } else {
    const sql = postgres(url, { max: 2, onnotice: () => {} });
    await race(new PostgresOffsetStore(sql, { table }));
    await sql.end();
  }
  process.stdout.write(JSON.stringify(history));
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
