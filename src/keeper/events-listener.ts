/**
 * What a gate needs to listen for events. The certificate's key goes to it, because TLS needs the key where the bytes
 * arrive; it opens this listener and nothing else. Gates cannot read the files: they run as a user of their own.
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { type Refusal, refuse, wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

export interface EventsSettings {
  readonly address: string;
  readonly port: number;
  /** Files in PEM; both or neither. */
  readonly certificate?: string;
  readonly key?: string;
}

export function listenerOf({ address, port, certificate }: EventsSettings): {
  readonly protocol: 'events';
  readonly address: string;
  readonly port: number;
  readonly https: boolean;
} {
  return { protocol: 'events', address, port, https: certificate !== undefined };
}

/** The files as they are now, for they are renewed. Refused with `keeper.certificate-unusable`, and logged. */
export async function certificateOf(
  settings: EventsSettings | undefined,
  log: Log,
): Promise<{ readonly certificate: Uint8Array; readonly key: Uint8Array } | Refusal<'keeper.certificate-unusable'>> {
  const { certificate, key } = settings ?? {};
  if (certificate === undefined || key === undefined) return refuse('keeper.certificate-unusable', 'there is none');
  try {
    const files = { certificate: await readFile(certificate), key: await readFile(key) };
    createSecureContext({ cert: files.certificate, key: files.key });
    return files;
  } catch (error) {
    log.error({ certificate, key }, `the certificate for events cannot be used: ${wordsOf(error)}`);
    return refuse('keeper.certificate-unusable', wordsOf(error));
  }
}
