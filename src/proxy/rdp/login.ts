/**
 * Who is it? A client of RDP, answered by the keeper. The gate reads user and domain as a selector and carries proofs
 * and passwords to the keeper; it decides nothing itself. With CredSSP the secret is a connection token, which the
 * client proves first and delegates afterwards; without it the password stands in Client Info, and may be a token, the
 * user's own password, or that and a one-time code behind a comma.
 */
import { isRefusal } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { type Keeper, parseSelector, type Selector } from '../../link/link.ts';
import { ProxyError } from '../errors.ts';
import type { Peer } from '../place.ts';

/** Where a login wants to go; without a target the token's place is meant. */
export interface Wish {
  readonly user: string;
  readonly account?: string;
  readonly target?: string;
  readonly service?: string;
}

/** Escapes of a selector (`%40` for `@`): a `%` before anything else separates names, as RDP clients are used to. */
const separators = /%(?!40|2B|2C|5C|25)/g;
const plainTarget = /^[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?$/;

/**
 * The selector in a client's user name: `alice@root@web-01`, `alice%root%web-01`, `alice`; or the user with the target as
 * domain. A name that spells nothing is asked about like any other; nobody can have the empty one.
 */
export function wishOf(userName: string, domain: string): Wish {
  const text = /[@+]/.test(userName) ? userName : userName.replaceAll(separators, '@');
  const selector: Selector | { violation: string } = parseSelector(text);
  if ('violation' in selector) return { user: '' };
  if (selector.target !== undefined || domain === '') return selector;
  const target = domain.toLowerCase();
  return plainTarget.test(target) ? { ...selector, target } : selector;
}

export interface Login {
  /** The keeper's handle. */
  readonly handle: string;
  readonly wish: Wish;
}

export async function beginLogin(
  keeper: Keeper,
  peer: Peer,
  names: { readonly user: string; readonly domain: string },
  signal: AbortSignal,
): Promise<Login> {
  const wish = wishOf(names.user, names.domain);
  const answer = await keeper['login.begin'](
    { user: wish.user, address: peer.address, port: peer.port, protocol: 'rdp' },
    signal,
  );
  if (isRefusal(answer)) throw new ProxyError('proxy.protocol', answer.reason);
  return { handle: answer.login, wish };
}

type Factor = Parameters<Keeper['login.factor']>[0]['factor'];

/** The token that CredSSP delegated. True if the login is finished. */
export async function submitToken(keeper: Keeper, login: Login, token: Secret, signal: AbortSignal): Promise<boolean> {
  return (await submit(keeper, login, { kind: 'token', secret: token.reveal() }, signal)) === 'accepted';
}

/** A password from Client Info: a token if it looks like one, else a password with its code. True if the login is finished. */
export async function submitPassword(
  keeper: Keeper,
  login: Login,
  password: Secret,
  signal: AbortSignal,
): Promise<boolean> {
  if (looksLikeToken(password.reveal())) return await submitToken(keeper, login, password, signal);
  const { first, code } = withCode(password.reveal());
  if (code === undefined)
    return (await submit(keeper, login, { kind: 'password', secret: first }, signal)) === 'accepted';
  const verdict = await submit(keeper, login, { kind: 'password', secret: first }, signal);
  if (verdict !== 'partial') return verdict === 'accepted';
  return (await submit(keeper, login, { kind: 'totp', code }, signal)) === 'accepted';
}

async function submit(
  keeper: Keeper,
  login: Login,
  factor: Factor,
  signal: AbortSignal,
): Promise<'accepted' | 'partial' | 'refused'> {
  const answer = await keeper['login.factor']({ login: login.handle, factor }, signal);
  return isRefusal(answer) ? 'refused' : answer.verdict;
}

const comma = 0x2c;
const dash = 0x2d;
const codeDigits = 6;
/** Letters and digits in groups: nobody's password looks like that by chance. */
const tokenLetters = 28;

function looksLikeToken(bytes: Uint8Array): boolean {
  let letters = 0;
  for (const byte of bytes) {
    const upper = byte & ~0x20;
    if ((upper >= 0x41 && upper <= 0x5a) || (byte >= 0x32 && byte <= 0x39)) letters++;
    else if (byte !== dash) return false;
  }
  return letters === tokenLetters;
}

/** `password,123456` in two; views. */
function withCode(bytes: Uint8Array): { readonly first: Uint8Array; readonly code: Uint8Array | undefined } {
  const at = bytes.length - codeDigits - 1;
  const code = bytes.subarray(at + 1);
  if (at < 1 || bytes[at] !== comma || code.some((byte) => byte < 0x30 || byte > 0x39))
    return { first: bytes, code: undefined };
  return { first: bytes.subarray(0, at), code };
}
