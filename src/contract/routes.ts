/**
 * Every route of the API: its name, the right that it needs, its fields and its answer. Validation, the typed client and
 * the command line come from this one table. A route with `parts` answers in parts, each of that shape, before its answer.
 */
import { type TSchema, Type } from 'typebox';
import { Bytes } from '../link/link.ts';
import {
  Account,
  AuditRow,
  Change,
  Conflict,
  Connector,
  Decided,
  Discovery,
  Due,
  EventSource,
  HostKey,
  Management,
  Peer,
  PutAside,
  Recording,
  Schedule,
  Played,
  Session,
  Target,
  Text,
  Tree,
  User,
  Verdict,
  VerificationRow,
  Version,
} from './shapes.ts';

/** What a role may allow. The roles themselves are rows of `identity`. */
export const rights = [
  'status.view',
  'estate.change',
  'estate.view',
  'user.change',
  'user.view',
  'credential.store',
  'hostkey.trust',
  'token.mint',
  'session.view',
  'session.kill',
  'recording.view',
  'rotation.run',
  'rotation.view',
  'conflict.decide',
  'node.change',
  'node.view',
  'audit.view',
] as const;
export type Right = (typeof rights)[number];

export interface Route<A extends TSchema = TSchema, B extends TSchema = TSchema, P extends TSchema = TSchema> {
  readonly right: Right;
  /** Whether it changes anything; every such route leaves an audit row. */
  readonly changes: boolean;
  readonly ask: A;
  readonly answer: B;
  readonly parts?: P;
  /** Only on the operators' own socket, never over a network: the last resort of somebody who sits at the machine. */
  readonly local?: true;
}

function view<A extends TSchema, B extends TSchema, P extends TSchema = TSchema>(
  right: Right,
  ask: A,
  answer: B,
  parts?: P,
): Route<A, B, P> {
  return { right, changes: false, ask, answer, ...(parts === undefined ? {} : { parts }) };
}

function change<A extends TSchema, B extends TSchema, P extends TSchema = TSchema>(
  right: Right,
  ask: A,
  answer: B,
  parts?: P,
): Route<A, B, P> {
  return { right, changes: true, ask, answer, ...(parts === undefined ? {} : { parts }) };
}

/** The same, on the operators' own socket only. */
function local<A extends TSchema, B extends TSchema>(route: Route<A, B>): Route<A, B> {
  return { ...route, local: true };
}

const nothing = Type.Object({}, { additionalProperties: false });
const done = Type.Object({ done: Type.Literal(true) });
const byName = Type.Object({ name: Text }, { additionalProperties: false });
const byAccount = Type.Object({ account: Text }, { additionalProperties: false });

export const routes = {
  status: view(
    'status.view',
    nothing,
    Type.Object({
      version: Text,
      startedAt: Text,
      database: Text,
      gates: Type.Array(Type.Object({ gate: Text, pid: Type.Integer(), sessions: Type.Integer() })),
      liveSessions: Type.Integer(),
      users: Type.Integer(),
      enrolmentOpen: Type.Boolean(),
    }),
  ),
  /** Needs no right but the one-time code itself. */
  enrol: change(
    'user.change',
    Type.Object(
      { code: Bytes(256), name: Text, password: Bytes(1024), publicKey: Type.Optional(Text) },
      { additionalProperties: false },
    ),
    Type.Object({ user: Text, roles: Type.Array(Text) }),
  ),
  'estate.apply': change(
    'estate.change',
    Type.Object(
      { text: Type.String({ maxLength: 1024 * 1024 }), dryRun: Type.Boolean(), prune: Type.Boolean() },
      { additionalProperties: false },
    ),
    Type.Object({ changes: Type.Array(Change), unmentioned: Type.Array(Text) }),
  ),
  'user.list': view('user.view', nothing, Type.Object({ users: Type.Array(User) })),
  'user.code': change('user.change', byName, Type.Object({ code: Text, expiresAt: Text })),
  'user.password': change(
    'user.change',
    Type.Object({ name: Text, password: Bytes(1024) }, { additionalProperties: false }),
    done,
  ),
  'user.key': change(
    'user.change',
    Type.Object({ name: Text, line: Text }, { additionalProperties: false }),
    Type.Object({ fingerprint: Text }),
  ),
  'user.totp': change('user.change', byName, Type.Object({ uri: Text })),
  'user.unlock': change('user.change', byName, done),
  'user.disable': change(
    'user.change',
    Type.Object({ name: Text, disabled: Type.Boolean() }, { additionalProperties: false }),
    done,
  ),
  'target.list': view('estate.view', nothing, Type.Object({ targets: Type.Array(Target) })),
  /** Asks the target for its host keys (of rdp its certificate) now, and says which of them are trusted. Changes nothing. */
  'target.scan': view(
    'estate.view',
    byName,
    Type.Object({ address: Text, port: Type.Integer(), keys: Type.Array(HostKey) }),
  ),
  'target.trust': change(
    'hostkey.trust',
    Type.Object(
      { name: Text, keys: Type.Array(Type.Object({ algorithm: Text, publicKey: Bytes(16 * 1024) }), { maxItems: 16 }) },
      { additionalProperties: false },
    ),
    Type.Object({ trusted: Type.Array(HostKey) }),
  ),
  'account.list': view('estate.view', nothing, Type.Object({ accounts: Type.Array(Account) })),
  /** Stores the credential that the target has now; nothing on the target changes. */
  'account.store': change(
    'credential.store',
    Type.Object(
      { account: Text, secret: Bytes(64 * 1024), passphrase: Type.Optional(Bytes(1024)), unverified: Type.Boolean() },
      { additionalProperties: false },
    ),
    Type.Object({ status: Text, sigkey: Text }),
  ),
  'access.explain': view(
    'estate.view',
    Type.Object({ user: Text, account: Type.Optional(Text), target: Text }, { additionalProperties: false }),
    Type.Object({ allowed: Type.Boolean(), lines: Type.Array(Text) }),
  ),
  /** A connection token for `user`, who may go there now; the answer shows it once. Coming from `from` only, if it is given. */
  'connection-token.mint': change(
    'token.mint',
    Type.Object(
      {
        user: Text,
        account: Type.Optional(Text),
        target: Text,
        service: Type.Optional(Text),
        minutes: Type.Optional(Type.Integer()),
        from: Type.Optional(Text),
      },
      { additionalProperties: false },
    ),
    Type.Object({
      /** What to type as user name. */
      user: Text,
      token: Text,
      expiresAt: Text,
      account: Text,
      /** The gate, as clients reach it. */
      host: Text,
      port: Type.Integer(),
      /** A signed `.rdp` file; the token is not in it. */
      file: Bytes(64 * 1024),
    }),
  ),
  /** The root of the gate's own certificates, for whoever is to trust it. */
  'authority.show': view(
    'status.view',
    nothing,
    Type.Object({ certificate: Text, fingerprint: Text, validTo: Text, signer: Text }),
  ),
  'session.list': view(
    'session.view',
    Type.Object({ live: Type.Boolean() }, { additionalProperties: false }),
    Type.Object({ sessions: Type.Array(Session) }),
  ),
  'session.kill': change(
    'session.kill',
    Type.Object({ session: Text, reason: Text }, { additionalProperties: false }),
    done,
  ),
  'recording.list': view('recording.view', nothing, Type.Object({ recordings: Type.Array(Recording) })),
  /** `terminal` is what the terminal was sent, with times; the others are lines of text. */
  'recording.play': view(
    'recording.view',
    Type.Object(
      { recording: Text, format: Type.Enum(['terminal', 'text', 'asciicast', 'events']) },
      { additionalProperties: false },
    ),
    Type.Object({ recording: Recording }),
    Played,
  ),
  /**
   * A recording of a desktop, drawn: a picture as PNG at a time, a film as MP4, or lines of colours for a terminal (one
   * picture at a time, or several over all of it). Times are in seconds since the start.
   */
  'recording.draw': view(
    'recording.view',
    Type.Object(
      {
        recording: Text,
        format: Type.Enum(['png', 'mp4', 'strip']),
        at: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
        /** Of a film: no stretch without change is longer than so many seconds. */
        maxIdle: Type.Optional(Type.Number({ minimum: 0, maximum: 1e9 })),
        framesPerSecond: Type.Optional(Type.Integer({ minimum: 1, maximum: 30 })),
        /** Of a strip. */
        columns: Type.Optional(Type.Integer({ minimum: 10, maximum: 500 })),
      },
      { additionalProperties: false },
    ),
    Type.Object({ recording: Recording }),
    Played,
  ),
  'recording.verify': view(
    'recording.view',
    Type.Object({ recording: Text }, { additionalProperties: false }),
    Type.Object({ ok: Type.Boolean(), state: Text, blocks: Type.Integer(), problem: Type.Optional(Text) }),
  ),
  /** `wait`: for a change that is under way to end, half a minute at most, before this one is made. */
  'rotation.rotate': change(
    'rotation.run',
    Type.Object({ account: Text, wait: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
    Verdict,
  ),
  'rotation.verify': change('rotation.run', byAccount, Verdict),
  /** Sets a new value by the reconcile account, after every known one was refused. */
  'rotation.reconcile': change('rotation.run', byAccount, Verdict),
  /** Many accounts, a few at a time; each is told as soon as it is done. `of` names what they have in common. */
  'rotation.bulk': change(
    'rotation.run',
    Type.Object(
      {
        what: Type.Enum(['rotate', 'verify', 'reconcile']),
        accounts: Type.Array(Text, { maxItems: 100_000 }),
        policy: Type.Optional(Text),
        target: Type.Optional(Text),
      },
      { additionalProperties: false },
    ),
    Type.Object({ done: Type.Integer(), failed: Type.Integer(), refused: Type.Integer() }),
    Verdict,
  ),
  'schedule.list': view(
    'rotation.view',
    nothing,
    Type.Object({ schedules: Type.Array(Schedule), management: Type.Array(Management) }),
  ),
  'schedule.due': view('rotation.view', nothing, Type.Object({ accounts: Type.Array(Due) })),
  'event-source.list': view('rotation.view', nothing, Type.Object({ sources: Type.Array(EventSource) })),
  /** The answer has what its messages are signed with, which cannot be asked for again. */
  'event-source.add': change(
    'estate.change',
    Type.Object({ name: Text, accounts: Type.Array(Text, { maxItems: 1000 }) }, { additionalProperties: false }),
    Type.Object({ source: Text, signingKey: Bytes(64) }),
  ),
  'event-source.remove': change('estate.change', byName, done),
  'connector.list': view('rotation.view', nothing, Type.Object({ connectors: Type.Array(Connector) })),
  'conflict.list': view(
    'rotation.view',
    nothing,
    Type.Object({ conflicts: Type.Array(Conflict), lastDiscovery: Type.Optional(Text) }),
  ),
  'conflict.show': view('rotation.view', byAccount, Tree),
  /** Automatic resolution now, of the named accounts or of all; each is told as soon as it is done. */
  'conflict.resolve': change(
    'rotation.run',
    Type.Object({ accounts: Type.Array(Text, { maxItems: 100_000 }) }, { additionalProperties: false }),
    Type.Object({ resolved: Type.Integer(), left: Type.Integer() }),
    Verdict,
  ),
  'conflict.force': change('conflict.decide', byAccount, Verdict),
  'conflict.decide': change(
    'conflict.decide',
    Type.Object(
      { account: Text, sigkey: Text, what: Type.Enum(['confirm', 'reject', 'set-current']) },
      { additionalProperties: false },
    ),
    Decided,
  ),
  /** One account, no checks, on this machine only. */
  'conflict.blank': local(change('conflict.decide', byAccount, Decided)),
  'conflict.discover': change('rotation.run', nothing, Discovery),
  'conflict.report': view(
    'rotation.view',
    Type.Object(
      { account: Type.Optional(Text), limit: Type.Integer({ minimum: 1, maximum: 100_000 }) },
      { additionalProperties: false },
    ),
    Type.Object({ rows: Type.Array(VerificationRow), lastDiscovery: Type.Optional(Discovery) }),
  ),
  'rotation.history': view(
    'rotation.view',
    byAccount,
    Type.Object({ account: Text, conflict: Text, versions: Type.Array(Version) }),
  ),
  /** The keeper starts again at once, under the new name; after `node.heal` without `peer` too. */
  'node.init': change('node.change', byName, Type.Object({ node: Text })),
  /** The answer has a password in it, for a file that only its reader can read. */
  'node.invite': change('node.change', nothing, Type.Object({ invitation: Bytes(16 * 1024) })),
  'node.join': change(
    'node.change',
    Type.Object({ invitation: Bytes(16 * 1024) }, { additionalProperties: false }),
    /** `restarts`: the keeper starts again at once, with the other nodes' key ring. */
    Type.Object({ peers: Type.Array(Text), unreached: Type.Array(Text), restarts: Type.Boolean() }),
  ),
  /** With `peer` that one is forgotten; without, this node leaves all others. */
  'node.leave': change(
    'node.change',
    Type.Object({ peer: Type.Optional(Text) }, { additionalProperties: false }),
    Type.Object({ peers: Type.Array(Text), untold: Type.Array(Text), behind: Type.Array(Text) }),
  ),
  /** With `peer` only what comes from that one is copied anew. */
  'node.heal': change(
    'node.change',
    Type.Object({ peer: Type.Optional(Text) }, { additionalProperties: false }),
    Type.Object({ node: Text, reached: Type.Array(Text), unreached: Type.Array(Text) }),
  ),
  /** `compare`: the others are asked whether they hold the same facts. */
  'node.status': view(
    'node.view',
    Type.Object({ compare: Type.Boolean() }, { additionalProperties: false }),
    Type.Object({
      node: Text,
      name: Type.Optional(Text),
      state: Text,
      peers: Type.Array(Peer),
      unfolded: Type.Integer(),
      quarantined: Type.Integer(),
    }),
  ),
  /** Facts that were put aside; never what they hold. */
  'node.quarantine': view(
    'node.view',
    Type.Object({ all: Type.Boolean() }, { additionalProperties: false }),
    Type.Object({ facts: Type.Array(PutAside) }),
  ),
  /** Without `facts` all of them. */
  'node.acknowledge': change(
    'node.change',
    Type.Object(
      { facts: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { maxItems: 10_000 })) },
      { additionalProperties: false },
    ),
    Type.Object({ acknowledged: Type.Integer() }),
  ),
  'audit.tail': view(
    'audit.view',
    Type.Object(
      {
        after: Type.Optional(Type.Integer()),
        limit: Type.Integer({ minimum: 1, maximum: 100_000 }),
        follow: Type.Boolean(),
      },
      { additionalProperties: false },
    ),
    done,
    AuditRow,
  ),
  'audit.verify': view(
    'audit.view',
    nothing,
    Type.Object({ ok: Type.Boolean(), rows: Type.Integer(), head: Text, problem: Type.Optional(Text) }),
  ),
};

export type Routes = typeof routes;
export type RouteName = keyof Routes;
