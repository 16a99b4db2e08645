/** CredSSP over real TLS sockets: our acceptor as a server of one login, and our initiator against somebody's server. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { concat } from '../../src/base/bytes.ts';
import type { AcceptorStep } from '../../src/protocol/ntlm/acceptor.ts';
import { tsRequestLength } from '../../src/protocol/ntlm/ntlm.ts';
import { acceptor, initiator, never } from '../protocol/ntlm/stage.ts';
import type { TestCertificate } from '../protocol/ntlm/certificate.ts';

/** Cuts whole TSRequests out of a stream; ends with the stream. */
export async function* requests(stream: Socket): AsyncGenerator<Uint8Array> {
  let held: Uint8Array = new Uint8Array(0);
  for await (const chunk of stream) {
    held = concat([held, chunk as Uint8Array]);
    for (;;) {
      const length = tsRequestLength(held);
      if (length === 'broken') throw new Error('not a TSRequest');
      if (length === undefined || held.length < length) break;
      yield held.subarray(0, length);
      held = held.subarray(length);
    }
  }
}

/** Runs our acceptor on a socket until the login has an outcome, then ends the socket. */
export async function accept(stream: Socket, certificate: Uint8Array): Promise<AcceptorStep> {
  using machine = acceptor({ certificate });
  let last: AcceptorStep = {};
  for await (const request of requests(stream)) {
    last = await machine.step(request, never);
    if (last.send !== undefined) stream.write(last.send);
    if (last.done !== undefined || last.refused !== undefined) break;
  }
  stream.end();
  return last;
}

export interface Door extends AsyncDisposable {
  readonly port: number;
  /** How the first login ended. */
  readonly outcome: Promise<AcceptorStep>;
}

export async function openDoor(certificate: TestCertificate): Promise<Door> {
  const ended = Promise.withResolvers<AcceptorStep>();
  // whoever asks for the outcome hears of it, also late
  ended.promise.catch(() => {});
  const server = createServer({ cert: certificate.cert, key: certificate.key }, (socket: TLSSocket) => {
    socket.on('error', ended.reject);
    accept(socket, certificate.der).then(ended.resolve, ended.reject);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    outcome: ended.promise,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** Logs in with our initiator on a TLS connection: `done`, or the code it was refused with. */
export async function logIn(
  port: number,
  user: string,
  domain: string,
  password: string,
  raw?: Socket,
): Promise<string> {
  const target = raw === undefined ? { port, host: '127.0.0.1' } : { socket: raw };
  const socket = connect({ ...target, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const certificate = new Uint8Array(socket.getPeerCertificate().raw);
  using machine = initiator({ user, domain, host: '127.0.0.1', certificate }, password);
  socket.write(machine.first);
  try {
    for await (const answer of requests(socket)) {
      const step = machine.step(answer);
      if (step.refused !== undefined) return step.refused.code;
      socket.write(step.send);
      if (step.done) return 'done';
    }
    return 'closed';
  } finally {
    socket.end();
  }
}
