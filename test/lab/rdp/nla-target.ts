/**
 * A target that insists on NLA and says how a login ended, as Windows does: RDP as far as TLS, CredSSP by our own acceptor,
 * and nothing behind it. It keeps what it was sent, and opens what was delegated to it, so that a test can show that a
 * visitor proved a password and kept it. It can be told to answer otherwise than it should.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, type TLSSocket } from 'node:tls';
import { concat } from '../../../src/base/bytes.ts';
import { Secret } from '../../../src/base/secret.ts';
import { fileTime, ntHash, ntlmVerdict, openAcceptor, tsRequestLength } from '../../../src/protocol/ntlm/ntlm.ts';
import { encodeTsRequest } from '../../../src/protocol/ntlm/wire/ts-request.ts';
import { type TestCertificate, testCertificate } from '../../protocol/ntlm/certificate.ts';
import { connectionConfirm, readTpkt, serveTls } from './tpkt.ts';

/** What it does when the proof of a password comes. */
export type Manner =
  | 'honest'
  /** Ends the connection without a word. */
  | 'hangs up'
  /** The same, before it has asked for any proof. */
  | 'leaves at once'
  /** Claims to have taken it, without being able to prove that. */
  | 'pretends'
  /** This NTSTATUS, whatever the password; `early`: before it has asked for any proof. */
  | { readonly status: number; readonly early?: true };

export interface NlaVisit {
  /** What came inside TLS so far. */
  readonly inside: Buffer;
  /** Whole messages of CredSSP in it. */
  readonly messages: number;
  /** The password that the visitor handed over. */
  readonly delegated: string | undefined;
  readonly over: boolean;
}

export interface NlaTarget extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** PEM, and the SHA-256 of its DER, as certificates are pinned. */
  readonly certificate: string;
  readonly pin: Uint8Array;
  readonly visits: readonly NlaVisit[];
  manner: Manner;
  /** Of its one account. */
  password: string;
  /** After so many refused logins it answers that the account is locked, until it is set anew; never unless given. */
  lockAfter: number | undefined;
  /** Refused logins in a row. */
  misses: number;
  /** Resolves when this many visits are over in all. */
  over(count: number): Promise<void>;
}

const locked = 0xc0000234;

/** Starts one on 127.0.0.1, with the account `user`, and a certificate that nobody has signed unless one is given. */
export async function startNlaTarget(
  user: string,
  certificate: Omit<TestCertificate, 'publicKey'> = testCertificate('nla target'),
): Promise<NlaTarget> {
  const secureContext = createSecureContext({ cert: certificate.cert, key: certificate.key, minVersion: 'TLSv1.2' });
  const visits: { inside: Buffer; messages: number; delegated: string | undefined; over: boolean }[] = [];
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();

  async function converse(tls: TLSSocket, visit: (typeof visits)[number]): Promise<void> {
    using acceptor = openAcceptor({
      certificate: certificate.der,
      names: { netbios: 'TARGET', dns: 'target.example' },
      now: fileTime(Date.now()),
      chance: (count) => new Uint8Array(randomBytes(count)),
      judge: async (claim) => {
        using password = Secret.fromText(target.password);
        using hash = ntHash(password);
        return ntlmVerdict(claim.user.toLowerCase() === user ? hash.reveal() : undefined, claim);
      },
    });
    for await (const request of requests(tls, visit)) {
      const { manner } = target;
      const proof = visit.messages === 2;
      if (manner === 'leaves at once' || (proof && manner === 'hangs up')) return;
      const isLocked = target.lockAfter !== undefined && target.misses >= target.lockAfter;
      const due = typeof manner === 'object' ? manner : { status: isLocked ? locked : undefined };
      if (due.status !== undefined && (proof || ('early' in due && due.early === true))) {
        tls.write(encodeTsRequest({ version: 6, errorCode: due.status }));
        return;
      }
      const step = await acceptor.step(request, new AbortController().signal);
      if (proof && manner === 'pretends') {
        tls.write(encodeTsRequest({ version: 6, pubKeyAuth: new Uint8Array(randomBytes(48)) }));
        continue;
      }
      if (proof) target.misses = step.refused === undefined ? 0 : target.misses + 1;
      if (step.send !== undefined) tls.write(step.send);
      if (step.done !== undefined) visit.delegated = step.done.credentials.password.revealText();
      if (step.done !== undefined || step.refused !== undefined) return;
    }
  }

  async function receive(socket: Socket): Promise<void> {
    const visit = { inside: Buffer.alloc(0), messages: 0, delegated: undefined, over: false };
    visits.push(visit);
    try {
      await readTpkt(socket);
      socket.write(connectionConfirm(2));
      const tls = await serveTls(socket, secureContext);
      tls.on('error', () => {});
      await converse(tls, visit);
      await new Promise<void>((resolve) => tls.end(resolve));
    } catch {
      // Whoever leaves, leaves: what he said is kept.
    } finally {
      socket.destroy();
      visit.over = true;
      for (const look of waiting) look();
    }
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    void receive(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the target has no port');
  const target: NlaTarget = {
    address: '127.0.0.1',
    port: bound.port,
    certificate: certificate.cert,
    pin: new Uint8Array(createHash('sha256').update(certificate.der).digest()),
    visits,
    manner: 'honest',
    password: '',
    lockAfter: undefined,
    misses: 0,
    over: async (count) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = (): void => {
        if (visits.filter((visit) => visit.over).length >= count) resolve();
      };
      waiting.add(look);
      look();
      await promise.finally(() => waiting.delete(look));
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return target;
}

/** Cuts whole messages out of what comes, and keeps all of it. */
async function* requests(
  tls: TLSSocket,
  visit: { inside: Buffer; messages: number },
): AsyncGenerator<Uint8Array, void, void> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of tls) {
    visit.inside = Buffer.concat([visit.inside, chunk as Buffer]);
    held = concat([held, chunk as Uint8Array]);
    for (;;) {
      const length = tsRequestLength(held);
      if (length === 'broken') throw new Error('not a message of CredSSP');
      if (length === undefined || held.length < length) break;
      visit.messages++;
      yield held.subarray(0, length);
      held = held.subarray(length);
    }
  }
}
