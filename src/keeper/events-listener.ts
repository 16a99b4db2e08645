/**
 * What a gate needs to listen for events. The certificate's key goes to it, because TLS needs the key where the bytes
 * arrive; it opens this listener and nothing else. Gates cannot read the files: they run as a user of their own.
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { wordsOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';

export interface EventsSettings {
  readonly address: string;
  readonly port: number;
  /** Files in PEM; both or neither. */
  readonly certificate?: string;
  readonly key?: string;
}

export interface EventsListener {
  readonly protocol: 'events';
  readonly address: string;
  readonly port: number;
  readonly tls?: { readonly certificate: Uint8Array; readonly key: Uint8Array };
}

/**
 * The listener, with its files as they are now; none where none is wanted. A certificate that cannot be used is logged and
 * leaves this listener out: people must not lose their sessions for it.
 */
export async function eventsListener(settings: EventsSettings | undefined, log: Log): Promise<EventsListener[]> {
  if (settings === undefined) return [];
  const { address, port, certificate, key } = settings;
  const at = { protocol: 'events', address, port } as const;
  if (certificate === undefined || key === undefined) return [at];
  try {
    const tls = { certificate: await readFile(certificate), key: await readFile(key) };
    createSecureContext({ cert: tls.certificate, key: tls.key });
    return [{ ...at, tls }];
  } catch (error) {
    log.error({ certificate, key }, `no events are taken, the certificate cannot be used: ${wordsOf(error)}`);
    return [];
  }
}
