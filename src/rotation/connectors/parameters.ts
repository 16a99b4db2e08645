/** What an account's settings may hold, as data: for checking, and for people who ask what there is (W-60). Pure. */

export interface Parameter {
  /** For people: what it does, and what it is when nothing is said. */
  readonly words: string;
  /** The allowed values in words: `text`, `yes or no`, `one of a, b`. */
  readonly values: string;
  /** Why this value is wrong, or undefined. */
  fault(value: unknown): string | undefined;
}

export type Parameters = Readonly<Record<string, Parameter>>;

/** One of several words. */
export function oneOf(words: string, values: readonly string[]): Parameter {
  const list = `one of ${values.join(', ')}`;
  return { words, values: list, fault: (value) => (values.includes(value as string) ? undefined : `is ${list}`) };
}

/** Text of a shape; `values` says the shape in words. */
export function text(words: string, values: string, shape: RegExp): Parameter {
  return {
    words,
    values,
    fault: (value) => (typeof value === 'string' && shape.test(value) ? undefined : `is ${values}`),
  };
}

export function yesOrNo(words: string): Parameter {
  return {
    words,
    values: 'true or false',
    fault: (value) => (typeof value === 'boolean' ? undefined : 'is true or false'),
  };
}

export function whole(words: string, least: number, most: number): Parameter {
  const values = `a whole number from ${least} to ${most}`;
  const fits = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
  return { words, values, fault: (value) => (fits(value) ? undefined : `is ${values}`) };
}

/** Why these settings do not fit, naming the one that is wrong; undefined when they do. */
export function faultOfSettings(
  connector: string,
  parameters: Parameters,
  settings: Readonly<Record<string, unknown>>,
): string | undefined {
  for (const [name, value] of Object.entries(settings)) {
    const parameter = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (parameter === undefined) return `${connector} knows no setting ${JSON.stringify(name)}`;
    const fault = parameter.fault(value);
    if (fault !== undefined) return `${name} ${fault}`;
  }
  return undefined;
}
