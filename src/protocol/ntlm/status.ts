/** The NTSTATUS of a refused login (MS-ERREF §2.3.1) in words of ours. What is not on the list keeps its number. */
import { type Refusal, refuse } from '../../base/errors.ts';
import type { NtlmErrorCode } from './errors.ts';

/** STATUS_LOGON_FAILURE: all that a stranger is told, whatever the reason. */
export const logonFailure = 0xc000006d;

const codes: ReadonlyMap<number, NtlmErrorCode> = new Map([
  [logonFailure, 'ntlm.bad-password'],
  [0xc0000064, 'ntlm.bad-password'], // NO_SUCH_USER
  [0xc000006a, 'ntlm.bad-password'], // WRONG_PASSWORD
  [0x8009030c, 'ntlm.bad-password'], // SEC_E_LOGON_DENIED
  [0xc0000071, 'ntlm.password-expired'],
  [0xc0000224, 'ntlm.password-must-change'],
  [0xc0000234, 'ntlm.account-locked'],
  [0xc0000072, 'ntlm.account-disabled'],
  [0xc0000193, 'ntlm.account-expired'],
  [0xc000006e, 'ntlm.account-restricted'],
  [0xc000006f, 'ntlm.account-restricted'], // INVALID_LOGON_HOURS
  [0xc0000070, 'ntlm.account-restricted'], // INVALID_WORKSTATION
  [0xc000015b, 'ntlm.no-logon-right'], // LOGON_TYPE_NOT_GRANTED
  [0xc000010b, 'ntlm.no-logon-right'], // INVALID_LOGON_TYPE
  [0xc0000413, 'ntlm.no-logon-right'], // AUTHENTICATION_FIREWALL_FAILED
]);

export function refusalOfStatus(status: number): Refusal<NtlmErrorCode> {
  return refuse(codes.get(status) ?? 'ntlm.refused', `server answered with status 0x${status.toString(16)}`);
}
