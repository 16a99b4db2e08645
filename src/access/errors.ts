/** What can be refused or break in the access room. Public: other rooms match these codes. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const accessErrors = defineErrors({
  'access.refused': {
    meaning: 'there is no such place, or you may not go there',
    remedy: 'check the spelling; `sallyport explain` tells an operator which it is',
  },
  'access.account-ambiguous': {
    meaning: 'there are several accounts that you may use there',
    remedy: 'name one: user@account@target',
  },
  'access.password-change-needed': {
    meaning: 'your password has to be changed first',
    remedy: 'ask for a one-time code and choose a new password with sallyport enrol',
  },
  'access.authorization-used': {
    meaning: 'an authorization opens one session',
    remedy: 'this is a defect of the program; please report it',
  },
  'access.grant-invalid': {
    meaning: 'a grant cannot be like that',
    remedy: 'correct the named field; docs/estate.md shows each of them',
  },
  'access.session-ended': {
    meaning: 'the session has ended',
    remedy: 'connect again',
  },
  'access.session-unknown': {
    meaning: 'there is no such session',
    remedy: 'sallyport sessions shows them',
  },
});

export type AccessErrorCode = keyof typeof accessErrors;

export class AccessError extends SallyportError<AccessErrorCode> {
  constructor(code: AccessErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, accessErrors[code], detail, options);
  }
}
