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

/** Where a program stands that the target's administrator put there; a name in any other folder may be anybody's program. */
const ofTheSystem = /^(?:\/(?:usr\/)?(?:local\/)?(?:s?bin|lib|lib64|libexec)\/(?:[a-z]+\/)?)?(scp|sftp-server)$/;

/** What a shell would do more than pass on words, once quoted text is taken out. A lone quote is such a thing too. */
const shellWork = /[;&|`$<>(){}#!'"\\\r\n\0]/;
const quoted = /'[^'\n\0]*'|"[^"$`\\!\n\0]*"|\\[^\r\n\0]/g;

/**
 * The sub-protocol of a command line. `scp -t` writes to the target, `scp -f` reads from it; clients also start
 * `sftp-server` by its path. Everything else, rsync and git too, is `exec`. It takes exactly the spellings of stock clients:
 * an option that names a program (`scp -S`), a program of the user's own, or a second command make it `exec`. What the
 * files that were copied do later is not decided here: denying `exec` does not stop who may write a start-up file.
 */
export function classifyExec(command: string): ExecKind {
  const words = command.split(/[ \t]+/).filter((word) => word !== '');
  const program = ofTheSystem.exec(words[0] ?? '')?.[1];
  if (program === 'sftp-server' && words.length === 1) return { subprotocol: 'sftp', files: 'sftp' };
  if (program === 'scp' && !shellWork.test(command.replace(quoted, 'q'))) {
    const way = scpWay(words.slice(1));
    if (way !== undefined) return { subprotocol: way, files: way };
  }
  return { subprotocol: 'exec', files: undefined };
}

/** Options first, each of letters that take no value, one of them `t` or `f`; then at least one path. */
function scpWay(words: readonly string[]): 'scp-up' | 'scp-down' | undefined {
  const end = words.findIndex((word) => !/^-[vrpdqtf]+$/.test(word));
  if (end === -1 || (words[end]?.startsWith('-') && (words[end] !== '--' || end === words.length - 1)))
    return undefined;
  const flags = words.slice(0, end).join('');
  const [up, down] = [flags.includes('t'), flags.includes('f')];
  if (up === down) return undefined;
  return up ? 'scp-up' : 'scp-down';
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
