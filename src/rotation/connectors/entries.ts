/**
 * Which connectors there are. A new one is one file and one entry here. Each is loaded when it is asked for: a process
 * that serves one target needs one of them, and starts the sooner for it.
 */
import type { Connector } from './connector.ts';

type Load = () => Promise<Connector>;

/** By name. */
export const entries: ReadonlyMap<string, Load> = new Map<string, Load>([
  ['linux-chpasswd', async () => (await import('./linux-chpasswd.ts')).linuxChpasswd],
  ['linux-shadow', async () => (await import('./linux-shadow.ts')).linuxShadow],
  ['linux-passwd', async () => (await import('./linux-passwd.ts')).linuxPasswd],
  ['ssh-key', async () => (await import('./ssh-key.ts')).sshKey],
  ['postgres', async () => (await import('./postgres.ts')).postgres],
  ['mysql', async () => (await import('./mysql.ts')).mysql],
  ['ad', async () => (await import('./ad.ts')).ad],
  ['ldap', async () => (await import('./ldap.ts')).ldap],
  ['ios', async () => (await import('./ios.ts')).ios],
  ['rdp-nla', async () => (await import('./rdp-nla.ts')).rdpNla],
  ['script', async () => (await import('./script.ts')).script],
]);
