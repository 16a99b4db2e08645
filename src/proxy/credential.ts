/** Hold and credential, as a gate sees them: a handle, and for a password its bytes while the target's login takes. */
import { isRefusal } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { Keeper } from '../link/link.ts';
import type { Signer } from '../protocol/ssh/types.ts';
import { ProxyError } from './errors.ts';
import type { Session } from './open-session.ts';

declare const minted: unique symbol;

/** Proof that the account is held for this session; only `openHold` makes one. */
export type HoldHandle = string & { readonly [minted]: 'hold' };

/** What opens the target. A private key stays with the keeper, which signs. Disposing zeroes a password. */
export type OpenedCredential = Disposable &
  ({ readonly kind: 'password'; readonly secret: Secret } | { readonly kind: 'ssh-key'; readonly signer: Signer });

export async function openHold(keeper: Keeper, session: Session): Promise<HoldHandle> {
  const answer = await keeper['hold.open']({ session: session.id }, session.signal);
  if (isRefusal(answer)) throw new ProxyError('proxy.no-credential', answer.reason);
  return answer.hold as HoldHandle;
}

/** Opens the held account's credential. The keeper has audited it before the bytes arrive here. */
export async function openCredential(keeper: Keeper, hold: HoldHandle, signal: AbortSignal): Promise<OpenedCredential> {
  const answer = await keeper['credential.open']({ hold }, signal);
  if (isRefusal(answer)) throw new ProxyError('proxy.no-credential', answer.reason);
  if (answer.kind === 'password') {
    const secret = new Secret(answer.secret);
    return { kind: 'password', secret, [Symbol.dispose]: () => secret[Symbol.dispose]() };
  }
  const signer: Signer = {
    publicKey: answer.publicKey,
    algorithms: answer.algorithms,
    sign: async (data, algorithm, signing) => {
      const signed = await keeper['credential.sign']({ hold, algorithm, data }, signing);
      if (isRefusal(signed)) throw new ProxyError('proxy.no-credential', signed.reason);
      return signed.signature;
    },
  };
  return { kind: 'ssh-key', signer, [Symbol.dispose]: () => {} };
}
