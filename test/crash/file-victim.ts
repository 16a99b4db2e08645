/** The process that dies, on a target of files. */
import { live } from '../../crash/live.ts';
import { askFiles } from './file-target.ts';

await live((options) => ({ ...options, run: askFiles }));
