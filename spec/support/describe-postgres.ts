import { describeWithServer } from './describe-with-server.js';
import { missingPostgres } from './postgres-server.js';

/** As `describe`, for specs that need Postgres. */
export function describeWithPostgres(title: string, body: () => void): void {
  describeWithServer(title, missingPostgres(), body);
}
