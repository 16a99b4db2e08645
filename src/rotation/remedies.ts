/** What a person can do about each class of fault (W-41). */
import type { AnswerClass } from './connectors/connector.ts';

const remedies: Readonly<Record<AnswerClass, string>> = {
  none: '',
  'unreachable-refused':
    'the machine answers but nothing listens: check that the service runs there, and its port in the declaration of the target',
  'unreachable-timeout':
    'nothing answers: check the address, that the machine is up, routes, and firewalls in between that drop packets',
  unreachable: 'check the address of the target and the network in between',
  'host-key':
    'the target shows another host key than the trusted one: compare the fingerprint on its console, then trust it',
  certificate:
    'the certificate of the target is not trusted: put the certificate of its authority into `tls` of the service, or correct `serverName`; of rdp, compare and trust it with `sallyport target trust`',
  authentication:
    'the target refuses a login that should work: check whether the credential was changed outside, expired or is locked',
  permission: 'give the administrator account the rights that docs/rotation.md lists for the connector',
  policy:
    'the rules of the target refuse the value, or no value fits the policy of the account and its connector: compare them',
  'too-young': 'the target has a minimum age for passwords: wait, or change the account by an administrator account',
  unsaved: 'it holds now and a restart of the device would undo it: save its configuration, then verify the account',
  budget:
    'wait until refused logins no longer count on the target, or name the right value with `sallyport account set`',
  locked: 'unlock the account on the target, or wait until its lock-out is over',
  expired:
    'the password has expired on the target: rotate the account by an administrator account, or give it a new one there',
  missing: 'the account does not exist on the target: create it, or correct the name of the account',
  cut: 'the connection ended in the middle: look at the network, then verify the account',
  timeout: 'the target did not finish in time: look at its load and at what PAM does there, then verify the account',
  unsupported: 'use another connector or another kind of administrator account',
  unexpected: 'read the message; the target answered something that is not known here',
};

/** Whether a word from outside names a class. */
export function isAnswerClass(word: unknown): word is AnswerClass {
  return typeof word === 'string' && Object.hasOwn(remedies, word);
}

export function remedyOf(kind: AnswerClass): string {
  return remedies[kind];
}
