/** A sender of signed events, written from the Standard Webhooks specification and not with the product's own code. */
import { createHmac, randomBytes } from 'node:crypto';

export interface SignedEvent {
  readonly id: string;
  readonly timestamp: string;
  readonly signature: string;
  readonly body: string;
}

/** Signs a body with a `whsec_` secret; number and time are fresh unless given. `at` in milliseconds since 1970. */
export function signEvent(
  secret: string,
  body: unknown,
  {
    id = `msg_${randomBytes(12).toString('hex')}`,
    at = Date.now(),
  }: { readonly id?: string; readonly at?: number } = {},
): SignedEvent {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const timestamp = String(Math.floor(at / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${text}`).digest('base64');
  return { id, timestamp, signature: `v1,${mac}`, body: text };
}
