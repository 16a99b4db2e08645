/** What can break in the audit room. A broken chain is not one of these: it is an answer of `verify`. */
import { defineErrors, SallyportError } from '../base/errors.ts';

export const auditErrors = defineErrors({
  'audit.not-plain': {
    meaning: 'an audit event may hold text, numbers, lists and records only',
    remedy: 'this is a defect of the program: report it with the name of the event',
  },
  'audit.too-large': {
    meaning: 'an audit event is larger than the trail accepts',
    remedy: 'this is a defect of the program: report it with the name of the event',
  },
  'audit.anchor-invalid': {
    meaning: 'the anchor file holds a line that is no anchor',
    remedy: 'compare the file with its copies; a line that was cut off by a power loss may be removed',
  },
});

export type AuditErrorCode = keyof typeof auditErrors;

export class AuditError extends SallyportError<AuditErrorCode> {
  constructor(code: AuditErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, auditErrors[code], detail, options);
  }
}
