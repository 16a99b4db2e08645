/** What can break or be refused in rotation, by stable code. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const rotationErrors = defineErrors({
  'rotation.account-unknown': {
    meaning: 'there is no such account',
    remedy: 'declare the account first, and write it as account@target',
  },
  'rotation.disabled': {
    meaning: 'randomization is disabled in the policy of this account',
    remedy: 'enable it in the policy, or bind the account to another policy',
  },
  'rotation.no-connector': {
    meaning: 'the account names no connector that can change its credential',
    remedy:
      'give the account the connector that fits its target: linux-chpasswd, linux-shadow or linux-passwd, ssh-key for keys, postgres, mysql, ad, ldap, ios, or script for a program of yours (`sallyport connectors`)',
  },
  'rotation.conflicted': {
    meaning: 'Multiple passwords have been set on this account, but it is unknown which is valid',
    remedy:
      'find out with `sallyport verify ACCOUNT`, or store the value that works with `sallyport account set ACCOUNT`; until then nothing rotates by itself',
  },
  'rotation.resolving': {
    meaning: 'automatic resolution of this account has not finished',
    remedy: 'wait for it (`sallyport conflicts show ACCOUNT` says what for), or switch it off in the configuration',
  },
  'rotation.not-conflicted': {
    meaning: 'this account is not in conflict',
    remedy: 'nothing to do; `sallyport verify ACCOUNT` tries its current value',
  },
  'rotation.not-uncertain': {
    meaning: 'this value is not an uncertain one of the conflict',
    remedy: 'take a sigkey with status U from `sallyport conflicts show ACCOUNT`',
  },
  'rotation.no-candidate': {
    meaning: 'this value is no candidate of the conflict',
    remedy: 'take a candidate from `sallyport conflicts show ACCOUNT`',
  },
  'rotation.incomplete-first': {
    meaning: 'a current value can be set only in a tree conflict without uncertain values',
    remedy: 'confirm or reject every uncertain value first',
  },
  'rotation.target-administrator': {
    meaning: 'other accounts are changed by the rights of this one, so nothing is presumed or reset here',
    remedy: 'find the value that holds, and confirm, reject or set it by hand',
  },
  'rotation.nodes-unreachable': {
    meaning: 'not every node can be reached, and this must hold on all of them at once',
    remedy: 'bring the nodes back (`sallyport node status`); if they will not come back, blank the account',
  },
  'rotation.managing-down': {
    meaning: 'the node that manages this account cannot be reached, and the policy allows no other to stand in',
    remedy: 'bring that node back, or allow `localFallback` in the management of the policy',
  },
  'rotation.not-ready': {
    meaning: 'the database of this node is older than what other nodes have heard from it',
    remedy: 'bring it up to date with `sallyport node heal` first',
  },
  'rotation.not-managing': {
    meaning: 'another node manages this account',
    remedy:
      'run the command on the node that is named; while that one is down, other nodes take decisions by hand (`sallyport node status`)',
  },
  'rotation.no-reconcile-account': {
    meaning: 'no account may set a new value here',
    remedy: 'declare one with `reconcile: ACCOUNT@TARGET` on the account',
  },
  'rotation.not-lost': {
    meaning: 'a known value works, so nothing was reset',
    remedy: 'rotate the account if you want a new value',
  },
  'rotation.not-known-lost': {
    meaning: 'it is not known that every value is lost, so nothing was reset',
    remedy: 'make the target answer, then try again',
  },
  'rotation.changing': {
    meaning: 'the credential of this account is being changed just now',
    remedy: 'wait until that has ended; a change that was cut off is settled when its lease runs out',
  },
  'rotation.in-use': {
    meaning: 'a session or checkout is using this account',
    remedy: 'wait until it has ended, or set skip_while_in_use to false on the account',
  },
  'rotation.nothing-recorded': {
    meaning: 'No password recorded yet',
    remedy: 'record the present credential, or give the account an administrator account that can set one',
  },
  'rotation.target-incomplete': {
    meaning: 'the target cannot be reached for a change',
    remedy:
      'declare an enabled target with a service that the connector of the account speaks; of ssh, trust its host key',
  },
  'rotation.settings-invalid': {
    meaning: 'the settings of the account do not fit its connector',
    remedy: 'correct the setting that the message names',
  },
  'rotation.target-unreachable': {
    meaning: 'the target shows no host key',
    remedy: 'check the address and the port of its ssh service',
  },
  'rotation.precheck-failed': {
    meaning: 'the target was looked at before the change and something is not right; nothing was generated',
    remedy: 'see the class and the remedy of the attempt in the account history',
  },
  'rotation.credential-rejected': {
    meaning: 'the target refused the credential',
    remedy: 'enter the credential that works, or record it as unverified',
  },
  'rotation.credential-unchecked': {
    meaning: 'the target could not be asked whether the credential is right',
    remedy: 'make the target reachable and try again, or record the credential as unverified',
  },
  'rotation.credential-kind': {
    meaning: 'the credential is of another kind than the account',
    remedy: 'hand in a credential of the kind that the account was declared with',
  },
  'rotation.not-due': {
    meaning: 'nothing is due for this account',
    remedy: 'nothing to do; ask for a rotation on demand if you want one now',
  },
  'rotation.lease-lost': {
    meaning: 'another process took over before the change began; nothing was generated',
    remedy: 'look at the account history; the other process is at work',
  },
  'rotation.fact-conflict': {
    meaning: 'the ledger holds another fact under this name',
    remedy: 'find out who wrote to the database; facts are never changed',
  },
  'rotation.schedule-invalid': {
    meaning: 'the schedule cannot be used',
    remedy: 'correct the field that the message names',
  },
  'rotation.schedule-in-use': {
    meaning: 'the schedule is named by a policy and cannot be removed',
    remedy: 'take it out of the management of that policy first',
  },
  'rotation.management-invalid': {
    meaning: 'the management of a policy cannot be as declared',
    remedy: 'declare the policy and the schedule that it names, and each policy once',
  },
  'rotation.event-source-invalid': {
    meaning: 'the event source cannot be made like this',
    remedy:
      'name it in lower case (letters, digits, `-`), and its accounts by selectors: root@web-01, *@web-01, root@*',
  },
  'rotation.event-source-exists': {
    meaning: 'there is an event source of this name',
    remedy: 'choose another name, or remove that one first: its key cannot be shown again',
  },
  'rotation.event-source-unknown': {
    meaning: 'there is no event source of this name',
    remedy: 'list them with `sallyport event-source ls`',
  },
  'rotation.event-invalid': {
    meaning: 'the event is signed, but its body is none',
    remedy: 'send a JSON object with reason, and target or account, and sign it under a new webhook-id',
  },
  'rotation.worker-protocol': {
    meaning: 'a connector process broke the rules of its pipe',
    remedy: 'look at the log of the keeper; if it happens again, report it with the version',
  },
});

export type RotationErrorCode = keyof typeof rotationErrors;

export class RotationError extends SallyportError<RotationErrorCode> {
  constructor(code: RotationErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, rotationErrors[code], detail, options);
  }
}
