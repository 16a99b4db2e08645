import { defineErrors, SallyportError } from '../base/errors.ts';

export const cliErrors = defineErrors({
  'cli.usage': { meaning: 'the command cannot be understood', remedy: 'add --help to see how it is used' },
  'cli.no-terminal': {
    meaning: 'there is no terminal to ask at',
    remedy: 'give the value on standard input with --stdin; never as an argument, where other users see it',
  },
  'cli.unequal': { meaning: 'the two inputs differ', remedy: 'type the same value twice' },
  'cli.file-unreadable': { meaning: 'the file cannot be read', remedy: 'check its path and your permissions' },
  'cli.file-unwritable': {
    meaning: 'the file cannot be written',
    remedy: 'choose a new file in a folder that you may write to; an existing one is never overwritten',
  },
  'cli.not-confirmed': {
    meaning: 'nothing was changed',
    remedy: 'answer `yes`, or give --yes after you compared the fingerprints yourself',
  },
});

export class CliError extends SallyportError<keyof typeof cliErrors> {
  constructor(code: keyof typeof cliErrors, detail?: string, options?: ErrorOptions) {
    super(code, cliErrors[code], detail, options);
  }
}

/** Exit codes of every command. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  notAuthenticated: 3,
  denied: 4,
  pending: 5,
  notFound: 6,
  conflict: 7,
  /** By Ctrl-C, as shells say it. */
  interrupted: 130,
} as const;

/** What is not named here is internal. Codes of other rooms stand here as text; a test holds them against the catalogues. */
export const codesOf: Readonly<
  Record<Exclude<keyof typeof exitCodes, 'ok' | 'internal' | 'pending' | 'interrupted'>, readonly string[]>
> = {
  usage: [
    ...Object.keys(cliErrors),
    'access.grant-invalid',
    'config.events-in-clear',
    'config.invalid',
    'config.unreadable',
    'estate.certificate-malformed',
    'estate.hostkey-malformed',
    'estate.target-invalid',
    'identity.key-malformed',
    'identity.password-weak',
    'identity.source-malformed',
    'identity.token-minutes',
    'identity.user-invalid',
    'keeper.estate-invalid',
    'keeper.estate-secret',
    'link.bad-fields',
    'nodes.invitation-invalid',
    'nodes.name-invalid',
    'rotation.event-source-invalid',
    'rotation.settings-invalid',
    'ssh.key-certificate',
    'ssh.key-encrypted',
    'ssh.key-malformed',
    'ssh.key-passphrase',
    'ssh.key-unsupported',
    'ssh.key-weak',
    'vault.account-invalid',
    'vault.credential-kind',
    'vault.credential-too-long',
    'vault.key-unreadable',
    'vault.policy-invalid',
  ],
  notAuthenticated: ['contract.not-yours', 'identity.code-wrong'],
  denied: ['access.password-change-needed', 'access.refused', 'keeper.not-allowed'],
  notFound: [
    'access.session-unknown',
    'estate.hostkey-unknown',
    'estate.target-unknown',
    'identity.key-unknown',
    'identity.user-unknown',
    'keeper.no-such-thing',
    'nodes.no-peer',
    'nodes.not-put-aside',
    'nodes.peer-unknown',
    'recording.unknown',
    'rotation.account-unknown',
    'rotation.event-source-unknown',
    'rotation.nothing-recorded',
    'vault.account-unknown',
    'vault.credential-unknown',
    'vault.no-password-recorded',
    'vault.policy-unknown',
    'vault.target-unknown',
  ],
  conflict: [
    'access.session-ended',
    'db.already-running',
    'identity.last-administrator',
    'identity.token-limit',
    'keeper.enrolment-open',
    'keeper.rdp-off',
    'keeper.session-over',
    'link.busy',
    'nodes.asking',
    'nodes.changing',
    'nodes.invitation-expired',
    'nodes.name-taken',
    'nodes.named',
    'nodes.not-named',
    'nodes.other-version',
    'nodes.same-name',
    'nodes.set-back',
    'rotation.changing',
    'rotation.event-source-exists',
    'rotation.conflicted',
    'rotation.incomplete-first',
    'rotation.no-candidate',
    'rotation.nodes-unreachable',
    'rotation.not-conflicted',
    'rotation.not-known-lost',
    'rotation.not-lost',
    'rotation.not-managing',
    'rotation.not-ready',
    'rotation.not-uncertain',
    'rotation.resolving',
    'rotation.target-administrator',
    'rotation.fact-conflict',
    'rotation.in-use',
    'rotation.lease-lost',
    'rotation.managing-down',
    'supervisor.already-running',
    'vault.account-kind-fixed',
    'vault.in-use',
    'vault.policy-template',
    'vault.ring-in-use',
    'vault.rootkey-exists',
  ],
};

/** The exit code that a stable code stands for. */
export function exitCodeOf(code: string): number {
  for (const [name, codes] of Object.entries(codesOf))
    if (codes.includes(code)) return exitCodes[name as keyof typeof codesOf];
  return exitCodes.internal;
}
