import { defineErrors, SallyportError } from '../base/errors.ts';

export const supervisorErrors = defineErrors({
  'supervisor.already-running': {
    meaning: 'a Sallyport already runs on this data directory',
    remedy: 'stop it first, or start with another --data',
  },
  'supervisor.data-unusable': {
    meaning: 'the data directory cannot be used',
    remedy:
      'choose one that you may write and that other users may pass through (mode 0711 on every folder above it), by --data or SALLYPORT_DATA',
  },
  'supervisor.not-started': {
    meaning: 'a part of Sallyport did not start',
    remedy: 'the lines above say which and why; the log has more',
  },
  'supervisor.no-free-uid': {
    meaning: 'no free user id is left between 61184 and 65519 for the gates',
    remedy: 'free one of these user ids',
  },
});

export type SupervisorErrorCode = keyof typeof supervisorErrors;

export class SupervisorError extends SallyportError<SupervisorErrorCode> {
  constructor(code: SupervisorErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, supervisorErrors[code], detail, options);
  }
}
