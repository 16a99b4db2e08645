/**
 * Proving a password by Kerberos' first exchange (RFC 4120 §3.1) over TCP. A domain controller lets an old password log
 * in by LDAP for an hour after a change; its key distribution centre knows only the present one. `accepted` needs an
 * answer that opens with the password's own key and carries our nonce, so no stranger can say yes. It never sends the
 * password, nor anything without fresh chance in it, and it refuses keys that are made too cheaply.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { concat, utf8 } from '../../../base/bytes.ts';
import type { Secret } from '../../../base/secret.ts';
import type { VerifyAnswer } from '../connector.ts';
import { type Fault, isFault, unknown } from './faults.ts';
import { ask, type Centre } from './kerberos-centre.ts';
import { primitives } from './kerberos-primitives.ts';
import { type EncryptionType, seal, stringToKey, unseal, usages } from './wire/kerberos-keys.ts';
import {
  type Asking,
  asRequest,
  type KeyInfo,
  nameTypes,
  type Reply,
  readGranted,
  timestamp,
} from './wire/kerberos-messages.ts';

/** Error codes of RFC 4120 §7.5.9 that mean something here. */
const codes = {
  clientUnknown: 6,
  policy: 12,
  noCommonType: 14,
  revoked: 18,
  expired: 23,
  refused: 24,
  preauthenticationNeeded: 25,
  badIntegrity: 31,
  skew: 37,
  wrongRealm: 68,
} as const;

/** RFC 3962 §4 takes 4096. Fewer would make what we send cheap to guess from; many more only keep us busy. */
const iterations = { least: 4096, most: 1_000_000 };

/** What one exchange came to, before it is said in our three answers. */
type Finding =
  | { readonly kind: 'granted' }
  | { readonly kind: 'error'; readonly code: number; readonly words: string }
  | { readonly kind: 'odd'; readonly words: string }
  | Fault;

/**
 * Whether this is the account's present password. An expired one is proven too: the service that changes passwords gives
 * its ticket to whoever has the right one, expired or not.
 */
export async function provePassword(
  centre: Centre,
  account: string,
  password: Secret,
  signal: AbortSignal,
): Promise<VerifyAnswer> {
  const first = await exchange(centre, account, password, ['krbtgt', centre.realm], signal);
  if (!isFault(first) && first.kind === 'error' && first.code === codes.expired) {
    const second = await exchange(centre, account, password, ['kadmin', 'changepw'], signal);
    const words = `the password of ${account} has expired, or must be changed at the next login`;
    if (!isFault(second) && second.kind === 'granted') return { answer: 'accepted', class: 'expired', words };
    if (!isFault(second) && second.kind === 'error' && wrong(second.code)) return said(account, second);
    return { answer: 'unknown', class: 'expired', words };
  }
  return said(account, first);
}

function said(account: string, finding: Finding): VerifyAnswer {
  if (isFault(finding)) return unknown(finding);
  if (finding.kind === 'granted') return { answer: 'accepted', class: 'none', words: '' };
  if (finding.kind === 'odd') return { answer: 'unknown', class: 'unexpected', words: finding.words };
  const more = finding.words === '' ? '' : ` (${finding.words})`;
  switch (finding.code) {
    case codes.refused:
    case codes.badIntegrity:
      return { answer: 'rejected', class: 'authentication', words: `${account}: the password is not the present one` };
    case codes.clientUnknown:
      return { answer: 'rejected', class: 'missing', words: `Kerberos knows no account ${account}` };
    case codes.revoked:
      return { answer: 'unknown', class: 'locked', words: `${account} is locked, disabled or expired${more}` };
    case codes.policy:
      return { answer: 'unknown', class: 'policy', words: `${account} may not log in from here or now${more}` };
    case codes.noCommonType:
      return {
        answer: 'unknown',
        class: 'unsupported',
        words: `${account} has no AES key: its password must be set anew`,
      };
    case codes.skew:
      return { answer: 'unknown', class: 'unexpected', words: `the clocks here and there differ by too much${more}` };
    case codes.wrongRealm:
      return { answer: 'unknown', class: 'unsupported', words: `${account} belongs to another realm${more}` };
    default:
      return { answer: 'unknown', class: 'unexpected', words: `Kerberos answered with error ${finding.code}${more}` };
  }
}

function wrong(code: number): boolean {
  return code === codes.refused || code === codes.badIntegrity;
}

/** Asks for one ticket: once to hear how keys are made, once with the proof. */
async function exchange(
  centre: Centre,
  account: string,
  password: Secret,
  service: readonly string[],
  signal: AbortSignal,
): Promise<Finding> {
  const client = account.includes('@')
    ? { type: nameTypes.enterprise, parts: [account] }
    : { type: nameTypes.principal, parts: [account] };
  const asking = (): Asking => ({
    client,
    service,
    realm: centre.realm,
    nonce: randomInt(2 ** 31),
    till: timeOf(Date.now() + 300_000),
  });

  const opening = asking();
  const hints = await ask(centre, asRequest(opening), signal);
  if (isFault(hints)) return hints;
  // An account may be exempt from proving itself first: then the answer is made of its key, and only a right one opens it.
  if (hints.kind === 'granted') return opened(hints, opening, keyFor(hints.keys, centre, account, password));
  if (hints.code !== codes.preauthenticationNeeded) return failed(hints);
  const key = keyFor(hints.keys, centre, account, password);
  if (key === undefined)
    return { kind: 'odd', words: 'the server offers no key type that is known here, or a weak one' };

  const now = Date.now();
  const sealed = seal(
    primitives,
    key.key,
    usages.timestamp,
    randomBytes(16),
    timestamp(timeOf(now), (now % 1000) * 1000),
  );
  const proving = { ...asking(), proof: { type: key.type, sealed } };
  const answer = await ask(centre, asRequest(proving), signal);
  if (isFault(answer)) return answer;
  return answer.kind === 'granted' ? opened(answer, proving, key) : failed(answer, now);
}

interface Key {
  readonly type: EncryptionType;
  readonly key: Uint8Array;
}

/** The key that the first hint makes of the password. */
function keyFor(hints: readonly KeyInfo[], centre: Centre, account: string, password: Secret): Key | undefined {
  const [hint] = hints;
  if (hint === undefined || hint.iterations < iterations.least || hint.iterations > iterations.most) return undefined;
  const salt = hint.salt ?? concat([utf8(centre.realm), utf8(account)]);
  return { type: hint.type, key: stringToKey(primitives, hint.type, password.reveal(), salt, hint.iterations) };
}

/** Whether the answer was made by somebody who knows this key, for this question. */
function opened(reply: Reply & { kind: 'granted' }, asking: Asking, key: Key | undefined): Finding {
  if (key === undefined || reply.type !== key.type)
    return { kind: 'odd', words: `the answer has key type ${reply.type}` };
  const plain = unseal(primitives, key.key, usages.asReply, reply.sealed);
  const proven = asking.proof !== undefined;
  if (plain === undefined)
    return proven
      ? { kind: 'odd', words: 'the answer does not open with the key of the password: it is not from this realm' }
      : { kind: 'error', code: codes.refused, words: '' };
  const granted = readGranted(plain);
  const ours =
    granted?.nonce === asking.nonce &&
    sameName(granted.realm, asking.realm) &&
    sameName(granted.service.join('/'), asking.service.join('/'));
  return ours ? { kind: 'granted' } : { kind: 'odd', words: 'the answer is for another question' };
}

function failed({ code, time, words }: Reply & { kind: 'error' }, now = Date.now()): Finding {
  return { kind: 'error', code, words: code === codes.skew ? `${time} there, ${timeOf(now)} here` : words };
}

function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

/** `YYYYMMDDHHMMSSZ` of a time in milliseconds. */
function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
}
