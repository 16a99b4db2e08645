/**
 * Who is it? A client of RDP, answered by the keeper. The gate reads user and domain as a selector and carries proofs
 * and passwords to the keeper; it decides nothing itself. With CredSSP the secret is a connection token, which the
 * client proves first and delegates afterwards; without it the password stands in Client Info, and may be a token, the
 * user's own password, or that and a one-time code behind a comma.
 */
import { isRefusal } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import { type Keeper, looksLikeToken, parseRdpUser, type RdpUser } from '../../link/link.ts';
import { ProxyError } from '../errors.ts';
import type { Peer } from '../place.ts';

export interface Login {
  /** The keeper's handle. */
  readonly handle: string;
  /** Where it wants to go; without a target the token's place is meant. */
  readonly wish: RdpUser;
}

export async function beginLogin(
  keeper: Keeper,
  peer: Peer,
  names: { readonly user: string; readonly domain: string },
  signal: AbortSignal,
): Promise<Login> {
  const parsed = parseRdpUser(names.user, names.domain);
  // A name that spells nothing is asked about like any other; nobody can have the empty one.
  const wish = 'violation' in parsed ? { user: '' } : parsed;
  const answer = await keeper['login.begin'](
    { user: wish.user, address: peer.address, port: peer.port, protocol: 'rdp' },
    signal,
  );
  if (isRefusal(answer)) throw new ProxyError('proxy.protocol', answer.reason);
  return { handle: answer.login, wish };
}

type Factor = Parameters<Keeper['login.factor']>[0]['factor'];

/** The token that CredSSP delegated. The finished login, or undefined. */
export async function submitToken(
  keeper: Keeper,
  login: Login,
  token: Secret,
  signal: AbortSignal,
): Promise<Login | undefined> {
  const verdict = await submit(keeper, login, { kind: 'token', secret: token.reveal() }, signal);
  if (verdict !== 'accepted') return undefined;
  // The token knows its place; a name of the client's own machine would only be another one.
  return login.wish.guessed === true ? { handle: login.handle, wish: { user: login.wish.user } } : login;
}

/** A password from Client Info: a token if it looks like one, else a password with its code. The finished login, or undefined. */
export async function submitPassword(
  keeper: Keeper,
  login: Login,
  password: Secret,
  signal: AbortSignal,
): Promise<Login | undefined> {
  if (looksLikeToken(password.reveal())) return await submitToken(keeper, login, password, signal);
  const { first, code } = withCode(password.reveal());
  const verdict = await submit(keeper, login, { kind: 'password', secret: first }, signal);
  const last =
    verdict === 'partial' && code !== undefined ? await submit(keeper, login, { kind: 'totp', code }, signal) : verdict;
  return last === 'accepted' ? login : undefined;
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
const codeDigits = 6;
/** `password,123456` in two; views. */
function withCode(bytes: Uint8Array): { readonly first: Uint8Array; readonly code: Uint8Array | undefined } {
  const at = bytes.length - codeDigits - 1;
  const code = bytes.subarray(at + 1);
  if (at < 1 || bytes[at] !== comma || code.some((byte) => byte < 0x30 || byte > 0x39))
    return { first: bytes, code: undefined };
  return { first: bytes.subarray(0, at), code };
}
