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
  'supervisor.cannot-listen': {
    meaning: 'the address for clients cannot be listened on',
    remedy:
      'see whether another program has the port, or choose another one: --ssh-listen for ssh, --rdp-listen for rdp (or off), `events.port` in the configuration for events',
  },
  'supervisor.certificate-unusable': {
    meaning: 'the certificate for events cannot be used',
    remedy: 'let `events.certificate` and `events.key` name PEM files that belong together and can be read here',
  },
  'supervisor.no-flock': {
    meaning: 'the program flock is missing',
    remedy: 'install util-linux',
  },
  'supervisor.no-free-uid': {
    meaning: 'no free user id is left between 61184 and 61999 for the gates',
    remedy: 'free one of these user ids',
  },
});

export type SupervisorErrorCode = keyof typeof supervisorErrors;

export class SupervisorError extends SallyportError<SupervisorErrorCode> {
  constructor(code: SupervisorErrorCode, detail?: string, options?: ErrorOptions) {
    super(code, supervisorErrors[code], detail, options);
  }
}

/** A part could not start: its own code, words and remedy. */
export class PartError extends SallyportError {
  constructor(said: { readonly code: string; readonly words: string; readonly remedy: string }) {
    super(said.code, { meaning: said.words, remedy: said.remedy });
  }
}
