/** A process with a deliberate fault: it changes the target before its intent is durable. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { live } from '../../crash/live.ts';
import { accountById, type Vault } from '../../src/vault/vault.ts';
import { askFiles } from './file-target.ts';

await live((options) => {
  const store: Vault['store'] = async (tx, request) => {
    const account = await accountById(tx, request.account);
    const service = await tx.selectFrom('service').select('settings').limit(1).executeTakeFirstOrThrow();
    const { folder } = service.settings as { folder: string };
    if (account !== undefined && request.credential.kind === 'password')
      await writeFile(join(folder, account.name), request.credential.secret.revealText());
    await options.vault.store(tx, request);
  };
  return { ...options, run: askFiles, vault: { ...options.vault, store } };
});
