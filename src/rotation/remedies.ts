/** What a person can do about each class of fault (W-41). */
import type { AnswerClass } from './connectors/connector.ts';

const remedies: Readonly<Record<AnswerClass, string>> = {
  none: '',
  'unreachable-refused':
    'the machine answers but nothing listens: check that sshd runs, and the port of the ssh service of the target',
  'unreachable-timeout':
    'nothing answers: check the address, that the machine is up, routes, and firewalls in between that drop packets',
  unreachable: 'check the address of the target and the network in between',
  'host-key':
    'the target shows another host key than the trusted one: compare the fingerprint on its console, then trust it',
  authentication:
    'the target refuses a login that should work: check whether the credential was changed outside, expired or is locked',
  permission: 'give the administrator account root rights or a sudo rule for chpasswd, timeout and sh',
  policy: 'the rules of the target refuse the value: compare its pam_pwquality and minimum age with the policy',
  locked: 'unlock the account on the target, or wait until its lock-out is over',
  expired: 'the value is right but has expired on the target: rotate the account by an administrator account',
  missing: 'the account does not exist on the target: create it, or correct the name of the account',
  cut: 'the connection ended in the middle: look at the network, then verify the account',
  timeout: 'the target did not finish in time: look at its load and at what PAM does there, then verify the account',
  unsupported: 'use another connector or another kind of administrator account',
  unexpected: 'read the message; the target answered something that is not known here',
};

export function remedyOf(kind: AnswerClass): string {
  return remedies[kind];
}
