import { describeWithServer } from './describe-with-server.js';
import { missingRedis } from './redis-server.js';

/** As `describe`, for specs that need redis-server. */
export function describeRedis(title: string, body: () => void): void {
  describeWithServer(title, missingRedis(), body);
}
