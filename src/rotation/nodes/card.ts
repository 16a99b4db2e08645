/**
 * A node's card: where its database is, by which certificate it is known, and the password of the role that reads facts
 * there. It stands in the database sealed; in the clear only in an invitation, which is a file of mode 0600.
 */
import { X509Certificate } from 'node:crypto';
import { Secret } from '../../base/secret.ts';
import { isNodeName } from '../plan/site.ts';

export interface Card extends Disposable {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly password: Secret;
  /** PEM. */
  readonly certificate: string;
  /** Of an invitation: when it was made and until when it is good, in milliseconds since 1970. */
  readonly at?: number;
  readonly until?: number;
}

const longest = 16 * 1024;
const passwordShape = /^[A-Za-z0-9_-]{32,128}$/;
/** A name or a number of a host; nothing that could end a word in a list of settings. */
const hostShape = /^[A-Za-z0-9.:_-]{1,253}$/;

export function isHost(text: string): boolean {
  return hostShape.test(text);
}

/** The card as bytes, a secret. */
export function writeCard(card: Card): Secret {
  const { name, host, port, certificate, at, until } = card;
  const password = card.password.revealText();
  return Secret.fromText(
    `${JSON.stringify({ sallyport: 'node', version: 1, name, host, port, password, certificate, at, until })}\n`,
  );
}

/** Reads a card; undefined if it is none. */
export function readCard(bytes: Uint8Array): Card | undefined {
  if (bytes.length > longest) return undefined;
  let found: unknown;
  try {
    found = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof found !== 'object' || found === null) return undefined;
  const { sallyport, version, name, host, port, password, certificate, at, until } = found as Record<string, unknown>;
  if (sallyport !== 'node' || version !== 1) return undefined;
  if (typeof name !== 'string' || !isNodeName(name) || typeof host !== 'string' || !isHost(host)) return undefined;
  if (typeof port !== 'number' || !Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  if (typeof password !== 'string' || !passwordShape.test(password)) return undefined;
  if (typeof certificate !== 'string' || !isOneCertificate(certificate)) return undefined;
  if ((at === undefined) !== (until === undefined)) return undefined;
  const times = typeof at === 'number' && typeof until === 'number' ? { at, until } : {};
  if (at !== undefined && !(Number.isSafeInteger(at) && Number.isSafeInteger(until))) return undefined;
  const secret = Secret.fromText(password);
  const dispose = () => secret[Symbol.dispose]();
  return { name, host, port, password: secret, certificate, ...times, [Symbol.dispose]: dispose };
}

function isOneCertificate(pem: string): boolean {
  if (!/^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n$/.test(pem)) return false;
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}
