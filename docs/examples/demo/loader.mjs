/**
 * Lets Node run the TypeScript of this folder. tsx by itself (`--import tsx`) would follow the `paths` of the
 * repository's tsconfig.json, and take `streamweave-offset` from lib/; without a tsconfig the name is found as
 * users find it, through the package's exports, in the built dist/.
 */
import { register } from 'tsx/esm/api';

register({ tsconfig: false });
