/**
 * A server made of our transport and our authentication, with the smallest session behind it that real clients accept:
 * every command is answered with its own words and everything of its input, and status 7.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Authenticator, AuthOutcome } from '../../../../src/protocol/ssh/auth/authenticator.ts';
import { authenticate } from '../../../../src/protocol/ssh/auth/server.ts';
import { parsePrivateKey } from '../../../../src/protocol/ssh/keys/private.ts';
import { generateKeyPair, type KeyKind, signerFromPrivateKey } from '../../../../src/protocol/ssh/keys/signer.ts';
import { openTransport } from '../../../../src/protocol/ssh/transport/transport.ts';
import type { Signer, Transport } from '../../../../src/protocol/ssh/types.ts';
import { decodeConnection, encodeConnection } from '../../../../src/protocol/ssh/wire/connection.ts';
import { encodeRequest } from '../../../../src/protocol/ssh/wire/connection-requests.ts';
import { isViolation } from '../../../../src/protocol/ssh/wire/reader.ts';

const never = new AbortController().signal;

export interface LittleServer extends AsyncDisposable {
  readonly port: number;
  readonly hostKey: Uint8Array;
  /** How the logins ended, in their order. */
  readonly outcomes: readonly Promise<AuthOutcome>[];
}

/** A fresh private key of ours, as a Signer and as a file. */
export async function freshKey(kind: KeyKind = 'ed25519'): Promise<{ signer: Signer; file: string }> {
  const pair = await generateKeyPair(kind);
  const parsed = await parsePrivateKey(pair.privateKeyOpenSsh, undefined, never);
  if ('refused' in parsed) throw new Error(parsed.reason);
  return { signer: signerFromPrivateKey(parsed.key), file: pair.privateKeyOpenSsh.revealText() };
}

export async function littleServer(authenticator: () => Authenticator): Promise<LittleServer> {
  const { signer } = await freshKey();
  const outcomes: Promise<AuthOutcome>[] = [];
  const transports: Transport[] = [];
  const server = createServer((socket) => {
    const outcome = openTransport(
      socket,
      { role: 'server', version: 'SSH-2.0-little', hostKeys: [signer] },
      never,
    ).then(async (transport) => {
      transports.push(transport);
      const result = await authenticate(transport, authenticator(), { refusalMs: 0, probeMs: 0 }, never);
      if (result.kind === 'accepted') serve(transport);
      return result;
    });
    outcome.catch(() => {});
    outcomes.push(outcome);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('no port');
  return {
    port: bound.port,
    hostKey: signer.publicKey,
    outcomes,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const transport of transports) await transport[Symbol.asyncDispose]();
    },
  };
}

function serve(transport: Transport): void {
  let peer = 0;
  transport.relay((payload) => {
    const message = decodeConnection(payload);
    if (isViolation(message)) return;
    if (message.kind === 'global-request' && message.wantReply)
      transport.send(encodeConnection({ kind: 'request-failure' }));
    if (message.kind === 'open') {
      peer = message.sender;
      const numbers = { recipient: peer, sender: 0, window: 1 << 24, maxPacket: 32_768 };
      transport.send(encodeConnection({ kind: 'open-confirmation', ...numbers, body: new Uint8Array(0) }));
    }
    if (message.kind === 'request') {
      const known = message.request.type === 'exec';
      if (message.wantReply) transport.send(encodeConnection({ kind: known ? 'success' : 'failure', recipient: peer }));
      if (message.request.type === 'exec')
        transport.send(encodeConnection({ kind: 'data', recipient: peer, data: message.request.command }));
    }
    if (message.kind === 'data')
      transport.send(encodeConnection({ kind: 'data', recipient: peer, data: message.data }));
    if (message.kind === 'eof') {
      transport.send(encodeRequest(peer, { type: 'exit-status', status: 7 }, false));
      transport.send(encodeConnection({ kind: 'eof', recipient: peer }));
      transport.send(encodeConnection({ kind: 'close', recipient: peer }));
    }
  });
}
