/**
 * What gates ask, answered. Every handle is looked up among those of the asking gate; an answer never says more than its
 * question is entitled to. The keeper parses nothing here but typed fields.
 */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { type Authorization, authorize } from '../access/access.ts';
import { record } from '../audit/audit.ts';
import { isRefusal, type Refusal, refuse, wordsOf } from '../base/errors.ts';
import type { GateId } from '../base/ids.ts';
import { Secret } from '../base/secret.ts';
import {
  type Factor,
  type Identity,
  beginLogin,
  knowsKey,
  type Login,
  submitFactor,
  interceptedLogin,
  submitNtlm,
} from '../identity/identity.ts';
import { type Answers, answerer, type GateQuestions, Line, questions } from '../link/link.ts';
import { hostKeysOf } from '../estate/estate.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import type { Authority } from './authority.ts';
import { certificateOf, type EventsSettings, listenerOf } from './events-listener.ts';
import { type ConnectedGate, Handles } from './gates.ts';
import type { LiveSessions } from './live-sessions.ts';
import type { Rooms } from './rooms.ts';

export interface LinkOptions {
  readonly socket: string;
  /** The user that gates run as, who must be able to open the socket. */
  readonly gateUid: number | undefined;
  readonly ssh: { readonly address: string; readonly port: number };
  readonly rdp: { readonly address: string; readonly port: number } | undefined;
  readonly events: EventsSettings | undefined;
  readonly authority: Authority;
  readonly hostKeys: readonly Signer[];
}

const maxHandles = 20_000;

/** Listens for gates until `signal` fires. */
export async function serveGates(
  rooms: Rooms,
  live: LiveSessions,
  options: LinkOptions,
  signal: AbortSignal,
): Promise<void> {
  rmSync(options.socket, { force: true });
  const server = createServer((socket) => welcome(socket, rooms, live, options));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socket, resolve);
  });
  chmodSync(options.socket, 0o600);
  if (options.gateUid !== undefined) chownSync(options.socket, options.gateUid, options.gateUid);
  signal.addEventListener('abort', () => server.close());
}

/** What one gate holds. All of it goes with its line; sessions stay, because the gate may come back to them. */
interface Holdings {
  gate: ConnectedGate | undefined;
  readonly logins: Handles<{ readonly login: Login; identity: Identity | undefined }>;
  readonly authorizations: Handles<{ readonly authorization: Authorization; readonly address: string }>;
}

function welcome(socket: Socket, rooms: Rooms, live: LiveSessions, options: LinkOptions): void {
  const holdings: Holdings = {
    gate: undefined,
    logins: new Handles(maxHandles),
    authorizations: new Handles(maxHandles),
  };
  const line: Line = new Line(
    socket,
    answerer(
      questions,
      answersFor(rooms, live, options, holdings, () => line),
    ),
    () => {},
  );
  line.over.addEventListener('abort', () => {
    if (holdings.gate === undefined) return;
    rooms.gates.disconnect(holdings.gate.id, line);
    rooms.log.warn({ gate: holdings.gate.id, reason: wordsOf(line.over.reason) }, 'the line to a gate is gone');
  });
}

function answersFor(
  rooms: Rooms,
  live: LiveSessions,
  options: LinkOptions,
  holdings: Holdings,
  line: () => Line,
): Answers<GateQuestions> {
  const { db, vault, gates, clock } = rooms;

  /** The gate that asks; nothing is answered before its hello. */
  function asking(): GateId {
    if (holdings.gate === undefined) throw new Error('a gate asked before its hello');
    return holdings.gate.id;
  }

  return {
    'gate.hello': async ({ token, pid, running }) => {
      const id = gates.recognise(token);
      if (id === undefined) {
        rooms.log.warn({ pid }, 'a process that is no gate of ours said hello');
        return refuse('keeper.unknown-gate', 'this token was given to no gate');
      }
      holdings.gate = { id, pid, line: line() };
      gates.connect(holdings.gate);
      const unknown = await live.readopt(id, running);
      const sessions = running.length - unknown.length;
      const about = { gate: id };
      if (running.length === 0)
        await record(db, gateActor(id), { type: 'gate.connected', about, details: { version: rooms.version, pid } });
      else await record(db, gateActor(id), { type: 'gate.reconnected', about, details: { sessions } });
      return {
        gate: id,
        spool: rooms.spool,
        listeners: [
          { protocol: 'ssh', ...options.ssh },
          ...(options.rdp === undefined
            ? []
            : [{ protocol: 'rdp' as const, address: options.rdp.address, port: options.rdp.port }]),
          ...(options.events === undefined ? [] : [listenerOf(options.events)]),
        ],
        hostKeys: options.hostKeys.map(({ publicKey, algorithms }) => ({ publicKey, algorithms: [...algorithms] })),
        unknown,
      };
    },
    'gate.alive': async ({ running }, signal) => ({ unknown: live.heard(asking(), running, signal) }),
    'hostkey.sign': async ({ publicKey, algorithm, data }, signal) => {
      asking();
      const key = options.hostKeys.find((one) => Buffer.compare(one.publicKey, publicKey) === 0);
      if (key === undefined) return refuse('keeper.unknown-handle', 'no such host key');
      return { signature: await key.sign(data, algorithm, signal) };
    },
    'login.begin': async ({ user, address, protocol }) => {
      asking();
      const login = beginLogin({ db, sealer: vault, clock }, { user, address, protocol });
      return { login: holdings.logins.mint({ login, identity: undefined }), next: [...login.next] };
    },
    'login.knowsKey': async ({ login, publicKey }) => ({
      known: await knowsKey(holdings.logins.get(login, 'login').login, publicKey),
    }),
    'login.ntlm': async ({ login, ...claim }) => {
      const key = await submitNtlm(holdings.logins.get(login, 'login').login, claim);
      if (key === undefined) return refuse('keeper.not-allowed', 'no connection token made this proof');
      using sessionBaseKey = key;
      return { sessionBaseKey: sessionBaseKey.reveal().slice() };
    },
    'login.intercepted': async ({ login }) => {
      await interceptedLogin(holdings.logins.get(login, 'login').login);
      return null;
    },
    'login.factor': async ({ login, factor }) => {
      const held = holdings.logins.get(login, 'login');
      using secret = new Secret(
        factor.kind === 'publickey' ? new Uint8Array() : factor.kind === 'totp' ? factor.code : factor.secret,
      );
      const verdict = await submitFactor(held.login, factorOf(factor, secret));
      if (verdict.kind === 'accepted') held.identity = verdict.identity;
      return { verdict: verdict.kind, next: verdict.kind === 'accepted' ? [] : [...verdict.next] };
    },
    authorize: async ({ login, account, target, service }) => {
      const { login: asked, identity } = holdings.logins.get(login, 'login');
      if (identity === undefined) return refuse('keeper.not-allowed', 'the login is not finished');
      holdings.logins.drop(login);
      const selector = {
        ...(target === undefined ? {} : { target }),
        protocol: asked.protocol === 'rdp' ? ('rdp' as const) : ('ssh' as const),
        ...(account === undefined ? {} : { account }),
        ...(service === undefined ? {} : { service }),
      };
      const authorization = await authorize(db, identity, selector, clock.now());
      if (isRefusal(authorization)) return authorization;
      const pinned = (await hostKeysOf(db, authorization.service.id)).filter((key) => key.state === 'trusted');
      return {
        authorization: holdings.authorizations.mint({ authorization, address: asked.address }),
        protocol: authorization.service.protocol,
        user: identity.name,
        ...loginOf(authorization),
        target: authorization.target.name,
        address: authorization.target.address,
        port: authorization.service.port,
        hostKeyTypes: [...new Set(pinned.map((key) => key.type))],
        subprotocols: [...authorization.subprotocols],
        ...(authorization.service.protocol === 'rdp' ? { rdp: rdpTerms(authorization) } : {}),
        recordContent: authorization.recordContent,
        ...(authorization.until === undefined ? {} : { until: authorization.until.getTime() }),
      };
    },
    'session.open': async ({ authorization }) => {
      const gate = asking();
      const held = holdings.authorizations.get(authorization, 'authorization');
      holdings.authorizations.drop(authorization);
      return await live.open(held.authorization, gate);
    },
    'recording.block': async ({ session, ...block }) => (await live.of(asking(), session).block(block)) ?? null,
    'hold.open': async ({ session }, signal) => await live.of(asking(), session).hold(signal),
    'credential.open': async ({ hold }) => await live.holding(asking(), hold).credential(),
    'credential.sign': async ({ hold, algorithm, data }, signal) => {
      const signature = await live.holding(asking(), hold).sign(algorithm, data, signal);
      return isRefusal(signature) ? signature : { signature };
    },
    'hostkey.check': async ({ session, publicKey }) => ({
      verdict: await live.of(asking(), session).hostKey(publicKey),
    }),
    'certificate.check': async ({ session, chain }) => ({
      verdict: await live.of(asking(), session).certificate(chain),
    }),
    'session.live': async ({ session, front, back }) => {
      await live.of(asking(), session).live(front, back);
      return null;
    },
    'session.event': async ({ session, event }) => {
      await live.of(asking(), session).event(event);
      return null;
    },
    'gate.certificate': async () => {
      asking();
      return await options.authority.gateCertificate();
    },
    'event.certificate': async () => {
      asking();
      return await certificateOf(options.events, rooms.log);
    },
    'event.post': async (message) => rooms.rotation.events.judge({ ...message, gate: asking() }),
    'session.end': async ({ session, outcome, detail, bytesIn, bytesOut }, signal) => {
      await live.end(asking(), session, { outcome, detail: detail ?? '', bytesIn, bytesOut }, signal);
      return null;
    },
  };
}

type SentFactor = Parameters<Answers<GateQuestions>['login.factor']>[0]['factor'];

/** `secret` holds what the factor has of one; it stays the caller's. */
function factorOf(factor: SentFactor, secret: Secret): Factor {
  switch (factor.kind) {
    case 'password':
      return { kind: 'password', password: secret };
    case 'token':
      return { kind: 'token', token: secret };
    case 'totp':
      return { kind: 'totp', code: secret };
    case 'publickey': {
      const { algorithm, publicKey, signature, sessionId, user, service } = factor;
      return { kind: 'publickey', algorithm, blob: publicKey, signature, sessionId, user, service };
    }
    default:
      return factor satisfies never;
  }
}

type AuthorizeAnswer = Exclude<Awaited<ReturnType<Answers<GateQuestions>['authorize']>>, Refusal>;

/** As what the target is logged in to. A domain that the account's own name has goes before that of the service. */
function loginOf({ account: { name }, service }: Authorization): { account: string; domain: string } {
  if (service.protocol !== 'rdp') return { account: name, domain: '' };
  const slash = name.indexOf('\\');
  if (slash !== -1) return { account: name.slice(slash + 1), domain: name.slice(0, slash) };
  const { domain } = service.settings;
  return { account: name, domain: typeof domain === 'string' && !name.includes('@') ? domain : '' };
}

function rdpTerms({ service, rdp }: Authorization): NonNullable<AuthorizeAnswer['rdp']> {
  const { depth, keys, maxWidth, maxHeight, idleMinutes, application } = rdp;
  return {
    security: service.settings['security'] === 'tls' ? 'tls' : 'nla',
    depth,
    keys,
    ...(maxWidth === undefined ? {} : { maxWidth }),
    ...(maxHeight === undefined ? {} : { maxHeight }),
    ...(idleMinutes === undefined ? {} : { idleMinutes }),
    ...(application === undefined ? {} : { application }),
  };
}

function gateActor(id: GateId): { kind: 'gate'; id: GateId } {
  return { kind: 'gate', id };
}
