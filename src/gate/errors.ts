import { defineErrors, SallyportError } from '../base/errors.ts';

export const gateErrors = defineErrors({
  'gate.refused': {
    meaning: 'the keeper does not know this gate',
    remedy: 'gates are started by `sallyport start` only; stop leftovers of an earlier run',
  },
  'gate.cannot-listen': {
    meaning: 'the address for clients cannot be listened on',
    remedy:
      'see whether another program has the port, or choose another one: --ssh-listen for ssh, --rdp-listen for rdp (or off), `events.port` in the configuration for events',
  },
});

export class GateError extends SallyportError<keyof typeof gateErrors> {
  constructor(code: keyof typeof gateErrors, detail?: string, options?: ErrorOptions) {
    super(code, gateErrors[code], detail, options);
  }
}
