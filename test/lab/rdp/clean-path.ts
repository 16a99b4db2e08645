/**
 * A gateway as browsers need one, without any policy: RDCleanPath over a web socket, straight to one target. It shows that
 * the browser of the lab works, and what its client says to a gateway. It ends when it is disposed of.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { pipeline } from 'node:stream/promises';
import { createWebSocketStream, type WebSocket, WebSocketServer } from 'ws';
import { der, derInteger, derLength, DerReader, tag } from '../../../src/protocol/wire/der.ts';
import { readTpkt } from './tpkt.ts';

export interface CleanPathGateway extends AsyncDisposable {
  /** For a browser: `ws:` and an address of loopback. */
  readonly url: string;
  /** What browsers asked for so far. */
  readonly asked: readonly {
    readonly destination: string;
    readonly token: string;
    readonly origin: string | undefined;
  }[];
}

const version = 3390;

export async function startCleanPathGateway(to: {
  readonly address: string;
  readonly port: number;
}): Promise<CleanPathGateway> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
  await once(server, 'listening');
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('the gateway has no port');
  const asked: { destination: string; token: string; origin: string | undefined }[] = [];

  async function serve(webSocket: WebSocket, origin: string | undefined): Promise<void> {
    await using undo = new AsyncDisposableStack();
    const stream = createWebSocketStream(webSocket);
    undo.defer(() => void stream.destroy());
    const request = readRequest(await firstElement(stream));
    asked.push({ destination: request.destination, token: request.token, origin });
    const target = connect({ host: to.address, port: to.port });
    undo.defer(() => void target.destroy());
    await once(target, 'connect');
    target.write(request.connectionRequest);
    const confirm = await readTpkt(target);
    const tls = connectTls({ socket: target, rejectUnauthorized: false });
    await once(tls, 'secureConnect');
    stream.write(answer(confirm, tls.getPeerX509Certificate()?.raw ?? Buffer.alloc(0), to.address));
    await Promise.all([pipeline(stream, tls), pipeline(tls, stream)]);
  }

  server.on('connection', (webSocket, request) => {
    // Either side may leave at any time; a browser that gets no answer says so itself.
    serve(webSocket, request.headers.origin).catch(() => webSocket.terminate());
  });
  return {
    url: `ws://127.0.0.1:${bound.port}/`,
    asked,
    [Symbol.asyncDispose]: async () => {
      for (const client of server.clients) client.terminate();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

async function firstElement(stream: NodeJS.ReadableStream): Promise<Buffer> {
  let got = Buffer.alloc(0);
  for (;;) {
    const length = derLength(got);
    if (length === 'broken') throw new Error('the browser sent no RDCleanPath');
    // The browser waits for an answer, so nothing follows the request.
    if (length !== undefined && got.length >= length) return got;
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await once(stream, 'readable');
    else got = Buffer.concat([got, chunk]);
  }
}

function readRequest(bytes: Buffer): { destination: string; token: string; connectionRequest: Uint8Array } {
  const fields = new DerReader(bytes).into(tag.sequence);
  const text = (reader: DerReader): string => Buffer.from(reader.content(tag.utf8)).toString();
  fields.content(tag.context(0));
  const destination = text(fields.into(tag.context(2)));
  const token = text(fields.into(tag.context(3)));
  fields.optional(tag.context(5));
  const connectionRequest = fields.into(tag.context(6)).content(tag.octets);
  if (fields.violation !== undefined) throw new Error(fields.violation);
  return { destination, token, connectionRequest };
}

function answer(confirm: Uint8Array, certificate: Uint8Array, address: string): Uint8Array {
  return der(
    tag.sequence,
    der(tag.context(0), derInteger(version)),
    der(tag.context(6), der(tag.octets, confirm)),
    der(tag.context(7), der(tag.sequence, der(tag.octets, certificate))),
    der(tag.context(9), der(tag.utf8, Buffer.from(address))),
  );
}
