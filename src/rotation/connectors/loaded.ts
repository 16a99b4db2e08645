/**
 * A connector's code for the process that asks a target: it loads the one that its jobs are for. So it starts in less than
 * half the time, and where a hostile target is listened to there is no other connector's code.
 */
import type { Connector } from './connector.ts';

/** The names are those of `registry.ts`, and a test says so. */
const loads: ReadonlyMap<string, () => Promise<Connector>> = new Map([
  ['linux-chpasswd', async () => (await import('./linux-chpasswd.ts')).linuxChpasswd],
  ['linux-shadow', async () => (await import('./linux-shadow.ts')).linuxShadow],
  ['linux-passwd', async () => (await import('./linux-passwd.ts')).linuxPasswd],
  ['ssh-key', async () => (await import('./ssh-key.ts')).sshKey],
  ['postgres', async () => (await import('./postgres.ts')).postgres],
  ['mysql', async () => (await import('./mysql.ts')).mysql],
  ['ad', async () => (await import('./ad.ts')).ad],
  ['ldap', async () => (await import('./ldap.ts')).ldap],
  ['ios', async () => (await import('./ios.ts')).ios],
  ['script', async () => (await import('./script.ts')).script],
]);

/** The connector of that name, or undefined. */
export async function loadConnector(name: string): Promise<Connector | undefined> {
  return await loads.get(name)?.();
}
