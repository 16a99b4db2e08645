/**
 * A real Linux machine for tests. As root: a process tree in mount, process and host-name namespaces of its own, with
 * its own accounts over an overlay of /etc, real PAM and a real shadow file, and its own sshd; the host's disk is read-only in it.
 * As an ordinary user: an sshd of that user, key logins only. Everything in a machine ends with the test process,
 * also when that is killed. It refuses nothing that OpenSSH allows: what sshd shall do is told in its own words.
 */
import { machinePackages, requirePackages } from './install.ts';
import { startNamespaceMachine } from './namespace.ts';
import { startOwnMachine } from './own-sshd.ts';
import type { Ran, RunOptions } from './run.ts';

export interface MachineUser {
  readonly name: string;
  /** Without one the account has no password and password logins are refused. */
  readonly password?: string;
  /** Lines for authorized_keys. */
  readonly authorizedKeys?: readonly string[];
  /** May become root, without being asked or with its own password. Without it sudo refuses. */
  readonly sudo?: 'nopasswd' | 'password';
  readonly shell?: string;
}

export type HostKeyType = 'ed25519' | 'ecdsa-256' | 'ecdsa-384' | 'ecdsa-521' | 'rsa-2048' | 'rsa-3072';

export interface MachineOptions {
  /** Its host name. */
  readonly name: string;
  /** `root` may be among them; the host's own people are not. */
  readonly users: readonly MachineUser[];
  /** Lines of sshd_config. They win over the lab's own. */
  readonly sshd?: readonly string[];
  /**
   * `loopback` (the default): an address of its own in 127/8 and a free port. `netns`: a network of its own with one
   * wire to the host, port 22. An ordinary user's machine is always on loopback.
   */
  readonly network?: 'loopback' | 'netns';
  /** Default: ed25519 and ecdsa-256. */
  readonly hostKeyTypes?: readonly HostKeyType[];
  /** Debian makes a wrong password wait two seconds or more. Off unless asked for. */
  readonly slowRefusal?: boolean;
}

export interface Machine extends AsyncDisposable {
  readonly name: string;
  /** `full`: accounts, PAM and shadow of its own. `own`: the sshd of an ordinary user. */
  readonly kind: 'full' | 'own';
  readonly address: string;
  readonly port: number;
  /** Only an `own` machine: the folder that its sessions have as HOME, with .ssh/authorized_keys. The user's real one stays as it is. */
  readonly home?: string;
  /** Public host key lines, `type base64`. */
  readonly hostKeys: readonly string[];
  /** Lines for a known_hosts file, or for another port (a wire's) under which the machine is reached. */
  knownHosts(address?: string, port?: number): string;
  /** Runs a program on the machine, as its root; on an `own` machine as the user. */
  exec(argv: readonly string[], options?: RunOptions, signal?: AbortSignal): Promise<Ran>;
  readFile(path: string): Promise<string>;
  /** Replaces a file. `owner` is an account's name; default root, mode 0600. */
  putFile(path: string, content: string | Uint8Array, file?: { mode?: string; owner?: string }): Promise<void>;
  /** All that sshd has said so far. */
  sshdLog(): string;
  /** The first line of sshd's log that matches, now or as soon as it is written. */
  logged(pattern: RegExp, signal?: AbortSignal): Promise<string>;
  /** Stops the listener (running sessions stay) and starts it again, with other lines or other host keys if told so. */
  restartSshd(change?: { sshd?: readonly string[]; hostKeyTypes?: readonly HostKeyType[] }): Promise<void>;
  /** Stops the listener; connecting is then refused. `restartSshd` brings it back. */
  stopSshd(): Promise<void>;
  /** Only with `netns`: takes the wire down or puts it up; packets are lost meanwhile, nothing is reset. */
  setWire(up: boolean): Promise<void>;
  /** Ends every process of the machine. Its files are gone then. */
  stop(): Promise<void>;
}

/** Whether this process may make full machines: with accounts, passwords and networks of their own. */
export const fullMachines: boolean = process.getuid?.() === 0;

/** Starts a machine and waits until its sshd listens. Installs what a machine needs where that is possible. */
export async function startMachine(options: MachineOptions, signal?: AbortSignal): Promise<Machine> {
  await requirePackages(fullMachines ? machinePackages : ['openssh-server', 'openssh-client']);
  return fullMachines ? startNamespaceMachine(options, signal) : startOwnMachine(options, signal);
}
