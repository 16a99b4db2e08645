/**
 * What a gate may ask the keeper, and what the keeper tells a gate. Handles (`login`, `authorization`, `session`, `hold`) are
 * minted by the keeper and mean something only on the line of the gate that they were given to.
 */
import { Type } from 'typebox';
import { Bytes, question } from './fields.ts';

const Handle = Type.String({ minLength: 1, maxLength: 64 });
const Text = Type.String({ maxLength: 1024 });
const Nothing = Type.Null();
const Factors = Type.Array(
  Type.Union([Type.Literal('password'), Type.Literal('publickey'), Type.Literal('totp'), Type.Literal('token')]),
);
const SessionProtocol = Type.Union([Type.Literal('ssh'), Type.Literal('rdp')]);

/** How far a recording has come, as the gate knows it. */
const Progress = Type.Object({ session: Handle, blocks: Type.Integer({ minimum: 0 }) });

const Port = Type.Integer({ minimum: 0, maximum: 65535 });
const Pem = Bytes(64 * 1024);

const Listener = Type.Union([
  Type.Object({ protocol: Type.Literal('ssh'), address: Text, port: Port }),
  /** Its certificate is asked for with `gate.certificate`. */
  Type.Object({ protocol: Type.Literal('rdp'), address: Text, port: Port }),
  /** Signed events over https, or over http where there is no certificate. */
  Type.Object({ protocol: Type.Literal('events'), address: Text, port: Port, https: Type.Boolean() }),
]);

/** The longest body of an event. */
export const longestEvent = 16 * 1024;

const Credential = Type.Union([
  Type.Object({ kind: Type.Literal('password'), secret: Bytes(4096) }),
  Type.Object({ kind: Type.Literal('ssh-key'), publicKey: Bytes(16 * 1024), algorithms: Type.Array(Text) }),
]);

/** What a session over RDP is like, as grants and the service say. */
const RdpTerms = Type.Object({
  /** `nla`: the target has to prove itself by CredSSP. `tls`: it cannot, and the password leaves for a pinned certificate only. */
  security: Type.Union([Type.Literal('nla'), Type.Literal('tls')]),
  /** Bits a pixel, at most. */
  depth: Type.Union([Type.Literal(16), Type.Literal(24), Type.Literal(32)]),
  /** Pixels, at most; unbounded where left out. */
  maxWidth: Type.Optional(Type.Integer({ minimum: 200, maximum: 8192 })),
  maxHeight: Type.Optional(Type.Integer({ minimum: 200, maximum: 8192 })),
  /** Minutes without input after which the session ends. */
  idleMinutes: Type.Optional(Type.Integer({ minimum: 1, maximum: 1440 })),
  /** The program that runs in place of the desktop. */
  application: Type.Optional(Text),
  /** What is recorded of the keyboard: everything; that a key was pressed and not which; nothing. */
  keys: Type.Union([Type.Literal('all'), Type.Literal('masked'), Type.Literal('none')]),
});

const Direction = Type.Union([Type.Literal('upload'), Type.Literal('download')]);

export const questions = {
  /** First words of a gate. After a lost keeper it names the sessions that it still runs. */
  'gate.hello': question(
    Type.Object({ token: Bytes(64), pid: Type.Integer(), running: Type.Array(Progress, { maxItems: 100_000 }) }),
    Type.Object({
      gate: Handle,
      spool: Text,
      listeners: Type.Array(Listener),
      hostKeys: Type.Array(Type.Object({ publicKey: Bytes(16 * 1024), algorithms: Type.Array(Text) })),
      /** Sessions of `running` that the keeper does not know any more: to be ended. */
      unknown: Type.Array(Handle),
    }),
  ),
  /** Said every few seconds, so that each side notices the other's silence, and what the other no longer runs. */
  'gate.alive': question(
    Type.Object({ running: Type.Array(Handle, { maxItems: 100_000 }) }),
    Type.Object({ unknown: Type.Array(Handle) }),
  ),
  /** The keeper signs with the gate's own host key; the key itself stays with it. */
  'hostkey.sign': question(
    Type.Object({ publicKey: Bytes(16 * 1024), algorithm: Text, data: Bytes(64 * 1024) }),
    Type.Object({ signature: Bytes(16 * 1024) }),
  ),
  'login.begin': question(
    Type.Object({ user: Text, address: Text, port: Type.Integer(), protocol: SessionProtocol }),
    Type.Object({ login: Handle, next: Factors }),
  ),
  /** Whether this key would be looked at. Says nothing of whether the login would succeed. */
  'login.knowsKey': question(
    Type.Object({ login: Handle, publicKey: Bytes(16 * 1024) }),
    Type.Object({ known: Type.Boolean() }),
  ),
  /**
   * The proof of NTLMv2 (MS-NLMP §3.3.2) of a client that was given a connection token and typed it as password. The
   * login is not finished by it: the token itself has to follow as a factor.
   */
  'login.ntlm': question(
    Type.Object({
      login: Handle,
      /** As the client sent them: both go into the proof. */
      user: Text,
      domain: Text,
      serverChallenge: Bytes(8),
      /** NTProofStr. */
      proof: Bytes(16),
      /** The rest of the response behind it: NTLMv2_CLIENT_CHALLENGE. */
      blob: Bytes(4096),
    }),
    Type.Object({ sessionBaseKey: Bytes(16) }),
  ),
  /**
   * The exchange of a login showed that somebody stands between the client and this gate, or changed what was said. Ends
   * the login, whose token stays as it was; the audit trail is told.
   */
  'login.intercepted': question(Type.Object({ login: Handle }), Nothing),
  'login.factor': question(
    Type.Object({
      login: Handle,
      factor: Type.Union([
        Type.Object({ kind: Type.Literal('password'), secret: Bytes(4096) }),
        /** A connection token; if `login.ntlm` was answered, the very one that made the proof. */
        Type.Object({ kind: Type.Literal('token'), secret: Bytes(4096) }),
        Type.Object({ kind: Type.Literal('totp'), code: Bytes(64) }),
        Type.Object({
          kind: Type.Literal('publickey'),
          algorithm: Text,
          publicKey: Bytes(16 * 1024),
          signature: Bytes(16 * 1024),
          /** The keeper puts the signed bytes together itself (RFC 4252 §7) from these. */
          sessionId: Bytes(128),
          user: Text,
          service: Text,
        }),
      ]),
    }),
    Type.Object({
      verdict: Type.Union([Type.Literal('accepted'), Type.Literal('partial'), Type.Literal('refused')]),
      next: Factors,
    }),
  ),
  authorize: question(
    /** Without a target the place of the connection token is meant, if the login had one. */
    Type.Object({
      login: Handle,
      account: Type.Optional(Text),
      target: Type.Optional(Text),
      service: Type.Optional(Text),
    }),
    Type.Object({
      authorization: Handle,
      protocol: SessionProtocol,
      user: Text,
      account: Text,
      /** The Windows domain that the account is logged in with; empty for none. */
      domain: Text,
      target: Text,
      address: Text,
      port: Type.Integer({ minimum: 1, maximum: 65535 }),
      /** Types of the keys that are pinned, so that the target is asked for one of them; empty if none is. */
      hostKeyTypes: Type.Array(Text),
      /** What may be done on the connection: words of `access/plan/subprotocols.ts`. */
      subprotocols: Type.Array(Text),
      /** With protocol `rdp`. */
      rdp: Type.Optional(RdpTerms),
      recordContent: Type.Boolean(),
      /** Milliseconds since 1970 at which the session ends whatever happens. */
      until: Type.Optional(Type.Number()),
    }),
  ),
  /** Opens the session's row and its recording. */
  'session.open': question(
    Type.Object({ authorization: Handle }),
    Type.Object({ session: Handle, recording: Handle, key: Bytes(32), startedAt: Type.Number() }),
  ),
  'recording.block': question(
    Type.Object({
      session: Handle,
      number: Type.Integer({ minimum: 0 }),
      offset: Type.Integer({ minimum: 0 }),
      length: Type.Integer({ minimum: 0 }),
      previous: Bytes(32),
      hash: Bytes(32),
      events: Type.Integer({ minimum: 0 }),
      /** Microseconds since the recording began. */
      until: Type.Number(),
    }),
    Nothing,
  ),
  'hold.open': question(Type.Object({ session: Handle }), Type.Object({ hold: Handle })),
  'credential.open': question(Type.Object({ hold: Handle }), Credential),
  /** A login with a key: the keeper signs, the private key stays with it. */
  'credential.sign': question(
    Type.Object({ hold: Handle, algorithm: Text, data: Bytes(64 * 1024) }),
    Type.Object({ signature: Bytes(16 * 1024) }),
  ),
  /** Whether the host key that the target shows is the right one. The keeper audits any other. */
  'hostkey.check': question(
    Type.Object({ session: Handle, algorithm: Text, publicKey: Bytes(16 * 1024) }),
    Type.Object({ verdict: Type.Union([Type.Literal('trusted'), Type.Literal('unknown'), Type.Literal('changed')]) }),
  ),
  /** The same for the certificates that a target shows over TLS, its own first, in DER. */
  'certificate.check': question(
    Type.Object({ session: Handle, chain: Type.Array(Bytes(64 * 1024), { minItems: 1, maxItems: 8 }) }),
    Type.Object({ verdict: Type.Union([Type.Literal('trusted'), Type.Literal('unknown'), Type.Literal('changed')]) }),
  ),
  /** The target took the credential; from now on bytes flow. */
  'session.live': question(
    Type.Object({ session: Handle, front: Type.Record(Type.String(), Text), back: Type.Record(Type.String(), Text) }),
    Nothing,
  ),
  'session.event': question(
    Type.Object({
      session: Handle,
      event: Type.Union([
        Type.Object({
          type: Type.Literal('channel.opened'),
          channel: Type.Integer(),
          what: Text,
          command: Type.Optional(Text),
        }),
        Type.Object({ type: Type.Literal('channel.refused'), channel: Type.Integer(), what: Text, reason: Text }),
        Type.Object({
          type: Type.Literal('file.transferred'),
          channel: Type.Integer(),
          direction: Direction,
          path: Text,
          size: Type.Number(),
          sha256: Type.Optional(Text),
          complete: Type.Boolean(),
        }),
        /** Something in a folder of the client's was changed through the session. `to` is the new name. */
        Type.Object({
          type: Type.Literal('file.changed'),
          what: Type.Union([
            Type.Literal('created'),
            Type.Literal('written'),
            Type.Literal('renamed'),
            Type.Literal('deleted'),
            Type.Literal('attributes'),
          ]),
          path: Text,
          to: Type.Optional(Text),
        }),
        /** Text crossed by the clipboard; what it says is in the recording only. `length` is in characters. */
        Type.Object({
          type: Type.Literal('clipboard.text'),
          direction: Direction,
          length: Type.Integer({ minimum: 0 }),
          sha256: Text,
        }),
        /** Content of the clipboard that is neither text nor files: a picture, or a format that nobody reads. */
        Type.Object({
          type: Type.Literal('clipboard.data'),
          direction: Direction,
          format: Text,
          bytes: Type.Integer({ minimum: 0 }),
          sha256: Text,
        }),
        Type.Object({
          type: Type.Literal('clipboard.files'),
          direction: Direction,
          names: Type.Array(Text, { maxItems: 1000 }),
        }),
        /** A device of the client's: `drive`, `printer`, `port`, `smartcard`… */
        Type.Object({ type: Type.Literal('device.announced'), kind: Text, name: Text }),
        Type.Object({ type: Type.Literal('device.refused'), kind: Text, name: Text }),
      ]),
    }),
    Nothing,
  ),
  /** The gate's own certificate for RDP, its chain, and its key, as they are now: they are renewed. */
  'gate.certificate': question(Type.Null(), Type.Object({ chain: Pem, key: Pem })),
  /** The certificate for events as its files are now, with its key: TLS needs it where the bytes arrive. */
  'event.certificate': question(Type.Null(), Type.Object({ certificate: Pem, key: Pem })),
  /**
   * A message to `POST /events/SOURCE`, as it came; the keeper judges it. Whoever has not signed it properly is told
   * `unauthorized`, whatever is wrong.
   */
  'event.post': question(
    Type.Object({
      source: Type.String({ pattern: '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$' }),
      id: Text,
      timestamp: Text,
      signature: Text,
      body: Bytes(longestEvent),
      address: Text,
    }),
    Type.Union([
      Type.Object({ kind: Type.Literal('accepted'), accounts: Type.Integer({ minimum: 0 }) }),
      Type.Object({ kind: Type.Literal('unauthorized') }),
      Type.Object({ kind: Type.Literal('invalid'), code: Text, words: Text }),
    ]),
  ),
  /** The session is over and its recording closed; the keeper releases the hold and seals. */
  'session.end': question(
    Type.Object({
      session: Handle,
      outcome: Text,
      detail: Type.Optional(Text),
      bytesIn: Type.Number(),
      bytesOut: Type.Number(),
    }),
    Nothing,
  ),
};

export type GateQuestions = typeof questions;

/** What the keeper says to a gate unasked. */
export const told = {
  'session.kill': Type.Object({ session: Handle, reason: Text }),
};
