/**
 * TSCredentials with TSPasswordCreds (MS-CSSP §2.2.1.2): the password that a client delegates. Pure. Smart cards and
 * remote credential guard are told apart from a password, and are nothing more here than a kind. Names and password are
 * UTF-16LE without an end mark.
 */
import { DerReader, der, derInteger, tag } from '../../wire/der.ts';
import { LittleReader } from '../../wire/little-reader.ts';
import { LittleWriter } from '../../wire/little-writer.ts';
import type { Violation } from '../../wire/violation.ts';

export interface PasswordCredentials {
  readonly kind: 'password';
  readonly domain: string;
  readonly user: string;
  /** UTF-16LE: a view of the message, for the caller to copy and zero. */
  readonly password: Uint8Array;
}

/** Credentials of another type than a password; `type` 2 is a smart card, 6 remote credential guard. */
export interface OtherCredentials {
  readonly kind: 'other';
  readonly type: number;
}

/** SEQUENCE { [0] credType, [1] OCTET STRING { SEQUENCE { [0] domainName, [1] userName, [2] password } } } */
export function decodeTsCredentials(bytes: Uint8Array): PasswordCredentials | OtherCredentials | Violation {
  const reader = new DerReader(bytes);
  const outer = reader.into(tag.sequence);
  const typed = outer.into(tag.context(0));
  const type = typed.integer();
  const wrapped = outer.into(tag.context(1));
  const content = wrapped.content(tag.octets);
  const violation = reader.violation ?? outer.violation ?? typed.violation ?? wrapped.violation;
  if (violation !== undefined) return { violation };
  if (type !== 1) return { kind: 'other', type };
  const fields = new DerReader(content).into(tag.sequence);
  const [domain, user, password] = [octets(fields, 0), octets(fields, 1), octets(fields, 2)];
  const names = new LittleReader(new Uint8Array(0));
  const texts = [domain, user].map((name) => {
    const text = new LittleReader(name);
    const value = text.utf16(name.length);
    if (text.violation !== undefined) names.fail(text.violation);
    return value;
  });
  const broken = fields.violation ?? names.violation;
  if (broken !== undefined) return { violation: broken };
  return { kind: 'password', domain: texts[0] ?? '', user: texts[1] ?? '', password };
}

function octets(fields: DerReader, n: number): Uint8Array {
  const field = fields.into(tag.context(n));
  const value = field.content(tag.octets);
  if (field.violation !== undefined) fields.fail(field.violation);
  return value;
}

/** A secret from here on: the caller zeroes what it gets. */
export function encodeTsCredentials(credentials: Omit<PasswordCredentials, 'kind'>): Uint8Array {
  const names = [credentials.domain, credentials.user].map((name) => new LittleWriter().utf16(name).finish());
  const parts = [...names, credentials.password].map((part, n) => der(tag.context(n), der(tag.octets, part)));
  const creds = der(tag.sequence, ...parts);
  const whole = der(tag.sequence, der(tag.context(0), derInteger(1)), der(tag.context(1), der(tag.octets, creds)));
  parts[2]?.fill(0);
  creds.fill(0);
  return whole;
}
