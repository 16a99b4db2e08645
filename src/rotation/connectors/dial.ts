/** Reaching a database server: what ended a connection, and TLS as the place declares it. Certificates are always checked. */
import { isIP, Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { codeOf } from '../../base/errors.ts';
import type { AnswerClass, Place } from './connector.ts';

/** OpenSSL's words for a chain that does not hold, as Node gives them; and Node's own for a name that does not fit. */
const certificateCodes: ReadonlySet<string> = new Set([
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'HOSTNAME_MISMATCH',
]);

/** The class of what ended a connection that was being made or used; undefined when it is none of the network's. */
export function classOfNetwork(error: unknown): AnswerClass | undefined {
  const code = codeOf(error);
  if (certificateCodes.has(code)) return 'certificate';
  switch (code) {
    case 'ECONNREFUSED':
      return 'unreachable-refused';
    case 'ETIMEDOUT':
      return 'unreachable-timeout';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'unreachable';
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ECONNABORTED':
      return 'cut';
    default:
      return undefined;
  }
}

/** What a driver is told to use for TLS, or undefined where the place has none. */
export function tlsOptions(place: Place): ConnectionOptions | undefined {
  if (place.tls.kind === 'off') return undefined;
  const { ca } = place.tls;
  return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) };
}

/** The name that the server's certificate must have. */
export function certificateName(place: Place): string {
  return (place.tls.kind === 'verify' ? place.tls.serverName : undefined) ?? place.address;
}

/**
 * A socket that goes to the place whatever name the driver dials: drivers check a certificate against the name they
 * dial, and here the two may differ. It is destroyed when the signal fires.
 */
export function socketTo(place: Place, signal: AbortSignal): Socket {
  const socket = new Socket({ signal });
  const dial = socket.connect.bind(socket);
  socket.connect = () => dial({ host: place.address, port: place.port });
  socket.setNoDelay(true);
  return socket;
}

/** Whether this is an address and no name: then no server name is sent, and the certificate must hold the address. */
export function isAddress(name: string): boolean {
  return isIP(name) !== 0;
}
