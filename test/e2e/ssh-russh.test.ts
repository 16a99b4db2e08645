/** An independent client with post-quantum key exchange: russh, from npm, through the whole gate to a real sshd. */
import { readFileSync } from 'node:fs';
import { AuthenticatedSSHClient, KeyPair, SSHClient, SshTransport } from 'russh';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fullMachines } from '../lab/machine.ts';
import { alice, openStage, type Stage } from './ssh-stage.ts';

describe.runIf(fullMachines)('russh through the gate', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(async () => await stage[Symbol.asyncDispose]());

  test.each(['mlkem768x25519-sha256', 'curve25519-sha256', 'ecdh-sha2-nistp256'])(
    'logs in and runs a command with %s',
    async (kex) => {
      const from = await stage.mark();
      const { address, port } = stage.product.ssh;
      const socket = await SshTransport.newSocket(`${address}:${port}`);
      const client = await SSHClient.connect(socket, async () => true, { preferred: { kex: [kex] } });
      const key = await KeyPair.parse(readFileSync(stage.aliceKey, 'utf8'));
      const known = await client.authenticateWithKeyPair(alice, key, null);
      if (!(known instanceof AuthenticatedSSHClient)) throw new Error('refused');
      const channel = await known.activateChannel(await known.openSessionChannel());
      const output = new Promise<string>((resolve) => {
        let all = '';
        channel.data$.subscribe({
          next: (bytes) => {
            all += Buffer.from(bytes).toString('utf8');
            if (all.includes('\n')) resolve(all);
          },
        });
      });
      await channel.requestExec('echo "$((6 * 7)) $(id -un)"');
      expect(await output).toBe('42 deploy\n');
      await known.disconnect();
      const started = await stage.event((row) => row.type === 'session.started', from);
      expect(started.details['front']).toMatchObject({ kex });
    },
  );
});
