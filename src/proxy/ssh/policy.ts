/**
 * What may be done on an SSH connection. The grant names sub-protocols; each request of the client is given the one
 * that it needs, and is refused if the grant does not name it. What is not listed here is refused: default deny.
 */

/** The sub-protocols that a grant can name. Forwarding of any kind is not among them yet, and so is always refused. */
export const subprotocols = ['shell', 'exec', 'sftp', 'scp-up', 'scp-down'] as const;
export type Subprotocol = (typeof subprotocols)[number];

/** An exec request, classified by the program that clients start for it. */
export type ExecKind = {
  readonly subprotocol: Subprotocol;
  readonly files: 'sftp' | 'scp-up' | 'scp-down' | undefined;
};

/**
 * The sub-protocol of a command line. `scp -t` writes to the target, `scp -f` reads from it; clients also start
 * `sftp-server` by its path. Everything else, rsync and git too, is `exec`. This reads what stock clients send; a user
 * who may `exec` can copy files by other means, so denying `scp-up` alone keeps honest clients honest and no more.
 */
export function classifyExec(command: string): ExecKind {
  const words = command.trim().split(/\s+/);
  const program = (words[0] ?? '').replace(/^.*\//, '');
  if (program === 'scp' && !/[;&|`$<>\n]/.test(command)) {
    const flags = words.slice(1).filter((word) => /^-[a-zA-Z]+$/.test(word));
    if (flags.some((flag) => flag.includes('t'))) return { subprotocol: 'scp-up', files: 'scp-up' };
    if (flags.some((flag) => flag.includes('f'))) return { subprotocol: 'scp-down', files: 'scp-down' };
  }
  if (program === 'sftp-server' && words.length === 1) return { subprotocol: 'sftp', files: 'sftp' };
  return { subprotocol: 'exec', files: undefined };
}

/** Whether a client may open a channel of this type. */
export function mayOpen(channelType: string): boolean {
  return channelType === 'session';
}

/** Global requests of a client that reach the target: they neither open a way nor tell of the target's keys. */
export function mayAskTarget(globalRequest: string): boolean {
  return globalRequest === 'keepalive@openssh.com' || globalRequest === 'no-more-sessions@openssh.com';
}

/** Global requests of a target that reach the client. `hostkeys-00@openssh.com` is not one: the client knows the gate's keys. */
export function mayAskClient(globalRequest: string): boolean {
  return globalRequest === 'keepalive@openssh.com';
}

/** Channel requests that need no sub-protocol: they shape what was allowed already. */
const shaping = new Set([
  'pty-req',
  'env',
  'window-change',
  'signal',
  'break',
  'xon-xoff',
  'eow@openssh.com',
  'keepalive@openssh.com',
  'winadj@putty.projects.tartarus.org',
  'simple@putty.projects.tartarus.org',
]);

/** The sub-protocol that a channel request needs: one of the list, none (undefined), or `false` if it is never allowed. */
export function needed(request: string, detail: string): Subprotocol | undefined | false {
  if (request === 'shell') return 'shell';
  if (request === 'exec') return classifyExec(detail).subprotocol;
  if (request === 'subsystem') return detail === 'sftp' ? 'sftp' : false;
  return shaping.has(request) ? undefined : false;
}

/** Channel requests of a target that reach the client: how a program ended, and signs of life. */
export function mayReportToClient(request: string): boolean {
  return ['exit-status', 'exit-signal', 'xon-xoff', 'eow@openssh.com', 'keepalive@openssh.com'].includes(request);
}
