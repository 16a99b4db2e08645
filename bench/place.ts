/** Where `npm run bench` measures when it is given no doors: a real sshd on a machine of its own, and a Sallyport in front of it. */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeKey } from '../test/lab/client.ts';
import { startMachine } from '../test/lab/machine.ts';
import { runWell } from '../test/lab/run.ts';
import { startProduct } from '../test/support/sallyport.ts';
import type { Door } from './measure.ts';

export interface Place extends AsyncDisposable {
  /** The sshd, the sshd once more (how far the two differ is noise), the gate, the gate with contents recorded. */
  readonly doors: readonly Door[];
  /** The sshd and the gate, for a client whose ciphers nobody configured. */
  readonly unconfigured: readonly Door[];
}

/** Starts everything; the target takes the same key directly and from the vault. */
export async function openPlace(folder: string): Promise<Place> {
  await using undo = new AsyncDisposableStack();
  const key = await makeKey(folder);
  const machine = undo.use(
    await startMachine({ name: 'bench', users: [{ name: 'root', authorizedKeys: [key.line] }] }),
  );
  const product = undo.use(await startProduct({ logLevel: 'warn' }));
  const password = randomBytes(18).toString('base64url');
  await product.ask(['enrol', 'ana', '--stdin', '--key', key.line], `${product.code ?? ''}\n${password}\n`);
  await product.ask(
    ['apply', '-f', '-'],
    `
groups: [{ name: ops }, { name: watched }]
users:
  - { name: ana, roles: [administrator], groups: [ops] }
  - { name: cy, groups: [watched], keys: ['${key.line}'] }
targets:
  - { name: bench, address: ${machine.address}, services: [{ protocol: ssh, port: ${machine.port} }] }
accounts: [{ name: root@bench, kind: ssh-key }]
grants:
  - { name: ops, group: ops, targets: [bench] }
  - { name: watched, group: watched, targets: [bench], recordContent: true }
`,
  );
  await product.ask(['target', 'trust', 'bench', '--yes']);
  await product.ask(['account', 'set', 'root@bench', '--stdin'], readFileSync(key.file, 'utf8'));

  const machineKeys = join(folder, 'machine_known_hosts');
  await writeFile(machineKeys, machine.knownHosts());
  const gateKeys = join(folder, 'gate_known_hosts');
  const scanned = await runWell(['ssh-keyscan', '-p', String(product.ssh.port), product.ssh.address]);
  await writeFile(gateKeys, scanned.stdout);
  const direct = {
    address: machine.address,
    port: machine.port,
    user: 'root',
    keyFile: key.file,
    knownHostsFile: machineKeys,
  };
  const gate = {
    ...product.ssh,
    user: 'ana@root@bench',
    keyFile: key.file,
    knownHostsFile: gateKeys,
    pid: product.pid,
  };
  // Names nothing that is not on the list already, and so leaves the list as it is.
  const options = ['Ciphers=+aes128-gcm@openssh.com'];
  const life = undo.move();
  return {
    doors: [
      { name: 'direct', ...direct },
      { name: 'direct again', ...direct },
      { name: 'gate', ...gate },
      { name: 'gate, contents recorded', ...gate, user: 'cy@root@bench' },
    ],
    unconfigured: [
      { name: 'direct, usual ciphers', ...direct, options },
      { name: 'gate, usual ciphers', ...gate, options },
    ],
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}
