/** What can break in the SSH protocol room. Refused logins are not here: they are answers, returned by auth. */
import { defineErrors, SallyportError } from '../../base/errors.ts';

const peerBug = 'the peer broke the protocol; its version string is in the log, try another client or server version';

export const sshErrors = defineErrors({
  'ssh.malformed': { meaning: 'the peer sent bytes that are not well-formed SSH', remedy: peerBug },
  'ssh.protocol': { meaning: 'the peer sent a message that is not allowed at this point', remedy: peerBug },
  'ssh.version': {
    meaning: 'the peer does not speak SSH 2.0',
    remedy: 'check that the address and port belong to an SSH service',
  },
  'ssh.no-common-algorithm': {
    meaning: 'no algorithm that both sides know',
    remedy: 'update the peer, or allow an algorithm that it offers for this target',
  },
  'ssh.bad-mac': {
    meaning: 'a packet was altered on its way',
    remedy: 'suspect the network path or an active attacker; the connection was ended',
  },
  'ssh.key-exchange': { meaning: 'the key exchange failed', remedy: peerBug },
  'ssh.host-key-signature': {
    meaning: 'the server could not prove that it owns its host key',
    remedy: 'suspect an attacker between here and the server',
  },
  'ssh.host-key-refused': {
    meaning: 'the server showed a host key that is not trusted',
    remedy: 'compare the fingerprint with the server, then pin the new key',
  },
  'ssh.signing': {
    meaning: 'a private key did not sign',
    remedy: 'look for the error of the key holder; the connection was ended',
  },
  'ssh.handshake-timeout': {
    meaning: 'the peer did not finish the handshake in time',
    remedy: 'check the network; a port scanner looks like this too',
  },
  'ssh.rekey-timeout': { meaning: 'the peer did not answer a key re-exchange in time', remedy: peerBug },
  'ssh.closed': {
    meaning: 'the connection was closed before it was established',
    remedy: 'check the network and the peer',
  },
  'ssh.disconnected': { meaning: 'the peer said goodbye', remedy: 'the message is the peer’s own reason' },
  'ssh.connection-lost': { meaning: 'the connection was lost', remedy: 'check the network and the peer' },
  'ssh.backlog': {
    meaning: 'more data was queued for the peer than the transport may hold',
    remedy: 'a sender ignored congestion: report this',
  },
  // Keys: refused on import or by name.
  'ssh.key-malformed': {
    meaning: 'this is not a key in a form that is known',
    remedy: 'give an OpenSSH, PEM or PKCS#8 key, whole and unaltered',
  },
  'ssh.key-certificate': {
    meaning: 'this is an OpenSSH certificate, not a key',
    remedy: 'give the plain key that the certificate was made for',
  },
  'ssh.key-unsupported': {
    meaning: 'keys of this type are not supported',
    remedy: 'use Ed25519, ECDSA on a NIST curve, or RSA',
  },
  'ssh.key-weak': { meaning: 'this key is too weak', remedy: 'use Ed25519, or RSA of at least 2048 bits' },
  'ssh.key-encrypted': { meaning: 'this private key needs its passphrase', remedy: 'give the passphrase with the key' },
  'ssh.key-passphrase': {
    meaning: 'the passphrase does not open this private key',
    remedy: 'check the passphrase; the key itself may be damaged too',
  },
  // Logging in to a server: what a server may answer, returned as refusals.
  'ssh.login-rejected': {
    meaning: 'the server rejected the login',
    remedy: 'check the account name and its credential on the server',
  },
  'ssh.no-login-method': {
    meaning: 'the server takes no login method that fits the credential',
    remedy: 'allow password or public key logins for this account on the server',
  },
  'ssh.password-expired': {
    meaning: 'the server demands a new password before it lets anybody in',
    remedy: 'change the password of the account, or lift its expiry',
  },
  'ssh.unexpected-prompt': {
    meaning: 'the server asked a question that the credential does not answer',
    remedy: 'exempt this account from further questions on the server, such as one-time codes',
  },
  // Our own client.
  'ssh.unreachable': { meaning: 'the server cannot be reached', remedy: 'check address, port and network' },
  'ssh.channel-refused': {
    meaning: 'the server did not open the channel',
    remedy: 'check the server’s limits on sessions and what the account may do',
  },
  'ssh.request-refused': {
    meaning: 'the server refused a command, shell or terminal',
    remedy: 'check what the account may run on the server',
  },
  'ssh.too-much-output': {
    meaning: 'a command printed more than its caller allows',
    remedy: 'look at what the command does on this machine',
  },
  'ssh.shell-ended': {
    meaning: 'the dialogue ended before the expected prompt',
    remedy: 'compare the prompts of this machine with what its platform describes',
  },
  'ssh.prompt-timeout': {
    meaning: 'the expected prompt did not come in time',
    remedy: 'compare the prompts of this machine with what its platform describes',
  },
});

export type SshErrorCode = keyof typeof sshErrors;

/** Everything that breaks in protocol/ssh. `message` may hold the peer's words, escaped; never key material. */
export class SshError extends SallyportError<SshErrorCode> {
  constructor(code: SshErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, sshErrors[code], detail, options);
  }
}
