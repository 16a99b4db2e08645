/** The things that routes speak of, as they look from outside. No field of any of them can hold a secret. */
import { Type } from 'typebox';
import { Bytes } from '../link/link.ts';

export const Text = Type.String({ maxLength: 4096 });
const When = Type.String({ maxLength: 40 });

export const Change = Type.Object({
  object: Text,
  name: Text,
  change: Type.Union([Type.Literal('created'), Type.Literal('changed'), Type.Literal('removed'), Type.Literal('same')]),
  fields: Type.Optional(Type.Array(Text)),
});

export const User = Type.Object({
  name: Text,
  roles: Type.Array(Text),
  groups: Type.Array(Text),
  factors: Type.Array(Text),
  state: Text,
  expiresAt: Type.Optional(When),
});

export const HostKey = Type.Object({
  algorithm: Text,
  fingerprint: Text,
  publicKey: Bytes(16 * 1024),
  /** `trusted`, `unknown` (nothing is trusted yet), or `changed` (something else is trusted). */
  state: Text,
});

export const Target = Type.Object({
  name: Text,
  platform: Text,
  address: Text,
  services: Type.Array(Text),
  hostKeys: Type.Integer(),
});

export const Account = Type.Object({
  account: Text,
  kind: Text,
  policy: Text,
  connector: Text,
  /** `stored`, or the words of a missing one. */
  credential: Text,
  conflict: Text,
  rotateAfterSession: Type.Boolean(),
});

export const Session = Type.Object({
  session: Text,
  user: Text,
  account: Text,
  peer: Text,
  state: Text,
  openedAt: When,
  endedAt: Type.Optional(When),
  outcome: Type.Optional(Text),
  recording: Type.Optional(Text),
});

export const Recording = Type.Object({
  recording: Text,
  session: Text,
  user: Text,
  account: Text,
  /** `ssh` or `rdp`. */
  protocol: Text,
  startedAt: When,
  sealedAt: Type.Optional(When),
  state: Text,
  size: Type.Integer(),
  blocks: Type.Integer(),
});

/** A piece of a recording as it is played: `at` in milliseconds since its start. */
export const Played = Type.Object({ at: Type.Number(), bytes: Bytes(1024 * 1024) });

/** What became of one attempt to change or to check a credential. */
export const Verdict = Type.Object({
  account: Text,
  /** `confirmed`, `failed`, `uncertain`, `skipped`; of a check `accepted`, `rejected`, `unknown`. */
  status: Text,
  sigkey: Type.Optional(Text),
  words: Text,
  remedy: Type.Optional(Text),
  /** The stable code of a refusal. */
  code: Type.Optional(Text),
});

/** One value that an account's credential has or may have had. */
export const Version = Type.Object({
  sigkey: Text,
  parent: Type.Optional(Text),
  status: Text,
  place: Text,
  node: Text,
  createdAt: When,
  current: Type.Boolean(),
});

/** One account in conflict, or out of sync with its target. */
export const Conflict = Type.Object({
  account: Text,
  policy: Text,
  kind: Text,
  state: Text,
  reason: Text,
  since: When,
  candidates: Type.Integer(),
});

/** One value in the tree of an account, as every node knows it. */
export const TreeValue = Type.Object({
  sigkey: Text,
  parent: Type.Optional(Text),
  status: Text,
  place: Text,
  node: Text,
  parentNode: Type.Optional(Text),
  createdAt: When,
  current: Type.Boolean(),
  candidate: Type.Boolean(),
  message: Text,
});

export const Tree = Type.Object({
  account: Text,
  policy: Text,
  kind: Text,
  state: Text,
  reason: Text,
  since: When,
  current: Type.Optional(Text),
  values: Type.Array(TreeValue),
  beliefs: Type.Array(Type.Object({ node: Text, current: Type.Optional(Text) })),
});

/** What a decision by hand came to. */
export const Decided = Type.Object({
  account: Text,
  conflict: Text,
  current: Type.Optional(Text),
  words: Text,
});

/** When all accounts were looked at for conflicts, and what was found. */
export const Discovery = Type.Object({ at: When, accounts: Type.Integer(), found: Type.Integer() });

/** One row of what resolutions did to single values, in the columns of the field. */
export const VerificationRow = Type.Object({
  at: When,
  svcid: Text,
  accountname: Text,
  accountguid: Text,
  type: Text,
  requestername: Text,
  requesterguid: Text,
  retcode: Text,
  agentmessage: Text,
  sigkey: Text,
  verificationid: Text,
  actionreason: Text,
});

/** When accounts are changed by themselves. */
export const Schedule = Type.Object({
  schedule: Text,
  /** `every 30 days`, or a cron expression. */
  times: Text,
  zone: Type.Optional(Text),
  window: Type.Optional(Text),
  jitterMinutes: Type.Integer(),
  retries: Text,
});

/** How the accounts of one policy are looked after. */
export const Management = Type.Object({
  policy: Text,
  schedule: Type.Optional(Text),
  maxAgeDays: Type.Optional(Type.Integer()),
  managingNode: Type.Optional(Text),
  localFallback: Type.Boolean(),
  automaticResolution: Type.Boolean(),
});

/** Who may ask for changes by a signed event. */
export const EventSource = Type.Object({
  source: Text,
  accounts: Type.Array(Text),
  madeBy: Text,
  madeAt: When,
  lastUsedAt: Type.Optional(When),
});

/** What is planned for one account. */
export const Due = Type.Object({ account: Text, when: Type.Optional(Text), why: Text });

/** What a connector can do, and what its accounts may be told. */
export const Connector = Type.Object({
  connector: Text,
  title: Text,
  kind: Text,
  protocols: Type.Array(Text),
  modes: Type.Array(Text),
  via: Type.Boolean(),
  adminverify: Text,
  fence: Text,
  sends: Text,
  settings: Type.Array(Type.Object({ name: Text, values: Text, words: Text })),
});

/** Another node, as this one sees it. */
export const Peer = Type.Object({
  name: Text,
  hearing: Text,
  silentSeconds: Type.Optional(Type.Integer()),
  applyErrors: Type.Integer(),
  place: Text,
  behindBytes: Type.Integer(),
  keptBytes: Type.Optional(Type.Number()),
  owed: Type.Boolean(),
  /** `yes`, `no`, or `unknown` where it did not answer; only where it was asked. */
  same: Type.Optional(Text),
});

export const PutAside = Type.Object({
  id: Type.Integer(),
  table: Text,
  key: Text,
  node: Text,
  at: When,
  acknowledged: Type.Boolean(),
});

export const AuditRow = Type.Object({
  seq: Type.Integer(),
  at: When,
  actor: Text,
  type: Text,
  details: Type.Record(Type.String(), Type.Unknown()),
});
