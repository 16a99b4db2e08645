/**
 * A protected connection to a directory: LDAPS, or LDAP that has been turned into TLS by StartTLS (RFC 4511 §4.14)
 * before anything else is said. A server whose certificate is not trusted is told nothing, not even a name. A place
 * without TLS is refused: passwords do not go in the clear.
 */
import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { concat } from '../../../base/bytes.ts';
import { wordsOf } from '../../../base/errors.ts';
import type { Place } from '../connector.ts';
import { type Fault, faultOfDial } from './faults.ts';
import { integerOf, readElements, tags } from './wire/der.ts';
import { startTls } from './wire/ldap-messages.ts';

/** The connection, or why there is none. The signal, fired later, ends it. */
export async function dial(place: Place, signal: AbortSignal): Promise<TLSSocket | Fault> {
  const { tls } = place;
  if (tls.kind === 'off')
    return {
      fault: 'unsupported',
      words: 'passwords are not sent over a connection without TLS: declare ldaps, or ldap with tls',
    };
  signal.throwIfAborted();
  let plain: Socket | undefined;
  let secured: TLSSocket | undefined;
  const end = (): void => {
    secured?.destroy();
    plain?.destroy();
  };
  signal.addEventListener('abort', end, { once: true });
  try {
    plain = connect({ host: place.address, port: place.port, noDelay: true });
    await once(plain, 'connect', { signal });
    if (place.protocol === 'ldap') {
      const refused = await askForTls(plain);
      if (refused !== undefined) return ended(refused, end);
    }
    // An address cannot be a server name indication; its certificate is still compared with it.
    const name = tls.serverName ?? place.address;
    secured = connectTls({
      socket: plain,
      host: name,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      minVersion: 'TLSv1.2',
    });
    await once(secured, 'secureConnect', { signal });
    // Until somebody reads from it, an end that comes with an error ends nothing but this connection.
    secured.on('error', () => {});
    return secured;
  } catch (error) {
    end();
    signal.throwIfAborted();
    if (secured === undefined) return faultOfDial(error);
    // Set when the handshake was good and the certificate was not. (Typed as an Error, it is a code.)
    const distrust: unknown = secured.authorizationError;
    const fault = faultOfDial(error);
    return distrust == null
      ? { ...fault, fault: fault.fault === 'unreachable' ? 'cut' : fault.fault }
      : { fault: 'certificate', words: wordsOf(error) };
  }
}

function ended(fault: Fault, end: () => void): Fault {
  end();
  return fault;
}

/**
 * Asks for StartTLS; undefined if the server goes along. It has nothing to say between its yes and the handshake: whoever
 * says more would have it taken for something said inside.
 */
async function askForTls(plain: Socket): Promise<Fault | undefined> {
  plain.write(startTls(1));
  let held: Uint8Array = new Uint8Array(0);
  while (held.length < 4096) {
    const chunk = await nextChunk(plain);
    if (chunk === undefined) return { fault: 'cut', words: 'the connection ended before TLS began' };
    held = concat([held, chunk]);
    const [message, more] = readElements(held) ?? [];
    if (message === undefined) continue;
    const [id, answer] = readElements(message.content) ?? [];
    const [result] = readElements(answer?.content ?? held) ?? [];
    const wellFormed =
      more === undefined && id?.tag === tags.integer && integerOf(id.content) === 1 && answer?.tag === 0x78;
    if (!wellFormed || result?.tag !== tags.enumerated) break;
    const code = integerOf(result.content);
    return code === 0 ? undefined : { fault: 'unsupported', words: `the server refuses StartTLS with result ${code}` };
  }
  return { fault: 'unexpected', words: 'the server does not answer StartTLS as it should' };
}

/** What comes next, leaving the rest to whoever reads after us; undefined at the end. */
async function nextChunk(socket: Socket): Promise<Uint8Array | undefined> {
  for (;;) {
    const chunk = socket.read() as Buffer | null;
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) return undefined;
    await Promise.race([once(socket, 'readable'), once(socket, 'end')]);
  }
}
