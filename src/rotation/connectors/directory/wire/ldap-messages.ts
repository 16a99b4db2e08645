/**
 * The parts of LDAP that the client library has no form for: asking for TLS, the password modify operation (RFC 3062),
 * and what a server says of its password policy (draft-behera-ldap-password-policy-11 §6). Pure.
 */
import { utf8 } from '../../../../base/bytes.ts';
import { element, integer, integerOf, readElements, readOne, sequence, tags } from './der.ts';

export const operations = { startTls: '1.3.6.1.4.1.1466.20037', passwordModify: '1.3.6.1.4.1.4203.1.11.1' } as const;
export const passwordPolicyControl = '1.3.6.1.4.1.42.2.27.8.5.1';

/** A whole message that asks for TLS. */
export function startTls(messageId: number): Uint8Array {
  return sequence(integer(messageId), element(0x77, element(0x80, utf8(operations.startTls))));
}

/** The value of a password modify request. Without `old` it is an administrator's. */
export function passwordModify(user: string, old: Uint8Array | undefined, fresh: Uint8Array): Uint8Array {
  const parts = [element(0x80, utf8(user)), ...(old === undefined ? [] : [element(0x81, old)]), element(0x82, fresh)];
  return sequence(...parts);
}

const complaints = [
  'expired',
  'locked',
  'must-change',
  'may-not-change',
  'old-needed',
  'quality',
  'too-short',
  'too-young',
  'in-history',
  'too-long',
] as const;
export type Complaint = (typeof complaints)[number];

export interface PolicyAnswer {
  readonly complaint: Complaint | undefined;
  /** Seconds until it expires, if the server warns of it. */
  readonly expiresIn: number | undefined;
  /** Logins that are left although it has expired. */
  readonly graceLogins: number | undefined;
}

/** PasswordPolicyResponseValue; undefined if it is none. */
export function readPolicyAnswer(value: Uint8Array): PolicyAnswer | undefined {
  const inside = readOne(value, tags.sequence);
  const parts = inside && readElements(inside);
  if (parts === undefined) return undefined;
  let complaint: Complaint | undefined;
  let expiresIn: number | undefined;
  let graceLogins: number | undefined;
  for (const { tag, content } of parts) {
    if (tag === 0x81) {
      const number = integerOf(content);
      complaint = number === undefined ? undefined : complaints[number];
      if (complaint === undefined) return undefined;
    } else if (tag === 0xa0) {
      const [warning, more] = readElements(content) ?? [];
      const number = integerOf(warning?.content);
      if (warning === undefined || more !== undefined || number === undefined) return undefined;
      if (warning.tag === 0x80) expiresIn = number;
      else if (warning.tag === 0x81) graceLogins = number;
      else return undefined;
    } else return undefined;
  }
  return { complaint, expiresIn, graceLogins };
}
