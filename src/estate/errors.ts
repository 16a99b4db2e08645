/** What can be refused or break in the estate room. Public: other rooms match these codes. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const estateErrors = defineErrors({
  'estate.target-unknown': {
    meaning: 'there is no such target',
    remedy: 'sallyport target ls shows the names',
  },
  'estate.target-invalid': {
    meaning: 'a target cannot be like that',
    remedy: 'correct the named field; docs/estate.md shows each of them',
  },
  'estate.hostkey-malformed': {
    meaning: 'this is no host key',
    remedy: 'paste a line of ssh-keyscan, or of /etc/ssh/ssh_host_*_key.pub: type and base64',
  },
  'estate.certificate-malformed': {
    meaning: 'this is no fingerprint of a certificate',
    remedy: 'paste what `openssl x509 -in FILE -noout -fingerprint -sha256` prints: 64 hex digits',
  },
  'estate.hostkey-unknown': {
    meaning: 'this service has no such host key',
    remedy: 'sallyport target trust shows the keys that were seen, with fingerprints',
  },
});

export type EstateErrorCode = keyof typeof estateErrors;

export class EstateError extends SallyportError<EstateErrorCode> {
  constructor(code: EstateErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, estateErrors[code], detail, options);
  }
}
