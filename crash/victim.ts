/** The process that dies. */
import { live } from './live.ts';

await live();
