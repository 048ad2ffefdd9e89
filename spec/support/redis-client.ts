/** Clients of both packages, alike to use. */
import type { RedisClient } from '../../lib/stores/redis.js';

export type RedisPackage = 'ioredis' | 'redis';

export interface OpenClient {
  readonly client: RedisClient;
  /** At once; what is under way fails. */
  readonly disconnect: () => void;
}

/** A connected client, set so that no call waits for a server that is down. */
export async function openClient(name: RedisPackage, port: number): Promise<OpenClient> {
  // A process loads only the package that it uses.
  if (name === 'ioredis') {
    const { Redis } = await import('ioredis');
    const client = new Redis(port, { maxRetriesPerRequest: 0, retryStrategy: () => 20, lazyConnect: true });
    client.on('error', () => {});
    await client.connect();
    return { client, disconnect: () => client.disconnect() };
  }
  const { createClient } = await import('redis');
  const client = createClient({
    url: `redis://127.0.0.1:${port}`,
    disableOfflineQueue: true,
    socket: { reconnectStrategy: () => 20 },
  });
  client.on('error', () => {});
  await client.connect();
  return { client, disconnect: () => client.destroy() };
}
