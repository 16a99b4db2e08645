/**
 * Everything that is written into the audit trail: one entry an event, in the past tense, with its details as a type.
 * `docs/audit-events.md` is made from this. Details hold names, numbers and reasons; what an event is about (users,
 * accounts, sessions…) stands in `about`, so that it can be searched. Never a secret, never bytes.
 */

/** What JSON can hold. Neither a Secret nor bytes is any of these, and optional fields may be left out. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json | undefined };

/** Declares an event: one line for the reader, and (as a type only) its details. */
interface Entry<Details> {
  readonly says: string;
  readonly details?: Details;
}

function event<Details extends { readonly [K in keyof Details]: Json | undefined }>(says: string): Entry<Details> {
  return { says };
}

/** Before and after of what an operator changed; secrets are named as changed, not shown. */
interface Change {
  readonly name: string;
  readonly reason?: string;
  readonly before?: { readonly [field: string]: Json };
  readonly after?: { readonly [field: string]: Json };
}

interface Named {
  readonly name: string;
  readonly reason?: string;
}

type Factor = 'password' | 'key' | 'totp' | 'certificate' | 'session' | 'token';
type Digest = string;

export const catalogue = {
  'identity.enrolment.created': event<{ readonly user: string; readonly expires: string }>(
    'An invitation to enrol was made for a user.',
  ),
  'identity.enrolment.enrolled': event<{ readonly user: string; readonly factors: readonly string[] }>(
    'A user took up an invitation and set up how to log in.',
  ),
  'identity.login.succeeded': event<{ readonly factors: readonly Factor[]; readonly client?: string }>(
    'A user logged in.',
  ),
  'identity.login.refused': event<{
    readonly user: string;
    readonly factor?: Factor;
    readonly code: string;
    readonly reason: string;
    readonly client?: string;
  }>('A login was refused.'),
  'identity.login.locked': event<{ readonly user: string; readonly failures: number; readonly until?: string }>(
    'A user was locked after too many refused logins.',
  ),
  'identity.login.unlocked': event<Named>('A locked user was unlocked.'),
  'identity.token.minted': event<{
    readonly user: string;
    readonly account: string;
    readonly service: string;
    readonly expires: string;
    readonly from?: string;
  }>('A connection token was made for a user and one place.'),
  'identity.token.proven': event<{ readonly user: string; readonly client: string }>(
    'A client proved by NTLM that it has a connection token; the token itself comes next.',
  ),
  'identity.token.used': event<{ readonly user: string; readonly reconnect: boolean }>(
    'A connection token was used up, or used again by its own client shortly after.',
  ),
  'identity.token.revoked': event<{ readonly user: string; readonly reason: string }>(
    'A connection token was taken back: its right has gone, or its session was killed and must not come back.',
  ),
  'identity.user.created': event<Change>('A user was created.'),
  'identity.user.changed': event<Change>('A user was changed.'),
  'identity.user.disabled': event<Named>('A user was disabled.'),
  'identity.password.changed': event<Named>("A user's password was changed."),
  'identity.key.added': event<{ readonly fingerprint: string; readonly algorithm: string; readonly label?: string }>(
    'A public key was added to a user.',
  ),
  'identity.key.removed': event<{ readonly fingerprint: string; readonly reason?: string }>(
    'A public key was removed from a user.',
  ),
  'identity.totp.enrolled': event<Named>('A user enrolled a one-time password device.'),

  'estate.target.created': event<Change>('A target was created.'),
  'estate.target.changed': event<Change>('A target was changed.'),
  'estate.target.removed': event<Named>('A target was removed.'),
  'estate.hostkey.trusted': event<{
    readonly target: string;
    readonly fingerprint: string;
    readonly algorithm: string;
    readonly how: 'operator' | 'first-use' | 'certificate';
  }>('A host key of a target was trusted.'),
  'estate.hostkey.removed': event<{ readonly target: string; readonly fingerprint: string; readonly reason?: string }>(
    'A host key of a target is trusted no longer.',
  ),
  'estate.hostkey.mismatched': event<{
    readonly target: string;
    readonly presented: string;
    readonly trusted: readonly string[];
  }>('A target presented a host key that is not trusted; nothing was sent to it.'),
  'estate.applied': event<{
    readonly created: number;
    readonly changed: number;
    readonly removed: number;
    readonly digest?: Digest;
  }>('A declaration of the estate was applied.'),

  'vault.account.created': event<Change>('An account was created.'),
  'vault.account.changed': event<Change>('An account was changed.'),
  'vault.account.removed': event<Named>('An account was removed.'),
  'vault.credential.stored': event<{ readonly kind: string; readonly origin: string; readonly fingerprint?: string }>(
    'A credential was sealed and stored.',
  ),
  'vault.credential.opened': event<{ readonly purpose: string; readonly kind?: string }>(
    'A credential was opened for a hold or a rotation.',
  ),
  'vault.credential.refused': event<{ readonly code: string; readonly reason: string }>(
    'A credential was asked for and not given.',
  ),
  'vault.credential.tampered': event<{ readonly reason: string }>(
    'A stored credential is not what was sealed: the row was edited, moved or damaged.',
  ),
  'vault.policy.created': event<Change>('A credential policy was created.'),
  'vault.policy.changed': event<Change>('A credential policy was changed.'),
  'vault.ring.adopted': event<{ readonly versions: number }>(
    'The key ring of another node was taken over, so that values can travel.',
  ),
  'vault.rootkey.opened': event<{ readonly provider: string; readonly keyId?: string }>('The root key was opened.'),

  'access.grant.created': event<Change>('A grant was created.'),
  'access.grant.changed': event<Change>('A grant was changed.'),
  'access.grant.removed': event<Named>('A grant was removed.'),
  'access.refused': event<{ readonly selector: string; readonly code: string; readonly reason: string }>(
    'A user asked for an account and was refused.',
  ),
  'access.authorized': event<{ readonly selector: string; readonly until?: string }>(
    'A user was authorized to use an account.',
  ),

  'session.opened': event<{ readonly selector: string; readonly client?: string; readonly protocol: 'ssh' | 'rdp' }>(
    'A session was opened.',
  ),
  'session.started': event<{
    readonly address?: string;
    readonly hostKey?: string;
    readonly front?: { readonly [field: string]: Json };
    readonly back?: { readonly [field: string]: Json };
  }>('A session was logged in to its target.'),
  'session.channel.opened': event<{
    readonly channel: number;
    readonly kind: string;
    readonly command?: string;
    readonly to?: string;
  }>('A channel was opened in a session.'),
  'session.channel.refused': event<{
    readonly channel?: number;
    readonly kind: string;
    readonly code: string;
    readonly reason: string;
  }>('A channel or request was refused in a session.'),
  'session.file.transferred': event<{
    readonly channel: number;
    readonly direction: 'upload' | 'download';
    readonly path: string;
    readonly size: number;
    readonly sha256?: Digest;
    readonly complete: boolean;
  }>('A file was transferred in a session.'),
  'session.file.changed': event<{
    readonly what: 'created' | 'written' | 'renamed' | 'deleted' | 'attributes';
    readonly path: string;
    readonly to?: string;
  }>("A file of the client's was changed through a session."),
  'session.clipboard.text': event<{
    readonly direction: 'upload' | 'download';
    readonly length: number;
    readonly sha256: Digest;
  }>('Text was copied by the clipboard; it stands in the recording and nowhere else.'),
  'session.clipboard.data': event<{
    readonly direction: 'upload' | 'download';
    readonly format: string;
    readonly bytes: number;
    readonly sha256: Digest;
  }>('Something that is neither text nor files was copied by the clipboard; it is not kept.'),
  'session.clipboard.files': event<{
    readonly direction: 'upload' | 'download';
    readonly names: readonly string[];
  }>('Files were offered by the clipboard.'),
  'session.device.announced': event<{ readonly kind: string; readonly name: string }>(
    "A device of the client's was made known to the target.",
  ),
  'session.device.refused': event<{ readonly kind: string; readonly name: string }>(
    "A device of the client's was kept from the target.",
  ),
  'session.killed': event<{ readonly reason: string }>('A session was ended by an operator or by policy.'),
  'session.ended': event<{
    readonly outcome: string;
    readonly reason?: string;
    readonly seconds?: number;
    readonly bytesIn?: number;
    readonly bytesOut?: number;
  }>('A session ended.'),

  'recording.started': event<{ readonly format: string }>('A recording was started.'),
  'recording.sealed': event<{
    readonly blocks: number;
    readonly bytes: number;
    readonly root: Digest;
    readonly complete: boolean;
  }>('A recording was sealed.'),
  'recording.played': event<{ readonly reason?: string; readonly purpose?: string }>('A recording was played.'),
  'recording.verified': event<{ readonly blocks: number; readonly root: Digest }>('A recording was verified.'),
  'recording.broken': event<{ readonly block?: number; readonly reason: string }>(
    'A recording is not what was recorded.',
  ),

  'rotation.started': event<{
    readonly connector: string;
    readonly cause: string;
    readonly parent?: string;
    /** Done here although another node manages the policy, because that one cannot be reached. */
    readonly fallback?: boolean;
  }>('A randomization was stored and its connector started.'),
  'rotation.wished': event<{ readonly trigger: string; readonly reason: string }>(
    'A change of a credential was asked for by an event or a list; it is made as soon as it can be.',
  ),
  'rotation.event-source.created': event<Change>(
    'An event source was made: who has its key may ask for changes of credentials.',
  ),
  'rotation.event-source.removed': event<Named>(
    'An event source was removed; nothing that it signs is taken any more.',
  ),
  'rotation.event.accepted': event<{
    readonly message: string;
    readonly reason: string;
    readonly target?: string;
    readonly account?: string;
    /** How many accounts it reached; none is no fault. */
    readonly accounts: number;
  }>('A signed event was taken, and a change asked for of every account that it names within the reach of its source.'),
  'rotation.event.invalid': event<{ readonly message: string; readonly reason: string }>(
    'An event was signed, and its body was none; nothing came of it.',
  ),
  'rotation.event.refused': event<{
    readonly source: string;
    readonly reason: 'unknown-source' | 'unsigned' | 'signature' | 'stale' | 'replayed';
  }>(
    'An event was refused: its source is unknown, its signature does not hold, it is too old, or it was taken before.',
  ),
  'rotation.confirmed': event<{ readonly connector: string; readonly milliseconds?: number }>(
    'A randomization was confirmed by the target.',
  ),
  'rotation.failed': event<{ readonly connector: string; readonly code: string; readonly message: string }>(
    'A randomization failed; the old value holds.',
  ),
  'rotation.uncertain': event<{ readonly connector: string; readonly code: string; readonly message: string }>(
    'It is not known whether a randomization took effect.',
  ),
  'rotation.verified': event<{ readonly connector: string; readonly answer: 'accepted' | 'rejected' | 'unknown' }>(
    'A stored value was tried against the target.',
  ),
  'rotation.resolved': event<{
    readonly action: 'A' | 'F' | 'B' | 'M';
    readonly tried: number;
    readonly reason: string;
  }>('A conflict was decided: automatically (A), by force (F), by blanking (B) or by hand (M).'),
  'rotation.reconciled': event<{ readonly by: string; readonly reason: string }>(
    'A new value was set by the reconcile account, because the present one was lost.',
  ),
  'rotation.out-of-sync': event<{ readonly code: string; readonly reason: string }>(
    'The target refuses the value that is recorded as current.',
  ),
  'rotation.alert': event<{ readonly reason: string }>('A person has to look at an account.'),
  'rotation.discovered': event<{ readonly accounts: number; readonly found: number }>(
    'All accounts were looked at for conflicts.',
  ),
  'rotation.skipped': event<{ readonly reason: string; readonly until?: string }>('A due randomization was put off.'),
  'rotation.schedule.created': event<Change>('A schedule was created.'),
  'rotation.schedule.changed': event<Change>('A schedule was changed.'),
  'rotation.schedule.removed': event<Named>('A schedule was removed.'),
  'rotation.management.changed': event<Change>('How a policy is managed was changed.'),
  'rotation.management.removed': event<Named>('A policy is managed as usual again.'),
  'rotation.known-recorded': event<{ readonly reason: string }>(
    'An operator recorded the value that a target has now.',
  ),

  'node.named': event<{ readonly node: string }>('This node got its name among several.'),
  'node.invited': event<{ readonly node: string }>('An invitation was made, with which another node can join.'),
  'node.joined': event<{ readonly peers: readonly string[] }>('This node joined others.'),
  'node.peer-joined': event<{ readonly peer: string }>('Another node joined; its facts are heard from now on.'),
  'node.peer-renewed': event<{ readonly peer: string; readonly reason: string }>(
    'The facts of another node are being copied anew.',
  ),
  'node.peer-left': event<{ readonly peer: string; readonly reason: string }>('Another node is heard no more.'),
  'node.left': event<{ readonly peers: readonly string[] }>('This node left the others.'),
  'node.set-back': event<{ readonly peer: string }>(
    'The database of this node is older than what another node has heard from it; nothing is changed until it is healed.',
  ),
  'node.healed': event<{ readonly node: string; readonly from: readonly string[] }>(
    'This node fetched back what it had lost and goes on under a new name.',
  ),
  'node.quarantined': event<{ readonly table: string }>(
    'A fact came from another node under a key that another fact has; it was put aside.',
  ),
  'node.quarantine-acknowledged': event<{ readonly facts: readonly number[] }>(
    'An operator has looked at facts that were put aside.',
  ),

  'keeper.started': event<{ readonly version: string; readonly node?: string }>('The keeper started.'),
  'keeper.stopped': event<{ readonly reason: string }>('The keeper stopped.'),
  'gate.connected': event<{ readonly version: string; readonly pid?: number }>('A gate connected to the keeper.'),
  'gate.lost': event<{ readonly reason: string; readonly sessions: number }>('A gate was lost.'),
  'gate.reconnected': event<{ readonly sessions: number }>('A gate that was lost came back.'),

  'audit.verified': event<{ readonly state: 'intact' | 'broken'; readonly events: number; readonly reason?: string }>(
    'The audit trail was verified.',
  ),
} as const;

export type AuditEventType = keyof typeof catalogue;

/** Details of one type of event. */
export type AuditDetails<T extends AuditEventType> = NonNullable<(typeof catalogue)[T]['details']>;
