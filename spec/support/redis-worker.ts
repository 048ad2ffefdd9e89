/** A process that uses a Redis store as its argument says, and reports on its output, one JSON document a line. */
import { OffsetError } from '../../lib/errors.js';
import { Offset } from '../../lib/offset.js';
import { RedisOffsetStore } from '../../lib/stores/redis.js';
import { Random } from './fire-random.js';
import { openClient, type RedisPackage } from './redis-client.js';
import { type RegisterJob, useRegister } from './register-client.js';
import { lineOf } from './register-processes.js';

/** The worker's argument, as JSON. */
export interface RedisJob {
  readonly client: RedisPackage;
  readonly port: number;
  readonly keyPrefix: string;
  readonly seed: number;
  /** What to do on the register of each source; or else the source to claim and commit to until fenced. */
  readonly register?: RegisterJob;
  readonly hold?: string;
}

const job = JSON.parse(process.argv[2] ?? '') as RedisJob;
const { client, disconnect } = await openClient(job.client, job.port);
const store = new RedisOffsetStore(client, { keyPrefix: job.keyPrefix });

function report(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

if (job.register !== undefined) {
  await useRegister(store, job.register, new Random(job.seed), (operation) => {
    process.stdout.write(lineOf(operation));
  });
}
if (job.hold !== undefined) {
  const epoch = await store.claim(job.hold);
  report({ claimed: epoch });
  try {
    for (let value = 0; ; value += 1) {
      await store.commit(job.hold, Offset.sequence(value), { epoch });
      report({ committed: value });
    }
  } catch (error) {
    report({ refused: error instanceof OffsetError ? error.code : String(error) });
  }
}
disconnect();
