import { describeWithServer } from './own-server.js';
import { missingRedis } from './redis-server.js';

/** As `describe`, for specs that need redis-server. */
export function describeRedis(title: string, body: () => void): void {
  describeWithServer(title, missingRedis(), body);
}
