/** The room's door: the functions that other rooms call, each by name. Shapes are in `types.ts`. */
export { SshError, type SshErrorCode } from './errors.ts';
export { fingerprint, formatKeyLine, type KeyLine, parseKeyLine, parsePublicKey } from './keys/lines.ts';
export { formatPrivateKey, type PrivateKey, parsePrivateKey } from './keys/private.ts';
export { generateKeyPair, type KeyKind, type KeyPair, signerFromPrivateKey } from './keys/signer.ts';
export { verifySignature } from './keys/verify.ts';
