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

export const AuditRow = Type.Object({
  seq: Type.Integer(),
  at: When,
  actor: Text,
  type: Text,
  details: Type.Record(Type.String(), Type.Unknown()),
});
