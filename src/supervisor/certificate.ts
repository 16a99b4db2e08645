/** Whether a certificate that was given can be used, looked at once before anything is started, like the ports. */
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { wordsOf } from '../base/errors.ts';
import { SupervisorError } from './errors.ts';

/** Throws `supervisor.certificate-unusable`. Without a certificate there is nothing to look at. */
export function certificateMustWork(files: { readonly certificate?: string; readonly key?: string }): void {
  if (files.certificate === undefined || files.key === undefined) return;
  try {
    createSecureContext({ cert: readFileSync(files.certificate), key: readFileSync(files.key) });
  } catch (error) {
    throw new SupervisorError('supervisor.certificate-unusable', wordsOf(error), { cause: error });
  }
}
