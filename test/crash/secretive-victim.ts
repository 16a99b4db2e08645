/** A process with a deliberate fault: it writes something that the list of points does not name. */
import { live } from '../../crash/live.ts';
import { alone } from '../../src/rotation/peers.ts';
import { askFiles } from './file-target.ts';

await live((options) => ({
  ...options,
  run: askFiles,
  peers: {
    ...alone,
    sent: async () => {
      await options.db.insertInto('conflict_discovery').values({ at: new Date(), accounts: 0, found: 0 }).execute();
    },
  },
}));
